package modeldir

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/tokenizer"
)

// transformers is a small BERT as Hugging Face's library writes it.
var transformers = filepath.Join("..", "testdata", "huggingface", "bert")

func copyFiles(t *testing.T, from, to string, names ...string) {
	t.Helper()
	for _, name := range names {
		raw, err := os.ReadFile(filepath.Join(from, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), raw, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestOpenCheckpoint(t *testing.T) {
	// A model of our own, made of an imported one.
	foreign, err := OpenCheckpoint(transformers)
	if err != nil {
		t.Fatal(err)
	}
	defer foreign.Weights.Close()
	own, bare := t.TempDir(), t.TempDir()
	if err := checkpoint.Convert(t.Context(), foreign.Weights, filepath.Join(bare, WeightsFile), checkpoint.FormatSafetensors); err != nil {
		t.Fatal(err)
	}
	copyFiles(t, bare, own, WeightsFile)
	if err := SaveCompanions(own, foreign.Config, nil); err != nil {
		t.Fatal(err)
	}
	run := t.TempDir()
	if err := os.Rename(own, filepath.Join(run, "best")); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		name, path string
		config     bool
		imported   bool
		leftOut    int
	}{
		{"of transformers", transformers, true, true, 0},
		{"a run", run, true, false, 0},
		{"a model", filepath.Join(run, "best"), true, false, 0},
		{"a folder without configuration", bare, false, false, 0},
		{"a file", filepath.Join(bare, WeightsFile), false, false, 0},
	} {
		got, err := OpenCheckpoint(c.path)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		defer got.Weights.Close()
		if (got.Config != nil) != c.config || got.Imported != c.imported || len(got.LeftOut) != c.leftOut {
			t.Errorf("%s: configuration %v, imported %v, left out %v", c.name, got.Config, got.Imported, got.LeftOut)
		}
		if c.config && (got.Config.MaxPositions != 26 || got.Config.LayerNormEpsilon != 1e-12) {
			t.Errorf("%s: configuration %+v", c.name, got.Config)
		}
		if info, err := got.Weights.Info("encoder_layer_0_ffn_fc_0.w_0"); err != nil || info.Shape[1] != 48 {
			t.Errorf("%s: %v, %v", c.name, info, err)
		}
	}
}

// A classifier of another library is opened as it is; it reads no more than its folder says.
func TestOpenForeign(t *testing.T) {
	for name, c := range map[string]struct {
		model, settings string
		problem         string
		most            int
		err             string
	}{
		"a classifier":       {"bert-classifier", "", model.Classification, 24, ""},
		"of shorter texts":   {"bert-classifier", `{"model_max_length": 10}`, model.Classification, 10, ""},
		"without a limit":    {"bert-classifier", `{"model_max_length": 1000000000000000019884624838656}`, model.Classification, 24, ""},
		"of no text at all":  {"bert-classifier", `{"model_max_length": 1}`, model.Classification, 24, ""},
		"a score":            {"bert-scorer", "", model.Regression, 24, ""},
		"an encoder":         {"bert-encoder", `{"model_max_length": 10}`, "", 24, ""},
		"of no type":         {"bert-classifier", "untyped", model.Classification, 24, ""},
		"another of no type": {"distilbert-classifier", "untyped", model.Classification, 24, ""},
		"without vocabulary": {"bert-classifier", "no", "", 0, "no vocabulary"},
	} {
		dir := t.TempDir()
		copyFiles(t, filepath.Join(filepath.Dir(transformers), c.model), dir, WeightsFile, ConfigFile)
		if c.settings != "no" {
			words := []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
			for i := range 265 {
				words = append(words, fmt.Sprintf("w%d", i))
			}
			if err := os.WriteFile(filepath.Join(dir, "vocab.txt"), []byte(strings.Join(words, "\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if strings.HasPrefix(c.settings, "{") {
			if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(c.settings), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if c.settings == "untyped" { // the tensors tell it
			path := filepath.Join(dir, ConfigFile)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, bytes.Replace(raw, []byte(`"model_type"`), []byte(`"kind"`), 1), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		m, err := Open(dir)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Config.ProblemType != c.problem || m.Config.TextTokens() != c.most {
			t.Errorf("%s: %q, texts of %d tokens", name, m.Config.ProblemType, m.Config.TextTokens())
		}
		if cfg, err := ReadConfig(dir); err != nil || cfg.ProblemType != c.problem || cfg.NumLabels != m.Config.NumLabels {
			t.Errorf("%s: configuration %+v, %v", name, cfg, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenCheckpointErrors(t *testing.T) {
	lonely, bad := t.TempDir(), t.TempDir()
	copyFiles(t, transformers, lonely, WeightsFile)
	copyFiles(t, transformers, bad, WeightsFile)
	if err := os.WriteFile(filepath.Join(bad, ConfigFile), []byte(`{"model_type": "deberta"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, path := range map[string]string{
		"give the folder that has both":  lonely,
		"not complete":                   filepath.Join(transformers, WeightsFile),
		`model_type is "deberta"`:        bad,
		"does not exist; check the path": filepath.Join(bad, "none"),
	} {
		if _, err := OpenCheckpoint(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", path, err, want)
		}
	}
}

// The configuration of an imported model, written and read, is the same.
func TestImportedConfigIsOurs(t *testing.T) {
	c, err := OpenCheckpoint(transformers)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Weights.Close()
	raw, err := c.Config.JSON()
	if err != nil {
		t.Fatal(err)
	}
	again, err := model.ParseConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	if want, got := c.Config.String(), again.String(); got != want || again.LayerNormEpsilon != c.Config.LayerNormEpsilon {
		t.Errorf("%s became %s", want, got)
	}
}

// A model of one's own whose tables have more rows than the vocabulary is opened without them.
func TestOpenCutsSpareRows(t *testing.T) {
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"a dog"}), tokenizer.MinVocabSize, tokenizer.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n := tok.VocabSize()
	for rows, want := range map[int]string{n: "", n + 7: "", n - 1: "they belong to different models", 3 * n: "they belong to different models"} {
		dir := t.TempDir()
		cfg := model.Config{VocabSize: rows, HiddenSize: 4, Heads: 2, MaxPositions: 8, HiddenAct: "gelu"}
		table := checkpoint.FromFloat32("word_embedding", []int{rows, 4}, make([]float32, 4*rows))
		if err := Save(dir, Content{Config: cfg, Tokenizer: tok, Tensors: []checkpoint.Tensor{table}}); err != nil {
			t.Fatal(err)
		}
		m, err := Open(dir)
		if want != "" {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%d rows: %v, want %q", rows, err, want)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		info, err := m.Weights.Info("word_embedding")
		if err != nil || info.Shape[0] != n || m.Config.VocabSize != n {
			t.Errorf("%d rows: %v of %d, %v", rows, info.Shape, m.Config.VocabSize, err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A saved folder has what transformers need, and saving what was read from it changes nothing.
func TestSaveForTransformers(t *testing.T) {
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"a dog"}), tokenizer.MinVocabSize, tokenizer.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for problem, want := range map[string]string{
		model.Classification: `"architectures": ["UnimoForSequenceClassification"]`,
		"":                   `"architectures": ["UnimoModel"]`,
	} {
		dir, again := t.TempDir(), t.TempDir()
		cfg := model.Config{VocabSize: tok.VocabSize(), HiddenSize: 4, Heads: 2, MaxPositions: 8, HiddenAct: "gelu", ProblemType: problem}
		if problem != "" {
			cfg.NumLabels = 2
		}
		table := checkpoint.FromFloat32("word_embedding", []int{tok.VocabSize(), 4}, make([]float32, 4*tok.VocabSize()))
		content := Content{Config: cfg, Tokenizer: tok, Tensors: []checkpoint.Tensor{table}}
		if err := Save(dir, content); err != nil {
			t.Fatal(err)
		}
		m, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		content.Config, content.Tokenizer = m.Config, m.Tokenizer
		if err := Save(again, content); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]bool{}
		for _, entry := range entries {
			names[entry.Name()] = true
			if !IsCompanion(entry.Name()) && entry.Name() != WeightsFile {
				t.Errorf("%s is no companion of the weights", entry.Name())
			}
			a, err := os.ReadFile(filepath.Join(dir, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(again, entry.Name()))
			if err != nil || string(a) != string(b) {
				t.Errorf("%s differs when it is saved again: %v", entry.Name(), err)
			}
			if entry.Name() == ConfigFile && (!strings.Contains(string(a), want) || !strings.Contains(string(a), `"model_type": "unimo"`)) {
				t.Errorf("the configuration is %s", a)
			}
		}
		for _, name := range []string{"tokenizer.json", "configuration_unimo.py", "modeling_unimo.py"} {
			if !names[name] {
				t.Errorf("%s is missing", name)
			}
		}
	}
}

// A file that no list of files beside the weights has is not written: a conversion would lose it.
func TestSaveRefusesUnlistedFiles(t *testing.T) {
	for name, ok := range map[string]bool{GenerationFile: true, "image_processor.json": true, "cola." + GenerationFile: true, "answers.json": false, "cola.txt": false} {
		dir := t.TempDir()
		err := saveBeside(dir, Content{Config: model.Sizes["mini"], Files: map[string][]byte{name: []byte("{\"extractor\": \"patches\"}\n")}})
		if (err == nil) != ok || IsCompanion(name) != ok {
			t.Errorf("%s: %v, companion %v", name, err, IsCompanion(name))
		}
		copied := t.TempDir()
		if _, err := CopyKept(copied, dir, false); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(copied, name)); (err == nil) != ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
