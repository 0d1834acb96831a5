package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// A single NaN in any parameter that takes part is seen at the model's output, and the parameter is named. An infinity or a
// value that is too large may be swallowed by a norm or a ReLU, but not in the last map; the weights alone tell all of them.
func TestBrokenWeightsAreNamed(t *testing.T) {
	d := cpu.New()
	tape := autograd.NewInference(d)
	check := func(params Parameters, output string, v *autograd.Var) error {
		defer tape.Release()
		return params.CheckOutput(tape, output, v)
	}
	classifier, generator, retriever := newModel(t, d, tiny(), 1), newGenerator(t, d, tinyGenerator(), 1), newRetriever(t, d, tinyRetriever(), 1)
	target, labels := tinyTarget()
	b := tinyPairs()
	models := map[string]struct {
		params Parameters
		unseen []string // parameters that have no part in what is computed
		output func() error
	}{
		"classifier": {classifier.Params, nil, func() error {
			return check(classifier.Params, "logits", classifier.Logits(tape, Input{Text: tinyText()}))
		}},
		"generator": {generator.Params, nil, func() error {
			return check(generator.Params, "logits", generator.Logits(tape, Input{Text: target}))
		}},
		"generator's loss": {generator.Params, nil, func() error {
			return check(generator.Params, "losses", generator.Loss(tape, Input{Text: target}, labels, 0))
		}},
		"match": {retriever.Params, []string{"contrast"}, func() error {
			im, tx := retriever.Side(tape, Input{Images: b.images}), retriever.Side(tape, Input{Text: b.texts})
			return check(retriever.Params, "match scores", retriever.Scores(tape, im, tx, b.pairs))
		}},
		"vectors": {retriever.Params, []string{"pooled", "match"}, func() error {
			im, tx := retriever.Side(tape, Input{Images: b.images}), retriever.Side(tape, Input{Text: b.texts})
			return errors.Join(retriever.Params.CheckOutput(tape, "vectors", retriever.ImageVectors(tape, im)), check(retriever.Params, "vectors", retriever.TextVectors(tape, tx)))
		}},
	}
	for name, m := range models {
		if err := errors.Join(m.output(), m.params.CheckWeights(d)); err != nil {
			t.Fatalf("%s, all weights sound: %v", name, err)
		}
		for _, p := range m.params {
			if slices.ContainsFunc(m.unseen, func(part string) bool { return strings.Contains(p.Name, part) }) {
				continue
			}
			for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e38} {
				values := read(d, p.Var)
				old := slices.Clone(values)
				values[place(p)] = bad
				d.Write(p.Value, values)
				weights, output := m.params.CheckWeights(d), m.output()
				d.Write(p.Value, old)
				for where, err := range map[string]error{"weights": weights, "output": output} {
					var broken *NonFiniteError
					last := strings.Contains(p.Name, "cls_out_3_b") || strings.Contains(p.Name, "match_fc.b")
					if !errors.As(err, &broken) {
						if where == "weights" || bad != bad || last {
							t.Errorf("%s, %s of %s: %v gives %v", name, where, p.Name, bad, err)
						}
					} else if broken.Tensor != p.Name || !(broken.Value == bad || bad != bad && broken.Value != broken.Value) {
						t.Errorf("%s, %s of %s: %v gives %v", name, where, p.Name, bad, err)
					}
				}
			}
		}
	}
}

// place is that of a value that the tests' batches use: a sequence's first position is not the table's.
func place(p Parameter) int {
	if p.Name == "pos_embedding" {
		return FirstPosition * p.Shape[1]
	}
	return 0
}

// Outputs can overflow though no weight does so by itself: then it is the output that is named.
func TestOverflowOfSoundWeights(t *testing.T) {
	d := cpu.New()
	m := newModel(t, d, tiny(), 1)
	tape := autograd.NewInference(d)
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 3e19} {
		err := m.Params.CheckOutput(tape, "logits", tape.Input(1, 3, []float32{1, bad, 2}))
		var broken *NonFiniteError
		if !errors.As(err, &broken) || broken.Tensor != "" || !strings.Contains(err.Error(), "logits hold "+fmt.Sprint(bad)) {
			t.Errorf("%v gives %v", bad, err)
		}
	}
	if err := m.Params.CheckOutput(tape, "logits", tape.Input(1, 3, []float32{-1e18, 1e18, 0})); err != nil {
		t.Error(err)
	}
}
