package write

import (
	"context"
	"log/slog"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
)

// Generator is a finished model that writes texts. It is not safe for concurrent use.
type Generator struct {
	*run.Opened
	Decoding decode.Options // as the model was fine-tuned for
	writer   *writer
	log      *slog.Logger
}

// Open opens the model in the folder dir (or the best model of a run's
// folder). Its weights are mapped, not read.
func Open(dir string, env run.Env) (*Generator, error) { return open(dir, env.Ready()) }

func open(dir string, env *run.Env) (*Generator, error) {
	g := &Generator{log: env.Log}
	var err error
	g.Opened, err = run.Open(dir, env, func(o *run.Opened) (model.Parameters, error) {
		l, err := readLimits(o)
		if err != nil {
			return nil, err
		}
		m, err := model.Open[*model.Generator](o.Device, o.Config, o.Folder.Weights)
		if err != nil {
			return nil, err
		}
		g.writer, g.Decoding = newWriter(o.Device, m, o.Folder.Tokenizer, l), l.Options
		return m.Params, g.writer.encoder.Check()
	}, model.Generation, model.Dialogue)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// readLimits reads the generation_config.json of a model. One without reads and writes as much as it has positions for.
func readLimits(o *run.Opened) (limits, error) {
	most := o.Config.MaxTokens()
	l := limits{MaxSrcLen: most, MaxTgtLen: min(128, most), Options: decode.Default}
	l.MaxLength = l.MaxTgtLen
	err := texts.ReadConfig(o, &l, &l.Options)
	l.MaxSrcLen, l.MaxTgtLen = min(l.MaxSrcLen, most), min(l.MaxTgtLen, most)
	return l, err
}

// Dialogue says whether the model answers in a conversation about a passage.
func (g *Generator) Dialogue() bool { return g.Config.ProblemType == model.Dialogue }

// Write generates a text for each example, which needs no target. The examples that
// were cut to the model's limits are counted.
func (g *Generator) Write(ctx context.Context, examples []seq2seq.Example, o decode.Options, tick run.Tick) ([]Generated, seq2seq.Truncated, error) {
	return g.writer.write(ctx, examples, o, tick)
}

// Source returns what a text for an example is written for, and what of it was cut. Many goroutines may call it.
func (g *Generator) Source(x seq2seq.Example) (decode.Source, seq2seq.Cut, error) {
	r, cut, err := g.writer.encoder.EncodeSource(x)
	if err != nil {
		return decode.Source{}, cut, err
	}
	return g.writer.source(r), cut, nil
}

// DecodeAll writes texts for sources; see [texts.Writer.DecodeAll].
func (g *Generator) DecodeAll(ctx context.Context, sources []decode.Source, o decode.Options, emit func(source int, piece string)) ([]run.Written, error) {
	return g.writer.DecodeAll(ctx, sources, o, emit)
}

// Rehearsals are batches for a server to warm up with.
func (g *Generator) Rehearsals(sources []decode.Source, o decode.Options, all bool) []decode.Rehearsal {
	return g.writer.Rehearsals(sources, o, all)
}

// Stream generates the text of one example and calls emit with each piece of it as
// soon as it is settled. The result has the whole text.
func (g *Generator) Stream(ctx context.Context, x seq2seq.Example, o decode.Options, emit func(piece string)) (Generated, seq2seq.Cut, error) {
	return g.writer.stream(ctx, x, o, emit)
}

// Serve implements [run.Servable].
func (g *Generator) Serve(t *run.Task) (run.Serving, error) {
	s := run.Serving{Model: g.Opened, Texts: []string{"text"}, Passage: g.Dialogue(), Decoding: g.Decoding, Write: g}
	if t.Kind.(*Kind).Data.Passages { // questions about a passage that have an answer
		s.Texts = []string{"answer", "passage"}
	}
	return s, nil
}

// EvalSettings implements [run.Tuned].
func (g *Generator) EvalSettings() run.Flags { return texts.NewDecoding(g.Decoding) }

// Evaluate implements [run.Finished].
func (g *Generator) Evaluate(ctx context.Context, t *run.Task, f run.File, s run.Flags, tick run.Tick) (run.Result, error) {
	o, err := s.(*texts.Decoding).Options(g.Config)
	if err != nil {
		return run.Result{}, err
	}
	return g.writer.evaluateFile(ctx, t, f, evalBatch, o, g.log, tick)
}

// evalBatch examples are scored at once: enough to fill the products.
const evalBatch = 32
