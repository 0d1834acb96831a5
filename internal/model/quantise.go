package model

import (
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
)

// leastQuantised is how many rows and columns a weight has at least that is made of whole numbers: less brings nothing, and the outputs of
// a head's last product are few.
const leastQuantised = 8

// Quantisable returns the tensors of a model of configuration cfg that [checkpoint.Quantise] may make of whole numbers: the weights of
// products, with scales of their columns, and the table of words, with scales of its rows, which a language head multiplies with.
// Norms, biases and other tables are small, and stay as they are.
func Quantisable(cfg Config, r checkpoint.Reader) (map[string]bool, error) {
	specs, err := Architecture(ArchitectureOf(cfg), cfg)
	if err != nil {
		return nil, err
	}
	weights := map[string]bool{}
	for _, s := range specs {
		_, words := wordTables[s.Name]
		table := strings.HasSuffix(s.Name, "_embedding")
		if len(s.Shape) != 2 || min(s.Shape[0], s.Shape[1]) < leastQuantised || table && !words {
			continue
		}
		if _, err := r.Info(s.Name); err == nil {
			weights[s.Name] = table
		}
	}
	return weights, nil
}
