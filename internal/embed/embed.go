package embed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
)

// Options say how vectors are made where the folder does not, or otherwise than it says.
type Options struct {
	Pooling   string // one of [Poolings]; "": the folder's, or [Mean]
	Normalize *bool  // vectors of length 1; nil: as the folder says, or as they are
	Prompt    string // name of a prompt of the folder that is put before every text; "": its default
}

// Info says what an open embedder's vectors are.
type Info struct {
	Model      string   `json:"model"`             // its folder; of pictures alone, the network that sees them
	Size       int      `json:"size"`              // of a vector
	Pooling    []string `json:"pooling,omitempty"` // none of a model for retrieval, which has vectors of its own
	Normalized bool     `json:"normalized"`
	Prompt     string   `json:"prompt,omitempty"`     // that is put before every text
	MaxTokens  int      `json:"max_tokens,omitempty"` // that are read of a text; 0: no text is
}

// Vector is that of a text or a picture.
type Vector struct {
	Values    []float32
	Truncated bool // the text was longer than what the model reads
}

// Embedder makes vectors. It is not safe for concurrent use.
type Embedder struct {
	Info
	dev       engine.Device
	tokens    labelled.Encoder
	encoder   *model.Encoder
	tape      *autograd.Tape
	pooling   pooling
	skip      int // the prompt's tokens, where they are not pooled
	stages    []stage
	retriever *retrieve.Retriever // has vectors of its own; then the encoder is nil
	reader    *images.Reader      // of pictures; nil: none are read
	close     func() error
}

// Open opens the model in the folder dir: one of this program, of Hugging Face's transformers, or of sentence-transformers. A run's folder
// stands for its best model. Without a folder it is the trained network that [run.Env.Extractor] names: of a picture its pooled output.
func Open(dir string, o Options, env run.Env) (*Embedder, error) {
	if dir == "" {
		return openNetwork(o, env.Ready())
	}
	e, err := open(modeldir.Resolve(dir), o, env.Ready())
	if err != nil {
		return nil, fmt.Errorf("embed with %s: %w", dir, err)
	}
	return e, nil
}

func open(dir string, o Options, env *run.Env) (*Embedder, error) {
	if o.Pooling != "" {
		found, err := names.Find(poolingKind, o.Pooling, Poolings)
		if err != nil {
			return nil, &run.SettingError{Err: err}
		}
		o.Pooling = found
	}
	if err := infile.Folder(dir); err != nil {
		return nil, err
	}
	r, err := readRecipe(env.Device, dir)
	if err != nil {
		return nil, err
	}
	if err := infile.Folder(r.encoder); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(r.encoder, modeldir.ConfigFile)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no %s there (%w); give the folder of a model, or of a run", modeldir.ConfigFile, fs.ErrNotExist)
	}
	c, err := modeldir.OpenCheckpoint(r.encoder)
	if err != nil {
		return nil, err
	}
	e, err := fromCheckpoint(dir, r, c, o, env)
	if err != nil || e.retriever != nil {
		err = errors.Join(err, c.Weights.Close())
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// openNetwork opens what sees pictures alone.
func openNetwork(o Options, env *run.Env) (*Embedder, error) {
	if o.Pooling != "" || o.Prompt != "" || env.Task != "" {
		return nil, &run.SettingError{Err: errors.New("pooling, prompt and task are for texts, and an extractor alone sees pictures; leave them out, or name a model")}
	}
	r, err := images.ExtractorReader(env)
	if err != nil {
		return nil, err
	}
	x, err := r.Extractor()
	if err != nil {
		return nil, err
	}
	e := &Embedder{Info: Info{Model: env.Extractor, Size: x.Dim(), Normalized: o.Normalize != nil && *o.Normalize}, dev: env.Device, reader: &r, close: func() error { return nil }}
	if e.Normalized {
		e.stages = []stage{normalize{}}
	}
	e.tape = autograd.NewInference(env.Device)
	return e, nil
}

// fromCheckpoint makes an embedder of an open checkpoint, or of the model for retrieval that it holds.
func fromCheckpoint(dir string, r *recipe, c *modeldir.Checkpoint, o Options, env *run.Env) (*Embedder, error) {
	if !c.Imported && o.Pooling == "" {
		e, err := openRetriever(dir, o, env)
		if !errors.Is(err, model.ErrWrongTask) {
			return e, err
		}
	}
	if env.Task != "" {
		return nil, &run.SettingError{Err: errors.New("a task is named, but the encoder is that of all tasks; leave it out")}
	}
	return openEncoder(r, c, o, env)
}

// openRetriever opens a model that has vectors of its own.
func openRetriever(dir string, o Options, env *run.Env) (*Embedder, error) {
	m, err := retrieve.Open(dir, *env)
	if err != nil {
		return nil, err
	}
	switch {
	case o.Prompt != "":
		err = unknownPrompt(o.Prompt, nil)
	case o.Normalize != nil && !*o.Normalize:
		err = &run.SettingError{Err: errors.New("the vectors of a model for retrieval have length 1; leave that as it is")}
	case m.Config.ContrastSize == 0:
		err = fmt.Errorf("the model has no vectors of texts and pictures (contrast_size is 0); take its encoder's with a pooling, such as %s", Mean)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &Embedder{
		Info: Info{Model: dir, Size: m.Config.ContrastSize, Normalized: true, MaxTokens: m.Config.TextTokens()},
		dev:  env.Device, retriever: m, reader: &m.Reader, close: m.Close,
	}, nil
}

// openEncoder opens the encoder of a model, whose rows are pooled.
func openEncoder(r *recipe, c *modeldir.Checkpoint, o Options, env *run.Env) (*Embedder, error) {
	tok, err := c.Vocabulary(r.encoder)
	if err != nil {
		return nil, err
	}
	if r.lowerCase {
		tok = tok.WithLowerCase(true)
	}
	cfg, weights, err := modeldir.FitVocabulary(tok, *c.Config, c.Weights)
	if err != nil {
		return nil, err
	}
	e := &Embedder{dev: env.Device, tape: autograd.NewInference(env.Device), stages: r.stages, pooling: r.pooling, close: c.Weights.Close}
	e.Info = Info{Model: r.encoder, MaxTokens: min(cfg.MaxTokens(), cmp.Or(r.maxTokens, cfg.TextTokens()))}
	if e.MaxTokens < batches.MinSeqLen {
		return nil, fmt.Errorf("texts of %d tokens at most are read (max_seq_length), want %d or more", e.MaxTokens, batches.MinSeqLen)
	}
	e.tokens = labelled.Encoder{Tokenizer: tok, MaxLen: e.MaxTokens}
	if e.encoder, err = model.OpenEncoder(env.Device, cfg, weights); err != nil {
		return nil, err
	}
	if o.Pooling != "" {
		e.pooling = pooling{o.Pooling}
	} else if e.pooling == nil {
		e.pooling = pooling{defaultPool}
	}
	if slices.Contains(e.pooling, Pooled) {
		pooler, err := openPooler(env.Device, r.encoder)
		if err != nil {
			return nil, err
		}
		e.stages = slices.Insert(slices.Clone(e.stages), 0, stage(pooler))
	}
	isNormal := func(s stage) bool { _, ok := s.(normalize); return ok }
	if o.Normalize != nil {
		if e.stages = slices.DeleteFunc(slices.Clone(e.stages), isNormal); *o.Normalize {
			e.stages = append(e.stages, normalize{})
		}
	}
	e.Pooling, e.Normalized = e.pooling, len(e.stages) > 0 && isNormal(e.stages[len(e.stages)-1])
	e.Size = len(e.pooling) * cfg.HiddenSize
	for _, s := range e.stages {
		if e.Size, err = s.size(e.Size); err != nil {
			return nil, err
		}
	}
	return e, e.setPrompt(r, o.Prompt)
}

// setPrompt sets the text that stands before every text.
func (e *Embedder) setPrompt(r *recipe, name string) error {
	if name = cmp.Or(name, r.defaultPrompt); name == "" {
		return nil
	}
	text, ok := r.prompts[name]
	if !ok && name != r.defaultPrompt {
		return unknownPrompt(name, slices.Sorted(maps.Keys(r.prompts)))
	}
	e.Prompt = text
	if text != "" && !r.includePrompt {
		x, _ := e.tokens.Encode(labelled.Example{TextA: text})
		e.skip = len(x.Tokens) - 1 // the separator is the text's
	}
	return nil
}

func unknownPrompt(name string, list []string) error {
	if len(list) == 0 {
		return &run.SettingError{Err: fmt.Errorf("the model has no prompts (%s), so none is called %q; leave it out", promptsFile, name)}
	}
	return &run.SettingError{Err: names.Unknown("prompt", name, list)}
}

// Close releases the model.
func (e *Embedder) Close() error { return e.close() }

// batchRows tokens are in a batch: the products are filled, and values are still in the cache when the next operation comes.
const batchRows = 2048

// Texts returns the vectors of texts, in their order. tick is called after each batch; while it runs nothing of the embedder is in use.
func (e *Embedder) Texts(ctx context.Context, texts []string, tick run.Tick) ([]Vector, error) {
	if e.encoder == nil && e.retriever == nil {
		return nil, ErrNoTexts
	}
	if e.retriever != nil {
		values, cut, err := e.retriever.TextVectors(ctx, texts, tick)
		if err != nil {
			return nil, err
		}
		out := e.split(values, len(texts))
		for i := range out {
			out[i].Truncated = cut[i]
		}
		return out, nil
	}
	out, records := make([]Vector, len(texts)), make([]labelled.Record, len(texts))
	e.dev.Limit().ForBlocks(len(texts), 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			records[i], out[i].Truncated = e.tokens.Encode(labelled.Example{TextA: e.Prompt + texts[i]})
		}
	})
	lengths, order := labelled.Lengths(records), batches.Sequence(len(records))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(lengths[b], lengths[a]) })
	done := 0
	for _, numbers := range batches.Plan(lengths, order, batchRows, true) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var in model.Input
		for _, i := range numbers {
			in.Text.Append(records[i].Tokens)
		}
		values, err := e.batch(in)
		if err != nil {
			return nil, err
		}
		for k, i := range numbers {
			out[i].Values = values[k*e.Size : (k+1)*e.Size : (k+1)*e.Size]
		}
		done += len(numbers)
		tick(done, len(texts))
	}
	return out, nil
}

// batch returns the vectors of a batch behind each other.
func (e *Embedder) batch(in model.Input) ([]float32, error) {
	if err := in.Check(e.encoder.Config); err != nil {
		return nil, err
	}
	defer e.tape.Release()
	n, h := in.Sequences(), e.encoder.Config.HiddenSize
	pooled := make([]float32, n*len(e.pooling)*h)
	if e.pooling.firstOnly(e.skip) {
		copy(pooled, engine.Values(e.dev, e.encoder.FirstTokens(e.tape, in).Value))
	} else {
		rows := engine.Values(e.dev, e.encoder.LastLayer(e.tape, in).Value)
		size := len(e.pooling) * h
		e.dev.Limit().For(n, func(i int) {
			e.pooling.appendTo(pooled[i*size:i*size:(i+1)*size], rows[int(in.Text.Offsets[i])*h:int(in.Text.Offsets[i+1])*h], h, e.skip)
		})
	}
	x := e.tape.Input(n, len(e.pooling)*h, pooled)
	for _, s := range e.stages {
		x = s.apply(e.tape, x)
	}
	if err := e.encoder.Params.CheckOutput(e.dev, "vectors", x); err != nil {
		return nil, err
	}
	return slices.Clone(engine.Values(e.dev, x.Value)), nil
}

// Reads says whether the embedder makes vectors of pictures.
func (e *Embedder) Reads() bool { return e.reader != nil }

// ErrNoPictures is what pictures give where the model reads texts alone, and ErrNoTexts what texts give where it reads none.
var (
	ErrNoPictures = errors.New("the model reads texts alone; give one for retrieval, or an extractor in its place, for vectors of pictures")
	ErrNoTexts    = errors.New("an extractor alone sees pictures, and reads no texts; name a model, too")
)

// Picture reads a picture file.
func (e *Embedder) Picture(path string) (*regions.Image, error) {
	if e.reader == nil {
		return nil, ErrNoPictures
	}
	return e.reader.Picture(path)
}

// Decode is [Embedder.Picture] for the content of a file.
func (e *Embedder) Decode(raw []byte) (*regions.Image, error) {
	if e.reader == nil {
		return nil, ErrNoPictures
	}
	return e.reader.Decode(raw)
}

// Limit bounds the pixels of a picture.
func (e *Embedder) Limit(pixels int) {
	if e.reader != nil {
		e.reader.Limits.MaxPixels = pixels
	}
}

// Pictures returns the vectors of pictures that were read, in their order.
func (e *Embedder) Pictures(ctx context.Context, pictures []*regions.Image, tick run.Tick) ([]Vector, error) {
	switch {
	case e.reader == nil:
		return nil, ErrNoPictures
	case len(pictures) == 0:
		return nil, nil
	case e.retriever == nil:
		return e.global(pictures, tick)
	}
	values, err := e.retriever.ImageVectors(ctx, pictures, tick)
	if err != nil {
		return nil, err
	}
	return e.split(values, len(pictures)), nil
}

// global returns the features of pictures as wholes: a network's pooled output, or the mean of the regions'.
func (e *Embedder) global(pictures []*regions.Image, tick run.Tick) ([]Vector, error) {
	defer e.tape.Release()
	var values []float32
	for _, im := range pictures {
		features, _ := im.AppendRows(nil, nil) // the whole comes first
		values = append(values, features[:e.Size]...)
	}
	x := e.tape.Input(len(pictures), e.Size, values)
	for _, s := range e.stages {
		x = s.apply(e.tape, x)
	}
	tick(len(pictures), len(pictures))
	return e.split(slices.Clone(engine.Values(e.dev, x.Value)), len(pictures)), nil
}

// split cuts vectors that lie behind each other.
func (e *Embedder) split(values []float32, n int) []Vector {
	out := make([]Vector, n)
	for i := range out {
		out[i].Values = values[i*e.Size : (i+1)*e.Size : (i+1)*e.Size]
	}
	return out
}

// Threads bounds what reads pictures for the embedder.
func (e *Embedder) Threads() parallel.Limit { return e.dev.Limit() }
