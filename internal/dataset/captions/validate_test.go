package captions

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/golden"
)

func validate(t *testing.T, dir string) Validation {
	t.Helper()
	v, err := Validate(context.Background(), dir, ValidateOptions{MaxProblems: 100})
	if err != nil {
		t.Fatal(err)
	}
	if v.ProblemCount != len(v.Problems) {
		t.Errorf("%d problems, %q", v.ProblemCount, v.Problems)
	}
	return v
}

func TestValidate(t *testing.T) {
	dir := folder(t, map[string]string{
		"captions.csv": "image,caption\na.png,one\na.png,one\nb.png,two words\nc.png,\nc.png,x\nd.png,a ghost\ne.png,a b c\nf.png,same\nfree.png,unlisted\nx,y,z\n",
		"train.txt":    "a.png\nb.png\ng.png\nbroken.png\nf.png\nd.png\n",
		"dev.txt":      "c.png\ne.png\na.png\n",
		"images/a.png": square(1), "images/b.png": square(2), "images/c.png": square(3), "images/e.png": square(2), "images/f.png": square(1),
		"images/broken.png": square(9)[:20], "images/free.png": square(8), "images/unused.png": square(7),
	})
	v := validate(t, dir)
	all := strings.Join(v.Problems, "\n")
	for _, want := range []string{
		"captions.csv:5: the caption of image \"c.png\" is empty", "captions.csv:7: there is no picture \"d.png\"", "captions.csv:11: has 3 columns",
		"train.txt:3: image \"g.png\" has no caption", "train.txt:3: there is no picture \"g.png\"", "train.txt:4: image \"broken.png\" has no caption",
		"broken.png: ", "dev.txt: image \"a.png\" is of train too", "dev.txt: picture \"e.png\" is, byte by byte, \"b.png\" of train",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("lacks %q:\n%s", want, all)
		}
	}
	want := Validation{Dir: dir, File: filepath.Join(dir, "captions.csv"), Captions: 8, Words: &Words{1, 1, 3}, Repeated: 1, Unlisted: 1, Pictures: 8, Unused: 1, Same: 1,
		Splits: []SplitValidation{{"train", 6, 5, 2, 1}, {"dev", 3, 4, 0, 0}}, Shared: []SharedImages{{[2]string{"train", "dev"}, 1, 1}}, ProblemCount: 9, Problems: v.Problems}
	if !reflect.DeepEqual(v, want) {
		t.Errorf("got  %+v\nwant %+v", v, want)
	}

	clean := folder(t, map[string]string{"captions.jsonl": `{"image":"1","tokens":[0,5,2]}`, "train.txt": "1\n"})
	if v := validate(t, clean); v.ProblemCount != 0 || v.Words != nil || v.Splits[0] != (SplitValidation{Split: "train", Images: 1, Captions: 1}) {
		t.Errorf("features elsewhere: %+v", v)
	}
	if _, err := Validate(context.Background(), t.TempDir(), ValidateOptions{}); err == nil || !strings.Contains(err.Error(), "unimo data prepare flickr") {
		t.Errorf("an empty folder: %v", err)
	}
	bad := folder(t, map[string]string{"captions.csv": "a,b\n", "train.txt": "\x00\n"})
	if v := validate(t, bad); v.ProblemCount != 2 {
		t.Errorf("bad files: %+v", v)
	}
}

// TestValidateReal prepares 7,000 photographs and looks at the 200 first of dev: at all of them it takes
// half a minute.
func TestValidateReal(t *testing.T) {
	from := golden.Data(t, "flickr8k")
	dst := filepath.Join(t.TempDir(), "out")
	p, err := Prepare(context.Background(), from, dst, PrepareOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if p.Pictures != 7000 || p.Bad+p.Missing+p.Unlisted != 0 {
		t.Errorf("%+v", p)
	}
	names, _, err := readList(listFile(dst, "dev"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(listFile(dst, "train")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(listFile(dst, "dev"), []byte(strings.Join(names[:200], "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
	v := validate(t, dst)
	if v.Captions != 35000 || v.Pictures != 7000 || v.Unused != 0 || v.Unlisted != 6800 || v.Repeated != 9 || v.ProblemCount != 0 {
		t.Errorf("%+v", v)
	}
	for _, s := range v.Splits {
		if s.Missing+s.Broken != 0 || s.Captions != 5*s.Images {
			t.Errorf("%+v", s)
		}
	}
}
