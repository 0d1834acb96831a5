package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
)

const (
	hubEndpoint = "https://huggingface.co"
	maxListing  = 64 << 20 // bytes of a repository's list of files
	mostFiles   = 100_000
)

// huggingFace is Hugging Face's hub, or a mirror of it.
type huggingFace struct {
	*Options
	endpoint *url.URL
	token    string
	client   *http.Client
}

func newHuggingFace(o *Options, t http.RoundTripper) (*huggingFace, error) {
	endpoint, err := endpointOf(o.Getenv, "HF_ENDPOINT", hubEndpoint)
	if err != nil {
		return nil, err
	}
	token, err := hubToken(o.Getenv)
	return &huggingFace{o, endpoint, token, fetch.NewClient(t)}, err
}

// endpointOf reads the address of a hub from the environment.
func endpointOf(getenv func(string) string, key, usual string) (*url.URL, error) {
	address := getenv(key)
	if address == "" {
		address = usual
	}
	u, err := url.Parse(strings.TrimRight(address, "/"))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, fmt.Errorf("%s is %q, which is no address; want one such as %s", key, address, usual)
	}
	return u, nil
}

// hubToken finds the token that Hugging Face's programs would use.
func hubToken(getenv func(string) string) (string, error) {
	for _, key := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		if token := strings.TrimSpace(getenv(key)); token != "" {
			return token, nil
		}
	}
	file := getenv("HF_TOKEN_PATH")
	if file == "" {
		file = filepath.Join(hub.HuggingFaceHome(getenv), "token")
	}
	raw, err := infile.Read(file, 10<<10)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(raw)), err
}

func (h *huggingFace) authorize(req *http.Request) { fetch.Authorize(req, h.token) }

// repoInfo is what the hub says of a repository at a revision.
type repoInfo struct {
	SHA      string          `json:"sha"`
	Gated    json.RawMessage `json:"gated"` // false, "auto" or "manual"
	Disabled bool            `json:"disabled"`
	Card     struct {
		Licence json.RawMessage `json:"license"` // a text or a list of them
		Name    string          `json:"license_name"`
		Link    string          `json:"license_link"`
	} `json:"cardData"`
	Siblings []sibling `json:"siblings"`
}

type sibling struct {
	Name string `json:"rfilename"`
	Size *int64 `json:"size"`
	Blob string `json:"blobId"`
	LFS  *struct {
		SHA256 string `json:"sha256"`
		OID    string `json:"oid"`
		Size   *int64 `json:"size"`
	} `json:"lfs"`
}

func (h *huggingFace) plan(ctx context.Context, n hub.Name) (*Plan, error) {
	address := h.endpoint.String() + "/api/models/" + n.Repo + "/revision/" + url.PathEscape(n.Ref()) + "?blobs=true"
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	h.authorize(req)
	raw, _, err := h.Fetcher.Body(ctx, h.client, req, n.String(), maxListing)
	if err != nil {
		return nil, h.explain(n, err)
	}
	info, err := readRepoInfo(h.endpoint.Host, raw)
	if err != nil {
		return nil, err
	}
	plan := &Plan{Revision: info.SHA, Licence: judge(info.licence())}
	for _, s := range info.Siblings {
		f := &File{Path: s.Name, Size: *s.Size, blob: s.Blob, sum: fetch.Sum{Algorithm: fetch.Git, Hex: s.Blob, From: "the hub"}, client: h.client, header: h.authorize}
		if s.LFS != nil {
			f.blob, f.SHA256, f.sum = s.LFS.SHA256, s.LFS.SHA256, fetch.Sum{Algorithm: fetch.SHA256, Hex: s.LFS.SHA256, From: "the hub"}
		}
		f.url = h.endpoint.String() + "/" + n.Repo + "/resolve/" + info.SHA + "/" + escapePath(s.Name)
		plan.Files = append(plan.Files, f)
	}
	plan.choose(h.All)
	return plan, nil
}

// escapePath escapes the parts of a path for an address.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}

// readRepoInfo reads what a hub says of a repository.
func readRepoInfo(host string, raw []byte) (*repoInfo, error) {
	var info repoInfo
	lies := func(format string, args ...any) error {
		return &fetch.ServerError{Host: host, Problem: "describes the model so that it cannot be fetched: " + fmt.Sprintf(format, args...)}
	}
	if err := json.Unmarshal(raw, &info); err != nil {
		problem, _ := infile.ExplainJSON(err)
		return nil, lies("%s", problem)
	}
	if !hexSum(info.SHA, 40) {
		return nil, lies("its revision is %q, which is no commit", info.SHA)
	}
	if len(info.Siblings) > mostFiles {
		return nil, lies("it has %d files; at most %d are fetched", len(info.Siblings), mostFiles)
	}
	for i := range info.Siblings {
		s := &info.Siblings[i]
		if s.LFS != nil {
			if s.LFS.SHA256 == "" {
				s.LFS.SHA256 = strings.TrimPrefix(s.LFS.OID, "sha256:")
			}
			if s.LFS.Size != nil {
				s.Size = s.LFS.Size
			}
		}
		switch {
		case s.Size == nil || *s.Size < 0:
			return nil, lies("it does not say how large %q is", s.Name)
		case s.LFS != nil && !hexSum(s.LFS.SHA256, 64):
			return nil, lies("the sum of %q is %q, which is no SHA-256", s.Name, s.LFS.SHA256)
		case s.LFS == nil && !hexSum(s.Blob, 40):
			return nil, lies("the sum of %q is %q, which is none of git's", s.Name, s.Blob)
		}
	}
	return &info, nil
}

func hexSum(s string, digits int) bool {
	return len(s) == digits && strings.Trim(s, "0123456789abcdef") == ""
}

func (i *repoInfo) licence() Licence {
	l := Licence{Name: i.Card.Name, Link: i.Card.Link}
	var one string
	var list []string
	if json.Unmarshal(i.Card.Licence, &one) == nil {
		l.ID = one
	} else if json.Unmarshal(i.Card.Licence, &list) == nil {
		l.ID = strings.Join(list, ", ")
	}
	return l
}

// explain says what an answer of the hub means for the model.
func (h *huggingFace) explain(n hub.Name, err error) error {
	var status *fetch.StatusError
	if !errors.As(err, &status) {
		return err
	}
	page := h.endpoint.String() + "/" + n.Repo
	token := "set HF_TOKEN to a token of an account that may"
	if h.token != "" {
		token = "the token in use may not"
	}
	switch code := status.Header.Get("X-Error-Code"); {
	case code == "GatedRepo":
		return fmt.Errorf("%s is gated: its owners want its conditions accepted at %s; then %s (%w)", n, page, token, err)
	case code == "RevisionNotFound" || status.Status == http.StatusNotFound && n.Revision != "" && code != "RepoNotFound":
		return fmt.Errorf("%s: there is no revision %q; look at %s (%w)", n, n.Ref(), page, err)
	case status.Status == http.StatusNotFound, status.Status == http.StatusUnauthorized, status.Status == http.StatusForbidden:
		return fmt.Errorf("%s: there is no such model at %s, or it is private; check the name, or %s (%w)", n, h.endpoint, token, err)
	}
	return err
}
