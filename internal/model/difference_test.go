package model

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
)

func TestDifferenceFrom(t *testing.T) {
	cfg := Mini
	specs, err := Architecture("text-encoder", cfg)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []checkpoint.Tensor
	for i, s := range specs[1:] { // the first is missing
		shape := slices.Clone(s.Shape)
		if i == 0 {
			shape = append(shape, 1)
		}
		tensors = append(tensors, checkpoint.FromFloat32(s.Name, shape, make([]float32, s.Elements())))
	}
	for _, name := range []string{"other", specs[2].Name + "_moment1_0", specs[2].Name + ".master", specs[2].Name + "_moment1_x"} {
		tensors = append(tensors, checkpoint.FromFloat32(name, []int{1}, []float32{0}))
	}
	r, err := checkpoint.FromTensors("weights", tensors)
	if err != nil {
		t.Fatal(err)
	}
	d, err := DifferenceFrom("text-encoder", cfg, r)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(d.Missing, []string{specs[0].Name}) || len(d.Mismatched) != 1 || d.Mismatched[0].Name != specs[1].Name {
		t.Errorf("missing %v, of another shape %v", d.Missing, d.Mismatched)
	}
	if want := []string{specs[2].Name + ".master", specs[2].Name + "_moment1_0"}; !slices.Equal(d.Optimizer, want) {
		t.Errorf("the optimiser's are %v, want %v", d.Optimizer, want)
	}
	if want := []string{specs[2].Name + "_moment1_x", "other"}; len(d.Unknown) != 2 || !slices.Contains(d.Unknown, want[0]) || !slices.Contains(d.Unknown, want[1]) {
		t.Errorf("unknown are %v, want %v", d.Unknown, want)
	}
	if _, err := DifferenceFrom("none", cfg, r); err == nil {
		t.Error("an unknown architecture is taken")
	}
}
