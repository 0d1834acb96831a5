package pull

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
)

// Pushed is a model that is in a registry now.
type Pushed struct {
	Name   string `json:"name"`   // with the digest
	Digest string `json:"digest"` // of the manifest
	Bytes  int64  `json:"bytes"`
	Files  int    `json:"files"`
}

// modelpack is the configuration of a model in a registry, as far as it is written and read here.
type modelpack struct {
	Descriptor struct {
		Name     string   `json:"name,omitempty"`
		Licences []string `json:"licenses,omitempty"`
	} `json:"descriptor"`
	FS struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diffIds"`
	} `json:"modelfs"`
	Config struct {
		Architecture string `json:"architecture,omitempty"`
		Format       string `json:"format,omitempty"`
	} `json:"config"`
}

// Push puts the model in the folder dir into a registry. The same folder always becomes the same manifest.
func Push(ctx context.Context, dir string, n hub.Name, o Options) (*Pushed, error) {
	switch {
	case n.Source != hub.OCI:
		return nil, fmt.Errorf("%s: models are pushed to registries of containers alone; name one as oci:HOST/REPO:TAG", n)
	case n.Digest != "":
		return nil, fmt.Errorf("%s: the digest follows from the model; leave it out", n)
	case Offline(o.Getenv):
		return nil, fmt.Errorf("%s: HF_HUB_OFFLINE forbids connections; unset it", n)
	}
	t := o.Transport
	if t == nil {
		t = fetch.NewTransport(o.stall())
	}
	r, err := newRegistry(&o, t, n)
	if err != nil {
		return nil, err
	}
	layers, err := layersOf(dir)
	if err != nil {
		return nil, err
	}
	var total int64
	for _, l := range layers {
		total += l.size
	}
	var sent atomic.Int64
	pusher, err := remote.NewPusher(remote.WithContext(ctx), remote.WithAuth(r.auth), remote.WithTransport(r.base), remote.WithJobs(1))
	if err != nil {
		return nil, err
	}
	repo := r.ref.Context()
	m := written{SchemaVersion: 2, MediaType: string(types.OCIManifestSchema1), ArtifactType: modelManifest}
	var config modelpack
	config.Descriptor.Name, config.FS.Type = path.Base(repo.RepositoryStr()), "layers"
	for _, l := range layers {
		l.seen = func(k int64) {
			if o.Observer != nil {
				o.Observer.Progress(min(sent.Add(k), total), total)
			}
		}
		if err := pusher.Upload(ctx, repo, l); err != nil {
			return nil, fmt.Errorf("push %s to %s: %w; check that a registry is there, and the login", l.path, n, err)
		}
		digest := "sha256:" + l.sha
		config.FS.DiffIDs = append(config.FS.DiffIDs, digest)
		m.Layers = append(m.Layers, descriptor{string(l.kind), digest, l.size, map[string]string{pathAnnotation: l.path, titleAnnotation: l.path}})
		if l.kind == weightLayer && config.Config.Format == "" {
			config.Config.Format = strings.TrimPrefix(path.Ext(l.path), ".")
		}
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	if err := pusher.Upload(ctx, repo, static.NewLayer(raw, modelConfig)); err != nil {
		return nil, fmt.Errorf("push the configuration to %s: %w", n, err)
	}
	m.Config = descriptor{MediaType: modelConfig, Digest: "sha256:" + sum256(raw), Size: int64(len(raw))}
	if raw, err = json.Marshal(m); err != nil {
		return nil, err
	}
	if err := pusher.Put(ctx, r.ref, tagged(raw)); err != nil {
		return nil, fmt.Errorf("push %s: %w", n, err)
	}
	n.Digest = sum256(raw)
	return &Pushed{Name: n.String(), Digest: "sha256:" + n.Digest, Bytes: total, Files: len(layers)}, nil
}

// written is a manifest that is pushed.
type written struct {
	SchemaVersion int          `json:"schemaVersion"`
	MediaType     string       `json:"mediaType"`
	ArtifactType  string       `json:"artifactType"`
	Config        descriptor   `json:"config"`
	Layers        []descriptor `json:"layers"`
}

// tagged is a manifest for the library. It implements [remote.Taggable].
type tagged []byte

func (t tagged) RawManifest() ([]byte, error)        { return t, nil }
func (t tagged) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }

// layer is a file of a model. It implements [v1.Layer].
type layer struct {
	file, path string
	kind       types.MediaType
	sha        string
	size       int64
	seen       func(int64)
}

// layersOf returns the files of a model's folder, by their paths. Links out of the folder are refused, but for those of a cache.
func layersOf(dir string) ([]*layer, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		return nil, fmt.Errorf("%s is no folder of a model; name one", dir)
	}
	var list []*layer
	err = filepath.WalkDir(real, func(file string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if hidden := strings.HasPrefix(e.Name(), ".") && file != real; hidden && e.IsDir() {
			return fs.SkipDir
		} else if hidden || e.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(real, file)
		if err != nil {
			return err
		}
		target, err := filepath.EvalSymlinks(file)
		if err != nil {
			return err
		}
		cached := filepath.Join(filepath.Dir(filepath.Dir(real)), hub.Blobs)
		if !below(real, target) && !(filepath.Base(filepath.Dir(real)) == hub.Snapshots && below(cached, target)) {
			return &infile.Error{File: file, Problem: "is a link that leaves the folder", Remedy: "put the file itself there"}
		}
		l := &layer{file: file, path: filepath.ToSlash(rel), kind: kindOf(filepath.ToSlash(rel))}
		f, err := infile.Open(file)
		if err != nil {
			return err
		}
		defer f.Close()
		hash, n, err := v1.SHA256(f)
		if err != nil {
			return err
		}
		l.sha, l.size = hash.Hex, n
		list = append(list, l)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read model %s: %w", dir, err)
	}
	if !slices.ContainsFunc(list, func(l *layer) bool { return l.kind == weightLayer }) {
		return nil, fmt.Errorf("%s has no weights; name the folder of a model", dir)
	}
	return list, nil
}

func below(dir, file string) bool {
	rel, err := filepath.Rel(dir, file)
	return err == nil && filepath.IsLocal(rel)
}

// kindOf is the media type of a file.
func kindOf(p string) types.MediaType {
	switch name := strings.ToLower(path.Base(p)); {
	case slices.Contains([]string{".safetensors", ".bin", ".pdparams", ".pth", ".pt"}, path.Ext(name)):
		return weightLayer
	case path.Ext(name) == ".md", strings.HasPrefix(name, "licen"), strings.HasPrefix(name, "notice"):
		return docLayer
	case path.Ext(name) == ".py":
		return codeLayer
	}
	return configLayer
}

func (l *layer) Digest() (v1.Hash, error)             { return v1.Hash{Algorithm: "sha256", Hex: l.sha}, nil }
func (l *layer) DiffID() (v1.Hash, error)             { return l.Digest() }
func (l *layer) Size() (int64, error)                 { return l.size, nil }
func (l *layer) MediaType() (types.MediaType, error)  { return l.kind, nil }
func (l *layer) Uncompressed() (io.ReadCloser, error) { return l.Compressed() }

func (l *layer) Compressed() (io.ReadCloser, error) {
	f, err := infile.Open(l.file)
	if err != nil {
		return nil, err
	}
	return &telling{f, l.seen}, nil
}

// telling tells how much is read of a file.
type telling struct {
	io.ReadCloser
	seen func(int64)
}

func (t *telling) Read(p []byte) (int, error) {
	n, err := t.ReadCloser.Read(p)
	t.seen(int64(n))
	return n, err
}
