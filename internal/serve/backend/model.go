package backend

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/embed"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
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

// decode reads pictures as a model sees them, some at a time.
func (r *Registry) decode(ctx context.Context, param string, list [][]byte, decode func(raw []byte) (*regions.Image, error)) ([]*regions.Image, error) {
	read := make([]*regions.Image, len(list))
	for i, raw := range list {
		select {
		case r.decoding <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		im, err := decode(raw)
		<-r.decoding
		var pixels *picture.PixelsError
		switch {
		case errors.As(err, &pixels):
			return nil, &Error{
				Kind: TooLarge, Param: param, Limit: pixels.Limit, Err: err,
				Message: fmt.Sprintf("a picture has %d x %d pixels; this server takes %d, so make it smaller", pixels.Width, pixels.Height, pixels.Limit),
			}
		case err != nil:
			return nil, invalid(param, err)
		}
		read[i] = im
	}
	return read, nil
}

// embedded is what an embedding asks for.
type embedded struct {
	e        *embed.Embedder
	texts    []embed.Text
	pictures []*regions.Image
	out      []embed.Vector
}

// form is the group of embeddings: vectors that are made in the same way.
type form struct {
	e             *embed.Embedder
	asked, normal bool
	ofPictures    bool
}

var embedding = &work{"embed", func(ctx context.Context, parts []part) error {
	var texts []embed.Text
	var pictures []*regions.Image
	for _, p := range parts {
		d := p.data.(*embedded)
		if d.texts != nil {
			texts = append(texts, d.texts[p.from:p.to]...)
		} else {
			pictures = append(pictures, d.pictures[p.from:p.to]...)
		}
	}
	f := parts[0].group.(form)
	var made []embed.Vector
	var err error
	if f.ofPictures {
		made, err = f.e.Pictures(ctx, pictures, ignore)
	} else {
		var normal *bool
		if f.asked {
			normal = &f.normal
		}
		made, err = f.e.Vectors(ctx, texts, normal, ignore)
	}
	if err != nil {
		return settingsToInvalid("normalize", err)
	}
	for _, p := range parts {
		n := copy(p.data.(*embedded).out[p.from:p.to], made)
		made = made[n:]
	}
	return nil
}}

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
		if err := ctx.Err(); err != nil {
			return e, err
		}
		if it.Picture != nil {
			s.pictures, s.picOf = append(s.pictures, it.Picture), append(s.picOf, i)
			continue
		}
		text, err := read(h.embedder, it, o.Prompt)
		if err != nil {
			return e, err
		}
		if text.Cut && o.Strict {
			return e, tooLong(i, h.embedder.MaxTokens)
		}
		s.texts, s.textOf = append(s.texts, text), append(s.textOf, i)
		e.Usage.Tokens += len(text.Tokens)
	}
	e.Vectors, e.Truncated, e.Usage.Pictures = make([][]float32, len(items)), make([]bool, len(items)), len(s.pictures)
	vectors, err := r.vectors(ctx, v, h.embedder, s, o.Normalize)
	if err != nil {
		return e, err
	}
	for i, x := range vectors {
		e.Vectors[i], e.Truncated[i] = shortened(x.Values, o.Dimensions), x.Truncated
	}
	return e, nil
}

func tooLong(i, limit int) error {
	return &Error{Kind: TooLarge, Param: "input", Limit: limit, Message: fmt.Sprintf("text %d is longer than the %d tokens that the model reads; shorten it, or let it be cut", i, limit)}
}

// read returns an item that is a text as the model reads it.
func read(e *embed.Embedder, it Item, prompt string) (embed.Text, error) {
	var text embed.Text
	var err error
	if it.Tokens == nil {
		text, err = e.Read(it.Text, prompt)
	} else {
		ids := make([]int32, len(it.Tokens))
		for i, id := range it.Tokens {
			if ids[i] = int32(id); int(ids[i]) != id {
				return text, Errorf(Invalid, "input", "token %d of a text is %d, which is in no vocabulary", i, id)
			}
		}
		if text, err = e.ReadTokens(ids, prompt); err != nil && prompt == "" {
			return text, invalid("input", err)
		}
	}
	if err != nil {
		return text, invalid("prompt", err)
	}
	return text, nil
}

// vectors returns the vectors of all items, in their order.
func (r *Registry) vectors(ctx context.Context, v view, e *embed.Embedder, s sorted, normal *bool) ([]embed.Vector, error) {
	out := make([]embed.Vector, len(s.textOf)+len(s.picOf))
	f := form{e: e, asked: normal != nil, normal: normal != nil && *normal}
	if len(s.texts) > 0 {
		d := &embedded{e: e, texts: s.texts, out: make([]embed.Vector, len(s.texts))}
		q := &request{work: embedding, group: f, data: d, rows: make([]int, len(s.texts))}
		for i, t := range s.texts {
			q.rows[i] = len(t.Tokens)
		}
		if err := v.queue.do(ctx, q, nil); err != nil {
			return nil, err
		}
		for i, x := range d.out {
			out[s.textOf[i]] = x
		}
	}
	if len(s.pictures) > 0 {
		images, err := r.decode(ctx, "input", s.pictures, e.Decode)
		if err != nil {
			return nil, err
		}
		f.ofPictures = true
		d := &embedded{e: e, pictures: images, out: make([]embed.Vector, len(images))}
		q := &request{work: embedding, group: f, data: d, rows: rowsOf(images), usage: Usage{Pictures: len(images)}}
		if err := v.queue.do(ctx, q, nil); err != nil {
			return nil, err
		}
		for i, x := range d.out {
			out[s.picOf[i]] = x
		}
	}
	return out, nil
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

// pairs is what scoring asks for: pairs of a picture and a text, one of which is the same in all.
type pairs struct {
	images []*regions.Image
	texts  rank.Texts
	out    []retrieve.Matched
}

// at is the picture and the text of pair i.
func (d *pairs) at(i int) model.Pair {
	return model.Pair{Image: int32(min(i, len(d.images)-1)), Text: int32(min(i, len(d.texts)-1))}
}

var scoring = &work{"score", func(ctx context.Context, parts []part) error {
	var images []*regions.Image
	var texts rank.Texts
	var all []model.Pair
	first := map[*request]model.Pair{} // numbers of its first picture and text
	for _, p := range parts {
		d := p.data.(*pairs)
		base, ok := first[p.request]
		if !ok {
			base = model.Pair{Image: int32(len(images)), Text: int32(len(texts))}
			first[p.request] = base
			images, texts = append(images, d.images...), append(texts, d.texts...)
		}
		for i := p.from; i < p.to; i++ {
			at := d.at(i)
			all = append(all, model.Pair{Image: base.Image + at.Image, Text: base.Text + at.Text})
		}
	}
	made, err := parts[0].group.(*retrieve.Retriever).Pairs(ctx, images, texts, all, ignore)
	if err != nil {
		return err
	}
	for _, p := range parts {
		n := copy(p.data.(*pairs).out[p.from:p.to], made)
		made = made[n:]
	}
	return nil
}}

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
	case h.texts != nil:
		return r.scorePairs(ctx, v, h, query, documents)
	case h.retriever != nil && across:
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
		s.List[i] = Score{Value: dot(e.Vectors[0], e.Vectors[i+1]), Truncated: e.Truncated[i+1]}
	}
	return s, nil
}

// match scores pictures with texts by the full model, or by the vectors of one that was trained for these alone.
func (r *Registry) match(ctx context.Context, v view, h *head, query Item, documents []Item) (s Scores, err error) {
	d := &pairs{out: make([]retrieve.Matched, len(documents))}
	var raw [][]byte
	var cut []bool
	for _, it := range append([]Item{query}, documents...) {
		switch {
		case it.Picture != nil:
			raw = append(raw, it.Picture)
			continue
		case it.Tokens != nil:
			return s, Errorf(Cannot, "documents", "model %s scores texts, not tokens; send texts", v.id)
		}
		tokens, shorter := h.retriever.Encode(it.Text)
		d.texts, cut = append(d.texts, tokens), append(cut, shorter)
		s.Usage.Tokens += len(tokens)
	}
	s.Usage.Pictures, s.Similarity = len(raw), h.retriever.VectorsOnly
	if d.images, err = r.decode(ctx, "documents", raw, h.retriever.Decode); err != nil {
		return s, err
	}
	q := &request{work: scoring, group: h.retriever, data: d, rows: make([]int, len(documents)), usage: s.Usage}
	for i := range q.rows {
		at := d.at(i)
		q.rows[i] = d.images[at.Image].Regions() + len(d.texts[at.Text])
	}
	if err := v.queue.do(ctx, q, nil); err != nil {
		return s, err
	}
	s.List = make([]Score, len(documents))
	for i, x := range d.out {
		s.List[i] = scoreOf(x)
		s.List[i].Truncated = cut[d.at(i).Text]
	}
	return s, nil
}

func scoreOf(x retrieve.Matched) Score {
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

// classified is what a classification asks for.
type classified struct {
	records []labelled.Record
	images  []*regions.Image // of a model that reads pictures
	texts   []string
	out     []Prediction
}

var classifying = &work{"classify", func(ctx context.Context, parts []part) error {
	h := parts[0].group.(*head)
	var made []Prediction
	if h.texts != nil {
		var records []labelled.Record
		for _, p := range parts {
			records = append(records, p.data.(*classified).records[p.from:p.to]...)
		}
		list, err := h.texts.Answer(ctx, records, ignore)
		if err != nil {
			return err
		}
		for _, x := range list {
			made = append(made, Prediction{x.Label, x.Probability, x.Probabilities, x.Score, false})
		}
	} else {
		var images []*regions.Image
		var texts []string
		for _, p := range parts {
			d := p.data.(*classified)
			images, texts = append(images, d.images[p.from:p.to]...), append(texts, d.texts[p.from:p.to]...)
		}
		list, err := h.pairs.Reply(ctx, images, texts, ignore)
		if err != nil {
			return err
		}
		for _, x := range list {
			made = append(made, Prediction{x.Answer, x.Probability, x.Probabilities, 0, false})
		}
	}
	for _, p := range parts {
		n := copy(p.data.(*classified).out[p.from:p.to], made)
		made = made[n:]
	}
	return nil
}}

// Classify implements [Model].
func (m *served) Classify(ctx context.Context, inputs []Input) (list []Prediction, use Usage, err error) {
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

func (r *Registry) classify(ctx context.Context, v view, h *head, inputs []Input) (list []Prediction, use Usage, err error) {
	d := &classified{out: make([]Prediction, len(inputs))}
	q := &request{work: classifying, group: h, data: d, rows: make([]int, len(inputs))}
	cut := make([]bool, len(inputs))
	var raw [][]byte
	for i, in := range inputs {
		if h.texts != nil {
			var record labelled.Record
			record, cut[i] = h.texts.Encode(labelled.Example{TextA: in.Text, TextB: in.Pair})
			d.records, q.rows[i] = append(d.records, record), len(record.Tokens)
		} else {
			var tokens []int32
			tokens, cut[i] = h.pairs.Encoder.Encode(in.Text)
			d.texts, raw, q.rows[i] = append(d.texts, in.Text), append(raw, in.Picture), len(tokens)
		}
		use.Tokens += q.rows[i]
	}
	if h.pairs != nil {
		if d.images, err = r.decode(ctx, "picture", raw, h.pairs.Decode); err != nil {
			return nil, use, err
		}
		for i, n := range rowsOf(d.images) {
			q.rows[i] += n
		}
	}
	use.Pictures = len(raw)
	q.usage = use
	if err := v.queue.do(ctx, q, nil); err != nil {
		return nil, use, err
	}
	for i := range d.out {
		d.out[i].Truncated = cut[i]
	}
	return d.out, use, nil
}

// written is what a text is asked for.
type written struct {
	source decode.Source
	out    Generated
}

// way is the group of texts that are found in the same way. A text that is sampled is drawn alone: its random numbers are the first ones.
type way struct {
	h       *head
	options decode.Options
	alone   *written
}

var writing = &work{"generate", func(ctx context.Context, parts []part) error {
	w := parts[0].group.(way)
	sources := make([]decode.Source, len(parts))
	for i, p := range parts {
		sources[i] = p.data.(*written).source
	}
	if w.h.captioner != nil {
		list, err := w.h.captioner.DecodeAll(ctx, sources, w.options)
		for i, x := range list {
			parts[i].data.(*written).out = Generated{Text: x.Text, Score: x.Score, Finished: x.Finished, Written: x.Tokens}
		}
		return err
	}
	list, err := w.h.writer.DecodeAll(ctx, sources, w.options, func(i int, piece string) {
		if parts[i].emit != nil {
			parts[i].emit <- piece
		}
	})
	for i, x := range list {
		parts[i].data.(*written).out = Generated{Text: x.Text, Score: x.Score, Finished: x.Finished, Written: x.Tokens}
	}
	return err
}}

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
		case h.writer.Dialogue() != (g.Passage != ""):
			return Errorf(Invalid, "passage", "model %s is for %s; give a passage to a model for conversations, and to no other", v.id, h.config.ProblemType)
		}
		source, cut, err := h.writer.Source(seq2seq.Example{File: "request", Line: 1, Sources: g.Texts, Knowledge: g.Passage})
		if err != nil {
			return invalid("texts", err)
		}
		if g.Strict && cut.Source+cut.Turns > 0 {
			return &Error{Kind: TooLarge, Param: "texts", Limit: source.Rows(), Message: fmt.Sprintf("the text is longer than the %d tokens that the model reads; shorten it, or let it be cut", source.Rows())}
		}
		out, err = m.write(ctx, v, h, source, h.writer.Decoding, g.Decoding, emit)
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
		images, err := m.r.decode(ctx, "picture", [][]byte{raw}, h.captioner.Decode)
		if err != nil {
			return err
		}
		source, err := h.captioner.Source(images[0], h.tagger)
		if err != nil {
			return err
		}
		out, err = m.write(ctx, v, h, source, h.captioner.Decoding, o, nil)
		out.Usage.Pictures = 1
		return err
	})
	return out, err
}

func (m *served) write(ctx context.Context, v view, h *head, source decode.Source, own decode.Options, asked Decoding, emit func(piece string) error) (Generated, error) {
	o := asked.over(own)
	if err := o.Validate(*h.config); err != nil {
		return Generated{}, invalid("decoding", err)
	}
	d := &written{source: source}
	g := way{h: h, options: o}
	beams := o.BeamSize
	if o.Sample {
		g.alone, beams = d, 1
	}
	// A batch of texts that are written has fewer rows than one that is read: its steps are of a row for each hypothesis.
	q := &request{work: writing, group: g, data: d, rows: []int{source.Rows() + shareRows/16*beams}}
	if emit != nil {
		q.emit = make(chan string, o.MaxLength+4) // a piece is of one token at least; the rest of the last one may follow
	}
	if err := v.queue.do(ctx, q, emit); err != nil {
		return Generated{}, err
	}
	return d.out, nil
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

// asked is a question about a picture.
type asked struct {
	image    *regions.Image
	question string
	out      []Answer
}

// questions is the group of those that go through a model together.
type questions struct {
	h   *head
	top int
}

var answering = &work{"ask", func(ctx context.Context, parts []part) error {
	g := parts[0].group.(questions)
	var images []*regions.Image
	var texts []string
	for _, p := range parts {
		d := p.data.(*asked)
		images, texts = append(images, d.image), append(texts, d.question)
	}
	list, err := g.h.answerer.Ask(ctx, images, texts, g.top, ignore)
	for i, x := range list {
		for _, best := range x.Best {
			d := parts[i].data.(*asked)
			d.out = append(d.out, Answer{best.Answer, best.Probability})
		}
	}
	return err
}}

// Ask implements [Model].
func (m *served) Ask(ctx context.Context, raw []byte, question string, k int) (list []Answer, use Usage, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.with(CanAsk, "answer questions about pictures")
		if err != nil {
			return err
		}
		if k < 1 {
			return Errorf(Invalid, "k", "%d answers; ask for 1 or more", k)
		}
		images, err := m.r.decode(ctx, "picture", [][]byte{raw}, h.answerer.Decode)
		if err != nil {
			return err
		}
		tokens, _ := h.answerer.Encoder.Encode(question)
		use = Usage{Tokens: len(tokens), Pictures: 1}
		d := &asked{image: images[0], question: question}
		q := &request{work: answering, group: questions{h, k}, data: d, rows: []int{images[0].Regions() + len(tokens)}, usage: use}
		if err := v.queue.do(ctx, q, nil); err != nil {
			return err
		}
		list = d.out
		return nil
	})
	return list, use, err
}

// searched is a query.
type searched struct {
	text  string
	image *regions.Image // nil of a text
	k     int
	out   []Found
}

var searching = &work{"search", func(ctx context.Context, parts []part) error {
	h := parts[0].group.(*head)
	for _, p := range parts {
		d := p.data.(*searched)
		var hits []rank.Found
		var err error
		if d.image != nil {
			hits, err = h.index.Image(ctx, d.image, d.k)
		} else {
			hits, err = h.index.Text(ctx, d.text, d.k, h.candidates())
		}
		if err != nil {
			return err
		}
		d.out = nil
		for _, x := range hits {
			f := Found{ID: x.ID, Similarity: float64(x.Similarity), Ranked: x.Ranked}
			if d.image == nil {
				f.Score = scoreOf(h.index.Says(x))
				f.Score.Value = float64(x.Match)
			}
			d.out = append(d.out, f)
		}
	}
	return nil
}}

// candidates is how many pictures the full model puts in order.
func (h *head) candidates() int {
	if h.retriever.VectorsOnly {
		return 0
	}
	return Candidates
}

// Candidates is how many pictures of an index the full model puts in order for a text, the best ones by vectors, as "unimo search" does.
const Candidates = 20

// Search implements [Model].
func (m *served) Search(ctx context.Context, query Item, k int) (list []Found, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.with(CanSearch, "search; start the server with the index that it made (--index)")
		if err != nil {
			return err
		}
		switch {
		case k < 1:
			return Errorf(Invalid, "k", "%d pictures; ask for 1 or more", k)
		case query.Tokens != nil:
			return Errorf(Invalid, "text", "the query is tokens; give a text or a picture")
		}
		d := &searched{text: query.Text, k: min(k, len(h.ids))}
		q := &request{work: searching, group: h, data: d, rows: []int{shareRows}}
		if query.Picture != nil {
			images, err := m.r.decode(ctx, "picture", [][]byte{query.Picture}, h.retriever.Decode)
			if err != nil {
				return err
			}
			d.image, q.usage.Pictures = images[0], 1
		}
		if err := v.queue.do(ctx, q, nil); err != nil {
			return err
		}
		list = d.out
		return nil
	})
	return list, err
}

// Pictures implements [Model].
func (m *served) Pictures(_ context.Context, first, k int) (ids []string, total int, err error) {
	err = m.r.use(m.name, func(v view) error {
		h, err := v.with(CanSearch, "search; start the server with the index that it made (--index)")
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
		h, err := v.with(CanSearch, "search; start the server with the index that it made (--index)")
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

// maxTokenized bounds the text that is cut into tokens for a client.
const maxTokenized = 1 << 20

// Tokenize implements [Model].
func (m *served) Tokenize(_ context.Context, text string, special bool) (list []Token, err error) {
	err = m.r.use(m.name, func(v view) error {
		if len(text) > maxTokenized {
			return &Error{Kind: TooLarge, Param: "inputs", Limit: maxTokenized, Message: fmt.Sprintf("a text has %d bytes; want %d or fewer", len(text), maxTokenized)}
		}
		i := slices.IndexFunc(v.heads, func(h *head) bool { return h.tokenizer != nil })
		if i < 0 {
			return Errorf(Cannot, "model", "model %s reads no texts", v.id)
		}
		list = tokens(v.heads[i].tokenizer, text, special)
		return nil
	})
	return list, err
}
