package serve

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend/backendtest"
	"github.com/unimo-go/unimo/internal/serve/openapi"
	"github.com/unimo-go/unimo/internal/serve/page"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// Every operation that is described is served.
func TestOperationsAreServed(t *testing.T) {
	mux := http.NewServeMux()
	mount(mux, backendtest.New(), web.DefaultLimits, page.Options{})
	mux.Handle("GET /metrics", http.NotFoundHandler())
	if err := openapi.Mount(mux, "v1", operations()); err != nil {
		t.Fatal(err)
	}
	for _, o := range operations() {
		if o.Path == "/{$}" {
			continue // any path would do
		}
		path := strings.NewReplacer("{$}", "", "{", "", "}", "", "...", "").Replace(o.Path)
		_, pattern := mux.Handler(httptest.NewRequest(o.Method, path, nil))
		if pattern == "" || pattern == "/" || o.Tag == "" || o.Summary == "" || len(o.Responses) == 0 {
			t.Errorf("%s %s (%s) is served by %q, or says too little", o.Method, o.Path, o.ID, pattern)
		}
	}
}

// The description that the server gives of itself is what it does: schemathesis makes requests of it, right ones and wrong ones.
func TestSchemathesis(t *testing.T) {
	bin := os.Getenv("UNIMO_CLIENTS")
	if bin == "" {
		t.Skip("not run: schemathesis: UNIMO_CLIENTS is not set; make clients installs it")
	}
	mux := http.NewServeMux()
	mount(mux, backendtest.New(), web.Limits{Body: 1 << 20, Items: 64, TopK: 100}, page.Options{})
	if err := openapi.Mount(mux, "v1", operations()); err != nil {
		t.Fatal(err)
	}
	g := &guard{next: router{mux}, log: slogDiscard, memory: 64 << 20, patience: usual, cross: http.NewCrossOriginProtection()}
	server := httptest.NewServer(g)
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, filepath.Join(bin, "schemathesis"), "run", server.URL+"/openapi.json",
		"--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--seed", "1", "--workers", "2", "--continue-on-failure", "--request-timeout", "20",
		"--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,unsupported_method",
		"--exclude-path", "/metrics")
	c.Dir = t.TempDir() // it keeps its examples there
	c.Env = append(os.Environ(), "NO_COLOR=1", "COLUMNS=160")
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
