package cohere

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// rerankRequest is what POST /v1/rerank and /v2/rerank take.
type rerankRequest struct {
	Model           string          `json:"model"`
	Query           json.RawMessage `json:"query"`
	Documents       json.RawMessage `json:"documents"`
	TopN            *int            `json:"top_n"`
	ReturnDocuments bool            `json:"return_documents"`
	RankFields      json.RawMessage `json:"rank_fields"`
	MaxTokensPerDoc *int            `json:"max_tokens_per_doc"`
	MaxChunksPerDoc *int            `json:"max_chunks_per_doc"` // has no effect: the first chunk is read
	Priority        json.RawMessage `json:"priority"`           // has no effect
	RelevantSpans   *struct {
		Mode      string          `json:"mode"`
		Threshold json.RawMessage `json:"threshold"`
		MaxSpans  json.RawMessage `json:"max_spans"`
	} `json:"relevant_spans"`
}

func (q *rerankRequest) validate() error {
	switch {
	case !web.Given(q.Query):
		return backend.Errorf(backend.Invalid, "query", "query is missing")
	case !web.Given(q.Documents):
		return backend.Errorf(backend.Invalid, "documents", "documents is missing")
	case q.TopN != nil && *q.TopN < 1:
		return backend.Errorf(backend.Invalid, "top_n", "top_n is %d; want 1 or more", *q.TopN)
	case q.MaxTokensPerDoc != nil && *q.MaxTokensPerDoc < 1:
		return backend.Errorf(backend.Invalid, "max_tokens_per_doc", "max_tokens_per_doc is %d; want 1 or more", *q.MaxTokensPerDoc)
	case q.MaxChunksPerDoc != nil && *q.MaxChunksPerDoc < 1:
		return backend.Errorf(backend.Invalid, "max_chunks_per_doc", "max_chunks_per_doc is %d; want 1 or more", *q.MaxChunksPerDoc)
	case q.RelevantSpans != nil && q.RelevantSpans.Mode != "disabled":
		return backend.Errorf(backend.Cannot, "relevant_spans", "relevant_spans is not supported; leave it out")
	}
	return nil
}

// side is the query or a document: a text, {"text": ...}, {"image": ...} as Jina has it, or {"content": [...]} as vLLM has it. A text that
// is the data URL of an image is a picture, as clients for texts can send no other.
func (s *server) side(ctx context.Context, param string, raw json.RawMessage, fields []string) (backend.Item, error) {
	var none backend.Item
	if web.IsText(raw) {
		text, err := web.Text(param, raw)
		if err == nil && len(text) > 11 && strings.EqualFold(text[:11], "data:image/") {
			picture, err := web.DataURL(param, text)
			return backend.Item{Picture: picture}, err
		}
		return backend.Item{Text: text}, err
	}
	if !web.IsObject(raw) {
		return none, backend.Errorf(backend.Invalid, param, `%s is neither a text nor an object such as {"text": ...} or {"image": "data:image/png;base64,..."}`, param)
	}
	if len(fields) > 0 {
		return joined(param, raw, fields)
	}
	var o struct {
		Text    json.RawMessage `json:"text"`
		Image   json.RawMessage `json:"image"`
		Content json.RawMessage `json:"content"`
	}
	if err := web.DecodeJSON(raw, &o); err != nil {
		return none, err
	}
	switch given := web.CountGiven(o.Text, o.Image, o.Content); {
	case given != 1:
		return none, backend.Errorf(backend.Invalid, param, "%s has %d of text, image and content; want one", param, given)
	case web.Given(o.Content):
		return s.limits.Content(ctx, param+".content", o.Content)
	case web.Given(o.Text):
		text, err := web.Text(param+".text", o.Text)
		return backend.Item{Text: text}, err
	}
	param += ".image"
	ref, err := web.Text(param, o.Image)
	if err != nil {
		return none, err
	}
	if !strings.Contains(ref, ":") { // no URL; Jina takes base64 alone
		ref = "data:;base64," + ref
	}
	picture, err := s.limits.Picture(ctx, param, ref)
	return backend.Item{Picture: picture}, err
}

// joined is the text of a document's fields, a line each.
func joined(param string, raw json.RawMessage, fields []string) (backend.Item, error) {
	var all map[string]json.RawMessage
	if err := web.DecodeJSON(raw, &all); err != nil {
		return backend.Item{}, err
	}
	var lines []string
	for _, f := range fields {
		v, ok := all[f]
		if !ok {
			continue
		}
		line, err := web.Text(param+"."+f, v)
		if err != nil {
			return backend.Item{}, err
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return backend.Item{}, backend.Errorf(backend.Invalid, param, "%s has none of the rank_fields", param)
	}
	return backend.Item{Text: strings.Join(lines, "\n")}, nil
}

func blank(it backend.Item) bool {
	return it.Picture == nil && it.Tokens == nil && strings.TrimSpace(it.Text) == ""
}

// result is a document's place in the order.
type result struct {
	Index     int     `json:"index"`
	Relevance float64 `json:"relevance_score"`
	Document  any     `json:"document,omitempty"`
}

func (s *server) rerank(w http.ResponseWriter, r *http.Request, v int) error {
	var q rerankRequest
	if err := web.ReadStrictJSON(w, r, s.limits, &q); err != nil {
		return err
	}
	if err := q.validate(); err != nil {
		return err
	}
	m, err := s.models.Model(q.Model)
	if err != nil {
		return err
	}
	query, err := s.side(r.Context(), "query", q.Query, nil)
	if err != nil {
		return err
	}
	if blank(query) {
		return backend.Errorf(backend.Invalid, "query", "query must not be empty or be only whitespace")
	}
	var fields []string
	if web.Given(q.RankFields) {
		if fields, err = s.limits.Texts("rank_fields", q.RankFields); err != nil {
			return err
		}
	}
	raw, err := s.limits.Elements("documents", q.Documents)
	if err != nil {
		return err
	}
	if len(raw) == 0 {
		return backend.Errorf(backend.Invalid, "documents", "list of documents must not be empty")
	}
	documents := make([]backend.Item, len(raw))
	for i, e := range raw {
		if documents[i], err = s.side(r.Context(), web.At("documents", i), e, fields); err != nil {
			return err
		}
		if n := q.MaxTokensPerDoc; n != nil && *n < m.Info().MaxTokens && documents[i].Picture == nil {
			if documents[i].Text, err = backend.ShortenText(r.Context(), m, documents[i].Text, "max_tokens_per_doc", *n); err != nil {
				return err
			}
		}
	}
	scores, err := m.Score(r.Context(), query, documents)
	if err != nil {
		return err
	}
	results := []result{}
	for _, i := range scores.Best() {
		if q.TopN != nil && len(results) == *q.TopN {
			break
		}
		one := result{Index: i, Relevance: scores.Relevance(i)}
		if q.ReturnDocuments {
			if one.Document = any(raw[i]); web.IsText(raw[i]) {
				one.Document = map[string]json.RawMessage{"text": raw[i]}
			}
		}
		results = append(results, one)
	}
	answer := map[string]any{
		"id": rand.Text(), "results": results,
		"meta": meta{
			Version: version{strconv.Itoa(v)}, Tokens: map[string]int{"input_tokens": scores.Usage.Tokens}, Warnings: cut(scores.List, m.Info().MaxTokens),
			Billed: map[string]int{"search_units": (len(documents) + 99) / 100}, // a unit is a query with up to 100 documents
		},
	}
	if v == 1 { // what Jina's has besides
		answer["model"], answer["object"] = m.Info().ID, "list"
		answer["usage"] = map[string]int{"prompt_tokens": scores.Usage.Tokens, "total_tokens": scores.Usage.Tokens}
	}
	web.WriteJSON(w, http.StatusOK, answer)
	return nil
}

// cut warns of documents that were not read to their end.
func cut(scores []backend.Score, most int) []string {
	n, first := 0, 0
	for i, s := range scores {
		if s.Truncated {
			if n++; n == 1 {
				first = i
			}
		}
	}
	if n == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d documents were cut, as they are longer than the %d tokens that the model reads; the first is %s", n, len(scores), most, web.At("documents", first))}
}
