package oip

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// task is a kind of work of a model as inputs, outputs and parameters.
type task struct {
	name       string
	inputs     func(i backend.Info) [][]string // the sets of inputs that it reads, one of which a request has
	outputs    func(i backend.Info) []tensor   // names, datatypes, shapes; the first dimension is the batch
	parameters []string
	run        func(ctx context.Context, m backend.Model, b *batch) ([]tensor, backend.Usage, error)
}

// inputDocs are the inputs that there are, in the order of metadata.
var inputDocs = []tensor{
	{name: "text", datatype: "BYTES", shape: []int64{-1}},
	{name: "text_pair", datatype: "BYTES", shape: []int64{-1}},
	{name: "passage", datatype: "BYTES", shape: []int64{-1}},
	{name: "picture", datatype: "BYTES", shape: []int64{-1}},
	{name: "input_ids", datatype: "INT64", shape: []int64{-1, -1}},
	{name: "attention_mask", datatype: "INT64", shape: []int64{-1, -1}},
	{name: "query", datatype: "BYTES", shape: []int64{1}},
	{name: "query_picture", datatype: "BYTES", shape: []int64{1}},
}

// sets picks the sets of inputs that a model's capabilities allow.
func sets(can backend.Capability, list ...any) [][]string {
	var out [][]string
	for i := 0; i < len(list); i += 2 {
		if can.Has(list[i].(backend.Capability)) {
			out = append(out, strings.Fields(list[i+1].(string)))
		}
	}
	return out
}

func fixed(list ...tensor) func(backend.Info) []tensor {
	return func(backend.Info) []tensor { return list }
}

func of(name, datatype string, shape ...int64) tensor {
	return tensor{name: name, datatype: datatype, shape: append([]int64{-1}, shape...)}
}

var written = fixed(of("generated_text", "BYTES"), of("generated_score", "FP64"), of("finished", "BOOL"))

// tasks are in the order in which they are looked for where a request does not say which outputs it wants.
var tasks = []task{
	{
		name: "score",
		inputs: func(i backend.Info) [][]string {
			return sets(i.Can, backend.CanScore, "query text", backend.CanMatch|backend.CanEmbedPicture, "query_picture picture")
		},
		outputs: fixed(of("score", "FP64")),
		run:     score,
	},
	{
		name: "match",
		inputs: func(i backend.Info) [][]string {
			return sets(i.Can, backend.CanMatch, "query picture", backend.CanMatch, "query_picture text")
		},
		outputs: func(i backend.Info) []tensor {
			list := []tensor{of("score", "FP64")}
			if i.Details.Calibrated {
				list = append(list, of("probability", "FP64"), of("fits", "BOOL"))
			}
			return list
		},
		run: score,
	},
	{
		name: "classify",
		inputs: func(i backend.Info) [][]string {
			texts, pairs := "text", "text text_pair"
			switch {
			case i.Details.ReadsPair:
				texts = pairs
			case i.Details.Task == "": // another library's, which does not say whether it reads pairs
				return sets(i.Can, backend.CanClassify, texts, backend.CanClassify, pairs, backend.CanClassifyPicture, "picture text")
			}
			return sets(i.Can, backend.CanClassify, texts, backend.CanClassifyPicture, "picture text")
		},
		outputs: func(i backend.Info) []tensor {
			if len(i.Labels) == 0 {
				return []tensor{of("value", "FP64")}
			}
			return []tensor{of("label", "BYTES"), of("probabilities", "FP64", int64(len(i.Labels)))}
		},
		run: classify,
	},
	{
		name:       "ask",
		inputs:     func(i backend.Info) [][]string { return sets(i.Can, backend.CanAsk, "picture text") },
		outputs:    fixed(of("answer", "BYTES", -1), of("answer_probability", "FP64", -1)),
		parameters: []string{"top_k"},
		run:        ask,
	},
	{
		name:       "caption",
		inputs:     func(i backend.Info) [][]string { return sets(i.Can, backend.CanCaption, "picture") },
		outputs:    written,
		parameters: decodingNames,
		run:        caption,
	},
	{
		name: "generate",
		inputs: func(i backend.Info) [][]string {
			switch {
			case i.Details.Passage: // the turns of a conversation, of which there may be one or two, about a passage
				return sets(i.Can, backend.CanGenerate, "text", backend.CanGenerate, "text passage", backend.CanGenerate, "text text_pair", backend.CanGenerate, "text text_pair passage")
			case len(i.Details.Texts) == 2:
				return sets(i.Can, backend.CanGenerate, "text text_pair")
			}
			return sets(i.Can, backend.CanGenerate, "text")
		},
		outputs:    written,
		parameters: decodingNames,
		run:        generate,
	},
	{
		name: "embed",
		inputs: func(i backend.Info) [][]string {
			return sets(i.Can, backend.CanEmbedText, "text", backend.CanEmbedPicture, "picture", backend.CanEmbedText, "input_ids", backend.CanEmbedText, "input_ids attention_mask")
		},
		outputs:    func(i backend.Info) []tensor { return []tensor{of("embedding", "FP32", int64(i.Dimension))} },
		parameters: []string{"dimensions", "normalize", "prompt", "strict"},
		run:        embed,
	},
	{
		name: "search",
		inputs: func(i backend.Info) [][]string {
			return sets(i.Can, backend.CanSearch, "text", backend.CanSearch, "picture")
		},
		outputs:    fixed(of("found", "BYTES", -1), of("similarity", "FP64", -1)),
		parameters: []string{"top_k"},
		run:        search,
	},
}

// tasksOf are what a model does.
func tasksOf(i backend.Info) []task {
	return slices.DeleteFunc(slices.Clone(tasks), func(t task) bool { return len(t.inputs(i)) == 0 })
}

// describe returns the inputs and outputs of a model.
func describe(i backend.Info) (inputs, outputs []tensor) {
	reads := map[string]bool{}
	for _, t := range tasksOf(i) {
		for _, set := range t.inputs(i) {
			for _, name := range set {
				reads[name] = true
			}
		}
		for _, o := range t.outputs(i) {
			if !slices.ContainsFunc(outputs, func(have tensor) bool { return have.name == o.name }) {
				outputs = append(outputs, o)
			}
		}
	}
	for _, in := range inputDocs {
		if reads[in.name] {
			inputs = append(inputs, in)
		}
	}
	return inputs, outputs
}

// batch is the inputs of a request.
type batch struct {
	inputs map[string]*tensor
	params parameters
	limits web.Limits
	n      int                      // items
	emit   func(piece string) error // may be nil
}

// newBatch checks that the inputs fit together and are within the limits.
func newBatch(inputs []tensor, p parameters, l web.Limits) (*batch, error) {
	b := &batch{inputs: map[string]*tensor{}, params: p, limits: l}
	for i := range inputs {
		t := &inputs[i]
		if b.inputs[t.name] != nil {
			return nil, backend.Errorf(backend.Invalid, t.name, "input %q is given twice", t.name)
		}
		b.inputs[t.name] = t
		at := slices.IndexFunc(inputDocs, func(d tensor) bool { return d.name == t.name })
		if at < 0 {
			return nil, backend.Errorf(backend.Invalid, t.name, "there is no input %q; the model's metadata lists its inputs", t.name)
		}
		want := inputDocs[at]
		if numbers := t.datatype != "BYTES"; numbers != (want.datatype != "BYTES") {
			return nil, backend.Errorf(backend.Invalid, t.name, "input %q is %s; want %s", t.name, t.datatype, want.datatype)
		}
		// Triton's configurations have a batch of one string each as [N, 1].
		if fits := len(t.shape) == len(want.shape) || len(want.shape) == 1 && len(t.shape) == 2 && t.shape[1] == 1; !fits {
			return nil, backend.Errorf(backend.Invalid, t.name, "input %q has the shape %v; want %v", t.name, t.shape, want.shape)
		}
		size := int(t.shape[0])
		if strings.HasPrefix(t.name, "query") {
			if size != 1 {
				return nil, backend.Errorf(backend.Invalid, t.name, "input %q has %d values; a request has one query", t.name, size)
			}
			continue
		}
		if err := l.CheckItems(t.name, size); err != nil {
			return nil, err
		}
		if b.n > 0 && size != b.n {
			return nil, backend.Errorf(backend.Invalid, t.name, "input %q has %d values, and another input has %d; a batch has as many of each", t.name, size, b.n)
		}
		b.n = size
	}
	if b.n == 0 {
		return nil, backend.Errorf(backend.Invalid, "inputs", "the request has no inputs; the model's metadata lists its inputs")
	}
	return b, nil
}

// reads says whether the inputs are ones that a task reads.
func (b *batch) reads(t task, i backend.Info) bool {
	return slices.ContainsFunc(t.inputs(i), func(set []string) bool {
		return len(set) == len(b.inputs) && !slices.ContainsFunc(set, func(name string) bool { return b.inputs[name] == nil })
	})
}

func (b *batch) names() string {
	var list []string
	for _, d := range inputDocs {
		if b.inputs[d.name] != nil {
			list = append(list, d.name)
		}
	}
	return strings.Join(list, ", ")
}

// text is value i of an input, "" if there is none.
func (b *batch) text(name string, i int) string {
	if t := b.inputs[name]; t != nil {
		return string(t.bytes[i])
	}
	return ""
}

// picture is value i of an input of pictures: a file's content, in JSON a data URL.
func (b *batch) picture(ctx context.Context, name string, i int) ([]byte, error) {
	t := b.inputs[name]
	if t == nil {
		return nil, nil
	}
	if t.fromJSON {
		return b.limits.Picture(ctx, name, string(t.bytes[i]))
	}
	if len(t.bytes[i]) == 0 {
		return nil, backend.Errorf(backend.Invalid, name, "%s %d is empty", name, i)
	}
	return t.bytes[i], nil
}

// tokens is row i of input_ids, without what attention_mask has 0 for.
func (b *batch) tokens(i int) ([]int, error) {
	ids, mask := b.inputs["input_ids"], b.inputs["attention_mask"]
	if mask != nil && !slices.Equal(mask.shape, ids.shape) {
		return nil, backend.Errorf(backend.Invalid, mask.name, "attention_mask has the shape %v, and input_ids %v", mask.shape, ids.shape)
	}
	wide := int(ids.shape[1])
	list := make([]int, 0, wide)
	for j := i * wide; j < (i+1)*wide; j++ {
		if mask == nil || mask.ints[j] != 0 {
			list = append(list, int(ids.ints[j]))
		}
	}
	if len(list) == 0 {
		return nil, backend.Errorf(backend.Invalid, ids.name, "row %d of input_ids has no token", i)
	}
	return list, nil
}

// items are the batch as texts, token ids or pictures, whichever there are.
func (b *batch) items(ctx context.Context) (list []backend.Item, err error) {
	for i := range b.n {
		it, err := b.item(ctx, "text", "picture", i)
		if err != nil {
			return nil, err
		}
		list = append(list, it)
	}
	return list, nil
}

func (b *batch) item(ctx context.Context, text, picture string, i int) (it backend.Item, err error) {
	switch {
	case b.inputs[picture] != nil:
		it.Picture, err = b.picture(ctx, picture, i)
	case b.inputs[text] != nil:
		it.Text = b.text(text, i)
	default:
		it.Tokens, err = b.tokens(i)
	}
	return it, err
}

// together is how many of a request's items ask a model at once where the seam takes one by one: they share its batches, and leave room
// in its queue for other requests.
const together = 8

// each does work for each of the batch.
func (b *batch) each(ctx context.Context, work func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(together)
	for i := range b.n {
		g.Go(func() error { return web.Caught(ctx, func() error { return work(ctx, i) }) })
	}
	return g.Wait()
}

func filled(name, datatype string, shape ...int) tensor {
	t := tensor{name: name, datatype: datatype}
	n := 1
	for _, d := range shape {
		t.shape = append(t.shape, int64(d))
		n *= d
	}
	switch datatype {
	case "BYTES":
		t.bytes = make([][]byte, 0, n)
	case "BOOL":
		t.bools = make([]bool, 0, n)
	case "FP32":
		t.f32 = make([]float32, 0, n)
	case "FP64":
		t.f64 = make([]float64, 0, n)
	}
	return t
}

func embed(ctx context.Context, m backend.Model, b *batch) ([]tensor, backend.Usage, error) {
	var o backend.EmbedOptions
	var use backend.Usage
	items, err := b.items(ctx)
	if err != nil {
		return nil, use, err
	}
	if o.Dimensions, err = takeInt(b.params, "dimensions", 1, m.Info().Dimension, 0); err != nil {
		return nil, use, err
	}
	if o.Normalize, err = take[bool](b.params, "normalize", "true or false"); err != nil {
		return nil, use, err
	}
	prompt, err := take[string](b.params, "prompt", "the name of a prompt")
	if err != nil {
		return nil, use, err
	}
	if prompt != nil {
		o.Prompt = *prompt
	}
	strict, err := take[bool](b.params, "strict", "true or false")
	if err != nil {
		return nil, use, err
	}
	o.Strict = strict != nil && *strict
	e, err := m.Embed(ctx, items, o)
	if err != nil {
		return nil, use, err
	}
	t := filled("embedding", "FP32", b.n, len(e.Vectors[0]))
	for _, v := range e.Vectors {
		t.f32 = append(t.f32, v...)
	}
	return []tensor{t}, e.Usage, nil
}

func score(ctx context.Context, m backend.Model, b *batch) ([]tensor, backend.Usage, error) {
	query, err := b.item(ctx, "query", "query_picture", 0)
	if err != nil {
		return nil, backend.Usage{}, err
	}
	documents, err := b.items(ctx)
	if err != nil {
		return nil, backend.Usage{}, err
	}
	s, err := m.Score(ctx, query, documents)
	if err != nil {
		return nil, backend.Usage{}, err
	}
	value, probability, fits := filled("score", "FP64", b.n), filled("probability", "FP64", b.n), filled("fits", "BOOL", b.n)
	for _, one := range s.List {
		value.f64, probability.f64, fits.bools = append(value.f64, one.Value), append(probability.f64, one.Probability), append(fits.bools, one.Fits)
	}
	return []tensor{value, probability, fits}, s.Usage, nil
}

func classify(ctx context.Context, m backend.Model, b *batch) ([]tensor, backend.Usage, error) {
	var use backend.Usage
	inputs := make([]backend.Input, b.n)
	for i := range inputs {
		picture, err := b.picture(ctx, "picture", i)
		if err != nil {
			return nil, use, err
		}
		inputs[i] = backend.Input{Text: b.text("text", i), Pair: b.text("text_pair", i), Picture: picture}
	}
	list, use, err := m.Classify(ctx, inputs)
	if err != nil {
		return nil, use, err
	}
	label, probabilities, value := filled("label", "BYTES", b.n), filled("probabilities", "FP64", b.n, len(list[0].Probabilities)), filled("value", "FP64", b.n)
	for _, p := range list {
		label.bytes, value.f64 = append(label.bytes, []byte(p.Label)), append(value.f64, p.Score)
		probabilities.f64 = append(probabilities.f64, p.Probabilities...)
	}
	return []tensor{label, probabilities, value}, use, nil
}

func ask(ctx context.Context, m backend.Model, b *batch) ([]tensor, backend.Usage, error) {
	var use backend.Usage
	k, err := takeInt(b.params, "top_k", 1, b.limits.TopK, 1)
	if err != nil {
		return nil, use, err
	}
	lists, uses := make([][]run.Scored, b.n), make([]backend.Usage, b.n)
	err = b.each(ctx, func(ctx context.Context, i int) error {
		picture, err := b.picture(ctx, "picture", i)
		if err != nil {
			return err
		}
		var said run.Answers
		said, uses[i], err = m.Ask(ctx, picture, b.text("text", i), k)
		lists[i] = said.Best
		return err
	})
	if err != nil {
		return nil, use, err
	}
	wide := shortest(lists)
	answer, probability := filled("answer", "BYTES", b.n, wide), filled("answer_probability", "FP64", b.n, wide)
	for _, list := range lists {
		for _, a := range list[:wide] {
			answer.bytes, probability.f64 = append(answer.bytes, []byte(a.Answer)), append(probability.f64, a.Probability)
		}
	}
	return []tensor{answer, probability}, sum(uses...), nil
}

func sum(uses ...backend.Usage) (all backend.Usage) {
	for _, u := range uses {
		all.Tokens, all.Pictures = all.Tokens+u.Tokens, all.Pictures+u.Pictures
	}
	return all
}

// shortest is the length that all lists have: k, or as many as there are.
func shortest[T any](lists [][]T) int {
	n := len(lists[0])
	for _, l := range lists {
		n = min(n, len(l))
	}
	return n
}

func search(ctx context.Context, m backend.Model, b *batch) ([]tensor, backend.Usage, error) {
	var use backend.Usage
	k, err := takeInt(b.params, "top_k", 1, b.limits.TopK, 10)
	if err != nil {
		return nil, use, err
	}
	items, err := b.items(ctx)
	if err != nil {
		return nil, use, err
	}
	lists, uses := make([][]backend.Found, b.n), make([]backend.Usage, b.n)
	err = b.each(ctx, func(ctx context.Context, i int) (err error) {
		lists[i], uses[i], err = m.Search(ctx, items[i], k)
		return err
	})
	if err != nil {
		return nil, use, err
	}
	wide := shortest(lists)
	found, similarity := filled("found", "BYTES", b.n, wide), filled("similarity", "FP64", b.n, wide)
	for _, list := range lists {
		for _, f := range list[:wide] {
			found.bytes, similarity.f64 = append(found.bytes, []byte(f.ID)), append(similarity.f64, f.Similarity)
		}
	}
	return []tensor{found, similarity}, sum(uses...), nil
}

func caption(ctx context.Context, m backend.Model, b *batch) ([]tensor, backend.Usage, error) {
	return texts(ctx, b, func(ctx context.Context, i int, d backend.Decoding) (backend.Generated, error) {
		picture, err := b.picture(ctx, "picture", i)
		if err != nil {
			return backend.Generated{}, err
		}
		return m.Caption(ctx, picture, d)
	})
}

func generate(ctx context.Context, m backend.Model, b *batch) ([]tensor, backend.Usage, error) {
	return texts(ctx, b, func(ctx context.Context, i int, d backend.Decoding) (backend.Generated, error) {
		return m.Generate(ctx, b.generateRequest(i, d), b.emit)
	})
}

func (b *batch) generateRequest(i int, d backend.Decoding) backend.GenerateRequest {
	r := backend.GenerateRequest{Texts: []string{b.text("text", i)}, Passage: b.text("passage", i), Decoding: d}
	if b.inputs["text_pair"] != nil {
		r.Texts = append(r.Texts, b.text("text_pair", i))
	}
	return r
}

// texts makes the outputs of texts that a model writes.
func texts(ctx context.Context, b *batch, one func(ctx context.Context, i int, d backend.Decoding) (backend.Generated, error)) ([]tensor, backend.Usage, error) {
	var use backend.Usage
	d, err := b.params.decoding()
	if err != nil {
		return nil, use, err
	}
	list := make([]backend.Generated, b.n)
	err = b.each(ctx, func(ctx context.Context, i int) (err error) {
		list[i], err = one(ctx, i, d)
		return err
	})
	if err != nil {
		return nil, use, err
	}
	return generated(list...)
}

func generated(list ...backend.Generated) ([]tensor, backend.Usage, error) {
	var use backend.Usage
	n := len(list)
	text, score, finished := filled("generated_text", "BYTES", n), filled("generated_score", "FP64", n), filled("finished", "BOOL", n)
	for _, g := range list {
		text.bytes, score.f64, finished.bools = append(text.bytes, []byte(g.Text)), append(score.f64, g.Score), append(finished.bools, g.Finished)
		use = sum(use, g.Usage)
	}
	return []tensor{text, score, finished}, use, nil
}

// classes is Triton's extension classification: of each row of probabilities the k greatest, as value:index:label.
func classes(t tensor, k int, labels []string) tensor {
	wide := int(t.shape[1])
	k = min(k, wide)
	out := filled(t.name, "BYTES", int(t.shape[0]), k)
	order := make([]int, wide)
	for row := range int(t.shape[0]) {
		p := t.f64[row*wide : (row+1)*wide]
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(p[b], p[a]) })
		for _, i := range order[:k] {
			out.bytes = append(out.bytes, []byte(strconv.FormatFloat(p[i], 'f', 6, 64)+":"+fmt.Sprint(i)+":"+labels[i]))
		}
	}
	return out
}
