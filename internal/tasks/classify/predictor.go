package classify

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/classes"
	"github.com/unimo-go/unimo/tokenizer"
)

// runner runs a model over records. It is safe for concurrent use.
type runner struct {
	collective.Sharing
	dev     engine.Device
	model   *model.Classifier
	encoder labelled.Encoder
	schema  labelled.Schema // with the labels of the model
	order   []int           // the model's class of each of the labels; nil: they are in the model's order
	tapes   *autograd.Pool
}

func newRunner(d engine.Device, m *model.Classifier, enc labelled.Encoder, s labelled.Schema) runner {
	return runner{dev: d, model: m, encoder: enc, schema: s, tapes: autograd.NewPool(d)}
}

// outputRows are what a model says of records, in their order: a row of logits each, or the score.
type outputRows [][]float32

// run computes the outputs of records, batch of them at a time. tick is called
// after every batch; ctx ends the work early.
func (c *runner) run(ctx context.Context, records []labelled.Record, batch int, tick run.Tick) (outputRows, error) {
	return c.runPlan(ctx, records, batches.Plan(labelled.Lengths(records), batches.Sequence(len(records)), batch, false), tick)
}

// runPlan is run for batches of the records; outputs are in their order.
func (c *runner) runPlan(ctx context.Context, records []labelled.Record, plan [][]int, tick run.Tick) (outputRows, error) {
	out := make(outputRows, 0, len(records))
	tape := c.tapes.Take()
	defer c.tapes.Give(tape)
	var in model.Input
	err := collective.Spread(c.Group(), len(plan), func(i int) (outputRows, error) {
		return run.EvalBatch(len(plan[i]), func() (outputRows, error) { return c.batch(ctx, tape, &in, records, plan[i]) })
	}, func(_ int, rows outputRows) {
		out = append(out, rows...)
		tick(len(out), len(records))
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// batch computes the outputs of some records; in has room for them.
func (c *runner) batch(ctx context.Context, tape *autograd.Tape, in *model.Input, records []labelled.Record, idx []int) (outputRows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	pack(in, records, idx)
	if err := in.Check(c.model.Config); err != nil {
		return nil, err
	}
	logits := c.model.Logits(tape, *in)
	engine.Expect(tape.Device(), logits.Value)
	err := c.model.Params.CheckOutput(tape, "logits", logits)
	values := slices.Clone(engine.Values(c.dev, logits.Value))
	tape.Release()
	if err != nil {
		return nil, err
	}
	out := make(outputRows, 0, len(idx))
	for row := range slices.Chunk(values, c.model.Config.NumLabels) {
		if regression(c.model.Config) {
			row[0] = c.model.Config.Score(row[0])
			if row[0]-row[0] != 0 { // score_scale is too large for it
				return nil, &model.NonFiniteError{Output: "scores", Value: row[0]}
			}
		}
		out = append(out, c.ordered(row))
	}
	return out, nil
}

// ordered returns a row in the order of the labels.
func (c *runner) ordered(row []float32) []float32 {
	if c.order == nil {
		return row
	}
	out := make([]float32, len(row))
	for i, class := range c.order {
		out[i] = row[class]
	}
	return out
}

// score compares outputs with the records' labels.
func (c *runner) score(records []labelled.Record, out outputRows) classes.Score {
	return score(c.schema, c.model.Config, records, out)
}

// pack makes in a batch of the records of some numbers, in the memory it has.
func pack(in *model.Input, records []labelled.Record, numbers []int) {
	in.Reset()
	for _, i := range numbers {
		in.Text.AppendSegments(records[i].Tokens, records[i].First)
	}
}

// Predictor is a finished model that answers about texts.
type Predictor struct {
	*run.Opened
	runner runner
	log    *slog.Logger
}

// Open opens the model in the folder dir (or the best model of a run's
// folder). Its weights are mapped, not read.
func Open(dir string, env run.Env) (*Predictor, error) { return open(dir, env.Ready()) }

func open(dir string, env *run.Env) (*Predictor, error) {
	p := &Predictor{log: env.Log}
	var err error
	p.Opened, err = run.Open(dir, env, func(o *run.Opened) (model.Parameters, error) {
		m, err := model.Open[*model.Classifier](o.Device, o.Config, o.Folder.Weights)
		if err != nil {
			return nil, err
		}
		p.runner = newRunner(o.Device, m, labelled.Encoder{Tokenizer: o.Folder.Tokenizer, MaxLen: o.Config.TextTokens(), Separators: o.Config.PairSeparators}, labelled.Schema{})
		return m.Params, nil
	}, model.Classification, model.Regression)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Tokenizer returns the model's vocabulary.
func (p *Predictor) Tokenizer() *tokenizer.Tokenizer { return p.Folder.Tokenizer }

// Regression says whether the model gives scores, not classes.
func (p *Predictor) Regression() bool { return regression(p.Config) }

func regression(cfg model.Config) bool { return cfg.ProblemType == model.Regression }

// Labels returns the names of the classes, nil of a regression.
func (p *Predictor) Labels() []string {
	if p.Regression() {
		return nil
	}
	labels := make([]string, p.Config.NumLabels)
	for i := range labels {
		labels[i] = p.Config.Label(i)
	}
	return labels
}

// Fits implements [run.Finished].
func (p *Predictor) Fits(t *run.Task) error {
	k := t.Kind.(*Kind)
	if p.Config.ProblemType != k.Problem() || !k.Schema.Open && p.Config.NumLabels != outputs(k.Schema) {
		return fmt.Errorf("model %s is for %s with %d outputs, but %s needs %s with %d; give a model fine-tuned for it",
			p.Dir, p.Config.ProblemType, p.Config.NumLabels, t.Name, k.Problem(), outputs(k.Schema))
	}
	if k.Schema.Open || k.Schema.Regression {
		return nil // the labels are the model's
	}
	if _, bad := p.order(k.Schema.Labels); bad >= 0 {
		return fmt.Errorf("model %s calls class %d %q, but %s calls it %q; give a model fine-tuned for it", p.Dir, bad, p.Config.Label(bad), t.Name, k.Schema.Labels[bad])
	}
	return nil
}

// order returns the model's class of each label; nil if all have their own number. A class without a name of its own, as transformers has
// LABEL_0, is that of its number. bad is the first label of which the model has none, or -1.
func (p *Predictor) order(labels []string) (order []int, bad int) {
	taken, same := map[int]bool{}, true
	for i, label := range labels {
		class := i
		if got := p.Config.Label(i); got != fmt.Sprint(i) && got != fmt.Sprintf("LABEL_%d", i) {
			class = slices.IndexFunc(p.Labels(), func(name string) bool { return strings.EqualFold(name, label) })
		}
		if class < 0 || taken[class] {
			return nil, i
		}
		taken[class], same = true, same && class == i
		order = append(order, class)
	}
	if same {
		order = nil
	}
	return order, -1
}

// Serve implements [run.Servable].
func (p *Predictor) Serve(t *run.Task) (run.Serving, error) {
	s := run.Serving{Model: p.Opened, Labels: p.Labels(), Classify: p}
	if t.Kind.(*Kind).Schema.Pair {
		s.Texts = []string{"text", "pair"}
	}
	return s, nil
}

// Evaluate implements [run.Finished].
func (p *Predictor) Evaluate(ctx context.Context, t *run.Task, f run.File, s run.Flags, tick run.Tick) (run.Result, error) {
	k := t.Kind.(*Kind)
	p.runner.schema = schemaOf(k.Schema, p.Config)
	p.runner.order, _ = p.order(p.runner.schema.Labels)
	c, err := p.Calibration()
	if err != nil {
		return run.Result{}, err
	}
	r, err := k.evaluateFile(ctx, &p.runner, f, labelled.ReadOptions{Columns: s.(*EvalSettings).columns()}, predictBatch, tick, p.log)
	if err == nil {
		r.Detail.(*detail).calibration = c
	}
	return r, err
}

// Predict answers about texts, or pairs of them. While tick runs nothing of the predictor is in use.
func (p *Predictor) Predict(ctx context.Context, examples []labelled.Example, tick run.Tick) ([]run.Reply, error) {
	records, cut := make([]labelled.Record, len(examples)), make([]bool, len(examples))
	for i, x := range examples {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		records[i], cut[i] = p.Encode(x)
	}
	predictions, err := p.Answer(ctx, records, tick)
	for i := range predictions {
		predictions[i].Truncated = cut[i]
	}
	return predictions, err
}

// Encode returns an example as the model reads it, and whether it was cut. Many goroutines may call it.
func (p *Predictor) Encode(x labelled.Example) (r labelled.Record, cut bool) {
	return p.runner.encoder.Encode(x)
}

// Answer is [Predictor.Predict] for examples that were encoded.
func (p *Predictor) Answer(ctx context.Context, records []labelled.Record, tick run.Tick) ([]run.Reply, error) {
	c, err := p.Calibration()
	if err != nil {
		return nil, err
	}
	predictions := make([]run.Reply, len(records))
	lengths := labelled.Lengths(records)
	plan := batches.Together(lengths, predictRows)
	order := slices.Concat(plan...)
	out, err := p.runner.runPlan(ctx, records, plan, tick)
	if err != nil {
		return nil, err
	}
	for i, logits := range out {
		q := &predictions[order[i]]
		if p.Regression() {
			q.IsScore, q.Score = true, float64(logits[0])
			continue
		}
		q.Probabilities = c.Classes(logits)
		q.Class = classes.Best(logits)
		q.Label = p.Config.Label(q.Class)
		q.Probability = q.Probabilities[q.Class]
	}
	return predictions, nil
}

// predictBatch texts of a file are read at once, or texts of predictRows tokens: enough to fill the products.
const (
	predictBatch = 32
	predictRows  = 2048
)
