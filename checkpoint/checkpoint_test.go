package checkpoint

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// drawTensors draws tensors of the given types, scalars and empty ones included.
func drawTensors(t *rapid.T, types []DType) []Tensor {
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zA-Z_][a-zA-Z0-9_.é-]{0,20}[a-z0-9]`), 1, 6, strings.ToLower).Draw(t, "names")
	tensors := make([]Tensor, len(names))
	for i, name := range names {
		info := Info{
			Name:  name,
			DType: rapid.SampledFrom(types).Draw(t, "type"),
			Shape: rapid.SliceOfN(rapid.IntRange(0, 5), 0, 4).Draw(t, "shape"),
		}
		n := info.Elements() * info.DType.Size()
		tensors[i] = Tensor{info, rapid.SliceOfN(rapid.Byte(), n, n).Draw(t, "data")}
	}
	return tensors
}

func types(paddle bool) (list []DType) {
	for d := Bool; d <= F64; d++ {
		if _, ok := paddleCode(d); ok || !paddle {
			list = append(list, d)
		}
	}
	return list
}

func TestRoundTrips(t *testing.T) {
	for _, c := range []struct {
		format Format
		name   string
		paddle bool
	}{
		{FormatSafetensors, "x.safetensors", false},
		{FormatSafetensorsFolder, "x", false},
		{FormatPaddle, "x", true},
		{FormatPaddleArchive, "x.tar.gz", true},
	} {
		t.Run(string(c.format), func(t *testing.T) {
			outer := t
			rapid.Check(t, func(t *rapid.T) {
				tensors := drawTensors(t, types(c.paddle))
				want, err := FromTensors("drawn", tensors)
				if err != nil {
					t.Fatal(err)
				}
				dst := filepath.Join(outer.TempDir(), c.name)
				if err := Convert(outer.Context(), want, dst, c.format); err != nil {
					t.Fatal(err)
				}
				got, err := Open(dst)
				if err != nil {
					t.Fatal(err)
				}
				defer got.Close()
				if got.Format() != c.format {
					t.Errorf("format %q", got.Format())
				}
				CompareTest(t, got, want)
			})
		})
	}
}

// TestConvertThereAndBack checks that the second safetensors file equals the first.
func TestConvertThereAndBack(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	first, archive, second := path("a.safetensors"), path("b.tgz"), path("c.safetensors")
	tensors := []Tensor{
		FromFloat32("b", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}),
		FromFloat32("a", nil, []float32{7}),
		{Info{"c", I64, []int{0, 4}}, nil},
		{Info{"d", U8, []int{3}}, []byte{1, 2, 3}},
	}
	if err := WriteSafetensors(first, tensors, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][2]string{{first, archive}, {archive, second}, {second, path("paddle")}, {path("paddle"), path("hf")}} {
		src := OpenTest(t, step[0])
		format, _ := GuessFormat(step[1], src)
		if err := Convert(t.Context(), src, step[1]+string(filepath.Separator), format); err != nil {
			t.Fatal(err)
		}
		CompareTest(t, OpenTest(t, step[1]), src)
		err := Convert(t.Context(), src, step[1], format)
		if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), step[1]) {
			t.Errorf("second conversion to %s: %v", step[1], err)
		}
	}
	a, b := read(t, first), read(t, second)
	if !bytes.Equal(a, b) {
		t.Errorf("%q became %q", a, b)
	}
	if !bytes.Equal(a, read(t, path("hf/"+singleFile))) {
		t.Error("the folder's file differs")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestGuessFormat(t *testing.T) {
	hf, paddle, torch := &memory{format: FormatSafetensors}, &memory{format: FormatPaddleTar}, &memory{format: FormatPyTorch}
	for _, c := range []struct {
		dst  string
		src  Reader
		want Format
	}{
		{"m.safetensors", paddle, FormatSafetensors},
		{"M.SafeTensors", paddle, FormatSafetensors},
		{"m.tar.gz", hf, FormatPaddleArchive},
		{"m.tgz", hf, FormatPaddleArchive},
		{"m.tar", hf, ""},
		{"m.zip", hf, ""},
		{"m.bin", hf, ""},
		{"m.pt", hf, ""},
		{"m.onnx", hf, ""},
		{"m.gguf", paddle, ""},
		{"m.h5", paddle, ""},
		{"folder/m.pdparams", hf, ""},
		{"m.onnx/", hf, FormatPaddle},
		{"model-v1.2", hf, FormatPaddle},
		{".hidden", hf, FormatPaddle},
		{"a.b/m", hf, FormatPaddle},
		{"", hf, ""},
		{"m", hf, FormatPaddle},
		{"m/", hf, FormatPaddle},
		{"m", paddle, FormatSafetensorsFolder},
		{"m", torch, FormatSafetensorsFolder},
	} {
		if got, ok := GuessFormat(c.dst, c.src); got != c.want || ok != (c.want != "") {
			t.Errorf("%s from %s: %q, want %q", c.dst, c.src.Format(), got, c.want)
		}
	}
}

// TestWritersAreDeterministic writes the same tensors in two orders, with time passing.
func TestWritersAreDeterministic(t *testing.T) {
	a := FromFloat32("a", []int{1}, []float32{1})
	b := Tensor{Info{"b", F64, []int{1}}, make([]byte, 8)}
	dir := t.TempDir()
	write := func(name string, tensors ...Tensor) []byte {
		path := filepath.Join(dir, name)
		if err := WriteSafetensors(path, tensors, map[string]string{"y": "1", "x": "2"}); err != nil {
			t.Fatal(err)
		}
		return read(t, path)
	}
	first := write("1", a, b)
	if !bytes.Equal(first, write("2", b, a)) {
		t.Error("the order of tensors shows in the file")
	}
	const header = `{"__metadata__":{"x":"2","y":"1"},"b":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}`
	if got := string(bytes.TrimRight(first[8:len(first)-12], " ")); got != header {
		t.Errorf("header %s", got)
	}
	if n := binary.LittleEndian.Uint64(first); (n+8)%dataAlignment != 0 {
		t.Errorf("data begins at %d", n+8)
	}

	path := filepath.Join(dir, "m.tar.gz")
	if err := writeTarGz(path, []Tensor{a, b}); err != nil {
		t.Fatal(err)
	}
	archive := read(t, path)
	if err := writeTarGz(path, []Tensor{a, b}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(archive, read(t, path)) {
		t.Error("two archives of the same tensors differ")
	}
}

// TestPaddleBytes compares with a variable written by hand.
func TestPaddleBytes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "m")
	if err := writeDir(dir, []Tensor{FromFloat32("w", []int{2}, []float32{1, 2})}); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(dir, "w")); !bytes.Equal(got, good) {
		t.Errorf("wrote % x, want % x", got, good)
	}
}

func TestWritersRefuse(t *testing.T) {
	tensor := func(name string) Tensor { return FromFloat32(name, []int{1}, []float32{1}) }
	for _, c := range []struct {
		tensors []Tensor
		want    string
		paddle  bool // only Paddle's writers refuse it
	}{
		{[]Tensor{tensor("w"), tensor("w")}, `"w" is there twice`, false},
		{[]Tensor{tensor("\xff")}, `"\xff": name is not UTF-8`, false},
		{[]Tensor{{Info{"w", F32, []int{2}}, make([]byte, 4)}}, `"w": 4 bytes of data`, false},
		{[]Tensor{{Info{"w", F32, []int{-1}}, nil}}, `"w": shape [-1]`, false},
		{[]Tensor{{Info{"w", F32, []int{math.MaxInt, 2}}, nil}}, `"w": shape`, false},
		{[]Tensor{{Info{"w", 0, nil}, nil}}, `"w": no such type`, false},
		{[]Tensor{{Info{"w", 200, nil}, nil}}, `"w": no such type`, false},
		{[]Tensor{{Info{"w", U16, []int{1}}, make([]byte, 2)}}, `"w": Paddle has no type for U16`, true},
		{[]Tensor{tensor("")}, `""`, true},
		{[]Tensor{tensor("..")}, `".."`, true},
		{[]Tensor{tensor("../w")}, `"../w"`, true},
		{[]Tensor{tensor("/etc/w")}, `"/etc/w"`, true},
		{[]Tensor{tensor(`a\w`)}, `"a\\w"`, true},
		{[]Tensor{tensor("c:w")}, `"c:w"`, true},
		{[]Tensor{tensor("a\nw")}, `"a\nw"`, true},
		{[]Tensor{tensor("w.")}, `"w."`, true},
		{[]Tensor{tensor(strings.Repeat("w", 300))}, "longer than", true},
		{[]Tensor{tensor(singleFile)}, singleFile, true},
		{nil, "no tensors", true},
	} {
		dir := t.TempDir()
		writers := map[string]func() error{
			"folder":  func() error { return writeDir(filepath.Join(dir, "m"), c.tensors) },
			"archive": func() error { return writeTarGz(filepath.Join(dir, "m.tgz"), c.tensors) },
		}
		if !c.paddle {
			writers["safetensors"] = func() error { return WriteSafetensors(filepath.Join(dir, "m.safetensors"), c.tensors, nil) }
		}
		for name, write := range writers {
			err := write()
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: error %v, want the path and %s", name, err, c.want)
			}
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left %v behind", c.want, left)
		}
	}
	if err := WriteSafetensors(filepath.Join(t.TempDir(), "x"), []Tensor{tensor(metadataKey)}, nil); err == nil {
		t.Error("a tensor may be called " + metadataKey)
	}
}

// TestHuggingFaceFiles reads what Hugging Face's writers leave: padding with
// spaces, metadata, keys in their order, and, in older files, no alignment.
func TestHuggingFaceFiles(t *testing.T) {
	data := binary.LittleEndian.AppendUint32(nil, math.Float32bits(1.5))
	data = binary.LittleEndian.AppendUint32(data, math.Float32bits(-2))
	header := `{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`
	for padding := range 8 {
		file := safetensorsFile(header+strings.Repeat(" ", padding), data...)
		r := OpenTest(t, save(t, filepath.Join(t.TempDir(), "x.safetensors"), file))
		values, aliased, err := Float32s(r, "w")
		if err != nil || !slices.Equal(values, []float32{1.5, -2}) {
			t.Fatal(values, err)
		}
		if want := nativeLittle && (len(header)+padding)%4 == 0; aliased != want {
			t.Errorf("padding %d: aliased %v", padding, aliased)
		}
		if m := r.Metadata(); !maps.Equal(m, map[string]string{"format": "pt"}) {
			t.Error(m)
		}
	}
	r := OpenTest(t, save(t, filepath.Join(t.TempDir(), "x"), safetensorsFile("{}      ")))
	if len(r.Tensors()) != 0 {
		t.Error(r.Tensors())
	}
}

func TestParseSafetensors(t *testing.T) {
	file := safetensorsFile(`{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 0, 0, 0x80, 0x3f)
	r, err := ParseSafetensors("memory", file)
	if err != nil {
		t.Fatal(err)
	}
	if values, _, err := Float32s(r, "w"); err != nil || !slices.Equal(values, []float32{1}) || r.Path() != "memory" {
		t.Error(values, err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := ParseSafetensors("memory", file[:20]); err == nil || !strings.Contains(err.Error(), "memory: safetensors: ") {
		t.Error(err)
	}
}

func TestShards(t *testing.T) {
	shard := func(names ...string) []byte {
		var tensors []Tensor
		for _, n := range names {
			tensors = append(tensors, FromFloat32(n, []int{1}, []float32{float32(len(n))}))
		}
		path := filepath.Join(t.TempDir(), "x")
		if err := WriteSafetensors(path, tensors, map[string]string{"format": "pt"}); err != nil {
			t.Fatal(err)
		}
		return read(t, path)
	}
	const one, two = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
	files := map[string][]byte{one: shard("a", "b"), two: shard("ccc")}
	index := func(m string) map[string][]byte {
		f := maps.Clone(files)
		f[indexFile] = []byte(m)
		return f
	}
	r := OpenTest(t, folder(t, index("\ufeff"+`{"metadata":{"total_size":12,"x":[1,{}]},"weight_map":{"a":"`+one+`","b":"`+one+`","ccc":"`+two+`"}}`)))
	if v, _, err := Float32s(r, "ccc"); err != nil || v[0] != 3 || len(r.Tensors()) != 3 || r.Metadata()["format"] != "pt" {
		t.Error(v, err, r.Tensors())
	}
	for want, m := range map[string]string{
		`tensor "ccc": "../x" is not`:         `{"weight_map":{"ccc":"../x"}}`,
		`tensor "ccc": "a/x" is not`:          `{"weight_map":{"ccc":"a/x"}}`,
		`tensor "ccc": "" is not`:             `{"weight_map":{"ccc":""}}`,
		`tensor "d" is not in ` + two:         `{"weight_map":{"ccc":"` + two + `","d":"` + two + `"}}`,
		`tensor "b" lies in ` + one:           `{"weight_map":{"a":"` + one + `"}}`,
		"missing.safetensors":                 `{"weight_map":{"a":"missing.safetensors"}}`,
		"no weight_map":                       `{}`,
		`"a" occurs twice`:                    `{"weight_map":{"a":"x","a":"x"}}`,
		"where the beginning of an object":    `{"weight_map":[]}`,
		"the JSON ends in the middle":         `{"metadata":{`,
		`weight_map: "a": '5' where a string`: `{"weight_map":{"a":5}}`,
		indexFile + ": JSON ends too early":   ``,
		`key "metadata" occurs twice`:         `{"metadata":1,"metadata":1}`,
		`tensor "e": "." is not the name of `: `{"weight_map":{"e":"."}}`,
	} {
		wantError(t, folder(t, index(m)), want)
	}
}

func TestFloat32s(t *testing.T) {
	le := binary.LittleEndian
	inf := float32(math.Inf(1))
	for _, c := range []struct {
		d    DType
		data []byte
		want []float32
	}{
		{F16, []byte{0x00, 0x3c, 0x01, 0x00, 0x00, 0xfc}, []float32{1, 5.9604645e-08, -inf}},
		{BF16, []byte{0x80, 0x3f, 0x80, 0x7f}, []float32{1, inf}},
		{F32, le.AppendUint32(nil, math.Float32bits(0.1)), []float32{0.1}},
		{F64, le.AppendUint64(le.AppendUint64(nil, math.Float64bits(0.1)), math.Float64bits(1e300)), []float32{0.1, inf}},
		{F32, nil, []float32{}},
	} {
		r, err := FromTensors("x", []Tensor{{Info{"w", c.d, []int{len(c.data) / c.d.Size()}}, c.data}})
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := Float32s(r, "w")
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v %v, want %v", c.d, got, err, c.want)
		}
		if err := ReadFloat32s(got, r, "w"); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v %v, want %v", c.d, got, err, c.want)
		}
	}
	r, _ := FromTensors("x", []Tensor{{Info{"w", I64, []int{1}}, make([]byte, 8)}})
	if _, _, err := Float32s(r, "w"); err == nil || !strings.Contains(err.Error(), `x: tensor "w" has type I64`) {
		t.Error(err)
	}
	if _, _, err := Float32s(r, "v"); err == nil || !strings.Contains(err.Error(), `x: has no tensor "v"`) {
		t.Error(err)
	}
}

func TestReadFloat32s(t *testing.T) {
	want := []float32{1, 2, 3, 4, 5, 6}
	tensors := []Tensor{FromFloat32("v", []int{1}, []float32{9}), FromFloat32("w", []int{2, 3}, want), {Info{"i", I64, []int{6}}, make([]byte, 48)}}
	dir := t.TempDir()
	path := filepath.Join(dir, "m.safetensors")
	if err := WriteSafetensors(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	r := OpenTest(t, path)
	paddle := filepath.Join(dir, "paddle")
	if err := Convert(t.Context(), r, paddle, FormatPaddle); err != nil {
		t.Fatal(err)
	}
	shards := OpenTest(t, folder(t, map[string][]byte{
		"m.safetensors": read(t, path), indexFile: []byte(`{"weight_map":{"i":"m.safetensors","v":"m.safetensors","w":"m.safetensors"}}`),
	}))
	for _, r := range []Reader{r, shards, OpenTest(t, paddle)} {
		got := make([]float32, 6)
		if err := ReadFloat32s(got, r, "w"); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", r.Format(), got, err)
		}
		if err := ReadFloat32s(got, r, "i"); err == nil || !strings.Contains(err.Error(), `tensor "i" has type I64`) {
			t.Errorf("%s: integers: %v", r.Format(), err)
		}
		if err := ReadFloat32s(got, r, "x"); err == nil || !strings.Contains(err.Error(), `no tensor "x"`) {
			t.Errorf("%s: no tensor: %v", r.Format(), err)
		}
	}
	if err := os.Truncate(path, int64(len(read(t, path))-4)); err != nil {
		t.Fatal(err)
	}
	if err := ReadFloat32s(make([]float32, 6), r, "w"); err == nil || !strings.Contains(err.Error(), `tensor "w"`) {
		t.Errorf("a file cut off meanwhile: %v", err)
	}
	r.Close()
	if err := ReadFloat32s(make([]float32, 6), r, "w"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestMappingIsPrivate writes to mapped weights, as training does, and looks at the file.
func TestMappingIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteSafetensors(path, []Tensor{FromFloat32("w", []int{2}, []float32{1, 2})}, nil); err != nil {
		t.Fatal(err)
	}
	before := read(t, path)
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	values, aliased, err := Float32s(r, "w")
	if err != nil || aliased != nativeLittle {
		t.Fatal(aliased, err)
	}
	values[0] = 5
	if again, _, _ := Float32s(r, "w"); aliased && again[0] != 5 {
		t.Error("the same memory shows another value")
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, read(t, path)) {
		t.Error("writing to the values changed the file")
	}
	if _, err := r.Bytes("w"); err == nil {
		t.Error("a closed reader gives bytes")
	}
	if err := r.Close(); err != nil {
		t.Error("second Close:", err)
	}
}

// largeFile writes a safetensors file of 400 MB, with holes instead of data
// where the file system has them.
func largeFile(tb testing.TB) string {
	var header strings.Builder
	const tensors, elements = 200, 500_000
	for i := range tensors {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		fmt.Fprintf(&header, `%s"encoder_layer_%d_weight":{"dtype":"F32","shape":[%d],"data_offsets":[%d,%d]}`, sep, i, elements, 4*elements*i, 4*elements*(i+1))
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 {
		header.WriteByte(' ')
	}
	file := safetensorsFile(header.String())
	path := save(tb, filepath.Join(tb.TempDir(), "large.safetensors"), file)
	if err := os.Truncate(path, int64(len(file)+4*elements*tensors)); err != nil {
		tb.Fatal(err)
	}
	return path
}

// TestOpeningReadsNoData opens 400 MB, takes all weights and counts allocations.
func TestOpeningReadsNoData(t *testing.T) {
	path := largeFile(t)
	got := allocated(func() {
		r := OpenTest(t, path)
		for _, info := range r.Tensors() {
			if _, aliased, err := Float32s(r, info.Name); err != nil || aliased != nativeLittle {
				t.Fatal(aliased, err)
			}
		}
	})
	if got > 1<<20 {
		t.Errorf("allocated %d bytes, as if the data had been read", got)
	}
}

func BenchmarkOpenSafetensors(b *testing.B) {
	path := largeFile(b)
	b.ReportAllocs()
	for b.Loop() {
		r, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		r.Close()
	}
}

func BenchmarkStatistics(b *testing.B) {
	r, err := FromTensors("x", []Tensor{FromFloat32("w", []int{768, 3072}, make([]float32, 768*3072))})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(4 * 768 * 3072)
	for b.Loop() {
		if _, err := Statistics(r, "w"); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPaddleVariants(t *testing.T) {
	le := binary.LittleEndian
	level := le.AppendUint64(le.AppendUint64(le.AppendUint64(nil, 16), 0), 2)
	data := good[len(good)-8:]
	for name, v := range map[string]variable{
		"packed dims":     {desc: []byte{0x08, 5, 0x12, 1, 2}, data: data},
		"dims in two":     {desc: []byte{0x08, 5, 0x12, 2, 2, 1, 0x10, 1}, data: data},
		"unknown fields":  {desc: []byte{0x18, 9, 0x08, 5, 0x22, 2, 1, 1, 0x10, 2}, data: data},
		"with LoD":        {levels: 1, level: level, desc: f32x2, data: data},
		"dims first":      {desc: []byte{0x10, 2, 0x08, 5}, data: data},
		"two empty lists": {desc: []byte{0x12, 0, 0x08, 5, 0x10, 2, 0x12, 0}, data: data},
	} {
		t.Run(name, func(t *testing.T) {
			r := OpenTest(t, folder(t, map[string][]byte{"w": v.bytes()}))
			values, _, err := Float32s(r, "w")
			if err != nil || !slices.Equal(values, []float32{1, 2}) {
				t.Error(values, err)
			}
		})
	}
}

func TestArchiveForms(t *testing.T) {
	other := []byte("{}")
	for name, archive := range map[string][]byte{
		"tar":          tarFile(t, file("w", good)),
		"dots":         pack(tarFile(t, entry{name: "./", kind: '5'}, file("./w", good))),
		"deep":         pack(tarFile(t, file("a/b/c/w", good), file("a/README", other))),
		"AppleDouble":  pack(tarFile(t, file("m/._w", []byte{0, 5, 0x16, 7}), file("m/w", good))),
		"other files":  pack(tarFile(t, file("m/w", good), file("m/__model__", other), file("x", other), file("m/.keep", nil))),
		"zeros last":   tarFile(t, file("m/w", good), file("m/x", append([]byte("{}"), make([]byte, 4*tarBlock-2)...))),
		"git's header": tarFile(t, entry{kind: 'g', pax: map[string]string{"comment": "x"}}, file("w", good)),
	} {
		t.Run(name, func(t *testing.T) {
			r := OpenTest(t, save(t, filepath.Join(t.TempDir(), "m"), archive))
			values, _, err := Float32s(r, "w")
			if err != nil || !slices.Equal(values, []float32{1, 2}) || len(r.Tensors()) != 1 {
				t.Error(values, err, r.Tensors())
			}
			if name == "other files" && len(r.Files()) != 3 {
				t.Error(r.Files())
			}
		})
	}
}

func TestReadRecords(t *testing.T) {
	two := append(bytes.Clone(good), good...)
	tensors, err := readRecords(bytes.NewReader(two), []string{"b", "a"})
	if err != nil || len(tensors) != 2 || tensors[0].Name != "b" || !bytes.Equal(tensors[1].Data, good[len(good)-8:]) {
		t.Error(tensors, err)
	}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"a"}, "more records than the 1 names"},
		{[]string{"a", "b", "c"}, `record 3: tensor "c"`},
	} {
		if _, err := readRecords(bytes.NewReader(two), c.names); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

func TestStatistics(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	f64 := func(v ...float64) (b []byte) {
		for _, x := range v {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
		return b
	}
	for _, c := range []struct {
		tensor Tensor
		want   Stats
	}{
		{FromFloat32("w", []int{4}, []float32{1, -3, 0, 2}), Stats{Min: -3, Max: 2, Std: math.Sqrt(3.5), AbsMax: 3, Zeros: 1}},
		{FromFloat32("w", []int{5}, []float32{nan, 2, inf, 4, nan}), Stats{Min: 2, Max: 4, Mean: 3, Std: 1, AbsMax: 4, NaN: 2, Inf: 1}},
		{FromFloat32("w", []int{1}, []float32{nan}), Stats{NaN: 1}},
		{FromFloat32("w", []int{0}, nil), Stats{}},
		{FromFloat32("w", []int{3 * chunkElements / 2}, make([]float32, 3*chunkElements/2)), Stats{Zeros: 3 * chunkElements / 2}},
		{Tensor{Info{"w", I8, []int{2}}, []byte{0xff, 3}}, Stats{Min: -1, Max: 3, Mean: 1, Std: 2, AbsMax: 3}},
		{Tensor{Info{"w", U16, []int{1}}, []byte{0xff, 0xff}}, Stats{Min: 65535, Max: 65535, Mean: 65535, AbsMax: 65535}},
		{Tensor{Info{"w", BF16, []int{1}}, []byte{0x80, 0xbf}}, Stats{Min: -1, Max: -1, Mean: -1, AbsMax: 1}},
		{Tensor{Info{"w", F64, []int{2}}, f64(math.MaxFloat64, math.MaxFloat64)}, Stats{Min: math.MaxFloat64, Max: math.MaxFloat64, Mean: math.MaxFloat64, AbsMax: math.MaxFloat64}},
	} {
		r, err := FromTensors("x", []Tensor{c.tensor})
		if err != nil {
			t.Fatal(err)
		}
		got, err := Statistics(r, "w")
		if err != nil || got != c.want {
			t.Errorf("%v: %+v, %v, want %+v", c.tensor.Info, got, err, c.want)
		}
	}
}

// After Close no reader gives data, and says so; closing again is no error.
func TestClosedReaders(t *testing.T) {
	dir := t.TempDir()
	tensors := []Tensor{FromFloat32("w", []int{2}, []float32{1, 2})}
	src, err := FromTensors("memory", tensors)
	if err != nil {
		t.Fatal(err)
	}
	readers := map[string]Reader{}
	for _, name := range []string{"m.safetensors", "folder/", "m.tgz"} {
		format, _ := GuessFormat(name, src)
		path := filepath.Join(dir, name)
		if err := Convert(t.Context(), src, path, format); err != nil {
			t.Fatal(err)
		}
		if readers[name], err = Open(path); err != nil {
			t.Fatal(err)
		}
	}
	if err := Convert(t.Context(), src, filepath.Join(dir, "paddle"), FormatPaddle); err != nil {
		t.Fatal(err)
	}
	if readers["paddle"], err = Open(filepath.Join(dir, "paddle")); err != nil {
		t.Fatal(err)
	}
	readers["memory"], readers["pytorch"] = src, OpenTest(t, "testdata/pytorch/all.bin")
	for name, r := range readers {
		tensor := r.Tensors()[0].Name
		if _, err := r.Bytes(tensor); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := r.Bytes("none"); !errors.Is(err, ErrNoTensor) {
			t.Errorf("%s: no tensor: %v", name, err)
		}
		for range 2 {
			if err := r.Close(); err != nil {
				t.Errorf("%s: Close: %v", name, err)
			}
		}
		var at *FileError
		if _, err := r.Bytes(tensor); !errors.Is(err, os.ErrClosed) || !errors.As(err, &at) || at.File == "" {
			t.Errorf("%s: after Close: %v", name, err)
		}
		if err := ReadFloat32s(make([]float32, r.Tensors()[0].Elements()), r, tensor); !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: after Close: %v", name, err)
		}
	}
}

func TestConvertIsInterrupted(t *testing.T) {
	src, err := FromTensors("memory", []Tensor{FromFloat32("w", []int{1}, []float32{1})})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, format := range []Format{FormatSafetensors, FormatSafetensorsFolder, FormatPaddle, FormatPaddleArchive} {
		dst := filepath.Join(t.TempDir(), "x")
		if err := Convert(ctx, src, dst, format); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", format, err)
		}
		if _, err := os.Stat(dst); err == nil {
			t.Errorf("%s: something was left", format)
		}
	}
	if err := Convert(t.Context(), src, filepath.Join(t.TempDir(), "x"), ""); err == nil {
		t.Error("no format is taken for one")
	}
}

func writeDir(dir string, tensors []Tensor) error {
	infos, fetch := fetchFrom(tensors)
	return writePaddleDir(dir, infos, fetch)
}

func writeTarGz(path string, tensors []Tensor) error {
	infos, fetch := fetchFrom(tensors)
	return writePaddleTarGz(path, "m", infos, fetch)
}
