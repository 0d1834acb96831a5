package run

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/internal/report"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// Generation is what makes a text-to-text task.
type Generation struct {
	Data     seq2seq.Task // what its examples are, and their limits
	Decoding decode.Options
	// Recipe of the reference, for base and large.
	BatchSize, Epochs int
	BaseRate          float64
	LargeRate         float64
	LargeBeam         int
	LargePenalty      float64

	// Scored names the metric of package textscore that compares texts with those the examples ask for.
	Scored string
	// right says whether a text is as good as the reference, for people who look.
	right func(g Generated) bool
}

// Generated is an example and what a model wrote for it.
type Generated struct {
	seq2seq.Example
	Text     string
	Score    float64 // log-probability, with the length penalty
	Finished bool    // the model ended the text itself
	// LowerCase says that the model writes lower case only.
	LowerCase bool
}

// GenerationSettings are those of generation.
type GenerationSettings struct {
	CommonSettings
	MaxSrcLen          int     `json:"max_src_len" help:"longest source text in tokens; longer ones are cut"`
	MaxTgtLen          int     `json:"max_tgt_len" help:"longest target in tokens; longer ones are cut"`
	ContinuousPosition bool    `json:"continuous_position" help:"positions run through all texts of an example instead of beginning anew in each"`
	LabelSmooth        float64 `json:"label_smooth" help:"share of the probability given to all tokens alike in the training loss"`
	BeamSize           int     `json:"beam_size" help:"hypotheses of the beam search (1: greedy)"`
	LengthPenalty      float64 `json:"length_penalty" help:"alpha: scores are divided by ((5+length)/6)^alpha"`
	MinOutLen          int     `json:"min_out_len" help:"least tokens of a generated text"`
	MaxOutLen          int     `json:"max_out_len" help:"most tokens of a generated text"`
	BlockTrigram       bool    `json:"block_trigram" help:"no three words twice in a generated text"`
	DecodeExamples     int     `json:"decode_examples" help:"dev examples that each evaluation decodes, evenly spread (0: all)"`
	DecodeMemory       int     `json:"decode_memory" help:"most memory of a decoding batch in MiB"`
}

func generationDefaults(g *Generation, size string, c CommonSettings) *GenerationSettings {
	c.BatchSize, c.Epochs, c.LearningRate, c.WeightDecay = g.BatchSize, g.Epochs, g.BaseRate, 0.01
	s := &GenerationSettings{
		CommonSettings: c, MaxSrcLen: g.Data.MaxSource, MaxTgtLen: g.Data.MaxTarget, LabelSmooth: 0.1,
		BeamSize: g.Decoding.BeamSize, LengthPenalty: g.Decoding.LengthPenalty, MinOutLen: g.Decoding.MinLength, MaxOutLen: g.Decoding.MaxLength,
		BlockTrigram: g.Decoding.BlockTrigrams, DecodeExamples: 500, DecodeMemory: 1024,
	}
	switch size {
	case "large":
		s.LearningRate, s.BeamSize, s.LengthPenalty = g.LargeRate, g.LargeBeam, g.LargePenalty
	case "mini":
		// From random weights, with little data, some minutes: see docs/results/2026-11-25-text-to-text.md.
		s.LearningRate, s.BatchSize, s.VocabSize, s.Epochs = 1e-3, 32, 8000, 5
	}
	return s
}

// Validate implements [Settings].
func (s *GenerationSettings) Validate() error {
	if err := s.validate(); err != nil {
		return err
	}
	return cmp.Or(
		settings.Want(s.MaxSrcLen >= 3, "max_src_len", s.MaxSrcLen, "3 or more"),
		settings.Want(s.MaxTgtLen >= 3, "max_tgt_len", s.MaxTgtLen, "3 or more"),
		settings.Want(s.LabelSmooth >= 0 && s.LabelSmooth < 1, "label_smooth", s.LabelSmooth, "0 or more and less than 1"),
		settings.Want(s.DecodeExamples >= 0, "decode_examples", s.DecodeExamples, "0 or more"),
		settings.Want(s.DecodeMemory >= 1, "decode_memory", s.DecodeMemory, "1 or more"),
	)
}

func (s *GenerationSettings) head(p *Preset, cfg model.Config) (model.Config, error) {
	if d := p.Generation.Data; d.Dialogue && cfg.RoleTypes == 0 {
		cfg.RoleTypes, cfg.TurnTypes = dialogueRoles, dialogueTurns
	} else if !d.Dialogue {
		cfg.RoleTypes, cfg.TurnTypes = 0, 0
	}
	for _, l := range []struct {
		key   string
		value int
	}{{"max_src_len", s.MaxSrcLen}, {"max_tgt_len", s.MaxTgtLen}} {
		if l.value > cfg.MaxTokens() {
			return cfg, fmt.Errorf("%s is %d, but the model has positions for %d tokens", l.key, l.value, cfg.MaxTokens())
		}
	}
	return cfg, s.decoding().Validate(cfg)
}

// The reference's dialogue has a role for each speaker and one for the passage, and
// turns 1 to 15 beside 0 for the passage and the answer.
const (
	dialogueRoles = 3
	dialogueTurns = 16
)

func (s *GenerationSettings) adopt(cfg model.Config) {
	s.MaxSrcLen, s.MaxTgtLen = min(s.MaxSrcLen, cfg.MaxTokens()), min(s.MaxTgtLen, cfg.MaxTokens())
}

func (s *GenerationSettings) decoding() decode.Options {
	return decode.Options{
		BeamSize: s.BeamSize, LengthPenalty: s.LengthPenalty, MinLength: s.MinOutLen, MaxLength: s.MaxOutLen, BlockTrigrams: s.BlockTrigram, Temperature: 1, TopP: 1, SampleSeed: 1,
		MaxMemory: int64(s.DecodeMemory) << 20,
	}
}

// generation is a run's work on a text-to-text task.
type generation struct {
	preset        *Preset
	settings      *GenerationSettings
	train, devSet []seq2seq.Example
}

func (g *generation) read(files []splitFile, o *Options) error {
	var err error
	if g.train, err = g.preset.readTexts(files[0].Path, true, o.Log); err != nil {
		return err
	}
	g.devSet, err = g.preset.readTexts(files[1].Path, true, o.Log)
	return err
}

func (g *generation) digests() (map[string]string, error) { return nil, nil }

// texts yields every text once where examples that follow each other share it, as
// the questions about a passage do.
func (g *generation) texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		knowledge := ""
		for _, x := range g.train {
			if x.Knowledge != knowledge && !yield(x.Knowledge) {
				return
			}
			knowledge = x.Knowledge
			sources := x.Sources
			if g.preset.Generation.Data.Dialogue && len(sources) > 0 {
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

func (g *generation) specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

func (g *generation) learner(_ context.Context, dev engine.Device, cfg model.Config, tok *tokenizer.Tokenizer, log *slog.Logger) (learner, error) {
	m, err := model.New[*model.Generator](dev, cfg, g.settings.Seed)
	if err != nil {
		return nil, err
	}
	limits := limits{
		MaxSrcLen: g.settings.MaxSrcLen, MaxTgtLen: g.settings.MaxTgtLen, ContinuousPosition: g.settings.ContinuousPosition, Options: g.settings.decoding(),
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
	raw, err := json.MarshalIndent(limits, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", modeldir.Generation, err)
	}
	l := &generationLearner{
		baseLearner: newBase(g.preset, &g.settings.CommonSettings, dev, cfg, m.Params, tok, lengths),
		settings:    g.settings, writer: w, train: g.train, labels: labels, devSet: g.devSet,
	}
	l.devLen, l.about = len(g.devSet), g.about(log)
	l.files = map[string][]byte{modeldir.Generation: append(raw, '\n')}
	l.line = func(i int) int { return g.train[i].Line }
	return l, nil
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

// generationLearner implements [learner]. Examples become tokens when their batch
// comes: a passage with a hundred questions is kept once, as text.
type generationLearner struct {
	baseLearner
	settings *GenerationSettings
	writer   *writer
	train    []seq2seq.Example
	labels   []int // target tokens of each training example
	devSet   []seq2seq.Example
}

var _ learner = (*generationLearner)(nil)

// Parts implements [train.Task]: a mean over the target tokens.
func (l *generationLearner) Parts(epoch, batch int) ([]train.Part, error) {
	labels := 0
	for _, i := range l.batches.At(epoch, batch) {
		labels += l.labels[i]
	}
	return []train.Part{{Weight: 1, Count: labels}}, nil
}

// Loss implements [train.Task].
func (l *generationLearner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	idx := l.batches.At(epoch, batch)
	examples := make([]seq2seq.Example, len(idx))
	for i, k := range idx {
		examples[i] = l.train[k]
	}
	text, labels, err := l.writer.pack(examples)
	if err != nil {
		return nil, 0, err
	}
	loss := l.writer.model.Loss(tape, text, labels, float32(l.settings.LabelSmooth))
	return []*autograd.Var{loss}, len(text.Tokens), nil
}

// Evaluate implements [train.Task].
func (l *generationLearner) Evaluate(ctx context.Context, _ int, tick func(done, total int)) (train.Evaluation, error) {
	decoded := l.devSet
	if n := l.settings.DecodeExamples; n > 0 {
		decoded = evenly(decoded, n)
	}
	_, m, err := l.writer.assess(ctx, l.preset, l.devSet, decoded, l.settings.EvalBatchSize, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	return train.Evaluation{Metric: l.preset.Metric, Score: m[l.preset.Metric], Metrics: m}, nil
}

// evenly returns n of list at even distances, all of a shorter one.
func evenly[T any](list []T, n int) []T {
	if n >= len(list) {
		return list
	}
	some := make([]T, n)
	for i := range some {
		some[i] = list[i*len(list)/n]
	}
	return some
}

func (l *generationLearner) score(ctx context.Context, f splitFile, tick func(done, total int)) (Result, error) {
	return l.writer.evaluateFile(ctx, l.preset, f, l.settings.EvalBatchSize, tick)
}

func (l *generationLearner) predict(ctx context.Context, f splitFile, dir string, tick func(done, total int)) error {
	examples, err := l.preset.readTexts(f.Path, false, slog.Default())
	if err != nil {
		return &testSetError{err}
	}
	written, _, err := l.writer.write(ctx, examples, l.writer.limits.Options, tick)
	if err != nil {
		return err
	}
	return writeTexts(dir, f.Split, written)
}

// writeTexts writes what a model wrote into the folder dir: SPLIT.txt with a text a
// line, as the reference does and scripts that score need it, and SPLIT.jsonl.
func writeTexts(dir, split string, written []Generated) error {
	if err := atomicfile.Mkdir(dir); err != nil {
		return fmt.Errorf("write predictions: %w", err)
	}
	err := atomicfile.Write(filepath.Join(dir, split+".txt"), func(w io.Writer) error {
		for _, g := range written {
			if _, err := fmt.Fprintln(w, g.Text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return writeLines(dir, split+".jsonl", len(written), func(i int) any {
		g := written[i]
		return struct {
			ID        string  `json:"id,omitempty"`
			Turn      int     `json:"turn_id,omitempty"`
			Generated string  `json:"generated"`
			Reference string  `json:"reference,omitempty"`
			Score     float64 `json:"score"`
		}{g.ID, g.Turn, g.Text, g.Target, g.Score}
	})
}

// shownSamples is how many generated texts the report shows, at even distances.
const shownSamples = 40

func (l *generationLearner) show(page *report.Run, first Result, _ train.History) {
	page.SamplesNote = samplesNote(first.Generated, l.preset.Generation.right)
	for _, g := range evenly(first.Generated, shownSamples) {
		page.Samples = append(page.Samples, report.Sample{
			Source: g.shortSource(), Reference: g.Target, Generated: g.Text, Right: l.preset.Generation.right(g),
		})
	}
}

// samplesNote says how the texts that a page shows were chosen, and how many of all are right.
func samplesNote(all []Generated, right func(Generated) bool) string {
	matching := 0
	for _, g := range all {
		if right(g) {
			matching++
		}
	}
	note := fmt.Sprintf("All %d texts", len(all))
	if len(all) > shownSamples {
		note = fmt.Sprintf("%d of %d texts, at even distances in the data", shownSamples, len(all))
	}
	return note + fmt.Sprintf("; %d of the %d match their reference.", matching, len(all))
}

// shortSource is as much of what was asked as people read beside an answer: of a
// dialogue the question, of other texts the beginning.
func (g Generated) shortSource() string {
	const runes = 300
	text := ""
	if n := len(g.Sources); n > 0 {
		text = g.Sources[n-1]
	}
	if r := []rune(text); len(r) > runes {
		return string(r[:runes]) + " …"
	}
	return text
}

// writer runs a generator over examples. It is not safe for concurrent use.
type writer struct {
	model   *model.Generator
	tok     *tokenizer.Tokenizer
	limits  limits
	encoder seq2seq.Encoder
	decoder *decode.Decoder
	tape    *autograd.Tape
	dev     engine.Device
	batch   seq2seq.Batch
}

// limits are a model's generation_config.json.
type limits struct {
	MaxSrcLen          int  `json:"max_src_len"`
	MaxTgtLen          int  `json:"max_tgt_len"`
	ContinuousPosition bool `json:"continuous_position"`
	decode.Options
}

func newWriter(dev engine.Device, m *model.Generator, tok *tokenizer.Tokenizer, l limits) *writer {
	return &writer{
		model: m, tok: tok, limits: l, dev: dev, tape: autograd.NewInference(dev), decoder: decode.New(dev, m, tok),
		encoder: seq2seq.Encoder{
			Tokenizer: tok, Dialogue: m.Config.ProblemType == model.Dialogue, ContinuousPositions: l.ContinuousPosition,
			MaxSource: l.MaxSrcLen, MaxTarget: l.MaxTgtLen, TurnTypes: m.Config.TurnTypes, MaxPositions: m.Config.MaxPositions,
		},
	}
}

// pack makes the batch of examples that is trained or scored on. It is valid until
// the next call.
func (w *writer) pack(examples []seq2seq.Example) (model.Text, []int32, error) {
	records, _, err := w.encoder.EncodeAll(examples, nil)
	if err != nil {
		return model.Text{}, nil, err
	}
	w.batch.Pack(records, batches.Sequence(len(records)))
	b := &w.batch
	return model.Text{
		Tokens: b.Tokens, Positions: b.Positions, Roles: b.Roles, Turns: b.Turns, Offsets: b.Offsets, Sources: b.Sources,
	}, b.Labels, nil
}

// assess returns the texts written for decoded, and the metrics: the mean loss of a
// token over examples (without label smoothing) and its exponential, the
// perplexity; and the task's own over decoded.
func (w *writer) assess(ctx context.Context, p *Preset, examples, decoded []seq2seq.Example, batch int, tick func(done, total int)) ([]Generated, train.Numbers, error) {
	total := len(examples) + len(decoded)
	loss, err := w.loss(ctx, examples, batch, func(done, _ int) { tick(done, total) })
	if err != nil {
		return nil, nil, err
	}
	written, _, err := w.write(ctx, decoded, w.limits.Options, func(done, _ int) { tick(len(examples)+done, total) })
	if err != nil {
		return nil, nil, err
	}
	m := p.Generation.scores(written)
	m["loss"], m["perplexity"], m["examples"] = train.Number(loss), train.Number(math.Exp(loss)), train.Number(len(written))
	return written, m, nil
}

// loss returns the mean loss of a target token.
func (w *writer) loss(ctx context.Context, examples []seq2seq.Example, batch int, tick func(done, total int)) (float64, error) {
	var sum float64
	tokens := 0
	for lo := 0; lo < len(examples); lo += batch {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		hi := min(lo+batch, len(examples))
		text, labels, err := w.pack(examples[lo:hi])
		if err != nil {
			return 0, err
		}
		if err := text.Check(w.model.Config); err != nil {
			return 0, fmt.Errorf("%s line %d: %w", examples[lo].File, examples[lo].Line, err)
		}
		v := w.model.Loss(w.tape, text, labels, 0)
		err = w.model.Params.CheckOutput(w.dev, "losses", v)
		sum += float64(engine.Values(w.dev, v.Value)[0]) * float64(len(labels))
		tokens += len(labels)
		w.tape.Release()
		if err != nil {
			return 0, err
		}
		tick(hi, len(examples))
	}
	return sum / float64(tokens), nil
}

// write generates a text for each example, and counts the sources that were cut.
func (w *writer) write(ctx context.Context, examples []seq2seq.Example, o decode.Options, tick func(done, total int)) ([]Generated, seq2seq.Truncated, error) {
	const part = 256
	var sources []decode.Source
	var cut seq2seq.Truncated
	for lo := 0; lo < len(examples); lo += part {
		if err := ctx.Err(); err != nil {
			return nil, cut, err
		}
		records, more, err := w.encoder.EncodeSources(examples[lo:min(lo+part, len(examples))], nil)
		if err != nil {
			return nil, cut, err
		}
		cut.Add(more)
		for _, r := range records {
			sources = append(sources, w.source(r))
		}
	}
	results, err := w.decoder.Run(ctx, sources, o, tick)
	if err != nil {
		return nil, cut, err
	}
	written := make([]Generated, len(examples))
	for i, r := range results {
		written[i] = w.generated(examples[i], r)
	}
	return written, cut, nil
}

// stream generates the text of one example and calls emit with each piece of it as soon
// as it is settled.
func (w *writer) stream(ctx context.Context, x seq2seq.Example, o decode.Options, emit func(piece string)) (Generated, seq2seq.Cut, error) {
	record, cut, err := w.encoder.EncodeSource(x)
	if err != nil {
		return Generated{}, cut, err
	}
	result, err := w.decoder.Stream(ctx, w.source(record), o, emit)
	if err != nil {
		return Generated{}, cut, err
	}
	return w.generated(x, result), cut, nil
}

func (w *writer) source(r seq2seq.Record) decode.Source {
	return decode.Source{Tokens: r.Tokens, Positions: r.Positions, Roles: r.Roles, Turns: r.Turns, TargetPosition: w.encoder.TargetPosition(r.Source)}
}

func (w *writer) generated(x seq2seq.Example, r decode.Result) Generated {
	best := r.Best()
	return Generated{Example: x, Text: decode.Text(w.tok, best.IDs), Score: best.Score, Finished: best.Finished, LowerCase: w.tok.LowerCase()}
}

// lengths returns the tokens of every example, those of its target, and how many examples
// were cut. Examples are encoded a part at a time: their tokens are not kept.
func (w *writer) lengths(examples []seq2seq.Example) (lengths, labels []int, all seq2seq.Truncated, err error) {
	const part = 1024
	for lo := 0; lo < len(examples); lo += part {
		records, cut, err := w.encoder.EncodeAll(examples[lo:min(lo+part, len(examples))], nil)
		if err != nil {
			return nil, nil, all, err
		}
		lengths = append(lengths, seq2seq.Lengths(records)...)
		for _, r := range records {
			labels = append(labels, len(r.Labels))
		}
		all.Add(cut)
	}
	return lengths, labels, all, nil
}

func (w *writer) evaluateFile(ctx context.Context, p *Preset, f splitFile, batch int, tick func(done, total int)) (Result, error) {
	examples, err := p.readTexts(f.Path, true, slog.Default())
	if err != nil {
		return Result{}, err
	}
	_, _, cut, err := w.lengths(examples)
	if err != nil {
		return Result{}, err
	}
	written, m, err := w.assess(ctx, p, examples, examples, batch, tick)
	if err != nil {
		return Result{}, err
	}
	return Result{Notes: cutSentences(cut, len(examples), "examples", w.limits, w.model.Config.TurnTypes), Split: f.Split, File: f.Path, Scores: Scores{Metrics: m}, Generated: written}, nil
}
