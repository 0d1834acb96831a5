package serve

import (
	"net/http"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/cohere"
	"github.com/unimo-go/unimo/internal/serve/native"
	"github.com/unimo-go/unimo/internal/serve/oip"
	"github.com/unimo-go/unimo/internal/serve/openai"
	"github.com/unimo-go/unimo/internal/serve/openapi"
	"github.com/unimo-go/unimo/internal/serve/page"
	"github.com/unimo-go/unimo/internal/serve/tei"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// mount serves every protocol, the page, and health.
func mount(mux *http.ServeMux, m backend.Models, l web.Limits, p page.Options) {
	mountHealth(mux, m)
	openai.Mount(mux, m, l)
	cohere.Mount(mux, m, l)
	tei.Mount(mux, m, l)
	native.Mount(mux, m, l)
	oip.Mount(mux, m, l)
	page.Mount(mux, p)
}

// operations describe what is mounted.
func operations() []web.Operation {
	text := func(media, summary string) map[int]web.Response {
		return map[int]web.Response{200: {Description: summary, Content: web.Content{media: web.Type("string", "")}}}
	}
	own := []web.Operation{
		{Method: "GET", Path: "/{$}", ID: "page", Tag: "server", Summary: "The page", Responses: text("text/html", "HTML")},
		{Method: "GET", Path: "/metrics", ID: "metrics", Tag: "server", Summary: "Metrics for Prometheus", Responses: text("text/plain", "metrics")},
	}
	return slices.Concat(native.Operations(), openai.Operations(), cohere.Operations(), tei.Operations(), oip.Operations(), healthOperations(), own, openapi.Operations())
}

// forms say in whose form errors are about a path and what is below it, the first that fits.
var forms = []struct {
	path string
	fail func(http.ResponseWriter, error)
}{
	{"/v1/rerank", cohere.FailV1}, {"/v2/rerank", cohere.Fail}, {"/v2/embed", cohere.Fail},
	{"/v1", openai.Fail}, {"/embeddings", openai.Fail}, {"/v2", oip.Fail},
	{"/embed", tei.Fail}, {"/embed_all", tei.Fail}, {"/embed_sparse", tei.Fail}, {"/similarity", tei.Fail}, {"/rerank", tei.Fail},
	{"/predict", tei.Fail}, {"/tokenize", tei.Fail}, {"/decode", tei.Fail}, {"/vertex", tei.Fail}, {"/info", tei.Fail},
}

// failureOf is how the protocol that a request is of answers with an error. A path of no protocol is our own.
func failureOf(r *http.Request) func(http.ResponseWriter, error) {
	if oip.IsGRPC(r) {
		return oip.FailGRPC
	}
	if r.URL.Path == "/" && r.Method == http.MethodPost {
		return tei.Fail
	}
	for _, f := range forms {
		if rest, ok := strings.CutPrefix(r.URL.Path, f.path); ok && (rest == "" || rest[0] == '/') {
			return f.fail
		}
	}
	return native.Fail
}

// router serves what is mounted. Where [http.ServeMux] itself would say in plain text that there is nothing, the protocol says it.
type router struct{ *http.ServeMux }

// ServeHTTP implements [http.Handler].
func (m router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, pattern := m.Handler(r)
	if pattern != "" {
		m.ServeMux.ServeHTTP(w, r)
		return
	}
	said := silent{w.Header().Clone(), 0}
	h.ServeHTTP(&said, r)
	switch said.status {
	case http.StatusNotFound:
		failureOf(r)(w, web.NoRoute(r))
	case http.StatusMethodNotAllowed:
		failureOf(r)(w, web.WrongMethod(w, r, said.header.Get("Allow")))
	default: // a redirection to the path without dots
		h.ServeHTTP(w, r)
	}
}

// silent takes an answer that nobody gets.
type silent struct {
	header http.Header
	status int
}

func (s *silent) Header() http.Header         { return s.header }
func (s *silent) WriteHeader(status int)      { s.status = status }
func (s *silent) Write(p []byte) (int, error) { return len(p), nil }
