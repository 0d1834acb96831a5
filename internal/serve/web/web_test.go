package web

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

func kindOf(t *testing.T, err error) backend.Kind {
	t.Helper()
	var e *backend.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no backend.Error", err)
	}
	return e.Kind
}

// Where no model has room a request is refused before its body is read.
func TestBusy(t *testing.T) {
	body := iotest.ErrReader(errors.New("read"))
	busy := &backend.Error{Kind: backend.Overloaded}
	l := Limits{Body: 40, Busy: func() error { return busy }}
	if _, err := ReadBody(httptest.NewRecorder(), httptest.NewRequest("POST", "/", body), l); err != busy {
		t.Errorf("%v", err)
	}
}

func TestReadJSON(t *testing.T) {
	l := Limits{Body: 40}
	for _, c := range []struct {
		name, body string
		header     string
		kind       backend.Kind
		says       string
	}{
		{"wrong", `{"n": 1,}`, "", backend.Invalid, "at byte"},
		{"none", ``, "", backend.Invalid, "no body"},
		{"type", `{"n": "one"}`, "", backend.Invalid, "n is a JSON string"},
		{"two values", `{"n": 1} {"n": 2}`, "", backend.Invalid, "at byte"},
		{"long", `{"n": 1, "x": "` + strings.Repeat("x", 40) + `"}`, "", backend.TooLarge, "40 bytes"},
		{"form", `{"n": 1}`, "multipart/form-data; boundary=x", backend.Invalid, "form"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, length := range []bool{true, false} { // a chunked body says no length
				r := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
				if !length {
					r.ContentLength = -1
				}
				r.Header.Set("Content-Type", c.header)
				var into struct {
					N int `json:"n"`
				}
				err := ReadJSON(httptest.NewRecorder(), r, l, &into)
				if kindOf(t, err) != c.kind || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %v with %q", err, c.kind, c.says)
				}
			}
		})
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"n": 3, "new": true}`))
	var into struct {
		N int `json:"n"`
	}
	if err := ReadJSON(httptest.NewRecorder(), r, l, &into); err != nil || into.N != 3 {
		t.Errorf("%v, %d", err, into.N)
	}
	r = httptest.NewRequest("POST", "/", iotest.ErrReader(errors.New("reset")))
	if err := ReadJSON(httptest.NewRecorder(), r, l, &into); kindOf(t, err) != backend.Invalid {
		t.Errorf("%v", err)
	}
	r.Header.Set("Content-Encoding", "gzip")
	if err := ReadJSON(httptest.NewRecorder(), r, l, &into); !strings.Contains(err.Error(), "gzip") {
		t.Errorf("%v", err)
	}
}

func TestPicture(t *testing.T) {
	for _, c := range []struct{ ref, want, says string }{
		{"data:image/png;base64,QUJD", "ABC", ""},
		{"DATA:image/png;charset=x;BASE64,QUI=", "AB", ""},
		{"data:;base64,QUI", "AB", ""},
		{"data:;base64,_-8", "\xff\xef", ""},
		{"data:text/plain,A%42C", "ABC", ""},
		{"data:image/png;base64,", "", "empty"},
		{"data:image/png;base64,Q!", "", "not base64"},
		{"data:image/png;base64", "", "no data URL"},
		{"data:,%zz", "", "wrong %"},
		{"https://example.com/a.png", "", "fetches none"},
		{"file:///etc/passwd", "", "is no data URL"},
		{"a.png", "", "is no data URL"},
	} {
		raw, err := Limits{}.Picture(context.Background(), "image", c.ref)
		if c.says == "" && (err != nil || string(raw) != c.want) {
			t.Errorf("%s: %q, %v", c.ref, raw, err)
		}
		if c.says != "" && (kindOf(t, err) != backend.Invalid || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", c.ref, err, c.says)
		}
	}
}

func TestFetcher(t *testing.T) {
	var other *httptest.Server
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/cats/a.png":
			w.Write([]byte("ABC"))
		case "/cats/long.png":
			w.Write(make([]byte, 101))
		case "/cats/away.png":
			http.Redirect(w, r, other.URL, http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	asked := false
	other = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer other.Close()
	f, err := NewFetcher([]string{server.URL + "/cats"}, 100)
	if err != nil {
		t.Fatal(err)
	}
	defer f.client.CloseIdleConnections()
	l := Limits{Fetcher: f}
	if raw, err := l.Picture(context.Background(), "image", server.URL+"/cats/a.png"); err != nil || string(raw) != "ABC" {
		t.Errorf("%q, %v", raw, err)
	}
	for path, says := range map[string]string{
		"/cats/none.png": "status 404", "/cats/long.png": "more than 100", "/cats/away.png": "could not be fetched",
		"/catsandmore/a.png": "does not fetch", "/cats/../dogs/a.png": "does not fetch", "/cats/%2e%2e/dogs/a.png": "does not fetch",
	} {
		if _, err := l.Picture(context.Background(), "image", server.URL+path); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", path, err, says)
		}
	}
	if asked {
		t.Error("a redirection to another place was followed")
	}
	if _, err := l.Picture(WithRequest(context.Background(), none{}), "image", server.URL+"/cats/a.png"); backend.AsError(err).Kind != backend.Overloaded {
		t.Errorf("without memory: %v", err)
	}
	for _, bad := range []string{"example.com", "ftp://example.com/", "https://u:p@example.com/", "https://example.com/?q", "%"} {
		if _, err := NewFetcher([]string{bad}, 1); err == nil {
			t.Errorf("%s is taken", bad)
		}
	}
}

// none is a request without memory.
type none struct{ Request }

func (none) Hold(int) error {
	return &backend.Error{Kind: backend.Overloaded, Message: "there is none"}
}
func (none) Release(int) {}

func TestStatus(t *testing.T) {
	h := http.Header{}
	if got := Status(h, &backend.Error{Kind: backend.Overloaded, RetryAfter: 1200 * time.Millisecond}); got != 429 || h.Get("Retry-After") != "2" {
		t.Errorf("%d, %v", got, h)
	}
	if got := Status(http.Header{}, backend.AsError(errors.New("secret"))); got != 500 {
		t.Error(got)
	}
	if got := Status(http.Header{}, backend.AsError(context.Canceled)); got != StatusClientClosedRequest {
		t.Error(got)
	}
}

func TestWriteJSON(t *testing.T) {
	w := httptest.NewRecorder()
	WriteJSON(w, 201, map[string]int{"n": 1})
	if w.Code != 201 || w.Body.String() != "{\"n\":1}\n" || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
}

func FuzzDataURL(f *testing.F) {
	f.Add("data:image/png;base64,QUJD")
	f.Add("data:,%41")
	f.Fuzz(func(t *testing.T, ref string) {
		raw, err := DataURL("image", ref)
		if (err == nil) == (len(raw) == 0) || len(raw) > len(ref) {
			t.Errorf("%q: %d bytes, %v", ref, len(raw), err)
		}
	})
}
