package tei_test

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

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/tei"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// limits are small, so that they are met.
var limits = web.Limits{Body: 4000, Items: 9, TopK: 9}

func handler(m backend.Models) http.Handler {
	mux := http.NewServeMux()
	tei.Mount(mux, m, limits)
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
		err    error
		status int
		kind   string
	}{
		{backend.Errorf(backend.Invalid, "inputs", "no"), 422, "Validation"},
		{backend.Errorf(backend.Cannot, "model", "no"), 424, "Backend"},
		{&backend.Error{Kind: backend.Overloaded, Message: "full", RetryAfter: time.Second}, 429, "Overloaded"},
		{backend.Errorf(backend.Unavailable, "", "loading"), 503, "Unhealthy"},
		{errors.New("a secret"), 500, "Backend"},
	} {
		models := backendtest.New()
		models[0].Err = c.err
		for path, body := range map[string]string{"/embed": `{"inputs": "a"}`, "/predict": `{"inputs": "a"}`, "/rerank": `{"query": "a", "texts": ["a"]}`, "/tokenize": `{"inputs": "a"}`, "/": `{"inputs": "a"}`} {
			w := post(handler(models), path, body)
			var got struct {
				Error string
				Type  string `json:"error_type"`
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if w.Code != c.status || got.Type != c.kind || got.Error == "" || strings.Contains(got.Error, "secret") || (w.Header().Get("Retry-After") == "1") != (c.status == 429) {
				t.Errorf("%s: %v: %d %s", path, c.err, w.Code, w.Body)
			}
		}
	}
}

// Of several models the first that does what is asked answers, unless the request names one.
func TestTarget(t *testing.T) {
	models := backendtest.Models{{Name: "classes", Can: backend.CanClassify}, {Name: "vectors", Can: backend.CanEmbedText | backend.CanEmbedPicture}}
	for _, c := range []struct {
		path, body string
		status     int
		asked      int // which model; -1: none
	}{
		{"/embed", `{"inputs": "a"}`, 200, 1},
		{"/predict", `{"inputs": "a"}`, 200, 0},
		{"/", `{"inputs": "a"}`, 200, 0}, // as of a server with the first model alone
		{"/", `{"inputs": {"source_sentence": "a", "sentences": ["b"]}, "parameters": {}}`, 200, 1},
		{"/", `{"inputs": "a", "parameters": {}}`, 200, 0},
		{"/", `{"inputs": "a", "model": "vectors"}`, 200, 1},
		{"/", `{"inputs": "a", "model": "vectors", "parameters": {}}`, 200, 1},
		{"/rerank", `{"query": "a", "texts": ["b"]}`, 424, -1},
		{"/predict", `{"inputs": "a", "model": "vectors"}`, 424, 1},
		{"/", `{"inputs": "a", "model": "none"}`, 404, -1},
	} {
		before := [2]int{len(models[0].Asks()), len(models[1].Asks())}
		w := post(handler(models), c.path, c.body)
		asked := -1
		for i := range before {
			if len(models[i].Asks()) > before[i] {
				asked = i
			}
		}
		if w.Code != c.status || asked != c.asked {
			t.Errorf("%s %s: %d %s of model %d, want %d of model %d", c.path, c.body, w.Code, w.Body, asked, c.status, c.asked)
		}
	}
	for name, want := range map[string]string{"classes": `"classifier":{"id2label":{"0":"negative","1":"positive"},"label2id":{"negative":0,"positive":1}}`, "vectors": `"embedding":{"pooling":"mean"}`} {
		w := httptest.NewRecorder()
		handler(backendtest.Models{{Name: name, Can: map[string]backend.Capability{"classes": backend.CanClassify, "vectors": backend.CanEmbedText}[name]}}).ServeHTTP(w, httptest.NewRequest("GET", "/info", nil))
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", name, w.Body)
		}
	}
}

// model is a regression, and keeps how it was asked for vectors.
type model struct {
	backend.Model
	options   backend.EmbedOptions
	truncated bool
}

func (m *model) Info() backend.Info {
	i := m.Model.Info()
	i.Labels = nil
	return i
}

func (m *model) Classify(_ context.Context, inputs []backend.Input) ([]run.Reply, backend.Usage, error) {
	return make([]run.Reply, len(inputs)), backend.Usage{}, nil
}

func (m *model) Score(_ context.Context, _ backend.Item, documents []backend.Item) (backend.Scores, error) {
	return backend.Scores{List: []backend.Score{{Value: 0, Truncated: m.truncated}}}, nil
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

func TestRegression(t *testing.T) {
	models := backendtest.New()
	h := handler(one{models, &model{Model: models[0]}})
	for body, want := range map[string]string{
		`{"inputs": ["a", "b"]}`:                     `[{"score":0.5,"label":"LABEL_0"}]`,
		`{"inputs": ["a", "b"], "raw_scores": true}`: `[{"score":0,"label":"LABEL_0"}]`,
	} {
		if got := strings.TrimSpace(post(h, "/predict", body).Body.String()); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	scores := backendtest.Models{{Name: "scores", Can: backend.CanClassify | backend.CanScore}}
	w := httptest.NewRecorder()
	handler(one{scores, &model{Model: scores[0]}}).ServeHTTP(w, httptest.NewRequest("GET", "/info", nil))
	if want := `"model_type":{"reranker":{"id2label":{"0":"LABEL_0"},"label2id":{"LABEL_0":0}}}`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s, want %s", w.Body, want)
	}
}

func TestOptions(t *testing.T) {
	models := backendtest.New()
	m := &model{Model: models[0], truncated: true}
	h := handler(one{models, m})
	for _, c := range []struct {
		body              string
		normalize, strict bool
		prompt            string
		dimensions        int
	}{
		{`{"inputs": "a"}`, true, false, "", 0},
		{`{"inputs": "a", "normalize": false, "truncate": false, "prompt_name": "query", "dimensions": 3}`, false, true, "query", 3},
		{`{"inputs": "a", "truncate": true}`, true, false, "", 0},
	} {
		w := post(h, "/embed", c.body)
		if o := m.options; w.Code != 200 || *o.Normalize != c.normalize || o.Strict != c.strict || o.Prompt != c.prompt || o.Dimensions != c.dimensions {
			t.Errorf("%s: %+v %s", c.body, o, w.Body)
		}
	}
	for body, status := range map[string]int{`{"query": "a", "texts": ["b"]}`: 200, `{"query": "a", "texts": ["b"], "truncate": false}`: 422} {
		if w := post(h, "/rerank", body); w.Code != status {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

// Whatever a body is, the answer is one of the protocol's, and never that the server failed.
func FuzzRequests(f *testing.F) {
	paths := []string{"/embed", "/similarity", "/rerank", "/predict", "/tokenize", "/"}
	raw, err := os.ReadFile("testdata/goldens.txt")
	if err != nil {
		f.Fatal(err)
	}
	for _, record := range strings.Split(string(raw), "\n### ") {
		request, _, _ := strings.Cut(record, "\n---\n")
		for i, path := range paths {
			if _, body, ok := strings.Cut(request, "POST "+path+"\n"); ok {
				f.Add(byte(i), body)
			}
		}
	}
	h := handler(backendtest.New())
	f.Fuzz(func(t *testing.T, path byte, body string) {
		w := post(h, paths[int(path)%len(paths)], body)
		var got struct{ Error string }
		switch w.Code {
		case 200:
		case 400, 404, 413, 422, 424:
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Error == "" {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		default:
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
