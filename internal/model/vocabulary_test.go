package model

import (
	"errors"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/nn"
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

// A quantised checkpoint that lacks rows or tensors still shows whole numbers, and those are what its numbers are made of.
func TestPartsOfQuantisedWeights(t *testing.T) {
	shapes := map[string][]int{"word_embedding": {5, 2}, "mask_lm_out_fc.w_0": {2, 5}, "pooled_fc_text.w_0": {2, 2}}
	for _, perRow := range []bool{true, false} {
		var tensors []checkpoint.Tensor
		chosen := map[string]bool{}
		for name, shape := range shapes {
			values := make([]float32, shape[0]*shape[1])
			for i := range values {
				values[i] = float32(1 + i*i)
			}
			tensors, chosen[name] = append(tensors, checkpoint.FromFloat32(name, shape, values)), perRow
		}
		tensors = append(tensors, checkpoint.FromFloat32("pos_embedding", []int{5, 2}, make([]float32, 10)))
		stored, err := checkpoint.FromTensors("memory", tensors)
		if err != nil {
			t.Fatal(err)
		}
		small, err := checkpoint.Quantise(stored, chosen)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := checkpoint.Quantised(small)
		if err != nil {
			t.Fatal(err)
		}
		_, cut := CutVocabulary(Config{VocabSize: 5}, whole, 3)
		r := Without(cut, "pooled_fc_text.w_0")
		for name := range shapes {
			values, scales, ofRows, ok, err := nn.Int8(r, name)
			if name == "pooled_fc_text.w_0" {
				if err == nil {
					t.Errorf("%s is left out, and shown: %v", name, values)
				}
				continue
			}
			info, errInfo := r.Info(name)
			want, _, errWant := checkpoint.Float32s(r, name)
			if !ok || errors.Join(err, errInfo, errWant) != nil || ofRows != perRow || len(values) != len(want) {
				t.Fatalf("%s by row %v: %v, %v, by row %v, %v", name, perRow, ok, errors.Join(err, errInfo, errWant), ofRows, values)
			}
			if n := map[bool]int{true: info.Shape[0], false: info.Shape[1]}[perRow]; len(scales) != n {
				t.Errorf("%s by row %v: %d scales, want %d", name, perRow, len(scales), n)
			}
			for i, v := range values {
				at := map[bool]int{true: i / info.Shape[1], false: i % info.Shape[1]}[perRow]
				if got := float32(v) * scales[at]; got != want[i] {
					t.Errorf("%s by row %v: number %d is %v, want %v", name, perRow, i, got, want[i])
				}
			}
		}
		if _, _, _, ok, err := nn.Int8(r, "pos_embedding"); ok || err != nil {
			t.Errorf("a table of float32 is of whole numbers: %v, %v", ok, err)
		}
		if _, _, _, ok, err := nn.Int8(Without(stored), "word_embedding"); ok || err != nil {
			t.Errorf("a checkpoint of float32 is of whole numbers: %v, %v", ok, err)
		}
	}
}
