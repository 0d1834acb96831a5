package checkpoint

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Builders of files, good and bad, byte by byte and apart from the code under test.

// safetensorsFile puts a length before a header, and data behind it.
func safetensorsFile(header string, data ...byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

// variable is a Paddle variable before it is written; the zero value of a field
// stands for what Paddle writes.
type variable struct {
	version       uint32
	levels        uint64
	level         []byte
	tensorVersion uint32
	desc          []byte
	descSize      *uint32
	data          []byte
}

func (v variable) bytes() []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, v.version)
	b = le.AppendUint64(b, v.levels)
	b = append(b, v.level...)
	b = le.AppendUint32(b, v.tensorVersion)
	if v.descSize != nil {
		b = le.AppendUint32(b, *v.descSize)
	} else {
		b = le.AppendUint32(b, uint32(len(v.desc)))
	}
	b = append(b, v.desc...)
	return append(b, v.data...)
}

// f32x2 is the TensorDesc of two float32; good is a variable of them.
var (
	f32x2 = []byte{0x08, 5, 0x10, 2}
	good  = variable{desc: f32x2, data: []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40}}.bytes() // 1, 2
)

// entry is a file of an archive to build.
type entry struct {
	name, link string
	kind       byte
	data       []byte
	pax        map[string]string
}

// file is an ordinary entry.
func file(name string, data []byte) entry { return entry{name: name, kind: tar.TypeReg, data: data} }

// tarFile packs entries; it fails the test for what archive/tar refuses to write.
func tarFile(tb testing.TB, entries ...entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Linkname: e.link, Typeflag: e.kind, Size: int64(len(e.data)), Mode: 0o644, PAXRecords: e.pax}
		if e.kind == tar.TypeXGlobalHeader {
			h = &tar.Header{Typeflag: e.kind, PAXRecords: e.pax}
		}
		if err := w.WriteHeader(h); err != nil {
			tb.Fatal(err)
		}
		if _, err := w.Write(e.data); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

// pack compresses with gzip.
func pack(data []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	w.Close()
	return b.Bytes()
}

// patchTar overwrites bytes of the first header and corrects its checksum.
func patchTar(archive []byte, at int, with string) []byte {
	b := slices.Clone(archive)
	copy(b[at:], with)
	copy(b[tarSumBegin:], "        ")
	sum := 0
	for _, v := range b[:tarBlock] {
		sum += int(v)
	}
	for i := 5; i >= 0; i, sum = i-1, sum/8 {
		b[tarSumBegin+i] = byte('0' + sum%8)
	}
	b[tarSumBegin+6], b[tarSumBegin+7] = 0, ' '
	return b
}

// folder writes files into a new folder and returns its path.
func folder(tb testing.TB, files map[string][]byte) string {
	tb.Helper()
	dir := tb.TempDir()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		save(tb, filepath.Join(dir, name), files[name])
	}
	return dir
}

func save(tb testing.TB, path string, data []byte) string {
	tb.Helper()
	if err := os.WriteFile(path, data, 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

// readRecords reads variables one after another from a stream of unknown length, as archives have
// them, with the names that the caller gives them.
func readRecords(r io.Reader, names []string) ([]Tensor, error) {
	in := bufio.NewReaderSize(r, 1<<16)
	tensors := make([]Tensor, 0, len(names))
	for i, name := range names {
		// The length of a stream is unknown; readData grows with what comes.
		h, err := readVariableHeader(in, math.MaxInt64)
		if err != nil {
			return nil, fmt.Errorf("record %d: tensor %q: %w", i+1, name, err)
		}
		h.info.Name = name
		data, err := readData(in, h.size)
		if err != nil {
			return nil, fmt.Errorf("record %d: tensor %q: %w", i+1, name, err)
		}
		tensors = append(tensors, Tensor{Info: h.info, Data: data})
	}
	if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
		if err == nil {
			err = fmt.Errorf("more records than the %d names", len(names))
		}
		return nil, err
	}
	return tensors, nil
}
