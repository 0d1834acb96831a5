// Package hubs has servers of models for tests, on loopback addresses: a hub as Hugging Face's, and one of plain files. They misbehave
// when they are told to.
package hubs

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Fault is a way to misbehave. It says whether it has answered.
type Fault func(w http.ResponseWriter, r *http.Request, f *Content) bool

// Content is what a server has under a path.
type Content struct {
	mu   sync.Mutex
	data []byte
	tag  string
}

// Bytes returns the content, and its ETag.
func (c *Content) Bytes() ([]byte, string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.data, c.tag
}

// Set changes the content.
func (c *Content) Set(data []byte, tag string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data, c.tag = data, tag
}

// Files is a server of files.
type Files struct {
	URL  string
	Sent atomic.Int64 // bytes of contents
	Seen func(*http.Request)
	Slow time.Duration // before each piece of 64 KiB

	mu       sync.Mutex
	contents map[string]*Content
	faults   []Fault
	asked    int
}

// NewFiles starts a server of files.
func NewFiles(t testing.TB) *Files {
	s := &Files{contents: map[string]*Content{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// Add puts a file under a path, which begins with a slash, and returns its address.
func (s *Files) Add(path string, data []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contents[path] = &Content{data: data, tag: `"` + SHA256(data)[:16] + `"`}
	return s.URL + path
}

// Content returns what is under a path.
func (s *Files) Content(path string) *Content {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.contents[path]
}

// Next has the next answers misbehave, one fault each; nil is none.
func (s *Files) Next(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, faults...)
}

// Well has all answers be right from now on.
func (s *Files) Well() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

// Always has all answers misbehave.
func (s *Files) Always(f Fault) { s.Next(repeat(f, 1000)...) }

func repeat(f Fault, n int) (list []Fault) {
	for range n {
		list = append(list, f)
	}
	return list
}

// Asked is how many requests came.
func (s *Files) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// ServeHTTP implements [http.Handler].
func (s *Files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked++
	c := s.contents[r.URL.Path]
	var fault Fault
	if len(s.faults) > 0 {
		fault, s.faults = s.faults[0], s.faults[1:]
	}
	s.mu.Unlock()
	if s.Seen != nil {
		s.Seen(r)
	}
	if c == nil {
		http.NotFound(w, r)
		return
	}
	counted := &counting{ResponseWriter: w, s: s}
	if fault != nil && fault(counted, r, c) {
		return
	}
	data, tag := c.Bytes()
	if tag != "" {
		w.Header().Set("ETag", tag)
	}
	http.ServeContent(counted, r, "file.bin", time.Time{}, bytes.NewReader(data))
}

// counting counts what is sent, and may slow it down.
type counting struct {
	http.ResponseWriter
	s *Files
}

func (c *counting) Write(p []byte) (n int, err error) {
	for len(p) > 0 && err == nil {
		piece := p[:min(len(p), 64<<10)]
		if c.s.Slow > 0 {
			time.Sleep(c.s.Slow)
		}
		var k int
		k, err = c.ResponseWriter.Write(piece)
		c.s.Sent.Add(int64(k))
		n, p = n+k, p[len(piece):]
		if c.s.Slow > 0 {
			c.ResponseWriter.(http.Flusher).Flush()
		}
	}
	return n, err
}

func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// asked returns the range that a request wants of a content.
func asked(r *http.Request, data []byte) (from, to int, ok bool) {
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err != nil {
		return 0, len(data) - 1, false
	}
	return from, min(to, len(data)-1), true
}

// head begins the right answer to a request.
func head(w http.ResponseWriter, r *http.Request, c *Content) (body []byte) {
	data, tag := c.Bytes()
	from, to, ranged := asked(r, data)
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Length", strconv.Itoa(to-from+1))
	if !ranged {
		return data
	}
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)))
	w.WriteHeader(http.StatusPartialContent)
	return data[from : to+1]
}

// Truncate ends an answer after n bytes of it.
func Truncate(n int) Fault {
	return func(w http.ResponseWriter, r *http.Request, c *Content) bool {
		body := head(w, r, c)
		w.Write(body[:min(n, len(body))])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// Stall sends n bytes and then nothing, until the client goes. A client that has all it wants may ask again over the same connection, and
// then is not seen to go: so it does not last for ever.
func Stall(n int) Fault {
	return func(w http.ResponseWriter, r *http.Request, c *Content) bool {
		body := head(w, r, c)
		w.Write(body[:min(n, len(body))])
		http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(3 * time.Second):
		}
		return true
	}
}

// Status answers with a status, and headers as "Retry-After: 1".
func Status(code int, headers ...string) Fault {
	return func(w http.ResponseWriter, _ *http.Request, _ *Content) bool {
		for _, h := range headers {
			key, value, _ := strings.Cut(h, ": ")
			w.Header().Set(key, value)
		}
		w.WriteHeader(code)
		return true
	}
}

// Shifted sends other bytes than were asked for, and says so.
func Shifted(w http.ResponseWriter, r *http.Request, c *Content) bool {
	data, tag := c.Bytes()
	from, to, ranged := asked(r, data)
	if !ranged || from+1 > to {
		return false
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from+1, to, len(data)))
	w.WriteHeader(http.StatusPartialContent)
	w.Write(data[from+1 : to+1])
	return true
}

// Longer says in the range that the file is longer than it is.
func Longer(w http.ResponseWriter, r *http.Request, c *Content) bool {
	data, tag := c.Bytes()
	from, to, ranged := asked(r, data)
	if !ranged {
		return false
	}
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to, len(data)+5))
	w.WriteHeader(http.StatusPartialContent)
	w.Write(data[from : to+1])
	return true
}

// Nonsense sends a range that is none.
func Nonsense(w http.ResponseWriter, r *http.Request, c *Content) bool {
	data, tag := c.Bytes()
	from, to, _ := asked(r, data)
	w.Header().Set("ETag", tag)
	w.Header().Set("Content-Range", "bytes */many")
	w.WriteHeader(http.StatusPartialContent)
	w.Write(data[from : to+1])
	return true
}

// NoRanges sends all, whatever was asked for.
func NoRanges(w http.ResponseWriter, r *http.Request, c *Content) bool {
	r.Header.Del("Range")
	w.Write(head(w, r, c))
	return true
}

// Coded says that the content is compressed.
func Coded(w http.ResponseWriter, r *http.Request, c *Content) bool {
	w.Header().Set("Content-Encoding", "gzip")
	w.Write(head(w, r, c))
	return true
}

// Redirect leads elsewhere.
func Redirect(to string) Fault {
	return func(w http.ResponseWriter, r *http.Request, _ *Content) bool {
		http.Redirect(w, r, to, http.StatusFound)
		return true
	}
}

// Wrong sends right ranges of other bytes.
func Wrong(w http.ResponseWriter, r *http.Request, c *Content) bool {
	body := bytes.Clone(head(w, r, c))
	body[len(body)/2] ^= 1
	w.Write(body)
	return true
}

// SHA256 is the sum of data.
func SHA256(data []byte) string { s := sha256.Sum256(data); return hex.EncodeToString(s[:]) }

// GitSHA1 is what git calls a file.
func GitSHA1(data []byte) string {
	s := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(s[:])
}

// Model is a model on a [Hub].
type Model struct {
	Files  map[string][]byte
	Card   map[string]any // of the README's head
	Gated  any            // false, "auto" or "manual"
	Commit string
	Refs   []string // besides main
}

// Hub is a hub as Hugging Face's. Files that are not of text lie on another server, CDN, to which it redirects.
type Hub struct {
	*Files
	CDN    *Files
	Token  string                   // without which nothing is answered; "": anybody
	Listed func(info []byte) []byte // changes what the hub says of a model

	models map[string]*Model
}

// NewHub starts a hub.
func NewHub(t testing.TB) *Hub {
	h := &Hub{Files: &Files{contents: map[string]*Content{}}, CDN: NewFiles(t), models: map[string]*Model{}}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	h.URL = server.URL
	return h
}

// large says whether a file lies on the other server.
func large(path string) bool {
	for _, ending := range []string{".safetensors", ".bin", ".onnx", ".h5", ".gz"} {
		if strings.HasSuffix(path, ending) {
			return true
		}
	}
	return false
}

// AddModel puts a model on the hub.
func (h *Hub) AddModel(repo string, m Model) *Model {
	if m.Commit == "" {
		var all []byte
		for path, data := range m.Files {
			all = append(all, []byte(path+SHA256(data))...)
		}
		m.Commit = GitSHA1(fmt.Append(nil, repo, len(all)))
	}
	h.models[repo] = &m
	for path, data := range m.Files {
		if large(path) {
			h.CDN.Add("/"+SHA256(data), data)
		}
		h.Add("/"+repo+"/resolve/"+m.Commit+"/"+path, data)
	}
	return &m
}

// ServeHTTP implements [http.Handler].
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.Token != "" && r.Header.Get("Authorization") != "Bearer "+h.Token {
		w.Header().Set("X-Error-Code", "GatedRepo")
		w.Header().Set("X-Error-Message", "Access to this model is restricted.")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if rest, ok := strings.CutPrefix(r.URL.Path, "/api/models/"); ok {
		h.api(w, r, rest)
		return
	}
	if repo, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/resolve/"); ok {
		m := h.models[repo]
		revision, path, _ := strings.Cut(rest, "/")
		if m == nil || m.Files[path] == nil {
			w.Header().Set("X-Error-Code", "EntryNotFound")
			http.NotFound(w, r)
			return
		}
		if m.means(revision) {
			r.URL.Path = "/" + repo + "/resolve/" + m.Commit + "/" + path
		}
		data := m.Files[path]
		w.Header().Set("X-Repo-Commit", m.Commit)
		if large(path) {
			w.Header().Set("X-Linked-Etag", `"`+SHA256(data)+`"`)
			w.Header().Set("X-Linked-Size", strconv.Itoa(len(data)))
			if h.Seen != nil {
				h.Seen(r)
			}
			http.Redirect(w, r, h.CDN.URL+"/"+SHA256(data), http.StatusFound)
			return
		}
		h.Content(r.URL.Path).Set(data, `"`+GitSHA1(data)+`"`)
	}
	h.Files.ServeHTTP(w, r)
}

func (m *Model) means(revision string) bool {
	for _, ref := range append([]string{"main", m.Commit}, m.Refs...) {
		if ref == revision {
			return true
		}
	}
	return false
}

// api answers REPO, REPO/revision/REV and REPO/tree/REV.
func (h *Hub) api(w http.ResponseWriter, r *http.Request, rest string) {
	repo, revision, tree := rest, "main", false
	for _, word := range []string{"/revision/", "/tree/"} {
		if before, after, ok := strings.Cut(rest, word); ok {
			repo, revision, tree = before, after, word == "/tree/"
		}
	}
	m := h.models[repo]
	if m == nil {
		w.Header().Set("X-Error-Code", "RepoNotFound")
		http.Error(w, "Repository not found", http.StatusNotFound)
		return
	}
	if !m.means(revision) {
		w.Header().Set("X-Error-Code", "RevisionNotFound")
		http.Error(w, "Invalid rev id", http.StatusNotFound)
		return
	}
	var siblings, entries []map[string]any
	for path, data := range m.Files {
		s := map[string]any{"rfilename": path, "size": len(data), "blobId": GitSHA1(data)}
		e := map[string]any{"type": "file", "path": path, "size": len(data), "oid": GitSHA1(data)}
		if large(path) {
			s["lfs"] = map[string]any{"sha256": SHA256(data), "size": len(data), "pointerSize": 130}
			e["lfs"] = map[string]any{"oid": SHA256(data), "size": len(data), "pointerSize": 130}
		}
		siblings, entries = append(siblings, s), append(entries, e)
	}
	var answer any = map[string]any{"id": repo, "modelId": repo, "sha": m.Commit, "private": false, "gated": m.Gated, "cardData": m.Card, "siblings": siblings, "tags": []string{}, "downloads": 0, "likes": 0}
	if tree {
		answer = entries
	}
	raw, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	if h.Listed != nil && !tree {
		raw = h.Listed(raw)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(raw)
}
