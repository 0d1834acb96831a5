package cli

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/answer"
)

const (
	captionsModel = "../../testdata/captions.model"
	shapesFolder  = "../../testdata/shapes/images"
)

// Pictures are named one by one, by their folder, line by line, or as ids in region features; a line of output is a picture.
func TestCaption(t *testing.T) {
	bar, square := filepath.Join(shapesFolder, "red-bar.png"), filepath.Join(shapesFolder, "blue-square.png")
	two := bar + "\ta red bar\n" + square + "\ta blue square\n"
	features := filepath.Join(t.TempDir(), "features")
	must(t, "features", "extract", shapesFolder, features, "--image-size", "16", "--patch-size", "8")
	objects := filepath.Join(t.TempDir(), "objects.csv")
	writeFile(t, objects, "image,objects\nred-bar.png,\"red, bar\"\n")
	for _, c := range []struct {
		name, stdin string
		args        []string
		stdout      string
		stderr      string
	}{
		{name: "two", args: []string{bar, square}, stdout: two},
		{name: "in the order given", args: []string{square, bar, square}, stdout: square + "\ta blue square\n" + two},
		{name: "standard input", stdin: bar + "\n\n" + square + "\r\n", args: []string{"-"}, stdout: two},
		{name: "nothing on standard input", args: []string{"-"}},
		{name: "greedy", args: []string{bar, "--beam", "1"}, stdout: bar + "\ta red bar\n"},
		{name: "cold sample", args: []string{bar, "--sample", "--temperature", "0"}, stdout: bar + "\ta red bar\n"},
		{name: "cut", args: []string{bar, "--max-length", "3"}, stdout: bar + "\ta r\n"},
		{name: "features", args: []string{"--features", features, "red-bar.png", "blue-square.png"}, stdout: "red-bar.png\ta red bar\nblue-square.png\ta blue square\n"},
		{name: "objects", args: []string{"--objects", objects, bar}, stdout: bar + "\ta red bar\n"},
		{name: "objects of few", args: []string{"--objects", objects, bar, square}, stdout: two, stderr: "warning: 1 of 2 images have no objects in " + objects},
		{name: "objects, line by line", stdin: square, args: []string{"--objects", objects, "-"}, stdout: square + "\ta blue square\n", stderr: "warning: 1 of 1 images have no objects in " + objects},
		{name: "a bad one left out", args: []string{objects, bar, "--skip-bad"}, stdout: bar + "\ta red bar\n", stderr: "warning: left out: " + objects + ": no picture that is known here"},
		{name: "a bad line left out", stdin: "none.png\n" + bar, args: []string{"-", "--skip-bad"}, stdout: bar + "\ta red bar\n", stderr: "warning: left out: none.png: does not exist"},
	} {
		if r := call(t, c.stdin, append([]string{"caption", "--model", captionsModel}, c.args...)...); r.code != exitDone || r.stdout != c.stdout || !strings.Contains(r.stderr, c.stderr) {
			t.Errorf("%s: %+v, want %q and %q", c.name, r, c.stdout, c.stderr)
		}
	}
	all := must(t, "caption", "--model", captionsModel, shapesFolder, "--json").stdout
	lines := strings.Split(strings.TrimSpace(all), "\n")
	for i, name := range []string{"blue-bar", "blue-square", "green-bar", "green-square", "red-bar", "red-square"} {
		var got answer.Caption
		if len(lines) != 6 || json.Unmarshal([]byte(lines[i]), &got) != nil || got.Image != filepath.Join(shapesFolder, name+".png") ||
			got.Caption != "a "+strings.ReplaceAll(name, "-", " ") || got.Score >= 0 || !got.Finished {
			t.Fatalf("%s: %+v of %s", name, got, all)
		}
	}
	if r := must(t, "caption", "--model", captionsModel, "--features", features, "--json"); strings.Count(r.stdout, "\n") != 6 || !strings.Contains(r.stdout, `{"image":"green-bar`) {
		t.Errorf("all features: %+v", r)
	}
	sample := func(seed string) string {
		return must(t, "caption", "--model", captionsModel, bar, bar, "--sample", "--temperature", "3", "--seed", seed, "--json").stdout
	}
	if a := sample("7"); a != sample("7") || a == sample("8") || strings.Count(a, strings.SplitN(a, "\n", 2)[0]) != 1 {
		t.Errorf("a sample is not that of its seed and place: %s", a)
	}
}

func TestCaptionRefuses(t *testing.T) {
	bar := filepath.Join(shapesFolder, "red-bar.png")
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		writeFile(t, path, content)
		return path
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "name pictures or folders of them", nil},
		{exitUsage, "goes with no other picture", []string{"-", bar}},
		{exitUsage, "--object-vocab is for the classes that --features have", []string{bar, "--object-vocab", "x"}},
		{exitUsage, "--top-k is for --sample", []string{bar, "--top-k", "3"}},
		{exitUsage, "max_out_len is 1000", []string{bar, "--max-length", "1000"}},
		{exitUsage, "beam_size is 0", []string{bar, "--beam", "0"}},
		{exitFailed, "none.png: does not exist; check the path, or leave such pictures out with --skip-bad", []string{bar, "none.png"}},
		{exitFailed, "cut.png: ", []string{bar, write("cut.png", "\x89PNG\r\n\x1a\n")}},
		{exitFailed, "has no pictures", []string{t.TempDir()}},
		{exitFailed, "none: does not exist; check the path", []string{"--features", filepath.Join(dir, "none"), "a"}},
		{exitFailed, "none: does not exist; check the path", []string{"--objects", filepath.Join(dir, "none"), bar}},
		{exitFailed, `objects.csv:2: object "cat" of image "a.png" is not in the vocabulary`, []string{
			"--objects", write("objects.csv", "image,objects\na.png,cat\n"), "--object-vocab", write("vocab.txt", "dog\n"), bar}},
	} {
		if r := call(t, "", append([]string{"caption", "--model", captionsModel}, c.args...)...); r.code != c.code || r.stdout != "" || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%q: %+v, want %q", c.args, r, c.want)
		}
	}
	other := filepath.Join(dir, "other.model")
	if err := errors.Join(os.CopyFS(other, os.DirFS(captionsModel)), os.Remove(filepath.Join(other, "image_processor.json"))); err != nil {
		t.Fatal(err)
	}
	if r := call(t, "", "caption", "--model", other, bar); r.code != exitDone {
		t.Errorf("config.json alone says how pictures are seen: %+v", r)
	}
	config := filepath.Join(other, "config.json")
	writeFile(t, config, strings.Replace(read(t, config), `"image_extractor"`, `"was"`, 1))
	if r := call(t, "", "caption", "--model", other, bar, "--skip-bad"); r.code != exitFailed || !strings.Contains(r.stderr, "it was made for region features") || strings.Contains(r.stderr, "left out") {
		t.Errorf("pictures for a model of features: %+v", r)
	}
	for model, want := range map[string]string{"claims": `problem_type is "entailment", want "captioning"`, "headlines": "this model writes texts", "shapes": `want "captioning"`, "none": "none.model"} {
		if r := call(t, "", "caption", "--model", "../../testdata/"+model+".model", bar); r.code != exitFailed || r.stdout != "" || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: %+v, want %q", model, r, want)
		}
	}
}
