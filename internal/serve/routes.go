package serve

import (
	"net/http"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/cohere"
	"github.com/unimo-go/unimo/internal/serve/native"
	"github.com/unimo-go/unimo/internal/serve/oip"
	"github.com/unimo-go/unimo/internal/serve/openai"
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
