package backend

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
)

// served is a model by its name. Each call has whatever model has that name when it begins.
type served struct {
	r    *Registry
	name string
	info Info
}

// Info implements [Model].
func (m *served) Info() Info { return m.info }

// invalid says that a request is wrong in what err says.
func invalid(param string, err error) *Error {
	return &Error{Kind: Invalid, Param: param, Message: err.Error(), Err: err}
}

// settingsToInvalid gives an error about what was asked for its kind.
func settingsToInvalid(param string, err error) error {
	if setting := (*run.SettingError)(nil); errors.As(err, &setting) {
		return invalid(param, err)
	}
	return err
}

// decode reads pictures as a model sees them, some at a time. They are refused before that where too many others wait.
func (r *Registry) decode(ctx context.Context, v view, h *head, param string, list [][]byte) ([]*regions.Image, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if h.Pictures == nil {
		return nil, Errorf(Cannot, param, "the model reads no pictures; it knows only region features from elsewhere")
	}
	back, err := v.queue.expect(len(list))
	if err != nil {
		return nil, err
	}
	defer back()
	read := make([]*regions.Image, len(list))
	for i, raw := range list {
		select {
		case r.decoding <- struct{}{}:
		case <-ctx.Done():
			return nil, Ended(ctx)
		}
		im, err := h.Pictures.Decode(ctx, raw)
		<-r.decoding
		var pixels *picture.PixelsError
		switch {
		case errors.As(err, &pixels):
			return nil, &Error{
				Kind: TooLarge, Param: param, Limit: pixels.Limit, Err: err,
				Message: fmt.Sprintf("a picture has %d x %d pixels; this server takes %d, so make it smaller", pixels.Width, pixels.Height, pixels.Limit),
			}
		case err != nil && ctx.Err() != nil:
			return nil, Ended(ctx)
		case err != nil:
			return nil, invalid(param, err)
		}
		read[i] = im
	}
	return read, nil
}

// asked is what a request gives a model to read, and the answer to each of it.
type asked[I, A any] struct {
	items   []I
	answers []A
}

// through takes the items of a request through the model, together with those of other requests for the same work of the same group.
func through[I, A any](ctx context.Context, v view, r *request, name string, items []I, answer func(ctx context.Context, items []I) ([]A, error)) ([]A, error) {
	d := &asked[I, A]{items, make([]A, len(items))}
	r.data, r.work = d, &work{name, func(ctx context.Context, parts []part) error {
		var all []I
		for _, p := range parts {
			all = append(all, p.data.(*asked[I, A]).items[p.from:p.to]...)
		}
		made, err := answer(ctx, all)
		if err != nil {
			return err
		}
		for _, p := range parts {
			made = made[copy(p.data.(*asked[I, A]).answers[p.from:p.to], made):]
		}
		return nil
	}}
	if err := v.queue.do(ctx, r); err != nil {
		return nil, err
	}
	return d.answers, nil
}

func ignore(int, int) {}

// Embed implements [Model].
func (m *served) Embed(ctx context.Context, items []Item, o EmbedOptions) (e Embeddings, err error) {
	err = m.r.use(m.name, func(v view) error {
		e, err = m.r.embed(ctx, v, items, o)
		return err
	})
	return e, err
}

func pictureItem(it Item) bool { return it.Picture != nil }

// sorted are items with the pictures apart from the texts.
type sorted struct {
	texts         []embed.Text
	pictures      [][]byte
	textOf, picOf []int // numbers of items
}

func (r *Registry) embed(ctx context.Context, v view, items []Item, o EmbedOptions) (e Embeddings, err error) {
	var s sorted
	need, does := CanEmbedText, "make vectors of texts"
	if slices.ContainsFunc(items, pictureItem) {
		need, does = CanEmbedPicture, "make vectors of pictures"
	}
	h, err := v.with(need, does)
	if err != nil {
		return e, err
	}
	if o.Dimensions < 0 || o.Dimensions > h.embedder.Size {
		return e, &Error{Kind: Invalid, Param: "dimensions", Limit: h.embedder.Size, Message: fmt.Sprintf("%d dimensions; model %s has vectors of %d, of which 1 or more can be kept", o.Dimensions, v.id, h.embedder.Size)}
	}
	for i, it := range items {
		if ctx.Err() != nil {
			return e, Ended(ctx)
		}
		if it.Picture != nil {
			s.pictures, s.picOf = append(s.pictures, it.Picture), append(s.picOf, i)
			continue
		}
		text, err := h.read(i, it, o)
		if err != nil {
			return e, err
		}
		s.texts, s.textOf = append(s.texts, text), append(s.textOf, i)
		e.Usage.Tokens += len(text.Tokens)
	}
	e.Vectors, e.Truncated, e.Usage.Pictures = make([][]float32, len(items)), make([]bool, len(items)), len(s.pictures)
	vectors, err := r.vectors(ctx, v, h, s, o.Normalize)
	if err != nil {
		return e, err
	}
	for i, x := range vectors {
		e.Vectors[i], e.Truncated[i] = shortened(x.Values, o.Dimensions), x.Truncated
	}
	return e, nil
}

// read returns item i, which is a text, as the model reads it for its vectors.
func (h *head) read(i int, it Item, o EmbedOptions) (text embed.Text, err error) {
	e := h.embedder
	if it.Tokens == nil {
		text, err = e.Read(it.Text, o.Prompt)
	} else {
		ids, wrong := narrow("input", it.Tokens)
		if wrong != nil {
			return text, wrong
		}
		if text, err = e.ReadTokens(ids, o.Prompt); err != nil && o.Prompt == "" {
			return text, invalid("input", err)
		}
	}
	if err != nil {
		return text, invalid("prompt", err)
	}
	if text.Cut && o.Strict {
		return text, &Error{Kind: TooLarge, Param: "input", Limit: e.MaxTokens, Message: fmt.Sprintf("text %d is longer than the %d tokens that the model reads; shorten it, or let it be cut", i, e.MaxTokens)}
	}
	return text, nil
}

// form is the group of embeddings: vectors that are made in the same way.
type form struct {
	e             *embed.Embedder
	asked, normal bool
}

// vectors returns the vectors of all items, in their order.
func (r *Registry) vectors(ctx context.Context, v view, h *head, s sorted, normal *bool) ([]embed.Vector, error) {
	e, out := h.embedder, make([]embed.Vector, len(s.textOf)+len(s.picOf))
	q := &request{group: form{e, normal != nil, normal != nil && *normal}, rows: make([]int, len(s.texts))}
	for i, t := range s.texts {
		q.rows[i] = len(t.Tokens)
	}
	made, err := through(ctx, v, q, "embed", s.texts, func(ctx context.Context, texts []embed.Text) ([]embed.Vector, error) {
		list, err := e.Vectors(ctx, texts, normal, ignore)
		return list, settingsToInvalid("normalize", err)
	})
	if err != nil {
		return nil, err
	}
	for i, x := range made {
		out[s.textOf[i]] = x
	}
	images, err := r.decode(ctx, v, h, "input", s.pictures)
	if err != nil {
		return nil, err
	}
	q = &request{group: e, rows: rowsOf(images), usage: Usage{Pictures: len(images)}}
	made, err = through(ctx, v, q, "embed", images, func(ctx context.Context, images []*regions.Image) ([]embed.Vector, error) {
		return e.Pictures(ctx, images, ignore)
	})
	for i, x := range made {
		out[s.picOf[i]] = x
	}
	return out, err
}

func rowsOf(images []*regions.Image) []int {
	rows := make([]int, len(images))
	for i, im := range images {
		rows[i] = im.Regions() + 1
	}
	return rows
}

// shortened is the first n values of a vector, at length 1 again; 0 is all of it as it is.
func shortened(v []float32, n int) []float32 {
	if n == 0 || n >= len(v) {
		return v
	}
	v = slices.Clone(v[:n])
	sum := dot(v, v)
	if sum > 0 {
		for i := range v {
			v[i] = float32(float64(v[i]) / math.Sqrt(sum))
		}
	}
	return v
}

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// text is a text as a model reads it; pair is a picture with one.
type text struct {
	tokens []int32
	cut    bool
}

type pair struct {
	image *regions.Image
	text  *text
}

// matching scores pairs, in which the same pictures and texts come again.
func matching(m run.Matcher) func(ctx context.Context, items []pair) ([]run.Matched, error) {
	return func(ctx context.Context, items []pair) ([]run.Matched, error) {
		var images []*regions.Image
		var texts rank.Texts
		places, words := map[*regions.Image]int32{}, map[*text]int32{}
		pairs := make([]model.Pair, len(items))
		for i, p := range items {
			if _, ok := places[p.image]; !ok {
				places[p.image], images = int32(len(images)), append(images, p.image)
			}
			if _, ok := words[p.text]; !ok {
				words[p.text], texts = int32(len(texts)), append(texts, p.text.tokens)
			}
			pairs[i] = model.Pair{Image: places[p.image], Text: words[p.text]}
		}
		return m.Pairs(ctx, images, texts, pairs, ignore)
	}
}

// Score implements [Model].
func (m *served) Score(ctx context.Context, query Item, documents []Item) (s Scores, err error) {
	err = m.r.use(m.name, func(v view) error {
		s, err = m.r.score(ctx, v, query, documents)
		return err
	})
	return s, err
}

func (r *Registry) score(ctx context.Context, v view, query Item, documents []Item) (s Scores, err error) {
	need, does := CanScore, "say how well texts fit a text"
	if pictureItem(query) || slices.ContainsFunc(documents, pictureItem) {
		need, does = CanMatch, "say how well pictures and texts fit"
	}
	h, err := v.with(need, does)
	if err != nil {
		return s, err
	}
	across := !slices.ContainsFunc(documents, func(d Item) bool { return (d.Picture != nil) == (query.Picture != nil) })
	switch {
	case h.Classify != nil:
		return r.scorePairs(ctx, v, h, query, documents)
	case h.Match != nil && across:
		return r.match(ctx, v, h, query, documents)
	case h.embedder == nil:
		return s, Errorf(Cannot, "model", "model %s says how well pictures and texts fit, not two pictures", v.id)
	}
	// By the vectors of both.
	all := append([]Item{query}, documents...)
	normal := true
	e, err := r.embed(ctx, view{v.folder, v.id, []*head{h}}, all, EmbedOptions{Normalize: &normal})
	if err != nil {
		return s, err
	}
	s.Usage, s.Similarity, s.List = e.Usage, true, make([]Score, len(documents))
	for i := range documents {
		s.List[i] = Score{Value: Cosine(e.Vectors[0], e.Vectors[i+1]), Truncated: e.Truncated[i+1]}
	}
	return s, nil
}

// match scores pictures with texts by the full model, or by the vectors of one that was trained for these alone.
func (r *Registry) match(ctx context.Context, v view, h *head, query Item, documents []Item) (s Scores, err error) {
	var raw [][]byte
	var texts []*text
	for _, it := range append([]Item{query}, documents...) {
		switch {
		case it.Picture != nil:
			raw = append(raw, it.Picture)
		case it.Tokens != nil:
			return s, Errorf(Cannot, "documents", "model %s scores texts, not tokens; send texts", v.id)
		default:
			tokens, cut := h.Match.Encode(it.Text)
			texts = append(texts, &text{tokens, cut})
			s.Usage.Tokens += len(tokens)
		}
	}
	s.Usage.Pictures = len(raw)
	images, err := r.decode(ctx, v, h, "documents", raw)
	if err != nil {
		return s, err
	}
	pairs, q := make([]pair, len(documents)), &request{group: h, rows: make([]int, len(documents)), usage: s.Usage}
	for i := range pairs { // either the picture or the text is the same in all
		pairs[i] = pair{images[min(i, len(images)-1)], texts[min(i, len(texts)-1)]}
		q.rows[i] = pairs[i].image.Regions() + len(pairs[i].text.tokens)
	}
	made, err := through(ctx, v, q, "score", pairs, matching(h.Match))
	s.List = make([]Score, len(documents))
	for i, x := range made {
		s.Similarity = x.Similarity // of all or of none
		s.List[i] = scoreOf(x)
		s.List[i].Truncated = pairs[i].text.cut
	}
	return s, err
}

func scoreOf(x run.Matched) Score {
	return Score{Value: float64(x.Score), Calibrated: x.Calibrated, Probability: x.Probability, Fits: x.Fits}
}

// scorePairs scores pairs of texts by a regression on them.
func (r *Registry) scorePairs(ctx context.Context, v view, h *head, query Item, documents []Item) (s Scores, err error) {
	var inputs []Input
	for _, d := range documents {
		if d.Tokens != nil || query.Tokens != nil {
			return s, Errorf(Cannot, "documents", "model %s scores texts, not tokens; send texts", v.id)
		}
		inputs = append(inputs, Input{Text: query.Text, Pair: d.Text})
	}
	said, use, err := r.classify(ctx, v, h, inputs)
	s.Usage = use
	for _, p := range said {
		s.List = append(s.List, Score{Value: p.Score, Truncated: p.Truncated})
	}
	return s, err
}

// Classify implements [Model].
func (m *served) Classify(ctx context.Context, inputs []Input) (list []run.Reply, use Usage, err error) {
	err = m.r.use(m.name, func(v view) error {
		need, does := CanClassify, "classify texts"
		for i, in := range inputs {
			if (in.Picture != nil) != (inputs[0].Picture != nil) {
				return Errorf(Invalid, "inputs", "input %d has a picture and others have none, or the other way round; ask about them apart", i)
			}
		}
		if len(inputs) > 0 && inputs[0].Picture != nil {
			need, does = CanClassifyPicture, "classify pictures with texts"
		} else if !v.can().Has(CanClassify) && v.can().Has(CanClassifyPicture) {
			return Errorf(Invalid, "picture", "model %s classifies a picture with a text; give it a picture, too", v.id)
		}
		h, err := v.with(need, does)
		if err == nil {
			list, use, err = m.r.classify(ctx, v, h, inputs)
		}
		return err
	})
	return list, use, err
}

func (r *Registry) classify(ctx context.Context, v view, h *head, inputs []Input) (list []run.Reply, use Usage, err error) {
	q := &request{group: h, rows: make([]int, len(inputs))}
	cut := make([]bool, len(inputs))
	if h.Classify != nil {
		records := make([]labelled.Record, len(inputs))
		for i, in := range inputs {
			records[i], cut[i] = h.Classify.Encode(labelled.Example{TextA: in.Text, TextB: in.Pair})
			q.rows[i] = len(records[i].Tokens)
			use.Tokens += q.rows[i]
		}
		q.usage = use
		list, err = through(ctx, v, q, "classify", records, func(ctx context.Context, records []labelled.Record) ([]run.Reply, error) {
			return h.Classify.Answer(ctx, records, ignore)
		})
	} else {
		list, use, err = r.judge(ctx, v, h, q, inputs, cut)
	}
	for i := range list {
		list[i].Truncated = cut[i]
	}
	return list, use, err
}

// about is a picture with a text.
type about struct {
	image *regions.Image
	text  string
}

func apart(items []about) (images []*regions.Image, texts []string) {
	for _, x := range items {
		images, texts = append(images, x.image), append(texts, x.text)
	}
	return images, texts
}

// judge classifies pictures with texts.
func (r *Registry) judge(ctx context.Context, v view, h *head, q *request, inputs []Input, cut []bool) ([]run.Reply, Usage, error) {
	raw := make([][]byte, len(inputs))
	for i, in := range inputs {
		raw[i] = in.Picture
	}
	images, err := r.decode(ctx, v, h, "picture", raw)
	if err != nil {
		return nil, q.usage, err
	}
	items := make([]about, len(inputs))
	q.rows, q.usage.Pictures = rowsOf(images), len(images)
	for i, in := range inputs {
		var tokens []int32
		tokens, cut[i] = h.Judge.Encode(in.Text)
		items[i] = about{images[i], in.Text}
		q.rows[i] += len(tokens)
		q.usage.Tokens += len(tokens)
	}
	said, err := through(ctx, v, q, "classify", items, func(ctx context.Context, items []about) ([]run.Reply, error) {
		images, texts := apart(items)
		return h.Judge.Reply(ctx, images, texts, ignore)
	})
	return said, q.usage, err
}

// written is a text that is asked for; way is the group of those that are found in the same way. They may differ in their greatest length and in
// the random numbers that they are drawn with.
type written struct {
	source decode.Source
	emit   chan<- string
}

type way struct {
	h       *head
	options decode.Options
}

// Generate implements [Model].
func (m *served) Generate(ctx context.Context, g GenerateRequest, emit func(piece string) error) (out Generated, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.with(CanGenerate, "write texts")
		if err != nil {
			return err
		}
		switch {
		case len(g.Texts) == 0:
			return Errorf(Invalid, "texts", "there is no text; give one")
		case h.Passage != (g.Passage != ""):
			return Errorf(Invalid, "passage", "model %s is for %s; give a passage to a model for conversations, and to no other", v.id, h.Model.Config.ProblemType)
		}
		source, cut, err := h.Write.Source(seq2seq.Example{File: "request", Line: 1, Sources: g.Texts, Knowledge: g.Passage})
		if err != nil {
			return invalid("texts", err)
		}
		if g.Strict && cut.Source+cut.Turns > 0 {
			return &Error{Kind: TooLarge, Param: "texts", Limit: source.Rows(), Message: fmt.Sprintf("the text is longer than the %d tokens that the model reads; shorten it, or let it be cut", source.Rows())}
		}
		out, err = write(ctx, v, h, h.Write, source, g.Decoding, emit)
		out.Usage.Tokens = source.Rows()
		return err
	})
	return out, err
}

// Caption implements [Model].
func (m *served) Caption(ctx context.Context, raw []byte, o Decoding) (out Generated, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.with(CanCaption, "write captions")
		if err != nil {
			return err
		}
		images, err := m.r.decode(ctx, v, h, "picture", [][]byte{raw})
		if err != nil {
			return err
		}
		source, err := h.Caption.Source(images[0])
		if err != nil {
			return err
		}
		out, err = write(ctx, v, h, h.Caption, source, o, nil)
		out.Usage.Pictures = 1
		return err
	})
	return out, err
}

func write(ctx context.Context, v view, h *head, d run.Decoder, source decode.Source, asked Decoding, emit func(piece string) error) (Generated, error) {
	o := asked.over(h.Decoding)
	if err := o.Validate(h.Model.Config); err != nil {
		return Generated{}, invalid("decoding", err)
	}
	source.MaxLength, source.Seed = o.MaxLength, &o.SampleSeed
	beams := o.BeamSize
	if o.Sample {
		beams = 1
	}
	// A batch of texts that are written has fewer rows than one that is read: its steps are of a row for each hypothesis.
	q := &request{rows: []int{source.Rows() + shareRows/16*beams}, told: emit}
	if emit != nil {
		q.emit = make(chan string, o.MaxLength+4) // a piece is of one token at least; the rest of the last one may follow
	}
	shared := o
	shared.MaxLength, shared.SampleSeed = 0, 0
	if asked.MinLength == nil {
		shared.MinLength = h.Decoding.MinLength
	}
	q.group = way{h, shared}
	made, err := through(ctx, v, q, "generate", []written{{source, q.emit}}, func(ctx context.Context, items []written) ([]run.Written, error) {
		o, sources := shared, make([]decode.Source, len(items))
		var tell func(i int, piece string)
		for i, x := range items {
			sources[i], o.MaxLength = x.source, max(o.MaxLength, x.source.MaxLength)
			if x.emit != nil {
				tell = func(i int, piece string) {
					if items[i].emit != nil {
						items[i].emit <- piece
					}
				}
			}
		}
		o.MinLength = min(o.MinLength, o.MaxLength)
		return d.DecodeAll(ctx, sources, o, tell)
	})
	if err != nil {
		return Generated{}, err
	}
	x := made[0]
	return Generated{Text: x.Text, Score: x.Score, Finished: x.Finished, Written: x.Tokens}, nil
}

// over are the options o with what is asked for.
func (d Decoding) over(o decode.Options) decode.Options {
	set(&o.BeamSize, d.Beam)
	set(&o.LengthPenalty, d.LengthPenalty)
	set(&o.MinLength, d.MinLength)
	set(&o.MaxLength, d.MaxLength)
	set(&o.BlockTrigrams, d.BlockTrigrams)
	set(&o.Sample, d.Sample)
	set(&o.Temperature, d.Temperature)
	set(&o.TopK, d.TopK)
	set(&o.TopP, d.TopP)
	set(&o.SampleSeed, d.Seed)
	if d.MinLength == nil {
		o.MinLength = min(o.MinLength, o.MaxLength)
	}
	return o
}

func set[T any](to *T, value *T) {
	if value != nil {
		*to = *value
	}
}

// decodingOf are a model's options, each of which is set.
func decodingOf(o decode.Options) Decoding {
	return Decoding{&o.BeamSize, &o.LengthPenalty, &o.MinLength, &o.MaxLength, &o.BlockTrigrams, &o.Sample, &o.Temperature, &o.TopK, &o.TopP, &o.SampleSeed}
}

// questions is the group of those that go through a model together.
type questions struct {
	h   *head
	top int
}

// Ask implements [Model].
func (m *served) Ask(ctx context.Context, raw []byte, question string, k int) (answers run.Answers, use Usage, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.with(CanAsk, "answer questions about pictures")
		if err != nil {
			return err
		}
		if k < 1 {
			return Errorf(Invalid, "k", "%d answers; ask for 1 or more", k)
		}
		images, err := m.r.decode(ctx, v, h, "picture", [][]byte{raw})
		if err != nil {
			return err
		}
		tokens, cut := h.Ask.Encode(question)
		use = Usage{Tokens: len(tokens), Pictures: 1}
		q := &request{group: questions{h, k}, rows: []int{images[0].Regions() + len(tokens)}, usage: use}
		said, err := through(ctx, v, q, "ask", []about{{images[0], question}}, func(ctx context.Context, items []about) ([]run.Answers, error) {
			images, questions := apart(items)
			return h.Ask.Ask(ctx, images, questions, k, ignore)
		})
		if err != nil {
			return err
		}
		answers = said[0]
		answers.Truncated = cut
		return nil
	})
	return answers, use, err
}

// searching answers queries from an index.
func searching(x run.Index) func(ctx context.Context, queries []rank.Query) ([][]Found, error) {
	return func(ctx context.Context, queries []rank.Query) ([][]Found, error) {
		hits, err := x.Search(ctx, queries)
		if store := (*rank.StoreError)(nil); errors.As(err, &store) && ctx.Err() == nil {
			err = &Error{Kind: Unavailable, Message: "the index cannot be searched now; try again", RetryAfter: 5 * time.Second, Err: err}
		}
		all := make([][]Found, len(hits))
		for i, list := range hits {
			for _, hit := range list {
				f := Found{ID: hit.ID, Similarity: float64(hit.Similarity), Ranked: hit.Ranked}
				if queries[i].Image == nil {
					f.Score = scoreOf(x.Says(hit))
					f.Score.Value = float64(hit.Match)
				}
				all[i] = append(all[i], f)
			}
		}
		return all, err
	}
}

// searcher returns the head that has an index.
func (v view) searcher() (*head, error) {
	does := "search; models for retrieval with vectors of pictures (contrast_size) do"
	if slices.ContainsFunc(v.heads, func(h *head) bool { return h.OpenIndex != nil }) {
		does = "search; start the server with the index that it made (--index)"
	}
	return v.with(CanSearch, does)
}

// Search implements [Model].
func (m *served) Search(ctx context.Context, item Item, k int) (list []Found, use Usage, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.searcher()
		if err != nil {
			return err
		}
		switch {
		case k < 1:
			return Errorf(Invalid, "k", "%d pictures; ask for 1 or more", k)
		case item.Tokens != nil:
			return Errorf(Invalid, "text", "the query is tokens; give a text or a picture")
		}
		it, q := rank.Query{K: min(k, len(h.ids))}, &request{group: h}
		if item.Picture != nil {
			images, err := m.r.decode(ctx, v, h, "picture", [][]byte{item.Picture})
			if err != nil {
				return err
			}
			it.Image, q.rows, use.Pictures = images[0], rowsOf(images), 1
		} else {
			it.Text, _ = h.index.Encode(item.Text)
			q.rows, use.Tokens = []int{len(it.Text)}, len(it.Text)
			if it.Candidates = h.index.Candidates(); it.Candidates > 0 {
				q.rows[0] += shareRows // what the pairs of a text and its candidates take
			}
		}
		q.usage = use
		found, err := through(ctx, v, q, "search", []rank.Query{it}, searching(h.index))
		if err == nil {
			list = found[0]
		}
		return err
	})
	return list, use, err
}

// Pictures implements [Model].
func (m *served) Pictures(_ context.Context, first, k int) (ids []string, total int, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.searcher()
		if err != nil {
			return err
		}
		all := h.index.IDs()
		total = len(all)
		first = min(max(first, 0), total)
		ids = slices.Clone(all[first:min(first+max(k, 0), total)])
		return nil
	})
	return ids, total, err
}

// Picture implements [Model].
func (m *served) Picture(_ context.Context, id string) (raw []byte, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.searcher()
		if err != nil {
			return err
		}
		if !h.ids[id] {
			return Errorf(NotFound, "id", "no picture of the index is called %.100q", id)
		}
		path := h.index.Path(id)
		if path == "" {
			return Errorf(NotFound, "id", "the index is of region features, which have no pictures with them")
		}
		raw, err = picture.ReadFile(path, picture.Limits{})
		if err != nil {
			return &Error{Kind: NotFound, Param: "id", Message: fmt.Sprintf("picture %.100q cannot be read any more; the index is older than the folder", id), Err: err}
		}
		return nil
	})
	return raw, err
}
