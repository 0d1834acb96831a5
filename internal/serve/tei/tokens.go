package tei

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// mostTokenized are the bytes of the texts of a request that are cut into tokens: the answer has dozens for each.
const mostTokenized = 1 << 20

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
	items, err := s.inputs(q.Inputs)
	if err != nil {
		return nil, err
	}
	m, err := s.target(q.Model, 0, "no model is served")
	if err != nil {
		return nil, err
	}
	prompt, err := m.Prompt(ctx, q.PromptName)
	if err != nil {
		return nil, err
	}
	size := 0
	for i, it := range items {
		if it.Tokens != nil {
			return nil, backend.Errorf(backend.Invalid, "inputs", "%s is no text", web.At("inputs", i))
		}
		size += len(prompt) + len(it.Text)
	}
	if size > mostTokenized {
		return nil, &backend.Error{Kind: backend.TooLarge, Param: "inputs", Limit: mostTokenized, Message: fmt.Sprintf("`inputs` has %d bytes of text; this server cuts %d of a request into tokens, so send several requests", size, mostTokenized)}
	}
	lists := make([][]token, len(items))
	for i, it := range items {
		text := prompt + it.Text
		list, err := m.Tokenize(ctx, text, q.Special == nil || *q.Special)
		if err != nil {
			return nil, err
		}
		lists[i] = make([]token, len(list))
		for k, t := range list {
			lists[i][k] = token{ID: t.ID, Text: t.Text, Special: t.Special}
			if !t.Special && t.Start >= 0 { // else its place is not known
				lists[i][k].Text, lists[i][k].Start, lists[i][k].Stop = text[t.Start:t.Stop], &t.Start, &t.Stop
			}
		}
	}
	return lists, nil
}

// ids are the token ids of one text or of several.
func (s *server) ids(raw json.RawMessage) (lists [][]int, err error) {
	if !web.Given(raw) {
		return nil, backend.Errorf(backend.Invalid, "ids", "missing field `ids`")
	}
	if web.IsTokens(raw) {
		one, err := web.Tokens("ids", raw)
		return [][]int{one}, err
	}
	all, err := s.limits.Elements("ids", raw)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, isEmpty("ids")
	}
	lists, count := make([][]int, len(all)), 0
	for i, e := range all {
		at := web.At("ids", i)
		if web.IsEmptyList(e) {
			return nil, isEmpty(at)
		}
		if lists[i], err = web.Tokens(at, e); err != nil {
			return nil, err
		}
		if count += len(lists[i]); count > web.MostTokens {
			return nil, &backend.Error{Kind: backend.TooLarge, Param: "ids", Limit: web.MostTokens, Message: fmt.Sprintf("`ids` has more than %d token ids; send several requests", web.MostTokens)}
		}
	}
	return lists, nil
}

func (s *server) decode(ctx context.Context, raw []byte) (any, error) {
	var q struct {
		IDs   json.RawMessage `json:"ids"`
		Skip  *bool           `json:"skip_special_tokens"`
		Model string          `json:"model"`
	}
	if err := web.DecodeJSON(raw, &q); err != nil {
		return nil, err
	}
	lists, err := s.ids(q.IDs)
	if err != nil {
		return nil, err
	}
	m, err := s.target(q.Model, 0, "no model is served")
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(lists))
	for i, ids := range lists {
		if texts[i], err = m.Detokenize(ctx, ids, q.Skip != nil && !*q.Skip); err != nil {
			return nil, err
		}
	}
	return texts, nil
}
