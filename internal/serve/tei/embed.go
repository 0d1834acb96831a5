package tei

import (
	"context"
	"encoding/json"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// embedRequest is what POST /embed takes. POST /embed_all has the vectors of tokens as they are: Normalize and Dimensions are not its own.
type embedRequest struct {
	Inputs json.RawMessage `json:"inputs"`
	cutting
	PromptName string `json:"prompt_name"`
	Normalize  *bool  `json:"normalize"`
	Dimensions *int   `json:"dimensions"`
	Model      string `json:"model"`
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

// cutting says what becomes of texts that are too long.
type cutting struct {
	Truncate  *bool  `json:"truncate"`
	Direction string `json:"truncation_direction"`
}

// cut cuts items at their starts where that is asked for, and says whether items that are too long are an error; else the model cuts them at
// their ends.
func (c cutting) cut(ctx context.Context, m backend.Model, items []backend.Item) (strict bool, err error) {
	left, err := direction(c.Direction)
	if err != nil || !truncates(c.Truncate) {
		return true, err
	}
	for i, it := range items {
		if !left {
			break
		}
		if items[i], err = backend.Shorten(ctx, m, it, "truncate", m.Info().MaxTokens, true); err != nil {
			return false, err
		}
	}
	return false, nil
}

// embedding decodes a request, and has its texts answered by the model that it is for.
func (s *server) embedding(ctx context.Context, raw []byte, answer func(q embedRequest, m backend.Model, items []backend.Item, o backend.EmbedOptions) (any, error)) (any, error) {
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
	o := backend.EmbedOptions{Prompt: q.PromptName}
	if o.Strict, err = q.cut(ctx, m, items); err != nil {
		return nil, err
	}
	return answer(q, m, items, o)
}

func (s *server) embed(ctx context.Context, raw []byte) (any, error) {
	return s.embedding(ctx, raw, func(q embedRequest, m backend.Model, items []backend.Item, o backend.EmbedOptions) (any, error) {
		if o.Normalize = q.Normalize; o.Normalize == nil {
			yes := true
			o.Normalize = &yes
		}
		if q.Dimensions != nil {
			if o.Dimensions = *q.Dimensions; o.Dimensions < 1 {
				return nil, backend.Errorf(backend.Invalid, "dimensions", "`dimensions` should be positive")
			}
		}
		made, err := m.Embed(ctx, items, o)
		return made.Vectors, err
	})
}

// embedAll answers with the vectors of all tokens, as they are before they are pooled.
func (s *server) embedAll(ctx context.Context, raw []byte) (any, error) {
	return s.embedding(ctx, raw, func(_ embedRequest, m backend.Model, items []backend.Item, o backend.EmbedOptions) (any, error) {
		vectors, _, err := m.EmbedTokens(ctx, items, o)
		return vectors, err
	})
}

// embedSparse refuses what is no mistake of the request's: models with SPLADE pooling make such vectors, and none here has it.
func (s *server) embedSparse(ctx context.Context, raw []byte) (any, error) {
	return s.embedding(ctx, raw, func(embedRequest, backend.Model, []backend.Item, backend.EmbedOptions) (any, error) {
		return nil, backend.Errorf(backend.Cannot, "", "the model is no embedding model with SPLADE pooling; POST /embed answers with dense vectors")
	})
}

func (s *server) similarity(ctx context.Context, raw []byte) (any, error) {
	var q struct {
		Inputs struct {
			Source    *string         `json:"source_sentence"`
			Sentences json.RawMessage `json:"sentences"`
		} `json:"inputs"`
		Parameters struct {
			cutting
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
	o := backend.EmbedOptions{Normalize: &unit, Prompt: q.Parameters.PromptName}
	if o.Strict, err = q.Parameters.cut(ctx, m, items); err != nil {
		return nil, err
	}
	made, err := m.Embed(ctx, items, o)
	if err != nil {
		return nil, err
	}
	cosines := make([]float32, len(texts))
	for i, v := range made.Vectors[1:] {
		cosines[i] = float32(backend.Cosine(v, made.Vectors[0]))
	}
	return cosines, nil
}
