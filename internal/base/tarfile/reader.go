// Package tarfile reads and writes tar archives: the entries' names, types, sizes and contents.
//
// It does what archive/tar does of that, and the tests compare the two. archive/tar itself imports os/user,
// for the owners of files. With it, go build links the C library where it finds a C compiler, and the
// binary is not static.
//
// Formats read are those of Unix V7, ustar, star, pax and GNU tar. The holes of sparse files are not filled:
// [Header.Sparse] says that an entry has some.
package tarfile

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
)

const block = 512

// ErrHeader is the error of an entry's header that is none.
var ErrHeader = errors.New("invalid tar header")

// Types of entries. A file of the oldest archives has the type 0, and is returned as Regular.
const (
	Regular   = '0'
	Link      = '1'
	Symlink   = '2'
	Char      = '3'
	Block     = '4'
	Directory = '5'
	Pipe      = '6'
	Global    = 'g' // comments and defaults for all that follow; the latter are not used
	GNUSparse = 'S'

	paxHeader   = 'x'
	gnuLongName = 'L'
	gnuLongLink = 'K'
)

// Header describes an entry.
type Header struct {
	Name string
	Link string // where a link leads
	Type byte
	Size int64
	Mode int64 // only written
	PAX  map[string]string
}

// Stored is how many bytes of content follow in the archive.
func (h *Header) Stored() int64 {
	switch h.Type {
	case Link, Symlink, Char, Block, Directory, Pipe:
		return 0
	}
	return h.Size
}

// Sparse says that the content is stored without the holes of the file.
func (h *Header) Sparse() bool {
	for key := range h.PAX {
		if strings.HasPrefix(key, "GNU.sparse.") {
			return true
		}
	}
	return h.Type == GNUSparse
}

// Reader reads an archive.
type Reader struct {
	r    io.Reader
	left int64 // of the entry's content
	pad  int64 // behind it
	err  error
}

// NewReader returns a Reader of r. It seeks over contents that are not read, if r can.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next goes to the next entry; at the end of the archive it returns [io.EOF].
func (t *Reader) Next() (*Header, error) {
	if t.err != nil {
		return nil, t.err
	}
	var h *Header
	h, t.err = t.next()
	return h, t.err
}

func (t *Reader) next() (*Header, error) {
	var pax map[string]string
	var name, link string
	for {
		if err := t.skip(); err != nil {
			return nil, err
		}
		h, err := t.header()
		if err != nil {
			return nil, err
		}
		switch h.Type {
		case paxHeader, Global:
			if pax, err = t.records(); err != nil {
				return nil, err
			}
			if h.Type == Global {
				return &Header{Name: h.Name, Type: Global, PAX: pax}, nil
			}
			continue
		case gnuLongName, gnuLongLink:
			raw, err := t.special()
			if err != nil {
				return nil, err
			}
			if h.Type == gnuLongName {
				name = text(raw)
			} else {
				link = text(raw)
			}
			continue
		}
		h.PAX = pax
		if h.Name = or(pax["path"], h.Name); name != "" {
			h.Name = name
		}
		if h.Link = or(pax["linkpath"], h.Link); link != "" {
			h.Link = link
		}
		if size := pax["size"]; size != "" {
			if h.Size, err = strconv.ParseInt(size, 10, 64); err != nil {
				return nil, ErrHeader
			}
		}
		if h.Type == 0 {
			h.Type = Regular
			if strings.HasSuffix(h.Name, "/") {
				h.Type = Directory
			}
		}
		return h, t.begin(h)
	}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// begin makes the entry's content the one that Read reads.
func (t *Reader) begin(h *Header) error {
	t.left = h.Stored()
	if t.left < 0 {
		return ErrHeader
	}
	t.pad = -t.left & (block - 1)
	return nil
}

// Read implements [io.Reader]: it reads the content of the entry.
func (t *Reader) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > t.left {
		p = p[:t.left]
	}
	n, err := t.r.Read(p)
	t.left -= int64(n)
	switch {
	case err == io.EOF && t.left > 0:
		err = io.ErrUnexpectedEOF
	case err == nil && t.left == 0:
		err = io.EOF
	}
	return n, err
}

// skip passes over the rest of the entry. The last byte of its content is read even where the rest is sought over: a seek
// beyond the end is no error. The padding of the last entry may be missing.
func (t *Reader) skip() error {
	n := t.left
	if s, ok := t.r.(io.Seeker); ok && n > 1 {
		if _, err := s.Seek(0, io.SeekCurrent); err == nil {
			if _, err := s.Seek(n-1, io.SeekCurrent); err != nil {
				return err
			}
			n = 1
		}
	}
	if _, err := io.CopyN(io.Discard, t.r, n); err == io.EOF && n > 0 {
		return io.ErrUnexpectedEOF
	} else if err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, t.r, t.pad)
	t.left, t.pad = 0, 0
	return err
}

// header reads the block of a header; two blocks of zeros are the end.
func (t *Reader) header() (*Header, error) {
	var b [block]byte
	if _, err := io.ReadFull(t.r, b[:]); err != nil {
		return nil, err
	}
	if b == [block]byte{} {
		if _, err := io.ReadFull(t.r, b[:]); err != nil {
			return nil, err
		}
		if b == [block]byte{} {
			return nil, io.EOF
		}
		return nil, ErrHeader
	}
	if !checksumFits(b[:]) {
		return nil, ErrHeader
	}
	h := &Header{Name: text(b[:100]), Link: text(b[157:257]), Type: b[156]}
	var err error
	if h.Size, err = number(b[124:136]); err != nil {
		return nil, err
	}
	// The others are not used, but a header with a damaged one is none.
	rest := [][]byte{b[100:108], b[108:116], b[116:124], b[136:148]}
	ustar, gnu := string(b[257:263]) == "ustar\x00", string(b[257:265]) == "ustar  \x00"
	if ustar || gnu {
		rest = append(rest, b[329:337], b[337:345])
	}
	for _, field := range rest {
		if _, err := number(field); err != nil {
			return nil, err
		}
	}
	prefix := ""
	switch {
	case ustar && string(b[508:]) == "tar\x00": // star's
		prefix = text(b[345:476])
	case ustar:
		prefix = text(b[345:500])
	case gnu && !(isTime(b[345:357]) && isTime(b[357:369])): // Go before 1.8 wrote a prefix where GNU tar has times
		if p := text(b[345:500]); ascii(p) {
			prefix = p
		}
	}
	if prefix != "" {
		h.Name = prefix + "/" + h.Name
	}
	return h, t.begin(h)
}

// isTime says whether a field is a time, or empty.
func isTime(field []byte) bool {
	_, err := number(field)
	return field[0] == 0 || err == nil
}

// checksumFits says whether a header's sum of bytes is what it says. Some old programs took bytes for signed.
func checksumFits(b []byte) bool {
	want, err := octal(b[148:156])
	var unsigned, signed int64
	for i, c := range b {
		if 148 <= i && i < 156 {
			c = ' '
		}
		unsigned += int64(c)
		signed += int64(int8(c))
	}
	return err == nil && (want == unsigned || want == signed)
}

// text is the field of a header up to its first zero.
func text(field []byte) string {
	before, _, _ := bytes.Cut(field, []byte{0})
	return string(before)
}

// number reads a field in octal digits, or in the binary form of GNU tar, whose first bit is set.
func number(field []byte) (int64, error) {
	if field[0]&0x80 == 0 {
		return octal(field)
	}
	var invert byte
	if field[0]&0x40 != 0 { // negative
		invert = 0xff
	}
	var x uint64
	for i, c := range field {
		if c ^= invert; i == 0 {
			c &= 0x7f
		}
		if x>>56 > 0 {
			return 0, ErrHeader
		}
		x = x<<8 | uint64(c)
	}
	if x>>63 > 0 {
		return 0, ErrHeader
	}
	if invert != 0 {
		return ^int64(x), nil
	}
	return int64(x), nil
}

func octal(field []byte) (int64, error) {
	digits := text(bytes.Trim(field, " \x00"))
	if digits == "" {
		return 0, nil
	}
	x, err := strconv.ParseUint(digits, 8, 64)
	if err != nil {
		return 0, ErrHeader
	}
	return int64(x), nil
}

// maxSpecial bounds the content of an entry that describes another.
const maxSpecial = 1 << 20

func (t *Reader) special() ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(t, maxSpecial+1))
	if len(raw) > maxSpecial {
		return nil, ErrHeader
	}
	return raw, err
}

// records reads those of a pax header: "LENGTH KEY=VALUE\n".
func (t *Reader) records() (map[string]string, error) {
	raw, err := t.special()
	if err != nil {
		return nil, err
	}
	records := map[string]string{}
	for rest := string(raw); rest != ""; {
		digits, _, ok := strings.Cut(rest, " ")
		length, err := strconv.Atoi(digits)
		if !ok || err != nil || length < len(digits)+3 || length > len(rest) || rest[length-1] != '\n' {
			return nil, ErrHeader
		}
		key, value, ok := strings.Cut(rest[len(digits)+1:length-1], "=")
		if !ok || key == "" || strings.Contains(key, "\x00") || (key == "path" || key == "linkpath") && strings.Contains(value, "\x00") {
			return nil, ErrHeader
		}
		records[key] = value
		rest = rest[length:]
	}
	return records, nil
}
