package backend

import (
	"context"
	"fmt"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
)

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
		if most := h.mostBeams(); h.Answers != nil && k > most {
			return &Error{Kind: Invalid, Param: "k", Limit: most, Message: fmt.Sprintf("%d answers of a model that writes them; ask for 1 to %d", k, most)}
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
