package openai

import (
	"crypto/rand"
	"encoding/json"
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
	mux.HandleFunc("/v1/embeddings", web.Handler(http.MethodPost, s.embeddings, Fail))
	mux.HandleFunc("/embeddings", web.Handler(http.MethodPost, s.embeddings, Fail)) // where Infinity and text-embeddings-inference have it, too
	mux.HandleFunc("/v1/completions", web.Handler(http.MethodPost, s.completions, Fail))
	mux.HandleFunc("/v1/models", web.Handler(http.MethodGet, s.list, Fail))
	mux.HandleFunc("/v1/models/{model...}", web.Handler(http.MethodGet, s.model, Fail))
}

// failure is the protocol's form of an error.
type failure struct {
	Error apiError `json:"error"`
}

type apiError struct {
	Code    orNull `json:"code"`
	Message string `json:"message"`
	Param   orNull `json:"param"`
	Type    string `json:"type"`
}

// orNull is a string, and null if it is empty.
type orNull string

// MarshalJSON implements [json.Marshaler].
func (s orNull) MarshalJSON() ([]byte, error) {
	if s == "" {
		return []byte("null"), nil
	}
	return json.Marshal(string(s))
}

// Fail answers with an error.
func Fail(w http.ResponseWriter, err error) {
	status, e := describe(w.Header(), err)
	web.WriteJSON(w, status, failure{e})
}

// describe says in the protocol's terms what an error is.
func describe(h http.Header, err error) (int, apiError) {
	b := backend.AsError(err)
	status, e := web.Status(h, b), apiError{Message: b.Message, Type: "invalid_request_error", Param: orNull(b.Param)}
	switch b.Kind {
	case backend.Invalid:
		if errors.Is(b, web.ErrUnknownKey) {
			e.Message = "Unrecognized request argument supplied: " + b.Param
			e.Code = "unknown_parameter"
		}
	case backend.TooLarge:
		if b.Param != "" { // not the body as a whole: the protocol says 400 about what is in it
			status = http.StatusBadRequest
		}
		if errors.Is(b, errTooLong) {
			e.Code = "context_length_exceeded"
		}
	case backend.NotFound:
		e.Code = "model_not_found"
		if errors.Is(b, web.ErrNoRoute) {
			e.Code = "unknown_url"
			e.Message += " (of OpenAI's: /v1/embeddings, /v1/completions, /v1/models)"
		}
	case backend.Unauthenticated:
		e.Code = "invalid_api_key"
	case backend.Cannot:
		if e.Code = "unsupported_parameter"; b.Param == "" || b.Param == "model" {
			e.Param, e.Code = "model", "unsupported_model"
		}
	case backend.Overloaded:
		e.Type, e.Code = "requests", "rate_limit_exceeded"
	case backend.Unavailable, backend.Internal:
		e.Type = "server_error"
	}
	return status, e
}

// errTooLong is wrapped by errors about a text with more tokens than the model reads.
var errTooLong = errors.New("longer than the model reads")

// id returns a new name for an answer.
func id(prefix string) string { return prefix + rand.Text() }

// modelObject is a model in the list of models.
type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
	// What vLLM and Infinity say besides.
	MaxModelLen  int      `json:"max_model_len,omitempty"`
	Capabilities []string `json:"capabilities"`
}

func describeModel(i backend.Info) modelObject {
	return modelObject{i.ID, "model", i.Created.Unix(), "unimo", i.MaxTokens, i.Can.Names()}
}

func (s *server) list(w http.ResponseWriter, _ *http.Request) error {
	list := []modelObject{}
	for _, i := range s.models.List() {
		list = append(list, describeModel(i))
	}
	if len(list) == 0 { // they are being loaded, or their device was lost
		if err := s.models.Loaded(); err != nil {
			return err
		}
	}
	web.WriteJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list})
	return nil
}

func (s *server) model(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("model")
	m, err := s.named(name)
	if err != nil {
		return err
	}
	web.WriteJSON(w, http.StatusOK, describeModel(m.Info()))
	return nil
}

// named is the model of that name; without one it is the first.
func (s *server) named(name string) (backend.Model, error) {
	m, err := s.models.Model(name)
	if e := backend.AsError(err); e != nil && e.Kind == backend.NotFound {
		return nil, &backend.Error{Kind: backend.NotFound, Param: "model", Message: fmt.Sprintf("The model `%.200s` does not exist; GET /v1/models lists those that do", name), Err: err}
	}
	return m, err
}
