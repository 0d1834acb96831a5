package page_test

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/serve/page"
)

func get(t *testing.T, h http.Handler, path, tag string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", path, nil)
	if tag != "" {
		r.Header.Set("If-None-Match", tag)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func mounted(o page.Options) http.Handler {
	mux := http.NewServeMux()
	page.Mount(mux, o)
	return mux
}

func TestMount(t *testing.T) {
	h := mounted(page.Options{Notice: "</script>", Keys: true, Examples: page.Examples{Ask: []string{"why?"}}})
	for path, kind := range map[string]string{
		"/": "text/html; charset=utf-8", "/page/main.js": "text/javascript; charset=utf-8", "/page/style.css": "text/css; charset=utf-8",
		"/page/icon.svg": "image/svg+xml", "/page/setup.json": "application/json",
	} {
		a := get(t, h, path, "")
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != kind {
			t.Errorf("%s: status %d, type %q; want 200, %q", path, a.StatusCode, a.Header.Get("Content-Type"), kind)
		}
		policy := a.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
		if a.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be taken for another type", path)
		}
		if again := get(t, h, path, a.Header.Get("ETag")); again.StatusCode != http.StatusNotModified {
			t.Errorf("%s with its tag: status %d, want 304", path, again.StatusCode)
		}
	}
	for _, path := range []string{"/page/", "/page/nothing.js", "/page/..%2fpage.go", "/index.html", "/other"} {
		if a := get(t, h, path, ""); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, a.StatusCode)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/page/setup.json", nil))
	if got, want := w.Body.String(), `{"notice":"\u003c/script\u003e","keys":true,"ask":["why?"]}`; got != want {
		t.Errorf("setup.json is %s, want %s", got, want)
	}
}

// All of the page comes from the server, as files of its own: the policy would stop the rest, in the browser alone.
func TestNothingIsInlineOrElsewhere(t *testing.T) {
	foreign := regexp.MustCompile(`(?i)\b(https?:)?//[a-z0-9-]+\.[a-z]`)
	inline := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script(>|[^>]*>[^<])|javascript:|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`)
	names := regexp.MustCompile(`(?:href|src)="page/([^"]+)"|from "\./([^"]+)"`)
	files := []string{"index.html"}
	list, err := filepath.Glob("assets/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range append(files, list...) {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source := strings.ReplaceAll(string(raw), "http://www.w3.org/2000/svg", "") // a name, which nothing asks for
		if found := foreign.FindString(source); found != "" {
			t.Errorf("%s speaks of another host: %s", name, found)
		}
		if found := inline.FindString(source); found != "" {
			t.Errorf("%s has code or style within markup: %s", name, found)
		}
		for _, m := range names.FindAllStringSubmatch(source, -1) {
			if _, err := os.Stat("assets/" + m[1] + m[2]); err != nil {
				t.Errorf("%s names %s%s: %v", name, m[1], m[2], err)
			}
		}
	}
}

// Scripts ask only for elements that are there.
func TestScriptsNameElements(t *testing.T) {
	html, err := os.ReadFile("index.html")
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(string(html), -1) {
		if ids[m[1]] {
			t.Errorf("two elements are called %s", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?:for|aria-controls|aria-labelledby|aria-describedby)="([^"]+)"`).FindAllStringSubmatch(string(html), -1) {
		if !ids[m[1]] {
			t.Errorf("index.html refers to %s, which is not there", m[1])
		}
	}
	asked := 0
	err = fs.WalkDir(os.DirFS("assets"), ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".js") {
			return err
		}
		raw, err := os.ReadFile("assets/" + path)
		for _, m := range regexp.MustCompile(`\$\("([^"]+)"\)`).FindAllStringSubmatch(string(raw), -1) {
			asked++
			if !ids[m[1]] {
				t.Errorf("%s asks for %s, which is not there", path, m[1])
			}
		}
		return err
	})
	if err != nil || asked < 50 {
		t.Errorf("%d elements asked for: %v", asked, err)
	}
}
