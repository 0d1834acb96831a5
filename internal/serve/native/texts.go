package native

import (
	"context"
	"net/http"

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

type prediction struct {
	Label         string    `json:"label,omitempty"`
	Probability   *float64  `json:"probability,omitempty"`
	Probabilities []float64 `json:"probabilities,omitempty"`
	Score         *float64  `json:"score,omitempty"` // of a regression
	Truncated     bool      `json:"truncated,omitempty"`
}

type classifyAnswer struct {
	Model       string       `json:"model"`
	Labels      []string     `json:"labels,omitempty"` // in the order of probabilities
	Predictions []prediction `json:"predictions"`
	Usage       usage        `json:"usage"`
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
	inputs := make([]backend.Input, len(list))
	for i, x := range list {
		inputs[i] = backend.Input{Text: x.Text, Pair: x.Pair}
		if x.Picture != "" {
			if inputs[i].Picture, err = s.picked(ctx, web.At("inputs", i)+".picture", x.Picture); err != nil {
				return a, err
			}
		}
	}
	predictions, use, err := m.Classify(ctx, inputs)
	if err != nil {
		return a, err
	}
	info := m.Info()
	a = classifyAnswer{info.ID, info.Labels, []prediction{}, usage(use)}
	for _, p := range predictions {
		one := prediction{Label: p.Label, Probabilities: p.Probabilities, Truncated: p.Truncated}
		if p.Label != "" {
			one.Probability = &p.Probability
		} else {
			one.Score = &p.Score
		}
		a.Predictions = append(a.Predictions, one)
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

// piece is an event of a stream; the last event is a [text].
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
		web.WriteJSON(w, http.StatusOK, textOf(m, g))
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
		out.Send(textOf(m, g))
	}
	return nil
}
