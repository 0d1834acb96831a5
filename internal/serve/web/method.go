package web

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// errMethod is wrapped by the error about a request's method; its status is 405.
var errMethod = errors.New("wrong method")

// Handler handles requests of one method, and gives its errors and that of another method to fail, which answers in the protocol's form.
func Handler(method string, h func(http.ResponseWriter, *http.Request) error, fail func(http.ResponseWriter, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			fail(w, &backend.Error{Kind: backend.Invalid, Message: fmt.Sprintf("%.20s is not what %s answers; use %s", r.Method, r.URL.Path, method), Err: errMethod})
			return
		}
		if err := h(w, r); err != nil {
			fail(w, err)
		}
	}
}
