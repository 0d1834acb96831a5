package tei_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/tei"
)

var protocol = backendtest.Protocol(tei.Mount)

func TestGoldens(t *testing.T) { protocol.Goldens(t) }

func TestErrors(t *testing.T) {
	protocol.Failures(t, []backendtest.Failure{
		{Err: backend.Errorf(backend.Invalid, "inputs", "no"), Status: 422, Says: "Validation"},
		{Err: backend.Errorf(backend.Cannot, "model", "no"), Status: 424, Says: "Backend"},
		{Err: &backend.Error{Kind: backend.Overloaded, Message: "full", RetryAfter: time.Second}, Status: 429, Says: "Overloaded"},
		{Err: backend.Errorf(backend.Unavailable, "", "loading"), Status: 503, Says: "Unhealthy"},
		{Err: errors.New("a secret"), Status: 500, Says: "Backend"},
	}, [][2]string{
		{"/embed", `{"inputs": "a"}`}, {"/predict", `{"inputs": "a"}`}, {"/rerank", `{"query": "a", "texts": ["a"]}`}, {"/tokenize", `{"inputs": "a"}`}, {"/", `{"inputs": "a"}`},
		{"/embed_all", `{"inputs": "a"}`}, {"/decode", `{"ids": [5]}`}, {"/vertex", `{"instances": [{"inputs": "a"}]}`},
	}, func(t *testing.T, path string, body []byte) string {
		var got struct {
			Error string
			Type  string `json:"error_type"`
		}
		if err := json.Unmarshal(body, &got); err != nil || got.Error == "" {
			t.Errorf("%s: %v: %s", path, err, body)
		}
		return got.Type
	})
}

// Of several models the first that does what is asked answers, unless the request names one. Vectors are of the model that was made for them.
func TestTarget(t *testing.T) {
	models := backendtest.Models{{Name: "classes", Can: backend.CanClassify | backend.CanEmbedText, Aside: true}, {Name: "vectors", Can: backend.CanEmbedText | backend.CanEmbedPicture}}
	for _, c := range []struct {
		path, body string
		status     int
		asked      int // which model; -1: none
	}{
		{"/embed", `{"inputs": "a"}`, 200, 1},
		{"/embed", `{"inputs": "a", "model": "classes"}`, 200, 0},
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
		w := backendtest.Post(protocol.Handler(models), c.path, c.body)
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
	if w := backendtest.Post(protocol.Handler(models[:1]), "/embed", `{"inputs": "a"}`); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	for i, want := range []string{
		`"classifier":{"id2label":{"0":"negative","1":"positive"},"label2id":{"negative":0,"positive":1}}`, `"embedding":{"pooling":"mean"}`,
	} {
		if w := backendtest.Get(protocol.Handler(models[i:i+1]), "/info"); !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %s", models[i].Name, w.Body)
		}
	}
}

// A model that is not there now is not one that does something else.
func TestModelsThatAreNotThere(t *testing.T) {
	h := protocol.Handler(backendtest.Absent{})
	for path, body := range map[string]string{
		"/embed": `{"inputs": "a"}`, "/predict": `{"inputs": "a"}`, "/": `{"inputs": "a"}`, "/rerank": `{"query": "a", "texts": ["b"]}`, "/tokenize": `{"inputs": "a"}`,
	} {
		if w := backendtest.Post(h, path, body); w.Code != 503 || !strings.Contains(w.Body.String(), "loading") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// regression is a model that gives 0 to everything.
type regression struct{ backendtest.Recorder }

func (m *regression) Classify(_ context.Context, inputs []backend.Input) ([]run.Reply, backend.Usage, error) {
	return make([]run.Reply, len(inputs)), backend.Usage{}, nil
}

func unlabelled(i *backend.Info) { i.Labels = nil }

func TestRegression(t *testing.T) {
	h := protocol.Handler(backendtest.One(&regression{backendtest.Recorder{Model: backendtest.New()[0], About: unlabelled}}))
	for body, want := range map[string]string{
		`{"inputs": ["a", "b"]}`:                     `[{"score":0.5,"label":"LABEL_0"}]`,
		`{"inputs": ["a", "b"], "raw_scores": true}`: `[{"score":0,"label":"LABEL_0"}]`,
	} {
		if got := strings.TrimSpace(backendtest.Post(h, "/predict", body).Body.String()); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	scores := backendtest.Models{{Name: "scores", Can: backend.CanClassify | backend.CanScore}}
	w := backendtest.Get(protocol.Handler(backendtest.One(&backendtest.Recorder{Model: scores[0], About: unlabelled})), "/info")
	if want := `"model_type":{"reranker":{"id2label":{"0":"LABEL_0"},"label2id":{"LABEL_0":0}}}`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("%s, want %s", w.Body, want)
	}
}

func TestOptions(t *testing.T) {
	m, h := protocol.Recording()
	m.Scores = []backend.Score{{Value: 0, Truncated: true}}
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
		w := backendtest.Post(h, "/embed", c.body)
		if o := m.Options; w.Code != 200 || *o.Normalize != c.normalize || o.Strict != c.strict || o.Prompt != c.prompt || o.Dimensions != c.dimensions {
			t.Errorf("%s: %+v %s", c.body, o, w.Body)
		}
	}
	for body, status := range map[string]int{`{"query": "a", "texts": ["b"]}`: 200, `{"query": "a", "texts": ["b"], "truncate": false}`: 422} {
		if w := backendtest.Post(h, "/rerank", body); w.Code != status {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	}
}

func FuzzRequests(f *testing.F) {
	protocol.Fuzz(f, []string{"/embed", "/similarity", "/rerank", "/predict", "/tokenize", "/", "/embed_all", "/embed_sparse", "/decode", "/vertex"}, []int{400, 404, 413, 422, 424}, func(body []byte) bool {
		var got struct{ Error string }
		return json.Unmarshal(body, &got) == nil && got.Error != ""
	})
}
