package checkpoint

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/tarfile"
)

const (
	// maxExpansion and expansionStart bound what an archive may unpack to, against
	// bombs: 16 times the compressed bytes read so far, and 64 MiB. Trained weights
	// hardly compress (about 1.1 times); freshly zeroed moments of Adam beside them
	// reach 3.5 times. The constant lets small archives of zeros pass, as tests have them.
	maxExpansion   = 16
	expansionStart = 64 << 20
)

// openArchive reads all variables of a tar of a Paddle folder into memory. The
// variables may lie under leading folders, but all in the same one.
func openArchive(f *os.File, name string, compressed bool) (Reader, error) {
	r, err := readArchive(f, name, compressed)
	if err != nil {
		return nil, inFile(name, err)
	}
	return r, nil
}

func readArchive(src io.Reader, name string, compressed bool) (*memory, error) {
	r := &memory{format: FormatPaddleTar, data: make(map[string][]byte)}
	stream := &tailReader{r: src}
	if compressed {
		r.format = FormatPaddleArchive
		guard, err := newBombGuard(src)
		if err != nil {
			return nil, err
		}
		stream.r = guard
	}
	a := archive{stream: stream, tar: tarfile.NewReader(stream), seen: make(map[string]bool), result: r}
	for {
		entry, err := a.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if entry == "" {
				return nil, fmt.Errorf("%s: %w", a.place(), err)
			}
			return nil, fmt.Errorf("entry %q: tensor %q: %w", entry, path.Base(entry), err)
		}
	}
	if err := stream.finish(); err != nil {
		return nil, fmt.Errorf("%s: %w", a.place(), endsEarly(err))
	}
	if len(a.infos) == 0 {
		return nil, fmt.Errorf("holds no Paddle variable among its %d files; if it holds safetensors, unpack it and open that file", len(r.files))
	}
	r.table = newTable(name, a.infos)
	slices.SortFunc(r.files, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return r, nil
}

// archive is the state of reading a tar.
type archive struct {
	stream *tailReader
	tar    *tarfile.Reader
	seen   map[string]bool // cleaned paths
	folder string          // where the variables lie
	last   string          // the entry before, for errors
	infos  []Info
	result *memory
}

// place says how far reading got, for errors between two entries.
func (a *archive) place() string {
	if a.last == "" {
		return "at the first entry"
	}
	return fmt.Sprintf("after entry %q", a.last)
}

// next reads one entry and returns its path as soon as it is known; io.EOF at the end.
func (a *archive) next() (entry string, err error) {
	h, err := a.tar.Next()
	if err != nil {
		switch {
		case errors.Is(err, tarfile.ErrHeader):
			err = fmt.Errorf("not a tar archive, or damaged: %w", err)
		case errors.Is(err, io.ErrUnexpectedEOF): // a plain EOF is the archive's end
			err = errCutOff
		}
		return "", err
	}
	if h.Type == tarfile.Global { // comments, as git archive writes them
		return "", nil
	}
	a.last = h.Name
	entry, err = cleanEntry(h.Name)
	if err != nil {
		return h.Name, err
	}
	switch h.Type {
	case tarfile.Directory:
		return entry, nil
	case tarfile.Regular:
		a.stream.expect(h.Size)
	case tarfile.Symlink, tarfile.Link:
		return entry, fmt.Errorf("a link to %q; links are not followed, pack the files themselves", h.Link)
	default:
		return entry, fmt.Errorf("of type %q, which no checkpoint holds; pack files and folders only", h.Type)
	}
	if h.Sparse() {
		return entry, errors.New("a sparse file; pack it without --sparse")
	}
	if entry == "." {
		return entry, errors.New("a file without a name")
	}
	if a.seen[entry] {
		return entry, errors.New("is in the archive twice")
	}
	a.seen[entry] = true
	return entry, a.readFile(entry, h.Size)
}

// readFile takes a variable into the result, or lists the file as unrecognised.
func (a *archive) readFile(entry string, size int64) error {
	folder, name := path.Split(entry)
	in := bufio.NewReaderSize(a.tar, 4096)
	v, reason, err := inspectVariable(in, name, size)
	if err != nil {
		return err
	}
	if reason != "" {
		a.result.files = append(a.result.files, File{Name: entry, Reason: reason})
		return nil
	}
	if len(a.infos) > 0 && folder != a.folder {
		return fmt.Errorf("variables lie in two folders, %q and %q; unpack the archive and open one of them", a.folder, folder)
	}
	a.folder = folder
	data, err := readData(in, v.size)
	if err != nil {
		return err
	}
	a.infos = append(a.infos, v.info)
	a.result.data[name] = data
	return nil
}

// cleanEntry checks that a path of an archive leads nowhere but down, on any
// system, and returns it without "./".
func cleanEntry(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("has an empty path")
	case strings.HasPrefix(name, "/"):
		return "", errors.New("has an absolute path; pack it again with relative paths")
	case strings.ContainsAny(name, "\\:\x00"):
		return "", errors.New(`has a path with a backslash, a colon or a zero byte`)
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New(`has a path with ".."; pack it again without`)
		}
	}
	return path.Clean(name), nil
}

// bombGuard unpacks gzip and stops when too much comes out of too little.
type bombGuard struct {
	gz         *gzip.Reader
	compressed counter
	unpacked   int64
}

// counter counts the bytes read through it.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func newBombGuard(r io.Reader) (*bombGuard, error) {
	g := &bombGuard{compressed: counter{r: r}}
	var err error
	if g.gz, err = gzip.NewReader(bufio.NewReaderSize(&g.compressed, 1<<16)); err != nil {
		return nil, endsEarly(err)
	}
	return g, nil
}

func (g *bombGuard) Read(p []byte) (int, error) {
	n, err := g.gz.Read(p)
	g.unpacked += int64(n)
	if g.unpacked > expansionStart+maxExpansion*g.compressed.n {
		return 0, fmt.Errorf("unpacks to over %d bytes from %d; if you trust it, unpack it with tar and open the folder", g.unpacked, g.compressed.n)
	}
	return n, err
}

// tailReader remembers how many zeros after the last entry a stream ended with, to
// tell a whole tar, which ends with two blocks of them, from one cut off between two
// entries. The reader of entries does not.
type tailReader struct {
	r       io.Reader
	pos     int64 // bytes read
	content int64 // where the last entry and the last byte that is not zero end
}

func (t *tailReader) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	nonzero := n
	for nonzero > 0 && p[nonzero-1] == 0 {
		nonzero--
	}
	if nonzero > 0 {
		t.content = max(t.content, t.pos+int64(nonzero))
	}
	t.pos += int64(n)
	return n, err
}

// expect notes that an entry's data of size bytes follows, padded to whole blocks.
// Zeros in there, as many tensors end with, are not the archive's end.
func (t *tailReader) expect(size int64) {
	t.content = max(t.content, (t.pos+size+tarBlock-1)/tarBlock*tarBlock)
}

// finish reads what follows the last entry: padding with zeros and, for gzip,
// the checksum.
func (t *tailReader) finish() error {
	end := t.content
	if t.pos-end < 2*tarBlock {
		return errCutOff
	}
	if _, err := io.Copy(io.Discard, t); err != nil {
		return err
	}
	if t.content != end {
		return errors.New("data after the end of the archive")
	}
	return nil
}
