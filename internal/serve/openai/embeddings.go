package openai

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// embeddingRequest is what POST /v1/embeddings takes. Keys after User are of other servers: Infinity's modality, and vLLM's.
type embeddingRequest struct {
	Model          string          `json:"model"`
	Input          json.RawMessage `json:"input"`
	EncodingFormat string          `json:"encoding_format"`
	Dimensions     *int            `json:"dimensions"`
	User           json.RawMessage `json:"user"` // has no effect

	Modality             string          `json:"modality"`
	Messages             json.RawMessage `json:"messages"`
	TruncatePromptTokens *int            `json:"truncate_prompt_tokens"`
	TruncationSide       string          `json:"truncation_side"`
	UseActivation        *bool           `json:"use_activation"` // vectors of length 1; older versions say normalize
	Normalize            *bool           `json:"normalize"`
}

func (q *embeddingRequest) validate() error {
	oneOf := func(param, value string, list ...string) error {
		if value == "" || slices.Contains(list, value) {
			return nil
		}
		return backend.Errorf(backend.Invalid, param, "%s is %.40q; want one of %q", param, value, list)
	}
	switch {
	case web.Given(q.Input) == web.Given(q.Messages):
		return backend.Errorf(backend.Invalid, "input", "give either input or messages")
	case q.Modality != "" && web.Given(q.Messages):
		return backend.Errorf(backend.Invalid, "modality", "modality says what input is; messages say it themselves")
	case q.Dimensions != nil && *q.Dimensions < 1:
		return backend.Errorf(backend.Invalid, "dimensions", "dimensions is %d; want 1 or more", *q.Dimensions)
	case q.TruncatePromptTokens != nil && *q.TruncatePromptTokens != -1 && *q.TruncatePromptTokens < 1:
		return backend.Errorf(backend.Invalid, "truncate_prompt_tokens", "truncate_prompt_tokens is %d; want a number of tokens, or -1 for as many as the model reads", *q.TruncatePromptTokens)
	case q.TruncationSide != "" && q.TruncatePromptTokens == nil:
		return backend.Errorf(backend.Invalid, "truncation_side", "truncation_side has no meaning without truncate_prompt_tokens; set that, to -1 for as many as the model reads")
	}
	return cmp.Or(
		oneOf("encoding_format", q.EncodingFormat, "float", "base64"),
		oneOf("modality", q.Modality, "text", "image"),
		oneOf("truncation_side", q.TruncationSide, "right", "left"),
	)
}

// items are what vectors are asked of, in the order of the answer.
func (q *embeddingRequest) items(ctx context.Context, l web.Limits) ([]backend.Item, error) {
	param, raw := "input", q.Input
	if web.Given(q.Messages) {
		param, raw = "messages", q.Messages
	}
	if param == "input" && (web.IsText(raw) || web.IsTokens(raw)) {
		item, err := q.item(ctx, l, param, raw)
		return []backend.Item{item}, err
	}
	if !web.IsList(raw) {
		return nil, notAnInput(param)
	}
	list, err := l.Elements(param, raw)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, backend.Errorf(backend.Invalid, param, "%s is empty", param)
	}
	if web.IsObject(list[0]) { // one conversation
		item, err := conversation(ctx, l, param, raw)
		return []backend.Item{item}, err
	}
	items := make([]backend.Item, len(list))
	for i, e := range list {
		if items[i], err = q.item(ctx, l, web.At(param, i), e); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// item is a text, a text as token ids, a picture, or a conversation with one of them.
func (q *embeddingRequest) item(ctx context.Context, l web.Limits, param string, raw json.RawMessage) (backend.Item, error) {
	var none backend.Item
	switch {
	case q.Modality == "image":
		ref, err := web.Text(param, raw)
		if err != nil {
			return none, err
		}
		picture, err := l.Picture(ctx, param, ref)
		return backend.Item{Picture: picture}, err
	case web.IsText(raw):
		text, err := web.Text(param, raw)
		if err == nil && text == "" {
			err = backend.Errorf(backend.Invalid, param, "%s is an empty text", param)
		}
		return backend.Item{Text: text}, err
	case web.IsTokens(raw):
		ids, err := web.Tokens(param, raw)
		return backend.Item{Tokens: ids}, err
	case web.IsList(raw):
		return conversation(ctx, l, param, raw)
	}
	return none, notAnInput(param)
}

func notAnInput(param string) error {
	return backend.Errorf(backend.Invalid, param, "%s is neither a text, nor a list of token ids, nor a list of messages", param)
}

// conversation is what the only message of a conversation holds.
func conversation(ctx context.Context, l web.Limits, param string, raw json.RawMessage) (backend.Item, error) {
	list, err := l.Elements(param, raw)
	if err != nil {
		return backend.Item{}, err
	}
	if len(list) == 0 {
		return backend.Item{}, backend.Errorf(backend.Invalid, param, "%s is empty", param)
	}
	if len(list) != 1 {
		return backend.Item{}, backend.Errorf(backend.Invalid, param, "%s has %d messages; a vector is of one message, with a text or a picture", param, len(list))
	}
	param = web.At(param, 0)
	var m struct {
		Content json.RawMessage `json:"content"`
	}
	if !web.IsObject(list[0]) {
		return backend.Item{}, backend.Errorf(backend.Invalid, param, `%s is no message; want {"role": "user", "content": ...}`, param)
	}
	if err := web.DecodeJSON(list[0], &m); err != nil {
		return backend.Item{}, err
	}
	return l.Content(ctx, param+".content", m.Content)
}

// shorten cuts what is too long, as truncate_prompt_tokens says.
func (q *embeddingRequest) shorten(ctx context.Context, m backend.Model, items []backend.Item) error {
	n, most := *q.TruncatePromptTokens, m.Info().MaxTokens
	if n > most {
		return &backend.Error{Kind: backend.TooLarge, Param: "truncate_prompt_tokens", Limit: most, Message: fmt.Sprintf("truncate_prompt_tokens is %d, and the model reads %d tokens; ask for as many, with -1, or fewer", n, most)}
	}
	if n == -1 {
		n = most
	}
	for i, it := range items {
		if it.Picture != nil {
			continue
		}
		var err error
		if items[i], err = backend.Shorten(ctx, m, it, "truncate_prompt_tokens", n, q.TruncationSide == "left"); err != nil {
			return err
		}
	}
	return nil
}

type embeddingObject struct {
	Object    string `json:"object"`
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // a list of numbers, or base64
}

type usage struct {
	PromptTokens     int  `json:"prompt_tokens"`
	CompletionTokens *int `json:"completion_tokens,omitempty"`
	TotalTokens      int  `json:"total_tokens"`
}

func (s *server) embeddings(w http.ResponseWriter, r *http.Request) error {
	var q embeddingRequest
	if err := web.ReadStrictJSON(w, r, s.limits, &q); err != nil {
		return err
	}
	if err := q.validate(); err != nil {
		return err
	}
	m, err := s.named(q.Model)
	if err != nil {
		return err
	}
	items, err := q.items(r.Context(), s.limits)
	if err != nil {
		return err
	}
	o := backend.EmbedOptions{Strict: true, Normalize: q.Normalize}
	if q.UseActivation != nil {
		o.Normalize = q.UseActivation
	}
	if q.Dimensions != nil {
		o.Dimensions = *q.Dimensions
	}
	if q.TruncatePromptTokens != nil {
		if err := q.shorten(r.Context(), m, items); err != nil {
			return err
		}
	}
	made, err := m.Embed(r.Context(), items, o)
	if err != nil {
		return tooLong(err)
	}
	data := make([]embeddingObject, len(made.Vectors))
	for i, v := range made.Vectors {
		data[i] = embeddingObject{"embedding", i, v}
		if q.EncodingFormat == "base64" {
			data[i].Embedding = web.Vector64(v)
		}
	}
	web.WriteJSON(w, http.StatusOK, map[string]any{
		"object": "list", "data": data, "model": m.Info().ID,
		"usage": usage{PromptTokens: made.Usage.Tokens, TotalTokens: made.Usage.Tokens},
	})
	return nil
}

// tooLong says of a model's error about a long text what to do in this protocol.
func tooLong(err error) error {
	e := backend.AsError(err)
	if e.Kind != backend.TooLarge {
		return err
	}
	said := *e
	said.Message += " (truncate_prompt_tokens: -1)"
	said.Err = errTooLong
	return &said
}
