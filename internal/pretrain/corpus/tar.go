package corpus

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/columns"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/tarfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// archive is a tar file as WebDataset has it: entries that follow each other and have one
// name up to the first dot of their last part are a sample. Behind its end another may follow.
type archive struct {
	file
	c *Collection
}

// open implements shard.
func (a *archive) open(from Ref) (cursor, error) {
	in, err := a.stream(from.Offset)
	if err != nil {
		return nil, err
	}
	c := &tarCursor{archive: a, Closer: in, in: &counter{Reader: in}}
	if file, ok := in.Reader.(*os.File); ok {
		c.in.file, c.in.at, c.offset = file, from.Offset, from.Offset
		c.number = from.Number
		c.tar = tarfile.NewReader(seekable{c.in})
	} else {
		c.tar = tarfile.NewReader(c.in)
	}
	for c.number < from.Number {
		if _, err := c.next(); errors.Is(err, io.EOF) {
			break // it has changed
		} else if err != nil && !errors.As(err, new(skipped)) {
			in.Close()
			return nil, err
		}
	}
	return c, nil
}

// counter knows at which byte of a file the reading is.
type counter struct {
	io.Reader
	file *os.File // nil if it is compressed
	at   int64
}

// Read implements [io.Reader].
func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.at += int64(n)
	return n, err
}

// seekable is a counter of a file that is not compressed.
type seekable struct{ *counter }

// Seek implements [io.Seeker].
func (s seekable) Seek(offset int64, whence int) (int64, error) {
	at, err := s.file.Seek(offset, whence)
	s.at = at
	return at, err
}

// tarCursor implements cursor.
type tarCursor struct {
	*archive
	io.Closer
	in     *counter
	tar    *tarfile.Reader
	number int    // of samples before the next
	offset int64  // of the next one's first header
	held   *entry // the first entry of the next sample, whose content has not been read
	ended  bool
	broken bool // and that has not been said yet
}

// entry is a file of an archive.
type entry struct {
	*tarfile.Header
	begin   int64 // of the header
	content int64
	first   bool // of an archive that follows another
}

// end is where the next header is.
func (e *entry) end() int64 {
	const block = 512
	return e.content + (e.Stored()+block-1)/block*block
}

// place implements cursor.
func (c *tarCursor) place() Ref {
	ref := Ref{Shard: c.shard, Number: c.number}
	if c.seekable() {
		ref.Offset = c.offset
	}
	return ref
}

// entry returns the next file. What is wrong with the archive is errDamaged.
func (c *tarCursor) entry() (*entry, error) {
	if e := c.held; e != nil {
		c.held, c.offset = nil, e.end()
		return e, nil
	}
	first := false
	for {
		if c.seekable() && c.offset > c.size {
			return nil, errDamaged
		}
		h, err := c.tar.Next()
		if errors.Is(err, io.EOF) && c.another() {
			first = true
			continue
		}
		if err != nil {
			return nil, damage(err)
		}
		e := &entry{h, c.offset, c.in.at, first}
		if e.Sparse() || c.seekable() && (e.Stored() > c.size || e.content+e.Stored() > c.size) {
			return nil, errDamaged
		}
		c.offset = e.end()
		if e.Type == tarfile.Regular {
			return e, nil
		}
	}
}

// maxPadding bounds the zeros behind the end of an archive.
const maxPadding = 16 << 20

// another begins the archive that follows the end of one, as where two were made one file by
// cat. It returns false if none follows.
func (c *tarCursor) another() bool {
	var block [512]byte
	for range maxPadding / len(block) {
		if _, err := io.ReadFull(c.in, block[:]); err != nil {
			return false
		}
		if block == [512]byte{} {
			continue
		}
		if !c.seekable() {
			c.tar = tarfile.NewReader(io.MultiReader(bytes.NewReader(block[:]), c.in))
			return true
		}
		at, err := seekable{c.in}.Seek(-int64(len(block)), io.SeekCurrent)
		c.offset, c.tar = at, tarfile.NewReader(seekable{c.in})
		return err == nil
	}
	return false
}

// damage returns an error of reading: the system's as it is, another as errDamaged.
func damage(err error) error {
	if errors.Is(err, io.EOF) || errors.As(err, new(*os.PathError)) {
		return err
	}
	return errDamaged
}

// next implements cursor.
func (c *tarCursor) next() (*Sample, error) {
	if c.broken {
		c.broken = false
		return nil, skipped{CutOff, c.path}
	}
	if c.ended {
		return nil, io.EOF
	}
	s := &Sample{Ref: c.place()}
	var p parts
	for {
		e, err := c.entry()
		if err == nil {
			name, column, ok := column(e.Name)
			if !ok {
				continue
			}
			if p.name != "" && (name != p.name || e.first) {
				c.held, c.offset = e, e.begin
				break
			}
			p.name = name
			err = c.read(&p, e, column)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, errDamaged) {
			c.ended, c.broken = true, errors.Is(err, errDamaged)
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if p.name == "" {
		return c.next() // which says that it has ended
	}
	c.number++
	s.Key, s.Where = c.name+":"+p.name, c.path+": "+p.name
	s.group = p.name // so that a picture is held out wherever it is
	if p.problem == "" {
		p.problem = c.finish(s, &p)
	}
	if p.problem != "" {
		return nil, skipped{p.problem, fmt.Sprintf("%s (%s)", s.Where, strings.Join(p.columns, ", "))}
	}
	return s, nil
}

// column returns the sample that an entry is of and its column there, in lower case, as
// WebDataset has it: the name is cut at the first dot of its last part. Of no sample are hidden
// entries, such as the ._NAME of macOS, names without a dot, and WebDataset's own __NAME__.
//
// Differs from WebDataset, which takes "d/.x.jpg" for the column "x.jpg" of a sample "d/".
func column(name string) (sample, column string, ok bool) {
	name = path.Clean(name)
	if first, _, _ := strings.Cut(name, "/"); len(first) >= 4 && strings.HasPrefix(first, "__") && strings.HasSuffix(first, "__") {
		return "", "", false
	}
	dir, base := path.Split(name)
	base, column, dot := strings.Cut(base, ".")
	return dir + base, strings.ToLower(column), dot && base != ""
}

// parts are what the entries of a sample have.
type parts struct {
	name    string // without column
	picture *entry
	raw     []byte // of the picture, if the archive is compressed
	texts   []string
	hasText bool
	object  columns.Object
	hasJSON bool
	noJSON  bool     // the .json is a list or a number, of use to others
	bytes   int64    // of texts and object
	columns []string // of all entries, for messages
	dotted  bool     // a picture or text has another dot in its name
	problem string   // the first for which the sample is passed over
}

// fail sets why the sample is passed over.
func (p *parts) fail(reason string) { p.problem = cmp.Or(p.problem, reason) }

// read takes from an entry what is of use.
func (c *tarCursor) read(p *parts, e *entry, column string) (err error) {
	const most = 8
	if len(p.columns) < most {
		p.columns = append(p.columns, column)
	}
	isText := column == "txt" || column == "text"
	switch {
	case picture.IsPicture("."+column) && !strings.Contains(column, "."):
		switch {
		case p.picture != nil:
			p.fail(Twice)
		case c.seekable() || c.c.has != nil:
		case e.Size > c.c.maxPicture():
			p.fail(BadPicture)
		case p.problem == "":
			p.raw, err = c.content(e)
		}
		p.picture = cmp.Or(p.picture, e)
	case column == "json", isText && c.c.kind == Pairs:
		if isText && p.hasText || !isText && p.hasJSON {
			p.fail(Twice)
		}
		p.hasText, p.hasJSON = p.hasText || isText, p.hasJSON || !isText
		if p.bytes += e.Size; p.bytes > maxText {
			p.fail(LongLine)
		}
		if p.problem != "" {
			return nil
		}
		raw, err := c.content(e)
		if err != nil {
			return err
		}
		raw = infile.TrimMark(raw)
		switch {
		case !utf8.Valid(raw):
			p.fail(NotUTF8)
		case !isText:
			object, problem := columns.ParseObject(raw)
			p.object, p.noJSON = object, problem != ""
			if p.noJSON && !json.Valid(raw) {
				p.fail(NotJSON)
			}
		default:
			for line := range strings.Lines(string(raw)) {
				if line = strings.TrimSpace(line); line != "" {
					p.texts = append(p.texts, line)
				}
			}
			if len(p.texts) == 0 {
				p.texts = []string{""}
			}
		}
	default:
		ending := path.Ext(column)
		p.dotted = p.dotted || picture.IsPicture(ending) || ending == ".txt" || ending == ".json"
	}
	return err
}

// content reads an entry, whose size has been checked.
func (c *tarCursor) content(e *entry) ([]byte, error) {
	var raw bytes.Buffer // grows with what there is
	n, err := io.Copy(&raw, c.tar)
	if err == nil && n < e.Size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		err = damage(err)
	}
	return raw.Bytes(), err
}

// finish makes a sample of its parts.
func (c *tarCursor) finish(s *Sample, p *parts) (reason string) {
	switch {
	case !utf8.ValidString(p.name):
		return NotUTF8
	case c.c.has != nil:
		if reason = c.c.setFeatures(s, p.name); reason != "" && p.picture != nil {
			reason = c.c.setFeatures(s, path.Clean(p.picture.Name))
		}
	case p.picture == nil:
		reason = NoPicture
	default:
		s.image, s.bytes = c.image(s.Ref, p), len(p.raw)
	}
	if reason == "" {
		reason = c.c.setObject(s, p.object, p.texts)
	}
	switch {
	case reason == NoCaption && p.noJSON:
		return NotJSON
	case p.dotted && (reason == NoPicture || reason == NoCaption):
		return reason + Dotted
	}
	return reason
}

// image returns how the picture is read.
func (c *tarCursor) image(ref Ref, p *parts) func(dst *regions.Image) error {
	collection, raw := c.c, p.raw
	if !c.seekable() {
		return collection.image(ref, func(use func(*picture.Picture)) error { return picture.Visit(raw, collection.o.Limits, use) })
	}
	path, offset, size := c.path, p.picture.content, p.picture.Size
	return collection.image(ref, func(use func(*picture.Picture)) error {
		if most := collection.maxPicture(); size > most {
			return fmt.Errorf("%d bytes are over the limit of %d for a picture; make the file smaller", size, most)
		}
		in, err := infile.Open(path)
		if err != nil {
			return err
		}
		defer in.Close()
		raw := make([]byte, size)
		if _, err := in.ReadAt(raw, offset); err != nil {
			return err
		}
		return picture.Visit(raw, collection.o.Limits, use)
	})
}
