package web

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// Picture returns the content of the picture that a request refers to: a data URL, or a URL that the server may fetch. param is where
// it stands in the request. That it is a picture is looked at by the model.
func (l Limits) Picture(ctx context.Context, param, ref string) ([]byte, error) {
	if scheme, _, ok := strings.Cut(ref, ":"); !ok || !strings.EqualFold(scheme, "data") {
		return l.fetch(ctx, param, ref)
	}
	return DataURL(param, ref)
}

func (l Limits) fetch(ctx context.Context, param, ref string) ([]byte, error) {
	u, err := url.Parse(ref)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return DataURL(param, ref) // which says what it wants
	}
	if l.Fetcher == nil {
		return nil, backend.Errorf(backend.Invalid, param, "%s is a URL, and this server fetches none; send the picture itself as a data URL, data:image/png;base64,...", param)
	}
	return l.Fetcher.Fetch(ctx, param, u)
}

// DataURL returns what a data URL (RFC 2397) holds.
func DataURL(param, ref string) ([]byte, error) {
	head, data, ok := strings.Cut(ref, ",")
	if !ok || len(head) < 5 || !strings.EqualFold(head[:5], "data:") {
		return nil, backend.Errorf(backend.Invalid, param, "%s is no data URL: it begins with %.40q; want data:image/png;base64,...", param, ref)
	}
	if i := strings.LastIndexByte(head, ';'); i < 0 || !strings.EqualFold(strings.TrimSpace(head[i+1:]), "base64") {
		raw, err := url.PathUnescape(data)
		if err != nil {
			return nil, &backend.Error{Kind: backend.Invalid, Param: param, Message: param + " is a data URL with a wrong % in it", Err: err}
		}
		return nonEmpty(param, []byte(raw))
	}
	raw, err := Base64(data)
	if err != nil {
		return nil, &backend.Error{Kind: backend.Invalid, Param: param, Message: fmt.Sprintf("%s is not base64: %v", param, err), Err: err}
	}
	return nonEmpty(param, raw)
}

func nonEmpty(param string, raw []byte) ([]byte, error) {
	if len(raw) == 0 {
		return nil, backend.Errorf(backend.Invalid, param, "%s is an empty picture", param)
	}
	return raw, nil
}

// Base64 decodes the standard and the URL alphabet, with or without padding.
func Base64(s string) ([]byte, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	if strings.ContainsAny(s, "-_") {
		return base64.RawURLEncoding.DecodeString(s)
	}
	return base64.RawStdEncoding.DecodeString(s)
}
