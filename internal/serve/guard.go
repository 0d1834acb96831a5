package serve

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/oip"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// patience is how long a client may take.
type patience struct {
	header time.Duration // for the header of a request
	body   time.Duration // for its body
	write  time.Duration // to take each piece of the answer
	idle   time.Duration // between two requests on a connection, or two messages of a stream
}

var usual = patience{header: 10 * time.Second, body: time.Minute, write: 30 * time.Second, idle: 2 * time.Minute}

// maxHeader are the bytes of a request's header.
const maxHeader = 64 << 10

// guard is what every request passes before a protocol sees it.
type guard struct {
	next     http.Handler
	log      *slog.Logger
	keys     atomic.Pointer[keys] // nil: requests need none
	hosts    []string             // names that requests may call the server by, besides addresses; nil: any
	memory   int64                // bytes that the bodies of all requests may have together
	patience patience
	draining atomic.Bool

	held     atomic.Int64 // bytes of bodies
	requests atomic.Int64 // that are being answered
	cross    *http.CrossOriginProtection
}

// open says whether a request needs no key: health, which probes ask for without one, the page, which asks people for it, and what describes the routes.
func open(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	path := r.URL.Path
	return slices.Contains(openPaths, path) || strings.HasPrefix(path, "/page/")
}

var openPaths = []string{"/", "/livez", "/readyz", "/health", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json"}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.requests.Add(1)
	defer g.requests.Add(-1)
	control := http.NewResponseController(w)
	// The time of the connection's last answer may be over, and net/http writes by itself: "100 Continue" before this one, and the rest of it.
	control.SetWriteDeadline(time.Time{})
	defer func() { control.SetWriteDeadline(time.Now().Add(g.patience.write)) }()
	out := &timedWriter{ResponseWriter: w, control: control, time: g.patience.write, draining: &g.draining}
	in := &body{ReadCloser: r.Body, guard: g, control: control, path: r.URL.Path, stream: oip.IsGRPC(r)}
	*r = *r.WithContext(web.WithRequest(r.Context(), in)) // the same request: what counts them reads the pattern that the mux sets
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = in
		control.SetReadDeadline(time.Now().Add(g.patience.body))
		// A body that is still being read is not waited for when the server ends, nor touched when the request is over.
		ended := make(chan struct{})
		stop := context.AfterFunc(r.Context(), func() {
			defer close(ended)
			control.SetReadDeadline(time.Now())
		})
		defer func() {
			if !stop() {
				<-ended
			}
		}()
	}
	defer func() {
		in.end()
		if p := recover(); p != nil {
			if p == http.ErrAbortHandler {
				panic(p)
			}
			in.Panicked(p)
			if out.begun {
				panic(http.ErrAbortHandler) // the client must not take half of an answer for one
			}
			failureOf(r)(out, fmt.Errorf("panic: %v", p))
		}
	}()
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := g.check(r); err != nil {
		w.Header().Set("Connection", "close") // its body is not read
		if err.Kind == backend.Unauthenticated {
			w.Header().Set("WWW-Authenticate", `Bearer realm="unimo"`)
		}
		failureOf(r)(out, err)
		return
	}
	g.next.ServeHTTP(out, r)
	if r.Context().Err() != nil && !out.begun { // gRPC's handler says nothing then
		failureOf(r)(out, backend.Ended(r.Context()))
	}
}

// check says why a request goes no further, or nil.
func (g *guard) check(r *http.Request) *backend.Error {
	if g.hosts != nil && !g.knows(r.Host) {
		return backend.Errorf(backend.Forbidden, "", "this server does not go by the name %.100q; call it by its address, or allow the name with --host", r.Host)
	}
	if err := g.cross.Check(r); err != nil {
		return backend.Errorf(backend.Forbidden, "", "a page of another site asks; this server answers its own page, and programs")
	}
	if g.keys.Load() == nil || open(r) {
		return nil
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || !g.keys.Load().has(strings.TrimSpace(key)) {
		return backend.Errorf(backend.Unauthenticated, "", "the request has no key, or a wrong one; send Authorization: Bearer KEY")
	}
	return nil
}

// knows says whether a request may call the server so: by an address, by localhost, or by a name that was allowed. A page of another site
// whose name was made to lead here, to read what only this machine may read, calls it otherwise.
func (g *guard) knows(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.Trim(host, "[]"), ".") // of a name that is whole
	return host == "" || net.ParseIP(host) != nil || strings.EqualFold(host, "localhost") ||
		slices.ContainsFunc(g.hosts, func(name string) bool { return strings.EqualFold(host, name) })
}

// body is a request's body. Those of all requests together are bounded, and each has its time.
type body struct {
	io.ReadCloser
	guard   *guard
	control *http.ResponseController
	path    string
	stream  bool // of messages, each of which has its own time

	mu   sync.Mutex
	size int64 // bytes that take memory
	over bool  // the request is: a method of gRPC may go on for a moment, and counts no more
}

// count adds n to the bytes that take memory, and returns those of all requests.
func (b *body) count(n int64) (all int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0
	}
	n = max(n, -b.size) // a message that was compressed is larger than what came
	b.size += n
	return b.guard.held.Add(n)
}

func (b *body) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.guard.held.Add(-b.size)
	b.size, b.over = 0, true
}

// Hold implements [web.Request].
func (b *body) Hold(n int) error {
	if b.count(int64(n)) <= b.guard.memory {
		return nil
	}
	return &backend.Error{
		Kind: backend.Overloaded, RetryAfter: time.Second, Limit: int(b.guard.memory),
		Message: fmt.Sprintf("the requests that are being read have more than %d bytes together; try again later", b.guard.memory),
	}
}

// Release implements [web.Request].
func (b *body) Release(n int) { b.count(-int64(n)) }

// Panicked implements [web.Request].
func (b *body) Panicked(what any) {
	b.guard.log.Error("a handler failed", "path", b.path, "panic", fmt.Sprint(what), "stack", string(debug.Stack()))
}

func (b *body) Read(p []byte) (int, error) {
	if b.stream {
		b.control.SetReadDeadline(time.Now().Add(b.guard.patience.idle))
	}
	n, err := b.ReadCloser.Read(p)
	if over := b.Hold(n); over != nil {
		return n, over
	}
	if err == io.EOF {
		b.control.SetReadDeadline(time.Time{}) // the answer may take longer; that the client leaves is still seen
	}
	return n, err
}

// timedWriter gives a client time for each piece of an answer, not for the whole: texts come as they are written. Between two pieces there is no
// deadline, as HTTP/2 would end the stream at it, though there is nothing to write.
type timedWriter struct {
	http.ResponseWriter
	control  *http.ResponseController
	time     time.Duration
	draining *atomic.Bool
	begun    bool
}

// begin comes before the header. While the server drains, the answer is the connection's last, also where the request came before: the next
// one could come just when the connection is closed.
func (w *timedWriter) begin() {
	if !w.begun && w.draining.Load() {
		w.Header().Set("Connection", "close")
	}
	w.begun = true
}

func (w *timedWriter) WriteHeader(status int) {
	if status >= 200 {
		w.begin()
	}
	defer w.timed()()
	w.ResponseWriter.WriteHeader(status)
}

// timed begins the time of a piece, and returns what ends it.
func (w *timedWriter) timed() (done func()) {
	w.control.SetWriteDeadline(time.Now().Add(w.time))
	return func() { w.control.SetWriteDeadline(time.Time{}) }
}

func (w *timedWriter) Write(p []byte) (int, error) {
	w.begin()
	defer w.timed()()
	return w.ResponseWriter.Write(p)
}

// Flush implements [http.Flusher], which gRPC asks for.
func (w *timedWriter) Flush() {
	w.begin()
	defer w.timed()()
	w.control.Flush()
}

// Unwrap is for [http.ResponseController].
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
