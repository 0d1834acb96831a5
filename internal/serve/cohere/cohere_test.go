package cohere_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/cohere"
)

var protocol = backendtest.Protocol(cohere.Mount)

func TestGoldens(t *testing.T) { protocol.Goldens(t) }

func TestErrors(t *testing.T) {
	protocol.Failures(t, []backendtest.Failure{
		{Err: backend.Errorf(backend.Cannot, "model", "no"), Status: 400, Says: "invalid request: no"},
		{Err: &backend.Error{Kind: backend.Overloaded, Message: "full", RetryAfter: time.Second}, Status: 429, Says: "full"},
		{Err: backend.Errorf(backend.Unavailable, "", "loading"), Status: 503, Says: "loading"},
		{Err: errors.New("a secret"), Status: 500, Says: "the server failed; its log says why"},
	}, [][2]string{
		{"/v1/rerank", `{"query": "a", "documents": ["a"]}`}, {"/v2/rerank", `{"query": "a", "documents": ["a"]}`}, {"/v2/embed", `{"texts": ["a"]}`},
	}, func(t *testing.T, path string, body []byte) string {
		var got struct{ ID, Message, Detail string }
		if err := json.Unmarshal(body, &got); err != nil || got.ID == "" || (got.Detail != "") != (path == "/v1/rerank") {
			t.Errorf("%s: %v: %s", path, err, body)
		}
		return got.Message
	})
}

// Of equal documents the first is first; a model that was not calibrated has relevances from 0 to 1, too; what was cut is said.
func TestOrder(t *testing.T) {
	m, h := protocol.Recording()
	m.Scores = []backend.Score{{Value: -3}, {Value: 2, Truncated: true}, {Value: 2}, {Value: 0, Truncated: true}}
	w := backendtest.Post(h, "/v2/rerank", `{"query": "a", "documents": ["a", "b", "c", "d"]}`)
	var got struct {
		Results []struct {
			Index     int
			Relevance float64 `json:"relevance_score"`
		}
		Meta struct{ Warnings []string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 2, 3, 0} {
		if r := got.Results[i]; r.Index != want || r.Relevance <= 0 || r.Relevance >= 1 {
			t.Errorf("place %d: %+v, want document %d", i, r, want)
		}
	}
	if got.Results[2].Relevance != 0.5 || len(got.Meta.Warnings) != 1 || !strings.HasPrefix(got.Meta.Warnings[0], "2 of 4 documents were cut") || !strings.HasSuffix(got.Meta.Warnings[0], "documents[1]") {
		t.Errorf("%s", w.Body)
	}
}

func TestPrompts(t *testing.T) {
	for _, c := range []struct {
		kind    string
		prompts []string
		want    string
	}{
		{"search_query", []string{"document", "query"}, "query"},
		{"search_query", []string{"query", "search_query"}, "search_query"},
		{"search_document", []string{"passage", "query"}, "passage"},
		{"clustering", []string{"query"}, ""},
		{"image", []string{"query"}, ""},
		{"search_query", nil, ""},
	} {
		m, h := protocol.Recording()
		m.About = func(i *backend.Info) { i.Details.Prompts = c.prompts }
		if w := backendtest.Post(h, "/v2/embed", `{"texts": ["a"], "input_type": "`+c.kind+`"}`); w.Code != 200 || m.Options.Prompt != c.want {
			t.Errorf("%s with %q: %q, %s", c.kind, c.prompts, m.Options.Prompt, w.Body)
		}
	}
}

func FuzzRequests(f *testing.F) {
	protocol.Fuzz(f, []string{"/v1/rerank", "/v2/rerank", "/v2/embed"}, []int{400, 404, 413, 422}, func(body []byte) bool {
		var got struct{ Message string }
		return json.Unmarshal(body, &got) == nil && got.Message != ""
	})
}
