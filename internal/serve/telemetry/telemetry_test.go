package telemetry

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

var _ backend.Observer = (*Telemetry)(nil)

// clean takes the variables of OpenTelemetry out of a test's environment.
func clean(t *testing.T) {
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "OTEL_") {
			t.Setenv(name, "")
		}
	}
}

func handler(t *testing.T, tel *Telemetry) http.Handler {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /models/{name}", func(w http.ResponseWriter, r *http.Request) {
		if _, ok := w.(http.Flusher); !ok {
			t.Error("no Flusher, which gRPC needs")
		}
		slog.New(tel.log.Handler()).WarnContext(r.Context(), "inside")
		w.WriteHeader(404)
		io.WriteString(w, "no model")
	})
	mux.HandleFunc("POST /grpc/Call", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Grpc-Status", "8") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(401) })
	mux.HandleFunc("POST /grpc/Secret", func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Grpc-Status", "16") })
	mux.HandleFunc("GET /abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, path := range []string{"/livez", "/page/look.js", "/pictures/{id...}"} {
		mux.HandleFunc("GET "+path, func(http.ResponseWriter, *http.Request) {})
	}
	mux.Handle("GET /metrics", tel.Metrics())
	return tel.Wrap(mux)
}

func get(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRequests(t *testing.T) {
	clean(t)
	var b bytes.Buffer
	tel, err := New(context.Background(), "v1", slog.New(Handler(slog.NewJSONHandler(&b, nil))))
	if err != nil {
		t.Fatal(err)
	}
	defer tel.Shutdown(context.Background())
	h := handler(t, tel)
	const traceID = "0af7651916cd43dd8448eb211c80319c"
	w := get(h, "GET", "/models/x?key=secret", "X-Request-Id", "abc-1", "Traceparent", "00-"+traceID+"-b7ad6b7169203331-01")
	if w.Code != 404 || w.Header().Get("X-Request-Id") != "abc-1" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 2 || strings.Contains(b.String(), "secret") {
		t.Fatalf("%s", b.String())
	}
	for _, line := range lines {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil || fields["request_id"] != "abc-1" || fields["trace_id"] != traceID {
			t.Errorf("%s", line)
		}
	}
	if !strings.Contains(lines[1], `"method":"GET","path":"/models/x","route":"/models/{name}","status":404,"bytes":8`) {
		t.Errorf("%s", lines[1])
	}
	b.Reset()
	if id := get(h, "POST", "/grpc/Call", "X-Request-Id", "a\nb").Header().Get("X-Request-Id"); len(id) < 20 {
		t.Errorf("the id %q was taken or is too short", id)
	}
	get(h, "BREW", "/nothing")
	get(h, "GET", "/readyz")
	get(h, "POST", "/grpc/Secret")
	for _, path := range []string{"/livez", "/page/look.js", "/pictures/a/b.png"} {
		get(h, "GET", path)
		if strings.Contains(b.String(), path) {
			t.Errorf("%s fills the log", path)
		}
	}
	func() {
		defer func() {
			if recover() != http.ErrAbortHandler {
				t.Error("the panic that drops the connection is gone")
			}
		}()
		get(h, "GET", "/abort")
	}()
	for _, want := range []string{
		`"grpc_status":8,"bytes":0`, `"status":404,"bytes":19`, `"aborted":true,"bytes":0`,
		`"level":"WARN","msg":"request","method":"GET","path":"/readyz","route":"/readyz","status":401`,
		`"level":"WARN","msg":"request","method":"POST","path":"/grpc/Secret","route":"/grpc/Secret","grpc_status":16`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in %s", want, b.String())
		}
	}

	tel.Queued("m", 3)
	tel.Refused("m")
	tel.Ran("m", backend.Batch{Work: "embed", Requests: 2, Items: 5, Tokens: 40, Pictures: 1, Waited: time.Millisecond, Took: 3 * time.Millisecond})
	tel.Ran("m", backend.Batch{Work: "embed", Err: context.Canceled})
	tel.Loaded("m", time.Second, errors.New("broken"))
	text := get(h, "GET", "/metrics").Body.String()
	for _, want := range []string{
		`unimo_http_requests_total{code="404",method="GET",route="/models/{name}"} 1`,
		`unimo_http_requests_total{code="grpc-8",method="POST",route="/grpc/Call"} 1`,
		`unimo_http_requests_total{code="404",method="other",route="none"} 1`,
		`unimo_http_requests_total{code="aborted",method="GET",route="/abort"} 1`,
		`unimo_http_request_duration_seconds_count{method="GET",route="/models/{name}"} 1`,
		`unimo_http_requests_in_flight 1`,
		`unimo_queue_requests{model="m"} 3`,
		`unimo_queue_refused_total{model="m"} 1`,
		`unimo_batches_total{model="m",result="ok",work="embed"} 1`,
		`unimo_batches_total{model="m",result="canceled",work="embed"} 1`,
		`unimo_batch_requests_sum{model="m",work="embed"} 2`,
		`unimo_batch_items_sum{model="m",work="embed"} 5`,
		`unimo_batch_items_bucket{model="m",work="embed",le="8"} 2`,
		`unimo_tokens_total{model="m",work="embed"} 40`,
		`unimo_pictures_total{model="m",work="embed"} 1`,
		`unimo_queue_wait_seconds_bucket{model="m",work="embed",le="0.001"} 2`,
		`unimo_model_loads_total{model="m",result="error"} 1`,
		`unimo_build_info{version="v1"} 1`,
		`go_goroutines `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
}

// A collector gets the spans, of the trace that the client began.
func TestTraces(t *testing.T) {
	clean(t)
	var mu sync.Mutex
	var got []*collector.ExportTraceServiceRequest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		if r.Header.Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(raw))
			if err != nil {
				t.Error(err)
				return
			}
			raw, _ = io.ReadAll(z)
		}
		var e collector.ExportTraceServiceRequest
		if err := proto.Unmarshal(raw, &e); err != nil || r.URL.Path != "/v1/traces" {
			t.Errorf("%s: %v", r.URL.Path, err)
		}
		mu.Lock()
		got = append(got, &e)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=test")
	tel, err := New(context.Background(), "v1", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	get(handler(t, tel), "GET", "/models/x", "X-Request-Id", "abc", "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := tel.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 1 {
		t.Fatalf("%d requests to the collector", len(got))
	}
	text := got[0].String()
	for _, want := range []string{"GET /models/{name}", "http.route", "unimo.request_id", "service.name", `"unimo"`, "deployment.environment", "http.response.status_code"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	span := got[0].ResourceSpans[0].ScopeSpans[0].Spans[0]
	if span.TraceId[0] != 0x0a || span.ParentSpanId[0] != 0xb7 || len(span.TraceId) != 16 {
		t.Errorf("trace %x of %x", span.TraceId, span.ParentSpanId)
	}
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		name string
		set  []string
		on   bool
		says string
	}{
		{"nothing", nil, false, ""},
		{"endpoint", []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/v1/traces"}, true, ""},
		{"grpc", []string{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"}, true, ""},
		{"none", []string{"OTEL_TRACES_EXPORTER", "none", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"}, false, ""},
		{"disabled", []string{"OTEL_SDK_DISABLED", "true", "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1"}, false, ""},
		{"other exporter", []string{"OTEL_TRACES_EXPORTER", "zipkin"}, false, "OTEL_TRACES_EXPORTER is \"zipkin\""},
		{"other protocol", []string{"OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"}, false, "OTEL_EXPORTER_OTLP_PROTOCOL is \"http/json\""},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean(t)
			for i := 0; i < len(c.set); i += 2 {
				t.Setenv(c.set[i], c.set[i+1])
			}
			tel, err := New(context.Background(), "v1", slog.New(slog.DiscardHandler))
			if c.says != "" {
				if err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("%v, want %s", err, c.says)
				}
				return
			}
			if err != nil || (tel.traces != nil) != c.on {
				t.Fatalf("%v, %v", tel.traces, err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			tel.Shutdown(ctx)
		})
	}
}
