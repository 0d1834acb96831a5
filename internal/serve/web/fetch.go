package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

// Fetcher fetches pictures from the places that the operator allows, and from no other.
type Fetcher struct {
	prefixes []*url.URL
	limit    int64
	client   *http.Client
}

// NewFetcher returns one for URLs that begin with one of the prefixes, such as https://pictures.example/cats/. A picture has limit bytes at most.
func NewFetcher(prefixes []string, limit int64) (*Fetcher, error) {
	f := &Fetcher{limit: limit}
	for _, p := range prefixes {
		u, err := url.Parse(p)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("%q is no place to fetch pictures from; want one such as https://pictures.example/cats/", p)
		}
		if !strings.HasSuffix(u.Path, "/") {
			u.Path += "/" // else https://a/cats would allow https://a/cats-of-others
		}
		f.prefixes = append(f.prefixes, u)
	}
	f.client = &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, ResponseHeaderTimeout: 5 * time.Second, MaxIdleConns: 16, IdleConnTimeout: time.Minute},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 3 || !f.allows(r.URL) {
				return errNotAllowed
			}
			return nil
		},
	}
	return f, nil
}

var errNotAllowed = errors.New("it redirects to a place that is not allowed")

// allows says whether a URL is below one of the prefixes. A path with dots in it could leave one.
func (f *Fetcher) allows(u *url.URL) bool {
	for _, p := range f.prefixes {
		if u.User == nil && u.Scheme == p.Scheme && strings.EqualFold(u.Host, p.Host) && strings.HasPrefix(u.Path, p.Path) && !strings.Contains(u.Path, "..") {
			return true
		}
	}
	return false
}

// Fetch returns the content of a URL.
func (f *Fetcher) Fetch(ctx context.Context, param string, u *url.URL) ([]byte, error) {
	if !f.allows(u) {
		return nil, backend.Errorf(backend.Invalid, param, "%s is a URL that this server does not fetch; send the picture itself as a data URL, data:image/png;base64,...", param)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, backend.Errorf(backend.Invalid, param, "%s: %w", param, err)
	}
	a, err := f.client.Do(r)
	if err != nil {
		if ctx.Err() != nil {
			return nil, backend.Ended(ctx)
		}
		return nil, &backend.Error{Kind: backend.Invalid, Param: param, Message: param + " could not be fetched", Err: err}
	}
	defer a.Body.Close()
	if a.StatusCode != http.StatusOK {
		return nil, backend.Errorf(backend.Invalid, param, "%s could not be fetched: status %d", param, a.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(Held(ctx, a.Body), f.limit+1))
	own, full := errors.AsType[*backend.Error](err)
	switch {
	case full:
		return nil, own
	case err != nil && ctx.Err() != nil:
		return nil, backend.Ended(ctx)
	case err != nil:
		return nil, &backend.Error{Kind: backend.Invalid, Param: param, Message: param + " could not be fetched", Err: err}
	case int64(len(raw)) > f.limit:
		return nil, &backend.Error{Kind: backend.TooLarge, Param: param, Limit: int(f.limit), Message: fmt.Sprintf("%s has more than %d bytes", param, f.limit)}
	}
	return nonEmpty(param, raw)
}
