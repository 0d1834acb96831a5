package openai_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/openai"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// limits are small, so that they are met.
var limits = web.Limits{Body: 4000, Items: 9, TopK: 9}

func handler(m backend.Models) http.Handler {
	mux := http.NewServeMux()
	openai.Mount(mux, m, limits)
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
		want   string // type and code
	}{
		{backend.Errorf(backend.Invalid, "input", "x"), 400, "invalid_request_error <nil>"},
		{backend.Errorf(backend.Cannot, "model", "x"), 400, "invalid_request_error unsupported_model"},
		{&backend.Error{Kind: backend.Overloaded, Message: "x", RetryAfter: time.Second}, 429, "requests rate_limit_exceeded"},
		{backend.Errorf(backend.Unavailable, "", "x"), 503, "server_error <nil>"},
		{errors.New("a secret"), 500, "server_error <nil>"},
	} {
		models := backendtest.New()
		models[0].Err = c.err
		for _, body := range []string{`{"input": "a"}`, `{"prompt": "a"}`, `{"prompt": "a", "stream": true}`} {
			path := "/v1/embeddings"
			if strings.Contains(body, "prompt") {
				path = "/v1/completions"
			}
			w := post(handler(models), path, body)
			var got struct {
				Error struct {
					Type string
					Code any
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			code, ok := got.Error.Code.(string)
			if !ok {
				code = "<nil>"
			}
			if w.Code != c.status || got.Error.Type+" "+code != c.want || strings.Contains(w.Body.String(), "secret") || (w.Header().Get("Retry-After") == "1") != (c.status == 429) {
				t.Errorf("%v: %d %s, want %d %s", c.err, w.Code, w.Body, c.status, c.want)
			}
		}
	}
}

// recorder is a model that keeps how it was asked.
type recorder struct {
	backend.Model
	options  backend.EmbedOptions
	decoding backend.Decoding
	fail     int // pieces after which Generate fails
}

func (r *recorder) Embed(ctx context.Context, items []backend.Item, o backend.EmbedOptions) (backend.Embeddings, error) {
	r.options = o
	return r.Model.Embed(ctx, items, o)
}

func (r *recorder) Generate(ctx context.Context, q backend.GenerateRequest, emit func(string) error) (backend.Generated, error) {
	r.decoding = q.Decoding
	if r.fail == 0 {
		return r.Model.Generate(ctx, q, emit)
	}
	n := 0
	return r.Model.Generate(ctx, q, func(piece string) error {
		if n++; n > r.fail {
			return errors.New("a secret")
		}
		return emit(piece)
	})
}

type one struct {
	backendtest.Models
	m backend.Model
}

func (o one) Model(string) (backend.Model, error) { return o.m, nil }

func recording() (*recorder, http.Handler) {
	models := backendtest.New()
	r := &recorder{Model: models[0]}
	return r, handler(one{models, r})
}

func TestEmbedOptions(t *testing.T) {
	r, h := recording()
	for _, c := range []struct {
		body       string
		normalize  any
		dimensions int
	}{
		{`{"input": "a"}`, nil, 0},
		{`{"input": "a", "use_activation": false, "dimensions": 3}`, false, 3},
		{`{"input": "a", "normalize": true}`, true, 0},
	} {
		if w := post(h, "/v1/embeddings", c.body); w.Code != 200 {
			t.Fatal(w.Body)
		}
		var normalize any
		if r.options.Normalize != nil {
			normalize = *r.options.Normalize
		}
		if normalize != c.normalize || r.options.Dimensions != c.dimensions || !r.options.Strict {
			t.Errorf("%s: %+v", c.body, r.options)
		}
	}
}

func TestDecoding(t *testing.T) {
	r, h := recording()
	for body, want := range map[string]string{
		`{"prompt": "a"}`:                                         `{}`,
		`{"prompt": "a", "max_tokens": 20}`:                       `{"max_length":20}`,
		`{"prompt": "a", "temperature": 0}`:                       `{"beam":1,"sample":false}`,
		`{"prompt": "a", "temperature": 0.5, "seed": 7}`:          `{"sample":true,"temperature":0.5,"seed":7}`,
		`{"prompt": "a", "top_p": 0.5, "top_k": -1, "seed": 7}`:   `{"sample":true,"temperature":1,"top_k":0,"top_p":0.5,"seed":7}`,
		`{"prompt": "a", "top_k": 40, "seed": -1}`:                `{"sample":true,"temperature":1,"top_k":40,"seed":18446744073709551615}`,
		`{"prompt": "a", "top_p": 1, "top_k": 0, "stop": ["zz"]}`: `{}`,
	} {
		if w := post(h, "/v1/completions", body); w.Code != 200 {
			t.Fatal(w.Body)
		}
		if got, _ := json.Marshal(r.decoding); string(got) != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

func TestVectorsOfBothEncodingsAreTheSame(t *testing.T) {
	h := handler(backendtest.New())
	read := func(encoding string) (list []any) {
		var got struct{ Data []struct{ Embedding any } }
		w := post(h, "/v1/embeddings", `{"input": ["a", "b"], "encoding_format": "`+encoding+`"}`)
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, d := range got.Data {
			list = append(list, d.Embedding)
		}
		return list
	}
	floats := read("float")
	for i, e := range read("base64") {
		raw, err := base64.StdEncoding.DecodeString(e.(string))
		if err != nil {
			t.Fatal(err)
		}
		for k, x := range floats[i].([]any) {
			if y := math.Float32frombits(binary.LittleEndian.Uint32(raw[4*k:])); y != float32(x.(float64)) {
				t.Errorf("vector %d: value %d is %v and %v", i, k, x, y)
			}
		}
	}
}

// What fails after the stream has begun is told in the stream, which does not end as a whole one does.
func TestStreamThatFails(t *testing.T) {
	r, h := recording()
	r.fail = 1
	w := post(h, "/v1/completions", `{"prompt": "a small cat", "stream": true}`)
	body := w.Body.String()
	if w.Code != 200 || !strings.Contains(body, `"text":"A"`) || !strings.Contains(body, `data: {"error":{"code":null,"message":"the server failed`) || strings.Contains(body, "[DONE]") || strings.Contains(body, "secret") {
		t.Error(body)
	}
}

// A client that leaves ends the work: the model's context is cancelled, and the handler returns.
func TestClientLeaves(t *testing.T) {
	models := backendtest.New()
	models[0].Wait = make(chan struct{})
	done := make(chan struct{})
	h := handler(models)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	ctx, cancel := context.WithCancel(context.Background())
	r, _ := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v1/completions", strings.NewReader(`{"prompt": ["a", "b"], "stream": true}`))
	go func() {
		for len(models[0].Asks()) < 2 {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	if a, err := http.DefaultClient.Do(r); err == nil {
		a.Body.Close()
		t.Error("answered")
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("the handler still waits")
	}
}

// Pieces arrive before the text is whole.
func TestStreamIsFlushed(t *testing.T) {
	r, h := recording()
	first := make(chan struct{})
	r.Model = waiting{r.Model, first}
	server := httptest.NewServer(h)
	defer server.Close()
	a, err := http.Post(server.URL+"/v1/completions", "application/json", strings.NewReader(`{"prompt": "a small cat", "stream": true}`))
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	lines := bufio.NewScanner(a.Body)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"text":"A"`) {
		t.Fatal(lines.Text())
	}
	close(first)
	last := ""
	for lines.Scan() {
		if lines.Text() != "" {
			last = lines.Text()
		}
	}
	if last != "data: [DONE]" {
		t.Error(last)
	}
}

// waiting writes no second piece until the first is read.
type waiting struct {
	backend.Model
	first chan struct{}
}

func (m waiting) Generate(ctx context.Context, q backend.GenerateRequest, emit func(string) error) (backend.Generated, error) {
	n := 0
	return m.Model.Generate(ctx, q, func(piece string) error {
		if n++; n == 2 {
			<-m.first
		}
		return emit(piece)
	})
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
func FuzzEmbeddings(f *testing.F) {
	seeds(f, "/v1/embeddings")
	h := handler(backendtest.New())
	f.Fuzz(func(t *testing.T, body string) { check(t, post(h, "/v1/embeddings", body)) })
}

func FuzzCompletions(f *testing.F) {
	seeds(f, "/v1/completions")
	h := handler(backendtest.New())
	f.Fuzz(func(t *testing.T, body string) { check(t, post(h, "/v1/completions", body)) })
}

func check(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var got struct {
		Error *struct{ Message, Type string }
	}
	switch w.Code {
	case 200:
	case 400, 404, 413:
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.Error == nil || got.Error.Message == "" || got.Error.Type == "" {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	default:
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
