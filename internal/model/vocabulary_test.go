package model

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
)

// The rows that no token has are gone from each table that has a row or a column for each, and nothing else is.
func TestCutVocabulary(t *testing.T) {
	counted := func(name string, shape ...int) checkpoint.Tensor {
		values := make([]float32, checkpoint.Info{Shape: shape}.Elements())
		for i := range values {
			values[i] = float32(i)
		}
		return checkpoint.FromFloat32(name, shape, values)
	}
	r, err := checkpoint.FromTensors("memory", []checkpoint.Tensor{
		counted("word_embedding", 5, 2), counted("mask_lm_out_fc.b_0", 5), counted("mask_lm_out_fc.w_0", 2, 5), counted("pos_embedding", 5, 2),
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg, cut := CutVocabulary(Config{VocabSize: 5}, r, 3)
	if cfg.VocabSize != 3 {
		t.Errorf("vocabulary of %d", cfg.VocabSize)
	}
	for name, want := range map[string]struct {
		shape  []int
		values []float32
	}{
		"word_embedding":     {[]int{3, 2}, []float32{0, 1, 2, 3, 4, 5}},
		"mask_lm_out_fc.b_0": {[]int{3}, []float32{0, 1, 2}},
		"mask_lm_out_fc.w_0": {[]int{2, 3}, []float32{0, 1, 2, 5, 6, 7}},
		"pos_embedding":      {[]int{5, 2}, []float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
	} {
		info, err := cut.Info(name)
		if err != nil || !slices.Equal(info.Shape, want.shape) {
			t.Errorf("%s: shape %v, %v", name, info.Shape, err)
		}
		if got, _, err := checkpoint.Float32s(cut, name); err != nil || !slices.Equal(got, want.values) {
			t.Errorf("%s: %v, %v; want %v", name, got, err, want.values)
		}
		if i := slices.IndexFunc(cut.Tensors(), func(i checkpoint.Info) bool { return i.Name == name }); !slices.Equal(cut.Tensors()[i].Shape, want.shape) {
			t.Errorf("%s: listed as %v", name, cut.Tensors()[i].Shape)
		}
	}
	if _, err := cut.Bytes("none"); err == nil {
		t.Error("a tensor that is not there")
	}
}
