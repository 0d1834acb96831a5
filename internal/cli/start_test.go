package cli

import (
	"path/filepath"
	"strings"
	"testing"
)

// contains fails for each part that text lacks.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("lacks %q: %s", part, text)
		}
	}
}

// What is trained is said in three lines with the first example, what makes a score worth little in
// sentences, and the metric by its name.
func TestTrainingSaysWhatItTrains(t *testing.T) {
	data := opinionsFolder(t)
	line := strings.Split(read(t, filepath.Join(data, "train.tsv")), "\n")[1]
	text, _, _ := strings.Cut(line, "\t")
	writeFile(t, filepath.Join(data, "dev.tsv"), "sentence\tlabel\n"+line+"\nsomething that is new\t1\n")
	r := must(t, finetuneArgs(data, filepath.Join(t.TempDir(), "run"), "max_seq_len=6")...)
	contains(t, r.stderr, "model   ", " parameters\n", "data    400 training examples: negative: 200 (50.0 %)", "        the first: \""+text, "device  cpu", "needs   up to ", " MiB of disk", "guessed from the speed of a product\n",
		"warning: 1 of 2 dev examples are in the training data too", " training texts are longer than 6 tokens (max_seq_len) and were cut", ": accuracy ", " on dev", " (best so far)\n")
	if strings.Contains(r.stderr, ": score ") || strings.Contains(r.stderr, "=") {
		t.Errorf("riddles: %s", r.stderr)
	}
	writeFile(t, filepath.Join(data, "train.tsv"), "sentence\tlabel\ngood\t1\nfine\t1\n")
	one := must(t, finetuneArgs(data, filepath.Join(t.TempDir(), "run"))...)
	contains(t, one.stderr, "all 2 training examples have the label positive")
	v := must(t, "data", "validate", "sst-2", data)
	contains(t, v.stderr, "all examples have the same label")
}

func TestValidateSaysWhatSplitsShare(t *testing.T) {
	dir := opinionsFolder(t)
	line := strings.Split(read(t, filepath.Join(dir, "train.tsv")), "\n")[1]
	writeFile(t, filepath.Join(dir, "dev.tsv"), "sentence\tlabel\n"+line+"\nsomething that is new\t1\n")
	contains(t, must(t, "data", "validate", "sst-2", dir).stderr, "1 examples of dev are in the training file too")
	contains(t, must(t, "data", "validate", "sst-2", dir, "--json").stdout, `"shared":[{"split":"dev","examples":1}]`)
}

// Texts that were cut are counted where a model is scored, too.
func TestEvaluateCountsCutTexts(t *testing.T) {
	data := opinionsFolder(t)
	run := filepath.Join(t.TempDir(), "run")
	must(t, finetuneArgs(data, run, "max_steps=1")...)
	writeFile(t, filepath.Join(data, "long.tsv"), "sentence\tlabel\n"+strings.Repeat("good ", 400)+"\t1\ngood\t1\n")
	r := must(t, "evaluate", "sst-2", "--data", filepath.Join(data, "long.tsv"), "--model", run)
	contains(t, r.stderr, "1 of 2 texts are longer than the 256 tokens that are read and were cut")
}
