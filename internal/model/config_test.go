package model

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

func TestConfigKeepsUnknownFields(t *testing.T) {
	raw := []byte(`{"zeta": [1,  {"deep": null}], "vocab_size": 7, "hidden_size": 6, "num_hidden_layers": 2, "num_attention_heads": 2,
		"max_position_embeddings": 6, "Vocab_Size": 99, "fusion_method": "mul <&>", "id2label": {"1": "good", "0": "bad"},
		"num_labels": 2, "problem_type": "single_label_classification", "image_use_attr": false}`)
	c, err := ParseConfig(raw)
	if err != nil {
		t.Fatal(err)
	}
	if c.VocabSize != 7 || c.HiddenAct != "gelu" || c.InitRange != 0.02 || c.Label(1) != "good" || c.Label(2) != "2" {
		t.Errorf("parsed %+v", c)
	}
	if got, want := slices.Sorted(maps.Keys(c.Extra)), []string{"Vocab_Size", "fusion_method", "image_use_attr", "zeta"}; !slices.Equal(got, want) {
		t.Errorf("unknown fields %v, want %v", got, want)
	}
	out, err := c.JSON()
	if err != nil {
		t.Fatal(err)
	}
	var before, after map[string]any
	if err := json.Unmarshal(raw, &before); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &after); err != nil {
		t.Fatal(err)
	}
	for key, value := range before {
		if !reflect.DeepEqual(after[key], value) {
			t.Errorf("%s was %v and is %v", key, value, after[key])
		}
	}
	again, err := ParseConfig(out)
	if err != nil || !reflect.DeepEqual(normal(t, again), normal(t, c)) {
		t.Errorf("parsed again: %v, %+v, want %+v", err, again, c)
	}
	for _, line := range []string{"{\n  \"vocab_size\": 7,\n", ",\n  \"zeta\": [1,{\"deep\":null}]\n}\n"} {
		if !bytes.Contains(out, []byte(line)) {
			t.Errorf("%s\nhas no %q", out, line)
		}
	}
}

// normal removes what JSON may change without changing the configuration: spaces
// in unknown fields, and empty maps.
func normal(tb testing.TB, c Config) Config {
	tb.Helper()
	extra := map[string]json.RawMessage{}
	for key, value := range c.Extra {
		var b bytes.Buffer
		if err := json.Compact(&b, value); err != nil {
			tb.Fatal(err)
		}
		extra[key] = b.Bytes()
	}
	c.Extra = extra
	if len(c.ID2Label) == 0 {
		c.ID2Label = nil
	}
	return c
}

// Every field with a JSON name must count as known.
func TestConfigKnowsItsFields(t *testing.T) {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "-" {
			names = append(names, name)
		}
	}
	if got := (Config{}).fields(); !slices.Equal(got, names) {
		t.Errorf("fields() is %v, the struct has %v", got, names)
	}
}

func TestPresets(t *testing.T) {
	for name, c := range Sizes {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := Base.MaxTokens(); got != 512 {
		t.Errorf("base reads %d tokens, want 512", got)
	}
	cfg := tiny()
	if got, want := cfg.String(), "2 layers x 6 hidden, 2 heads, vocabulary 7, up to 4 tokens, 3 classes"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	cfg.ProblemType = Generation // whose configurations may have num_labels, too
	if got := cfg.String(); !strings.HasSuffix(got, "tokens, generation") {
		t.Errorf("a generator is %q", got)
	}
	cfg.ProblemType, cfg.ImageEmbeddingSize, cfg.ContrastSize = Retrieval, 4, 3
	if got := cfg.String(); !strings.HasSuffix(got, "tokens, retrieval with regions of 4 features, vectors of 3") {
		t.Errorf("a retriever is %q", got)
	}
	cfg.ProblemType, cfg.RegionClasses = Pretraining, 5
	if got := cfg.String(); !strings.HasSuffix(got, "tokens, pretraining with regions of 4 features, vectors of 3, 5 classes of regions") {
		t.Errorf("a model for pre-training is %q", got)
	}
}

func TestValidate(t *testing.T) {
	if err := tiny().Validate(); err != nil {
		t.Fatal(err)
	}
	nan := math.NaN()
	for _, c := range []struct {
		field string
		edit  func(*Config)
	}{
		{"vocab_size", func(c *Config) { c.VocabSize = 0 }},
		{"vocab_size", func(c *Config) { c.VocabSize = maxVocab + 1 }},
		{"hidden_size", func(c *Config) { c.HiddenSize = 0 }},
		{"hidden_size", func(c *Config) { c.HiddenSize = -6 }},
		{"hidden_size", func(c *Config) { c.HiddenSize = 2 * maxHidden }},
		{"hidden_size 6 is not divisible by num_attention_heads 4", func(c *Config) { c.Heads = 4 }},
		{"num_hidden_layers", func(c *Config) { c.Layers = -1 }},
		{"num_hidden_layers", func(c *Config) { c.Layers = maxLayers + 1 }},
		{"num_attention_heads", func(c *Config) { c.Heads = 0 }},
		{"max_position_embeddings", func(c *Config) { c.MaxPositions = 2 }},
		{"max_position_embeddings", func(c *Config) { c.MaxPositions = maxPositions + 1 }},
		{"num_labels", func(c *Config) { c.NumLabels = -1 }},
		{"num_labels", func(c *Config) { c.NumLabels = maxLabels + 1 }},
		{`id2label has no id "1"; number the 3 labels 0 to 2`, func(c *Config) { c.ID2Label = Labels{"0": "a", "2": "c"} }},
		{`id2label has the id "3"`, func(c *Config) { c.ID2Label = Labels{"0": "a", "1": "b", "2": "c", "3": "d"} }},
		{`id2label has the id "two"`, func(c *Config) { c.ID2Label = Labels{"0": "a", "1": "b", "two": "c"} }},
		{"image_embedding_size", func(c *Config) { c.ImageEmbeddingSize = -1 }},
		{"image_embedding_size is not set", func(c *Config) { c.ProblemType = Retrieval }},
		{"contrast_size", func(c *Config) { c.ContrastSize = -1 }},
		{"image_embedding_size is not set", func(c *Config) { c.ProblemType = Pretraining }},
		{"region_classes", func(c *Config) { c.RegionClasses = -1 }},
		{"role_type_size", func(c *Config) { c.RoleTypes = -1 }},
		{"turn_type_size", func(c *Config) { c.TurnTypes = maxPositions + 1 }},
		{"hidden_act", func(c *Config) { c.HiddenAct = "gelu_new" }},
		{`pooler_act is "sigmoid"; it can be "relu", as UNIMO has it, "tanh", as BERT and RoBERTa, or "gelu", as ELECTRA`, func(c *Config) { c.PoolerAct = "sigmoid" }},
		{`pooler_act is "tanh", but problem_type is "retrieval", whose models have "relu"`, func(c *Config) {
			c.PoolerAct, c.ProblemType, c.ImageEmbeddingSize = "tanh", Retrieval, 4
		}},
		{"pair_separators", func(c *Config) { c.PairSeparators = 3 }},
		{"type_vocab_size", func(c *Config) { c.SegmentTypes = -1 }},
		{"hidden_dropout_prob", func(c *Config) { c.HiddenDropout = 1 }},
		{"hidden_dropout_prob", func(c *Config) { c.HiddenDropout = float32(nan) }},
		{"attention_probs_dropout_prob", func(c *Config) { c.AttentionDropout = -0.1 }},
		{"initializer_range", func(c *Config) { c.InitRange = -1 }},
		{"initializer_range", func(c *Config) { c.InitRange = nan }},
		{"location_initializer_range", func(c *Config) { c.PlaceInitRange = nan }},
		{"layer_norm_eps", func(c *Config) { c.LayerNormEpsilon = -1e-12 }},
		{"layer_norm_eps", func(c *Config) { c.LayerNormEpsilon = nan }},
	} {
		cfg := tiny()
		c.edit(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), c.field) {
			t.Errorf("%+v: got %v, want an error about %s", cfg, err, c.field)
		}
		if _, err := New[*Classifier](cpu.New(), cfg, 1); err == nil {
			t.Errorf("%s: a model was made", c.field)
		}
	}
}

func TestParseConfigErrors(t *testing.T) {
	for raw, want := range map[string]string{
		``:                       "not a model configuration",
		`null`:                   "vocab_size is 0",
		`[]`:                     "not a model configuration",
		`{}`:                     "vocab_size is 0",
		`{"vocab_size": "many"}`: "vocab_size",
		`{"vocab_size": 1e3}`:    "vocab_size",
		`{"vocab_size": 7} {}`:   "not a model configuration",
		`{"vocab_size": 7`:       "not a model configuration",
		`{"id2label": {"0": "a", "1": "b", "0": "c"}}`: `id2label has the id "0" twice`,
		`{"id2label": ["a", "b"]}`:                     "not a model configuration",
	} {
		if _, err := ParseConfig([]byte(raw)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want an error with %q", raw, err, want)
		}
	}
}

func TestReadConfigErrorsNameTheFile(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "config.json")
	if err := os.WriteFile(bad, []byte(`{"vocab_size": 0}`), 0o644); err != nil {
		t.Fatal(err)
	}
	large := filepath.Join(dir, "large.json")
	if err := os.WriteFile(large, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, maxConfigSize+1); err != nil {
		t.Fatal(err)
	}
	marked := filepath.Join(dir, "marked.json") // the mark is dropped, so that the message is about what follows
	if err := os.WriteFile(marked, []byte("\ufeff"+`{"vocab_size": 0}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		bad: "vocab_size is 0", filepath.Join(dir, "none.json"): "read configuration", dir: "is a folder", large: "16 MiB", marked: "vocab_size is 0",
	} {
		if _, err := ReadConfig(path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("got %v, want an error with %q and the path", err, want)
		}
	}
}

// The encoded form must stay about as large as what was read.
func TestDeepUnknownFieldsStaySmall(t *testing.T) {
	const depth = 9000
	raw := `{"vocab_size":7,"hidden_size":6,"num_hidden_layers":2,"num_attention_heads":2,"max_position_embeddings":6,"x":` +
		strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`
	c, err := ParseConfig([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.JSON()
	if err != nil || len(out) > 2*len(raw) {
		t.Errorf("%d bytes became %d, error %v", len(raw), len(out), err)
	}
	c.Extra["x"] = json.RawMessage("[")
	if _, err := c.JSON(); err == nil || !strings.Contains(err.Error(), "field x") {
		t.Errorf("a broken unknown field: %v", err)
	}
}

func FuzzParseConfig(f *testing.F) {
	for _, c := range []Config{Mini, Base, tiny()} {
		raw, err := c.JSON()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	size := `"vocab_size":7,"hidden_size":6,"num_hidden_layers":2,"num_attention_heads":2,"max_position_embeddings":6`
	for _, raw := range []string{
		`{}`, `null`, `{"vocab_size":1,"Vocab_Size":2}`,
		`{` + size + `,"VOCAB_SIZE":3,"x":[ 1 ],"":{},"\ud800":"\u2028<"}`,
		`{` + size + `,"id2label":{},"id2label":{"0":null},"hidden_act":null,"hidden_dropout_prob":-0.0}`,
		`{` + size + `,"problem_type":"multi","tasks":[{"name":"a","problem_type":"regression","num_labels":1,"score_mean":2.50},{"name":"b-2","problem_type":"generation"}]}`,
		`{` + size + `,"\xff":1,"\xfe":"` + "\xff" + `"}`,
	} {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseConfig(raw)
		if err != nil {
			return
		}
		out, err := c.JSON()
		if err != nil {
			t.Fatalf("a configuration that was read cannot be written: %v", err)
		}
		again, err := ParseConfig(out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, out)
		}
		if !reflect.DeepEqual(normal(t, again), normal(t, c)) {
			t.Fatalf("%+v became %+v", c, again)
		}
		if twice, _ := again.JSON(); !bytes.Equal(twice, out) {
			t.Fatalf("%s became %s", out, twice)
		}
	})
}
