package hub

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/names"
)

// The sources of models: what a name begins with.
const (
	HuggingFace = "hf"
	Reference   = "unimo" // the archives that the authors of UNIMO publish
	OCI         = "oci"   // a registry of containers
	Web         = "https" // one file at an address
	ModelScope  = "ms"
)

// Name is the name of a model.
type Name struct {
	Source   string
	Repo     string // ORG/MODEL, HOST/REPO, a key of [Archives], or an address without its fragment
	Revision string // a branch, a tag or a commit; "" for the default
	Digest   string // SHA-256 that the name itself wants, in hexadecimal digits; "" for none
}

// Forms are the names there are, for messages and help.
const Forms = "hf:ORG/MODEL[@REV], unimo:NAME, oci:HOST/REPO:TAG, ms:ORG/MODEL[@REV], or https://HOST/FILE[#sha256=HEX]"

// defaultRevisions are those of names without one.
var defaultRevisions = map[string]string{HuggingFace: "main", ModelScope: "master", OCI: "latest", Reference: "main", Web: "main"}

// Ref is the revision that is meant: the default where the name has none.
func (n Name) Ref() string {
	if n.Revision == "" {
		return defaultRevisions[n.Source]
	}
	return n.Revision
}

// String returns the name as it is written.
func (n Name) String() string {
	switch n.Source {
	case Web:
		if n.Digest != "" {
			return n.Repo + "#sha256=" + n.Digest
		}
		return n.Repo
	case OCI:
		s := OCI + ":" + n.Repo
		if n.Revision != "" {
			s += ":" + n.Revision
		}
		if n.Digest != "" {
			s += "@sha256:" + n.Digest
		}
		return s
	}
	if n.Revision != "" {
		return n.Source + ":" + n.Repo + "@" + n.Revision
	}
	return n.Source + ":" + n.Repo
}

// Short is what a person calls the model: the last part of the name.
func (n Name) Short() string {
	repo := n.Repo
	if u, err := url.Parse(repo); n.Source == Web && err == nil {
		repo = u.Path
	}
	return path.Base(repo)
}

// cut splits a name into its source and the rest.
func cut(s string) (source, rest string) {
	for _, scheme := range []string{"https://", "http://"} {
		if len(s) >= len(scheme) && strings.EqualFold(s[:len(scheme)], scheme) {
			return Web, s
		}
	}
	before, after, ok := strings.Cut(s, ":")
	if before = strings.ToLower(before); !ok || !slices.Contains([]string{HuggingFace, Reference, OCI, ModelScope}, before) {
		return "", s
	}
	return before, strings.TrimPrefix(after, "//")
}

// IsName says whether s is the name of a model rather than a path. A path that begins as a name does is written with "./" before it.
func IsName(s string) bool {
	source, _ := cut(s)
	return source != ""
}

const longestName = 2048

var (
	repoPart     = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}$`)
	revisionPart = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.+-]*$`)
	ociHost      = regexp.MustCompile(`^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$`)
	ociPart      = regexp.MustCompile(`^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$`)
	ociTag       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$`)
	hexDigest    = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// pages are where hubs show models to people; an address there is read as the name that is meant.
var pages = map[string]string{"huggingface.co": HuggingFace, "hf.co": HuggingFace, "www.modelscope.cn": ModelScope, "modelscope.cn": ModelScope}

// Parse reads a name.
func Parse(s string) (Name, error) {
	n, err := parse(s)
	if err != nil {
		if len(s) > 200 {
			s = s[:200] + "..."
		}
		return Name{}, fmt.Errorf("%q is no name of a model: %w", s, err)
	}
	return n, nil
}

func parse(s string) (Name, error) {
	source, rest := cut(s)
	switch {
	case len(s) > longestName:
		return Name{}, fmt.Errorf("it has %d characters; want at most %d", len(s), longestName)
	case source == Web:
		return parseURL(rest)
	case source == OCI:
		return parseOCI(rest)
	case source == Reference:
		if _, ok := Archives[rest]; !ok {
			return Name{}, names.Unknown("model", rest, archiveNames())
		}
		return Name{Source: source, Repo: rest}, nil
	case source == "":
		return Name{}, fmt.Errorf("want %s", Forms)
	}
	repo, revision, revised := strings.Cut(strings.TrimSuffix(rest, "/"), "@")
	parts := strings.Split(repo, "/")
	if len(parts) > 2 || source == ModelScope && len(parts) < 2 || slices.ContainsFunc(parts, func(part string) bool { return !goodPart(part) }) {
		return Name{}, fmt.Errorf("%q is no ORG/MODEL", repo)
	}
	if revised && !goodRevision(revision) {
		return Name{}, fmt.Errorf("%q is no revision; want a branch, a tag or a commit", revision)
	}
	return Name{Source: source, Repo: repo, Revision: revision}, nil
}

// goodPart says whether a part of ORG/MODEL is one that hubs have. "--" stands between the parts in a folder's name.
func goodPart(part string) bool {
	return repoPart.MatchString(part) && !strings.Contains(part, "--") && !strings.Contains(part, "..") &&
		!strings.HasSuffix(part, ".") && !strings.HasSuffix(part, "-") && !strings.HasSuffix(part, ".git")
}

// goodRevision says whether a revision can be one of git, and a path below refs.
func goodRevision(revision string) bool {
	if len(revision) > 200 || strings.Contains(revision, "..") {
		return false
	}
	for part := range strings.SplitSeq(revision, "/") {
		if !revisionPart.MatchString(part) || strings.HasSuffix(part, ".lock") || strings.HasSuffix(part, ".") {
			return false
		}
	}
	return true
}

func parseOCI(rest string) (Name, error) {
	n := Name{Source: OCI}
	rest, digest, digested := strings.Cut(rest, "@")
	if digested {
		hex, ok := strings.CutPrefix(digest, "sha256:")
		if !ok || !hexDigest.MatchString(hex) {
			return Name{}, fmt.Errorf("%q is no digest; want sha256: and 64 digits from 0 to 9 and a to f", digest)
		}
		n.Digest = hex
	}
	host, repo, _ := strings.Cut(rest, "/")
	if !ociHost.MatchString(host) || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return Name{}, fmt.Errorf("%q is no host of a registry; want HOST/REPO:TAG, such as ghcr.io/team/model:v1", host)
	}
	if name, tag, ok := strings.Cut(repo, ":"); ok {
		if !ociTag.MatchString(tag) || strings.Contains(tag, "..") {
			return Name{}, fmt.Errorf("%q is no tag", tag)
		}
		repo, n.Revision = name, tag
	}
	if len(repo) > 255 || slices.ContainsFunc(strings.Split(repo, "/"), func(part string) bool { return !ociPart.MatchString(part) }) {
		return Name{}, fmt.Errorf("%q is no repository of a registry; want small letters, digits, and . _ - between them", repo)
	}
	n.Repo = strings.ToLower(host) + "/" + repo
	return n, nil
}

func parseURL(s string) (Name, error) {
	u, err := url.Parse(s)
	if err != nil {
		var parsed *url.Error
		if errors.As(err, &parsed) {
			err = parsed.Err
		}
		return Name{}, err
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	n := Name{Source: Web}
	switch digest, ok := strings.CutPrefix(u.Fragment, "sha256="); {
	case u.Host == "":
		return Name{}, errors.New("it names no host")
	case u.User != nil:
		return Name{}, errors.New("a user's name and password do not belong into an address")
	case ok && hexDigest.MatchString(strings.ToLower(digest)):
		n.Digest = strings.ToLower(digest)
	case u.Fragment != "":
		return Name{}, fmt.Errorf("%q after the # is no digest; want sha256= and 64 hexadecimal digits", u.Fragment)
	}
	if source, ok := pages[u.Hostname()]; ok {
		parts := strings.Split(strings.Trim(strings.TrimPrefix(u.Path, "/models/"), "/"), "/")
		if len(parts) == 1 || len(parts) == 2 || len(parts) == 4 && parts[2] == "tree" || len(parts) == 3 && parts[2] == "summary" {
			page := source + ":" + strings.Join(parts[:min(2, len(parts))], "/")
			if len(parts) == 4 {
				page += "@" + parts[3]
			}
			return parse(page)
		}
	}
	if file := path.Base(u.Path); strings.HasSuffix(u.Path, "/") || !repoPart.MatchString(file) || strings.Contains(file, "..") {
		return Name{}, errors.New("it does not end with the name of a file")
	}
	u.Fragment, u.RawFragment = "", ""
	n.Repo = u.String()
	return n, nil
}
