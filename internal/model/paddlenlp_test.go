package model

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// PaddleNLP's UNIMO gives the logits that its own class does: ReLU, types of tokens, targets behind sources. The files
// are testdata/paddlenlp.py's.
func TestPaddleNLP(t *testing.T) {
	dir := filepath.Join("testdata", "paddlenlp")
	theirs, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	for _, file := range []string{"config.json", "model_config.json"} {
		raw, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		cfg, r, leftOut, err := ImportHuggingFace(raw, theirs)
		if err != nil {
			t.Fatal(err)
		}
		if cfg.ProblemType != Generation || !cfg.NoSpecials || cfg.HiddenAct != "relu" || cfg.SegmentTypes != 4 || cfg.MaxPositions != 35 || cfg.LayerNormEpsilon != 1e-5 {
			t.Errorf("configuration %+v", cfg)
		}
		if len(leftOut) != 1 || leftOut[0].Name != "lm_head.decoder_weight" {
			t.Errorf("left out are %v", leftOut)
		}
		dev := cpu.New()
		m, err := Open[*Generator](dev, cfg, r)
		if err != nil {
			t.Fatal(err)
		}
		want := golden.Case{Name: "paddlenlp", Dir: dir}.Tensors(t, "expected.safetensors")
		for _, i := range []string{"0", "1", "2"} {
			var in Input
			tokens, n := want.Ints("tokens"+i), int(want.Ints("source" + i)[0])
			all := make([]int32, len(tokens))
			for i, id := range tokens {
				all[i] = int32(id)
			}
			in.Text.AppendTarget(all[:n], all[n:])
			if err := in.Check(cfg); err != nil {
				t.Fatal(err)
			}
			tape := autograd.NewInference(dev)
			golden.Near(t, "logits", read(dev, m.Logits(tape, in)), want.Floats("logits"+i), importTolerance)
		}
	}
	// One without its language head is an encoder.
	bare := renamed(t, theirs, func(name string) string {
		if name == "lm_head.decoder_bias" {
			return ""
		}
		return name
	})
	raw, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if cfg, _, _, err := ImportHuggingFace(raw, bare); err != nil || cfg.ProblemType != "" || cfg.NoSpecials {
		t.Errorf("without a head: %+v, %v", cfg, err)
	}
}

// A UNIMO of PaddleNLP's as its file was released, without a configuration, has the sizes of its tensors. Where they do
// not tell the heads, and for another model, the configuration is asked for.
func TestPaddleNLPWithoutConfig(t *testing.T) {
	shapes := map[string][]int{
		"unimo.embeddings.word_embeddings.weight": {20, 64}, "unimo.embeddings.position_embeddings.weight": {9, 64},
		"unimo.embeddings.token_type_embeddings.weight": {4, 64}, "unimo.encoder_norm.weight": {64}, "unimo.encoder_norm.bias": {64},
	}
	for _, m := range paddleLayer {
		weight := []int{64, 64}
		switch {
		case !m.linear:
			weight = []int{64}
		case m.theirs == "linear1":
			weight = []int{64, 256}
		case m.theirs == "linear2":
			weight = []int{256, 64}
		}
		for _, layer := range []string{"0", "1"} {
			name := "unimo.encoder.layers." + layer + "." + m.theirs
			shapes[name+".weight"], shapes[name+".bias"] = weight, weight[len(weight)-1:]
		}
	}
	var tensors []checkpoint.Tensor
	for name, shape := range shapes {
		n := checkpoint.Info{Shape: shape}.Elements()
		tensors = append(tensors, checkpoint.FromFloat32(name, shape, make([]float32, n)))
	}
	r, err := checkpoint.FromTensors("unimo-text-1.0.pdparams", tensors)
	if err != nil {
		t.Fatal(err)
	}
	cfg, _, _, err := ImportHuggingFace(nil, r)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Layers != 2 || cfg.Heads != 1 || cfg.HiddenSize != 64 || cfg.VocabSize != 20 || cfg.MaxPositions != 11 || cfg.SegmentTypes != 4 || cfg.HiddenAct != "relu" || cfg.ProblemType != "" {
		t.Errorf("configuration %+v", cfg)
	}
	tiny, err := checkpoint.Open(filepath.Join("testdata", "paddlenlp"))
	if err != nil {
		t.Fatal(err)
	}
	defer tiny.Close()
	_, _, bert := transformersCase(t, "bert")
	for _, r := range []checkpoint.Reader{tiny, bert} {
		if _, _, _, err := ImportHuggingFace(nil, r); err == nil || !strings.Contains(err.Error(), "not complete without its config.json") {
			t.Errorf("%s: error %v", r.Path(), err)
		}
	}
}

// The second text of a pair is of type 1, and so is a target; a sequence alone, an image's and what is before them not.
func TestSegments(t *testing.T) {
	var text Text
	text.Append([]int32{1, 2})
	text.AppendSegments([]int32{3, 4, 5}, 1)
	text.Append([]int32{6})
	if got, want := text.second(), []int32{3, 4}; !slices.Equal(got, want) {
		t.Errorf("type 1 have %v, want %v", got, want)
	}
	var targets Text
	targets.AppendTarget([]int32{1, 2}, []int32{3})
	targets.AppendTarget(nil, []int32{4})
	if got, want := targets.second(), []int32{2, 3}; !slices.Equal(got, want) {
		t.Errorf("type 1 have %v, want %v", got, want)
	}
	joined := Text{}
	joined.AppendAll(targets)
	joined.Sources = append(joined.Sources, 0, 0, 0)
	joined.AppendAll(text)
	if got, want := joined.second(), []int32{2, 3, 7, 8}; !slices.Equal(got, want) {
		t.Errorf("type 1 have %v, want %v", got, want)
	}
	cfg := Config{VocabSize: 9, MaxPositions: 9, SegmentTypes: 2}
	for _, segments := range [][]int32{{2, 4, 1}, {-1}, {1, 1, 1, 1}} {
		bad := text
		bad.Segments = segments
		if err := bad.Check(cfg); err == nil {
			t.Errorf("segments %v pass", segments)
		}
	}
}
