package tei

import (
	"context"
	"encoding/json"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// embedRequest is what POST /embed takes.
type embedRequest struct {
	Inputs     json.RawMessage `json:"inputs"`
	Truncate   *bool           `json:"truncate"`
	Direction  string          `json:"truncation_direction"`
	PromptName string          `json:"prompt_name"`
	Normalize  *bool           `json:"normalize"`
	Dimensions *int            `json:"dimensions"`
	Model      string          `json:"model"`
}

// noEmbedder is said where no model makes vectors.
const noEmbedder = "the model is no embedding model"

// input is a text, or one as token ids.
func input(param string, raw json.RawMessage) (backend.Item, error) {
	if web.IsTokens(raw) {
		ids, err := web.Tokens(param, raw)
		return backend.Item{Tokens: ids}, err
	}
	text, err := web.Text(param, raw)
	if err == nil && text == "" {
		err = isEmpty("inputs")
	}
	return backend.Item{Text: text}, err
}

// inputs are one or several texts.
func (s *server) inputs(raw json.RawMessage) ([]backend.Item, error) {
	if !web.Given(raw) {
		return nil, backend.Errorf(backend.Invalid, "inputs", "missing field `inputs`")
	}
	if web.IsText(raw) || web.IsTokens(raw) {
		it, err := input("inputs", raw)
		return []backend.Item{it}, err
	}
	list, err := s.limits.Elements("inputs", raw)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, isEmpty("inputs")
	}
	items := make([]backend.Item, len(list))
	for i, e := range list {
		if items[i], err = input(web.At("inputs", i), e); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// vectors makes those of items. A text that is too long is cut at its end or its start, or an error.
func vectors(ctx context.Context, m backend.Model, items []backend.Item, o backend.EmbedOptions, truncate *bool, where string) ([][]float32, error) {
	left, err := direction(where)
	if err != nil {
		return nil, err
	}
	o.Strict = !truncates(truncate)
	if left && !o.Strict {
		for i, it := range items {
			if items[i], err = backend.Shorten(ctx, m, it, "truncate", m.Info().MaxTokens, true); err != nil {
				return nil, err
			}
		}
	}
	made, err := m.Embed(ctx, items, o)
	return made.Vectors, err
}

func (s *server) embed(ctx context.Context, raw []byte) (any, error) {
	var q embedRequest
	if err := web.DecodeJSON(raw, &q); err != nil {
		return nil, err
	}
	items, err := s.inputs(q.Inputs)
	if err != nil {
		return nil, err
	}
	m, err := s.target(q.Model, backend.CanEmbedText, noEmbedder)
	if err != nil {
		return nil, err
	}
	o := backend.EmbedOptions{Normalize: q.Normalize, Prompt: q.PromptName}
	if o.Normalize == nil {
		yes := true
		o.Normalize = &yes
	}
	if q.Dimensions != nil {
		if o.Dimensions = *q.Dimensions; o.Dimensions < 1 {
			return nil, backend.Errorf(backend.Invalid, "dimensions", "`dimensions` should be positive")
		}
	}
	return vectors(ctx, m, items, o, q.Truncate, q.Direction)
}

func (s *server) similarity(ctx context.Context, raw []byte) (any, error) {
	var q struct {
		Inputs struct {
			Source    *string         `json:"source_sentence"`
			Sentences json.RawMessage `json:"sentences"`
		} `json:"inputs"`
		Parameters struct {
			Truncate   *bool  `json:"truncate"`
			Direction  string `json:"truncation_direction"`
			PromptName string `json:"prompt_name"`
		} `json:"parameters"`
		Model string `json:"model"`
	}
	if err := web.DecodeJSON(raw, &q); err != nil {
		return nil, err
	}
	switch {
	case q.Inputs.Source == nil:
		return nil, backend.Errorf(backend.Invalid, "inputs", "missing field `inputs.source_sentence`")
	case !web.Given(q.Inputs.Sentences):
		return nil, backend.Errorf(backend.Invalid, "inputs", "missing field `inputs.sentences`")
	}
	texts, err := s.limits.Texts("inputs.sentences", q.Inputs.Sentences)
	if err != nil {
		return nil, err
	}
	if len(texts) == 0 {
		return nil, isEmpty("inputs.sentences")
	}
	items := make([]backend.Item, 0, len(texts)+1)
	for _, t := range append([]string{*q.Inputs.Source}, texts...) {
		if t == "" {
			return nil, isEmpty("inputs")
		}
		items = append(items, backend.Item{Text: t})
	}
	m, err := s.target(q.Model, backend.CanEmbedText, noEmbedder)
	if err != nil {
		return nil, err
	}
	unit := true
	made, err := vectors(ctx, m, items, backend.EmbedOptions{Normalize: &unit, Prompt: q.Parameters.PromptName}, q.Parameters.Truncate, q.Parameters.Direction)
	if err != nil {
		return nil, err
	}
	cosines := make([]float32, len(texts))
	for i, v := range made[1:] {
		cosines[i] = float32(backend.Cosine(v, made[0]))
	}
	return cosines, nil
}

// token is one of a text.
type token struct {
	ID      int    `json:"id"`
	Text    string `json:"text"`
	Special bool   `json:"special"`
	Start   *int   `json:"start"` // bytes; null of special tokens, and of those whose letters the vocabulary changed
	Stop    *int   `json:"stop"`
}

func (s *server) tokenize(ctx context.Context, raw []byte) (any, error) {
	var q struct {
		Inputs     json.RawMessage `json:"inputs"`
		Special    *bool           `json:"add_special_tokens"`
		PromptName string          `json:"prompt_name"`
		Model      string          `json:"model"`
	}
	if err := web.DecodeJSON(raw, &q); err != nil {
		return nil, err
	}
	if q.PromptName != "" {
		return nil, backend.Errorf(backend.Invalid, "prompt_name", "`prompt_name` is not supported by /tokenize; put the prompt before the text")
	}
	items, err := s.inputs(q.Inputs)
	if err != nil {
		return nil, err
	}
	m, err := s.target(q.Model, 0, "no model is served")
	if err != nil {
		return nil, err
	}
	lists := make([][]token, len(items))
	for i, it := range items {
		if it.Tokens != nil {
			return nil, backend.Errorf(backend.Invalid, "inputs", "%s is no text", web.At("inputs", i))
		}
		list, err := m.Tokenize(ctx, it.Text, q.Special == nil || *q.Special)
		if err != nil {
			return nil, err
		}
		lists[i] = make([]token, len(list))
		for k, t := range list {
			lists[i][k] = token{ID: t.ID, Text: t.Text, Special: t.Special}
			if !t.Special && t.Start >= 0 { // else its place is not known
				lists[i][k].Text, lists[i][k].Start, lists[i][k].Stop = it.Text[t.Start:t.Stop], &t.Start, &t.Stop
			}
		}
	}
	return lists, nil
}
