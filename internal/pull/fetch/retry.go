package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/cenkalti/backoff/v5"
)

// Patience is how long servers are waited for. Its zero value is what people have.
type Patience struct {
	Stall    time.Duration // without a byte; 0: 30 s
	Attempts int           // in a row without a byte; 0: 6
	First    time.Duration // wait before the second; 0: 0.5 s
	Longest  time.Duration // wait that a server may ask for; 0: 5 min
}

func (p Patience) filled() Patience {
	if p.Stall == 0 {
		p.Stall = 30 * time.Second
	}
	if p.Attempts == 0 {
		p.Attempts = 6
	}
	if p.First == 0 {
		p.First = 500 * time.Millisecond
	}
	if p.Longest == 0 {
		p.Longest = 5 * time.Minute
	}
	return p
}

// Retry calls try until it succeeds or fails for good. try says whether it got on: then the count of attempts begins anew. notify, unless
// nil, hears what is waited for.
func (p Patience) Retry(ctx context.Context, notify func(err error, wait time.Duration), try func() (progress bool, err error)) error {
	p = p.filled()
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval = p.First, 60*p.First
	for failed := 0; ; {
		progress, err := try()
		if err == nil || !temporary(ctx, err) {
			return err
		}
		if failed++; progress {
			failed = 1
			waits.Reset()
		}
		wait := waits.NextBackOff()
		var status *StatusError
		if errors.As(err, &status) && status.after > 0 {
			if wait = status.after; wait > p.Longest {
				return fmt.Errorf("%w; it wants to be asked again in %s", err, wait.Round(time.Second))
			}
		}
		if failed >= p.Attempts {
			return fmt.Errorf("%w (%d attempts); try again later, it goes on from here", err, failed)
		}
		if notify != nil {
			notify(err, wait)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// retryAfter reads the header of that name.
func retryAfter(h http.Header, now time.Time) time.Duration {
	value := h.Get("Retry-After")
	if n, err := strconv.Atoi(value); err == nil && n >= 0 && n < 1<<30 {
		return time.Duration(n) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// Failure makes an error of an answer that is none of success, and closes it.
func Failure(what string, resp *http.Response) *StatusError {
	defer resp.Body.Close()
	e := &StatusError{Host: resp.Request.URL.Host, What: what, Status: resp.StatusCode, Header: resp.Header, after: retryAfter(resp.Header, time.Now())}
	e.Message = resp.Header.Get("X-Error-Message")
	if kind := resp.Header.Get("Content-Type"); e.Message == "" && (strings.HasPrefix(kind, "text/plain") || strings.HasPrefix(kind, "application/json")) {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
		e.Message = string(raw)
	}
	e.Message = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(e.Message, ""), func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
	return e
}

// Body gets a short answer of at most limit bytes.
func (p Patience) Body(ctx context.Context, client *http.Client, req *http.Request, what string, limit int64) (raw []byte, h http.Header, err error) {
	p = p.filled()
	err = p.Retry(ctx, nil, func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, 2*p.Stall)
		defer cancel()
		resp, err := client.Do(req.Clone(ctx))
		if err != nil {
			return false, plain(what, err)
		}
		if resp.StatusCode != http.StatusOK {
			return false, Failure(what, resp)
		}
		defer resp.Body.Close()
		if raw, err = io.ReadAll(io.LimitReader(resp.Body, limit+1)); err != nil {
			return false, plain(what, err)
		}
		if int64(len(raw)) > limit {
			return false, &ServerError{resp.Request.URL.Host, fmt.Sprintf("sends more than %d bytes for %s", limit, what)}
		}
		h = resp.Header
		return true, nil
	})
	return raw, h, err
}
