package oip

import (
	"net/http"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/unimo-go/unimo/internal/serve/web"
)

// codeOfStatus are the codes of gRPC for statuses of HTTP with which a server refuses a request before it reads it.
var codeOfStatus = map[int]codes.Code{
	http.StatusUnauthorized: codes.Unauthenticated, http.StatusForbidden: codes.PermissionDenied, http.StatusInternalServerError: codes.Internal,
}

// Refuse answers a request that goes no further in the protocol's form. It does nothing and returns false if the path is another's.
func Refuse(w http.ResponseWriter, r *http.Request, status int, message string) bool {
	path := r.URL.Path
	switch {
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		code, ok := codeOfStatus[status]
		if !ok {
			code = codes.Unavailable
		}
		// A header alone, which stands for an answer and its end. Its message may be no more than printable ASCII without %.
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Grpc-Status", strconv.Itoa(int(code)))
		w.Header().Set("Grpc-Message", strings.Map(func(c rune) rune {
			if c < ' ' || c > '~' || c == '%' {
				return '?'
			}
			return c
		}, message))
		w.WriteHeader(http.StatusOK)
	case path == "/v2", path == "/v2/", strings.HasPrefix(path, "/v2/models/"), strings.HasPrefix(path, "/v2/health/"), strings.HasPrefix(path, "/v2/repository/"):
		web.WriteJSON(w, status, map[string]string{"error": message})
	default:
		return false
	}
	return true
}
