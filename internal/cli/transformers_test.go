package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// transformersScript answers for each folder what transformers makes of the texts in it.
const transformersScript = `
import json, sys
import torch
from transformers import AutoConfig, AutoModel, AutoModelForSequenceClassification, AutoTokenizer
asked, answers = json.load(sys.stdin), []

def save(model, tokenizer, folder):
    out = folder + "-again"
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out

for folder in asked["folders"]:
    config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    encoder = AutoModel.from_pretrained(folder, trust_remote_code=True).eval()
    model = AutoModelForSequenceClassification.from_pretrained(folder, trust_remote_code=True).eval()
    padded = tokenizer(asked["texts"], padding=True, return_tensors="pt")
    with torch.no_grad():
        probabilities = torch.softmax(model(**padded).logits, -1)
        hidden = encoder(**padded).last_hidden_state
    answers.append({
        "ids": [tokenizer(text, add_special_tokens=False).input_ids for text in asked["texts"]],
        "saved": save(model, tokenizer, folder), "probabilities": probabilities.tolist(), "labels": [config.id2label[i] for i in range(config.num_labels)], "width": hidden.shape[-1],
    })
json.dump(answers, sys.stdout)
`

// TestTransformersOpensModels compares what Hugging Face's transformers make of our models' folders with our own
// answers. It needs Python with transformers and torch: $UNIMO_PYTHON, or python3.
func TestTransformersOpensModels(t *testing.T) {
	python := cmp.Or(os.Getenv("UNIMO_PYTHON"), "python3")
	if out, err := exec.Command(python, "-c", "import torch, transformers").CombinedOutput(); err != nil {
		t.Skipf("not run: %s has no transformers with torch (%v %.200s)", python, err, out)
	}
	bert, data := bertFolder(t), opinionsFolder(t)
	writeFile(t, filepath.Join(bert, "tokenizer_config.json"), `{"added_tokens_decoder": {"9": {"content": "bad", "single_word": true}}}`)
	texts := []string{"the film is good", "A gripping, FUNNY film!", "bad badly Bad", "[SEP] the </s> film", "Zürich isn't 12% good  "}
	var folders []string
	own := func(more ...string) []string {
		return withSettings(nil, append(more, "hidden_size=16", "num_attention_heads=2", "vocab_size=400")...)
	}
	for _, args := range [][]string{own("do_lower_case=true"), own("do_lower_case=false"), {"--init", bert}, {"--init", transformersFolder(t, "bert-encoder")}} {
		out := filepath.Join(t.TempDir(), "run")
		must(t, withSettings(append([]string{"finetune", "sst-2", "--data", data, "--out", out}, args...), "max_steps=2", "batch_size=4", "initializer_range=0.4")...)
		folders = append(folders, filepath.Join(out, "best"))
	}
	question, err := json.Marshal(map[string]any{"folders": folders, "texts": texts})
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(python, "-c", transformersScript)
	command.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "HF_HOME="+t.TempDir())
	command.Stdin = bytes.NewReader(question)
	var stderr strings.Builder
	command.Stderr = &stderr
	raw, err := command.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var answers []struct {
		IDs           [][]int32   `json:"ids"`
		Probabilities [][]float64 `json:"probabilities"`
		Labels        []string    `json:"labels"`
		Width         int         `json:"width"`
		Saved         string      `json:"saved"`
	}
	if err := json.Unmarshal(raw, &answers); err != nil {
		t.Fatal(err)
	}
	for i, folder := range folders {
		theirs := answers[i]
		for j, text := range texts {
			var ours struct {
				IDs []int32 `json:"ids"`
			}
			decodeLine(t, must(t, "tokenizer", "encode", "--json", "--vocab", folder, text).stdout, &ours)
			if !slices.Equal(ours.IDs, theirs.IDs[j]) {
				t.Errorf("%s: %q: ids %v, transformers %v", folder, text, ours.IDs, theirs.IDs[j])
			}
			var answer struct {
				Probabilities map[string]float64 `json:"probabilities"`
			}
			decodeLine(t, must(t, "predict", "--json", "--model", folder, text).stdout, &answer)
			if again := must(t, "predict", "--json", "--model", theirs.Saved, text).stdout; again != must(t, "predict", "--json", "--model", folder, text).stdout {
				t.Errorf("%s: as transformers saved it: %q: %s", folder, text, again)
			}
			for class, p := range theirs.Probabilities[j] {
				if own := answer.Probabilities[theirs.Labels[class]]; math.Abs(own-p) > 1e-5 {
					t.Errorf("%s: %q: %s has probability %v, transformers %v", folder, text, theirs.Labels[class], own, p)
				}
			}
		}
		if theirs.Width == 0 {
			t.Errorf("%s: the encoder's output has no width", folder)
		}
	}
}

func decodeLine(t *testing.T, line string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(line), v); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
}
