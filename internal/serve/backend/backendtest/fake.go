// Package backendtest has models for the tests of protocols: quick, in memory, and the same answers every time.
package backendtest

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/serve/backend"
)

// Models are fakes; the first is the default one.
type Models []*Model

// New returns a server with one model, "fake", that does everything.
func New() Models { return Models{{Name: "fake"}} }

// Model implements [backend.Models].
func (ms Models) Model(name string) (backend.Model, error) {
	for _, m := range ms {
		if name == "" || name == m.Name {
			return m, nil
		}
	}
	return nil, backend.Errorf(backend.NotFound, "model", "no model is called %q", name)
}

// List implements [backend.Models].
func (ms Models) List() []backend.Info {
	list := make([]backend.Info, len(ms))
	for i, m := range ms {
		list[i] = m.Info()
	}
	return list
}

// Loaded implements [backend.Models].
func (ms Models) Loaded() error { return nil }

// Ready implements [backend.Models].
func (ms Models) Ready() error { return nil }

// Absent are models of which none is there, as while they are loaded or where their device was lost.
type Absent struct{ Models }

// List implements [backend.Models].
func (Absent) List() []backend.Info { return nil }

// Loaded implements [backend.Models].
func (Absent) Loaded() error { return backend.Errorf(backend.Unavailable, "", "loading") }

// Ready implements [backend.Models].
func (a Absent) Ready() error { return a.Loaded() }

// Model answers with functions of the bytes that it is asked about.
type Model struct {
	Name  string
	Can   backend.Capability  // 0: everything
	Aside bool                // vectors are not what it was made for
	Says  func(*backend.Info) // if not nil, changes what the model says of itself; scores of one that is not calibrated are similarities
	Err   error               // what every call returns
	Panic any                 // if not nil, what every call panics with
	Wait  chan struct{}       // if not nil, calls wait until it is closed or their context ends

	mu   sync.Mutex
	asks []string
}

// Asks lists what was asked, in order.
func (m *Model) Asks() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.asks)
}

// Dimension is the length of the vectors of a [Model], MaxTokens what it reads of a text, in words.
const (
	Dimension = 8
	MaxTokens = 16
)

// Info implements [backend.Model].
func (m *Model) Info() backend.Info {
	can := m.Can
	if can == 0 {
		can = 1<<10 - 1
	}
	beam, length := 4, 32
	i := backend.Info{
		ID: m.Name, Dir: "models/" + m.Name, Problem: "retrieval", Fingerprint: "sha256:0123", Created: time.Unix(1700000000, 0).UTC(),
		Dimension: Dimension, MaxTokens: MaxTokens, Labels: []string{"negative", "positive"}, Can: can,
		Details: backend.Details{
			Title: "a fake", Task: "fake", Texts: []string{"text"}, Calibrated: true, Parameters: 1000, Pooling: []string{"mean"}, Normalized: true, Encoder: m.Aside, Prompts: []string{"query"}, Vocabulary: 1 << 16,
			Decoding: backend.Decoding{Beam: &beam, MaxLength: &length}, Index: &backend.Index{Pictures: 3, Source: "pictures"},
		},
	}
	if m.Says != nil {
		m.Says(&i)
	}
	return i
}

func (m *Model) begin(ctx context.Context, need backend.Capability, what string) error {
	m.mu.Lock()
	m.asks = append(m.asks, what)
	m.mu.Unlock()
	if m.Wait != nil {
		select {
		case <-m.Wait:
		case <-ctx.Done():
		}
	}
	switch {
	case m.Panic != nil:
		panic(m.Panic)
	case m.Err != nil:
		return m.Err
	case ctx.Err() != nil:
		return backend.Ended(ctx)
	case !m.Info().Can.Has(need):
		return backend.Errorf(backend.Cannot, "model", "model %s does not %s", m.Name, need)
	}
	return nil
}

func (m *Model) of(items ...backend.Item) (need backend.Capability, use backend.Usage) {
	for _, it := range items {
		switch {
		case it.Picture != nil:
			need |= backend.CanEmbedPicture
			use.Pictures++
		case it.Tokens != nil:
			need |= backend.CanEmbedText
			use.Tokens += len(it.Tokens)
		default:
			need |= backend.CanEmbedText
			use.Tokens += len(strings.Fields(it.Text)) + 2
		}
	}
	return need, use
}

// Vector is the vector of an item, of length 1.
func Vector(it backend.Item) []float32 {
	key := it.Text
	switch {
	case it.Picture != nil:
		key = "picture " + string(it.Picture)
	case it.Tokens != nil:
		key = fmt.Sprint("tokens ", it.Tokens)
	}
	v, sum := make([]float32, Dimension), 0.0
	for i := range v {
		h := fnv.New32a()
		fmt.Fprint(h, i, key)
		v[i] = float32(h.Sum32()%2001)/1000 - 1
		sum += float64(v[i]) * float64(v[i])
	}
	return scaled(v, sum)
}

func scaled(v []float32, sum float64) []float32 {
	for i := range v {
		v[i] /= float32(math.Sqrt(sum))
	}
	return v
}

// Embed implements [backend.Model].
func (m *Model) Embed(ctx context.Context, items []backend.Item, o backend.EmbedOptions) (backend.Embeddings, error) {
	need, use := m.of(items...)
	if err := m.begin(ctx, need, fmt.Sprintf("embed %d", len(items))); err != nil {
		return backend.Embeddings{}, err
	}
	if o.Dimensions < 0 || o.Dimensions > Dimension {
		return backend.Embeddings{}, &backend.Error{Kind: backend.Invalid, Param: "dimensions", Limit: Dimension, Message: fmt.Sprintf("%d dimensions; want 1 to %d", o.Dimensions, Dimension)}
	}
	e := backend.Embeddings{Usage: use}
	for _, it := range items {
		cut := len(strings.Fields(it.Text))+2 > MaxTokens || len(it.Tokens) > MaxTokens
		if cut && o.Strict {
			return backend.Embeddings{}, &backend.Error{Kind: backend.TooLarge, Param: "input", Limit: MaxTokens, Message: fmt.Sprintf("a text is longer than %d tokens", MaxTokens)}
		}
		v := Vector(it)
		if n := o.Dimensions; n > 0 && n < len(v) {
			v = v[:n]
			sum := 0.0
			for _, x := range v {
				sum += float64(x) * float64(x)
			}
			v = scaled(v, sum)
		}
		e.Vectors, e.Truncated = append(e.Vectors, v), append(e.Truncated, cut)
	}
	return e, nil
}

// EmbedTokens implements [backend.Model]: a token is a word.
func (m *Model) EmbedTokens(ctx context.Context, items []backend.Item, o backend.EmbedOptions) ([][][]float32, backend.Usage, error) {
	_, use := m.of(items...)
	if err := m.begin(ctx, backend.CanEmbedText, fmt.Sprintf("embed tokens of %d", len(items))); err != nil {
		return nil, use, err
	}
	list := make([][][]float32, len(items))
	for i, it := range items {
		words := append([]string{"[CLS]"}, append(strings.Fields(it.Text), "[SEP]")...)
		if it.Tokens != nil {
			words = strings.Fields(strings.Trim(fmt.Sprint(it.Tokens), "[]"))
		}
		if len(words) > MaxTokens && o.Strict {
			return nil, use, &backend.Error{Kind: backend.TooLarge, Param: "input", Limit: MaxTokens, Message: fmt.Sprintf("a text is longer than %d tokens", MaxTokens)}
		}
		for _, w := range words[:min(len(words), MaxTokens)] {
			list[i] = append(list[i], Vector(backend.Item{Text: w})[:2])
		}
	}
	return list, use, nil
}

// Score implements [backend.Model]: the product of the vectors.
func (m *Model) Score(ctx context.Context, query backend.Item, documents []backend.Item) (backend.Scores, error) {
	all := append([]backend.Item{query}, documents...)
	_, use := m.of(all...)
	need := backend.CanScore
	if slices.ContainsFunc(all, func(it backend.Item) bool { return it.Picture != nil }) {
		need = backend.CanMatch
	}
	if err := m.begin(ctx, need, fmt.Sprintf("score %d", len(documents))); err != nil {
		return backend.Scores{}, err
	}
	sure := m.Info().Details.Calibrated
	s := backend.Scores{Usage: use, Similarity: !sure}
	for _, d := range documents {
		var value float64
		for i, x := range Vector(query) {
			value += float64(x) * float64(Vector(d)[i])
		}
		p := 1 / (1 + math.Exp(-4*value))
		s.List = append(s.List, backend.Score{Value: value, Calibrated: sure, Probability: p, Fits: p >= 0.5})
	}
	return s, nil
}

// Classify implements [backend.Model]: a text with "good" in it is positive.
func (m *Model) Classify(ctx context.Context, inputs []backend.Input) ([]run.Reply, backend.Usage, error) {
	var use backend.Usage
	if err := m.begin(ctx, backend.CanClassify, fmt.Sprintf("classify %d", len(inputs))); err != nil {
		return nil, use, err
	}
	var list []run.Reply
	for _, in := range inputs {
		use.Tokens += len(strings.Fields(in.Text+" "+in.Pair)) + 2
		p := run.Reply{Label: "negative", Probability: 0.75, Probabilities: []float64{0.75, 0.25}}
		if strings.Contains(in.Text, "good") {
			p = run.Reply{Label: "positive", Probability: 0.875, Probabilities: []float64{0.125, 0.875}}
		}
		list = append(list, p)
	}
	return list, use, nil
}

// Generate implements [backend.Model]: the first text in capitals, a word a piece.
func (m *Model) Generate(ctx context.Context, r backend.GenerateRequest, emit func(piece string) error) (backend.Generated, error) {
	if err := m.begin(ctx, backend.CanGenerate, "generate"); err != nil {
		return backend.Generated{}, err
	}
	if len(r.Texts) == 0 {
		return backend.Generated{}, backend.Errorf(backend.Invalid, "texts", "there is no text; give one")
	}
	words := strings.Fields(strings.ToUpper(r.Texts[0]))
	if len(words)+2 > MaxTokens && r.Strict {
		return backend.Generated{}, &backend.Error{Kind: backend.TooLarge, Param: "texts", Limit: MaxTokens, Message: fmt.Sprintf("the text is longer than %d tokens", MaxTokens)}
	}
	read := len(words) + 2
	finished := true
	if n := r.Decoding.MaxLength; n != nil && *n < len(words) {
		words, finished = words[:*n], false
	}
	for i, w := range words {
		if i > 0 {
			w = " " + w
		}
		if emit != nil {
			if err := emit(w); err != nil {
				return backend.Generated{}, err
			}
		}
	}
	return backend.Generated{Text: strings.Join(words, " "), Score: -0.5, Finished: finished, Usage: backend.Usage{Tokens: read}, Written: len(words)}, nil
}

// Caption implements [backend.Model].
func (m *Model) Caption(ctx context.Context, picture []byte, _ backend.Decoding) (backend.Generated, error) {
	if err := m.begin(ctx, backend.CanCaption, "caption"); err != nil {
		return backend.Generated{}, err
	}
	return backend.Generated{Text: fmt.Sprintf("a picture of %d bytes", len(picture)), Score: -0.25, Finished: true, Usage: backend.Usage{Pictures: 1}, Written: 5}, nil
}

// Ask implements [backend.Model].
func (m *Model) Ask(ctx context.Context, _ []byte, question string, k int) (run.Answers, backend.Usage, error) {
	use := backend.Usage{Tokens: len(strings.Fields(question)) + 2, Pictures: 1}
	if err := m.begin(ctx, backend.CanAsk, "ask "+question); err != nil {
		return run.Answers{}, use, err
	}
	list := []run.Scored{{Answer: "yes", Probability: 0.625}, {Answer: "no", Probability: 0.25}}
	return run.Answers{Question: question, Best: list[:min(max(k, 1), len(list))]}, use, nil
}

// Pictures implements [backend.Model].
func (m *Model) Pictures(ctx context.Context, first, k int) (ids []string, total int, err error) {
	if err := m.begin(ctx, backend.CanSearch, "pictures"); err != nil {
		return nil, 0, err
	}
	ids = []string{"blue.png", "red.png", "sub/green.png"}
	first = min(max(first, 0), len(ids))
	return ids[first:min(first+k, len(ids))], len(ids), nil
}

// Search implements [backend.Model]: the same three pictures.
func (m *Model) Search(ctx context.Context, query backend.Item, k int) ([]backend.Found, backend.Usage, error) {
	_, use := m.of(query)
	if err := m.begin(ctx, backend.CanSearch, fmt.Sprintf("search %d", k)); err != nil {
		return nil, use, err
	}
	list := []backend.Found{
		{ID: "red.png", Similarity: 0.75, Ranked: true, Score: backend.Score{Value: 2, Calibrated: true, Probability: 0.875, Fits: true}},
		{ID: "sub/green.png", Similarity: 0.5, Ranked: true, Score: backend.Score{Value: -1, Calibrated: true, Probability: 0.25}},
		{ID: "blue.png", Similarity: 0.25},
	}
	if !m.Info().Details.Calibrated {
		for i := range list {
			list[i].Score = backend.Score{Value: list[i].Score.Value}
		}
	}
	return list[:min(max(k, 1), len(list))], use, nil
}

// Picture implements [backend.Model]: a PNG of one pixel.
func (m *Model) Picture(ctx context.Context, id string) ([]byte, error) {
	if err := m.begin(ctx, backend.CanSearch, "picture "+id); err != nil {
		return nil, err
	}
	if !strings.HasSuffix(id, ".png") {
		return nil, backend.Errorf(backend.NotFound, "id", "no picture is called %q", id)
	}
	return []byte(PNG), nil
}

// PNG is a picture of one grey pixel.
const PNG = "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00\x3a\x7e\x9b\x55\x00\x00\x00\x0aIDAT\x78\x9c\x63\x68\x00\x00\x00\x82\x00\x81\x77\xcd\x72\xb6\x00\x00\x00\x00IEND\xae\x42\x60\x82"

// Prompt implements [backend.Model].
func (m *Model) Prompt(ctx context.Context, name string) (string, error) {
	switch {
	case m.Err != nil:
		return "", m.Err
	case name == "":
		return "", nil
	case name == "query":
		return "what is ", nil
	}
	return "", backend.Errorf(backend.Invalid, "prompt", "no prompt is called %q; want query", name)
}

// Tokenize implements [backend.Model]: words are tokens.
func (m *Model) Tokenize(ctx context.Context, text string, special bool) ([]backend.Token, error) {
	if err := m.begin(ctx, 0, "tokenize"); err != nil {
		return nil, err
	}
	var list []backend.Token
	at := 0
	for _, w := range strings.Fields(text) {
		at += strings.Index(text[at:], w)
		h := fnv.New32a()
		h.Write([]byte(w))
		list = append(list, backend.Token{ID: int(h.Sum32()%60000) + 10, Text: w, Start: at, Stop: at + len(w)})
		at += len(w)
	}
	if special {
		list = append([]backend.Token{{ID: 0, Text: "[CLS]", Special: true}}, list...)
		list = append(list, backend.Token{ID: 1, Text: "[SEP]", Special: true, Start: len(text), Stop: len(text)})
	}
	return list, nil
}

// Detokenize implements [backend.Model]: a word for each token; 0 and 1 are special.
func (m *Model) Detokenize(ctx context.Context, ids []int, special bool) (string, error) {
	if err := m.begin(ctx, 0, "detokenize"); err != nil {
		return "", err
	}
	var words []string
	for i, id := range ids {
		switch {
		case id < 0 || id >= 1<<16:
			return "", backend.Errorf(backend.Invalid, "ids", "token %d of %d: id %d is not in the vocabulary", i, len(ids), id)
		case id > 1:
			words = append(words, fmt.Sprint("w", id))
		case special:
			words = append(words, []string{"[CLS]", "[SEP]"}[id])
		}
	}
	return strings.Join(words, " "), nil
}
