package native

import (
	"context"
	"net/http"

	"github.com/unimo-go/unimo/internal/answer"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// input is a text, a pair of texts, or a picture with a text.
type input struct {
	Text    string        `json:"text"`
	Pair    string        `json:"pair"`
	Picture web.Reference `json:"picture"`
}

// classifyRequest is about one input, or about several.
type classifyRequest struct {
	Model string `json:"model"`
	input
	Inputs []input `json:"inputs"`
}

type classifyAnswer struct {
	Model       string              `json:"model"`
	Predictions []answer.Prediction `json:"predictions"`
	Usage       usage               `json:"usage"`
}

func (s *server) classify(ctx context.Context, q classifyRequest) (a classifyAnswer, err error) {
	if err := either(q.input != input{}, len(q.Inputs) > 0, "text (and pair or picture) or inputs"); err != nil {
		return a, err
	}
	if err := s.limits.CheckItems("inputs", len(q.Inputs)); err != nil {
		return a, err
	}
	list := q.Inputs
	if len(list) == 0 {
		list = []input{q.input}
	}
	m, err := s.models.Model(q.Model)
	if err != nil {
		return a, err
	}
	inputs, places := make([]backend.Input, len(list)), make([]string, len(list))
	for i, x := range list {
		inputs[i] = backend.Input{Text: x.Text, Pair: x.Pair}
		if places[i] = "picture"; len(q.Inputs) > 0 {
			places[i] = web.At("inputs", i) + ".picture"
		}
		if x.Picture != "" {
			if inputs[i].Picture, err = s.picked(ctx, places[i], x.Picture); err != nil {
				return a, err
			}
		}
	}
	predictions, use, err := m.Classify(ctx, inputs)
	if err != nil {
		return a, err
	}
	info := m.Info()
	a = classifyAnswer{info.ID, make([]answer.Prediction, len(list)), usage(use)}
	for i, x := range list {
		p := &a.Predictions[i]
		p.Text, p.TextB = x.Text, x.Pair
		if x.Picture != "" {
			p.Image = places[i]
		}
		p.Says(predictions[i], func(class int) string { return info.Labels[class] })
	}
	return a, nil
}

type generateRequest struct {
	Model   string   `json:"model"`
	Texts   []string `json:"texts"`
	Passage string   `json:"passage"`
	Stream  bool     `json:"stream"`
	backend.Decoding
}

type generateAnswer struct {
	Model string `json:"model"`
	answer.Generated
	Usage usage `json:"usage"`
}

func generated(m backend.Model, texts []string, g backend.Generated) generateAnswer {
	return generateAnswer{m.Info().ID, answer.Generated{Source: texts, Generated: g.Text, Score: g.Score, Finished: g.Finished}, usage(g.Usage)}
}

// piece is an event of a stream; the last event is a [generateAnswer].
type piece struct {
	Piece string `json:"piece"`
}

func (s *server) generate(w http.ResponseWriter, r *http.Request) error {
	var q generateRequest
	if _, err := query(r); err != nil {
		return err
	}
	if err := web.ReadStrict(w, r, s.limits, &q); err != nil {
		return err
	}
	if err := s.limits.CheckItems("texts", len(q.Texts)); err != nil {
		return err
	}
	m, err := s.models.Model(q.Model)
	if err != nil {
		return err
	}
	request := backend.GenerateRequest{Texts: q.Texts, Passage: q.Passage, Decoding: q.Decoding}
	if !q.Stream {
		g, err := m.Generate(r.Context(), request, nil)
		if err != nil {
			return err
		}
		web.WriteJSON(w, http.StatusOK, generated(m, q.Texts, g))
		return nil
	}
	out := &web.Events{W: w}
	g, err := m.Generate(r.Context(), request, func(words string) error { return out.Send(piece{words}) })
	switch {
	case err != nil && !out.Begun():
		return err // with a status of its own
	case err != nil:
		out.Send(describe(err)) // if nobody listens any more, nobody is left to tell
	default:
		out.Send(generated(m, q.Texts, g))
	}
	return nil
}
