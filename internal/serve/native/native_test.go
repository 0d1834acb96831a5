package native

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"image"
	_ "image/jpeg"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/web"
)

var dataURL = "data:image/png;base64," + base64.StdEncoding.EncodeToString([]byte(backendtest.PNG))

func handler(m backend.Models) http.Handler {
	mux := http.NewServeMux()
	Mount(mux, m, web.Limits{Body: 1 << 16, Items: 3, TopK: 5})
	return mux
}

func do(h http.Handler, method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, strings.NewReader(strings.ReplaceAll(body, "PICTURE", dataURL))))
	return w
}

// What clients get to the byte, from testdata/NAME.json. UNIMO_UPDATE=1 writes it.
func TestAnswers(t *testing.T) {
	for _, c := range []struct{ name, method, target, body string }{
		{"models", "GET", "/models", ""},
		{"search", "POST", "/search", `{"text": "red", "k": 3}`},
		{"search-picture", "POST", "/search", `{"model": "fake", "picture": "PICTURE", "k": 1}`},
		{"pictures", "GET", "/pictures?k=2&first=1&model=fake", ""},
		{"caption", "POST", "/caption", `{"picture": "PICTURE", "beam": 2}`},
		{"ask", "POST", "/ask", `{"picture": "PICTURE", "question": "is it red?", "k": 2}`},
		{"match", "POST", "/match", `{"picture": "PICTURE", "texts": ["red", "green"]}`},
		{"match-texts", "POST", "/match", `{"text": "red", "texts": ["rose", "grass"]}`},
		{"match-pictures", "POST", "/match", `{"text": "red", "pictures": ["PICTURE"]}`},
		{"classify", "POST", "/classify", `{"text": "a good film"}`},
		{"classify-several", "POST", "/classify", `{"inputs": [{"text": "a", "pair": "b"}, {"text": "a star", "picture": "PICTURE"}]}`},
		{"generate", "POST", "/generate", `{"texts": ["a b c"], "max_length": 2}`},
		{"generate-stream", "POST", "/generate", `{"texts": ["a b"], "stream": true}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := do(handler(backendtest.New()), c.method, c.target, c.body)
			if w.Code != 200 {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			file := filepath.Join("testdata", c.name+".json")
			if os.Getenv("UNIMO_UPDATE") != "" {
				if err := os.WriteFile(file, w.Body.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || w.Body.String() != string(want) {
				t.Errorf("%s\nwant\n%s (%v)", w.Body, want, err)
			}
		})
	}
}

// A form, as curl -F sends it, is answered as the JSON with the same things.
func TestForms(t *testing.T) {
	h := handler(backendtest.New())
	for path, c := range map[string]struct {
		fields [][2]string
		body   string
	}{
		"/search":   {[][2]string{{"picture", backendtest.PNG}, {"k", "2"}, {"model", "fake"}}, `{"picture": "PICTURE", "k": 2, "model": "fake"}`},
		"/caption":  {[][2]string{{"picture", backendtest.PNG}, {"beam", "2"}}, `{"picture": "PICTURE", "beam": 2}`},
		"/ask":      {[][2]string{{"picture", backendtest.PNG}, {"question", "what?"}}, `{"picture": "PICTURE", "question": "what?"}`},
		"/match":    {[][2]string{{"text", "a cat"}, {"pictures", backendtest.PNG}, {"pictures", backendtest.PNG}}, `{"text": "a cat", "pictures": ["PICTURE", "PICTURE"]}`},
		"/classify": {[][2]string{{"text", "good"}, {"picture", backendtest.PNG}}, `{"text": "good", "picture": "PICTURE"}`},
		"/generate": {[][2]string{{"texts", "a"}, {"stream", "true"}}, `{"texts": ["a"], "stream": true}`},
	} {
		var b bytes.Buffer
		form := multipart.NewWriter(&b)
		for _, f := range c.fields {
			if strings.HasPrefix(f[0], "picture") {
				w, _ := form.CreateFormFile(f[0], "photo.png")
				io.WriteString(w, f[1])
			} else {
				form.WriteField(f[0], f[1])
			}
		}
		form.Close()
		r := httptest.NewRequest("POST", path, &b)
		r.Header.Set("Content-Type", form.FormDataContentType())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if want := do(h, "POST", path, c.body); w.Code != 200 || w.Body.String() != want.Body.String() {
			t.Errorf("%s: %d %s, want %s", path, w.Code, w.Body, want.Body)
		}
	}
}

func TestErrors(t *testing.T) {
	few := backendtest.Models{{Name: "fake", Can: backend.CanAsk}}
	busy := backendtest.Models{{Name: "fake", Err: &backend.Error{Kind: backend.Overloaded, Message: "8 requests wait", RetryAfter: 2 * time.Second}}}
	all := backendtest.New()
	for _, c := range []struct {
		name           string
		models         backend.Models
		method, target string
		body           string
		status         int
		kind, param    string
		limit          int
	}{
		{"no JSON", all, "POST", "/search", `{"text": }`, 400, "invalid", "", 0},
		{"unknown key", all, "POST", "/search", `{"txt": "red"}`, 400, "invalid", "txt", 0},
		{"neither", all, "POST", "/search", `{}`, 400, "invalid", "", 0},
		{"both", all, "POST", "/search", `{"text": "red", "picture": "PICTURE"}`, 400, "invalid", "", 0},
		{"k 0", all, "POST", "/search", `{"text": "red", "k": 0}`, 400, "invalid", "k", 0},
		{"k large", all, "POST", "/search", `{"text": "red", "k": 6}`, 400, "invalid", "k", 5},
		{"body", all, "POST", "/search", `{"text": "` + strings.Repeat("x", 1<<16) + `"}`, 413, "too_large", "", 1 << 16},
		{"model", all, "POST", "/search", `{"text": "red", "model": "other"}`, 404, "not_found", "model", 0},
		{"URL", all, "POST", "/caption", `{"picture": "http://192.0.2.1/a.png"}`, 400, "invalid", "picture", 0},
		{"no picture", all, "POST", "/caption", `{}`, 400, "invalid", "picture", 0},
		{"no question", all, "POST", "/ask", `{"picture": "PICTURE"}`, 400, "invalid", "question", 0},
		{"many texts", all, "POST", "/match", `{"picture": "PICTURE", "texts": ["a", "b", "c", "d"]}`, 413, "too_large", "texts", 3},
		{"many pictures", all, "POST", "/match", `{"text": "a", "pictures": ["", "", "", ""]}`, 413, "too_large", "pictures", 3},
		{"second picture", all, "POST", "/match", `{"text": "a", "pictures": ["PICTURE", "x"]}`, 400, "invalid", "pictures[1]", 0},
		{"two queries", all, "POST", "/match", `{"picture": "PICTURE", "text": "a", "texts": ["b"]}`, 400, "invalid", "", 0},
		{"texts and pictures", all, "POST", "/match", `{"text": "a", "texts": ["b"], "pictures": ["PICTURE"]}`, 400, "invalid", "", 0},
		{"nothing to match", all, "POST", "/match", `{"picture": "PICTURE"}`, 400, "invalid", "", 0},
		{"many inputs", all, "POST", "/classify", `{"inputs": [{}, {}, {}, {}]}`, 413, "too_large", "inputs", 3},
		{"one and several", all, "POST", "/classify", `{"text": "a", "inputs": [{"text": "b"}]}`, 400, "invalid", "", 0},
		{"no texts", all, "POST", "/generate", `{"texts": []}`, 400, "invalid", "texts", 0},
		{"no texts in a stream", all, "POST", "/generate", `{"texts": [], "stream": true}`, 400, "invalid", "texts", 0},
		{"cannot", few, "POST", "/caption", `{"picture": "PICTURE"}`, 400, "cannot", "model", 0},
		{"busy", busy, "POST", "/caption", `{"picture": "PICTURE"}`, 429, "overloaded", "", 0},
		{"method", all, "GET", "/search", "", 405, "invalid", "", 0},
		{"method of pictures", all, "POST", "/pictures", "", 405, "invalid", "", 0},
		{"first", all, "GET", "/pictures?first=-1", "", 400, "invalid", "first", 0},
		{"k of pictures", all, "GET", "/pictures?k=6", "", 400, "invalid", "k", 5},
		{"unknown picture", all, "GET", "/pictures/red.gif", "", 404, "not_found", "id", 0},
		{"dots", all, "GET", "/pictures/..%2f..%2fetc%2fpasswd", "", 404, "not_found", "id", 0},
		{"size", all, "GET", "/pictures/red.png?size=2", "", 400, "invalid", "size", 0},
		{"unknown parameter", all, "GET", "/pictures?limit=1", "", 400, "invalid", "limit", 0},
		{"parameter of models", all, "GET", "/models?k=1", "", 400, "invalid", "k", 0},
		{"parameter of a body", all, "POST", "/ask?k=1", `{"picture": "data:,x", "question": "what?"}`, 400, "invalid", "k", 0},
		{"parameter of a text", all, "POST", "/generate?stream=true", `{"texts": ["a"]}`, 400, "invalid", "stream", 0},
		{"broken query", all, "GET", "/pictures?k=%zz", "", 400, "invalid", "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := do(handler(c.models), c.method, c.target, c.body)
			var f failure
			if err := json.Unmarshal(w.Body.Bytes(), &f); err != nil {
				t.Fatalf("%v: %s", err, w.Body)
			}
			e := f.Error
			if w.Code != c.status || e.Type != c.kind || e.Param != c.param || e.Limit != c.limit || e.Message == "" {
				t.Errorf("status %d, %+v; want %d, %s, %q, %d", w.Code, e, c.status, c.kind, c.param, c.limit)
			}
			if c.name == "busy" && w.Header().Get("Retry-After") != "2" {
				t.Errorf("Retry-After is %q, want 2", w.Header().Get("Retry-After"))
			}
		})
	}
}

// shelf is models whose index has pictures of one content.
type shelf struct {
	backend.Models
	content []byte
}

func (s shelf) Model(name string) (backend.Model, error) {
	m, err := s.Models.Model(name)
	return shelved{m, s.content}, err
}

type shelved struct {
	backend.Model
	content []byte
}

func (s shelved) Picture(context.Context, string) ([]byte, error) { return s.content, nil }

func TestPicture(t *testing.T) {
	encode := func(w, h int) []byte {
		var b bytes.Buffer
		if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, w, h))); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	small, large := encode(40, 20), encode(960, 480)
	for _, c := range []struct {
		name    string
		content []byte
		query   string
		status  int
		kind    string
		width   int
	}{
		{"small", small, "", 200, "image/png", 40},
		{"large", large, "", 200, "image/jpeg", 480},
		{"large as it is", large, "?size=full", 200, "image/png", 960},
		{"damaged", small[:30], "", 404, "", 0},
		{"a page", []byte("<html><script>alert(1)</script>"), "?size=full", 404, "", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := do(handler(shelf{backendtest.New(), c.content}), "GET", "/pictures/a.png"+c.query, "")
			if w.Code != c.status {
				t.Fatalf("status %d: %s", w.Code, w.Body)
			}
			if c.status != 200 {
				return
			}
			config, _, err := image.DecodeConfig(w.Body)
			if err != nil || config.Width != c.width || w.Header().Get("Content-Type") != c.kind {
				t.Errorf("%s of width %d: %v; want %s of %d", w.Header().Get("Content-Type"), config.Width, err, c.kind, c.width)
			}
			if w.Header().Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(w.Header().Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("a browser may run it: %v", w.Header())
			}
		})
	}
}

// Every route is described, and every description is of a route.
func TestOperations(t *testing.T) {
	mux := http.NewServeMux()
	Mount(mux, backendtest.New(), web.DefaultLimits)
	seen := map[string]bool{}
	for _, o := range Operations() {
		_, pattern := mux.Handler(httptest.NewRequest(o.Method, strings.ReplaceAll(o.Path, "{id...}", "a.png"), nil))
		if pattern != o.Path || seen[o.ID] {
			t.Errorf("%s %s is handled by %q; its id is %s", o.Method, o.Path, pattern, o.ID)
		}
		seen[o.ID] = true
	}
	if len(seen) != 9 {
		t.Errorf("%d operations", len(seen))
	}
}

func FuzzRequests(f *testing.F) {
	paths := []string{"/search", "/caption", "/ask", "/match", "/classify", "/generate"}
	for i := range paths {
		f.Add(i, `{"text": "a", "texts": ["a"], "picture": "`+dataURL+`", "question": "b", "k": 2, "inputs": [{"text": "a"}]}`)
	}
	h := handler(backendtest.New())
	f.Fuzz(func(t *testing.T, i int, body string) {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", paths[uint(i)%uint(len(paths))], strings.NewReader(body)))
		if w.Code != 200 && (w.Code < 400 || w.Code >= 500 || !json.Valid(w.Body.Bytes())) {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
	})
}
