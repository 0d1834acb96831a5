package telemetry

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/felixge/httpsnoop"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Telemetry sees what a server does. It implements [backend.Observer].
type Telemetry struct {
	metrics
	log    *slog.Logger
	traces *sdktrace.TracerProvider // nil: off
}

// New begins with what the environment says of traces (OTEL_...): without a word, there are none. The version is the program's.
func New(ctx context.Context, version string, log *slog.Logger) (*Telemetry, error) {
	traces, err := newTraces(ctx, version, log)
	if err != nil {
		return nil, err
	}
	return &Telemetry{metrics: newMetrics(version), log: log, traces: traces}, nil
}

// Shutdown sends the traces that wait, until ctx ends.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	if t.traces == nil {
		return nil
	}
	return t.traces.Shutdown(ctx)
}

// Wrap returns a handler that counts, traces and logs what next answers. It belongs around all others.
func (t *Telemetry) Wrap(next http.Handler) http.Handler {
	h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.serve(w, r, next) }))
	if t.traces == nil {
		return h
	}
	return otelhttp.NewHandler(h, "request", otelhttp.WithTracerProvider(t.traces), otelhttp.WithPropagators(propagation.TraceContext{}))
}

// validID is what a client's request id must be to be taken over: it goes into logs.
var validID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

const idHeader = "X-Request-Id"

func (t *Telemetry) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	id := r.Header.Get(idHeader)
	if !validID.MatchString(id) {
		id = rand.Text()
	}
	w.Header().Set(idHeader, id)
	ctx := context.WithValue(r.Context(), idKey{}, id)
	span := trace.SpanContextFromContext(ctx)
	if !span.IsValid() { // traces are off; the log has the client's all the same
		span = trace.SpanContextFromContext(propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header)))
	}
	if span.IsValid() {
		ctx = context.WithValue(ctx, traceKey{}, span.TraceID().String())
	}
	r = r.WithContext(ctx)
	t.inFlight.Inc()
	begin := time.Now()
	answer := httpsnoop.Metrics{Code: http.StatusOK}
	defer func() { // also where the handler panics, to drop the connection
		t.inFlight.Dec()
		if p := recover(); p != nil {
			t.done(r, w.Header(), 0, answer.Written, time.Since(begin))
			panic(p)
		}
		t.done(r, w.Header(), answer.Code, answer.Written, time.Since(begin))
	}()
	answer.CaptureMetrics(w, func(w http.ResponseWriter) { next.ServeHTTP(w, r) })
}

// done counts and logs a request that was answered; one whose status is 0 was not, and its connection is dropped. The mux has set its pattern
// by now.
func (t *Telemetry) done(r *http.Request, header http.Header, status int, written int64, took time.Duration) {
	code, how := strconv.Itoa(status), slog.Int("status", status)
	if grpc := header.Get("Grpc-Status"); grpc != "" { // its status of HTTP is always 200
		s, _ := strconv.Atoi(grpc) // a number
		code, how = "grpc-"+strconv.Itoa(s), slog.Int("grpc_status", s)
	}
	if status == 0 {
		code, how = "aborted", slog.Bool("aborted", true)
	}
	method, route := r.Method, r.Pattern
	if _, path, ok := strings.Cut(route, " "); ok {
		route = path
	}
	if route == "" { // clients must not make metrics
		route = "none"
	}
	if !knownMethods[method] {
		method = "other"
	}
	t.requests.WithLabelValues(method, route, code).Inc()
	t.seconds.WithLabelValues(method, route).Observe(took.Seconds())
	span := trace.SpanFromContext(r.Context())
	span.SetName(method + " " + route)
	span.SetAttributes(attribute.String("http.route", route), attribute.String("unimo.request_id", RequestID(r.Context())))
	level := slog.LevelInfo
	switch {
	case refused[code]:
		level = slog.LevelWarn
	case quiet[route] || status == http.StatusTooManyRequests || strings.HasPrefix(route, "/page/"):
		level = slog.LevelDebug
	}
	t.log.LogAttrs(r.Context(), level, "request",
		slog.String("method", r.Method), slog.String("path", r.URL.Path), slog.String("route", route), how,
		slog.Int64("bytes", written), slog.Float64("seconds", took.Seconds()), slog.String("remote", r.RemoteAddr))
}

var knownMethods = map[string]bool{"GET": true, "HEAD": true, "POST": true, "PUT": true, "PATCH": true, "DELETE": true, "OPTIONS": true}

// refused are the codes of who may not ask: a warning on any route, as it is somebody who tries, or a client whose key is no longer one. The
// second of them may be what reads /metrics, and nobody would find out otherwise.
var refused = map[string]bool{"401": true, "403": true, "grpc-16": true, "grpc-7": true}

// quiet are routes that machines ask every few seconds, and that the page asks many of at once: they are logged at the level debug, as is what a
// full queue refuses, of which there may be thousands a second.
var quiet = map[string]bool{"/pictures/{id...}": true, "/livez": true, "/readyz": true, "/health": true, "/metrics": true, "/v2/health/live": true, "/v2/health/ready": true}

type (
	idKey    struct{}
	traceKey struct{}
)

// RequestID is the id of the request that a context is of, "" of none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(idKey{}).(string)
	return id
}

// Handler is a [slog.Handler] that adds the ids of request and trace to what is logged with a request's context.
func Handler(h slog.Handler) slog.Handler { return idHandler{h} }

type idHandler struct{ slog.Handler }

func (h idHandler) Handle(ctx context.Context, r slog.Record) error {
	if id := RequestID(ctx); id != "" {
		r.AddAttrs(slog.String("request_id", id))
	}
	if id, ok := ctx.Value(traceKey{}).(string); ok {
		r.AddAttrs(slog.String("trace_id", id))
	}
	return h.Handler.Handle(ctx, r)
}

func (h idHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return idHandler{h.Handler.WithAttrs(attrs)}
}
func (h idHandler) WithGroup(name string) slog.Handler { return idHandler{h.Handler.WithGroup(name)} }
