// Command image makes the container image of a release from the binaries in dist: an OCI layout for linux/amd64 and linux/arm64, without a
// container engine. With -push it goes to a registry as well, with the credentials that docker login has stored.
//
//	go run ./image -dist ../dist [-push REGISTRY/NAME:TAG]
//
// It is in a module of its own, so that the libraries for images are no dependencies of the program.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

const source = "https://github.com/unimo-go/unimo"

// user is nobody in particular, and not root.
const user = "65532:65532"

func main() {
	log.SetFlags(0)
	dist := flag.String("dist", "../dist", "`DIR` of goreleaser's binaries; the image goes to DIR/image")
	push := flag.String("push", "", "`REFERENCE` in a registry that it goes to as well")
	flag.Parse()
	if err := run(*dist, filepath.Join(*dist, "image"), *push); err != nil {
		log.Fatal("image: ", err)
	}
}

// run writes the image of the release in dist to the folder out, and pushes it where push is not empty.
func run(dist, out, push string) error {
	r, err := readRelease(dist)
	if err != nil {
		return err
	}
	index, err := r.index(filepath.Join(dist, ".."))
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	path, err := layout.Write(out, empty.Index)
	if err == nil {
		err = path.AppendIndex(index, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.version}))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	fmt.Printf("%s: %s\n", out, digest)
	if push == "" {
		return nil
	}
	ref, err := name.ParseReference(push)
	if err == nil {
		err = remote.WriteIndex(ref, index, remote.WithAuthFromKeychain(authn.DefaultKeychain))
	}
	if err != nil {
		return fmt.Errorf("push %s: %w", push, err)
	}
	fmt.Printf("pushed %s@%s\n", ref, digest)
	return nil
}

// A release is what goreleaser says of the binaries that it has built.
type release struct {
	version, commit string
	made            time.Time         // when the commit was
	binaries        map[string]string // paths by architecture
}

func readRelease(dist string) (release, error) {
	r := release{binaries: map[string]string{}}
	var meta struct{ Version, Commit string }
	if err := readJSON(filepath.Join(dist, "metadata.json"), &meta); err != nil {
		return r, err
	}
	r.version, r.commit = meta.Version, meta.Commit
	var artifacts []struct {
		Path, Goos, Goarch, Type string
		Extra                    struct{ ID string }
	}
	if err := readJSON(filepath.Join(dist, "artifacts.json"), &artifacts); err != nil {
		return r, err
	}
	for _, a := range artifacts {
		if a.Type == "Binary" && a.Goos == "linux" && a.Extra.ID == "unimo" {
			r.binaries[a.Goarch] = filepath.Join(dist, "..", filepath.FromSlash(a.Path))
		}
	}
	for _, arch := range architectures {
		info, err := os.Stat(r.binaries[arch])
		if err != nil {
			return r, fmt.Errorf("%s: the binary for linux/%s: %w; run make snapshot", dist, arch, err)
		}
		r.made = info.ModTime().UTC() // goreleaser has set it to the commit's
	}
	return r, nil
}

func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w; run make snapshot", err)
	}
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

var architectures = []string{"amd64", "arm64"}

func (r release) index(repository string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range architectures {
		image, err := r.image(repository, arch)
		if err != nil {
			return nil, fmt.Errorf("linux/%s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return mutate.Annotations(index, r.labels()).(v1.ImageIndex), nil
}

func (r release) labels() map[string]string {
	return map[string]string{
		"org.opencontainers.image.title":         "unimo",
		"org.opencontainers.image.description":   "UNIMO in Go: one Transformer that reads text, pictures or both, and understands and writes",
		"org.opencontainers.image.version":       r.version,
		"org.opencontainers.image.revision":      r.commit,
		"org.opencontainers.image.created":       r.made.Format(time.RFC3339),
		"org.opencontainers.image.licenses":      "Apache-2.0",
		"org.opencontainers.image.source":        source,
		"org.opencontainers.image.url":           source,
		"org.opencontainers.image.documentation": source + "/blob/main/docs/guides/install.md",
	}
}

// image has one layer over nothing: the binary, its licences, the certificates of public authorities, and folders for what a container writes.
func (r release) image(repository, arch string) (v1.Image, error) {
	var files bytes.Buffer
	if err := r.files(&files, repository, r.binaries[arch]); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(files.Bytes())), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: r.made}, CreatedBy: "packaging/image", Comment: "unimo " + r.version}})
	if err != nil {
		return nil, err
	}
	c, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Created = "linux", arch, v1.Time{Time: r.made}
	c.Config = v1.Config{
		User:         user,
		Entrypoint:   []string{"/unimo"},
		Cmd:          []string{"serve", "--model", "/model", "--listen", "0.0.0.0:8080"},
		WorkingDir:   "/data",
		Env:          []string{"PATH=/", "HOME=/data"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}},
		Healthcheck:  &v1.HealthConfig{Test: []string{"CMD", "/unimo", "health"}, Interval: 30 * time.Second, Timeout: 5 * time.Second, StartPeriod: 2 * time.Minute, Retries: 3},
		Labels:       r.labels(),
	}
	return mutate.ConfigFile(image, c)
}

func (r release) files(w io.Writer, repository, binary string) error {
	t := tar.NewWriter(w)
	folder := func(name string, mode int64) error {
		return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, ModTime: r.made})
	}
	file := func(name string, mode int64, content []byte) error {
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content)), ModTime: r.made}); err != nil {
			return err
		}
		_, err := t.Write(content)
		return err
	}
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	for _, name := range []string{"data/", "etc/", "etc/ssl/", "etc/ssl/certs/", "licences/", "model/"} {
		add(folder(name, 0o755))
	}
	add(folder("tmp/", 0o1777))
	add(file("etc/ssl/certs/ca-certificates.crt", 0o644, authorities()))
	for _, name := range []string{"LICENSE", "NOTICE", "THIRD_PARTY_NOTICES"} {
		raw, err := os.ReadFile(filepath.Join(repository, name))
		add(err)
		add(file("licences/"+name, 0o644, raw))
	}
	raw, err := os.ReadFile(binary)
	add(err)
	add(file("unimo", 0o755, raw))
	add(t.Close())
	return errors.Join(errs...)
}

// authorities are the certificates of Mozilla's list that are trusted without conditions, for pictures, spans and models that are fetched or sent by
// https. They are those of a pinned module, so that the image does not depend on the machine that makes it.
func authorities() []byte {
	var b strings.Builder
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate})
		}
	}
	return []byte(b.String())
}
