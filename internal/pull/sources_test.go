package pull

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/file"
	"oras.land/oras-go/v2/registry/remote"

	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/test/hubs"
)

func TestAddresses(t *testing.T) {
	s := hubs.NewFiles(t)
	data := noise(300<<10, 1)
	address := s.Add("/a/model.safetensors", data)
	m := newMachine(t, nil)
	r, err := m.pull(t, address)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(r.Path); err != nil || !bytes.Equal(got, data) || filepath.Base(r.Path) != "model.safetensors" || !r.Pinned || r.Revision != hubs.SHA256(data) {
		t.Errorf("got %+v, %v", r, err)
	}
	before := s.Sent.Load()
	if r, err := m.pull(t, address); err != nil || r.Pinned || s.Sent.Load() != before {
		t.Errorf("again: %+v, %v", r, err)
	}
	if r, err := m.pull(t, address+"#sha256="+hubs.SHA256(data)); err != nil || s.Sent.Load() != before {
		t.Errorf("with its sum: %+v, %v", r, err)
	}
	// What was seen first is wanted ever after.
	n, _ := hub.Parse(address)
	if _, err := Remove(t.Context(), m.Cache, n, nil); err != nil {
		t.Fatal(err)
	}
	young := noise(300<<10, 2)
	s.Content("/a/model.safetensors").Set(young, `"young"`)
	if _, err := m.pull(t, address); err == nil || !strings.Contains(err.Error(), hubs.SHA256(data)) || !strings.Contains(err.Error(), hubs.SHA256(young)) || !strings.Contains(err.Error(), hub.LockFile) {
		t.Errorf("another file: %v", err)
	}
	if _, err := m.Cache.Locate(n); err == nil {
		t.Error("a wrong file was kept")
	}
	if _, err := m.pull(t, address+"#sha256="+hubs.SHA256(data)); err == nil || !strings.Contains(err.Error(), "(the name)") {
		t.Errorf("another sum than the name's: %v", err)
	}
	if _, err := m.pull(t, "http://models.example/model.bin"); err == nil || !strings.Contains(err.Error(), "without encryption") {
		t.Errorf("without encryption: %v", err)
	}
	if _, err := m.pull(t, s.URL+"/none.bin"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("nothing there: %v", err)
	}
}

// sent leads every request to one server.
type sent struct{ to *url.URL }

func (s sent) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = "http", s.to.Host
	return http.DefaultTransport.RoundTrip(r)
}

// The reference's archives come from their addresses. Of those with a known sum no other file is taken.
func TestArchives(t *testing.T) {
	s := hubs.NewFiles(t)
	to, _ := url.Parse(s.URL)
	m := newMachine(t, nil)
	m.Transport = sent{to}
	archive := noise(500<<10, 3)
	s.Add("/model/unimo_base_en.tar.gz", archive)
	r, err := m.pull(t, "unimo:base_en")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(r.Path); err != nil || !bytes.Equal(got, archive) || filepath.Base(r.Path) != "unimo_base_en.tar.gz" || !r.Pinned || r.Licence != "apache-2.0" {
		t.Errorf("got %+v, %v", r, err)
	}
	for _, f := range hub.Archives["dict"].Files {
		u, _ := url.Parse(f.URL)
		s.Add(u.Path, make([]byte, f.Size))
	}
	if _, err := m.pull(t, "unimo:dict"); err == nil || !strings.Contains(err.Error(), "this program's table") {
		t.Errorf("other vocabularies: %v", err)
	}
}

// modelScopeServer answers as ModelScope does.
func modelScopeServer(t *testing.T, model hubs.Model) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := map[string]any{"Code": 200, "Success": true}
		switch {
		case !strings.HasPrefix(r.URL.Path, "/api/v1/models/team/model"):
			http.Error(w, `{"Code": 10010205001, "Message": "not found"}`, http.StatusNotFound)
			return
		case strings.HasSuffix(r.URL.Path, "/repo"):
			http.ServeContent(w, r, "x.bin", time.Unix(1e9, 0), bytes.NewReader(model.Files[r.FormValue("FilePath")]))
			return
		case strings.HasSuffix(r.URL.Path, "/repo/files"):
			list := []map[string]any{{"Path": "1_Pooling", "Type": "tree", "Size": 0}}
			for path, data := range model.Files {
				list = append(list, map[string]any{"Path": path, "Name": filepath.Base(path), "Type": "blob", "Size": len(data), "Sha256": hubs.SHA256(data)})
			}
			answer["Data"] = map[string]any{"Files": list}
		default:
			answer["Data"] = map[string]any{"License": "Apache-2.0"}
		}
		json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func TestModelScope(t *testing.T) {
	model := sample()
	m := newMachine(t, nil)
	m.env["MODELSCOPE_ENDPOINT"] = modelScopeServer(t, model).URL
	r, err := m.pull(t, "ms:team/model")
	if err != nil {
		t.Fatal(err)
	}
	holds(t, r.Path, model, needed...)
	if r.Licence != "apache-2.0" || len(r.Revision) != 64 {
		t.Errorf("got %+v", r)
	}
	if again, err := m.pull(t, "ms:team/model"); err != nil || again.Fetched != 0 || again.Path != r.Path {
		t.Errorf("again: %+v, %v", again, err)
	}
	list, err := m.Cache.List()
	if err != nil || len(list) != 1 || list[0].Name.String() != "ms:team/model" || !slices.Equal(list[0].Refs, []string{"master"}) {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if _, err := m.pull(t, "ms:team/none"); err == nil || !strings.Contains(err.Error(), "no such model") {
		t.Errorf("got %v", err)
	}
}

func FuzzModelScope(f *testing.F) {
	f.Add([]byte(`{"Data":{"Files":[{"Path":"x","Type":"blob","Size":1,"Sha256":"` + strings.Repeat("a", 64) + `"}]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		list, err := readModelScope("hub.example", raw)
		if err == nil && len(list) == 0 {
			t.Error("no files and no error")
		}
	})
}

// containers starts a registry of containers, and returns its host.
func containers(t *testing.T) string {
	t.Setenv("DOCKER_CONFIG", t.TempDir()) // no credentials
	s := httptest.NewServer(ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://")
}

const films = "../../testdata/films.model"

// modelOf reads a folder.
func modelOf(t *testing.T, dir string) (m hubs.Model, names []string) {
	t.Helper()
	m.Files = map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(rel))
		m.Files[filepath.ToSlash(rel)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m, names
}

// A model that is pushed comes back the same, by its tag and by its digest, also from the cache of another; ORAS reads it.
func TestPushAndPull(t *testing.T) {
	host := containers(t)
	m := newMachine(t, nil)
	n, err := hub.Parse("oci:" + host + "/team/films:v1")
	if err != nil {
		t.Fatal(err)
	}
	pushed, err := Push(t.Context(), films, n, m.Options)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Push(t.Context(), films, n, m.Options); err != nil || again.Digest != pushed.Digest {
		t.Errorf("again it is %+v, %v, first %+v", again, err, pushed)
	}
	model, names := modelOf(t, films)
	r, err := m.pull(t, n.String())
	if err != nil {
		t.Fatal(err)
	}
	holds(t, r.Path, model, names...)
	if "sha256:"+r.Revision != pushed.Digest || pushed.Files != len(names) {
		t.Errorf("pulled %+v, pushed %+v", r, pushed)
	}
	if again, err := m.pull(t, pushed.Name); err != nil || again.Path != r.Path || again.Fetched != 0 {
		t.Errorf("by its digest: %+v, %v", again, err)
	}
	other, _ := hub.Parse("oci:" + host + "/team/films:v2")
	if again, err := Push(t.Context(), r.Path, other, m.Options); err != nil || again.Digest != pushed.Digest {
		t.Errorf("from the cache: %+v, %v", again, err)
	}
	repo, err := remote.NewRepository(host + "/team/films")
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	dir := t.TempDir()
	store, err := file.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if _, err := oras.Copy(t.Context(), repo, "v1", store, "v1", oras.DefaultCopyOptions); err != nil {
		t.Fatalf("ORAS: %v", err)
	}
	holds(t, dir, model, names...)
}

// orasPush has ORAS put files into the registry.
func orasPush(t *testing.T, repository, tag, artifact string, files map[string]v1.Descriptor, contents map[string][]byte) string {
	t.Helper()
	repo, err := remote.NewRepository(repository)
	if err != nil {
		t.Fatal(err)
	}
	repo.PlainHTTP = true
	var layers []v1.Descriptor
	for name, data := range contents {
		d := content.NewDescriptorFromBytes(files[name].MediaType, data)
		d.Annotations = files[name].Annotations
		if err := repo.Push(t.Context(), d, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		layers = append(layers, d)
	}
	packed, err := oras.PackManifest(t.Context(), repo, oras.PackManifestVersion1_1, artifact, oras.PackManifestOptions{Layers: layers})
	if err == nil {
		err = repo.Tag(t.Context(), packed, tag)
	}
	if err != nil {
		t.Fatal(err)
	}
	return packed.Digest.Encoded()
}

// tarOf packs files; a name that ends with @ is a link.
func tarOf(t *testing.T, names []string, contents map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		h := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(contents[name]))}
		if link, ok := strings.CutSuffix(name, "@"); ok {
			h = &tar.Header{Name: link, Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		w.Write(contents[name])
	}
	w.Close()
	return b.Bytes()
}

// What ORAS wrote, as it is or packed, is read; what would leave the cache is refused.
func TestArtifactsOfORAS(t *testing.T) {
	host := containers(t)
	model, names := modelOf(t, films)
	titled := map[string]v1.Descriptor{}
	for _, name := range names {
		titled[name] = v1.Descriptor{MediaType: "application/octet-stream", Annotations: map[string]string{v1.AnnotationTitle: name}}
	}
	orasPush(t, host+"/team/loose", "v1", "application/vnd.example.model", titled, model.Files)
	packed := tarOf(t, names, model.Files)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Write(packed)
	z.Close()
	one := func(repository, kind string, data []byte) string {
		return orasPush(t, host+"/"+repository, "v1", modelManifest, map[string]v1.Descriptor{"x": {MediaType: kind}}, map[string][]byte{"x": data})
	}
	one("team/tar", "application/vnd.cncf.model.weight.v1.tar", packed)
	one("team/gzip", "application/vnd.oci.image.layer.v1.tar+gzip", zipped.Bytes())
	for _, repository := range []string{"loose", "tar", "gzip"} {
		m := newMachine(t, nil)
		r, err := m.pull(t, "oci:"+host+"/team/"+repository+":v1")
		if err != nil {
			t.Errorf("%s: %v", repository, err)
			continue
		}
		holds(t, r.Path, model, names...)
		if again, err := m.pull(t, "oci:"+host+"/team/"+repository+":v1"); err != nil || again.Fetched != 0 || again.Path != r.Path {
			t.Errorf("%s again: %+v, %v", repository, again, err)
		}
	}
	text := map[string][]byte{"../x": []byte("x"), "/x": []byte("x"), "a": []byte("x")}
	one("bad/up", "application/vnd.cncf.model.weight.v1.tar", tarOf(t, []string{"../x"}, text))
	one("bad/link", "application/vnd.cncf.model.weight.v1.tar", tarOf(t, []string{"a@"}, nil))
	one("bad/cut", "application/vnd.cncf.model.weight.v1.tar", tarOf(t, []string{"a"}, text)[:512])
	one("bad/zstd", "application/vnd.cncf.model.weight.v1.tar+zstd", []byte("x"))
	one("bad/nameless", "application/octet-stream", []byte("x"))
	bomb := &bytes.Buffer{}
	z = gzip.NewWriter(bomb)
	z.Write(tarOf(t, []string{"a"}, map[string][]byte{"a": make([]byte, 64<<20)}))
	z.Close()
	one("bad/bomb", "application/vnd.cncf.model.weight.v1.tar+gzip", bomb.Bytes())
	orasPush(t, host+"/bad/title", "v1", "application/vnd.example.model", map[string]v1.Descriptor{"x": {MediaType: "x/y", Annotations: map[string]string{v1.AnnotationTitle: "../../x"}}}, map[string][]byte{"x": []byte("x")})
	for name, problem := range map[string]string{
		"bad/up:v1": "would not stay in the cache", "bad/link:v1": "is no file but of the type", "bad/cut:v1": "EOF", "bad/zstd:v1": "compressed with zstd", "bad/nameless:v1": "no layer of it is a file with a name",
		"bad/bomb:v1": "may hold", "bad/title:v1": "would not stay in the cache", "bad/none:v1": "no such model", "team/loose:none": "no such model", "team/loose@sha256:" + strings.Repeat("0", 64): "no such model",
	} {
		m := newMachine(t, nil)
		if _, err := m.pull(t, "oci:"+host+"/"+name); err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: got %v, want %q", name, err, problem)
		}
		if left, _ := filepath.Glob(filepath.Join(m.env["UNIMO_CACHE"], "*", "snapshots", "*")); len(left) > 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}

func TestPushRefuses(t *testing.T) {
	host := containers(t)
	empty, linked := t.TempDir(), t.TempDir()
	os.WriteFile(filepath.Join(linked, "model.safetensors"), []byte("x"), 0o644)
	secret := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(secret, []byte("x"), 0o600)
	if err := os.Symlink(secret, filepath.Join(linked, "vocab.txt")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ dir, name, problem string }{
		{films, "hf:team/model", "to registries of containers alone"},
		{films, "oci:" + host + "/a@sha256:" + strings.Repeat("0", 64), "leave it out"},
		{empty, "oci:" + host + "/a:v1", "has no weights"},
		{linked, "oci:" + host + "/a:v1", "is a link that leaves the folder"},
		{secret, "oci:" + host + "/a:v1", "is no folder"},
		{films, "oci:127.0.0.1:1/a:v1", "to oci:127.0.0.1:1/a:v1: "},
		{films, "oci:127.0.0.1:1/a:v1", "; check that a registry is there, and the login"},
	} {
		n, err := hub.Parse(c.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Push(t.Context(), c.dir, n, newMachine(t, nil).Options); err == nil || !strings.Contains(err.Error(), c.problem) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.problem)
		}
	}
}

// Credentials do not cross a network in the clear.
func TestVeiled(t *testing.T) {
	for address, want := range map[string]bool{"https://r.example/v2/": true, "http://10.0.0.1/v2/": false, "http://127.0.0.1/v2/": true} {
		r, _ := http.NewRequest("GET", address, nil)
		r.Header.Set("Authorization", "Basic x")
		_, err := veiled{roundTrip(func(*http.Request) (*http.Response, error) { return nil, nil })}.RoundTrip(r)
		if (err == nil) != want {
			t.Errorf("%s: %v", address, err)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func FuzzManifest(f *testing.F) {
	f.Add(fmt.Appendf(nil, `{"config":{"digest":"sha256:%[1]s"},"layers":[{"mediaType":"x","digest":"sha256:%[1]s","size":3,"annotations":{"%s":"a"}}]}`, strings.Repeat("a", 64), pathAnnotation))
	f.Add([]byte(`{"manifests":[{}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := readManifest("registry.example", raw)
		if err == nil && (len(m.Layers) == 0 || !hexSum(m.Layers[0].hex(), 64)) {
			t.Errorf("got %+v", m)
		}
	})
}
