package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// Generator is a finished model that writes texts. It is not safe for concurrent use.
type Generator struct {
	Config   model.Config
	Dir      string
	Decoding decode.Options // as the model was fine-tuned for
	writer   *writer
	folder   *modeldir.Model
}

// OpenGenerator opens the model in the folder dir (or the best model of a run's
// folder). Its weights are mapped, not read.
func OpenGenerator(dir string) (*Generator, error) {
	folder, err := modeldir.Open(dir)
	if err != nil {
		return nil, err
	}
	g, err := newGenerator(folder)
	if err != nil {
		folder.Close()
		return nil, fmt.Errorf("model %s: %w", folder.Dir, err)
	}
	return g, nil
}

func newGenerator(folder *modeldir.Model) (*Generator, error) {
	l, err := readLimits(filepath.Join(folder.Dir, modeldir.Generation), folder.Config)
	if err != nil {
		return nil, err
	}
	dev := cpu.New()
	m, err := model.Open[*model.Generator](dev, folder.Config, folder.Weights)
	if err != nil {
		return nil, err
	}
	if err := checkOpened(dev, m.Params); err != nil {
		return nil, err
	}
	w := newWriter(dev, m, folder.Tokenizer, l)
	if err := w.encoder.Check(); err != nil {
		return nil, err
	}
	return &Generator{Config: folder.Config, Dir: folder.Dir, Decoding: l.Options, writer: w, folder: folder}, nil
}

// maxLimits bounds generation_config.json; real ones have less than a kilobyte.
const maxLimits = 1 << 16

// readLimits reads generation_config.json. A model without one, such as a converted
// checkpoint, reads and writes as much as it has positions for.
func readLimits(path string, cfg model.Config) (limits, error) {
	l := limits{MaxSrcLen: cfg.MaxTokens(), MaxTgtLen: min(128, cfg.MaxTokens()), Options: decode.Default}
	if err := infile.ReadJSON(path, maxLimits, &l); errors.Is(err, fs.ErrNotExist) {
		return l, nil
	} else if err != nil {
		return l, err
	}
	l.MaxSrcLen, l.MaxTgtLen = min(l.MaxSrcLen, cfg.MaxTokens()), min(l.MaxTgtLen, cfg.MaxTokens())
	if err := l.Options.Validate(cfg); err != nil {
		return l, fmt.Errorf("%s: %w", modeldir.Generation, err)
	}
	return l, nil
}

// Close releases the model.
func (g *Generator) Close() error { return g.folder.Close() }

// Dialogue says whether the model answers in a conversation about a passage.
func (g *Generator) Dialogue() bool { return g.Config.ProblemType == model.Dialogue }

// Write generates a text for each example, which needs no target. The examples that
// were cut to the model's limits are counted.
func (g *Generator) Write(ctx context.Context, examples []seq2seq.Example, o decode.Options, tick func(done, total int)) ([]Generated, seq2seq.Truncated, error) {
	return g.writer.write(ctx, examples, o, tick)
}

// Stream generates the text of one example and calls emit with each piece of it as
// soon as it is settled. The result has the whole text.
func (g *Generator) Stream(ctx context.Context, x seq2seq.Example, o decode.Options, emit func(piece string)) (Generated, seq2seq.Cut, error) {
	return g.writer.stream(ctx, x, o, emit)
}

// fits returns an error if the model was made for another kind of task.
func (g *Generator) fits(p *Preset) error {
	if g.Config.ProblemType != p.Problem() {
		return fmt.Errorf("model %s is for %s, but %s needs one for %s: give a model fine-tuned for it", g.Dir, g.Config.ProblemType, p.Name, p.Problem())
	}
	return nil
}
