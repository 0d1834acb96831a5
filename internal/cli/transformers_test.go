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

// transformers has Python run a script that reads a question and writes an answer, both JSON. It needs transformers and torch.
func transformers(t *testing.T) func(script string, question, answer any) {
	t.Helper()
	python := cmp.Or(os.Getenv("UNIMO_PYTHON"), "python3")
	if out, err := exec.Command(python, "-c", "import torch, transformers").CombinedOutput(); err != nil {
		t.Skipf("not run: %s has no transformers with torch (%v %.200s)", python, err, out)
	}
	return func(script string, question, answer any) {
		t.Helper()
		asked, err := json.Marshal(question)
		if err != nil {
			t.Fatal(err)
		}
		command := exec.Command(python, "-c", script)
		command.Env = append(os.Environ(), "HF_HUB_OFFLINE=1", "HF_HOME="+t.TempDir())
		command.Stdin = bytes.NewReader(asked)
		var stderr strings.Builder
		command.Stderr = &stderr
		said, err := command.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, stderr.String())
		}
		if err := json.Unmarshal(said, answer); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTransformersOpensModels compares what Hugging Face's transformers make of our models' folders with our own
// answers. It needs Python with transformers and torch: $UNIMO_PYTHON, or python3.
func TestTransformersOpensModels(t *testing.T) {
	ask := transformers(t)
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
	var answers []struct {
		IDs           [][]int32   `json:"ids"`
		Probabilities [][]float64 `json:"probabilities"`
		Labels        []string    `json:"labels"`
		Width         int         `json:"width"`
		Saved         string      `json:"saved"`
	}
	ask(transformersScript, map[string]any{"folders": folders, "texts": texts}, &answers)
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

// classifiersScript makes small random classifiers in a folder, and answers what transformers, and sentence-transformers where it is
// there, say of texts and pairs.
const classifiersScript = `
import json, os, sys
import torch, transformers as t
from tokenizers import ByteLevelBPETokenizer
asked, answers = json.load(sys.stdin), []
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + sorted({c for c in "abcdefghijklmnopqrstuvwxyz0123456789.,!?'%"} | {"##" + c for c in "abcdefghijklmnopqrstuvwxyz"} | {"the", "film", "is", "good", "bad", "dog"})
size = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, max_position_embeddings=40, initializer_range=0.4)
distil = dict(dim=16, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=40, initializer_range=0.4)
named = dict(id2label={0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}, label2id={"CONTRADICTION": 0, "NEUTRAL": 1, "ENTAILMENT": 2})

def tokenizer(folder, kind):
    os.makedirs(folder)
    if kind == "Roberta":
        made = ByteLevelBPETokenizer()
        made.train_from_iterator(asked["texts"] * 3, vocab_size=320, min_frequency=1, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
        made.save_model(folder)
    else:
        open(os.path.join(folder, "vocab.txt"), "w").write("\n".join(words) + "\n")
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({"tokenizer_class": kind + "Tokenizer", "model_max_length": 38} | ({} if kind == "Roberta" else {"do_lower_case": True}), f)
    return t.AutoTokenizer.from_pretrained(folder)

for name, kind, config in [
    ("bert", "Bert", dict(size, num_labels=3)), ("scorer", "Bert", dict(size, num_labels=1)), ("distilbert", "DistilBert", dict(distil, **named)),
    ("electra", "Electra", dict(size, num_labels=2, embedding_size=16)),
    ("roberta", "Roberta", dict(size, type_vocab_size=1, layer_norm_eps=1e-5, **named)), ("roberta-scorer", "Roberta", dict(size, type_vocab_size=1, num_labels=1)),
]:
    folder = os.path.join(asked["folder"], name)
    tok = tokenizer(folder, kind)
    torch.manual_seed(3)
    model = getattr(t, kind + "ForSequenceClassification")(getattr(t, kind + "Config")(vocab_size=len(tok), **config)).eval()
    for key, p in model.named_parameters():
        if key.endswith("bias"):
            torch.nn.init.normal_(p, 0, 0.3)
    model.save_pretrained(folder)
    tok.save_pretrained(folder)
    said = []
    pairs = [[a, b] for a in asked["texts"] for b in asked["texts"][:2]]
    for batch in asked["texts"], pairs:
        x = tok(batch, padding=True, truncation=True, max_length=38, return_tensors="pt")
        with torch.no_grad():
            said.append(model(**x).logits)
    answer = {"folder": folder, "pairs": pairs, "labels": [model.config.id2label[i] for i in range(model.config.num_labels)], "logits": [s.tolist() for s in said]}
    try:
        from sentence_transformers import CrossEncoder
        encoder = CrossEncoder(folder, device="cpu")
        answer["scores"] = encoder.predict(pairs).tolist() if model.config.num_labels == 1 else None
    except ImportError:
        pass
    answers.append(answer)
json.dump(answers, sys.stdout)
`

// TestTransformersClassifiers compares classifiers and cross-encoders as they come, and converted, with what transformers and
// sentence-transformers say. It needs Python like [TestTransformersOpensModels].
func TestTransformersClassifiers(t *testing.T) {
	ask := transformers(t)
	texts := []string{"the film is good", "A gripping, funny film!", "the dog isn't bad", "no", strings.Repeat("the film is bad, ", 12)}
	var answers []struct {
		Folder string         `json:"folder"`
		Pairs  [][2]string    `json:"pairs"`
		Labels []string       `json:"labels"`
		Logits [2][][]float64 `json:"logits"` // of texts, of pairs
		Scores []float64      `json:"scores"` // of a cross-encoder
	}
	ask(classifiersScript, map[string]any{"folder": t.TempDir(), "texts": texts}, &answers)
	for _, theirs := range answers {
		converted := filepath.Join(t.TempDir(), "converted")
		must(t, "convert", theirs.Folder, converted)
		for _, folder := range []string{theirs.Folder, converted} {
			compare := func(inputs []string, logits [][]float64, args ...string) (scores []float64) {
				t.Helper()
				r := call(t, strings.Join(inputs, "\n")+"\n", append([]string{"predict", "--json", "--model", folder}, append(args, "-")...)...)
				lines := strings.Split(strings.TrimSuffix(r.stdout, "\n"), "\n")
				if r.code != exitDone || len(lines) != len(inputs) {
					t.Fatalf("%s: %+v", folder, r)
				}
				for i, line := range lines {
					var said struct {
						Probabilities map[string]float64 `json:"probabilities"`
						Score         float64            `json:"score"`
					}
					decodeLine(t, line, &said)
					if scores = append(scores, said.Score); len(logits[i]) == 1 && math.Abs(said.Score-logits[i][0]) > 1e-5*max(1, math.Abs(logits[i][0])) {
						t.Errorf("%s: %s: transformers %v", folder, line, logits[i][0])
					}
					var sum float64
					for _, x := range logits[i] {
						sum += math.Exp(x)
					}
					for class, x := range logits[i] {
						if p := said.Probabilities[theirs.Labels[class]]; len(logits[i]) > 1 && math.Abs(p-math.Exp(x)/sum) > 1e-5 {
							t.Errorf("%s: %s: %s has probability %v in transformers", folder, line, theirs.Labels[class], math.Exp(x)/sum)
						}
					}
				}
				return scores
			}
			compare(texts, theirs.Logits[0])
			var pairs []string
			for _, pair := range theirs.Pairs {
				pairs = append(pairs, pair[0]+"\t"+pair[1])
			}
			for i, score := range compare(pairs, theirs.Logits[1], "--pair") {
				// A cross-encoder's own score is the logistic function of it, unless its configuration has another.
				if theirs.Scores != nil && math.Abs(1/(1+math.Exp(-score))-theirs.Scores[i]) > 1e-5 {
					t.Errorf("%s: %q: score %v, sentence-transformers %v", folder, pairs[i], score, theirs.Scores[i])
				}
			}
		}
	}
}
