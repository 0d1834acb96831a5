package native

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

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
	for path, h := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/models": s.list, "/pictures": s.pictures, "/pictures/{id...}": s.picture,
	} {
		mux.HandleFunc(path, web.Handler(http.MethodGet, h, Fail))
	}
	post(mux, s, "/search", s.search)
	post(mux, s, "/caption", s.caption)
	post(mux, s, "/ask", s.ask)
	post(mux, s, "/match", s.match)
	post(mux, s, "/classify", s.classify)
	mux.HandleFunc("/generate", web.Handler(http.MethodPost, s.generate, Fail))
}

// post adds a route that answers a request of type Q, in JSON or as a form, with one of type A.
func post[Q, A any](mux *http.ServeMux, s *server, path string, answer func(context.Context, Q) (A, error)) {
	mux.HandleFunc(path, web.Handler(http.MethodPost, func(w http.ResponseWriter, r *http.Request) error {
		var q Q
		if _, err := query(r); err != nil {
			return err
		}
		if err := web.ReadStrict(w, r, s.limits, &q); err != nil {
			return err
		}
		a, err := answer(r.Context(), q)
		if err != nil {
			return err
		}
		web.WriteJSON(w, http.StatusOK, a)
		return nil
	}, Fail))
}

// query is that of a request's URL, which may have parameters of these names alone.
func query(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, backend.Errorf(backend.Invalid, "", "the query of the URL is none: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if !slices.Contains(known, name) {
			takes := "what is asked stands in the body"
			if len(known) > 0 {
				takes = "it takes " + strings.Join(known, ", ")
			}
			return nil, backend.Errorf(backend.Invalid, name, "%.80q is no parameter of this URL; %s", name, takes)
		}
	}
	return q, nil
}

// failure is an error as this protocol writes it.
type failure struct {
	Error description `json:"error"`
}

type description struct {
	Message string `json:"message"`
	Type    string `json:"type"`
	Param   string `json:"param,omitempty"`
	Limit   int    `json:"limit,omitempty"`
}

func describe(err error) failure {
	e := backend.AsError(err)
	return failure{description{e.Error(), e.Kind.String(), e.Param, e.Limit}}
}

// Fail answers with an error.
func Fail(w http.ResponseWriter, err error) {
	web.WriteJSON(w, web.Status(w.Header(), backend.AsError(err)), describe(err))
}

// usage is what the model read.
type usage struct {
	Tokens   int `json:"tokens"`
	Pictures int `json:"pictures"`
}

// picked is the picture in a request.
func (s *server) picked(ctx context.Context, param string, ref web.Reference) ([]byte, error) {
	if ref == "" {
		return nil, backend.Errorf(backend.Invalid, param, "%s is missing; give a picture as a data URL, data:image/png;base64,..., or as a file of a form", param)
	}
	return s.limits.Picture(ctx, param, string(ref))
}

// many is how many results are wanted, some if nothing is said.
func (s *server) many(k *int, some int) (int, error) {
	switch {
	case k == nil:
		return some, nil
	case *k < 1:
		return 0, backend.Errorf(backend.Invalid, "k", "k is %d; want 1 or more", *k)
	case *k > s.limits.TopK:
		return 0, &backend.Error{Kind: backend.Invalid, Param: "k", Limit: s.limits.TopK, Message: fmt.Sprintf("k is %d; this server returns %d at most", *k, s.limits.TopK)}
	}
	return *k, nil
}

// either returns an error unless exactly one of two parts of a request is given.
func either(a, b bool, names string) error {
	if a == b {
		return &backend.Error{Kind: backend.Invalid, Message: "give " + names + ", one of the two"}
	}
	return nil
}
