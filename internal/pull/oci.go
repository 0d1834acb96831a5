package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
)

// Media types and annotations of models in registries, as CNCF's ModelPack has them.
const (
	modelManifest = "application/vnd.cncf.model.manifest.v1+json"
	modelConfig   = "application/vnd.cncf.model.config.v1+json"
	weightLayer   = "application/vnd.cncf.model.weight.v1.raw"
	configLayer   = "application/vnd.cncf.model.weight.config.v1.raw"
	docLayer      = "application/vnd.cncf.model.doc.v1.raw"
	codeLayer     = "application/vnd.cncf.model.code.v1.raw"

	pathAnnotation    = "org.cncf.model.filepath"
	titleAnnotation   = "org.opencontainers.image.title" // of ORAS, and of who knows no ModelPack
	licenceAnnotation = "org.opencontainers.image.licenses"
)

// packing is how a layer holds files.
type packing int

const (
	loose packing = iota // one file as it is
	tarred
	gzipped
)

const maxManifest = 4 << 20

// registry is a repository in a registry of containers.
type registry struct {
	*Options
	ref  name.Reference
	auth authn.Authenticator
	base http.RoundTripper
}

func newRegistry(o *Options, t http.RoundTripper, n hub.Name) (*registry, error) {
	ref, err := reference(n)
	if err != nil {
		return nil, err
	}
	auth, err := authn.DefaultKeychain.Resolve(ref.Context())
	if err != nil {
		return nil, fmt.Errorf("%s: credentials of its registry: %w", n, err)
	}
	return &registry{o, ref, auth, veiled{t}}, nil
}

// reference is a name as the library has it.
func reference(n hub.Name) (name.Reference, error) {
	if n.Digest != "" {
		return name.NewDigest(n.Repo + "@sha256:" + n.Digest)
	}
	return name.NewTag(n.Repo + ":" + n.Ref())
}

// veiled refuses to send credentials without encryption over a network.
type veiled struct{ http.RoundTripper }

func (v veiled) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && r.Header.Get("Authorization") != "" && !fetch.Loopback(r.URL) {
		return nil, &fetch.ServerError{Host: r.URL.Host, Problem: "wants credentials and has no encryption; they are not sent"}
	}
	return v.RoundTripper.RoundTrip(r)
}

// client returns a client that has the registry's permission.
func (r *registry) client(ctx context.Context, scope string) (*http.Client, error) {
	repo := r.ref.Context()
	var t http.RoundTripper
	err := r.Fetcher.Retry(ctx, nil, func() (_ bool, err error) {
		t, err = transport.NewWithContext(ctx, repo.Registry, r.auth, r.base, []string{repo.Scope(scope)})
		return false, err
	})
	if err != nil {
		return nil, fmt.Errorf("ask the registry %s: %w", repo.RegistryStr(), err)
	}
	return fetch.NewClient(t), nil
}

// manifest is a registry's manifest, as far as it is read.
type manifest struct {
	MediaType   string            `json:"mediaType"`
	Config      descriptor        `json:"config"`
	Layers      []descriptor      `json:"layers"`
	Annotations map[string]string `json:"annotations"`
	Manifests   []descriptor      `json:"manifests"` // of an index
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// hex is the digest's SHA-256.
func (d descriptor) hex() string { return strings.TrimPrefix(d.Digest, "sha256:") }

// path is what the file of a layer is called; "" if nothing says it.
func (d descriptor) path() string {
	if p := d.Annotations[pathAnnotation]; p != "" {
		return p
	}
	return d.Annotations[titleAnnotation]
}

// readManifest reads a manifest.
func readManifest(host string, raw []byte) (*manifest, error) {
	lies := func(format string, args ...any) error {
		return &fetch.ServerError{Host: host, Problem: "has no model there that can be fetched: " + fmt.Sprintf(format, args...)}
	}
	var m manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		problem, _ := infile.ExplainJSON(err)
		return nil, lies("%s", problem)
	}
	if len(m.Manifests) > 0 {
		return nil, lies("it is an index of %d manifests; name one of them by its digest", len(m.Manifests))
	}
	if len(m.Layers) == 0 || len(m.Layers) > mostFiles {
		return nil, lies("its manifest has %d layers", len(m.Layers))
	}
	for _, d := range append([]descriptor{m.Config}, m.Layers...) {
		if !strings.HasPrefix(d.Digest, "sha256:") || !hexSum(d.hex(), 64) {
			return nil, lies("%q is no digest with SHA-256", d.Digest)
		}
		if d.Size < 0 {
			return nil, lies("the size of %s is %d", d.Digest, d.Size)
		}
	}
	return &m, nil
}

func (r *registry) plan(ctx context.Context, n hub.Name) (*Plan, error) {
	client, err := r.client(ctx, transport.PullScope)
	if err != nil {
		return nil, err
	}
	repo := r.ref.Context()
	address := repo.Registry.Scheme() + "://" + repo.RegistryStr() + "/v2/" + repo.RepositoryStr()
	req, err := http.NewRequest(http.MethodGet, address+"/manifests/"+r.ref.Identifier(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", strings.Join([]string{string(types.OCIManifestSchema1), string(types.DockerManifestSchema2), string(types.OCIImageIndex)}, ", "))
	raw, _, err := r.Fetcher.Body(ctx, client, req, n.String(), maxManifest)
	if err != nil {
		return nil, explainRegistry(n, err)
	}
	digest := sum256(raw)
	if n.Digest != "" && digest != n.Digest {
		return nil, &fetch.SumError{What: n.String(), Got: "digest is sha256:" + digest, Want: "sha256:" + n.Digest, From: "the name"}
	}
	m, err := readManifest(repo.RegistryStr(), raw)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Revision: digest}
	licences := strings.Fields(m.Annotations[licenceAnnotation])
	if m.Config.MediaType == modelConfig && m.Config.Size <= maxManifest {
		req, err := http.NewRequest(http.MethodGet, address+"/blobs/"+m.Config.Digest, nil)
		if err != nil {
			return nil, err
		}
		raw, _, err := r.Fetcher.Body(ctx, client, req, "the configuration of "+n.String(), maxManifest)
		if err != nil {
			return nil, explainRegistry(n, err)
		}
		var c modelpack
		if got := sum256(raw); got != m.Config.hex() {
			return nil, &fetch.SumError{What: "the configuration of " + n.String(), Got: "sha256 is " + got, Want: m.Config.hex(), From: "the manifest"}
		}
		if json.Unmarshal(raw, &c) == nil && len(c.Descriptor.Licences) > 0 {
			licences = c.Descriptor.Licences
		}
	}
	plan.Licence = judge(Licence{ID: strings.ToLower(strings.Join(licences, ", "))})
	for _, d := range m.Layers {
		f := &File{Path: d.path(), Size: d.Size, client: client, url: address + "/blobs/" + d.Digest}
		f.wants(d.hex(), "the manifest")
		switch _, form, _ := strings.Cut(d.MediaType, "."); {
		case strings.HasSuffix(form, "zstd"):
			return nil, fmt.Errorf("%s: the layer %s is compressed with zstd, which is not read; push the model without compression", n, d.Digest)
		case strings.HasSuffix(form, ".tar"):
			f.pack = tarred
		case strings.HasSuffix(form, ".tar+gzip"), strings.HasSuffix(form, ".tar.gzip"):
			f.pack = gzipped
		}
		if f.pack != loose {
			f.Path = "layer-" + d.hex()[:12] // until it is unpacked
		} else if f.Path == "" {
			plan.LeftOut = append(plan.LeftOut, LeftOut{"layer-" + d.hex()[:12], d.Size}) // it has no name
			continue
		}
		plan.Files = append(plan.Files, f)
	}
	if len(plan.Files) == 0 {
		return nil, fmt.Errorf("%s: no layer of it is a file with a name; is it a model?", n)
	}
	return plan, nil
}

// explainRegistry says what an answer of a registry means for the model.
func explainRegistry(n hub.Name, err error) error {
	var status *fetch.StatusError
	if !errors.As(err, &status) || !slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound}, status.Status) {
		return err
	}
	return fmt.Errorf("%s: its registry has no such model, or you may not see it; check the name, or log in as for containers (docker login, oras login) (%w)", n, err)
}
