package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// What errors about a request's path and method wrap, which protocols tell apart from those about what is asked.
var (
	ErrNoRoute = errors.New("no such route")
	ErrMethod  = errors.New("wrong method") // its status is 405
)

// NoRoute is the error about a path that nothing answers.
func NoRoute(r *http.Request) error {
	return &backend.Error{Kind: backend.NotFound, Message: fmt.Sprintf("nothing answers %.20s %.100q here; /docs lists what does", r.Method, r.URL.Path), Err: ErrNoRoute}
}

// WrongMethod is the error about a method that is not one of the path's, which are allow.
func WrongMethod(w http.ResponseWriter, r *http.Request, allow string) error {
	w.Header().Set("Allow", allow)
	return &backend.Error{Kind: backend.Invalid, Message: fmt.Sprintf("%.20s is not what %.100s answers; use %s", r.Method, r.URL.Path, allow), Err: ErrMethod}
}

// Handler handles requests of one method, and gives its errors and that of another method to fail, which answers in the protocol's form.
func Handler(method string, h func(http.ResponseWriter, *http.Request) error, fail func(http.ResponseWriter, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			fail(w, WrongMethod(w, r, method))
			return
		}
		if err := h(w, r); err != nil {
			fail(w, err)
		}
	}
}
