package cli

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
)

// captionsFolder writes a folder of data without pictures.
func captionsFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "captions.csv"), `image,caption
dog.jpg,A brown dog runs on the beach .
dog.jpg,The dog is wet .
cat.jpg,A cat sits on the beach .
man.jpg,An old man holds a ball .
man.jpg,Nobody knows .
`)
	writeFile(t, filepath.Join(dir, "train.txt"), "dog.jpg\ncat.jpg\nman.jpg\n")
	return dir
}

func TestRewrite(t *testing.T) {
	dir := captionsFolder(t)
	paraphrases := filepath.Join(dir, "paraphrases.tsv")
	writeFile(t, paraphrases, "A brown dog runs on the beach .\tOn the beach a brown dog is running .\n")
	r := must(t, "rewrite", "--data", dir, "--image", "dog.jpg", "--paraphrases", paraphrases, "--count", "3")
	for _, want := range []string{
		"dog.jpg\n  A brown dog runs on the beach .\n    objects: dog, beach\n    attributes: brown dog\n    relations: run, on\n",
		"    + The dog is wet .\n    + On the beach a brown dog is running .\n",
		"  [object: cat, was dog]\n",
		"    ~ A cat sits on the beach .\n",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("lacks %q:\n%s", want, r.stdout)
		}
	}
	if !strings.Contains(r.stderr, "1 name no object") || strings.Contains(r.stdout, "man.jpg") {
		t.Errorf("%s%s", r.stdout, r.stderr)
	}
	// What a paraphrase says is true of the image as well.
	writeFile(t, paraphrases, "A brown dog runs on the beach .\tA brown dog runs like a cat or an old man with a ball .\n")
	if r := must(t, "rewrite", "--data", dir, "--image", "dog.jpg", "--paraphrases", paraphrases, "--count", "3"); strings.Contains(strings.SplitN(r.stdout, "The dog is wet .\n    objects", 2)[0], "cat, was") {
		t.Errorf("a negative that a paraphrase says:\n%s", r.stdout)
	}
	writeFile(t, paraphrases, "A brown dog runs on the beach .\tOn the beach a brown dog is running .\n")
	if again := must(t, "rewrite", "--data", dir, "--image", "dog.jpg", "--paraphrases", paraphrases, "--count", "3"); again.stdout != r.stdout {
		t.Errorf("not the same again:\n%s", again.stdout)
	}
}

func TestRewriteJSON(t *testing.T) {
	r := must(t, "rewrite", "--data", captionsFolder(t), "--json", "--nearest", "0", "--limit", "0")
	lines := strings.Split(strings.TrimSpace(r.stdout), "\n")
	if len(lines) != 5 {
		t.Fatalf("%d lines:\n%s", len(lines), r.stdout)
	}
	for _, line := range lines {
		var x rewritten
		if err := json.Unmarshal([]byte(line), &x); err != nil || x.Image == "" || x.Caption == "" || strings.Contains(line, "null") {
			t.Errorf("%s: %v", line, err)
		}
		if understood := x.Caption != "Nobody knows ."; understood != (len(x.Objects) > 0 && len(x.Negatives) > 0) || len(x.Nearest) > 0 {
			t.Errorf("%s", line)
		}
	}
}

func TestRewriteErrors(t *testing.T) {
	dir := captionsFolder(t)
	bad := filepath.Join(dir, "bad.tsv")
	writeFile(t, bad, "A dog .\n")
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{}, exitUsage, "data"},
		{[]string{"--data", dir, "--image", "ghost.jpg"}, exitUsage, "ghost.jpg"},
		{[]string{"--data", dir, "--count", "-1"}, exitUsage, "--count is -1, want 0 or more"},
		{[]string{"--data", dir, "--split", "dev"}, exitFailed, "dev.txt"},
		{[]string{"--data", filepath.Join(dir, "none")}, exitFailed, "none: does not exist"},
		{[]string{"--data", dir, "--paraphrases", bad}, exitFailed, "bad.tsv:1"},
		{[]string{"--data", dir, "--wordnet", dir}, exitFailed, "index.noun"},
	} {
		r := call(t, "", append([]string{"rewrite"}, c.args...)...)
		if r.code != c.code || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%q: %d, %s", c.args, r.code, r.stderr)
		}
	}
}
