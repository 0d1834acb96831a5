package openai_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/openai"
)

var protocol = backendtest.Protocol(openai.Mount)

func TestGoldens(t *testing.T) { protocol.Goldens(t) }

func TestErrors(t *testing.T) {
	protocol.Failures(t, []backendtest.Failure{
		{Err: backend.Errorf(backend.Invalid, "input", "x"), Status: 400, Says: "invalid_request_error <nil>"},
		{Err: backend.Errorf(backend.Cannot, "model", "x"), Status: 400, Says: "invalid_request_error unsupported_model"},
		{Err: &backend.Error{Kind: backend.Overloaded, Message: "x", RetryAfter: time.Second}, Status: 429, Says: "requests rate_limit_exceeded"},
		{Err: backend.Errorf(backend.Unavailable, "", "x"), Status: 503, Says: "server_error <nil>"},
		{Err: errors.New("a secret"), Status: 500, Says: "server_error <nil>"},
	}, [][2]string{
		{"/v1/embeddings", `{"input": "a"}`}, {"/v1/completions", `{"prompt": "a"}`}, {"/v1/completions", `{"prompt": "a", "stream": true}`},
	}, func(t *testing.T, path string, body []byte) string {
		var got struct {
			Error struct {
				Type string
				Code any
			}
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Errorf("%s: %v: %s", path, err, body)
		}
		return fmt.Sprint(got.Error.Type, " ", got.Error.Code)
	})
}

// A list without models is not one of a server that has none.
func TestModelsThatAreNotThere(t *testing.T) {
	if w := backendtest.Get(protocol.Handler(backendtest.Absent{}), "/v1/models"); w.Code != 503 || !strings.Contains(w.Body.String(), "loading") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestEmbedOptions(t *testing.T) {
	r, h := protocol.Recording()
	for _, c := range []struct {
		body       string
		normalize  any
		dimensions int
	}{
		{`{"input": "a"}`, nil, 0},
		{`{"input": "a", "use_activation": false, "dimensions": 3}`, false, 3},
		{`{"input": "a", "normalize": true}`, true, 0},
	} {
		if w := backendtest.Post(h, "/v1/embeddings", c.body); w.Code != 200 {
			t.Fatal(w.Body)
		}
		var normalize any
		if r.Options.Normalize != nil {
			normalize = *r.Options.Normalize
		}
		if normalize != c.normalize || r.Options.Dimensions != c.dimensions || !r.Options.Strict {
			t.Errorf("%s: %+v", c.body, r.Options)
		}
	}
}

func TestDecoding(t *testing.T) {
	r, h := protocol.Recording()
	for body, want := range map[string]string{
		`{"prompt": "a"}`:                                         `{}`,
		`{"prompt": "a", "max_tokens": 20}`:                       `{"max_length":20}`,
		`{"prompt": "a", "temperature": 0}`:                       `{"beam":1,"sample":false}`,
		`{"prompt": "a", "temperature": 0.5, "seed": 7}`:          `{"sample":true,"temperature":0.5,"seed":7}`,
		`{"prompt": "a", "top_p": 0.5, "top_k": -1, "seed": 7}`:   `{"sample":true,"temperature":1,"top_k":0,"top_p":0.5,"seed":7}`,
		`{"prompt": "a", "top_k": 40, "seed": -1}`:                `{"sample":true,"temperature":1,"top_k":40,"seed":18446744073709551615}`,
		`{"prompt": "a", "top_p": 1, "top_k": 0, "stop": ["zz"]}`: `{}`,
	} {
		if w := backendtest.Post(h, "/v1/completions", body); w.Code != 200 {
			t.Fatal(w.Body)
		}
		if got, _ := json.Marshal(r.Decoding); string(got) != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

func TestVectorsOfBothEncodingsAreTheSame(t *testing.T) {
	h := protocol.Handler(backendtest.New())
	read := func(encoding string) (list []any) {
		var got struct{ Data []struct{ Embedding any } }
		w := backendtest.Post(h, "/v1/embeddings", `{"input": ["a", "b"], "encoding_format": "`+encoding+`"}`)
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

// failing writes one piece.
type failing struct{ backend.Model }

func (m failing) Generate(ctx context.Context, q backend.GenerateRequest, emit func(string) error) (backend.Generated, error) {
	n := 0
	return m.Model.Generate(ctx, q, func(piece string) error {
		if n++; n > 1 {
			return errors.New("a secret")
		}
		return emit(piece)
	})
}

// What fails after the stream has begun is told in the stream, which does not end as a whole one does.
func TestStreamThatFails(t *testing.T) {
	r, h := protocol.Recording()
	r.Model = failing{r.Model}
	w := backendtest.Post(h, "/v1/completions", `{"prompt": "a small cat", "stream": true}`)
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
	h := protocol.Handler(models)
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
	r, h := protocol.Recording()
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

func FuzzRequests(f *testing.F) {
	protocol.Fuzz(f, []string{"/v1/embeddings", "/v1/completions"}, []int{400, 404, 413}, func(body []byte) bool {
		var got struct {
			Error *struct{ Message, Type string }
		}
		return json.Unmarshal(body, &got) == nil && got.Error != nil && got.Error.Message != "" && got.Error.Type != ""
	})
}
