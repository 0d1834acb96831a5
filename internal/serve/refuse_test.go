package serve

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/page"
	"github.com/unimo-go/unimo/internal/serve/telemetry"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// full is a server all of whose queues are full.
func full(t testing.TB) http.Handler {
	t.Helper()
	busy := func() error {
		return &backend.Error{
			Kind: backend.Overloaded, Limit: 1024, RetryAfter: 2 * time.Second,
			Message: fmt.Sprintf("model %s is busy: %d texts, pictures or pairs wait for it, and %d may; try again later", "m", 1024, 1024),
		}
	}
	mux := http.NewServeMux()
	mount(mux, backendtest.New(), web.Limits{Body: 1 << 20, Items: 10, TopK: 10, Busy: busy}, page.Options{})
	seen, err := telemetry.New(t.Context(), "1.0", slogDiscard)
	if err != nil {
		t.Fatal(err)
	}
	return seen.Wrap(&guard{next: router{mux}, log: slogDiscard, memory: 1 << 20, patience: usual, cross: http.NewCrossOriginProtection()})
}

const refusedBody = `{"input": "a gripping film about people who wait for an answer", "model": "m"}`

// BenchmarkRefuse is what a request costs that meets a full queue: in the handlers, and with net/http and a client that does as little as can be.
func BenchmarkRefuse(b *testing.B) {
	b.Run("handlers", func(b *testing.B) {
		h := full(b)
		b.ReportAllocs()
		for b.Loop() {
			r, _ := http.NewRequest("POST", "http://127.0.0.1/v1/embeddings", strings.NewReader(refusedBody))
			r.Header.Set("Content-Type", "application/json")
			w := &silent{header: http.Header{}}
			h.ServeHTTP(w, r)
			if w.status != http.StatusTooManyRequests {
				b.Fatal(w.status)
			}
		}
	})
	b.Run("connection", func(b *testing.B) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		s := &http.Server{Handler: full(b), ReadHeaderTimeout: usual.header, IdleTimeout: usual.idle}
		go s.Serve(l)
		defer s.Close()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		request := fmt.Appendf(nil, "POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(refusedBody), refusedBody)
		answer := make([]byte, 4096)
		b.ReportAllocs()
		for b.Loop() {
			c.Write(request)
			n, err := c.Read(answer)
			if err != nil && err != io.EOF || !bytes.HasPrefix(answer[:n], []byte("HTTP/1.1 429")) {
				b.Fatalf("%v %s", err, answer[:n])
			}
		}
	})
}
