package backend

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/unimo-go/unimo/internal/compute/device"
)

// Error says whose fault it is that a request was not answered. Every protocol gives it its own form and status.
type Error struct {
	Kind       Kind
	Param      string // the part of the request, such as "input"
	Message    string // what, where, what to do; fit for the client
	Limit      int    // that was met; 0: none
	RetryAfter time.Duration
	Err        error // the cause, for the log
}

func (e *Error) Error() string {
	if e.Message == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Message
}

func (e *Error) Unwrap() error { return e.Err }

// Kind is whose fault an error is, and what the client can do.
type Kind int

// Kinds of error, with the status that HTTP has for them.
const (
	Internal        Kind = iota // 500: the server's fault; its message is for the log
	Invalid                     // 400: the request's
	TooLarge                    // 413: the request is over a limit
	NotFound                    // 404: no model, or no picture, of that name
	Cannot                      // 400 or 501: this model does not do it
	Overloaded                  // 429: the queue is full
	Unavailable                 // 503: loading, draining
	Canceled                    // the client left
	Unauthenticated             // 401: no key, or a wrong one
	Forbidden                   // 403: who asks may not
)

var kindNames = []string{"internal", "invalid", "too_large", "not_found", "cannot", "overloaded", "unavailable", "canceled", "unauthenticated", "forbidden"}

func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return kindNames[k]
}

// Errorf returns an error of a kind about a part of the request ("" for none). Its cause is what %w wraps.
func Errorf(kind Kind, param, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Param: param, Message: err.Error(), Err: errors.Unwrap(err)}
}

// AsError returns err as an [*Error]: the one that it wraps, or else [Canceled] for the end of a context, [Unavailable] where the device
// was lost, and [Internal] for the rest,
// whose message tells a client nothing of the server's inside.
func AsError(err error) *Error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &e):
		return e
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{Kind: Canceled, Message: "the request was given up", Err: err}
	case device.IsLost(err):
		return errLost(err)
	}
	return &Error{Kind: Internal, Message: "the server failed; its log says why", Err: err}
}

// Ended returns why a context ended: what the server says if it was the server that ended it, else [Canceled].
func Ended(ctx context.Context) *Error {
	var e *Error
	if errors.As(context.Cause(ctx), &e) {
		return e
	}
	return AsError(ctx.Err())
}
