package tarfile

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"strings"
	"testing"
)

// entry is what both readers say of an entry; what they read, and how that ended.
type entry struct {
	Name, Link string
	Type       byte
	Size       int64
	PAX        map[string]string
	content    string
	err        error
}

// maxContent bounds what the tests read of an entry: a sparse file unpacks to any size.
const maxContent = 1 << 16

func readAll(r io.Reader) (string, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxContent))
	return string(raw), err
}

// ours and theirs read an archive, without some contents if skip is set, and return its entries with the error at its end.
func ours(r io.Reader, skip bool) (list []entry, err error) {
	for t := NewReader(r); ; {
		h, err := t.Next()
		if err != nil {
			return list, err
		}
		e := entry{Name: h.Name, Link: h.Link, Type: h.Type, Size: h.Size, PAX: h.PAX}
		if !skip && !h.Sparse() {
			e.content, e.err = readAll(t)
		}
		list = append(list, e)
		if h.Sparse() {
			return list, nil
		}
	}
}

func theirs(r io.Reader, skip bool) (list []entry, err error) {
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err != nil {
			return list, err
		}
		e := entry{Name: h.Name, Link: h.Linkname, Type: h.Typeflag, Size: h.Size, PAX: h.PAXRecords}
		sparse := (&Header{Type: h.Typeflag, PAX: h.PAXRecords}).Sparse()
		if !skip && !sparse {
			e.content, e.err = readAll(t)
		}
		list = append(list, e)
		if sparse {
			return list, nil
		}
	}
}

// compare fails unless both readers say the same of an archive. Of one that archive/tar refuses for what is not
// read here, such as a time, ours may read more.
func compare(t *testing.T, raw []byte) {
	t.Helper()
	for _, skip := range []bool{false, true} {
		for name, open := range map[string]func() io.Reader{
			"stream": func() io.Reader { return struct{ io.Reader }{bytes.NewReader(raw)} },
			"file":   func() io.Reader { return bytes.NewReader(raw) },
		} {
			got, gotErr := ours(open(), skip)
			want, wantErr := theirs(open(), skip)
			if len(got) < len(want) || len(got) > len(want) && !errors.Is(wantErr, tar.ErrHeader) && !errors.Is(wantErr, tar.ErrFieldTooLong) {
				t.Fatalf("%s: %d entries, %v; archive/tar has %d, %v", name, len(got), gotErr, len(want), wantErr)
			}
			for i, w := range want {
				g := got[i]
				if g.Type == GNUSparse || (&Header{Type: g.Type, PAX: g.PAX}).Sparse() {
					continue // names and sizes are those of the stored file
				}
				if len(g.PAX) == 0 && len(w.PAX) == 0 {
					g.PAX, w.PAX = nil, nil
				}
				if g.Name != w.Name || g.Link != w.Link || g.Type != w.Type || g.Size != w.Size || !maps.Equal(g.PAX, w.PAX) || g.content != w.content || !reflect.DeepEqual(g.err, w.err) {
					t.Fatalf("%s: entry %d: %+v; archive/tar has %+v", name, i, g, w)
				}
			}
			if len(got) == len(want) {
				same := gotErr == wantErr || errors.Is(gotErr, ErrHeader) && (errors.Is(wantErr, tar.ErrHeader) || errors.Is(wantErr, tar.ErrFieldTooLong))
				if !same && !errors.Is(wantErr, tar.ErrHeader) {
					t.Fatalf("%s: ends with %v; archive/tar with %v", name, gotErr, wantErr)
				}
			}
		}
	}
}

// archives are whole archives of every form, made by archive/tar.
func archives(tb testing.TB) map[string][]byte {
	tb.Helper()
	all := map[string][]byte{}
	long := strings.Repeat("a long name/", 30) + "x"
	for name, headers := range map[string][]*tar.Header{
		"plain":  {{Name: "a", Size: 3, Mode: 0o644}, {Name: "d/", Typeflag: tar.TypeDir, Mode: 0o755}, {Name: "d/empty"}, {Name: "d/b", Size: 600}},
		"links":  {{Name: "a", Linkname: "b", Typeflag: tar.TypeSymlink}, {Name: "c", Linkname: "d", Typeflag: tar.TypeLink}, {Name: "p", Typeflag: tar.TypeFifo}},
		"pax":    {{Name: long, Size: 5, Format: tar.FormatPAX}, {Name: "é", Size: 512, PAXRecords: map[string]string{"NOTE.x": "y z"}}, {Name: "l", Linkname: long, Typeflag: tar.TypeSymlink}},
		"gnu":    {{Name: long, Size: 5, Format: tar.FormatGNU}, {Name: "l", Linkname: long, Typeflag: tar.TypeSymlink, Format: tar.FormatGNU}, {Name: "after", Size: 1}},
		"global": {{Name: "g", Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "c"}}, {Name: "a", Size: 1}},
		"split":  {{Name: strings.Repeat("d", 90) + "/" + strings.Repeat("f", 90), Size: 2, Format: tar.FormatUSTAR}},
		"none":   {},
	} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, h := range headers {
			if err := w.WriteHeader(h); err != nil {
				tb.Fatal(name, err)
			}
			fmt.Fprint(w, strings.Repeat("x", int(h.Size)))
		}
		if err := w.Close(); err != nil {
			tb.Fatal(err)
		}
		all[name] = b.Bytes()
	}
	// The oldest form has neither magic nor types.
	v7 := bytes.Clone(all["plain"])
	for _, at := range []int{0, 1024, 1536} {
		clear(v7[at+257 : at+512])
		v7[at+156] = 0
		seal(v7[at : at+512])
	}
	all["v7"] = v7
	star := bytes.Clone(all["split"])
	copy(star[508:], "tar\x00")
	seal(star[:512])
	all["star"] = star
	goBefore8 := bytes.Clone(all["split"])
	copy(goBefore8[257:], "ustar  \x00")
	seal(goBefore8[:512])
	all["before Go 1.8"] = goBefore8
	binary := bytes.Clone(all["plain"])
	copy(binary[124:], "\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x03")
	seal(binary[:512])
	all["binary size"] = binary
	copy(binary[124:], "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x03")
	negative := bytes.Clone(binary)
	seal(negative[:512])
	all["negative size"] = negative
	return all
}

// seal sets a header's checksum.
func seal(b []byte) {
	copy(b[148:156], "        ")
	sum := 0
	for _, c := range b {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
}

func TestReaderIsThatOfArchiveTar(t *testing.T) {
	for name, raw := range archives(t) {
		t.Run(name, func(t *testing.T) {
			for cut := 0; cut <= len(raw); cut += 64 {
				compare(t, raw[:cut])
			}
			compare(t, append(bytes.Clone(raw), "more"...))
			for at := 0; at < len(raw); at += 7 { // damaged
				damaged := bytes.Clone(raw)
				damaged[at] ^= 0x11
				compare(t, damaged)
				if head := at &^ (block - 1); head+block <= len(damaged) {
					seal(damaged[head : head+block])
					compare(t, damaged)
				}
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	for _, raw := range archives(f) {
		f.Add(raw, false)
		f.Add(raw, true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, sealed bool) {
		if sealed {
			raw = bytes.Clone(raw)
			for at := 0; at+block <= len(raw); at += block {
				if [block]byte(raw[at:]) != [block]byte{} {
					seal(raw[at : at+block])
				}
			}
		}
		compare(t, raw)
	})
}

func TestWriterIsThatOfArchiveTar(t *testing.T) {
	var names []string
	for n := 95; n < 105; n++ {
		names = append(names, strings.Repeat("n", n), "d/"+strings.Repeat("n", n), strings.Repeat("d", n)+"/x", strings.Repeat("d", n+60)+"/x", strings.Repeat("n", n-1)+"é")
	}
	names = append(names, "a", "a/b", "é", "日本/x", strings.Repeat("a/", 120)+"x", strings.Repeat("é", 100))
	for _, name := range names {
		for _, kind := range []byte{Regular, Directory} {
			if kind == Directory {
				name += "/"
			}
			content := strings.Repeat("c", len(name))
			if kind == Directory {
				content = ""
			}
			var got, want bytes.Buffer
			ours, theirs := NewWriter(&got), tar.NewWriter(&want)
			for range 2 {
				err := errors.Join(
					ours.WriteHeader(&Header{Name: name, Type: kind, Mode: 0o644, Size: int64(len(content))}),
					theirs.WriteHeader(&tar.Header{Name: name, Typeflag: kind, Mode: 0o644, Size: int64(len(content))}))
				io.WriteString(ours, content)
				io.WriteString(theirs, content)
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(ours.Close(), theirs.Close()); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want.Bytes()) {
				t.Errorf("%q: %d bytes, archive/tar writes %d; the first difference is at %d", name, got.Len(), want.Len(), differs(got.Bytes(), want.Bytes()))
			}
		}
	}
	for _, size := range []int64{1<<33 - 1, 1 << 33, 1 << 40} { // headers alone
		var got, want bytes.Buffer
		if err := errors.Join(NewWriter(&got).WriteHeader(&Header{Name: "big", Type: Regular, Mode: 0o600, Size: size}),
			tar.NewWriter(&want).WriteHeader(&tar.Header{Name: "big", Typeflag: Regular, Mode: 0o600, Size: size})); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want.Bytes()) {
			t.Errorf("a file of %d bytes: differs from archive/tar at %d", size, differs(got.Bytes(), want.Bytes()))
		}
	}
}

func TestWriterErrors(t *testing.T) {
	w := NewWriter(io.Discard)
	if err := w.WriteHeader(&Header{Name: "a", Type: Regular, Size: 2}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("abc")); err == nil {
		t.Error("more content than the header says")
	}
	if err := w.WriteHeader(&Header{Name: "b", Type: Regular}); err == nil {
		t.Error("less content than the header says")
	}
	if err := w.Close(); err == nil {
		t.Error("less content than the header says, at the end")
	}
}

// differs is where a and b begin to differ.
func differs(a, b []byte) int {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return i
		}
	}
	return len(a)
}
