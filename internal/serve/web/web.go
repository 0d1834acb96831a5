// Package web is what the protocols of a server share about HTTP: limits, bounded bodies, pictures in requests, and JSON.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// Limits bound what a request may ask for. A protocol refuses more with an [*backend.Error] of kind TooLarge that names the limit.
type Limits struct {
	Body    int64    // bytes of a request's body
	Items   int      // texts, pictures, documents or pairs of a request
	TopK    int      // results, answers
	Fetcher *Fetcher // fetches the URLs that may be fetched; nil: data URLs only
	// Busy is an error where no model has room for another request, which is then refused before its body is read. It may be nil.
	Busy func() error
}

// DefaultLimits are those of a server that is told nothing else.
var DefaultLimits = Limits{Body: 32 << 20, Items: 256, TopK: 1000}

// CheckItems returns an error about more things than a request may hold. what is their name, such as "input".
func (l Limits) CheckItems(what string, n int) error {
	if n > l.Items {
		return &backend.Error{Kind: backend.TooLarge, Param: what, Limit: l.Items, Message: fmt.Sprintf("%s has %d entries; this server takes %d of a request, so send several requests", what, n, l.Items)}
	}
	return nil
}

// ReadBody reads the body of a request.
func ReadBody(w http.ResponseWriter, r *http.Request, l Limits) ([]byte, error) {
	if r.ContentLength > l.Body {
		return nil, l.TooLarge()
	}
	if l.Busy != nil {
		if err := l.Busy(); err != nil {
			return nil, err
		}
	}
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, l.Body))
	if err != nil {
		return nil, l.readError(r, err)
	}
	return raw, nil
}

// errEarly is wrapped by the error about a body that is not whole.
var errEarly = errors.New("ended early")

// readError says why a body cannot be read.
func (l Limits) readError(r *http.Request, err error) error {
	var over *http.MaxBytesError
	var own *backend.Error
	switch {
	case errors.As(err, &over):
		return l.TooLarge()
	case errors.As(err, &own), errors.As(context.Cause(r.Context()), &own): // of a body that the server bounds, or does not wait for
		return own
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &backend.Error{Kind: backend.Invalid, Message: "the request's body took too long; send it at once", Err: err}
	}
	return &backend.Error{Kind: backend.Invalid, Message: "the request's body ended early", Err: fmt.Errorf("%w: %w", errEarly, err)}
}

// TooLarge is the error about a body that is over the limit.
func (l Limits) TooLarge() error {
	return &backend.Error{Kind: backend.TooLarge, Limit: int(l.Body), Message: fmt.Sprintf("the request's body is larger than the %d bytes that this server takes", l.Body)}
}

// ReadJSON reads the body of a request, one JSON value, into a pointer. Unknown keys are no error, as clients send what newer servers know.
func ReadJSON(w http.ResponseWriter, r *http.Request, l Limits, into any) error {
	raw, err := ReadJSONBody(w, r, l)
	if err != nil {
		return err
	}
	return DecodeJSON(raw, into)
}

// ReadStrictJSON is [ReadJSON] with [StrictJSON].
func ReadStrictJSON(w http.ResponseWriter, r *http.Request, l Limits, into any) error {
	raw, err := ReadJSONBody(w, r, l)
	if err != nil {
		return err
	}
	return StrictJSON(raw, into)
}

// ReadJSONBody reads the body of a request that is JSON.
func ReadJSONBody(w http.ResponseWriter, r *http.Request, l Limits) ([]byte, error) {
	if err := checkEncoding(r); err != nil {
		return nil, err
	}
	// curl -d says that all is a form of the other type, so its JSON is taken.
	if isForm(r) {
		return nil, backend.Errorf(backend.Invalid, "", "the body is a form; send JSON (Content-Type: application/json)")
	}
	raw, err := ReadBody(w, r, l)
	if err != nil {
		return nil, err
	}
	return raw, l.CheckEntries(raw)
}

func checkEncoding(r *http.Request) error {
	if e := r.Header.Get("Content-Encoding"); e != "" && e != "identity" {
		return backend.Errorf(backend.Invalid, "", "the body is encoded (Content-Encoding %.40q); send it as it is", e)
	}
	return nil
}

// DecodeJSON is [ReadJSON] for bytes. Its errors say where in the text something is wrong.
func DecodeJSON(raw []byte, into any) error {
	err := json.Unmarshal(raw, into)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var own *backend.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own): // of an UnmarshalJSON of the protocol's
		return own
	case errors.As(err, &syntax) && len(raw) == 0:
		return backend.Errorf(backend.Invalid, "", "the request has no body; send JSON")
	case errors.As(err, &syntax):
		return &backend.Error{Kind: backend.Invalid, Message: fmt.Sprintf("the body is no JSON: %s at byte %d", syntax, syntax.Offset), Err: err}
	case errors.As(err, &kind):
		return &backend.Error{Kind: backend.Invalid, Param: kind.Field, Message: fmt.Sprintf("%s is a JSON %s, which does not fit there", nameOf(kind.Field), kind.Value), Err: err}
	}
	return &backend.Error{Kind: backend.Invalid, Message: "the body does not say what it should: " + err.Error(), Err: err}
}

func nameOf(field string) string {
	if field == "" {
		return "the body"
	}
	return field
}

// WriteJSON answers with a value as JSON. One that is none is the server's fault, and a panic, which the server answers and logs.
func WriteJSON(w http.ResponseWriter, status int, value any) {
	raw, err := json.Marshal(value)
	if err != nil { // a value that is no number, say
		panic(fmt.Errorf("an answer is no JSON: %w", err))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(append(raw, '\n'))
}

// WriteList answers with a list, which has an element at least, as JSON. Each element is encoded alone: of a long list no more than one is in memory as text.
func WriteList[E any](w http.ResponseWriter, list []E) {
	w.Header().Set("Content-Type", "application/json")
	between := byte('[')
	for _, e := range list {
		raw, err := json.Marshal(e)
		if err != nil {
			panic(fmt.Errorf("an answer is no JSON: %w", err))
		}
		if _, err := w.Write(append([]byte{between}, raw...)); err != nil {
			return // the client left
		}
		between = ','
	}
	w.Write([]byte("]\n"))
}

// Status is the status of HTTP for an error, and sets the header Retry-After where there is something to wait for.
func Status(h http.Header, e *backend.Error) int {
	if e.RetryAfter > 0 {
		h.Set("Retry-After", fmt.Sprint(int64(math.Ceil(e.RetryAfter.Seconds()))))
	}
	switch e.Kind {
	case backend.Invalid, backend.Cannot:
		if errors.Is(e, ErrMethod) {
			return http.StatusMethodNotAllowed
		}
		return http.StatusBadRequest
	case backend.TooLarge:
		return http.StatusRequestEntityTooLarge
	case backend.NotFound:
		return http.StatusNotFound
	case backend.Overloaded:
		return http.StatusTooManyRequests
	case backend.Unavailable:
		return http.StatusServiceUnavailable
	case backend.Canceled:
		return StatusClientClosedRequest
	case backend.Unauthenticated:
		return http.StatusUnauthorized
	case backend.Forbidden:
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}

// StatusClientClosedRequest is what logs have for a client that left, as nginx does.
const StatusClientClosedRequest = 499
