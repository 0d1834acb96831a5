package weaviate

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/store/server"
)

// largest is how much of an answer is read, at most.
const largest = 64 << 20

// api is the REST interface of a server.
type api struct {
	http *http.Client
	base string // without a slash at its end
	key  string
}

func newHTTP() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	t.MaxIdleConnsPerHost = 16
	// A redirection could lead the key elsewhere, and makes another request of a POST.
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// patient is do with a bound of its own.
func (a *api) patient(ctx context.Context, method, path string, body, out any) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return a.do(ctx, method, path, body, out)
}

// do sends a request and reads its answer into out; nil for none.
func (a *api) do(ctx context.Context, method, path string, body, out any) error {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json")
	r.Header["Idempotency-Key"] = nil // each may be sent again, where a connection of before a restart was lost; net/http does not send this
	if a.key != "" {
		r.Header.Set("Authorization", "Bearer "+a.key)
	}
	response, err := a.http.Do(r)
	if err != nil {
		return unreachable(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(response.Body, largest+1))
	switch {
	case err != nil:
		return fmt.Errorf("its answer ends early: %w", err)
	case len(raw) > largest:
		return fmt.Errorf("its answer to %s %s has more than %d MiB", method, path, largest>>20)
	case response.StatusCode >= 300:
		return failure(response.StatusCode, response.Header.Get("Location"), raw)
	case out == nil:
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("it does not answer %s %s as Weaviate does: %w", method, path, err)
	}
	return nil
}

// unreachable says what to do where there is no answer.
func unreachable(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) { // it quotes the URL
		err = wrapped.Err
	}
	var dial *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return server.Explain(err, "name it as "+Scheme+"http://")
	case errors.As(err, &certificate):
		return server.Explain(err, "name the file of its certificate authority in SSL_CERT_FILE")
	case errors.As(err, &dial) && dial.Op == "dial":
		return server.Explain(err, "is the server running, and reached from here?")
	}
	return err
}

// failure is the error of an answer that says one.
func failure(status int, location string, raw []byte) error {
	var said struct {
		Message string // of what its framework refuses
		Error   []struct{ Message string }
	}
	text := ""
	if json.Unmarshal(raw, &said) == nil {
		text = said.Message
		for _, e := range said.Error {
			text = cmp.Or(text, e.Message)
		}
	}
	if text == "" {
		text = strings.TrimSpace(string(raw))
	}
	if len(text) > 500 {
		text = text[:500] + "..."
	}
	err := fmt.Errorf("HTTP status %d: %s", status, cmp.Or(text, http.StatusText(status)))
	todo := ""
	switch {
	case status == http.StatusUnauthorized:
		todo = "give an API key that is right in the environment variable " + KeyVariable
	case status == http.StatusForbidden:
		todo = "the key's user needs the rights to read and change collections and objects of the names Unimo_*"
	case status < 400:
		return fmt.Errorf("it answers with a redirection to %.200q; name that place in the URL", location)
	case status == http.StatusServiceUnavailable, strings.Contains(text, "leader not found"):
		todo = "is the server, or its cluster, starting or ending? try again"
	case strings.Contains(text, "no graphql provider present"):
		todo = madeAgain
	}
	return server.Explain(err, todo)
}

const madeAgain = `the index was made again, or its collection was removed; open it again, or run "unimo index" again`

// answer is GraphQL's.
type answer struct {
	Data struct {
		Get       map[string][]object
		Aggregate map[string][]struct{ Meta struct{ Count int } }
	}
	Errors []struct{ Message string }
}

type object struct {
	Picture    string
	Origin     string
	Additional struct {
		ID       string
		Distance *float64
	} `json:"_additional"`
}

// err is the first error, as a part of an answer is none.
func (a answer) err(collection string) error {
	if len(a.Errors) == 0 {
		return nil
	}
	text := a.Errors[0].Message
	todo := whatOf(text)
	if strings.Contains(text, `Cannot query field "`+collection) {
		todo = madeAgain
	}
	return server.Explain(fmt.Errorf("its GraphQL interface: %.500s", text), todo)
}

// whatOf is what to do about a message of a cluster.
func whatOf(message string) string {
	if strings.Contains(message, "resolve node name") || strings.Contains(message, "remote shard") {
		return "is a node of its cluster down?"
	}
	return ""
}

// count is how many objects a collection has, where that was asked.
func (a answer) count(collection string) (n int) {
	for _, c := range a.Data.Aggregate[collection] {
		n += c.Meta.Count
	}
	return n
}

// objects are those of a collection.
func (a answer) objects(collection string) ([]object, error) {
	list, ok := a.Data.Get[collection]
	if !ok {
		return nil, errors.New("it does not answer a query as Weaviate does: there are neither objects nor errors")
	}
	return list, nil
}

// neighbors are objects with what a query says of them.
func neighbors(objects []object) ([]rank.Neighbor, error) {
	var list []rank.Neighbor
	for _, o := range objects {
		var origin rank.Origin
		if o.Additional.Distance == nil || math.Abs(*o.Additional.Distance) > math.MaxFloat32 {
			return nil, errors.New("it does not answer a query as Weaviate does: an object has no distance")
		}
		if len(o.Origin) != hex.EncodedLen(len(origin)) {
			continue // it is nothing that the index has
		}
		if _, err := hex.Decode(origin[:], []byte(o.Origin)); err != nil {
			continue
		}
		list = append(list, rank.Neighbor{ID: o.Picture, Origin: origin, Score: float32(-*o.Additional.Distance)})
	}
	return list, nil
}

// stored is what is said of an object of a batch.
type stored struct {
	Result struct {
		Status string
		Errors struct{ Error []struct{ Message string } }
	}
}

// refused is the error of the first object of a batch that was not stored.
func refused(results []stored, sent int) error {
	if len(results) != sent {
		return fmt.Errorf("it says nothing of %d of %d vectors", sent-len(results), sent)
	}
	for _, r := range results {
		if errs := r.Result.Errors.Error; len(errs) > 0 {
			return server.Explain(fmt.Errorf("it refuses a vector: %.500s", errs[0].Message), whatOf(errs[0].Message))
		}
		if r.Result.Status == "FAILED" {
			return errors.New("it refuses a vector, and does not say why")
		}
	}
	return nil
}
