package cohere

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// server answers with models within limits.
type server struct {
	models backend.Models
	limits web.Limits
}

// Mount adds the routes of the protocol.
func Mount(mux *http.ServeMux, m backend.Models, l web.Limits) {
	s := &server{m, l}
	mux.HandleFunc("/v1/rerank", web.Handler(http.MethodPost, func(w http.ResponseWriter, r *http.Request) error { return s.rerank(w, r, 1) }, FailV1))
	mux.HandleFunc("/v2/rerank", web.Handler(http.MethodPost, func(w http.ResponseWriter, r *http.Request) error { return s.rerank(w, r, 2) }, Fail))
	mux.HandleFunc("/v2/embed", web.Handler(http.MethodPost, s.embed, Fail))
}

// Fail answers with an error in Cohere's form.
func Fail(w http.ResponseWriter, err error) {
	status, message := describe(w.Header(), err)
	web.WriteJSON(w, status, map[string]any{"id": rand.Text(), "message": message})
}

// FailV1 is [Fail] with the key that Jina's clients look for.
func FailV1(w http.ResponseWriter, err error) {
	status, message := describe(w.Header(), err)
	web.WriteJSON(w, status, map[string]any{"id": rand.Text(), "message": message, "detail": message})
}

func describe(h http.Header, err error) (status int, message string) {
	e := backend.AsError(err)
	status, message = web.Status(h, e), e.Message
	switch {
	case errors.Is(e, web.ErrUnknownKey):
		return http.StatusUnprocessableEntity, fmt.Sprintf("unknown field: parameter '%.80s' is not a valid field.", e.Param)
	case e.Kind == backend.TooLarge && e.Param != "": // not the body as a whole
		status = http.StatusBadRequest
	case e.Kind == backend.NotFound && !errors.Is(e, web.ErrNoRoute):
		message = "model not found: " + message
	}
	if status == http.StatusBadRequest {
		message = "invalid request: " + message
	}
	return status, message
}

// meta is what answers say about their making.
type meta struct {
	Version  version        `json:"api_version"`
	Billed   map[string]int `json:"billed_units"` // counts: nothing is billed
	Tokens   map[string]int `json:"tokens"`
	Warnings []string       `json:"warnings,omitempty"`
}

type version struct {
	Version string `json:"version"`
}
