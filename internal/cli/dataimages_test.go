package cli

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/captions"
)

// picturesFolder writes four pictures with captions in the form of Flickr8k.
func picturesFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var tokens strings.Builder
	for i, name := range []string{"a", "b", "c", "d"} {
		m := image.NewGray(image.Rect(0, 0, 2, 2))
		m.Pix[0] = uint8(i)
		var b bytes.Buffer
		if err := png.Encode(&b, m); err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name+".png"), b.String())
		tokens.WriteString(name + ".png#0\tA picture of " + name + " .\n" + name + ".png#1\tone , \"" + name + "\"\n")
	}
	writeFile(t, filepath.Join(dir, "Flickr8k.token.txt"), tokens.String()+"e.png#0\tno picture\n")
	return dir
}

func TestDataImages(t *testing.T) {
	src, out := picturesFolder(t), filepath.Join(t.TempDir(), "data")
	var p captions.Prepared
	r := must(t, "data", "prepare", "flickr", src, out, "--split", "0.25", "--json")
	if err := json.Unmarshal([]byte(r.stdout), &p); err != nil || len(p.Splits) != 2 || p.Splits[0].Images != 3 || p.Splits[1].Captions != 2 || p.Pictures != 4 || p.Missing != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	if !strings.Contains(r.stderr, `image \"e.png\"`) && !strings.Contains(r.stderr, `image "e.png"`) {
		t.Errorf("nothing said of e.png: %s", r.stderr)
	}
	valid := must(t, "data", "validate", "flickr8k", out)
	for _, line := range []string{"train: 3 images, 6 captions\n", "dev: 1 images, 2 captions\n", "captions.csv: 8 captions of 3 to 5 words (median 5)\n"} {
		if !strings.Contains(valid.stdout, line) {
			t.Errorf("validate lacks %q:\n%s", line, valid.stdout)
		}
	}
	elsewhere := filepath.Join(t.TempDir(), "data")
	empty := t.TempDir()
	again := must(t, "data", "prepare", "flickr30k", filepath.Join(src, "Flickr8k.token.txt"), elsewhere, "--images", empty)
	for _, line := range []string{"train.txt: 5 images, 9 captions\n", "no pictures were found"} {
		if !strings.Contains(again.stdout, line) {
			t.Errorf("prepare lacks %q:\n%s", line, again.stdout)
		}
	}

	writeFile(t, filepath.Join(out, "test.txt"), read(t, filepath.Join(out, "dev.txt"))+"ghost.png\n")
	writeFile(t, filepath.Join(out, "images", "unused.png"), "")
	bad := call(t, "", "data", "validate", "flickr30k", out)
	for _, line := range []string{"test.txt:2: image \"ghost.png\" has no caption\n", "test.txt:2: there is no picture \"ghost.png\"\n", " is of dev too; remove it from one of the lists\n",
		"test: 2 images, 2 captions; 1 pictures missing\n", "1 pictures have no caption\n", "dev and test share 1 names of images and 0 pictures of other names\n"} {
		if !strings.Contains(bad.stdout, line) {
			t.Errorf("validate lacks %q:\n%s", line, bad.stdout)
		}
	}
	if bad.code != exitFailed || bad.stderr != "unimo: 3 problems found\n" {
		t.Errorf("exit code %d, %q", bad.code, bad.stderr)
	}
	if r := call(t, "", "data", "validate", "flickr30k", out, "--max-pixels", "3"); !strings.Contains(r.stdout, "train: 3 images, 6 captions; 3 pictures cannot be read") || !strings.Contains(r.stdout, "over the limit of 3") {
		t.Errorf("--max-pixels: %+v", r)
	}
	var v captions.Validation
	if err := json.Unmarshal([]byte(call(t, "", "data", "validate", "flickr30k", out, "--json").stdout), &v); err != nil || v.ProblemCount != 3 || v.Splits[2].Missing != 1 {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestDataImagesUsage(t *testing.T) {
	for _, args := range [][]string{
		{"data", "prepare", "flickr", "x", "y", "--split", "1"}, {"data", "prepare", "flickr", "x", "y", "--texts", "ids"},
		{"data", "prepare", "coqa", "x", "y", "--images", "z"}, {"data", "prepare", "flicker", "x", "y"},
	} {
		if r := call(t, "", args...); r.code != exitUsage {
			t.Errorf("%v: %+v", args, r)
		}
	}
	for _, args := range [][]string{{"data", "prepare", "flickr", "no/such", "y"}, {"data", "validate", "flickr8k", "no/such"}} {
		if r := call(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "no/such") {
			t.Errorf("%v: %+v", args, r)
		}
	}
}
