package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A model that reads a picture with a text is asked for both, on the command line, line by line, and in files.
func TestPredictAboutPictures(t *testing.T) {
	const model, pictures = "../../testdata/claims.model", "../../testdata/shapes/images"
	bar := filepath.Join(pictures, "red-bar.png")
	if got := must(t, "predict", "--model", model, bar, "it is a bar", "it is a square").stdout; got != "entailment\t1.0000\tit is a bar\ncontradiction\t1.0000\tit is a square\n" {
		t.Errorf("got %q", got)
	}
	if got := must(t, "predict", "--model", model, bar, "it is old", "--json").stdout; !strings.HasPrefix(got, `{"image":"../../testdata/shapes/images/red-bar.png","text":"it is old","label":"neutral","probability":0.9`) {
		t.Errorf("got %q", got)
	}
	out := filepath.Join(t.TempDir(), "answers")
	if got := must(t, "predict", "snli-ve", "--model", model, "--data", "../../testdata/claims/dev.csv", "--out", out, "--set", "images_dir="+pictures, "--json").stdout; !strings.Contains(got, `"examples":18`) {
		t.Errorf("got %q", got)
	}
	lines, err := os.ReadFile(filepath.Join(out, "dev.jsonl"))
	if err != nil || strings.Count(string(lines), "\n") != 18 {
		t.Errorf("%d lines, %v", strings.Count(string(lines), "\n"), err)
	}
	for want, args := range map[string][]string{
		"a model for snli-ve reads a picture and a text": {"predict", "--model", model, "it is a bar"},
		"none.png: does not exist":                       {"predict", "--model", model, filepath.Join(pictures, "none.png"), "it is a bar"},
		"give --data FILE and --out DIR, and no text":    {"predict", "--model", model, "--data", "../../testdata/claims/dev.csv"},
		"do not predict files with --data":               {"predict", "classify", "--model", "../../testdata/films.model", "--data", "../../testdata/films/dev.tsv", "--out", out},
	} {
		if r := call(t, "", args...); r.code == 0 || !strings.Contains(r.stderr, want) {
			t.Errorf("%v: %+v, want %q", args, r, want)
		}
	}
}
