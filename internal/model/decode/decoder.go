package decode

import (
	"context"
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// Source is what a target is written for: one sequence of whatever the model reads.
//
//	decode.Source{Input: model.Input{Text: text}}
//	decode.Source{Input: model.Input{Images: image, Objects: names}}
//
// It is read once, for all hypotheses.
type Source struct {
	model.Input // with all special tokens, and without Sources

	// TargetPosition is the position of the target's first token, [CLS]; 0 means
	// [model.FirstPosition], where positions start again. With continuous positions it is that of the
	// source's last token and 1, as in training.
	TargetPosition int32

	// MaxLength is the most tokens of this target where that is fewer than the options say; 0: as many.
	MaxLength int
	// Seed is that of the random numbers when sampling, which are those of a source alone then; nil: the options', and the source's number.
	Seed *uint64
}

// Hypothesis is a target.
type Hypothesis struct {
	IDs      []int32   // without [CLS] and end
	Scores   []float64 // after each token, the end included
	Score    float64   // the last of Scores
	Finished bool      // by its end token, not by max_out_len
}

// Probability is that of the whole target, its end included, as the options o have made its score.
func (h Hypothesis) Probability(o Options) float64 {
	return math.Exp(h.Score * o.penalty(len(h.Scores)))
}

// Result is what was written for a source.
type Result struct {
	Hypotheses []Hypothesis // beam_size of them, the best first; one when sampling
}

// Best returns the hypothesis with the highest score.
func (r Result) Best() Hypothesis { return r.Hypotheses[0] }

// Decoder writes targets with a model. It is safe for concurrent use.
type Decoder struct {
	End   int32 // the token that ends a target; [New] sets it to [MASK]
	Usual int   // hypotheses that most targets are found with; a device that fills batches up has programs for these; 0: one

	dev        engine.Device
	model      *model.Generator
	vocabulary Vocabulary
	tapes      *autograd.Pool
}

// New returns a decoder. The vocabulary must be the model's.
func New(dev engine.Device, m *model.Generator, v Vocabulary) *Decoder {
	return &Decoder{End: v.MASK(), dev: dev, model: m, vocabulary: v, tapes: autograd.NewPool(dev)}
}

// Run returns the results of sources, in their order. tick, unless nil, is told how many are done,
// after each batch; while it runs nothing of the decoder is in use. Run ends early, with the context's error, when ctx is done.
func (d *Decoder) Run(ctx context.Context, sources []Source, o Options, tick func(done, total int)) ([]Result, error) {
	batches, err := d.plan(sources, &o)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(sources))
	done := 0
	for _, numbers := range batches {
		if err := d.sized(sources, numbers, &o, func() error { return d.decode(ctx, sources, numbers, &o, results, nil) }); err != nil {
			return nil, err
		}
		if done += len(numbers); tick != nil {
			tick(done, len(sources))
			if err := ctx.Err(); err != nil && done < len(sources) {
				return nil, err
			}
		}
	}
	return results, nil
}

// MemoryOption is the key of [Options.MaxMemory].
const MemoryOption = "max_memory"

// sized decodes a batch. Where a device has too little memory for it, max_memory makes smaller ones, down to those of one source.
func (d *Decoder) sized(sources []Source, numbers []int, o *Options, decode func() error) error {
	if len(numbers) == 1 {
		return decode()
	}
	lengths := make([]int, len(numbers))
	for i, number := range numbers {
		lengths[i] = sources[number].Rows()
	}
	return engine.Sized(MemoryOption, MemoryOf(d.model.Config, *o, lengths...), decode)
}

// Stream is Run for one source that tells its text as it comes: emit is called with each
// new piece as soon as it is final. When searching with several hypotheses that is
// what all of them start with. The pieces together are [Text] of the best hypothesis. While emit runs nothing of the decoder is
// in use.
func (d *Decoder) Stream(ctx context.Context, source Source, o Options, emit func(piece string)) (Result, error) {
	results, err := d.Streams(ctx, []Source{source}, o, func(_ int, piece string) { emit(piece) })
	if err != nil {
		return Result{}, err
	}
	return results[0], nil
}

// Streams is Stream for several sources, which are decoded together: emit is told whose the piece is. It returns Run's results.
func (d *Decoder) Streams(ctx context.Context, sources []Source, o Options, emit func(source int, piece string)) ([]Result, error) {
	batches, err := d.plan(sources, &o)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(sources))
	for _, numbers := range batches {
		if err := d.decode(ctx, sources, numbers, &o, results, emit); err != nil {
			return nil, err
		}
	}
	return results, nil
}

// plan checks everything that comes from outside and returns the batches.
func (d *Decoder) plan(sources []Source, o *Options) ([][]int, error) {
	cfg := d.model.Config
	if err := o.Validate(cfg); err != nil {
		return nil, err
	}
	if n := d.vocabulary.VocabSize(); n != cfg.VocabSize {
		return nil, fmt.Errorf("the vocabulary has %d entries, but the model has %d: they do not belong together", n, cfg.VocabSize)
	}
	for i, s := range sources {
		if err := s.check(cfg, o); err != nil {
			return nil, fmt.Errorf("source %d of %d: %w", i+1, len(sources), err)
		}
	}
	if engine.Fits(d.dev) {
		return cut(cfg, *o, sources, &rooms{cfg, d.Usual, *o})
	}
	return cut(cfg, *o, sources, nil)
}

func (s Source) check(cfg model.Config, o *Options) error {
	switch {
	case s.Rows() == 0:
		return fmt.Errorf("there is no token; give it a text to read")
	case s.Sequences() != 1 || len(s.Text.Sources) > 0:
		return fmt.Errorf("%d sequences, %d sources in them; give it one sequence, all of it read", s.Sequences(), len(s.Text.Sources))
	}
	if err := s.Check(cfg); err != nil {
		return err
	}
	if first, longest := s.first(), s.longest(o); first < 0 || int64(first)+int64(longest) > int64(cfg.MaxPositions) {
		return fmt.Errorf("a target of up to %d tokens (max_out_len) from position %d on does not fit the model's %d positions; shorten the source or lower max_out_len", longest, first, cfg.MaxPositions)
	}
	return nil
}

// longest is the most tokens of the target.
func (s Source) longest(o *Options) int {
	if s.MaxLength > 0 {
		return min(s.MaxLength, o.MaxLength)
	}
	return o.MaxLength
}

// first returns the position of the target's first token.
func (s Source) first() int32 {
	if s.TargetPosition == 0 {
		return model.FirstPosition
	}
	return s.TargetPosition
}
