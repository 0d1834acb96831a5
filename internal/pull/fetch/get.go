package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

// File is what is to be fetched.
type File struct {
	What   string // for messages
	URL    string
	Client *http.Client
	Header func(*http.Request) // gives credentials to a request of the URL's origin; nil: none
	Size   int64               // -1: not known
	Sum    Sum
}

// Fetcher gets files. Its zero value is ready.
type Fetcher struct {
	Patience
	Connections int                                 // of a big file; 0: 4
	Chunk       int64                               // bytes; 0: 8 MiB
	Progress    func(n int64)                       // so many bytes more are there; less, if what was there is of no use
	Notify      func(err error, wait time.Duration) // something failed and is tried again
}

// Got is a file that came whole.
type Got struct {
	SHA256 string
	Size   int64
}

const (
	bufferSize    = 512 << 10
	mostRestarts  = 3 // of a file that changes while it is fetched
	unsummedShare = 8 // a chunk of what has no sum is so much smaller, as its part counts only when it is on the disk
)

// errChanged says that what comes is of another file than what has come.
var errChanged = errors.New("the file has changed")

// errStalled ends a request that brings nothing.
var errStalled = errors.New("nothing came for too long")

// Suffixes of what is not whole: the content, and how far it has come.
const (
	PartSuffix  = ".unimo-part"
	stateSuffix = ".state"
)

// Get fetches a file into name+[PartSuffix] in the folder root, where an earlier Get may have left a part of it, and flushes it to the
// disk; the caller gives it its name. Where an error leaves a part that is of use, the next Get goes on from it.
func (f *Fetcher) Get(ctx context.Context, root *os.Root, name string, file File) (Got, error) {
	for restarts := 0; ; restarts++ {
		j := &job{f: f, file: file, root: root, part: name + PartSuffix, patience: f.filled()}
		j.cond = sync.NewCond(&j.mu)
		got, err := j.run(ctx)
		err = errors.Join(err, j.closeFiles())
		var sum *SumError
		var server *ServerError
		changed := errors.Is(err, errChanged)
		if err == nil {
			root.Remove(j.part + stateSuffix)
			return got, nil
		}
		if changed || errors.As(err, &sum) || errors.As(err, &server) || j.useless() {
			j.discard()
		}
		switch {
		case changed && restarts < mostRestarts, sum != nil && j.resumed:
			continue
		case changed:
			return Got{}, &ServerError{host(file.URL), fmt.Sprintf("changes %s while it is fetched", file.What)}
		}
		return Got{}, err
	}
}

func host(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Host
	}
	return address
}

// job is one try of a file.
type job struct {
	f          *Fetcher
	file       File
	patience   Patience
	root       *os.Root
	part       string
	data, note *os.File
	resumed    bool

	mu       sync.Mutex
	cond     *sync.Cond // counts have grown, or the end has come
	st       *state
	next     int64  // chunk to begin
	location string // where redirects led
	reported int64  // to Progress
}

func (j *job) run(ctx context.Context) (Got, error) {
	if err := j.openFiles(); err != nil {
		return Got{}, err
	}
	chunk := j.chunk()
	var first *answer
	if !j.resumed {
		if j.file.Size >= 0 && j.file.Size <= chunk {
			return j.whole(ctx, nil)
		}
		err := j.patience.Retry(ctx, j.f.Notify, func() (_ bool, err error) {
			first, err = j.ask(ctx, 0, chunk-1)
			return false, err
		})
		if err != nil {
			return Got{}, err
		}
		if first.StatusCode == http.StatusOK { // it knows no ranges
			return j.whole(ctx, first)
		}
		if err := j.begin(first.Response, chunk); err != nil {
			first.close()
			return Got{}, err
		}
	}
	return j.chunks(ctx, first)
}

func (j *job) chunk() int64 {
	chunk := j.f.Chunk
	if chunk == 0 {
		chunk = 8 << 20
	}
	if j.file.Sum.Hex == "" {
		chunk = max(1, chunk/unsummedShare)
	}
	return chunk
}

// openFiles opens the part and reads how far it has come.
func (j *job) openFiles() (err error) {
	for _, name := range []string{j.part, j.part + stateSuffix} {
		if info, err := j.root.Lstat(name); err == nil && !info.Mode().IsRegular() {
			return &localError{fmt.Errorf("%s is no ordinary file; remove it", filepath.Join(j.root.Name(), name))}
		}
	}
	if j.data, err = j.root.OpenFile(j.part, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return &localError{err}
	}
	if j.note, err = j.root.OpenFile(j.part+stateSuffix, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return &localError{err}
	}
	s, err := readState(j.note)
	info, serr := j.data.Stat()
	if err != nil || serr != nil || s.URL != j.file.URL || s.Sum != j.file.Sum.String() || j.file.Size >= 0 && s.Size != j.file.Size || info.Size() > s.Size || info.Size() < s.end() || s.Validator == "" && s.Sum == "" || s.have() == 0 {
		if err := errors.Join(j.note.Truncate(0), j.data.Truncate(0)); err != nil {
			return &localError{err}
		}
		return nil
	}
	j.st, j.resumed = s, true
	j.report(s.have())
	return nil
}

func (j *job) closeFiles() error {
	var errs []error
	for _, f := range []*os.File{j.data, j.note} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// useless says whether nothing has come that a later job could go on from, as from a server that knows no ranges.
func (j *job) useless() bool { return j.data != nil && (j.st == nil || j.st.have() == 0) }

// discard takes away what has come.
func (j *job) discard() {
	j.root.Remove(j.part + stateSuffix)
	j.root.Remove(j.part)
	j.report(-j.reported)
}

func (j *job) report(n int64) {
	j.mu.Lock()
	j.reported += n
	j.mu.Unlock()
	if j.f.Progress != nil && n != 0 {
		j.f.Progress(n)
	}
}

// room refuses a file that the disk has no room for.
func (j *job) room(size int64) error {
	return Room(j.root.Name(), j.file.What, size)
}

// Room refuses so many bytes in the folder dir if the disk has not as many free.
func Room(dir, what string, size int64) error {
	if free, known := atomicfile.Free(dir); known && size > free {
		return &localError{fmt.Errorf("%s needs %d MB, and the disk of %s has %d MB free; make room, or name another folder (HF_HOME, UNIMO_CACHE)", what, (size+999999)/1000000, dir, free/1000000)}
	}
	return nil
}

// begin notes what the first answer with a range says of the file.
func (j *job) begin(resp *http.Response, chunk int64) error {
	_, _, size, err := contentRange(resp, j.file.What)
	if err != nil {
		return err
	}
	if j.file.Size >= 0 && size != j.file.Size {
		return &ServerError{resp.Request.URL.Host, fmt.Sprintf("has %d bytes of %s; want %d", size, j.file.What, j.file.Size)}
	}
	if err := j.room(size); err != nil {
		return err
	}
	j.st = newState(j.file.URL, j.file.Sum.String(), size, chunk)
	j.st.Validator = validator(resp.Header)
	raw, err := j.st.bytes()
	if err == nil {
		_, err = j.note.WriteAt(raw, 0)
	}
	if err != nil {
		return &localError{fmt.Errorf("note how far %s has come: %w", j.file.What, err)}
	}
	return nil
}

// validator is what tells a file's versions apart: a strong ETag, or the time of its change.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) && len(tag) < 1000 {
		return tag
	}
	if changed := h.Get("Last-Modified"); len(changed) < 100 {
		return changed
	}
	return ""
}

// request asks for the bytes from..to, of all if to is negative. The answer is one of success.
func (j *job) request(ctx context.Context, from, to int64) (*http.Response, error) {
	for {
		j.mu.Lock()
		address, checked := j.location, ""
		if j.st != nil {
			checked = j.st.Validator
		}
		j.mu.Unlock()
		redirected := address != ""
		if !redirected {
			address = j.file.URL
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, &localError{err}
		}
		req.Header.Set("Accept-Encoding", "identity")
		if origin, err := url.Parse(j.file.URL); j.file.Header != nil && err == nil && sameOrigin(origin, req.URL) {
			j.file.Header(req)
		}
		if to >= 0 {
			req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", from, to))
			if checked != "" {
				req.Header.Set("If-Range", checked)
			}
		}
		resp, err := j.file.Client.Do(req)
		if err != nil {
			return nil, j.failed(ctx, err)
		}
		j.mu.Lock()
		switch resp.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone: // such an address is good for some time
			j.location = ""
		case http.StatusOK, http.StatusPartialContent:
			if final := resp.Request.URL.String(); final != j.file.URL {
				j.location = final
			}
		}
		gone := redirected && j.location == ""
		j.mu.Unlock()
		if gone {
			resp.Body.Close()
			continue
		}
		if err := j.answered(resp, to >= 0); err != nil {
			resp.Body.Close()
			return nil, err
		}
		return resp, nil
	}
}

// answered checks an answer's head.
func (j *job) answered(resp *http.Response, ranged bool) error {
	name := resp.Request.URL.Host
	switch code := resp.StatusCode; {
	case code == http.StatusRequestedRangeNotSatisfiable && j.st != nil:
		return errChanged
	case code != http.StatusOK && code != http.StatusPartialContent:
		return Failure(j.file.What, resp)
	case code == http.StatusPartialContent && !ranged:
		return &ServerError{name, fmt.Sprintf("sends a part of %s where all was asked for", j.file.What)}
	case code == http.StatusOK && j.st != nil:
		return errChanged // or it knows no ranges any more; either way from the beginning
	case j.st != nil && j.st.Validator != "" && validator(resp.Header) != j.st.Validator:
		return errChanged
	}
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return &ServerError{name, fmt.Sprintf("sends %s coded as %q, which was not asked for", j.file.What, coding)}
	}
	return nil
}

// contentRange reads which bytes an answer has, and of how many.
func contentRange(resp *http.Response, what string) (from, to, size int64, err error) {
	header := resp.Header.Get("Content-Range")
	from, to, size, ok := parseRange(header)
	if !ok {
		return 0, 0, 0, &ServerError{resp.Request.URL.Host, fmt.Sprintf("says %q of the part of %s that it sends; want bytes A-B/SIZE", header, what)}
	}
	if n := resp.ContentLength; n >= 0 && n != to-from+1 {
		return 0, 0, 0, &ServerError{resp.Request.URL.Host, fmt.Sprintf("says %q of %s and then sends %d bytes", header, what, n)}
	}
	return from, to, size, nil
}

// parseRange reads the header Content-Range of a part.
func parseRange(header string) (from, to, size int64, ok bool) {
	rest, bytes := strings.CutPrefix(header, "bytes ")
	span, total, slash := strings.Cut(rest, "/")
	first, last, dash := strings.Cut(span, "-")
	var errs [3]error
	from, errs[0] = strconv.ParseInt(first, 10, 64)
	to, errs[1] = strconv.ParseInt(last, 10, 64)
	size, errs[2] = strconv.ParseInt(total, 10, 64)
	return from, to, size, bytes && slash && dash && errors.Join(errs[:]...) == nil && from >= 0 && from <= to && to < size
}

// plain is an error of a request without the words that net/http puts before it.
func plain(what string, err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		var server *ServerError
		if errors.As(u.Err, &server) {
			return fmt.Errorf("%s: %w", what, server)
		}
		var unknown *net.DNSError
		if errors.As(u.Err, &unknown) {
			return fmt.Errorf("%s from %s: %w; check the connection, and the name of the host (HF_ENDPOINT names another hub)", what, host(u.URL), u.Err)
		}
		return fmt.Errorf("%s from %s: %w", what, host(u.URL), u.Err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// failed is the error of a request or of reading its answer.
func (j *job) failed(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStalled) {
		return fmt.Errorf("%s from %s: %w (%s)", j.file.What, host(j.file.URL), errStalled, j.patience.Stall)
	}
	return plain(j.file.What, err)
}

// answer is one that ends when nothing comes for too long.
type answer struct {
	*http.Response
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	stall  time.Duration
}

// ask is request for an answer that ends when nothing comes for too long.
func (j *job) ask(parent context.Context, from, to int64) (_ *answer, err error) {
	a := &answer{stall: j.patience.Stall}
	a.ctx, a.cancel = context.WithCancelCause(parent)
	a.timer = time.AfterFunc(a.stall, func() { a.cancel(errStalled) })
	if a.Response, err = j.request(a.ctx, from, to); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

// read reads at least one byte.
func (a *answer) read(p []byte) (int, error) {
	n, err := io.ReadAtLeast(a.Body, p, 1)
	if n > 0 {
		a.timer.Reset(a.stall)
	}
	return n, err
}

func (a *answer) close() {
	a.timer.Stop()
	a.cancel(context.Canceled)
	if a.Response != nil {
		a.Body.Close()
	}
}

// whole gets a file from its beginning over one connection: a small one, or one of a server that knows no ranges.
func (j *job) whole(ctx context.Context, resp *answer) (got Got, err error) {
	best := int64(0)
	err = j.patience.Retry(ctx, j.f.Notify, func() (bool, error) {
		if resp == nil {
			if resp, err = j.ask(ctx, 0, -1); err != nil {
				return false, err
			}
		}
		n, sum, err := j.stream(resp)
		resp = nil
		on := n > best
		if best = max(best, n); err != nil {
			return on, err
		}
		sha, err := sum.check(j.file.What, j.file.Sum)
		got = Got{sha, n}
		return on, err
	})
	if err != nil {
		return Got{}, err
	}
	return got, j.flush()
}

func (j *job) flush() error {
	if err := atomicfile.Flush(j.data); err != nil {
		return &localError{fmt.Errorf("%s: %w", j.file.What, err)}
	}
	return nil
}

// stream writes an answer into the part, from its beginning.
func (j *job) stream(resp *answer) (n int64, sum *summing, err error) {
	defer resp.close()
	size := j.file.Size
	if announced := resp.ContentLength; announced >= 0 {
		if size >= 0 && announced != size {
			return 0, nil, &ServerError{resp.Request.URL.Host, fmt.Sprintf("has %d bytes of %s; want %d", announced, j.file.What, size)}
		}
		size = announced
	}
	if err := j.room(max(0, size)); err != nil {
		return 0, nil, err
	}
	if err := j.data.Truncate(0); err != nil {
		return 0, nil, &localError{err}
	}
	j.report(-j.reported)
	if size < 0 && j.file.Sum.Algorithm == Git {
		return 0, nil, &ServerError{resp.Request.URL.Host, "does not say how long " + j.file.What + " is"}
	}
	sum = newSumming(j.file.Sum, size)
	buffer := make([]byte, bufferSize)
	for {
		k, err := resp.read(buffer)
		if k > 0 {
			if size >= 0 && n+int64(k) > size {
				return n, nil, &ServerError{resp.Request.URL.Host, fmt.Sprintf("sends more than %d bytes of %s", size, j.file.What)}
			}
			sum.Write(buffer[:k])
			if _, err := j.data.WriteAt(buffer[:k], n); err != nil {
				return n, nil, &localError{fmt.Errorf("%s: %w", j.file.What, err)}
			}
			n += int64(k)
			j.report(int64(k))
		}
		switch {
		case errors.Is(err, io.EOF) && (size < 0 || n == size):
			return n, sum, nil
		case errors.Is(err, io.EOF):
			return n, nil, j.failed(resp.ctx, io.ErrUnexpectedEOF)
		case err != nil:
			return n, nil, j.failed(resp.ctx, err)
		}
	}
}

// chunks gets the chunks that are missing, several at a time, and hashes what has come from the beginning on. first is an answer with the
// first of them; nil: there is none.
func (j *job) chunks(ctx context.Context, first *answer) (Got, error) {
	workers := j.f.Connections
	if workers == 0 {
		workers = 4
	}
	workers = int(min(int64(workers), j.st.chunks()))
	group, ctx := errgroup.WithContext(ctx)
	for i := range workers {
		group.Go(func() error {
			buffer := make([]byte, bufferSize)
			var resp *answer
			if i == 0 {
				resp = first
			}
			for {
				chunk, ok := j.take(resp != nil)
				if !ok {
					return nil
				}
				if err := j.fill(ctx, chunk, resp, buffer); err != nil {
					return err
				}
				resp = nil
			}
		})
	}
	var sha string
	group.Go(func() (err error) {
		sha, err = j.hash(ctx)
		return err
	})
	if err := group.Wait(); err != nil {
		return Got{}, err
	}
	return Got{sha, j.st.Size}, j.flush()
}

// take returns a chunk that is not whole and nobody has begun; whoever has the first answer takes the first.
func (j *job) take(first bool) (int64, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if first {
		return 0, true
	}
	if j.next == 0 && !j.resumed {
		j.next = 1
	}
	for ; j.next < j.st.chunks(); j.next++ {
		if j.st.counts[j.next] < j.st.length(j.next) {
			j.next++
			return j.next - 1, true
		}
	}
	return 0, false
}

// fill gets what is missing of a chunk.
func (j *job) fill(ctx context.Context, chunk int64, resp *answer, buffer []byte) error {
	return j.patience.Retry(ctx, j.f.Notify, func() (bool, error) {
		n, err := j.piece(ctx, chunk, resp, buffer)
		resp = nil
		return n > 0, err
	})
}

// piece gets what one answer brings of the missing bytes of a chunk.
func (j *job) piece(ctx context.Context, chunk int64, resp *answer, buffer []byte) (n int64, err error) {
	j.mu.Lock()
	at := chunk*j.st.Chunk + j.st.counts[chunk]
	j.mu.Unlock()
	last := chunk*j.st.Chunk + j.st.length(chunk) - 1
	if resp == nil {
		if resp, err = j.ask(ctx, at, last); err != nil {
			return 0, err
		}
	}
	defer resp.close()
	from, to, size, err := contentRange(resp.Response, j.file.What)
	if err != nil {
		return 0, err
	}
	if from != at || to > last || size != j.st.Size {
		return 0, &ServerError{resp.Request.URL.Host, fmt.Sprintf("sends the bytes %d-%d of %d of %s, where %d-%d of %d were asked for", from, to, size, j.file.What, at, last, j.st.Size)}
	}
	kept := at // what is on the disk for sure
	for at <= to {
		k, err := resp.read(buffer[:min(int64(len(buffer)), to-at+1)])
		if k > 0 {
			if _, err := j.data.WriteAt(buffer[:k], at); err != nil {
				return n, &localError{fmt.Errorf("%s: %w", j.file.What, err)}
			}
			at, n = at+int64(k), n+int64(k)
			if j.file.Sum.Hex != "" {
				kept = at
			} else if at > last {
				if err := j.flush(); err != nil {
					return n, err
				}
				kept = at
			}
			if err := j.count(chunk, at-chunk*j.st.Chunk, kept-chunk*j.st.Chunk); err != nil {
				return n, err
			}
			j.report(int64(k))
		}
		if err != nil && at <= to {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return n, j.failed(resp.ctx, err)
		}
	}
	if at <= last {
		return n, j.failed(resp.ctx, io.ErrUnexpectedEOF) // a shorter range than was asked for
	}
	if resp.ContentLength < 0 {
		if k, _ := resp.read(buffer[:1]); k > 0 {
			return n, &ServerError{resp.Request.URL.Host, fmt.Sprintf("sends more of %s than it says", j.file.What)}
		}
	}
	return n, nil
}

// count notes how much of a chunk has come, and how much of that a later process may rely on.
func (j *job) count(chunk, n, kept int64) error {
	j.mu.Lock()
	j.st.counts[chunk] = n
	j.cond.Broadcast()
	j.mu.Unlock()
	var raw [8]byte
	for i := range raw {
		raw[i] = byte(kept >> (8 * i))
	}
	if _, err := j.note.WriteAt(raw[:], place(chunk)); err != nil {
		return &localError{fmt.Errorf("note how far %s has come: %w", j.file.What, err)}
	}
	return nil
}

// hash reads what has come from the beginning on, as it comes.
func (j *job) hash(ctx context.Context) (string, error) {
	defer context.AfterFunc(ctx, func() { j.mu.Lock(); j.cond.Broadcast(); j.mu.Unlock() })()
	sum := newSumming(j.file.Sum, j.st.Size)
	buffer := make([]byte, bufferSize)
	for at := int64(0); at < j.st.Size; {
		front, err := j.front(ctx, at)
		if err != nil {
			return "", err
		}
		for at < front {
			k, err := j.data.ReadAt(buffer[:min(int64(len(buffer)), front-at)], at)
			if k == 0 && err != nil {
				return "", &localError{fmt.Errorf("%s: %w", j.file.What, err)}
			}
			sum.Write(buffer[:k])
			at += int64(k)
		}
	}
	return sum.check(j.file.What, j.file.Sum)
}

// front waits until more than the first at bytes have come, and returns how many have, without a gap.
func (j *job) front(ctx context.Context, at int64) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for {
		front := at
		for i := at / j.st.Chunk; i < j.st.chunks(); i++ {
			if front = i*j.st.Chunk + j.st.counts[i]; j.st.counts[i] < j.st.length(i) {
				break
			}
		}
		if front > at {
			return front, nil
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		j.cond.Wait()
	}
}

// Finish gives a file that [Fetcher.Get] fetched its name.
func Finish(root *os.Root, part, name string) error {
	if err := root.Rename(part+PartSuffix, name); err != nil {
		return err
	}
	d, err := root.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	defer d.Close()
	if err := atomicfile.Flush(d); err != nil && !errors.Is(err, fs.ErrInvalid) && os.PathSeparator == '/' { // Windows has no such flush
		return err
	}
	return nil
}

// Had is how many bytes of a file an earlier [Fetcher.Get] left for the next.
func Had(root *os.Root, name string) int64 {
	f, err := root.Open(name + PartSuffix + stateSuffix)
	if err != nil {
		return 0
	}
	defer f.Close()
	s, err := readState(f)
	if err != nil {
		return 0
	}
	return s.have()
}
