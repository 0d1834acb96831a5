package backend

import (
	"context"
	"fmt"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
)

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
	if most := h.mostBeams(); !o.Sample && o.BeamSize > most {
		return Generated{}, &Error{Kind: Invalid, Param: "beam", Limit: most, Message: fmt.Sprintf("a beam of %d hypotheses; ask for 1 to %d", o.BeamSize, most)}
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

// mostBeams are the hypotheses of a search at most.
func (h *head) mostBeams() int { return max(decode.MostBeams, h.Decoding.BeamSize) }

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
