package pull

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/hub"
	"github.com/unimo-go/unimo/internal/pull/fetch"
)

// Options say how models are fetched.
type Options struct {
	Cache     hub.Cache
	Getenv    func(string) string
	All       bool                                     // files that a model does not need, too
	Accept    bool                                     // any licence
	Ask       func(Licence) (accepted bool, err error) // about a licence that forbids something; nil: there is nobody to ask
	Observer  Observer
	Fetcher   fetch.Fetcher
	Transport http.RoundTripper // nil: the usual one
}

// Observer sees how a model is fetched. Its functions may be called from several goroutines.
type Observer interface {
	Planned(*Plan)
	Waiting(holder error) // for another process, which fetches the same
	Progress(done, total int64)
	Again(err error, wait time.Duration)
}

// Plan is what is going to be fetched.
type Plan struct {
	Name     hub.Name
	Revision string // of the snapshot; "" until the content is known
	Licence  Licence
	Files    []*File
	LeftOut  []LeftOut
	Missing  int64 // bytes to fetch; -1 if that is not known
}

// File is a file of a model.
type File struct {
	Path   string `json:"path"`
	Size   int64  `json:"bytes"` // -1: not known yet
	SHA256 string `json:"sha256,omitempty"`

	url    string
	client *http.Client
	header func(*http.Request)
	sum    fetch.Sum
	pack   packing
	pin    bool   // no source says the sum: what was seen first is wanted ever after
	blob   string // name in blobs; "" until the content is known
}

// LeftOut is a file that is not fetched.
type LeftOut struct {
	Path string `json:"path"`
	Size int64  `json:"bytes"`
}

// Result is a model that is in the cache now.
type Result struct {
	Name     string    `json:"name"`
	Revision string    `json:"revision"`
	Path     string    `json:"path"`
	Licence  string    `json:"licence,omitempty"`
	Bytes    int64     `json:"bytes"` // each content once
	Fetched  int64     `json:"bytes_fetched"`
	Files    []*File   `json:"files,omitempty"`
	LeftOut  []LeftOut `json:"left_out,omitempty"`
	Pinned   bool      `json:"pinned"` // a sum that no source says has been noted
}

// source knows what names of one kind stand for.
type source interface {
	plan(ctx context.Context, n hub.Name) (*Plan, error)
}

// Offline says whether the environment forbids to open connections, as it does for Hugging Face's programs.
func Offline(getenv func(string) string) bool {
	for _, key := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		if slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(getenv(key))) {
			return true
		}
	}
	return false
}

func (o *Options) source(n hub.Name) (source, error) {
	t := o.Transport
	if t == nil {
		t = fetch.NewTransport(o.stall())
	}
	switch n.Source {
	case hub.HuggingFace:
		return newHuggingFace(o, t)
	case hub.ModelScope:
		return newModelScope(o, t)
	case hub.OCI:
		return newRegistry(o, t, n)
	}
	return web{fetch.NewClient(t)}, nil
}

func (o *Options) stall() time.Duration {
	if o.Fetcher.Stall > 0 {
		return o.Fetcher.Stall
	}
	return 30 * time.Second
}

// Pull brings a model into the cache, and returns where it is. What is there already is not fetched again.
func Pull(ctx context.Context, n hub.Name, o Options) (*Result, error) {
	if Offline(o.Getenv) {
		where, err := o.Cache.Locate(n)
		if absent, ok := errors.AsType[*hub.AbsentError](err); ok {
			absent.Remedy = "HF_HUB_OFFLINE forbids to fetch it; unset it"
		}
		if err != nil {
			return nil, err
		}
		return &Result{Name: n.String(), Path: where, Revision: snapshotOf(where)}, nil
	}
	from, err := o.source(n)
	if err != nil {
		return nil, err
	}
	lock, err := o.own(ctx, o.Cache.Lock(n))
	if err != nil {
		return nil, err
	}
	defer lock.Release()
	plan, err := from.plan(ctx, n)
	if err != nil {
		return nil, err
	}
	plan.Name = n
	if err := plan.checkPaths(); err != nil {
		return nil, err
	}
	p := &pulling{Options: &o, plan: plan, dir: o.Cache.Dir(n)}
	return p.run(ctx)
}

// snapshotOf is the revision of a path that [hub.Cache.Locate] returned.
func snapshotOf(where string) string {
	if base := filepath.Base(filepath.Dir(where)); base != hub.Snapshots {
		return base
	}
	return filepath.Base(where)
}

// own takes a folder for this process, and waits while another has it.
func (o *Options) own(ctx context.Context, dir string) (*atomicfile.Lock, error) {
	for said := false; ; {
		lock, err := atomicfile.Own(dir)
		var held *atomicfile.LockedError
		if atomicfile.Place(err) {
			return nil, fmt.Errorf("%w: HF_HUB_CACHE and UNIMO_CACHE name the folders of models", err)
		}
		if !errors.As(err, &held) {
			return lock, err
		}
		if !said && o.Observer != nil {
			o.Observer.Waiting(held)
			said = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// checkPaths refuses a list with a path that would leave the model's folder, or that is to be made and is none on some system.
func (p *Plan) checkPaths() error {
	refuse := func(path string) error {
		return fmt.Errorf("%s: its source lists the file %q, which would not stay in the cache; nothing was fetched", p.Name, path)
	}
	for _, f := range p.LeftOut {
		if !fs.ValidPath(f.Path) {
			return refuse(f.Path)
		}
	}
	for _, f := range p.Files {
		odd := strings.ContainsFunc(f.Path, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`\:*?"<>|`, r) })
		if odd || !fs.ValidPath(f.Path) || f.Path == "." || len(f.Path) > 500 || strings.Count(f.Path, "/") > 8 || !filepath.IsLocal(filepath.FromSlash(f.Path)) {
			return refuse(f.Path)
		}
	}
	return nil
}

// pulling is one pull.
type pulling struct {
	*Options
	plan    *Plan
	dir     string
	root    *os.Root
	done    atomic.Int64
	fetched atomic.Int64
	total   int64
	pinned  bool
}

func (p *pulling) run(ctx context.Context) (*Result, error) {
	if err := p.readPins(); err != nil {
		return nil, err
	}
	missing, err := p.missing()
	if err != nil {
		return nil, err
	}
	if p.Observer != nil {
		p.Observer.Planned(p.plan)
	}
	if err := p.licence(); err != nil {
		return nil, err
	}
	if err := atomicfile.Mkdir(filepath.Join(p.dir, hub.Blobs)); err != nil {
		return nil, err
	}
	for _, folder := range []string{hub.Blobs, hub.Snapshots} { // what killed pulls left half made
		if err := atomicfile.Clean(filepath.Join(p.dir, folder)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if p.root, err = os.OpenRoot(p.dir); err != nil {
		return nil, fmt.Errorf("pull %s: %w", p.plan.Name, err)
	}
	defer p.root.Close()
	if err := p.room(missing); err != nil {
		return nil, err
	}
	if err := p.fetch(ctx, missing); err != nil {
		return nil, fmt.Errorf("pull %s: %w", p.plan.Name, err)
	}
	if err := p.writePins(); err != nil {
		return nil, err
	}
	if !p.arranged() {
		if err := p.unpack(); err != nil {
			return nil, fmt.Errorf("pull %s: %w", p.plan.Name, err)
		}
	}
	if err := p.arrange(); err != nil {
		return nil, fmt.Errorf("pull %s: %w", p.plan.Name, err)
	}
	n := p.plan.Name
	where, err := p.Cache.Locate(n)
	if err != nil {
		return nil, err
	}
	p.Cache.Used(n)
	r := &Result{Name: n.String(), Path: where, Revision: p.plan.Revision, Licence: p.plan.Licence.ID, Fetched: p.fetched.Load(), Files: p.plan.Files, LeftOut: p.plan.LeftOut, Pinned: p.pinned}
	counted := map[string]bool{}
	for _, f := range p.plan.Files {
		if !counted[f.blob] {
			r.Bytes += f.Size
		}
		counted[f.blob] = true
	}
	return r, nil
}

// blobPath is where a blob is in the repository's folder.
func blobPath(blob string) string { return hub.Blobs + "/" + blob }

// missing returns the files whose content is not in the cache.
func (p *pulling) missing() (list []*File, err error) {
	p.plan.Missing = 0
	if p.arranged() {
		return nil, nil
	}
	for _, f := range p.plan.Files {
		info, err := os.Stat(filepath.Join(p.dir, filepath.FromSlash(blobPath(f.blob)))) // a link into what repositories share, too
		if f.blob != "" && err == nil && info.Mode().IsRegular() && (f.Size < 0 || info.Size() == f.Size) {
			f.Size = info.Size()
			continue
		}
		if slices.ContainsFunc(list, func(other *File) bool { return f.blob != "" && other.blob == f.blob }) {
			continue // the same content twice
		}
		list = append(list, f)
		if f.Size < 0 || p.plan.Missing < 0 {
			p.plan.Missing = -1
		} else {
			p.plan.Missing += f.Size
		}
	}
	return list, nil
}

// arranged says whether the folder of a manifest is there: it was made when all of its files were.
func (p *pulling) arranged() bool {
	_, err := os.Lstat(filepath.Join(p.dir, hub.Snapshots, p.plan.Revision))
	return p.plan.Name.Source == hub.OCI && err == nil
}

// partName is what a file is called while it is fetched.
func partName(f *File) string {
	if f.blob != "" {
		return f.blob
	}
	return "of-" + hub.Slug(f.url)
}

// room refuses what the disk has no room for, before the first byte.
func (p *pulling) room(missing []*File) error {
	p.total = p.plan.Missing
	if p.total < 0 {
		return nil
	}
	need := p.total
	for _, f := range missing {
		if info, err := p.root.Stat(blobPath(partName(f)) + fetch.PartSuffix); err == nil {
			need -= min(info.Size(), f.Size) // holes may be in it
		}
	}
	return fetch.Room(p.dir, p.plan.Name.String(), need)
}

// filesAtOnce is how many small files are fetched at a time.
const filesAtOnce = 4

// fetch gets the missing files: small ones several at a time, big ones one after the other.
func (p *pulling) fetch(ctx context.Context, missing []*File) error {
	if len(missing) == 0 {
		return nil
	}
	p.progress(0)
	const small = 8 << 20
	for _, big := range []bool{false, true} {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(filesAtOnce)
		if big {
			group.SetLimit(1)
		}
		for _, f := range missing {
			if big == (f.Size < 0 || f.Size > small) {
				group.Go(func() error { return p.file(ctx, f) })
			}
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

func (p *pulling) progress(n int64) {
	done := p.done.Add(n)
	if p.Observer != nil {
		p.Observer.Progress(done, p.total)
	}
}

// file gets a file, and gives it its name.
func (p *pulling) file(ctx context.Context, f *File) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	get := p.Fetcher
	get.Progress = p.progress
	if p.Observer != nil {
		get.Notify = p.Observer.Again
	}
	part := blobPath(partName(f))
	got, err := get.Get(ctx, p.root, part, fetch.File{What: f.Path, URL: f.url, Client: f.client, Header: f.header, Size: f.Size, Sum: f.sum})
	if err != nil {
		return err
	}
	p.fetched.Add(got.Size)
	f.Size, f.SHA256 = got.Size, got.SHA256
	if f.blob == "" {
		f.blob = got.SHA256
	}
	return fetch.Finish(p.root, part, blobPath(f.blob))
}

// arrange makes the model's folder, of links to its files, and then the reference to it.
func (p *pulling) arrange() error {
	plan := p.plan
	if plan.Revision == "" {
		plan.Revision = contentRevision(plan.Files)
	}
	if plan.Name.Source != hub.HuggingFace {
		if err := hub.WriteName(p.dir, plan.Name); err != nil {
			return err
		}
	}
	snapshot := path.Join(hub.Snapshots, plan.Revision)
	fresh := false
	into := snapshot
	if _, err := p.root.Lstat(snapshot); errors.Is(err, fs.ErrNotExist) {
		fresh, into = true, path.Join(hub.Snapshots, atomicfile.TempMark+plan.Revision)
		if err := p.root.RemoveAll(into); err != nil {
			return err
		}
	}
	files := plan.Files
	if p.arranged() {
		files = nil
	}
	for _, f := range files {
		if err := p.link(into, f); err != nil {
			return err
		}
	}
	if fresh {
		if err := p.root.Rename(into, snapshot); err != nil {
			return err
		}
	}
	ref := path.Join(hub.Refs, plan.Name.Ref())
	if plan.Name.Digest != "" && plan.Name.Revision == "" && plan.Name.Source == hub.OCI || plan.Name.Ref() == plan.Revision {
		return nil
	}
	if err := p.root.MkdirAll(path.Dir(ref), 0o755); err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(p.dir, filepath.FromSlash(ref)), []byte(plan.Revision))
}

// contentRevision is the revision of files whose source has none: the sum of the only one, or of the list of all.
func contentRevision(files []*File) string {
	if len(files) == 1 {
		return files[0].SHA256
	}
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s\x00%s\n", f.Path, f.blob)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// link puts a link to a file's content into a folder. Where the system makes none it is the file itself.
func (p *pulling) link(folder string, f *File) error {
	at, blob := path.Join(folder, f.Path), blobPath(f.blob)
	if err := p.root.MkdirAll(path.Dir(at), 0o755); err != nil {
		return err
	}
	if there, err := p.root.Stat(at); err == nil {
		if content, err := p.root.Stat(blob); err == nil && os.SameFile(there, content) {
			return nil
		}
	}
	if err := p.root.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	up := strings.Repeat("../", strings.Count(at, "/"))
	if p.root.Symlink(filepath.FromSlash(up+blob), at) == nil {
		return nil
	}
	return p.root.Link(blob, at)
}

// Remove takes a model out of the cache, and returns how many bytes are free now.
func Remove(ctx context.Context, c hub.Cache, n hub.Name, seen Observer) (freed int64, err error) {
	if _, err := os.Lstat(c.Dir(n)); err != nil {
		return 0, &hub.AbsentError{Name: n, Remedy: hub.ListRemedy}
	}
	o := Options{Observer: seen}
	lock, err := o.own(ctx, c.Lock(n))
	if err != nil {
		return 0, err
	}
	defer lock.Release()
	return c.Remove(n)
}
