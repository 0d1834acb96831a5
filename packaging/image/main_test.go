package main

import (
	"archive/tar"
	"bufio"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// most is what an image may weigh in bytes, as a registry keeps it.
const most = 50_000_000

// An image comes out of a registry as it went in, and is what people expect of one.
func TestImage(t *testing.T) {
	const dist = "../../dist"
	if _, err := os.Stat(filepath.Join(dist, "artifacts.json")); err != nil {
		t.Skip("not run: no release in dist; run make snapshot")
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://") + "/unimo:test"
	out := filepath.Join(t.TempDir(), "image")
	if err := run(dist, out, address); err != nil {
		t.Fatal(err)
	}
	ref, err := name.ParseReference(address)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	written, err := layout.ImageIndexFromPath(out)
	if err != nil {
		t.Fatal(err)
	}
	top, err := written.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if digest, err := index.Digest(); err != nil || len(top.Manifests) != 1 || top.Manifests[0].Digest != digest {
		t.Errorf("%v: the registry has %s, and the folder %+v", err, digest, top.Manifests)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.MediaType != types.OCIImageIndex || manifest.Annotations["org.opencontainers.image.version"] == "" {
		t.Errorf("%+v", manifest)
	}
	var found []string
	for _, m := range manifest.Manifests {
		found = append(found, m.Platform.String())
		image, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(m.Platform.Architecture, func(t *testing.T) { testImage(t, image, m.Platform.Architecture) })
	}
	if !slices.Equal(found, []string{"linux/amd64", "linux/arm64"}) {
		t.Errorf("images for %v", found)
	}
}

func testImage(t *testing.T, image v1.Image, arch string) {
	c, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c.OS != "linux" || c.Architecture != arch || c.Config.User != "65532:65532" || !slices.Equal(c.Config.Entrypoint, []string{"/unimo"}) || c.Config.Cmd[0] != "serve" {
		t.Errorf("%+v", c)
	}
	if h := c.Config.Healthcheck; h == nil || !slices.Equal(h.Test, []string{"CMD", "/unimo", "health"}) {
		t.Errorf("health check %+v", h)
	}
	for _, label := range []string{"title", "description", "version", "revision", "created", "licenses", "source", "url", "documentation"} {
		if c.Config.Labels["org.opencontainers.image."+label] == "" {
			t.Errorf("no label %s", label)
		}
	}
	manifest, err := image.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if manifest.MediaType != types.OCIManifestSchema1 || len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != types.OCILayer {
		t.Errorf("%+v", manifest)
	}
	layers, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	onDisk := unpack(t, content, root)
	t.Logf("linux/%s: %.1f MB in a registry, %.1f MB on a disk", arch, float64(manifest.Layers[0].Size)/1e6, float64(onDisk)/1e6)
	if manifest.Layers[0].Size > most {
		t.Errorf("more than %d bytes in a registry", most)
	}
	raw, err := os.ReadFile(filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
	if pool := x509.NewCertPool(); err != nil || !pool.AppendCertsFromPEM(raw) || strings.Count(string(raw), "BEGIN CERTIFICATE") < 50 {
		t.Errorf("%v: %d certificates", err, strings.Count(string(raw), "BEGIN CERTIFICATE"))
	}
	if arch == runtime.GOARCH {
		runImage(t, c.Config, root)
	}
}

// unpack returns how many bytes the files have.
func unpack(t *testing.T, layer io.Reader, root string) (size int64) {
	var names []string
	for r := tar.NewReader(layer); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Uid != 0 || h.Gid != 0 || h.Mode&0o022 != 0 && h.Name != "tmp/" || h.Mode&0o6000 != 0 {
			t.Errorf("%s belongs to %d:%d, mode %o", h.Name, h.Uid, h.Gid, h.Mode)
		}
		names, size = append(names, h.Name), size+h.Size
		path := filepath.Join(root, filepath.FromSlash(h.Name))
		if h.Typeflag == tar.TypeDir {
			err = os.MkdirAll(path, 0o755)
		} else {
			var raw []byte
			if raw, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, raw, h.FileInfo().Mode())
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"data/", "etc/", "etc/ssl/", "etc/ssl/certs/", "etc/ssl/certs/ca-certificates.crt", "licences/", "licences/LICENSE", "licences/NOTICE",
		"licences/THIRD_PARTY_NOTICES", "model/", "tmp/", "unimo"}
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("files %v", names)
	}
	return size
}

// runImage starts the server with nothing but the image's files, none of which its user may write, and checks its health as the image says.
func runImage(t *testing.T, c v1.Config, root string) {
	if os.Getuid() != 0 {
		t.Log("not run: only root can make the files of an image all that a process sees")
		return
	}
	if err := os.CopyFS(filepath.Join(root, "model"), os.DirFS("../../testdata/films.model")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	inside := func(args ...string) *exec.Cmd {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env, cmd.Stderr = c.WorkingDir, c.Env, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root, Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		return cmd
	}
	args := slices.Concat(c.Entrypoint, c.Cmd, []string{"--json"})
	args[slices.Index(args, "--listen")+1] = "127.0.0.1:0"
	cmd := inside(args...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	line, err := bufio.NewReader(stdout).ReadString('\n')
	var served struct{ URL string }
	if err == nil {
		err = json.Unmarshal([]byte(line), &served)
	}
	if err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	health := c.Healthcheck.Test[1:]
	if out, err := inside(append(slices.Clone(health), served.URL)...).Output(); err != nil || string(out) != "ready\n" {
		t.Errorf("%v: %s", err, out)
	}
	if _, err := inside(append(slices.Clone(health), "http://127.0.0.1:1")...).Output(); err == nil {
		t.Error("where nobody answers the health check says that all is well")
	}
	answer, err := http.Post(served.URL+"/predict", "application/json", strings.NewReader(`{"inputs": "a gripping and funny film"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if raw, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(raw), "positive") {
		t.Errorf("%v: %s", err, raw)
	}
	http.DefaultClient.CloseIdleConnections()
	cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestNoRelease(t *testing.T) {
	dir := t.TempDir()
	if err := run(dir, filepath.Join(dir, "image"), ""); err == nil || !strings.Contains(err.Error(), "run make snapshot") {
		t.Error(err)
	}
}
