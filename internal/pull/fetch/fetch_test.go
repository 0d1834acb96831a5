package fetch

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/test/hubs"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

// content makes n bytes that no compression shortens.
func content(n int, seed uint64) []byte {
	data := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{byte(seed)})
	rng.Read(data)
	return data
}

// quick are the patience and the chunks of tests.
func quick() *Fetcher {
	return &Fetcher{Patience: Patience{Stall: 300 * time.Millisecond, Attempts: 3, First: time.Millisecond, Longest: 2 * time.Second}, Chunk: 64 << 10}
}

// get fetches an address into a new folder, and returns what came.
func get(t *testing.T, f *Fetcher, address string, size int64, sum Sum) (dir string, data []byte, err error) {
	t.Helper()
	dir = t.TempDir()
	data, err = getInto(t, dir, f, address, size, sum)
	return dir, data, err
}

func getInto(t *testing.T, dir string, f *Fetcher, address string, size int64, sum Sum) ([]byte, error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	stall := f.filled().Stall
	got, err := f.Get(t.Context(), root, "x", File{What: "model.bin", URL: address, Client: NewClient(NewTransport(stall)), Size: size, Sum: sum})
	if err != nil {
		return nil, err
	}
	if err := Finish(root, "x", "done"); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "done"))
	if err != nil {
		t.Fatal(err)
	}
	if got.SHA256 != hubs.SHA256(data) || got.Size != int64(len(data)) {
		t.Errorf("it says %+v of %d bytes with the sum %s", got, len(data), hubs.SHA256(data))
	}
	return data, nil
}

func files(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

// Whatever servers do, what comes is right or an error, and of a wrong one nothing is left.
func TestServersThatMisbehave(t *testing.T) {
	const size = 1 << 20
	data := content(size, 1)
	right := Sum{Algorithm: SHA256, Hex: hubs.SHA256(data), From: "the test"}
	cutWhole := func(w http.ResponseWriter, r *http.Request, c *hubs.Content) bool {
		r.Header.Del("Range")
		return hubs.Truncate(40<<10)(w, r, c)
	}
	for name, c := range map[string]struct {
		faults  []hubs.Fault
		always  hubs.Fault
		unsaid  bool // neither size nor sum are known
		problem string
		kept    bool // a part of use
	}{
		"well":                            {},
		"well, nothing known":             {unsaid: true},
		"truncates":                       {faults: []hubs.Fault{hubs.Truncate(1000), nil, hubs.Truncate(0), hubs.Truncate(5000)}},
		"truncates, nothing known":        {unsaid: true, faults: []hubs.Fault{hubs.Truncate(1000), nil, hubs.Truncate(5000)}},
		"truncates for ever at once":      {always: hubs.Truncate(0), problem: "3 attempts"},
		"truncates for ever after a byte": {always: hubs.Truncate(40 << 10)},
		"stalls":                          {faults: []hubs.Fault{nil, hubs.Stall(100)}},
		"stalls for ever":                 {always: hubs.Stall(0), problem: "nothing came for too long"},
		"no ranges":                       {always: hubs.NoRanges},
		"no ranges, nothing known":        {always: hubs.NoRanges, unsaid: true},
		"no ranges, and truncates":        {always: cutWhole, problem: "unexpected EOF"},
		"forgets ranges in the middle":    {faults: []hubs.Fault{nil, nil, nil, nil, nil, nil, hubs.NoRanges}},
		"shifts the range":                {faults: []hubs.Fault{nil, nil, hubs.Shifted}, problem: "where"},
		"shifts the first range":          {faults: []hubs.Fault{hubs.Shifted}, problem: "the server 127.0.0.1:"},
		"another size in the middle":      {faults: []hubs.Fault{nil, nil, hubs.Longer}, problem: "were asked for"},
		"another size":                    {always: hubs.Longer, problem: "want 1048576"},
		"nonsense for a range":            {always: hubs.Nonsense, problem: "want bytes A-B/SIZE"},
		"compresses":                      {always: hubs.Coded, problem: "which was not asked for"},
		"other bytes":                     {always: hubs.Wrong, problem: "nothing of it was kept"},
		"429 with a time":                 {faults: []hubs.Fault{hubs.Status(429, "Retry-After: 1"), nil, hubs.Status(429)}},
		"429 for hours":                   {faults: []hubs.Fault{hubs.Status(429, "Retry-After: 7200")}, problem: "asked again in 2h0m0s"},
		"5xx":                             {faults: []hubs.Fault{hubs.Status(503), hubs.Status(500), nil, hubs.Status(502), nil, hubs.Status(504)}},
		"5xx for ever":                    {always: hubs.Status(503), problem: "503 Service Unavailable"},
		"404":                             {always: hubs.Status(404), problem: "404 Not Found"},
		"forbids in the middle":           {faults: []hubs.Fault{nil, nil, nil, hubs.Status(403)}, problem: "403", kept: true},
		"redirects for ever":              {always: hubs.Redirect("/file"), problem: "more than 10 times"},
		"redirects to a file":             {always: hubs.Redirect("file:///etc/passwd"), problem: "no address of the web"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hubs.NewFiles(t)
			address := s.Add("/file", data)
			s.Next(c.faults...)
			if c.always != nil {
				s.Always(c.always)
			}
			n, sum := int64(size), right
			if c.unsaid {
				n, sum = -1, Sum{}
			}
			var progress atomic.Int64
			f := quick()
			f.Progress = func(n int64) { progress.Add(n) }
			dir, got, err := get(t, f, address, n, sum)
			if c.problem == "" {
				if err != nil || !bytes.Equal(got, data) || progress.Load() != size {
					t.Fatalf("%v, %d bytes, progress %d", err, len(got), progress.Load())
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
			if left := files(t, dir); c.kept != (len(left) > 0) {
				t.Errorf("left %v, kept: %v", left, c.kept)
			}
		})
	}
}

// Of a file with a wrong sum both sums are shown.
func TestWrongSumIsShown(t *testing.T) {
	s := hubs.NewFiles(t)
	data := content(5000, 2)
	address := s.Add("/file", data)
	for _, sum := range []Sum{{SHA256, strings.Repeat("ab", 32), "the test"}, {Git, strings.Repeat("cd", 20), "the test"}} {
		_, _, err := get(t, quick(), address, -1, sum)
		real := hubs.SHA256(data)
		if sum.Algorithm == Git {
			real = hubs.GitSHA1(data)
		}
		var wrong *SumError
		if !errors.As(err, &wrong) || !strings.Contains(err.Error(), sum.Hex) || !strings.Contains(err.Error(), real) {
			t.Errorf("got %v", err)
		}
	}
	for _, n := range []int64{5000, -1} {
		if _, got, err := get(t, quick(), address, n, Sum{Git, hubs.GitSHA1(data), "the test"}); err != nil || !bytes.Equal(got, data) {
			t.Errorf("git's sum: %v", err)
		}
	}
	if _, _, err := get(t, quick(), address, 4999, Sum{}); err == nil || !strings.Contains(err.Error(), "5000 bytes of model.bin; want 4999") {
		t.Errorf("another size: %v", err)
	}
}

// A file that changes while it is fetched is fetched anew, and one that always does is given up.
func TestFileChangesMidway(t *testing.T) {
	s := hubs.NewFiles(t)
	old, young := content(1<<20, 3), content(1<<20, 4)
	address := s.Add("/file", old)
	change := func(data []byte, tag string) hubs.Fault {
		return func(_ http.ResponseWriter, _ *http.Request, c *hubs.Content) bool {
			c.Set(data, tag)
			return false
		}
	}
	s.Next(nil, nil, nil, change(young, `"young"`))
	_, got, err := get(t, quick(), address, -1, Sum{})
	if err != nil || !bytes.Equal(got, young) {
		t.Fatalf("%v, %d bytes", err, len(got))
	}
	n := byte('a')
	s.Always(func(_ http.ResponseWriter, _ *http.Request, c *hubs.Content) bool {
		data, _ := c.Bytes()
		n++
		c.Set(data, `"`+string(n)+`"`)
		return false
	})
	dir, _, err := get(t, quick(), address, -1, Sum{})
	if err == nil || !strings.Contains(err.Error(), "changes model.bin while it is fetched") || len(files(t, dir)) > 0 {
		t.Errorf("%v, left %v", err, files(t, dir))
	}
}

// What an earlier process left is gone on from, and only what is missing is asked for.
func TestResume(t *testing.T) {
	const size = 1 << 20
	data := content(size, 5)
	for name, c := range map[string]struct {
		sum     Sum
		between func(dir string, s *hubs.Files)
		most    int64 // bytes of the second time
	}{
		"with a sum":     {sum: Sum{SHA256, hubs.SHA256(data), "the test"}, most: size/2 + 64<<10},
		"without a sum":  {most: size/2 + 64<<10},
		"damaged":        {sum: Sum{SHA256, hubs.SHA256(data), "the test"}, most: 2 * size, between: func(dir string, _ *hubs.Files) { damage(t, filepath.Join(dir, "x"+PartSuffix)) }},
		"state damaged":  {sum: Sum{SHA256, hubs.SHA256(data), "the test"}, most: size, between: func(dir string, _ *hubs.Files) { damage(t, filepath.Join(dir, "x"+PartSuffix+stateSuffix)) }},
		"file gone":      {sum: Sum{SHA256, hubs.SHA256(data), "the test"}, most: 2 * size, between: func(dir string, _ *hubs.Files) { os.Remove(filepath.Join(dir, "x"+PartSuffix)) }},
		"another file":   {most: 2 * size, between: func(_ string, s *hubs.Files) { s.Content("/file").Set(data, `"other"`) }},
		"no ranges then": {most: 2 * size, between: func(_ string, s *hubs.Files) { s.Always(hubs.NoRanges) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := hubs.NewFiles(t)
			address := s.Add("/file", data)
			dir := t.TempDir()
			f := quick()
			f.Connections = 1
			s.Next(slices.Repeat([]hubs.Fault{nil}, size/2/int(chunkOf(f, c.sum)))...)
			s.Next(hubs.Status(403))
			if _, err := getInto(t, dir, f, address, -1, c.sum); err == nil {
				t.Fatal("the first is no failure")
			}
			before := s.Sent.Load()
			if c.between != nil {
				c.between(dir, s)
			}
			got, err := getInto(t, dir, f, address, -1, c.sum)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%v, %d bytes", err, len(got))
			}
			if n := s.Sent.Load() - before; n > c.most {
				t.Errorf("%d bytes were sent the second time, want at most %d", n, c.most)
			}
			if left := files(t, dir); !slices.Equal(left, []string{"done"}) {
				t.Errorf("left %v", left)
			}
		})
	}
}

func chunkOf(f *Fetcher, sum Sum) int64 {
	return (&job{f: f, file: File{Sum: sum}}).chunk()
}

func damage(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err == nil {
		for i := range min(len(raw), 100) {
			raw[i] ^= 0x55
		}
		err = os.WriteFile(path, raw, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A token goes to its own host alone, and not over a network in the clear.
func TestTokens(t *testing.T) {
	data := content(300<<10, 6)
	var leaked atomic.Int64
	other := hubs.NewFiles(t)
	other.Seen = func(r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			leaked.Add(1)
		}
	}
	elsewhere := other.Add("/blob", data)
	own := hubs.NewFiles(t)
	var wanted atomic.Int64
	own.Seen = func(r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer secret" {
			wanted.Add(1)
		}
	}
	address := own.Add("/file", data)
	own.Always(hubs.Redirect(elsewhere))
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f := quick()
	_, err = f.Get(t.Context(), root, "x", File{What: "f", URL: address, Client: NewClient(NewTransport(time.Second)), Size: -1, Header: func(r *http.Request) { Authorize(r, "secret") }})
	if err != nil || wanted.Load() != 1 || leaked.Load() != 0 {
		t.Errorf("%v; the token came %d times to its own host (want 1), %d times to another", err, wanted.Load(), leaked.Load())
	}
	for address, want := range map[string]bool{"https://hub.example/x": true, "http://127.0.0.1:1/x": true, "http://[::1]/x": true, "http://localhost/x": true, "http://hub.example/x": false, "http://10.0.0.1/x": false} {
		r, _ := http.NewRequest("GET", address, nil)
		if Authorize(r, "secret"); (r.Header.Get("Authorization") != "") != want {
			t.Errorf("%s: the token is given: %t", address, !want)
		}
	}
	client := NewClient(nil)
	from, _ := http.NewRequest("GET", "https://hub.example/x", nil)
	to, _ := http.NewRequest("GET", "http://hub.example/x", nil)
	if err := client.CheckRedirect(to, []*http.Request{from}); err == nil {
		t.Error("it leaves encryption")
	}
}

// The address that a redirect led to is used again as long as it is good.
func TestRedirectsThatExpire(t *testing.T) {
	data := content(1<<20, 7)
	other, own := hubs.NewFiles(t), hubs.NewFiles(t)
	elsewhere, address := other.Add("/blob", data), own.Add("/file", data)
	own.Always(hubs.Redirect(elsewhere))
	other.Next(nil, nil, nil, hubs.Status(403))
	f := quick()
	f.Connections = 1
	if _, got, err := get(t, f, address, -1, Sum{}); err != nil || !bytes.Equal(got, data) {
		t.Fatal(err)
	}
	if n := own.Asked(); n != 2 {
		t.Errorf("the first host was asked %d times, want 2", n)
	}
}

// A full disk is said before the first byte.
func TestNoRoom(t *testing.T) {
	if err := Room(t.TempDir(), "the model", 1<<60); err == nil || !strings.Contains(err.Error(), "make room") {
		t.Errorf("got %v", err)
	}
}

func FuzzState(f *testing.F) {
	good, err := newState("https://hub.example/x", "", 1000, 300).bytes()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:stateHead])
	f.Add([]byte(`{"version":1,"size":9223372036854775807,"chunk":1}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := readState(bytes.NewReader(raw))
		if err != nil {
			return
		}
		if s.have() > s.Size {
			t.Errorf("%d of %d bytes have come", s.have(), s.Size)
		}
		if again, err := s.bytes(); err != nil {
			t.Error(err)
		} else if _, err := readState(bytes.NewReader(again)); err != nil {
			t.Errorf("what was read cannot be read again: %v", err)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	f.Add("bytes 0-9/10")
	f.Add("bytes */10")
	f.Fuzz(func(t *testing.T, header string) {
		if from, to, size, ok := parseRange(header); ok && (from < 0 || from > to || to >= size) {
			t.Errorf("%q is read as %d-%d/%d", header, from, to, size)
		}
	})
}

// A host that is not known is an error that says what to look at.
func TestUnknownHost(t *testing.T) {
	err := plain("a file", &url.Error{Op: "Get", URL: "https://nowhere.invalid/file", Err: &net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true}})
	for _, want := range []string{"a file from nowhere.invalid", "check the connection", "HF_ENDPOINT"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q lacks %q", err, want)
		}
	}
}
