package vqa

import (
	"cmp"
	"context"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classes"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
)

// speaker is a model that answers questions: it chooses among answers, or writes them.
type speaker interface {
	// Share has it share its work with other processes until end is called.
	Share(g collective.Group) (end func())
	// aim says what the model should answer where people gave these answers, and whether that was cut.
	aim(r *pairs.Record, people []string) (cut bool)
	// answer answers the questions of a set.
	answer(ctx context.Context, source regions.Source, set *vqa.Set, list []pairs.Record, batch int, tick run.Tick) (*detail, error)
	// best are the top likeliest answers to each of some questions, the likeliest first.
	best(ctx context.Context, source regions.Source, list []pairs.Record, top int, tick run.Tick) ([][]run.Scored, error)
}

// chooser is a model that chooses one of some answers.
type chooser struct {
	runner  *pairs.Runner
	answers answers

	calibration *calibration.Calibration // nil: the model's own probabilities
}

// Share implements [speaker].
func (c *chooser) Share(g collective.Group) func() { return c.runner.Share(g) }

func (c *chooser) aim(r *pairs.Record, people []string) bool {
	r.Soft = c.answers.targets(people)
	return false
}

func (c *chooser) answer(ctx context.Context, source regions.Source, set *vqa.Set, list []pairs.Record, batch int, tick run.Tick) (*detail, error) {
	d := &detail{set: set, said: make([]said, len(list))}
	err := c.runner.Each(ctx, source, list, batch, tick, func(i int, logits []float32) {
		best := classes.Best(logits)
		d.say(i, c.scored(best, logits))
		d.loss += loss(logits, list[i].Soft) / float64(len(list))
	})
	if err != nil {
		return nil, err
	}
	return d, nil
}

// best are the likeliest answers; of equal ones the more frequent is first.
func (c *chooser) best(ctx context.Context, source regions.Source, list []pairs.Record, top int, tick run.Tick) ([][]run.Scored, error) {
	all := make([][]run.Scored, len(list))
	order := make([]int, len(c.answers.names))
	err := c.runner.Each(ctx, source, list, pairs.EvalBatch, tick, func(i int, logits []float32) {
		for k := range order {
			order[k] = k
		}
		slices.SortStableFunc(order, func(x, y int) int { return cmp.Compare(logits[y], logits[x]) })
		for _, k := range order[:min(top, len(order))] {
			all[i] = append(all[i], c.scored(k, logits))
		}
	})
	return all, err
}

func (c *chooser) scored(k int, logits []float32) run.Scored {
	return run.Scored{Answer: c.answers.names[k], Probability: c.calibration.Answer(logits[k]), Logit: float64(logits[k])}
}

// loss is the sum over the answers of the cross-entropy of each one's sigmoid, what the model is trained with.
func loss(logits []float32, targets []pairs.Soft) float64 {
	sum := 0.0
	for _, x := range logits {
		sum += math.Max(float64(x), 0) + math.Log1p(math.Exp(-math.Abs(float64(x))))
	}
	for _, t := range targets {
		sum -= float64(logits[t.Class]) * float64(t.Score)
	}
	return sum
}
