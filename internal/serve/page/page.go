// Package page is the page that people use a server with: it searches, asks, captions, judges, classifies and writes through the
// routes of internal/serve/native, and shows what the model is. Everything is embedded; nothing comes from another host.
package page

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed index.html assets
var files embed.FS

// Options are what the page says besides what it learns from the server.
type Options struct {
	Version  string   // of the server
	Notice   string   // what a visitor must not miss
	Keys     bool     // requests need a key, for which the page has a field
	Examples Examples // to try with one click
}

// Examples are texts for each of the page's forms; those of Match are compared with one picture together, and those of Rank with its first.
type Examples struct {
	Search, Ask, Judge, Match, Rank, Classify, Write []string
}

// setup is page/setup.json.
type setup struct {
	Version  string   `json:"version,omitempty"`
	Notice   string   `json:"notice,omitempty"`
	Keys     bool     `json:"keys"`
	Search   []string `json:"search,omitempty"`
	Ask      []string `json:"ask,omitempty"`
	Judge    []string `json:"judge,omitempty"`
	Match    []string `json:"match,omitempty"`
	Rank     []string `json:"rank,omitempty"`
	Classify []string `json:"classify,omitempty"`
	Write    []string `json:"write,omitempty"`
}

// policy lets the page run its own scripts and styles and speak with its own server, and nothing else. Pictures are blobs: those that
// visitors choose, and those of the index, which are fetched with their key. No script writes markup.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Mount serves the page at / and what belongs to it below /page/. It holds nothing of the model's, so it needs no key.
func Mount(mux *http.ServeMux, o Options) {
	mux.Handle("GET /{$}", file("index.html"))
	entries, err := fs.ReadDir(files, "assets")
	if err != nil {
		panic(err) // they are embedded
	}
	for _, e := range entries {
		mux.Handle("GET /page/"+e.Name(), file("assets/"+e.Name()))
	}
	x := o.Examples
	raw, err := json.Marshal(setup{o.Version, o.Notice, o.Keys, x.Search, x.Ask, x.Judge, x.Match, x.Rank, x.Classify, x.Write})
	if err != nil {
		panic(err) // it is text alone
	}
	mux.Handle("GET /page/setup.json", content("setup.json", raw))
}

func file(name string) http.Handler {
	raw, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is embedded
	}
	return content(name, raw)
}

// types are given here, as those of the system may be wrong, and a browser runs no module of another type.
var types = map[string]string{".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml", ".json": "application/json"}

// content serves a file. Browsers ask each time whether it is still the same, so that a new version of the program has a new page.
func content(name string, raw []byte) http.Handler {
	kind := types[path.Ext(name)]
	sum := sha256.Sum256(raw)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for key, value := range map[string]string{
			"Content-Type": kind, "ETag": tag, "Cache-Control": "no-cache",
			"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
		} {
			w.Header().Set(key, value)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(raw))
	})
}
