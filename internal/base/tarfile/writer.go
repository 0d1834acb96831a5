package tarfile

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Writer writes an archive. Owners and times of its entries are zero.
type Writer struct {
	w    io.Writer
	left int64
	pad  int64
}

// NewWriter returns a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// WriteHeader begins an entry, whose content follows by Write.
func (t *Writer) WriteHeader(h *Header) error {
	if err := t.finish(); err != nil {
		return err
	}
	var records string
	prefix, name := "", h.Name
	if p, n, ok := split(h.Name); ok {
		prefix, name = p, n
	} else if len(h.Name) > 100 || !ascii(h.Name) {
		records, name = record("path", h.Name), onlyASCII(h.Name)
	}
	size := h.Size
	if size >= 1<<33 { // eleven octal digits
		records += record("size", fmt.Sprint(size))
		size = 0
	}
	if records != "" {
		dir, file := path.Split(h.Name)
		special := onlyASCII(path.Join(dir, "PaxHeaders.0", file))
		special = strings.TrimRight(special[:min(100, len(special))], "/")
		if err := t.header("", special, paxHeader, 0, int64(len(records))); err != nil {
			return err
		}
		t.left, t.pad = int64(len(records)), -int64(len(records))&(block-1)
		if _, err := io.WriteString(t, records); err != nil {
			return err
		}
		if err := t.finish(); err != nil {
			return err
		}
	}
	if err := t.header(prefix, name, h.Type, h.Mode, size); err != nil {
		return err
	}
	t.left = h.Stored()
	t.pad = -t.left & (block - 1)
	return nil
}

// split cuts a long name at a slash, so that a header's two fields hold it.
func split(name string) (prefix, rest string, ok bool) {
	if len(name) <= 100 || !ascii(name) {
		return "", "", false
	}
	i := strings.LastIndexByte(strings.TrimSuffix(name, "/")[:min(156, len(name)-1)], '/')
	if i <= 0 || len(name)-i-1 > 100 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

func ascii(s string) bool { return onlyASCII(s) == s }

func onlyASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x80 || r == 0 {
			return -1
		}
		return r
	}, s)
}

func record(key, value string) string {
	length := len(key) + len(value) + 3
	for n := length; ; n++ {
		if s := fmt.Sprintf("%d %s=%s\n", n, key, value); len(s) == n {
			return s
		}
	}
}

func (t *Writer) header(prefix, name string, kind byte, mode, size int64) error {
	var b [block]byte
	copy(b[:100], name)
	if len(name) > 100 && b[99] == '/' { // some readers would take a file for a folder
		b[len(strings.TrimRight(name[:99], "/"))] = 0
	}
	copy(b[100:], fmt.Sprintf("%07o\x00%07o\x00%07o\x00%011o\x00%011o\x00", mode, 0, 0, size, 0))
	copy(b[148:], "        ")
	b[156] = kind
	copy(b[257:], "ustar\x0000")
	if kind != paxHeader {
		copy(b[329:], "0000000\x000000000\x00")
	}
	copy(b[345:500], prefix)
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	_, err := t.w.Write(b[:])
	return err
}

// Write writes content of the entry.
func (t *Writer) Write(p []byte) (int, error) {
	if int64(len(p)) > t.left {
		return 0, errors.New("tar: an entry is longer than its header says")
	}
	n, err := t.w.Write(p)
	t.left -= int64(n)
	return n, err
}

// finish ends an entry.
func (t *Writer) finish() error {
	if t.left > 0 {
		return fmt.Errorf("tar: an entry lacks %d bytes", t.left)
	}
	_, err := t.w.Write(make([]byte, t.pad))
	t.pad = 0
	return err
}

// Close ends the archive.
func (t *Writer) Close() error {
	if err := t.finish(); err != nil {
		return err
	}
	_, err := t.w.Write(make([]byte, 2*block))
	return err
}
