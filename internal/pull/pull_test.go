package pull

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
	"github.com/unimo-go/unimo/internal/test/hubs"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

// machine is a machine with empty caches and an environment.
type machine struct {
	env map[string]string
	Options
	seen seen
}

func newMachine(t *testing.T, h *hubs.Hub) *machine {
	dir := t.TempDir()
	m := &machine{env: map[string]string{"HF_HOME": filepath.Join(dir, "hf"), "UNIMO_CACHE": filepath.Join(dir, "own")}}
	if h != nil {
		m.env["HF_ENDPOINT"] = h.URL
	}
	getenv := func(key string) string { return m.env[key] }
	m.Options = Options{Getenv: getenv, Cache: hub.FromEnv(getenv), Observer: &m.seen, Fetcher: fetch.Fetcher{
		Patience: fetch.Patience{Stall: time.Second, Attempts: 3, First: time.Millisecond}, Chunk: 64 << 10}}
	return m
}

func (m *machine) pull(t *testing.T, name string) (*Result, error) {
	t.Helper()
	n, err := hub.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	return Pull(t.Context(), n, m.Options)
}

// seen remembers what an Observer sees.
type seen struct {
	mu      sync.Mutex
	plan    *Plan
	waited  int
	again   []error
	done    int64
	total   int64
	onBytes func(done int64)
}

func (s *seen) Planned(p *Plan) { s.plan = p }
func (s *seen) Waiting(error)   { s.mu.Lock(); s.waited++; s.mu.Unlock() }
func (s *seen) Again(err error, _ time.Duration) {
	s.mu.Lock()
	s.again = append(s.again, err)
	s.mu.Unlock()
}
func (s *seen) Progress(done, total int64) {
	s.mu.Lock()
	s.done, s.total = done, total
	s.mu.Unlock()
	if s.onBytes != nil {
		s.onBytes(done)
	}
}

func noise(n int, seed byte) []byte {
	data := make([]byte, n)
	rng := rand.NewChaCha8([32]byte{seed})
	rng.Read(data)
	return data
}

// sample is a repository as there are many.
func sample() hubs.Model {
	return hubs.Model{Card: map[string]any{"license": "apache-2.0"}, Gated: false, Refs: []string{"v1.0", "refs/pr/3"}, Files: map[string][]byte{
		"README.md": []byte("# A model\n"), "config.json": []byte(`{"model_type": "bert"}`), "vocab.txt": []byte("[PAD]\n[UNK]\n"), "tokenizer_config.json": []byte("{}"),
		"model.safetensors": noise(400<<10, 1), "pytorch_model.bin": noise(500<<10, 2), "tf_model.h5": noise(90<<10, 3), "onnx/model.onnx": noise(80<<10, 4),
		"modules.json": []byte("[]"), "1_Pooling/config.json": []byte("{}"), ".gitattributes": []byte("*.bin lfs\n"), "copy/of/vocab.txt": []byte("[PAD]\n[UNK]\n"),
	}}
}

// holds says whether the folder has exactly the files.
func holds(t *testing.T, dir string, model hubs.Model, names ...string) {
	t.Helper()
	var found []string
	filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, path)
			rel = filepath.ToSlash(rel)
			found = append(found, rel)
			if got, err := os.ReadFile(path); err != nil || hubs.SHA256(got) != hubs.SHA256(model.Files[rel]) {
				t.Errorf("%s is another file, %v", rel, err)
			}
		}
		return err
	})
	slices.Sort(names)
	slices.Sort(found)
	if !slices.Equal(found, names) {
		t.Errorf("found %v, want %v", found, names)
	}
}

var needed = []string{"README.md", "config.json", "vocab.txt", "tokenizer_config.json", "model.safetensors", "modules.json", "1_Pooling/config.json"}

func TestPullFromAHub(t *testing.T) {
	h := hubs.NewHub(t)
	model := h.AddModel("team/model", sample())
	m := newMachine(t, h)
	r, err := m.pull(t, "hf:team/model")
	if err != nil {
		t.Fatal(err)
	}
	holds(t, r.Path, *model, needed...)
	if r.Revision != model.Commit || r.Licence != "apache-2.0" || r.Fetched != r.Bytes || len(r.LeftOut) != 5 {
		t.Errorf("got %+v", r)
	}
	if m.seen.done != r.Bytes || m.seen.total != r.Bytes {
		t.Errorf("progress ends at %d of %d, want %d", m.seen.done, m.seen.total, r.Bytes)
	}
	// The hub's layout.
	dir := filepath.Join(m.env["HF_HOME"], "hub", "models--team--model")
	if ref, err := os.ReadFile(filepath.Join(dir, "refs", "main")); err != nil || string(ref) != model.Commit {
		t.Errorf("refs/main is %q, %v", ref, err)
	}
	if to, err := os.Readlink(filepath.Join(dir, "snapshots", model.Commit, "1_Pooling", "config.json")); err != nil || filepath.ToSlash(to) != "../../../blobs/"+hubs.GitSHA1([]byte("{}")) {
		t.Errorf("the link is %q, %v", to, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "blobs", hubs.SHA256(model.Files["model.safetensors"]))); err != nil {
		t.Error(err)
	}
	// Again nothing is fetched; nor is anything asked when offline.
	before := h.Sent.Load() + h.CDN.Sent.Load()
	if r, err := m.pull(t, "hf:team/model@v1.0"); err != nil || r.Fetched != 0 || h.Sent.Load()+h.CDN.Sent.Load() != before {
		t.Errorf("the second time: %+v, %v", r, err)
	}
	m.env["HF_HUB_OFFLINE"], m.env["HF_ENDPOINT"] = "1", "http://127.0.0.1:1"
	for _, name := range []string{"hf:team/model", "hf:team/model@v1.0", "hf:team/model@" + model.Commit} {
		if again, err := m.pull(t, name); err != nil || again.Path != r.Path || again.Revision != model.Commit {
			t.Errorf("offline, %s: %+v, %v", name, again, err)
		}
	}
	if _, err := m.pull(t, "hf:team/model@v2"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") {
		t.Errorf("offline, what is not there: %v", err)
	}
}

func TestPullAll(t *testing.T) {
	h := hubs.NewHub(t)
	model := h.AddModel("team/model", sample())
	m := newMachine(t, h)
	m.All = true
	r, err := m.pull(t, "hf:team/model@refs/pr/3")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range model.Files {
		names = append(names, name)
	}
	holds(t, r.Path, *model, names...)
}

// What PyTorch alone has is fetched as that.
func TestPullWithoutSafetensors(t *testing.T) {
	h := hubs.NewHub(t)
	s := sample()
	delete(s.Files, "model.safetensors")
	h.AddModel("team/model", s)
	m := newMachine(t, h)
	if r, err := m.pull(t, "hf:team/model"); err != nil {
		t.Fatal(err)
	} else if _, err := os.Stat(filepath.Join(r.Path, "pytorch_model.bin")); err != nil {
		t.Error(err)
	}
}

// Everything that goes wrong is an error that says what, and leaves no model behind.
func TestPullRefuses(t *testing.T) {
	listed := func(from, to string) func(*hubs.Hub, *machine) {
		return func(h *hubs.Hub, _ *machine) {
			h.Listed = func(raw []byte) []byte { return []byte(strings.ReplaceAll(string(raw), from, to)) }
		}
	}
	for name, c := range map[string]struct {
		name    string
		set     func(*hubs.Hub, *machine)
		problem string
	}{
		"no such model":        {name: "hf:team/other", problem: "there is no such model at"},
		"no such revision":     {name: "hf:team/model@gone", problem: `there is no revision "gone"`},
		"leaves the cache":     {set: listed(`"vocab.txt"`, `"../../vocab.txt"`), problem: "would not stay in the cache"},
		"absolute":             {set: listed(`"vocab.txt"`, `"/etc/passwd"`), problem: "would not stay in the cache"},
		"backslashes":          {set: listed(`"vocab.txt"`, `"..\\\\vocab.txt"`), problem: "would not stay in the cache"},
		"a blob that is none":  {set: listed(hubs.GitSHA1([]byte("[PAD]\n[UNK]\n")), "../../x"), problem: "which is none of git's"},
		"no sum":               {set: listed(`"sha256"`, `"md5"`), problem: "which is no SHA-256"},
		"no size":              {set: listed(`"size"`, `"sise"`), problem: "does not say how large"},
		"no commit":            {set: listed(`"sha"`, `"shah"`), problem: "which is no commit"},
		"no JSON":              {set: listed(`{`, `[`), problem: "describes the model so that it cannot be fetched"},
		"another sum":          {set: listed(hubs.SHA256(noise(400<<10, 1)), strings.Repeat("0", 64)), problem: "nothing of it was kept"},
		"another size":         {set: listed(`"size":409600`, `"size":409601`), problem: "409600 bytes of model.safetensors; want 409601"},
		"other bytes":          {set: func(h *hubs.Hub, _ *machine) { h.CDN.Always(hubs.Wrong) }, problem: "nothing of it was kept"},
		"down":                 {set: func(h *hubs.Hub, m *machine) { m.env["HF_ENDPOINT"] = "http://127.0.0.1:1" }, problem: "connection refused"},
		"no endpoint":          {set: func(h *hubs.Hub, m *machine) { m.env["HF_ENDPOINT"] = "huggingface.co" }, problem: "which is no address"},
		"gated":                {set: func(h *hubs.Hub, m *machine) { h.Token = "secret" }, problem: "is gated"},
		"larger than the disk": {set: listed(`"size":409600`, `"size":4096000000000000000`), problem: "make room"},
	} {
		t.Run(name, func(t *testing.T) {
			h := hubs.NewHub(t)
			h.AddModel("team/model", sample())
			m := newMachine(t, h)
			if c.set != nil {
				c.set(h, m)
			}
			if c.name == "" {
				c.name = "hf:team/model"
			}
			_, err := m.pull(t, c.name)
			if err == nil || !strings.Contains(err.Error(), c.problem) {
				t.Errorf("got %v, want %q", err, c.problem)
			}
			n, _ := hub.Parse(c.name)
			if where, err := m.Cache.Locate(n); err == nil {
				t.Errorf("there is a model in %s", where)
			}
			if left, _ := filepath.Glob(filepath.Join(m.env["HF_HOME"], "hub", "models--team--model", "snapshots", "*")); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

// A token is found as Hugging Face's programs find it, and opens what is gated.
func TestPullWithAToken(t *testing.T) {
	h := hubs.NewHub(t)
	h.AddModel("team/model", sample())
	h.Token = "secret"
	for name, set := range map[string]func(*machine){
		"HF_TOKEN": func(m *machine) { m.env["HF_TOKEN"] = "secret\n" },
		"a file": func(m *machine) {
			os.MkdirAll(m.env["HF_HOME"], 0o755)
			os.WriteFile(filepath.Join(m.env["HF_HOME"], "token"), []byte("secret\n"), 0o600)
		},
	} {
		m := newMachine(t, h)
		set(m)
		if _, err := m.pull(t, "hf:team/model"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A licence that forbids something is asked about, once.
func TestLicences(t *testing.T) {
	h := hubs.NewHub(t)
	s := sample()
	s.Card = map[string]any{"license": "cc-by-nc-4.0"}
	h.AddModel("team/model", s)
	m := newMachine(t, h)
	if _, err := m.pull(t, "hf:team/model"); err == nil || !strings.Contains(err.Error(), "it forbids commercial use; read it, and accept it with --accept-licence") {
		t.Fatalf("got %v", err)
	}
	if n := h.CDN.Sent.Load(); n > 0 {
		t.Errorf("%d bytes came before the licence was accepted", n)
	}
	asked, answer := 0, false
	m.Ask = func(l Licence) (bool, error) { asked++; return answer, nil }
	if _, err := m.pull(t, "hf:team/model"); err == nil || asked != 1 {
		t.Errorf("after a no: %v, asked %d times", err, asked)
	}
	answer = true
	for range 2 {
		if _, err := m.pull(t, "hf:team/model"); err != nil || asked != 2 {
			t.Errorf("after a yes: %v, asked %d times", err, asked)
		}
	}
	for id, forbids := range map[string]bool{"": false, "apache-2.0": false, "mit": false, "cc-by-4.0": false, "cc-by-sa-3.0": false, "bsd-3-clause": false, "gpl-3.0": false, "cc0-1.0": false,
		"cc-by-nc-sa-4.0": true, "cc-by-nd-4.0": true, "other": true, "llama3.1": true, "gemma": true, "openrail++": true, "unknown": true,
		"mit, apache-2.0": false, "mit and cc-by-4.0": false, "mit, llama2": true, "apache-2.0, cc-by-nc-4.0": true, "cc-by-nc-4.0, mit": true, "(mit and licenseref-x)": true} {
		if got := judge(Licence{ID: id}).Forbid != ""; got != forbids {
			t.Errorf("%q forbids something: %t", id, got)
		}
	}
}

// Of two who pull the same at once, one waits for the other, and each file is fetched once.
func TestTwoPullsAtOnce(t *testing.T) {
	h := hubs.NewHub(t)
	model := h.AddModel("team/model", sample())
	h.CDN.Slow = 5 * time.Millisecond
	first := newMachine(t, h)
	second := &machine{env: first.env, Options: first.Options}
	second.Observer = &second.seen
	var group sync.WaitGroup
	errs := make([]error, 2)
	for i, m := range []*machine{first, second} {
		group.Go(func() { _, errs[i] = m.pull(t, "hf:team/model") })
	}
	group.Wait()
	if errs[0] != nil || errs[1] != nil {
		t.Fatal(errs)
	}
	if first.seen.waited+second.seen.waited != 1 {
		t.Errorf("%d waited", first.seen.waited+second.seen.waited)
	}
	if n := h.CDN.Sent.Load(); n != int64(len(model.Files["model.safetensors"])) {
		t.Errorf("%d bytes of weights were sent", n)
	}
}

// A pull that is cancelled goes on where it was.
func TestCancelled(t *testing.T) {
	h := hubs.NewHub(t)
	model := h.AddModel("team/model", sample())
	m := newMachine(t, h)
	ctx, cancel := context.WithCancel(t.Context())
	h.CDN.Slow = time.Millisecond
	m.seen.onBytes = func(done int64) {
		if done > 200<<10 {
			cancel()
		}
	}
	n, _ := hub.Parse("hf:team/model")
	if _, err := Pull(ctx, n, m.Options); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := m.Cache.Locate(n); err == nil {
		t.Error("there is a model")
	}
	m.seen.onBytes = nil
	r, err := m.pull(t, "hf:team/model")
	if err != nil {
		t.Fatal(err)
	}
	holds(t, r.Path, *model, needed...)
	if n, most := h.CDN.Sent.Load(), int64(400<<10+4*128<<10); n > most {
		t.Errorf("%d bytes were sent, want at most %d", n, most)
	}
	if r.Fetched >= r.Bytes {
		t.Logf("all was fetched again: %d of %d", r.Fetched, r.Bytes)
	}
}

// What one revision has and another, too, stays when that one is removed.
func TestRemove(t *testing.T) {
	h := hubs.NewHub(t)
	old := h.AddModel("team/model", sample())
	m := newMachine(t, h)
	if _, err := m.pull(t, "hf:team/model"); err != nil {
		t.Fatal(err)
	}
	next := sample()
	next.Files["model.safetensors"], next.Commit = noise(300<<10, 9), strings.Repeat("ab", 20)
	young := h.AddModel("team/model", next)
	if _, err := m.pull(t, "hf:team/model"); err != nil {
		t.Fatal(err)
	}
	list, err := m.Cache.List()
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	for _, one := range list {
		main := one.Revision == young.Commit
		if one.Name.String() != "hf:team/model" || one.Files != len(needed) || slices.Contains(one.Refs, "main") != main || one.Used.IsZero() {
			t.Errorf("got %+v", one)
		}
	}
	n, _ := hub.Parse("hf:team/model@" + old.Commit)
	freed, err := Remove(t.Context(), m.Cache, n, nil)
	if err != nil || freed < 400<<10 || freed > 401<<10 {
		t.Errorf("freed %d, %v", freed, err)
	}
	r, err := m.pull(t, "hf:team/model")
	if err != nil || r.Fetched != 0 {
		t.Fatalf("the other revision: %+v, %v", r, err)
	}
	holds(t, r.Path, *young, needed...)
	n.Revision = ""
	if freed, err = Remove(t.Context(), m.Cache, n, nil); err != nil || freed < 300<<10 {
		t.Errorf("freed %d, %v", freed, err)
	}
	if _, err := os.Stat(m.Cache.Dir(n)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	if _, err := Remove(t.Context(), m.Cache, n, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("again: %v", err)
	}
}

func FuzzRepoInfo(f *testing.F) {
	f.Add([]byte(`{"sha":"` + strings.Repeat("a", 40) + `","siblings":[{"rfilename":"x","size":3,"blobId":"` + strings.Repeat("b", 40) + `"}],"cardData":{"license":["mit"]}}`))
	f.Add([]byte(`{"siblings":[{}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		info, err := readRepoInfo("hub.example", raw)
		if err != nil {
			return
		}
		for _, s := range info.Siblings {
			if *s.Size < 0 || s.LFS == nil && !hexSum(s.Blob, 40) {
				t.Errorf("got %+v", s)
			}
		}
		_ = fmt.Sprint(judge(info.licence()))
	})
}
