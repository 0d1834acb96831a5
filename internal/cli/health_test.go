package cli

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHealth(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" && r.URL.Path != "/under/readyz" || r.Header.Get("Authorization") != "" {
				status = http.StatusTeapot
			}
			if status == http.StatusFound {
				w.Header().Set("Location", "/elsewhere")
			}
			w.WriteHeader(status)
			w.Write([]byte(body))
		}
	}
	for _, c := range []struct {
		name   string
		serve  http.HandlerFunc
		path   string
		code   int
		stdout string
		stderr string
	}{
		{"ready", answer(200, `{"status":"ready"}`), "", exitDone, "ready\n", ""},
		{"below a path", answer(200, `{"status":"ready"}`), "/under/", exitDone, "ready\n", ""},
		{"loading", answer(503, `{"status":"not ready","reason":"m is being loaded\u001b[2J"}`), "", exitFailed, "", "/readyz is not ready: m is being loaded"},
		{"another server", answer(200, `<html>`), "", exitFailed, "", "is no server of unimo: it answers with status 200"},
		{"another's 503", answer(503, `{}`), "", exitFailed, "", "is no server of unimo: it answers with status 503"},
		{"sent elsewhere", answer(302, ``), "", exitFailed, "", "status 302"},
		{"much", answer(200, strings.Repeat(" ", 1<<20)+`{"status":"ready"}`), "", exitFailed, "", "is no server of unimo"},
	} {
		for _, start := range []func(http.Handler) *httptest.Server{httptest.NewServer, httptest.NewTLSServer} {
			s := start(c.serve)
			r := call(t, "", "health", s.URL+c.path)
			s.Close()
			if r.code != c.code || r.stdout != c.stdout || !strings.Contains(r.stderr, c.stderr) || strings.Contains(r.stderr, "\x1b") {
				t.Errorf("%s: %+v", c.name, r)
			}
		}
	}
	s := httptest.NewServer(answer(200, `{"status":"ready"}`))
	if r := must(t, "health", s.URL, "--json"); r.stdout != `{"status":"ready"}`+"\n" {
		t.Errorf("--json: %+v", r)
	}
	s.Close()
	if r := call(t, "", "health", s.URL); r.code != exitFailed || !strings.Contains(r.stderr, "ask a server: ") {
		t.Errorf("nobody there: %+v", r)
	}
	for _, bad := range []string{"127.0.0.1:8080", "ftp://a", "http://", "http://u:p@a", "http://a?b", "http://a#b", "http://[", ""} {
		if r := call(t, "", "health", bad); r.code != exitUsage || !strings.Contains(r.stderr, "is no address of a server; want one such as http://127.0.0.1:8080") {
			t.Errorf("%q: %+v", bad, r)
		}
	}
	if r := call(t, "", "health", "http://a", "more"); r.code != exitUsage {
		t.Errorf("two addresses: %+v", r)
	}
}
