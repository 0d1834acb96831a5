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
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
	"github.com/unimo-go/unimo/tokenizer"
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

// Embedder makes vectors. It is safe for concurrent use.
type Embedder struct {
	Info
	dev      engine.Device
	tokens   labelled.Encoder
	encoder  *model.Encoder
	tapes    *autograd.Pool
	pooling  pooling
	prompts  map[string]string // by their names
	unpooled bool              // the tokens of a prompt are not pooled
	stages   []stage
	opened   *run.Opened       // with vectors of its own; then the encoder is nil
	vectors  run.Vectors       // of that
	reader   run.PictureReader // nil: no pictures are read
	close    func() error
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
	c, err := env.Shared.Checkpoint(r.encoder)
	if err != nil {
		return nil, err
	}
	e, err := fromCheckpoint(dir, r, c, o, env)
	if err != nil || e.opened != nil {
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
	e.tapes = autograd.NewPool(env.Device)
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
	s, err := m.Serve(nil)
	if err == nil && s.Vectors == nil {
		err = fmt.Errorf("the model has no vectors of texts and pictures (contrast_size is 0); take its encoder's with a pooling, such as %s", Mean)
	}
	e := Of(s)
	if err == nil && o.Prompt != "" {
		err = unknownPrompt(o.Prompt, nil)
	}
	if err == nil {
		_, err = e.stagesFor(o.Normalize)
	}
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	e.Model, e.reader = dir, &m.Reader // which says why it cannot
	return e, nil
}

// Of returns what makes the vectors that an open model has of its own. Closing it closes the model.
func Of(s run.Serving) *Embedder {
	m := s.Model
	return &Embedder{
		Info:   Info{Model: m.Dir, Size: m.Config.ContrastSize, Normalized: true, MaxTokens: m.Config.TextTokens()},
		tokens: labelled.Encoder{Tokenizer: m.Folder.Tokenizer, MaxLen: m.Config.TextTokens()},
		dev:    m.Device, opened: m, vectors: s.Vectors, reader: s.Pictures, close: m.Close,
	}
}

// openEncoder opens the encoder of a model, whose rows are pooled.
func openEncoder(r *recipe, c *modeldir.Checkpoint, o Options, env *run.Env) (*Embedder, error) {
	if env.Extractor != "" {
		return nil, &run.SettingError{Err: ErrNoPictures}
	}
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
	e := &Embedder{dev: env.Device, tapes: autograd.NewPool(env.Device), stages: r.stages, pooling: r.pooling, close: c.Weights.Close}
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
		pooler, err := openPooler(env.Device, r.encoder, c.Config.PoolerAct)
		if err != nil {
			return nil, err
		}
		e.stages = slices.Insert(slices.Clone(e.stages), 0, stage(pooler))
	}
	if e.stages, err = e.stagesFor(o.Normalize); err != nil {
		return nil, err
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

func isNormal(s stage) bool { _, ok := s.(normalize); return ok }

// stagesFor are the stages of vectors of length 1, or not; nil: as they are.
func (e *Embedder) stagesFor(normal *bool) ([]stage, error) {
	switch {
	case normal == nil || e.opened != nil && *normal:
		return e.stages, nil
	case e.opened != nil:
		return nil, &run.SettingError{Err: errors.New("the vectors of a model for retrieval have length 1; leave that as it is")}
	}
	stages := slices.DeleteFunc(slices.Clone(e.stages), isNormal)
	if *normal {
		stages = append(stages, normalize{})
	}
	return stages, nil
}

// setPrompt sets the text that stands before every text.
func (e *Embedder) setPrompt(r *recipe, name string) error {
	e.prompts, e.unpooled = r.prompts, !r.includePrompt
	if name = cmp.Or(name, r.defaultPrompt); name == "" {
		return nil
	}
	text, ok := r.prompts[name]
	if !ok && name != r.defaultPrompt {
		return unknownPrompt(name, e.Prompts())
	}
	e.Prompt = text
	return nil
}

// Prompts lists the names of what may be put before texts.
func (e *Embedder) Prompts() []string { return slices.Sorted(maps.Keys(e.prompts)) }

func unknownPrompt(name string, list []string) error {
	if len(list) == 0 {
		return &run.SettingError{Err: fmt.Errorf("the model has no prompts (%s), so none is called %q; leave it out", promptsFile, name)}
	}
	return &run.SettingError{Err: names.Unknown("prompt", name, list)}
}

// Config is that of the model; the zero value where pictures alone are seen.
func (e *Embedder) Config() model.Config {
	switch {
	case e.opened != nil:
		return e.opened.Config
	case e.encoder != nil:
		return e.encoder.Config
	}
	return model.Config{}
}

// Parameters counts the values that the model was trained for.
func (e *Embedder) Parameters() int {
	switch {
	case e.opened != nil:
		return e.opened.Params.Count()
	case e.encoder != nil:
		return e.encoder.Params.Count()
	}
	return 0
}

// Prepare makes the weights ready for many texts, which takes longer than one.
func (e *Embedder) Prepare() {
	switch {
	case e.opened != nil:
		e.opened.Params.Prepare(e.dev)
	case e.encoder != nil:
		e.encoder.Params.Prepare(e.dev)
	}
}

// Encoder is what the embedder's vectors are pooled of; nil where the model has vectors of its own, or sees pictures alone.
func (e *Embedder) Encoder() *model.Encoder { return e.encoder }

// Device is what the vectors are computed on.
func (e *Embedder) Device() engine.Device { return e.dev }

// Layers are what follows the pooling, in this order.
func (e *Embedder) Layers() []Layer {
	layers := make([]Layer, len(e.stages))
	for i, s := range e.stages {
		l, ok := s.(*dense)
		if !ok {
			layers[i].Normalize = true
			continue
		}
		layers[i] = Layer{In: l.in, Out: l.out, W: engine.Values(e.dev, l.w.Value), B: engine.Values(e.dev, l.b.Value), Activation: l.activation}
	}
	return layers
}

// Skips says whether the tokens of the prompt that stands before every text are not pooled.
func (e *Embedder) Skips() bool { return e.skipped(e.Prompt) > 0 }

// Close releases the model.
func (e *Embedder) Close() error { return e.close() }

// batchRows tokens are in a batch: the products are filled, and values are still in the cache when the next operation comes.
const batchRows = 2048

// Text is a text as the model reads it.
type Text struct {
	Tokens []int32
	Cut    bool // it was longer than what the model reads
	skip   int  // tokens of a prompt that are not pooled
}

// Tokenizer returns the model's vocabulary; nil of one that sees pictures alone.
func (e *Embedder) Tokenizer() *tokenizer.Tokenizer {
	t, _ := e.tokens.Tokenizer.(*tokenizer.Tokenizer)
	return t
}

// Read returns a text as the model reads it, behind the prompt of a name; "" is the one that every text gets. Many goroutines may call it.
func (e *Embedder) Read(text, prompt string) (Text, error) {
	before, err := e.Before(prompt)
	if err != nil {
		return Text{}, err
	}
	r, cut := e.tokens.Encode(labelled.Example{TextA: before + text})
	return Text{r.Tokens, cut, e.skipped(before)}, nil
}

// ReadTokens is [Embedder.Read] for a text as ids. What stands around texts may be there or not.
func (e *Embedder) ReadTokens(ids []int32, prompt string) (Text, error) {
	before, err := e.Before(prompt)
	if err != nil {
		return Text{}, err
	}
	t := e.Tokenizer()
	if err := t.Check(ids); err != nil {
		return Text{}, err
	}
	if len(ids) > 0 && ids[0] == t.CLS() {
		ids = ids[1:]
	}
	if n := len(ids); n > 0 && ids[n-1] == t.SEP() {
		ids = ids[:n-1]
	}
	tokens := append(t.Encode([]int32{t.CLS()}, before), ids...)
	cut := len(tokens)+1 > e.MaxTokens
	tokens = append(tokens[:min(len(tokens), e.MaxTokens-1)], t.SEP())
	return Text{tokens, cut, e.skipped(before)}, nil
}

// Blank returns a text of so many tokens that says nothing, for trying what texts of that length take.
func (e *Embedder) Blank(tokens int) Text {
	t := e.Tokenizer()
	ids := slices.Repeat([]int32{t.SEP()}, tokens)
	ids[0] = t.CLS()
	return Text{Tokens: ids, skip: min(e.skipped(e.Prompt), tokens-1)}
}

// Before is what stands before every text that is read with the prompt of a name; "" is the one that every text gets.
func (e *Embedder) Before(prompt string) (string, error) {
	if e.encoder == nil && e.opened == nil {
		return "", ErrNoTexts
	}
	if prompt == "" {
		return e.Prompt, nil
	}
	text, ok := e.prompts[prompt]
	if !ok {
		return "", unknownPrompt(prompt, e.Prompts())
	}
	return text, nil
}

// skipped counts the tokens of a prompt that are not pooled.
func (e *Embedder) skipped(prompt string) int {
	if prompt == "" || !e.unpooled {
		return 0
	}
	r, _ := e.tokens.Encode(labelled.Example{TextA: prompt})
	return len(r.Tokens) - 1 // the separator is the text's
}

// Texts returns the vectors of texts, in their order. tick is called after each batch; while it runs nothing of the embedder is in use.
func (e *Embedder) Texts(ctx context.Context, texts []string, tick run.Tick) ([]Vector, error) {
	if _, err := e.Before(""); err != nil {
		return nil, err
	}
	read := make([]Text, len(texts))
	skip := e.skipped(e.Prompt)
	e.dev.Limit().ForBlocks(len(texts), 16, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			r, cut := e.tokens.Encode(labelled.Example{TextA: e.Prompt + texts[i]})
			read[i] = Text{r.Tokens, cut, skip}
		}
	})
	return e.Vectors(ctx, read, nil, tick)
}

// Vectors is [Embedder.Texts] for texts that were read. normal asks for vectors of length 1, or as they are; nil: as [Info] says.
func (e *Embedder) Vectors(ctx context.Context, texts []Text, normal *bool, tick run.Tick) ([]Vector, error) {
	stages, err := e.stagesFor(normal)
	if err != nil {
		return nil, err
	}
	out := make([]Vector, len(texts))
	for i, t := range texts {
		out[i].Truncated = t.Cut
	}
	if e.opened != nil {
		tokens := make(rank.Texts, len(texts))
		for i, t := range texts {
			tokens[i] = t.Tokens
		}
		values, err := e.vectors.TextVectors(ctx, tokens, tick)
		if err != nil {
			return nil, err
		}
		for i, v := range e.split(values, len(texts)) {
			out[i].Values = v.Values
		}
		return out, nil
	}
	err = inBatches(ctx, texts, tick, func(in model.Input, numbers []int) error {
		skips := make([]int, len(numbers))
		for k, i := range numbers {
			skips[k] = texts[i].skip
		}
		values, err := e.batch(in, skips, stages)
		if err != nil {
			return err
		}
		for k, v := range e.split(values, len(numbers)) {
			out[numbers[k]].Values = v.Values
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// inBatches takes texts in batches of texts that are about as long as each other.
func inBatches(ctx context.Context, texts []Text, tick run.Tick, each func(in model.Input, numbers []int) error) error {
	lengths := make([]int, len(texts))
	for i, t := range texts {
		lengths[i] = len(t.Tokens)
	}
	done := 0
	for _, numbers := range batches.Together(lengths, batchRows) {
		if err := ctx.Err(); err != nil {
			return err
		}
		var in model.Input
		for _, i := range numbers {
			in.Text.Append(texts[i].Tokens)
		}
		if err := each(in, numbers); err != nil {
			return err
		}
		done += len(numbers)
		tick(done, len(texts))
	}
	return nil
}

// batch returns the vectors of a batch behind each other. Of each text the first skips are a prompt's and do not count.
func (e *Embedder) batch(in model.Input, skips []int, stages []stage) ([]float32, error) {
	if err := in.Check(e.encoder.Config); err != nil {
		return nil, err
	}
	tape := e.tapes.Take()
	defer e.tapes.Give(tape)
	n, h := in.Sequences(), e.encoder.Config.HiddenSize
	pooled := make([]float32, n*len(e.pooling)*h)
	if e.pooling.firstOnly(slices.Max(skips)) {
		copy(pooled, engine.Values(e.dev, e.encoder.FirstTokens(tape, in).Value))
	} else {
		rows := engine.Values(e.dev, e.encoder.LastLayer(tape, in).Value)
		size := len(e.pooling) * h
		tape.Device().Limit().For(n, func(i int) {
			e.pooling.appendTo(pooled[i*size:i*size:(i+1)*size], rows[int(in.Text.Offsets[i])*h:int(in.Text.Offsets[i+1])*h], h, skips[i])
		})
	}
	x := tape.Input(n, len(e.pooling)*h, pooled)
	for _, s := range stages {
		x = s.apply(tape, x)
	}
	engine.Expect(tape.Device(), x.Value)
	if err := e.encoder.Params.CheckOutput(tape, "vectors", x); err != nil {
		return nil, err
	}
	return slices.Clone(engine.Values(e.dev, x.Value)), nil
}

// Reads says whether the embedder makes vectors of pictures.
func (e *Embedder) Reads() bool { return e.reader != nil }

// ErrNoPictures is what pictures give where the model reads texts alone, and ErrNoTexts what texts give where it reads none.
var (
	ErrNoPictures = errors.New("the model reads texts alone; for vectors of pictures give one for retrieval, or leave the model out and name an extractor (--extractor) alone")
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
func (e *Embedder) Decode(ctx context.Context, raw []byte) (*regions.Image, error) {
	if e.reader == nil {
		return nil, ErrNoPictures
	}
	return e.reader.Decode(ctx, raw)
}

// Limit bounds the pixels of a picture.
func (e *Embedder) Limit(pixels int) {
	if e.reader != nil {
		e.reader.Limit(pixels)
	}
}

// Pictures returns the vectors of pictures that were read, in their order.
func (e *Embedder) Pictures(ctx context.Context, pictures []*regions.Image, tick run.Tick) ([]Vector, error) {
	switch {
	case e.reader == nil:
		return nil, ErrNoPictures
	case len(pictures) == 0:
		return nil, nil
	case e.opened == nil:
		return e.global(pictures, tick)
	}
	values, err := e.vectors.ImageVectors(ctx, pictures, tick)
	if err != nil {
		return nil, err
	}
	return e.split(values, len(pictures)), nil
}

// global returns the features of pictures as wholes: a network's pooled output, or the mean of the regions'.
func (e *Embedder) global(pictures []*regions.Image, tick run.Tick) ([]Vector, error) {
	tape := e.tapes.Take()
	defer e.tapes.Give(tape)
	var values []float32
	for _, im := range pictures {
		features, _ := im.AppendRows(nil, nil) // the whole comes first
		values = append(values, features[:e.Size]...)
	}
	x := tape.Input(len(pictures), e.Size, values)
	for _, s := range e.stages {
		x = s.apply(tape, x)
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
