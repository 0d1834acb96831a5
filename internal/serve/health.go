package serve

import (
	"net/http"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// mountHealth serves /livez, which is 200 as long as the process answers at all, and /readyz, which is 503 while models are loaded and
// while the server drains, though everything else answers then; so is /health, which text-embeddings-inference, vLLM and Infinity call it. None needs a key.
func mountHealth(mux *http.ServeMux, m backend.Models) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		web.WriteJSON(w, http.StatusOK, map[string]string{"status": "live"})
	})
	ready := func(w http.ResponseWriter, _ *http.Request) {
		if err := m.Ready(); err != nil {
			e := backend.AsError(err)
			web.WriteJSON(w, web.Status(w.Header(), e), map[string]string{"status": "not ready", "reason": e.Message})
			return
		}
		web.WriteJSON(w, http.StatusOK, map[string]string{"status": "ready"})
	}
	mux.HandleFunc("GET /readyz", ready)
	mux.HandleFunc("GET /health", ready)
}

// healthOperations describe what mountHealth serves.
func healthOperations() []web.Operation {
	status := web.Object(map[string]web.Schema{"status": web.Type("string", ""), "reason": web.Type("string", "why it is not ready")}, "status")
	ok := web.Response{Description: "it is", Content: web.JSON(status)}
	list := []web.Operation{
		{Method: "GET", Path: "/livez", ID: "live", Tag: "server", Summary: "Whether the server runs", Responses: map[int]web.Response{200: ok}},
	}
	for path, id := range map[string]string{"/readyz": "ready", "/health": "health"} {
		list = append(list, web.Operation{
			Method: "GET", Path: path, ID: id, Tag: "server", Summary: "Whether the models are loaded, and the server is not about to end",
			Responses: map[int]web.Response{200: ok, 503: {Description: "it is not", Content: web.JSON(status)}},
		})
	}
	return list
}
