package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// What is refused before a handler sees it has the form that the route's description says.
func TestRefusalsHaveTheProtocolsForm(t *testing.T) {
	for _, o := range operations() {
		described, ok := o.Responses[401].Content["application/json"]
		if !ok {
			continue
		}
		r := httptest.NewRequest(o.Method, strings.NewReplacer("{$}", "", "{", "", "}", "", "...", "").Replace(o.Path), nil)
		w := httptest.NewRecorder()
		failureOf(r)(w, backend.Errorf(backend.Unauthenticated, "", "no key"))
		var body map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil || w.Code != 401 {
			t.Errorf("%s %s: %d %s", o.Method, o.Path, w.Code, w.Body)
		}
		fits(t, o.Method+" "+o.Path, described, body)
	}
}

// fits holds an object against its schema: it has the keys that are required, and no others than the schema has.
func fits(t *testing.T, where string, s web.Schema, body map[string]any) {
	t.Helper()
	properties := s["properties"].(map[string]web.Schema)
	for key, value := range body {
		inner, ok := properties[key]
		if !ok {
			t.Errorf("%s: %s is not described: %v", where, key, body)
		}
		if object, is := value.(map[string]any); is {
			fits(t, where, inner, object)
		}
	}
	for _, key := range s["required"].([]string) {
		if _, ok := body[key]; !ok {
			t.Errorf("%s: %s is missing: %v", where, key, body)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	url := guarded(t, backendtest.New(), nil)
	s := &running{url: url, client: httpClient}
	const own = `{"error":{"message":"nothing answers GET `
	for _, c := range []struct {
		method, path string
		status       int
		allow, says  string
	}{
		{"GET", "/nope", 404, "", own + `\"/nope\" here; /docs lists what does","type":"not_found"}}`},
		{"GET", "/page/x", 404, "", own},
		{"GET", "/v1/chat/completions", 404, "", `"code":"unknown_url"`},
		{"GET", "/v1", 404, "", `"code":"unknown_url"`},
		{"POST", "/v1/rerank/x", 404, "", `"detail":"nothing answers`},
		{"GET", "/v2/nope", 404, "", `{"error":"nothing answers`},
		{"POST", "/embed/x", 404, "", `{"error":"nothing answers`},
		{"POST", "/embedded", 404, "", `{"error":{"message":"nothing answers`},
		{"POST", "/livez", 405, "GET, HEAD", `{"error":{"message":"POST is not what /livez answers; use GET, HEAD","type":"invalid"}}`},
		{"DELETE", "/", 405, "GET, HEAD, POST", `"type":"invalid"`},
		{"DELETE", "/v1/models", 405, "GET", `"type":"invalid_request_error"`},
		{"GET", "/v2/rerank", 405, "POST", `"message":"GET is not what`},
		{"GET", "/embed", 405, "POST", `"error_type":"Validation"`},
		{"DELETE", "/v2", 405, "GET, HEAD", `{"error":"DELETE is not`},
		{"GET", "/v2/models/fake/infer", 405, "POST", `{"error":"GET is not`},
		{"GET", "/a/../nope", 404, "", own},
		{"GET", "/nope/../livez", 200, "", `live`},
		{"GET", "/health", 200, "", `{"status":"ready"}`},
	} {
		status, body, h := s.do(t, c.method, c.path, "")
		if status != c.status || h.Get("Allow") != c.allow || !strings.Contains(body, c.says) || h.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %d %q %s", c.method, c.path, status, h, body)
		}
	}
}

// differing is what answers to the same request differ in. A fingerprint is there once it was computed.
var differing = regexp.MustCompile(`"(id|created|fingerprint|model_sha)":("[^"]*"|[0-9]+),?`)

// answersOf asks every route that is described, and returns what it says, without what differs each time.
func answersOf(s *server) map[string]string {
	bodies := map[string]string{ // of routes that answer the tiny model's questions
		"/predict": predict, "/classify": `{"text": "a film"}`, "/rerank": `{"query": "a", "texts": ["b"]}`, "/tokenize": `{"inputs": "a film"}`, "/v1/embeddings": `{"input": "a film"}`,
		"/v2/models/{model}/infer": `{"inputs": [{"name": "text", "shape": [1], "datatype": "BYTES", "data": ["a film"]}]}`,
	}
	all := map[string]string{}
	for _, o := range operations() {
		if o.Path == "/metrics" {
			continue
		}
		path := strings.NewReplacer("{$}", "", "{model}", "films", "{version}", "1", "{", "", "}", "", "...", "").Replace(o.Path)
		r := httptest.NewRequest(o.Method, path, strings.NewReader(bodies[o.Path]))
		w := httptest.NewRecorder()
		s.guard.ServeHTTP(w, r)
		all[o.Method+" "+path] = fmt.Sprint(w.Code, " ", differing.ReplaceAllString(w.Body.String(), ""))
	}
	return all
}

// While the server drains every route answers as before, also those about models, but for what tells whether it should be sent more.
func TestDrainChangesReadinessAlone(t *testing.T) {
	s, err := newServer(Options{Backend: backend.Options{Models: []backend.Source{{Name: "films", Dir: filepath.Join(tiny, "films.model")}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.flush()
	defer s.models.Close()
	if err := s.models.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	before := answersOf(s)
	s.models.Drain()
	during := answersOf(s)
	readiness := []string{"GET /health", "GET /readyz", "GET /v2/health/ready", "GET /v2/models/films/ready", "GET /v2/models/films/versions/1/ready"}
	for _, route := range slices.Sorted(maps.Keys(before)) {
		switch told := slices.Contains(readiness, route); {
		case told && (!strings.HasPrefix(before[route], "200 ") || !strings.HasPrefix(during[route], "503 ") || !strings.Contains(during[route], "about to end")):
			t.Errorf("%s: %s, then %s", route, before[route], during[route])
		case !told && during[route] != before[route]:
			t.Errorf("%s: %s, want %s", route, during[route], before[route])
		}
	}
	for _, route := range append(readiness, "GET /models", "GET /v1/models", "GET /v1/models/films", "GET /info", "GET /v2/models/films", "POST /v2/repository/index", "POST /predict", "POST /classify") {
		if !strings.HasPrefix(before[route], "200 ") {
			t.Errorf("%s before: %q", route, before[route])
		}
	}
	if said := during["POST /rerank"]; !strings.HasPrefix(said, "424 ") { // what no model does is no question of when
		t.Error(said)
	}
}
