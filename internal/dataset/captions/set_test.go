package captions

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/golden"
)

// folder writes files, by name, into a new folder.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		companion := filepath.Join(filepath.Dir(path), "._"+filepath.Base(path)) // as macOS lays it beside: it never counts
		for file, content := range map[string]string{path: content, companion: "\x00\x05\x16\x07\x00\x02"} {
			if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func TestRead(t *testing.T) {
	for _, file := range []map[string]string{
		{"captions.csv": "image,caption\nb.jpg,\"one, \"\"two\"\"\"\na/x.png,three\nc.jpg,\nb.jpg,  four \n"},
		{"captions.jsonl": `{"image":"b.jpg","caption":"one, \"two\""}` + "\n\n" + `{"image":"a/x.png","caption":"three"}` + "\n" + `{"image":"b.jpg","caption":"four"}`},
	} {
		file["train.txt"], file["test.txt"] = "\ufeffa/x.png\r\nb.jpg\r\n\r\n", "c.jpg\n"
		if file["captions.jsonl"] != "" {
			file["captions.jsonl"] = strings.Replace(file["captions.jsonl"], "\n\n", "\n"+`{"image":"c.jpg"}`+"\n", 1)
		}
		dir := folder(t, file)
		s, err := Read(dir, "train")
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"a/x.png", "b.jpg"}; !reflect.DeepEqual(s.Images, want) || s.Name != "train" || s.Dir != dir {
			t.Errorf("images %q, want %q", s.Images, want)
		}
		texts := ""
		for _, c := range s.Captions {
			texts += s.Images[c.Image] + ": " + c.Text + "; "
		}
		if want := `b.jpg: one, "two"; a/x.png: three; b.jpg: four; `; texts != want {
			t.Errorf("captions %s, want %s", texts, want)
		}
		if got := [][]int{s.Of(0), s.Of(1)}; !reflect.DeepEqual(got, [][]int{{1}, {0, 2}}) || !reflect.DeepEqual(s.ImageOf(), []int{1, 0, 1}) {
			t.Errorf("captions of the images: %v; images: %v", got, s.ImageOf())
		}
		if splits, err := Splits(dir); err != nil || !reflect.DeepEqual(splits, []string{"train", "test"}) {
			t.Errorf("splits %v, %v", splits, err)
		}
		if _, err := Read(dir, "test"); err == nil || !strings.Contains(err.Error(), `image "c.jpg"`) || !strings.Contains(err.Error(), "is empty") && !strings.Contains(err.Error(), "has no caption") {
			t.Errorf("an empty caption: %v", err)
		}
	}
}

func TestReadReal(t *testing.T) {
	dir := golden.Data(t, "flickr8k")
	for split, images := range map[string]int{"train": 6000, "dev": 1000} {
		s, err := Read(dir, split)
		if err != nil {
			t.Fatal(err)
		}
		if len(s.Images) != images || len(s.Captions) != 5*images || len(s.Of(images-1)) != 5 {
			t.Errorf("%s: %d images, %d captions", split, len(s.Images), len(s.Captions))
		}
	}
}
