package hub

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

var sum = strings.Repeat("0123456789abcdef", 4)

func TestParse(t *testing.T) {
	for s, want := range map[string]Name{
		"hf:google-bert/bert-base-uncased":               {Source: HuggingFace, Repo: "google-bert/bert-base-uncased"},
		"hf://team/model/":                               {Source: HuggingFace, Repo: "team/model"},
		"HF:gpt2":                                        {Source: HuggingFace, Repo: "gpt2"},
		"hf:team/model@refs/pr/3":                        {Source: HuggingFace, Repo: "team/model", Revision: "refs/pr/3"},
		"https://huggingface.co/team/model":              {Source: HuggingFace, Repo: "team/model"},
		"https://huggingface.co/team/model/tree/v1.0":    {Source: HuggingFace, Repo: "team/model", Revision: "v1.0"},
		"https://www.modelscope.cn/models/team/model":    {Source: ModelScope, Repo: "team/model"},
		"ms:team/model@v1":                               {Source: ModelScope, Repo: "team/model", Revision: "v1"},
		"unimo:base_en":                                  {Source: Reference, Repo: "base_en"},
		"oci:ghcr.io/team/model":                         {Source: OCI, Repo: "ghcr.io/team/model"},
		"oci:localhost:5000/a/b/c:v1":                    {Source: OCI, Repo: "localhost:5000/a/b/c", Revision: "v1"},
		"oci:ghcr.io/team/model:v1@sha256:" + sum:        {Source: OCI, Repo: "ghcr.io/team/model", Revision: "v1", Digest: sum},
		"https://Host.example/a/model.safetensors?v=1":   {Source: Web, Repo: "https://host.example/a/model.safetensors?v=1"},
		"http://host.example/model.bin#sha256=" + sum:    {Source: Web, Repo: "http://host.example/model.bin", Digest: sum},
		"https://huggingface.co/t/m/resolve/main/x.json": {Source: Web, Repo: "https://huggingface.co/t/m/resolve/main/x.json"},
	} {
		got, err := Parse(s)
		if err != nil || got != want || !IsName(s) {
			t.Errorf("%s: got %+v, %v", s, got, err)
			continue
		}
		if again, err := Parse(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %s, which is %+v, %v", s, got, again, err)
		}
	}
	for s, problem := range map[string]string{
		"":                                "want hf:ORG/MODEL",
		"RUN/best":                        "want hf:ORG/MODEL",
		"hf:":                             "is no ORG/MODEL",
		"hf:a/b/c":                        "is no ORG/MODEL",
		"hf:../etc":                       "is no ORG/MODEL",
		"hf:a/..":                         "is no ORG/MODEL",
		"hf:a--b/c":                       "is no ORG/MODEL",
		"hf:a/b.git":                      "is no ORG/MODEL",
		"hf:a/b@":                         "is no revision",
		"hf:a/b@../../x":                  "is no revision",
		"hf:a/b@x/../y":                   "is no revision",
		"hf:a/b@/x":                       "is no revision",
		"hf:a/b@x.lock":                   "is no revision",
		"ms:model":                        "is no ORG/MODEL",
		"unimo:base":                      "did you mean base_en?",
		"oci:team/model":                  "is no host of a registry",
		"oci:ghcr.io/Team/model":          "is no repository",
		"oci:ghcr.io/":                    "is no repository",
		"oci:ghcr.io/a/../b":              "is no repository",
		"oci:ghcr.io/a:..":                "is no tag",
		"oci:ghcr.io/a@sha256:12":         "is no digest",
		"oci:ghcr.io/a@md5:" + sum:        "is no digest",
		"https://":                        "names no host",
		"https://host.example/":           "name of a file",
		"https://host.example/a/..":       "name of a file",
		"https://u:p@host.example/x":      "do not belong",
		"https://host.example/x#sha1=1":   "is no digest",
		"https://host.example/%zz":        "invalid URL escape",
		"hf:" + strings.Repeat("a", 3000): "3003 characters",
	} {
		if got, err := Parse(s); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%q: got %+v, %v, want %q", s, got, err, problem)
		}
	}
	for _, path := range []string{"RUN", "./hf:x", "C:\\models", "a/b", "vectors=hf:a/b", "hf"} {
		if IsName(path) {
			t.Errorf("%s is taken for a name", path)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"hf:a/b@c", "ms:a/b", "unimo:dict", "oci:localhost:5000/a:b@sha256:" + sum, "https://h.example/x?y#sha256=" + sum, "https://hf.co/a/b"} {
		f.Add(s)
	}
	c := Cache{Hub: filepath.FromSlash("/cache/hub"), Own: filepath.FromSlash("/cache/own")}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := Parse(s)
		if err != nil {
			return
		}
		if again, err := Parse(n.String()); err != nil || again != n {
			t.Errorf("%q is %+v, written as %q, which is %+v, %v", s, n, n, again, err)
		}
		dir := c.Dir(n)
		if parent := filepath.Dir(dir); parent != c.Hub && parent != c.Own {
			t.Errorf("%q lies in %s", s, dir)
		}
		if ref := filepath.Join(dir, Refs, filepath.FromSlash(n.Ref())); !strings.HasPrefix(ref, filepath.Join(dir, Refs)+string(filepath.Separator)) {
			t.Errorf("%q has the reference %s", s, ref)
		}
	})
}

func FuzzPins(f *testing.F) {
	f.Add([]byte(`{"version":1,"files":{"https://h.example/x":{"sha256":"` + sum + `","bytes":3,"seen":"2026-11-29"}}}`))
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if p, err := readPins("unimo.lock", raw); err == nil && (p.Files == nil || p.Version != pinsVersion) {
			t.Errorf("got %+v", p)
		}
	})
}

func TestFromEnv(t *testing.T) {
	for _, c := range []struct{ env, hub, own string }{
		{"HF_HUB_CACHE=/h UNIMO_CACHE=/u HF_HOME=/x", "/h", "/u"},
		{"HF_HOME=/x XDG_CACHE_HOME=/c", "/x/hub", "/c/unimo"},
		{"XDG_CACHE_HOME=/c", "/c/huggingface/hub", "/c/unimo"},
	} {
		got := FromEnv(func(key string) string {
			for pair := range strings.FieldsSeq(c.env) {
				if name, value, _ := strings.Cut(pair, "="); name == key {
					return value
				}
			}
			return ""
		})
		if filepath.ToSlash(got.Hub) != c.hub || filepath.ToSlash(got.Own) != c.own {
			t.Errorf("%s: got %+v", c.env, got)
		}
	}
}

// put makes a snapshot of one file.
func put(t *testing.T, c Cache, n Name, revision, file, content string) (snapshot string) {
	t.Helper()
	dir := c.Dir(n)
	snapshot = filepath.Join(dir, Snapshots, revision)
	for _, folder := range []string{snapshot, filepath.Join(dir, Blobs), filepath.Join(dir, Refs)} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{filepath.Join(dir, Blobs, sum): content, filepath.Join(dir, Refs, n.Ref()): revision + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../blobs/"+sum, filepath.Join(snapshot, file)); err != nil {
		t.Fatal(err)
	}
	return snapshot
}

func TestLocate(t *testing.T) {
	dir := t.TempDir()
	c := Cache{Hub: filepath.Join(dir, "hub"), Own: filepath.Join(dir, "own")}
	commit := sum[:40]
	n := Name{Source: HuggingFace, Repo: "team/model"}
	if _, err := c.Locate(n); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "hf:team/model is not on this machine; fetch it with 'unimo pull hf:team/model'") {
		t.Errorf("got %v", err)
	}
	snapshot := put(t, c, n, commit, "config.json", "{}")
	for _, name := range []string{"hf:team/model", "hf:team/model@main", "hf:team/model@" + commit} {
		n, _ := Parse(name)
		if got, err := c.Locate(n); err != nil || got != snapshot {
			t.Errorf("%s: got %s, %v", name, got, err)
		}
	}
	web := Name{Source: Web, Repo: "https://host.example/w.safetensors"}
	snapshot2 := put(t, c, web, sum, "w.safetensors", "x")
	if got, err := c.Locate(web); err != nil || got != filepath.Join(snapshot2, "w.safetensors") {
		t.Errorf("one file: %s, %v", got, err)
	}
	// A link that leaves the cache is not followed, and a broken one is said.
	secret := filepath.Join(dir, "secret")
	os.WriteFile(secret, []byte("x"), 0o600)
	if err := os.Mkdir(filepath.Join(snapshot, "1_Pooling"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"vocab.txt", "1_Pooling/config.json", "2_Dense"} {
		link, target := filepath.Join(snapshot, filepath.FromSlash(file)), secret
		if filepath.Ext(file) == "" {
			target = dir
		}
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Locate(n); err == nil || !strings.Contains(err.Error(), "is a link that leaves the cache") {
			t.Errorf("%s: got %v", file, err)
		}
		os.Remove(link)
	}
	os.Remove(filepath.Join(c.Dir(n), Blobs, sum))
	if _, err := c.Locate(n); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "is not whole: config.json is gone") {
		t.Errorf("got %v", err)
	}
	os.WriteFile(filepath.Join(c.Dir(n), Refs, "main"), []byte("../../.."), 0o644)
	if _, err := c.Locate(n); err == nil || !strings.Contains(err.Error(), "names no revision") {
		t.Errorf("got %v", err)
	}
}

// A revision with several names goes with the last of them, or by itself; a file that another revision has stays.
func TestRemove(t *testing.T) {
	for _, test := range []struct {
		names string // that are removed, one after the other
		refs  string // that are left
		lost  bool   // the first revision is gone
	}{
		{"hf:team/model@main", "other v1", false},
		{"hf:team/model@v1", "main other", false},
		{"hf:team/model@v1 hf:team/model@main", "other", true},
		{"hf:team/model@other", "main v1", false},
		{"hf:team/model@" + sum[:40], "other", true},
	} {
		dir := t.TempDir()
		c := Cache{Hub: filepath.Join(dir, "hub"), Own: filepath.Join(dir, "own")}
		n := Name{Source: HuggingFace, Repo: "team/model"}
		first := put(t, c, n, sum[:40], "config.json", "{}")
		for ref, revision := range map[string]string{"v1": sum[:40], "other": sum[24:]} {
			if err := os.WriteFile(filepath.Join(c.Dir(n), Refs, ref), []byte(revision), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		second := filepath.Join(c.Dir(n), Snapshots, sum[24:])
		if err := os.CopyFS(second, os.DirFS(first)); err != nil {
			t.Fatal(err)
		}
		for name := range strings.FieldsSeq(test.names) {
			n, _ := Parse(name)
			if _, err := c.Remove(n); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		entries, err := os.ReadDir(filepath.Join(c.Dir(n), Refs))
		var refs []string
		for _, e := range entries {
			refs = append(refs, e.Name())
		}
		if got := strings.Join(refs, " "); err != nil || got != test.refs {
			t.Errorf("%s: refs %q (%v), want %q", test.names, got, err, test.refs)
		}
		if _, err := os.Stat(first); errors.Is(err, fs.ErrNotExist) != test.lost {
			t.Errorf("%s: the first revision: %v", test.names, err)
		}
		if _, err := os.Stat(filepath.Join(c.Dir(n), Blobs, sum)); errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the file of both is gone", test.names)
		}
	}
}

// What is damaged in the caches is passed over by a list, and a lock file that is none is refused.
func TestDamagedCaches(t *testing.T) {
	dir := t.TempDir()
	c := Cache{Hub: filepath.Join(dir, "hub"), Own: filepath.Join(dir, "own")}
	for _, file := range []string{"hub/models--a--b--c--d/x", "hub/datasets--a--b/x", "hub/version.txt", "own/oci--x/name", "own/https--y/z"} {
		path := filepath.Join(dir, filepath.FromSlash(file))
		os.MkdirAll(filepath.Dir(path), 0o755)
		os.WriteFile(path, []byte("hf:a/b\n"), 0o644)
	}
	if list, err := c.List(); err != nil || len(list) > 0 {
		t.Errorf("got %v, %v", list, err)
	}
	for _, content := range []string{"", "{", `{"version":9}`, `{"version":1,"file":{}}`, `{"version":1,"files":{"x":{"sha256":"12"}}}`, `{"version":1} {}`} {
		os.WriteFile(filepath.Join(c.Own, LockFile), []byte(content), 0o644)
		if _, err := c.Pins(); err == nil || !strings.Contains(err.Error(), LockFile) {
			t.Errorf("%q: got %v", content, err)
		}
	}
}
