package backendtest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// Protocol is the Mount of a protocol's package.
type Protocol func(mux *http.ServeMux, m backend.Models, l web.Limits)

// Handler returns a protocol's routes with models behind them. Limits are small, so that they are met.
func (p Protocol) Handler(m backend.Models) http.Handler {
	mux := http.NewServeMux()
	p(mux, m, web.Limits{Body: 4000, Items: 9, TopK: 9})
	return mux
}

// Post sends a request with a body, Get one without.
func Post(h http.Handler, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
	return w
}

// Get is [Post] without a body.
func Get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// Goldens holds the protocol against testdata/goldens.txt; see [Goldens].
func (p Protocol) Goldens(t *testing.T) {
	t.Helper()
	Goldens(t, goldens, p.Handler(New()))
}

const goldens = "testdata/goldens.txt"

// Failure is an error of a model, the status that it gets, and what the answer says of it.
type Failure struct {
	Err    error
	Status int
	Says   string
}

// Failures asks models that fail, with bodies for paths. says is what a protocol's answer says; what the server knows of an error of its own, in
// which there is "secret", must not be in it.
func (p Protocol) Failures(t *testing.T, list []Failure, requests [][2]string, says func(t *testing.T, path string, body []byte) string) {
	t.Helper()
	for _, c := range list {
		models := New()
		models[0].Err = c.Err
		for _, r := range requests {
			w := Post(p.Handler(models), r[0], r[1])
			got := says(t, r[0], w.Body.Bytes())
			if w.Code != c.Status || got != c.Says || strings.Contains(w.Body.String(), "secret") || (w.Header().Get("Retry-After") == "1") != (c.Status == http.StatusTooManyRequests) {
				t.Errorf("%s %s: %v: %d %q, want %d %q\n%s", r[0], r[1], c.Err, w.Code, got, c.Status, c.Says, w.Body)
			}
		}
	}
}

// Recorder is a model that does everything and keeps how it was asked.
type Recorder struct {
	backend.Model
	About  func(i *backend.Info) // changes what it is
	Scores []backend.Score       // in place of its own

	Options  backend.EmbedOptions
	Decoding backend.Decoding
}

// Info implements [backend.Model].
func (r *Recorder) Info() backend.Info {
	i := r.Model.Info()
	if r.About != nil {
		r.About(&i)
	}
	return i
}

// Embed implements [backend.Model].
func (r *Recorder) Embed(ctx context.Context, items []backend.Item, o backend.EmbedOptions) (backend.Embeddings, error) {
	r.Options = o
	return r.Model.Embed(ctx, items, o)
}

// Score implements [backend.Model].
func (r *Recorder) Score(ctx context.Context, query backend.Item, documents []backend.Item) (backend.Scores, error) {
	if r.Scores != nil {
		return backend.Scores{List: r.Scores}, nil
	}
	return r.Model.Score(ctx, query, documents)
}

// Generate implements [backend.Model].
func (r *Recorder) Generate(ctx context.Context, q backend.GenerateRequest, emit func(string) error) (backend.Generated, error) {
	r.Decoding = q.Decoding
	return r.Model.Generate(ctx, q, emit)
}

// one is m by any name.
type one struct {
	backend.Models
	m backend.Model
}

func (o one) Model(string) (backend.Model, error) { return o.m, nil }

// One returns models of which each is m.
func One(m backend.Model) backend.Models { return one{New(), m} }

// Recording returns a protocol's routes with a model behind them that keeps how it was asked.
func (p Protocol) Recording() (*Recorder, http.Handler) {
	r := &Recorder{Model: New()[0]}
	return r, p.Handler(One(r))
}

// Fuzz sends any body to some paths, those of the goldens first. Whatever it is, the answer has status 200, or one of some others and the
// protocol's form; the server never fails.
func (p Protocol) Fuzz(f *testing.F, paths []string, refused []int, form func(body []byte) bool) {
	raw, err := infile.Read(goldens, 1<<20)
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
	h := p.Handler(New())
	f.Fuzz(func(t *testing.T, path byte, body string) {
		w := Post(h, paths[int(path)%len(paths)], body)
		if w.Code != http.StatusOK && (!slices.Contains(refused, w.Code) || !form(w.Body.Bytes())) {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
