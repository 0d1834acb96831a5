//go:build unix

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What the shell's <(...) names is a pipe.
func TestTextsFromPipes(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ref := filepath.Join(t.TempDir(), "ref.txt")
	writeFile(t, ref, "a red ball\n")
	go os.WriteFile(pipe, []byte("a red ball\n"), 0)
	if r := must(t, "score", "caption-rouge-l", "--hyp", pipe, "--ref", ref, "--json"); !strings.Contains(r.stdout, "\"caption-rouge-l\":1") {
		t.Errorf("scored %s", r.stdout)
	}
	go os.WriteFile(pipe, []byte(strings.Repeat("a red ball\n", 10)), 0)
	must(t, "tokenizer", "train", "--out", filepath.Join(t.TempDir(), "v"), "--vocab-size", "270", pipe)
}
