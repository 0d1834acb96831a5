package corpus

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// file is a shard that is one file.
type file struct {
	path       string
	name       string // within the collection
	shard      int
	size       int64
	compressed bool
}

func (f *file) seekable() bool { return !f.compressed }

func (f *file) digest(w io.Writer) { fmt.Fprintf(w, "%q %d\n", f.name, f.size) }

// stream is an open file, from a place on if it is not compressed.
type stream struct {
	io.Reader
	io.Closer
}

func (f *file) stream(offset int64) (stream, error) {
	in, err := infile.Open(f.path)
	if err != nil {
		return stream{}, err
	}
	if !f.compressed {
		if _, err := in.Seek(offset, io.SeekStart); err != nil {
			in.Close()
			return stream{}, err
		}
		return stream{in, in}, nil
	}
	return stream{&unpacker{in: bufio.NewReaderSize(in, 64<<10)}, in}, nil
}

// unpacker unpacks gzip. What is wrong with the file becomes errDamaged, other errors stay.
type unpacker struct {
	in *bufio.Reader
	gz *gzip.Reader
}

var errDamaged = errors.New("cut off or damaged")

// Read implements [io.Reader].
func (u *unpacker) Read(p []byte) (n int, err error) {
	if u.gz == nil {
		u.gz, err = gzip.NewReader(u.in)
	}
	if err == nil {
		n, err = u.gz.Read(p)
	}
	var system *os.PathError
	if err != nil && err != io.EOF && !errors.As(err, &system) {
		err = errDamaged
	}
	if u.gz == nil {
		err = errDamaged // empty, or another kind of file
	}
	return n, err
}

// lines is a file with a sample a line.
type lines struct {
	file
	parse func(line []byte, s *Sample) (reason string) // "" if it is a sample
}

// open implements shard.
func (l *lines) open(from Ref) (cursor, error) {
	in, err := l.stream(from.Offset)
	if err != nil {
		return nil, err
	}
	c := &lineCursor{lines: l, in: bufio.NewReaderSize(in, 64<<10), Closer: in}
	if l.seekable() {
		c.number, c.offset = from.Number, from.Offset
	}
	for c.number < from.Number {
		if _, _, err := c.line(); errors.Is(err, io.EOF) || errors.Is(err, errDamaged) {
			break // it has changed: next says that nothing follows
		} else if err != nil {
			in.Close()
			return nil, err
		}
	}
	return c, nil
}

// lineCursor implements cursor.
type lineCursor struct {
	*lines
	in     *bufio.Reader
	number int   // of lines read
	offset int64 // of the next
	buf    []byte
	ended  bool
	io.Closer
}

// place implements cursor.
func (c *lineCursor) place() Ref {
	ref := Ref{Shard: c.shard, Number: c.number}
	if c.seekable() {
		ref.Offset = c.offset
	}
	return ref
}

// line returns the next line, valid until the one after. What is too long is read over.
func (c *lineCursor) line() (line []byte, long bool, err error) {
	c.buf = c.buf[:0]
	for {
		part, err := c.in.ReadSlice('\n')
		c.offset += int64(len(part))
		if long = long || len(c.buf)+len(part) > maxText; !long {
			c.buf = append(c.buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(c.buf) == 0 && !long:
			return nil, false, io.EOF
		case err != nil && !errors.Is(err, io.EOF):
			return nil, false, err // what has come of the line is no line
		}
		c.number++
		return c.buf, long, nil
	}
}

// next implements cursor.
func (c *lineCursor) next() (*Sample, error) {
	for !c.ended {
		at := c.place()
		where := fmt.Sprintf("%s:%d", c.path, at.Number+1)
		line, long, err := c.line()
		if at.Number == 0 {
			line = infile.TrimMark(line)
		}
		reason := ""
		switch {
		case errors.Is(err, errDamaged):
			c.ended = true
			return nil, skipped{CutOff, where}
		case err != nil:
			return nil, err
		case long:
			reason = LongLine
		case len(bytes.TrimSpace(line)) == 0:
			continue
		case !utf8.Valid(line) || bytes.IndexByte(line, 0) >= 0:
			reason = NotUTF8
		default:
			s := &Sample{Ref: at, Where: where, Key: fmt.Sprintf("%s:%d", c.name, at.Number+1), bytes: len(line)}
			if reason = c.parse(bytes.TrimRight(line, "\r\n"), s); reason == "" {
				return s, nil
			}
		}
		return nil, skipped{reason, where}
	}
	return nil, io.EOF
}

func parseText(line []byte, s *Sample) string {
	s.Text = string(bytes.TrimSpace(line))
	return ""
}

// parseColumns takes the last column; the first says what belongs together.
func parseColumns(line []byte, s *Sample) string {
	row := string(line)
	at := strings.LastIndexByte(row, '\t')
	s.Text = strings.TrimSpace(row[at+1:])
	if at >= 0 {
		s.group, _, _ = strings.Cut(row, "\t")
	}
	if s.Text == "" {
		return EmptyText
	}
	return ""
}

// lineKey returns the key of a line that has a role, "" for none: own, or else one of the names
// that the table of columns has for it.
func lineKey(o columns.Object, own string, role columns.Role) string {
	if len(o[own]) > 0 {
		return own
	}
	key, _ := o.Key(role) // of two none
	return key
}

func parseJSONText(line []byte, s *Sample) string {
	o, problem := columns.ParseObject(line)
	if problem != "" {
		return NotJSON
	}
	texts, problem := o.Texts(lineKey(o, "text", columns.Text))
	if problem != "" || len(texts) > 1 {
		return NotJSON
	}
	var id any // a text or a number
	if o.Decode("id", &id) == "" && id != nil {
		s.group = fmt.Sprint(id)
	}
	if len(texts) == 1 {
		s.Text = strings.TrimSpace(texts[0])
	}
	if s.Text == "" {
		return EmptyText
	}
	return ""
}

// jsonImages returns the parser of lines about images in a folder.
func (c *Collection) jsonImages(dir string) func([]byte, *Sample) string {
	return func(line []byte, s *Sample) string {
		o, problem := columns.ParseObject(line)
		if problem != "" {
			return NotJSON
		}
		image, problem := o.Texts(lineKey(o, "image", columns.Image))
		if problem != "" || len(image) > 1 {
			return NotJSON
		}
		if len(image) == 0 || image[0] == "" {
			return NoPicture
		}
		name := filepath.FromSlash(path.Clean(image[0]))
		if !filepath.IsLocal(name) {
			return Outside
		}
		s.Key = filepath.ToSlash(name)
		if reason := c.setPicture(s, dir, s.Key); reason != "" {
			return reason
		}
		return c.setObject(s, o, nil)
	}
}

// setObject takes over what an object says about an image, and what the kind needs: the captions
// given come first.
func (c *Collection) setObject(s *Sample, o columns.Object, captions []string) (reason string) {
	objects, problem := o.Texts("objects")
	s.oddObjects = problem != ""
	for _, name := range objects {
		if name = strings.TrimSpace(name); name != "" {
			s.Objects = append(s.Objects, name)
		}
	}
	if c.kind != Pairs {
		return ""
	}
	keys := []string{"captions", "caption", "text"}
	if !slices.ContainsFunc(keys, func(key string) bool { return o[key] != nil }) && len(captions) == 0 {
		keys = []string{lineKey(o, "captions", columns.Caption)}
	}
	for _, key := range keys {
		texts, problem := o.Texts(key)
		if problem != "" {
			return NotJSON
		}
		captions = append(captions, texts...)
	}
	return s.captions(captions)
}
