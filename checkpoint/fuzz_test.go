package checkpoint

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The fuzz targets ask of every reader that it returns, and that what it accepts
// is consistent. A panic or a hang fails them by itself.

// checkTensors verifies that every tensor has the data that its shape says.
func checkTensors(t *testing.T, r Reader) {
	t.Helper()
	for _, info := range r.Tensors() {
		data, err := r.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		size, err := byteSize(info.DType, info.Shape)
		if err != nil || size != len(data) || info.Elements()*info.DType.Size() != size {
			t.Fatalf("%+v has %d bytes: %v", info, len(data), err)
		}
		if _, err := Statistics(r, info.Name); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzOpen feeds files to the recognition of formats and to what stands behind it.
func FuzzOpen(f *testing.F) {
	f.Add(safetensorsFile(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 8)...))
	f.Add(tarFile(f, file("m/w", good)))
	f.Add(pack(tarFile(f, file("m/w", good))))
	f.Add(good)
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, file []byte) {
		path := save(t, filepath.Join(t.TempDir(), "x"), file)
		r, err := Open(path)
		if err != nil {
			if !strings.Contains(err.Error(), path) {
				t.Fatalf("error %q does not name the file", err)
			}
			return
		}
		defer r.Close()
		checkTensors(t, r)
	})
}

func FuzzSafetensors(f *testing.F) {
	f.Add(safetensorsFile(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, make([]byte, 8)...))
	f.Add(safetensorsFile(`{"__metadata__":{"format":"pt"},"w":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"v":{"dtype":"BOOL","shape":[0,3],"data_offsets":[8,8]}}  `, make([]byte, 8)...))
	f.Add(safetensorsFile("{}"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := newSafetensors(&mapping{data: file}, "x", FormatSafetensors)
		if err != nil {
			return
		}
		checkTensors(t, r)
	})
}

func FuzzSafetensorsHeader(f *testing.F) {
	f.Add(`{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, uint16(8))
	f.Add(`{"w":{"dtype":"F16","shape":[2,2],"data_offsets":[4,12]},"v":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}}`, uint16(12))
	f.Add(`{"__metadata__":{"a":"b"}} `, uint16(0))
	f.Fuzz(func(t *testing.T, header string, data uint16) {
		file := safetensorsFile(header, make([]byte, data)...)
		h, err := parseSafetensors(file)
		if err != nil {
			return
		}
		// What is accepted is also what encoding/json, as another reader, sees.
		var other map[string]any
		if err := json.Unmarshal([]byte(header), &other); err != nil {
			t.Fatalf("accepted, but encoding/json says %v", err)
		}
		delete(other, metadataKey)
		if len(other) != len(h.infos) {
			t.Fatalf("%d tensors, encoding/json sees %d", len(h.infos), len(other))
		}
		covered := 0
		for _, span := range h.spans {
			covered += span[1] - span[0]
		}
		if covered != int(data) {
			t.Fatalf("tensors cover %d of %d bytes", covered, data)
		}
	})
}

func FuzzShardIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":4},"weight_map":{"w":"a.safetensors"}}`))
	f.Add([]byte(`{"weight_map":{"w":"../a.safetensors"}}`))
	f.Fuzz(func(t *testing.T, index []byte) {
		files, err := readIndex(bytes.NewReader(index))
		if err != nil {
			return
		}
		for _, name := range files {
			if name == "" || name == ".." || strings.ContainsAny(name, `/\`) {
				t.Fatalf("accepted the path %q", name)
			}
		}
	})
}

func FuzzPaddleVariable(f *testing.F) {
	f.Add(good)
	f.Add(append(bytes.Clone(good), good...))
	for _, c := range hostileVariables() {
		f.Add(c.file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		in := bufio.NewReader(bytes.NewReader(file))
		h, reason, err := inspectVariable(in, "w", int64(len(file)))
		if err != nil || reason != "" {
			return
		}
		data, err := io.ReadAll(in)
		if err != nil || len(data) != h.size {
			t.Fatalf("%+v is followed by %d bytes, %v", h, len(data), err)
		}
		// The combined reader must see the same record.
		tensors, err := readRecords(bytes.NewReader(file), []string{"w"})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, tensors[0].Data) || !slices.Equal(h.info.Shape, tensors[0].Shape) {
			t.Fatal("the combined reader gives another tensor")
		}
		r, err := FromTensors("x", tensors)
		if err != nil {
			t.Fatal(err)
		}
		checkTensors(t, r)
	})
}

func FuzzPaddleRecords(f *testing.F) {
	f.Add(append(bytes.Clone(good), good...))
	f.Fuzz(func(t *testing.T, file []byte) {
		tensors, err := readRecords(bytes.NewReader(file), []string{"a", "b"})
		if err != nil {
			return
		}
		r, err := FromTensors("x", tensors)
		if err != nil {
			t.Fatal(err)
		}
		checkTensors(t, r)
	})
}

// FuzzArchive feeds whole archives, plain or compressed.
func FuzzArchive(f *testing.F) {
	whole := tarFile(f, entry{name: "m/", kind: tar.TypeDir}, file("m/w", good), file("m/x", []byte("x")))
	f.Add(whole, false)
	f.Add(pack(whole), true)
	f.Add([]byte{0x1f, 0x8b}, true)
	f.Fuzz(func(t *testing.T, archive []byte, compressed bool) {
		r, err := readArchive(bytes.NewReader(archive), "x", compressed)
		if err != nil {
			return
		}
		checkTensors(t, r)
	})
}

// FuzzArchiveEntry feeds archives whose checksums are right, so that paths,
// types and contents get past archive/tar.
func FuzzArchiveEntry(f *testing.F) {
	f.Add("m/w", "", byte(tar.TypeReg), good)
	f.Add("m/../w", "", byte(tar.TypeReg), good)
	f.Add("m/w", "/etc/passwd", byte(tar.TypeSymlink), []byte{})
	f.Fuzz(func(t *testing.T, name, link string, kind byte, data []byte) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		h := &tar.Header{Name: name, Linkname: link, Typeflag: kind, Size: int64(len(data)), Mode: 0o644}
		if kind != tar.TypeReg {
			h.Size = 0
		}
		if w.WriteHeader(h) != nil {
			return
		}
		if kind == tar.TypeReg {
			if _, err := w.Write(data); err != nil {
				return
			}
		}
		if w.Close() != nil {
			return
		}
		r, err := readArchive(&b, "x", false)
		if err != nil {
			return
		}
		checkTensors(t, r)
		for _, info := range r.Tensors() {
			if kind != tar.TypeReg || strings.Contains(info.Name, "/") || info.Name == ".." || info.Name == "." {
				t.Fatalf("entry %q of type %q became tensor %q", name, kind, info.Name)
			}
		}
	})
}
