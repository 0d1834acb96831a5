package fetch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// NewTransport returns what connections are made with. Each request that waits has a connection of its own, as one of HTTP/2 would carry all
// of them; stall bounds the wait for an answer.
func NewTransport(stall time.Duration) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: stall, KeepAlive: 30 * time.Second}).DialContext
	t.ResponseHeaderTimeout, t.TLSHandshakeTimeout = stall, stall
	t.MaxIdleConnsPerHost = 16
	t.DisableCompression = true
	t.ReadBufferSize = 256 << 10
	t.ForceAttemptHTTP2, t.Protocols = false, new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	return t
}

const maxRedirects = 10

// NewClient returns a client that never leaves encryption, and gives credentials to the host alone that they were meant for.
func NewClient(t http.RoundTripper) *http.Client {
	return &http.Client{Transport: t, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		first, last := via[0].URL, via[len(via)-1].URL
		switch {
		case len(via) >= maxRedirects:
			return &ServerError{Host: first.Host, Problem: fmt.Sprintf("redirects more than %d times", maxRedirects)}
		case req.URL.Scheme != "http" && req.URL.Scheme != "https":
			return &ServerError{Host: last.Host, Problem: fmt.Sprintf("redirects to %q, which is no address of the web", req.URL.Redacted())}
		case last.Scheme == "https" && req.URL.Scheme == "http":
			return &ServerError{Host: last.Host, Problem: fmt.Sprintf("redirects from https to %s without encryption", req.URL.Host)}
		}
		if !sameOrigin(first, req.URL) {
			for _, secret := range []string{"Authorization", "Cookie", "Referer"} {
				req.Header.Del(secret)
			}
		}
		return nil
	}}
}

func sameOrigin(a, b *url.URL) bool { return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host) }

// Loopback says whether a URL is of this machine.
func Loopback(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Authorize gives a token to a request, unless it would cross a network in the clear.
func Authorize(req *http.Request, token string) {
	if token != "" && (req.URL.Scheme == "https" || Loopback(req.URL)) {
		req.Header.Set("Authorization", "Bearer "+token)
	}
}

// StatusError is an answer that is none of success.
type StatusError struct {
	Host, What string
	Status     int
	Header     http.Header
	Message    string // the server's own words, short
	after      time.Duration
}

func (e *StatusError) Error() string {
	said := ""
	if e.Message != "" {
		said = fmt.Sprintf(": %q", e.Message)
	}
	return fmt.Sprintf("%s: %s answers %d %s%s", e.What, e.Host, e.Status, http.StatusText(e.Status), said)
}

// again says whether the same request may be answered later.
func (e *StatusError) again() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return e.Status >= 500 && e.Status != http.StatusNotImplemented && e.Status != http.StatusHTTPVersionNotSupported
}

// ServerError says that a server does not do what it says.
type ServerError struct{ Host, Problem string }

func (e *ServerError) Error() string { return fmt.Sprintf("the server %s %s", e.Host, e.Problem) }

// temporary says whether it is worth to try again after err.
func temporary(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	var status *StatusError
	var server *ServerError
	var local *localError
	switch {
	case errors.As(err, &status):
		return status.again()
	case errors.As(err, &server), errors.As(err, &local), errors.Is(err, errChanged):
		return false
	}
	return !permanentNetwork(err)
}

// permanentNetwork knows what does not go away: a name that no server has, and a certificate that is not believed.
func permanentNetwork(err error) bool {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	return errors.As(err, &dns) && dns.IsNotFound || errors.As(err, &certificate)
}

// localError is one of this machine: of the disk.
type localError struct{ error }

func (e *localError) Unwrap() error { return e.error }
