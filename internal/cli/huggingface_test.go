package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bertFolder copies a small BERT of transformers and gives it a vocabulary.
func bertFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		raw, err := os.ReadFile(filepath.Join("..", "model", "testdata", "huggingface", "bert", name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(dir, name), string(raw))
	}
	tokens := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "film", "is", "good", "bad"}
	for i := range 270 - len(tokens) {
		tokens = append(tokens, fmt.Sprintf("##%c%c", 'a'+i/26, 'a'+i%26))
	}
	writeFile(t, filepath.Join(dir, "vocab.txt"), strings.Join(tokens, "\n")+"\n")
	return dir
}

// A BERT of transformers is fine-tuned as it is, and just the same after it was converted.
func TestFinetuneFromHuggingFace(t *testing.T) {
	bert, data := bertFolder(t), opinionsFolder(t)
	converted := filepath.Join(t.TempDir(), "converted")
	must(t, "convert", bert, converted)
	var models [2]string
	for i, init := range []string{bert, converted} {
		out := filepath.Join(t.TempDir(), "run")
		r := must(t, withSettings([]string{"finetune", "sst-2", "--data", data, "--init", init, "--out", out}, "max_steps=2", "batch_size=4")...)
		if !strings.Contains(r.stderr, "pooled_fc_text.w_0") || strings.Contains(r.stderr, "ffn_fc_0") {
			t.Errorf("want the head alone to be new: %s", r.stderr)
		}
		weights, err := os.ReadFile(filepath.Join(out, "best", "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		models[i] = string(weights)
		must(t, "predict", "--model", out, "the film is good")
	}
	if models[0] != models[1] {
		t.Error("the converted checkpoint gives another model")
	}
	r := call(t, "", "finetune", "sst-2", "--data", data, "--init", filepath.Join(bert, "model.safetensors"), "--vocab", bert, "--out", filepath.Join(t.TempDir(), "run"))
	if r.code == exitDone || !strings.Contains(r.stderr, "give the folder that has both") {
		t.Errorf("weights alone: %+v", r)
	}
}

// A table with rows beyond the vocabulary, of however few words, is cut; one with too few rows is refused.
func TestTableLargerThanVocabulary(t *testing.T) {
	bert, data := bertFolder(t), opinionsFolder(t)
	vocab, err := os.ReadFile(filepath.Join(bert, "vocab.txt"))
	if err != nil {
		t.Fatal(err)
	}
	words := strings.SplitAfter(string(vocab), "\n")
	writeFile(t, filepath.Join(bert, "vocab.txt"), strings.Join(words[:138], ""))
	writeFile(t, filepath.Join(bert, "added_tokens.json"), `{"sci-fi": 138, "[ENT]": 139}`)

	converted, run := filepath.Join(t.TempDir(), "converted"), filepath.Join(t.TempDir(), "run")
	if r := must(t, "convert", bert, converted); !strings.Contains(r.stderr, "rows for 270 words and the vocabulary has 140") {
		t.Errorf("convert says %q", r.stderr)
	}
	must(t, withSettings([]string{"finetune", "sst-2", "--data", data, "--init", bert, "--out", run}, "max_steps=2", "batch_size=4")...)
	for _, dir := range []string{converted, filepath.Join(run, "best")} {
		if r := must(t, "inspect", dir, "--stats=false"); !strings.Contains(r.stdout, "vocabulary 140") || !strings.Contains(r.stdout, "[140 12]") {
			t.Errorf("inspect says %s", r.stdout)
		}
		if r := must(t, "tokenizer", "encode", "--vocab", dir, "the sci-fi film [ent] [ENT]"); r.stdout != "5 138 6 139 139\n" {
			t.Errorf("%s: ids %s", dir, r.stdout)
		}
	}

	writeFile(t, filepath.Join(bert, "vocab.txt"), string(vocab)+"more\n")
	os.Remove(filepath.Join(bert, "added_tokens.json"))
	for _, args := range [][]string{
		{"convert", bert, filepath.Join(t.TempDir(), "converted")},
		withSettings([]string{"finetune", "sst-2", "--data", data, "--init", bert, "--out", filepath.Join(t.TempDir(), "run")}, "max_steps=2"),
	} {
		if r := call(t, "", args...); r.code != exitFailed || !strings.Contains(r.stderr, "the vocabulary has 271 entries but the model 270") {
			t.Errorf("%s: %+v", args[0], r)
		}
	}
}

// A vocabulary that cannot be read is said with the reason; the weights are converted all the same.
func TestConvertSaysWhyVocabularyIsLeftOut(t *testing.T) {
	bert := bertFolder(t)
	writeFile(t, filepath.Join(bert, "vocab.txt"), "[PAD]\nword\n")
	r := must(t, "convert", bert, filepath.Join(t.TempDir(), "converted"))
	if !strings.Contains(r.stderr, "special token [CLS] is missing") {
		t.Errorf("%q", r.stderr)
	}
}
