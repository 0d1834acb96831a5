package oip

import (
	"errors"
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// IsGRPC says whether a request is one of gRPC.
func IsGRPC(r *http.Request) bool {
	return strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc")
}

// FailGRPC answers a request of gRPC that goes no further with an error: by a header alone, which stands for an answer and its end.
func FailGRPC(w http.ResponseWriter, err error) {
	e := backend.AsError(err)
	code := codeOf[e.Kind]
	if errors.Is(e, web.ErrNoRoute) {
		code = codes.Unimplemented // a method of another service, such as that of health
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Grpc-Status", strconv.Itoa(int(code)))
	w.Header().Set("Grpc-Message", strings.Map(func(c rune) rune { // may be no more than printable ASCII without %
		if c < ' ' || c > '~' || c == '%' {
			return '?'
		}
		return c
	}, e.Error()))
	w.WriteHeader(http.StatusOK)
}
