package classify

import (
	"errors"
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
)

// What a broken classifier says of records is an error, not a class.
func TestBrokenClassifierIsAnError(t *testing.T) {
	dev := cpu.New()
	for problem, labels := range map[string]int{model.Classification: 2, model.Regression: 1} {
		cfg := model.Mini
		cfg.VocabSize, cfg.HiddenSize, cfg.Heads, cfg.Layers, cfg.ProblemType, cfg.NumLabels = 9, 8, 2, 1, problem, labels
		m, err := model.New[*model.Classifier](dev, cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		c := newRunner(dev, m, labelled.Encoder{}, labelled.Schema{})
		records := []labelled.Record{{Tokens: []int32{0, 5, 2}}, {Tokens: []int32{0, 6, 7, 2}}}
		ask := func() error {
			_, err := c.run(t.Context(), records, 1, func(int, int) {})
			return err
		}
		if err := ask(); err != nil {
			t.Fatal(err)
		}
		last := m.Params[len(m.Params)-1]
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(-1)), 1e38} {
			engine.Values(dev, last.Value)[0] = bad
			var broken *model.NonFiniteError
			if err := ask(); !errors.As(err, &broken) || broken.Tensor != last.Name {
				t.Errorf("%s, %v in %s: %v", problem, bad, last.Name, err)
			}
		}
	}
}

// Outputs that are sound may overflow by the scale of the scores.
func TestScoresThatOverflow(t *testing.T) {
	dev := cpu.New()
	cfg := model.Mini
	cfg.VocabSize, cfg.HiddenSize, cfg.Heads, cfg.Layers, cfg.ProblemType, cfg.NumLabels, cfg.ScoreScale = 9, 8, 2, 1, model.Regression, 1, 1e38
	m, err := model.New[*model.Classifier](dev, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	engine.Values(dev, m.Params[len(m.Params)-1].Value)[0] = 1e6
	c := newRunner(dev, m, labelled.Encoder{}, labelled.Schema{})
	var broken *model.NonFiniteError
	if _, err := c.run(t.Context(), []labelled.Record{{Tokens: []int32{0, 5, 2}}}, 1, func(int, int) {}); !errors.As(err, &broken) || broken.Output != "scores" {
		t.Errorf("got %v", err)
	}
}
