package serve

import (
	"net/http"
	"slices"

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
