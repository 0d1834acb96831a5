package pull

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"

	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
)

// web is files at addresses: those of names, and the reference's archives.
type web struct{ client *http.Client }

func (w web) plan(_ context.Context, n hub.Name) (*Plan, error) {
	if n.Source == hub.Reference {
		a := hub.Archives[n.Repo]
		plan := &Plan{Licence: judge(Licence{ID: a.Licence})}
		for _, f := range a.Files {
			one := &File{Path: path.Base(f.URL), Size: -1, url: f.URL, client: w.client, pin: f.SHA256 == ""}
			if f.SHA256 != "" {
				one.wants(f.SHA256, "this program's table")
				one.Size = f.Size
			}
			plan.Files = append(plan.Files, one)
		}
		return plan, nil
	}
	u, err := url.Parse(n.Repo)
	if err != nil {
		return nil, err
	}
	if u.Scheme == "http" && n.Digest == "" && !fetch.Loopback(u) {
		return nil, fmt.Errorf("%s: without encryption anybody on the way could exchange it; name it with https, or with its sum (#sha256=...)", n)
	}
	f := &File{Path: path.Base(u.Path), Size: -1, url: n.Repo, client: w.client, pin: n.Digest == ""}
	if n.Digest != "" {
		f.wants(n.Digest, "the name")
	}
	return &Plan{Files: []*File{f}}, nil
}

// wants says that the file has a SHA-256.
func (f *File) wants(sha, from string) {
	f.sum, f.blob, f.SHA256 = fetch.Sum{Algorithm: fetch.SHA256, Hex: sha, From: from}, sha, sha
}
