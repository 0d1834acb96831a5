package cohere

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// embedRequest is what POST /v2/embed takes.
type embedRequest struct {
	Model           string          `json:"model"`
	InputType       string          `json:"input_type"`
	Texts           json.RawMessage `json:"texts"`
	Images          json.RawMessage `json:"images"`
	Inputs          json.RawMessage `json:"inputs"`
	MaxTokens       *int            `json:"max_tokens"`
	OutputDimension *int            `json:"output_dimension"`
	EmbeddingTypes  json.RawMessage `json:"embedding_types"`
	Truncate        string          `json:"truncate"`
	Priority        json.RawMessage `json:"priority"` // has no effect
}

// inputTypes are those of the protocol, and the names that models' prompts for them have.
var inputTypes = map[string][]string{
	"search_query":    {"search_query", "query"},
	"search_document": {"search_document", "document", "passage"},
	"classification":  {"classification"},
	"clustering":      {"clustering"},
	"image":           nil,
}

// encodings make what the protocol returns of vectors.
var encodings = map[string]func(v []float32) any{
	"float":   func(v []float32) any { return v },
	"base64":  func(v []float32) any { return web.Vector64(v) },
	"ubinary": func(v []float32) any { return packed(v, 0) },
	"binary":  func(v []float32) any { return packed(v, 128) },
}

// packed has a bit for each value, 1 for those above 0, the first in the highest bit of the first byte. zero is taken off each byte.
func packed(v []float32, zero int) []int {
	bytes := make([]int, len(v)/8)
	for i := range bytes {
		for _, x := range v[8*i : 8*i+8] {
			bytes[i] *= 2
			if x > 0 {
				bytes[i]++
			}
		}
		bytes[i] -= zero
	}
	return bytes
}

func (q *embedRequest) validate() error {
	_, known := inputTypes[q.InputType]
	switch given := web.CountGiven(q.Texts, q.Images, q.Inputs); {
	case given != 1:
		return backend.Errorf(backend.Invalid, "texts", "%d of texts, images and inputs are given; want one", given)
	case q.InputType != "" && !known:
		return backend.Errorf(backend.Invalid, "input_type", "input_type is %.40q; want search_document, search_query, classification, clustering or image", q.InputType)
	case !slices.Contains([]string{"", "NONE", "START", "END"}, q.Truncate):
		return backend.Errorf(backend.Invalid, "truncate", "truncate is %.40q; want NONE, START or END", q.Truncate)
	case q.MaxTokens != nil && *q.MaxTokens < 1:
		return backend.Errorf(backend.Invalid, "max_tokens", "max_tokens is %d; want 1 or more", *q.MaxTokens)
	case q.OutputDimension != nil && *q.OutputDimension < 1:
		return backend.Errorf(backend.Invalid, "output_dimension", "output_dimension is %d; want 1 or more", *q.OutputDimension)
	}
	return nil
}

// types are the forms that vectors are wanted in.
func (q *embedRequest) types(l web.Limits) ([]string, error) {
	if !web.Given(q.EmbeddingTypes) {
		return []string{"float"}, nil
	}
	list, err := l.Texts("embedding_types", q.EmbeddingTypes)
	if err != nil {
		return nil, err
	}
	for i, t := range list {
		if encodings[t] == nil {
			return nil, backend.Errorf(backend.Invalid, "embedding_types", "%s is %.40q; this server has float, base64, binary and ubinary", web.At("embedding_types", i), t)
		}
	}
	if len(list) == 0 {
		return []string{"float"}, nil
	}
	return list, nil
}

// items are what vectors are asked of, and the texts among them as they were given.
func (q *embedRequest) items(ctx context.Context, l web.Limits) (items []backend.Item, texts []string, err error) {
	param, raw := "texts", q.Texts
	switch {
	case web.Given(q.Images):
		param, raw = "images", q.Images
	case web.Given(q.Inputs):
		param, raw = "inputs", q.Inputs
	}
	list, err := l.Elements(param, raw)
	if err != nil {
		return nil, nil, err
	}
	if len(list) == 0 {
		return nil, nil, backend.Errorf(backend.Invalid, param, "%s is empty", param)
	}
	for i, e := range list {
		at := web.At(param, i)
		var it backend.Item
		switch param {
		case "inputs":
			var o struct {
				Content json.RawMessage `json:"content"`
			}
			if err := web.DecodeJSON(e, &o); err != nil {
				return nil, nil, err
			}
			it, err = l.Content(ctx, at+".content", o.Content)
		case "images":
			var ref string
			if ref, err = web.Text(at, e); err == nil {
				it.Picture, err = l.Picture(ctx, at, ref)
			}
		default:
			if it.Text, err = web.Text(at, e); err == nil && it.Text == "" {
				err = backend.Errorf(backend.Invalid, at, "%s is an empty text", at)
			}
			texts = append(texts, it.Text)
		}
		if err != nil {
			return nil, nil, err
		}
		items = append(items, it)
	}
	return items, texts, nil
}

// shorten cuts texts to max_tokens, or says that one has to be cut where truncate forbids it.
func (q *embedRequest) shorten(ctx context.Context, m backend.Model, items []backend.Item) error {
	most := m.Info().MaxTokens
	if q.MaxTokens != nil {
		most = min(most, *q.MaxTokens)
	} else if q.Truncate != "START" {
		return nil // the model does it
	}
	for i, it := range items {
		short, err := backend.Shorten(ctx, m, it, "max_tokens", most, q.Truncate == "START")
		if err != nil {
			return err
		}
		if it.Picture == nil && short.Tokens != nil && q.Truncate == "NONE" {
			return &backend.Error{Kind: backend.TooLarge, Param: "texts", Limit: most, Message: fmt.Sprintf("text %d has more than the %d tokens of max_tokens, and truncate is NONE; set it to END or START", i, most)}
		}
		items[i] = short
	}
	return nil
}

// prompt is the name of the model's prompt for the type of input, if it has one.
func (q *embedRequest) prompt(has []string) string {
	for _, name := range inputTypes[q.InputType] {
		if slices.Contains(has, name) {
			return name
		}
	}
	return ""
}

func (s *server) embed(w http.ResponseWriter, r *http.Request) error {
	var q embedRequest
	if err := web.ReadStrictJSON(w, r, s.limits, &q); err != nil {
		return err
	}
	if err := q.validate(); err != nil {
		return err
	}
	types, err := q.types(s.limits)
	if err != nil {
		return err
	}
	m, err := s.models.Model(q.Model)
	if err != nil {
		return err
	}
	items, texts, err := q.items(r.Context(), s.limits)
	if err != nil {
		return err
	}
	info := m.Info()
	o := backend.EmbedOptions{Strict: q.Truncate == "NONE", Prompt: q.prompt(info.Details.Prompts)}
	if q.OutputDimension != nil {
		o.Dimensions = *q.OutputDimension
	}
	size := info.Dimension
	if o.Dimensions > 0 {
		size = o.Dimensions
	}
	if size%8 != 0 && (slices.Contains(types, "binary") || slices.Contains(types, "ubinary")) {
		return backend.Errorf(backend.Invalid, "embedding_types", "vectors of %d values cannot be packed into bytes; set output_dimension to a multiple of 8", size)
	}
	if err := q.shorten(r.Context(), m, items); err != nil {
		return err
	}
	made, err := m.Embed(r.Context(), items, o)
	if err != nil {
		return err
	}
	embeddings := map[string][]any{}
	for _, t := range types {
		list := make([]any, len(made.Vectors))
		for i, v := range made.Vectors {
			list[i] = encodings[t](v)
		}
		embeddings[t] = list
	}
	billed := map[string]int{}
	if made.Usage.Tokens > 0 {
		billed["input_tokens"] = made.Usage.Tokens
	}
	if made.Usage.Pictures > 0 {
		billed["images"] = made.Usage.Pictures
	}
	answer := map[string]any{
		"id": rand.Text(), "response_type": "embeddings_by_type", "embeddings": embeddings,
		"meta": meta{Version: version{"2"}, Billed: billed, Tokens: map[string]int{"input_tokens": made.Usage.Tokens}},
	}
	if texts != nil {
		answer["texts"] = texts
	}
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}
