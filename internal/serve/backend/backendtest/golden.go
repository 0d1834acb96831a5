package backendtest

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// changing is what is another each time in the answers of servers: their names, and times.
var changing = regexp.MustCompile(`\b[A-Z2-7]{26}\b|"created":\d+`)

// kept are the headers of answers that goldens have.
var kept = []string{"Content-Type", "Allow", "Retry-After"}

// Goldens holds a handler against recorded requests and answers. A record begins with a line "### " and what it is about; then the method and
// the path of a request, its body, a line "---", the status, headers and body of the answer. With UNIMO_UPDATE set, answers are recorded
// anew.
func Goldens(t *testing.T, file string, h http.Handler) {
	t.Helper()
	raw, err := infile.Read(file, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	records := strings.Split("\n"+string(raw), "\n### ")
	var updated strings.Builder
	updated.WriteString(strings.TrimPrefix(records[0], "\n"))
	for _, record := range records[1:] {
		name, rest, _ := strings.Cut(record, "\n")
		request, want, _ := strings.Cut(rest, "\n---\n")
		line, body, _ := strings.Cut(request, "\n")
		method, path, ok := strings.Cut(line, " ")
		if !ok {
			t.Fatalf("%s: %s: %q is no method and path", file, name, line)
		}
		var got string
		t.Run(name, func(t *testing.T) {
			got = answer(h, method, path, body)
			if want = strings.TrimRight(want, "\n"); got != want && os.Getenv("UNIMO_UPDATE") == "" {
				t.Errorf("%s %s\n%s\ngot\n%s\nwant\n%s", method, path, body, got, want)
			}
		})
		fmt.Fprintf(&updated, "\n### %s\n%s\n---\n%s\n", name, strings.TrimRight(request, "\n"), got)
	}
	if os.Getenv("UNIMO_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(strings.TrimPrefix(updated.String(), "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func answer(h http.Handler, method, path, body string) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	var out bytes.Buffer
	fmt.Fprintln(&out, w.Code)
	for _, k := range kept {
		if v := w.Header().Get(k); v != "" && v != "application/json" {
			fmt.Fprintf(&out, "%s: %s\n", k, v)
		}
	}
	text := changing.ReplaceAllStringFunc(w.Body.String(), func(s string) string {
		if strings.HasPrefix(s, `"created`) {
			return `"created":0`
		}
		return "ID"
	})
	return out.String() + strings.TrimRight(text, "\n")
}
