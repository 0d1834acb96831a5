package tei

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// server answers with models within limits.
type server struct {
	models backend.Models
	limits web.Limits
}

// routes are what the protocol answers. Each takes the body of a request and returns its answer.
var routes = []struct {
	path   string
	answer func(*server, context.Context, []byte) (any, error)
}{
	{"/embed", (*server).embed},
	{"/embed_all", (*server).embedAll},
	{"/embed_sparse", (*server).embedSparse},
	{"/similarity", (*server).similarity},
	{"/rerank", (*server).rerank},
	{"/predict", (*server).predict},
	{"/tokenize", (*server).tokenize},
	{"/decode", (*server).decode},
	{"/vertex", (*server).vertex},
}

// Mount adds the routes of the protocol.
func Mount(mux *http.ServeMux, m backend.Models, l web.Limits) {
	s := &server{m, l}
	handler := func(answer func(*server, context.Context, []byte) (any, error)) http.HandlerFunc {
		return web.Handler(http.MethodPost, func(w http.ResponseWriter, r *http.Request) error {
			raw, err := web.ReadJSONBody(w, r, l)
			if err != nil {
				return err
			}
			value, err := answer(s, r.Context(), raw)
			if err != nil {
				return err
			}
			if rows, ok := value.([][][]float32); ok { // of /embed_all, which is long
				web.WriteList(w, rows)
			} else {
				web.WriteJSON(w, http.StatusOK, value)
			}
			return nil
		}, Fail)
	}
	for _, route := range routes {
		mux.HandleFunc(route.path, handler(route.answer))
	}
	mux.HandleFunc("POST /{$}", handler((*server).root))
	mux.HandleFunc("/info", web.Handler(http.MethodGet, s.info, Fail))
}

// Types of errors, as the server that the protocol is of writes them.
const (
	unhealthy  = "Unhealthy"
	backends   = "Backend"
	overloaded = "Overloaded"
	validation = "Validation"
	empty      = "Empty"
)

// errEmpty is wrapped by errors about something that has nothing in it, which the protocol tells apart.
var errEmpty = errors.New("empty")

func isEmpty(param string) error {
	return &backend.Error{Kind: backend.Invalid, Param: param, Message: "`" + param + "` cannot be empty", Err: errEmpty}
}

// failure is the protocol's form of an error. The original says nothing of the kind where a request never reaches the model.
type failure struct {
	Error string `json:"error"`
	Type  string `json:"error_type,omitempty"`
}

// Fail answers with an error.
func Fail(w http.ResponseWriter, err error) {
	e := backend.AsError(err)
	status, kind, message := web.Status(w.Header(), e), validation, e.Message
	switch e.Kind {
	case backend.Invalid:
		switch {
		case errors.Is(e, errEmpty):
			kind = empty
		case status == http.StatusBadRequest:
			status = http.StatusUnprocessableEntity
		}
		if status != http.StatusMethodNotAllowed {
			message = "Input validation error: " + message
		}
	case backend.TooLarge:
		if e.Param != "" { // not the body as a whole
			status = http.StatusUnprocessableEntity
		}
		message = "Input validation error: " + message
	case backend.Cannot:
		status, kind = http.StatusFailedDependency, backends
	case backend.Overloaded:
		kind, message = overloaded, "Model is overloaded: "+message
	case backend.Unavailable:
		kind = unhealthy
	case backend.Internal:
		kind = backends
	case backend.Unauthenticated, backend.Forbidden:
		kind = ""
	case backend.NotFound:
		if errors.Is(e, web.ErrNoRoute) {
			kind = ""
		}
	}
	web.WriteJSON(w, status, failure{message, kind})
}

// target is the model that a request is for. The protocol has one model for each server; where there are several it is the first that does
// what is asked, unless the request names another, which is our addition.
func (s *server) target(name string, need backend.Capability, what string) (backend.Model, error) {
	if name != "" {
		return s.models.Model(name)
	}
	list := s.models.List()
	for _, can := range []func(backend.Info) backend.Capability{does, func(i backend.Info) backend.Capability { return i.Can }} {
		if k := slices.IndexFunc(list, func(i backend.Info) bool { return can(i).Has(need) }); k >= 0 {
			return s.models.Model(list[k].ID)
		}
	}
	return nil, s.cannot(what)
}

// cannot is the error where none of the models does what is asked. One that would may not be there now: it is being loaded, or its device was lost.
func (s *server) cannot(what string) error {
	if err := s.models.Loaded(); err != nil {
		return err
	}
	return backend.Errorf(backend.Cannot, "", "%s", what)
}

// does is what a model was made for: not the vectors of one that was trained for something else, which come where they are asked for alone.
func does(i backend.Info) backend.Capability {
	if i.Details.Encoder {
		return i.Can &^ backend.CanEmbedText
	}
	return i.Can
}

// direction says whether the start of a text is cut.
func direction(s string) (left bool, err error) {
	switch s {
	case "left", "Left":
		return true, nil
	case "right", "Right", "":
		return false, nil
	}
	return false, backend.Errorf(backend.Invalid, "truncation_direction", "truncation_direction is %.40q; want left or right", s)
}

// truncates says whether a text that is too long is cut, which the server's own default is.
func truncates(b *bool) bool { return b == nil || *b }

// root answers POST /: what the body asks for, as clients post to the address of a server alone.
func (s *server) root(ctx context.Context, raw []byte) (any, error) {
	var q struct {
		Inputs     json.RawMessage `json:"inputs"`
		Parameters json.RawMessage `json:"parameters"`
		Texts      json.RawMessage `json:"texts"`
		Model      string          `json:"model"`
	}
	if err := web.DecodeJSON(raw, &q); err != nil {
		return nil, err
	}
	can := backend.Capability(0)
	if q.Model != "" {
		m, err := s.models.Model(q.Model)
		if err != nil {
			return nil, err
		}
		can = does(m.Info())
	} else {
		for _, i := range s.models.List() {
			can |= does(i)
		}
		if list := s.models.List(); len(list) > 0 && !web.Given(q.Parameters) && !web.Given(q.Texts) {
			can = does(list[0])
		}
	}
	switch {
	case web.Given(q.Texts):
		return s.rerank(ctx, raw)
	case web.IsObject(q.Inputs):
		return s.similarity(ctx, raw)
	case web.Given(q.Parameters) && can.Has(backend.CanClassify):
		return s.pipeline(ctx, raw)
	case can.Has(backend.CanEmbedText):
		return s.embed(ctx, raw)
	case can.Has(backend.CanClassify):
		return s.predict(ctx, raw)
	}
	return nil, s.cannot("the model neither embeds nor classifies texts")
}
