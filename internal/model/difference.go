package model

import (
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
)

// Difference says how a checkpoint differs from an architecture. Its lists are in the order of the
// architecture or of the checkpoint, and never nil.
type Difference struct {
	Architecture string       `json:"architecture"`
	Missing      []string     `json:"missing"`
	Unknown      []string     `json:"unknown"`
	Mismatched   []OtherShape `json:"mismatched"`
	Optimizer    []string     `json:"optimizer"` // state of an optimiser, beside its parameters
}

// OtherShape is a tensor that does not have the shape of its parameter.
type OtherShape struct {
	Name string `json:"name"`
	Have []int  `json:"have"`
	Want []int  `json:"want"`
}

// DifferenceFrom compares r with the named architecture of cfg's size. The error is that of an unknown
// name.
func DifferenceFrom(name string, cfg Config, r checkpoint.Reader) (*Difference, error) {
	specs, err := Architecture(name, cfg)
	if err != nil {
		return nil, err
	}
	d := &Difference{Architecture: name, Missing: []string{}, Unknown: []string{}, Mismatched: []OtherShape{}, Optimizer: []string{}}
	known := make(map[string]bool, len(specs))
	for _, spec := range specs {
		known[spec.Name] = true
		info, err := r.Info(spec.Name)
		switch {
		case err != nil:
			d.Missing = append(d.Missing, spec.Name)
		case !slices.Equal(info.Shape, spec.Shape):
			d.Mismatched = append(d.Mismatched, OtherShape{spec.Name, info.Shape, spec.Shape})
		}
	}
	for _, info := range r.Tensors() {
		switch {
		case known[info.Name]:
		case isOptimizerState(info.Name):
			d.Optimizer = append(d.Optimizer, info.Name)
		default:
			d.Unknown = append(d.Unknown, info.Name)
		}
	}
	return d, nil
}

// isOptimizerState recognises what Paddle saves beside a parameter NAME:
// NAME_moment1_0, NAME_beta1_pow_acc_0, ..., and NAME.master of fp16 runs.
func isOptimizerState(name string) bool {
	if strings.HasSuffix(name, ".master") {
		return true
	}
	for _, part := range []string{"_moment1_", "_moment2_", "_beta1_pow_acc_", "_beta2_pow_acc_"} {
		if i := strings.LastIndex(name, part); i > 0 && strings.Trim(name[i+len(part):], "0123456789") == "" {
			return true
		}
	}
	return false
}
