package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/embed"
)

const (
	filmsModel  = "../../testdata/films.model"
	shapesModel = "../../testdata/shapes.model"
)

func TestEmbed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "texts.txt")
	writeFile(t, file, "a funny film\r\n\na boring film\n")
	lines := func(r result) (list []embed.Line) {
		t.Helper()
		for line := range strings.Lines(r.stdout) {
			var x embed.Line
			if err := json.Unmarshal([]byte(line), &x); err != nil {
				t.Fatal(err)
			}
			list = append(list, x)
		}
		return list
	}
	words := lines(must(t, "embed", "-m", filmsModel, "a funny film", "", "a boring film"))
	if len(words) != 3 || *words[1].Text != "" || *words[2].Text != "a boring film" || len(words[0].Vector) != len(words[2].Vector) || len(words[0].Vector) == 0 {
		t.Fatalf("%v", words)
	}
	same := func(what string, got []embed.Line) {
		t.Helper()
		if len(got) != 3 {
			t.Fatalf("%s: %d lines", what, len(got))
		}
		for i, x := range got {
			for k, v := range x.Vector {
				if v != words[i].Vector[k] || *x.Text != *words[i].Text {
					t.Fatalf("%s: line %d: %v", what, i, x)
				}
			}
		}
	}
	same("a file", lines(must(t, "embed", "-m", filmsModel, "--texts", file)))
	same("standard input", lines(call(t, "a funny film\n\na boring film", "embed", "-m", filmsModel, "-")))
	out := filepath.Join(dir, "v.jsonl")
	must(t, "embed", "-m", filmsModel, "--texts", file, "--out", out)
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	same("a written file", lines(result{stdout: string(raw)}))

	out = filepath.Join(dir, "v.npy")
	var done embedded
	r := must(t, "embed", "-m", filmsModel, "--texts", file, "--out", out, "--pooling", "CLS", "--normalize", "--json", strings.Repeat("very long ", 2000))
	if err := json.Unmarshal([]byte(r.stdout), &done); err != nil || done.Vectors != 4 || done.Truncated != 1 || !done.Normalized || done.Pooling[0] != "cls" || done.IDs != filepath.Join(dir, "v.ids.jsonl") {
		t.Errorf("%+v, %v", done, err)
	}
	if !strings.Contains(r.stderr, "warning: 1 of 4 texts are longer than the") {
		t.Error(r.stderr)
	}
	if raw, err := os.ReadFile(out); err != nil || len(raw) != 128+4*4*done.Size {
		t.Error(len(raw), err)
	}
	pictures := lines(must(t, "embed", "-m", shapesModel, "--pictures", shapesFolder, "--pictures", filepath.Join(shapesFolder, "red-bar.png"), "a red bar"))
	if len(pictures) != 8 || *pictures[0].Text != "a red bar" || pictures[1].Image != filepath.Join(shapesFolder, "blue-bar.png") || pictures[7].Image != filepath.Join(shapesFolder, "red-bar.png") {
		t.Errorf("%v", pictures)
	}
	if seen := lines(must(t, "embed", "--extractor", "statistics", "--pictures", shapesFolder)); len(seen) != 6 || len(seen[5].Vector) == 0 {
		t.Errorf("%v", seen)
	}
	bad := filepath.Join(dir, "bad.png")
	writeFile(t, bad, "no picture")
	if r := must(t, "embed", "-m", shapesModel, "--pictures", bad, "--skip-bad"); r.stdout != "" || !strings.Contains(r.stderr, "left out: "+bad) {
		t.Errorf("%+v", r)
	}
}

func TestEmbedErrors(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there.npy")
	writeFile(t, there, "")
	half := filepath.Join(dir, "half.npy")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, exitUsage, "give texts, '-' to read lines of standard input, --texts FILE, or --pictures PATH"},
		{[]string{"-", "a"}, exitUsage, "goes with no other text"},
		{[]string{"a", "--out", "v.txt"}, exitUsage, "end it with .jsonl, .npy or .safetensors"},
		{[]string{"a", "--out", there}, exitFailed, "exists; choose a new name"},
		{[]string{"a", "--pooling", "men"}, exitUsage, "did you mean mean?"},
		{[]string{"a", "--prompt", "query"}, exitUsage, "the model has no prompts"},
		{[]string{"--pictures", shapesFolder}, exitUsage, "reads texts alone"},
		{[]string{filepath.Join(shapesFolder, "red-bar.png")}, exitUsage, "name pictures with --pictures"},
		{[]string{"--texts", filepath.Join(dir, "none"), "--out", half}, exitFailed, "does not exist"},
		{[]string{"--texts", dir, "--out", half}, exitFailed, "folder"},
	} {
		if r := call(t, "", append([]string{"embed", "-m", filmsModel}, c.args...)...); r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%v: %+v, want %q", c.args, r, c.want)
		}
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("a file of what failed")
	}
}
