package weaviate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/test/weaviate"
)

// exchange is a request with the answer that a real server gave. A file of testdata has one on each line.
type exchange struct {
	Method string          `json:"method"`
	Path   string          `json:"path"`
	Key    string          `json:"key,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	Status int             `json:"status"`
	Answer json.RawMessage `json:"answer,omitempty"`
}

// recorded is the URL of a server that answers as a real one did, and wants the same requests. With UNIMO_UPDATE=1 it is a real one with these
// settings, an empty one, and what it answers is recorded. prepare is called then, with what the requests of others have made of it.
func recorded(t *testing.T, name string, prepare func(s *weaviate.Server), settings ...string) string {
	t.Helper()
	file := filepath.Join("testdata", name+".jsonl")
	if os.Getenv("UNIMO_UPDATE") != "" {
		real := weaviate.Start(t, settings...)
		prepare(real)
		return record(t, file, strings.TrimPrefix(real.URL(), Scheme))
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var exchanges []exchange
	for d := json.NewDecoder(bytes.NewReader(raw)); d.More(); {
		var x exchange
		if err := d.Decode(&x); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		exchanges = append(exchanges, x)
	}
	var mu sync.Mutex
	next := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		got := request(t, r)
		if next == len(exchanges) {
			t.Errorf("%s: there is no request %d: %s %s %s", file, next+1, got.Method, got.Path, got.Body)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		want := exchanges[next]
		next++
		if got.Method != want.Method || got.Path != want.Path || got.Key != want.Key || !sameJSON(got.Body, want.Body) {
			t.Errorf("%s: request %d is %s %s %s (key %q), want %s %s %s (key %q)", file, next, got.Method, got.Path, got.Body, got.Key, want.Method, want.Path, want.Body, want.Key)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(want.Status)
		w.Write(want.Answer)
	}))
	t.Cleanup(func() {
		s.Close()
		if next != len(exchanges) && !t.Failed() {
			t.Errorf("%s: %d of %d requests came", file, next, len(exchanges))
		}
	})
	return Scheme + s.URL
}

func request(t *testing.T, r *http.Request) exchange {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if want := "application/json"; r.Header.Get("Content-Type") != want || r.Header.Get("Accept") != want {
		t.Errorf("headers %v", r.Header)
	}
	return exchange{Method: r.Method, Path: r.URL.String(), Key: r.Header.Get("Authorization"), Body: body}
}

func sameJSON(a, b []byte) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// record is the URL of a server that asks another, and writes down what it answers.
func record(t *testing.T, file, address string) string {
	var lines bytes.Buffer
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x := request(t, r)
		ask, err := http.NewRequest(r.Method, address+x.Path, bytes.NewReader(x.Body))
		if err != nil {
			t.Error(err)
			return
		}
		ask.Header = r.Header.Clone()
		ask.Header.Del("Accept-Encoding")
		response, err := http.DefaultClient.Do(ask)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		raw, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		x.Status, x.Answer = response.StatusCode, raw
		if len(raw) > 0 && !json.Valid(raw) {
			t.Errorf("%s %s: an answer that is not JSON: %s", x.Method, x.Path, raw)
		}
		line, err := json.Marshal(x)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(&lines, "%s\n", line)
		w.WriteHeader(x.Status)
		w.Write(raw)
	}))
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			return
		}
		if err := os.WriteFile(file, lines.Bytes(), 0o644); err != nil {
			t.Error(err)
		}
	})
	return Scheme + s.URL
}
