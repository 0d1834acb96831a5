package pull

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
)

const (
	modelScopeEndpoint = "https://www.modelscope.cn"
	modelScopeCut      = 3000 // files: lists are cut there without a word
)

// modelScope is the hub of that name.
type modelScope struct {
	*Options
	endpoint *url.URL
	client   *http.Client
}

func newModelScope(o *Options, t http.RoundTripper) (*modelScope, error) {
	endpoint, err := endpointOf(o.Getenv, "MODELSCOPE_ENDPOINT", modelScopeEndpoint)
	return &modelScope{o, endpoint, fetch.NewClient(t)}, err
}

func (m *modelScope) authorize(req *http.Request) {
	fetch.Authorize(req, strings.TrimSpace(m.Getenv("MODELSCOPE_API_TOKEN")))
}

// modelScopeList is its list of a repository's files.
type modelScopeList struct {
	Data struct {
		Files []modelScopeFile `json:"Files"`
	} `json:"Data"`
}

type modelScopeFile struct {
	Path   string `json:"Path"`
	Type   string `json:"Type"` // blob or tree
	Size   int64  `json:"Size"`
	SHA256 string `json:"Sha256"`
}

func (m *modelScope) plan(ctx context.Context, n hub.Name) (*Plan, error) {
	repo := m.endpoint.String() + "/api/v1/models/" + n.Repo + "/repo"
	query := url.Values{"Revision": {n.Ref()}, "Recursive": {"True"}}
	raw, err := m.get(ctx, n, repo+"/files?"+query.Encode())
	if err != nil {
		var status *fetch.StatusError
		if errors.As(err, &status) && status.Status == http.StatusNotFound {
			return nil, fmt.Errorf("%s: there is no such model or revision at %s; check the name (%w)", n, m.endpoint, err)
		}
		return nil, err
	}
	list, err := readModelScope(m.endpoint.Host, raw)
	if err != nil {
		return nil, err
	}
	plan := &Plan{}
	for _, one := range list {
		f := &File{Path: one.Path, Size: one.Size, client: m.client, header: m.authorize}
		f.wants(one.SHA256, "ModelScope")
		f.url = repo + "?" + url.Values{"Revision": {n.Ref()}, "FilePath": {one.Path}}.Encode()
		plan.Files = append(plan.Files, f)
	}
	plan.choose(m.All)
	plan.Licence = judge(Licence{ID: m.licence(ctx, n)})
	return plan, nil
}

func (m *modelScope) get(ctx context.Context, n hub.Name, address string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	m.authorize(req)
	raw, _, err := m.Fetcher.Body(ctx, m.client, req, n.String(), maxListing)
	return raw, err
}

// licence asks for the model's licence; "" if it is not said.
func (m *modelScope) licence(ctx context.Context, n hub.Name) string {
	raw, err := m.get(ctx, n, m.endpoint.String()+"/api/v1/models/"+n.Repo)
	var about struct {
		Data struct {
			License string `json:"License"`
		} `json:"Data"`
	}
	if err != nil || json.Unmarshal(raw, &about) != nil {
		return ""
	}
	return strings.ToLower(about.Data.License)
}

// readModelScope reads a list of files.
func readModelScope(host string, raw []byte) ([]modelScopeFile, error) {
	lies := func(format string, args ...any) error {
		return &fetch.ServerError{Host: host, Problem: "describes the model so that it cannot be fetched: " + fmt.Sprintf(format, args...)}
	}
	var list modelScopeList
	if err := json.Unmarshal(raw, &list); err != nil {
		problem, _ := infile.ExplainJSON(err)
		return nil, lies("%s", problem)
	}
	if len(list.Data.Files) >= modelScopeCut {
		return nil, lies("it has %d files or more, and does not list them all", modelScopeCut)
	}
	var files []modelScopeFile
	for _, f := range list.Data.Files {
		switch {
		case f.Type == "tree":
			continue
		case f.Size < 0:
			return nil, lies("the size of %q is %d", f.Path, f.Size)
		case !hexSum(f.SHA256, 64):
			return nil, lies("the sum of %q is %q, which is no SHA-256", f.Path, f.SHA256)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, lies("it has no files")
	}
	return files, nil
}
