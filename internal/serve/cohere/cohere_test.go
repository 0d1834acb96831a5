package cohere_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/cohere"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// limits are small, so that they are met.
var limits = web.Limits{Body: 4000, Items: 9, TopK: 9}

func handler(m backend.Models) http.Handler {
	mux := http.NewServeMux()
	cohere.Mount(mux, m, limits)
	return mux
}

func post(h http.Handler, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w
}

func TestGoldens(t *testing.T) {
	backendtest.Goldens(t, "testdata/goldens.txt", handler(backendtest.New()))
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		err     error
		status  int
		message string
	}{
		{backend.Errorf(backend.Cannot, "model", "no"), 400, "invalid request: no"},
		{&backend.Error{Kind: backend.Overloaded, Message: "full", RetryAfter: time.Second}, 429, "full"},
		{backend.Errorf(backend.Unavailable, "", "loading"), 503, "loading"},
		{errors.New("a secret"), 500, "the server failed; its log says why"},
	} {
		models := backendtest.New()
		models[0].Err = c.err
		for path, body := range map[string]string{"/v1/rerank": `{"query": "a", "documents": ["a"]}`, "/v2/rerank": `{"query": "a", "documents": ["a"]}`, "/v2/embed": `{"texts": ["a"]}`} {
			w := post(handler(models), path, body)
			var got struct{ ID, Message, Detail string }
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || got.Message != c.message || got.ID == "" || (got.Detail != "") != (path == "/v1/rerank") || (w.Header().Get("Retry-After") == "1") != (c.status == 429) {
				t.Errorf("%s: %v: %d %s", path, c.err, w.Code, w.Body)
			}
		}
	}
}

// model is a model whose answers are changed, and that keeps how it was asked.
type model struct {
	backend.Model
	scores  []backend.Score
	prompts []string
	options backend.EmbedOptions
}

func (m *model) Info() backend.Info {
	i := m.Model.Info()
	i.Details.Prompts = m.prompts
	return i
}

func (m *model) Score(context.Context, backend.Item, []backend.Item) (backend.Scores, error) {
	return backend.Scores{List: m.scores}, nil
}

func (m *model) Embed(ctx context.Context, items []backend.Item, o backend.EmbedOptions) (backend.Embeddings, error) {
	m.options = o
	return m.Model.Embed(ctx, items, o)
}

type one struct {
	backendtest.Models
	m backend.Model
}

func (o one) Model(string) (backend.Model, error) { return o.m, nil }

// Of equal documents the first is first; a model that was not calibrated has relevances from 0 to 1, too; what was cut is said.
func TestOrder(t *testing.T) {
	m := &model{Model: backendtest.New()[0], scores: []backend.Score{{Value: -3}, {Value: 2, Truncated: true}, {Value: 2}, {Value: 0, Truncated: true}}}
	w := post(handler(one{m: m}), "/v2/rerank", `{"query": "a", "documents": ["a", "b", "c", "d"]}`)
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
		m := &model{Model: backendtest.New()[0], prompts: c.prompts}
		if w := post(handler(one{m: m}), "/v2/embed", `{"texts": ["a"], "input_type": "`+c.kind+`"}`); w.Code != 200 || m.options.Prompt != c.want {
			t.Errorf("%s with %q: %q, %s", c.kind, c.prompts, m.options.Prompt, w.Body)
		}
	}
}

// seeds are the bodies of the recorded requests.
func seeds(f *testing.F, path string) {
	raw, err := os.ReadFile("testdata/goldens.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, record := range strings.Split(string(raw), "\n### ") {
		request, _, _ := strings.Cut(record, "\n---\n")
		if _, body, ok := strings.Cut(request, "POST "+path+"\n"); ok {
			f.Add(body)
		}
	}
}

// Whatever a body is, the answer is one of the protocol's, and never that the server failed.
func FuzzRerank(f *testing.F) {
	seeds(f, "/v1/rerank")
	seeds(f, "/v2/rerank")
	h := handler(backendtest.New())
	f.Fuzz(func(t *testing.T, body string) { check(t, post(h, "/v2/rerank", body)) })
}

func FuzzEmbed(f *testing.F) {
	seeds(f, "/v2/embed")
	h := handler(backendtest.New())
	f.Fuzz(func(t *testing.T, body string) { check(t, post(h, "/v2/embed", body)) })
}

func check(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var got struct{ Message string }
	switch w.Code {
	case 200:
	case 400, 404, 413, 422:
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Message == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	default:
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
