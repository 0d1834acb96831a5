package write

import (
	"context"
	"fmt"
	"hash/maphash"
	"iter"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// job implements [run.Job].
type job struct {
	task          *run.Task
	kind          *Kind
	settings      *Settings
	env           *run.Env
	train, devSet []seq2seq.Example
}

// Files implements [run.Job].
func (g *job) Files(data, dev string) ([]run.File, error) { return g.task.FindFiles(data, dev) }

// Read implements [run.Job].
func (g *job) Read(files []run.File) error {
	var err error
	if g.train, err = g.kind.read(files[0].Path, true, g.env.Log); err != nil {
		return err
	}
	g.devSet, err = g.kind.read(files[1].Path, true, g.env.Log)
	return err
}

// Digests implements [run.Job].
func (g *job) Digests() (map[string]string, error) { return nil, nil }

// Texts implements [run.Job]. It yields every text once where examples that follow each other share it, as
// the questions about a passage do.
func (g *job) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		knowledge := ""
		for _, x := range g.train {
			if x.Knowledge != knowledge && !yield(x.Knowledge) {
				return
			}
			knowledge = x.Knowledge
			sources := x.Sources
			if g.kind.Data.Dialogue && len(sources) > 0 {
				sources = sources[len(sources)-1:] // the turns before are those of other examples
			}
			for _, s := range append(slices.Clip(sources), x.Target) {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// Specs implements [run.Job].
func (g *job) Specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

// Learner implements [run.Job].
func (g *job) Learner(_ context.Context, cfg model.Config, tok *tokenizer.Tokenizer) (run.Learner, error) {
	dev, log := g.env.Device, g.env.Log
	m, err := run.NewModel[*model.Generator](g.env, cfg, g.settings.Seed)
	if err != nil {
		return nil, err
	}
	limits := limits{
		MaxSrcLen: g.settings.MaxSrcLen, MaxTgtLen: g.settings.MaxTgtLen, ContinuousPosition: g.settings.ContinuousPosition, Options: g.settings.Options(),
	}
	w := newWriter(dev, m, tok, limits)
	lengths, labels, cut, err := w.lengths(g.train)
	if err != nil {
		return nil, err
	}
	for _, sentence := range cutSentences(cut, len(g.train), "training examples", limits, cfg.TurnTypes) {
		log.Warn(sentence)
	}
	if _, _, _, err := w.lengths(g.devSet); err != nil {
		return nil, err
	}
	files, err := texts.ConfigFile(limits)
	if err != nil {
		return nil, err
	}
	epochs := run.NewEpochs(g.settings.Common(), lengths, g.settings.BatchSize, func(i int) int { return g.train[i].Line })
	return &learner{
		Epochs: epochs, job: g, writer: w, labels: labels, files: files,
		about: run.About{Lines: g.about(), Examples: len(lengths), Tokens: epochs.Tokens(g.settings.Common())},
	}, nil
}

// cutSentences says what of n examples was cut to the limits.
func cutSentences(cut seq2seq.Truncated, n int, what string, l limits, turnTypes int) []string {
	var out []string
	for _, c := range []struct {
		n    int
		text string
	}{
		{cut.Turns, fmt.Sprintf("more than %d turns; their oldest turns are left out", turnTypes-1)},
		{cut.Source, fmt.Sprintf("a source longer than %d tokens (max_src_len); its end is left out", l.MaxSrcLen)},
		{cut.Target, fmt.Sprintf("a target longer than %d tokens (max_tgt_len); its end is left out", l.MaxTgtLen)},
	} {
		if c.n > 0 {
			out = append(out, fmt.Sprintf("%d of %d %s have %s", c.n, n, what, c.text))
		}
	}
	return out
}

// learner implements [run.Learner]. Examples become tokens when their batch
// comes: a passage with a hundred questions is kept once, as text.
type learner struct {
	run.Epochs
	job    *job
	about  run.About
	files  map[string][]byte
	writer *writer
	labels []int // target tokens of each training example
}

var _ run.Submitter = (*learner)(nil)

// Model implements [run.Learner].
func (l *learner) Model() run.Model {
	return run.Model{Params: l.writer.Model.Params, Files: l.files}
}

// About implements [run.Learner].
func (l *learner) About() run.About { return l.about }

// Close implements [run.Learner].
func (l *learner) Close() error { return nil }

// Parts implements [run.Learner]: a mean over the target tokens.
func (l *learner) Parts(epoch, batch int) ([]train.Part, error) {
	labels := 0
	for _, i := range l.Plan.At(epoch, batch) {
		labels += l.labels[i]
	}
	return []train.Part{{Weight: 1, Count: labels}}, nil
}

// Loss implements [run.Learner].
func (l *learner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	idx := l.Plan.At(epoch, batch)
	examples := make([]seq2seq.Example, len(idx))
	for i, k := range idx {
		examples[i] = l.job.train[k]
	}
	in, labels, err := l.writer.pack(examples)
	if err != nil {
		return nil, 0, err
	}
	loss := l.writer.Model.Loss(tape, in, labels, float32(l.job.settings.LabelSmooth))
	return []*autograd.Var{loss}, in.Rows(), nil
}

// Evaluate implements [run.Learner].
func (l *learner) Evaluate(ctx context.Context, _ int, tick run.Tick) (train.Evaluation, error) {
	defer l.writer.Share(l.job.env.Group)()
	decoded := texts.Decoded(&l.job.settings.Settings, l.job.devSet)
	_, m, err := l.writer.assess(ctx, l.job.kind, l.job.devSet, decoded, l.writer.limits.Options, l.job.settings.EvalBatchSize, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	return train.Evaluation{Metric: l.job.task.Metric, Score: m[l.job.task.Metric], Lower: l.job.task.Lower, Metrics: m}, nil
}

// Score implements [run.Learner].
func (l *learner) Score(ctx context.Context, f run.File, tick run.Tick) (run.Result, error) {
	return l.writer.evaluateFile(ctx, l.job.task, f, l.job.settings.EvalBatchSize, l.writer.limits.Options, nil, tick)
}

// Submit implements [run.Submitter].
func (l *learner) Submit(ctx context.Context, f run.File, dir string, tick run.Tick) error {
	examples, err := l.job.kind.read(f.Path, false, l.job.env.Log)
	if err != nil {
		return &run.UnusableError{Err: err}
	}
	written, _, err := l.writer.write(ctx, examples, l.writer.limits.Options, tick)
	if err != nil {
		return err
	}
	return writeTexts(dir, f.Split, written)
}

// about describes the data of a run, and warns of what makes its score worth little.
func (g *job) about() []string {
	seed := maphash.MakeSeed()
	key := func(x seq2seq.Example) uint64 {
		return maphash.String(seed, x.Knowledge+"\x00"+strings.Join(x.Sources, "\x00"))
	}
	seen := make(map[uint64]bool, len(g.train))
	for _, x := range g.train {
		seen[key(x)] = true
	}
	shared := 0
	for _, x := range g.devSet {
		if seen[key(x)] {
			shared++
		}
	}
	run.WarnShared(g.env.Log, shared, len(g.devSet), "examples")
	first := g.train[0]
	source := ""
	if n := len(first.Sources); n > 0 {
		source = first.Sources[n-1]
	}
	return []string{
		fmt.Sprintf("%s training examples, %s dev", run.Grouped(len(g.train)), run.Grouped(len(g.devSet))),
		fmt.Sprintf("the first: %s gives %s", run.Excerpt(source), run.Excerpt(first.Target)),
	}
}
