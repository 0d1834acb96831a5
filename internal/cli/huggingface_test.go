package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bertFolder copies a small BERT of transformers, one without a pooler, and gives it a vocabulary.
func bertFolder(t *testing.T) string { return transformersFolder(t, "bert") }

// transformersFolder copies a small model of transformers and gives it a vocabulary.
func transformersFolder(t *testing.T, model string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		raw, err := os.ReadFile(filepath.Join("..", "model", "testdata", "huggingface", model, name))
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

// A classifier that starts from BERT keeps its pooler, unless a setting or the kind of model has another activation.
func TestFinetuneFromPooler(t *testing.T) {
	bert, data := transformersFolder(t, "bert-encoder"), opinionsFolder(t)
	converted := filepath.Join(t.TempDir(), "converted")
	must(t, "convert", bert, converted)
	const left = "the pooler of the checkpoint is left out: it was trained with tanh, and this model has relu"
	for _, c := range []struct {
		init   string
		args   []string
		act    string // in config.json
		leaves bool
	}{
		{bert, []string{"sst-2", "--data", data}, `"pooler_act": "tanh"`, false},
		{converted, []string{"sst-2", "--data", data}, `"pooler_act": "tanh"`, false},
		{bert, []string{"sst-2", "--data", data, "--set", "pooler_act=relu"}, `"pooler_act": "relu"`, true},
		{bert, []string{"multi", "--tasks", "sst-2=" + data}, "", true},
	} {
		out := filepath.Join(t.TempDir(), "run")
		r := must(t, withSettings(append([]string{"finetune", "--init", c.init, "--out", out}, c.args...), "max_steps=2", "batch_size=4")...)
		if strings.Contains(r.stderr, left) != c.leaves || strings.Contains(r.stderr, "pooled_fc_text.w_0") != c.leaves {
			t.Errorf("%q: %s", c.args, r.stderr)
		}
		if config := read(t, filepath.Join(out, "best", "config.json")); !strings.Contains(config, c.act) || c.act == "" && strings.Contains(config, "pooler_act") {
			t.Errorf("%q: %s", c.args, config)
		}
		must(t, "predict", "--model", out, "the film is good")
	}
	if a, b := must(t, "embed", "--model", bert, "--pooling", "pooled", "the film").stdout, must(t, "embed", "--model", converted, "--pooling", "pooled", "the film").stdout; a != b {
		t.Errorf("converted, the pooled vector is another: %s, not %s", b, a)
	}
	contains(t, must(t, "inspect", bert, "--stats=false").stdout, "pooler with tanh", "pooled_fc_text.w_0", "text-encoder: 0 missing")
}

// A classifier of transformers is used as it is, and converted; one that is trained from it has a new head.
func TestTransformersClassifier(t *testing.T) {
	bert, scorer, data := transformersFolder(t, "bert-classifier"), transformersFolder(t, "bert-scorer"), t.TempDir()
	converted := filepath.Join(t.TempDir(), "converted")
	contains(t, must(t, "convert", bert, converted).stdout, "tensors")
	answer := must(t, "predict", "--json", "--model", bert, "the film is good").stdout
	contains(t, answer, `"LABEL_0":`, `"LABEL_2":`)
	if other := must(t, "predict", "--json", "--model", converted, "the film is good").stdout; other != answer {
		t.Errorf("converted, the answer is %s, not %s", other, answer)
	}
	contains(t, must(t, "predict", "--json", "--model", scorer, "--pair", "the film\tis good").stdout, `"score":`)
	contains(t, must(t, "inspect", bert, "--stats=false").stdout, "3 classes", "classification: 0 missing, 0 of another shape, 0 unknown")

	file := filepath.Join(data, "texts.csv")
	writeFile(t, file, "text,label\nthe film is good,LABEL_1\nbad,LABEL_0\nis bad,label_2\n")
	contains(t, must(t, "evaluate", "classify", "--model", bert, "--data", file).stdout, "accuracy", "examples")
	// Its classes may be in another order than the task's: every label in the file is what the model says.
	writeFile(t, filepath.Join(bert, "config.json"), strings.NewReplacer("LABEL_0", "NEUTRAL", "LABEL_1", "ENTAILMENT", "LABEL_2", "CONTRADICTION").Replace(read(t, filepath.Join(bert, "config.json"))))
	lines := "sentence1\tsentence2\tgold_label\n"
	for _, pair := range []string{"the film\tis good", "the film\tis bad", "bad\tgood"} {
		var said struct {
			Label string `json:"label"`
		}
		decodeLine(t, must(t, "predict", "--json", "--model", bert, "--pair", pair).stdout, &said)
		lines += pair + "\t" + strings.ToLower(said.Label) + "\n"
	}
	writeFile(t, filepath.Join(data, "dev_matched.tsv"), lines)
	contains(t, must(t, "evaluate", "mnli", "--json", "--model", bert, "--data", filepath.Join(data, "dev_matched.tsv")).stdout, `"accuracy":1,`)

	run := filepath.Join(t.TempDir(), "run")
	r := must(t, withSettings([]string{"finetune", "sst-2", "--data", opinionsFolder(t), "--init", bert, "--out", run}, "max_steps=2", "batch_size=4")...)
	contains(t, r.stderr, "tensor classifier.weight of the checkpoint is left out: a new head is trained", "cls_out_2_w")
	if config := read(t, filepath.Join(run, "best", "config.json")); !strings.Contains(config, `"pooler_act": "tanh"`) || strings.Contains(config, "NEUTRAL") {
		t.Errorf("%s", config)
	}

	writeFile(t, filepath.Join(scorer, "config.json"), strings.Replace(read(t, filepath.Join(scorer, "config.json")), "BertForSequenceClassification", "BertForMultipleChoice", 1))
	if r := call(t, "", "predict", "--model", scorer, "good"); r.code == exitDone || !strings.Contains(r.stderr, "its head is not used: it is of a BertForMultipleChoice") {
		t.Errorf("another head: %+v", r)
	}
	if r := call(t, "", "predict", "--model", transformersFolder(t, "bert"), "good"); r.code == exitDone || !strings.Contains(r.stderr, "has no head; fine-tune it") {
		t.Errorf("no head: %+v", r)
	}
}

// A run from BERT that a version without its pooler began goes on as it was.
func TestResumeWithoutPooler(t *testing.T) {
	bert, data, home := transformersFolder(t, "bert-encoder"), opinionsFolder(t), t.TempDir()
	args := func(out string) []string {
		return withSettings([]string{"finetune", "sst-2", "--data", data, "--init", bert, "--out", filepath.Join(home, out)}, "pooler_act=relu", "epochs=3", "batch_size=4", "log_steps=1")
	}
	must(t, args("whole")...)
	interrupted(t, args("broken")...)
	file := filepath.Join(home, "broken", "run.json")
	was := read(t, file)
	old := strings.Replace(was, `"pooler_act": "relu",`, "", 1)
	if old == was {
		t.Fatalf("there is no pooler_act in %s", was)
	}
	writeFile(t, file, old)
	must(t, "resume", filepath.Join(home, "broken"))
	if read(t, filepath.Join(home, "broken", "last", "model.safetensors")) != read(t, filepath.Join(home, "whole", "last", "model.safetensors")) {
		t.Error("the model differs")
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
