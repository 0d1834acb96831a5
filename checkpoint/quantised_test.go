package checkpoint

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// quantisedFile is a file of a weight with scales of its columns, a table with scales of its rows, and a bias, byte by byte.
func quantisedFile() []byte {
	header := `{"__metadata__":{"format":"np","quantised":"1"},` +
		`"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},` +
		`"t.scale":{"dtype":"F32","shape":[2,1],"data_offsets":[8,16]},` +
		`"w.scale":{"dtype":"F32","shape":[1,3],"data_offsets":[16,28]},` +
		`"t":{"dtype":"I8","shape":[2,2],"data_offsets":[28,32]},` +
		`"w":{"dtype":"I8","shape":[2,3],"data_offsets":[32,38]}}`
	for (len(header)+headerPrefix)%dataAlignment != 0 {
		header += " "
	}
	return safetensorsFile(header,
		0, 0, 0x80, 0x3f, 0, 0, 0x80, 0xbf, // b: 1, -1
		0, 0, 0, 0x3f, 0, 0, 0x80, 0x3e, // t.scale: 0.5, 0.25
		0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x80, 0x00, // w.scale: 1, 2, 0x1p-126
		0x7f, 0x81, 0x02, 0x7f, // t: 127, -127; 2, 127
		0x7f, 0xff, 0, 0x81, 0x7f, 0, // w: 127, -1, 0; -127, 127, 0
	)
}

// What the file says, as numbers.
var (
	quantisedTable  = []float32{63.5, -63.5, 0.5, 31.75}
	quantisedWeight = []float32{127, -2, 0, -127, 254, 0}
)

func TestQuantised(t *testing.T) {
	path := save(t, filepath.Join(t.TempDir(), "q.safetensors"), quantisedFile())
	r, err := Quantised(OpenTest(t, path))
	if err != nil {
		t.Fatal(err)
	}
	want, err := FromTensors(path, []Tensor{
		FromFloat32("b", []int{2}, []float32{1, -1}), FromFloat32("t", []int{2, 2}, quantisedTable), FromFloat32("w", []int{2, 3}, quantisedWeight),
	})
	if err != nil {
		t.Fatal(err)
	}
	CompareTest(t, r, want)
	for _, info := range want.Tensors() {
		got, numbers := make([]float32, info.Elements()), make([]float32, info.Elements())
		if err := errors.Join(ReadFloat32s(got, r, info.Name), ReadFloat32s(numbers, want, info.Name)); err != nil || !slices.Equal(got, numbers) {
			t.Errorf("%s is %v, want %v (%v)", info.Name, got, numbers, err)
		}
	}
	if m := r.Metadata(); len(m) != 1 || m["format"] != "np" {
		t.Errorf("metadata %v: a copy would be taken for quantised", m)
	}
	q := r.(QuantisedReader)
	if stored := q.Stored(); len(stored.Tensors()) != 5 || stored.Metadata()[metadataQuantised] != quantisedVersion {
		t.Errorf("stored: %v", stored.Tensors())
	}
	for _, c := range []struct {
		name       string
		values     []int8
		scales     []float32
		perRow, ok bool
	}{
		{"b", nil, nil, false, false},
		{"t", []int8{127, -127, 2, 127}, []float32{0.5, 0.25}, true, true},
		{"w", []int8{127, -1, 0, -127, 127, 0}, []float32{1, 2, 0x1p-126}, false, true},
	} {
		values, scales, perRow, ok, err := q.Int8(c.name)
		if err != nil || !slices.Equal(values, c.values) || !slices.Equal(scales, c.scales) || perRow != c.perRow || ok != c.ok {
			t.Errorf("%s: %v, %v, %v, %v, %v", c.name, values, scales, perRow, ok, err)
		}
	}
	for _, name := range []string{"x", "w.scale"} {
		_, _, _, _, err := q.Int8(name)
		_, errBytes := r.Bytes(name)
		_, errInfo := r.Info(name)
		if !errors.Is(err, ErrNoTensor) || !errors.Is(errBytes, ErrNoTensor) || !errors.Is(errInfo, ErrNoTensor) {
			t.Errorf("%s, which is not there: %v, %v, %v", name, err, errBytes, errInfo)
		}
	}
}

// TestQuantiseGolden holds what is written to the bytes.
func TestQuantiseGolden(t *testing.T) {
	m, err := FromTensors("m", []Tensor{
		FromFloat32("w", []int{2, 3}, quantisedWeight), FromFloat32("t", []int{2, 2}, quantisedTable), FromFloat32("b", []int{2}, []float32{1, -1}),
	})
	if err != nil {
		t.Fatal(err)
	}
	m.(*memory).about = map[string]string{"format": "np"}
	r, err := Quantise(m, map[string]bool{"w": false, "t": true})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "q.safetensors")
	if err := Convert(t.Context(), r, path, FormatSafetensors); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != string(quantisedFile()) {
		t.Errorf("wrote %q, want %q (%v)", got, quantisedFile(), err)
	}
	for _, info := range r.Tensors() {
		if one, err := r.Info(info.Name); err != nil || one.DType != info.DType || !slices.Equal(one.Shape, info.Shape) {
			t.Errorf("%+v alone is %+v (%v)", info, one, err)
		}
	}
}

func TestQuantisedRefuses(t *testing.T) {
	scales := func(shape []int, values ...float32) Tensor { return FromFloat32("w.scale", shape, values) }
	columns := []int{1, 2}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	weight := Tensor{Info{"w", I8, []int{2, 2}}, []byte{1, 2, 3, 4}}
	for name, c := range map[string]struct {
		version string
		tensors []Tensor
		want    string
	}{
		"no scales":        {"1", []Tensor{weight}, `tensor "w": its scales "w.scale" are missing; quantise`},
		"zero":             {"1", []Tensor{weight, scales(columns, 1, 0)}, `tensor "w": scale 1 of "w.scale" is 0, want a positive number`},
		"NaN":              {"1", []Tensor{weight, scales(columns, nan, 1)}, `scale 0 of "w.scale" is NaN`},
		"infinite":         {"1", []Tensor{weight, scales(columns, inf, 1)}, `scale 0 of "w.scale" is +Inf`},
		"weights infinite": {"1", []Tensor{weight, scales(columns, 1, 2.7e36)}, `scale 1 of "w.scale" is 2.7e+36, want a positive number 127 of which are finite`},
		"negative":         {"1", []Tensor{weight, scales(columns, 1, -0.5)}, `scale 1 of "w.scale" is -0.5`},
		"too few":          {"1", []Tensor{weight, scales([]int{1, 1}, 1)}, `shape [1 1] of "w.scale" does not fit [2 2]: want [1 2]`},
		"too many":         {"1", []Tensor{weight, scales([]int{1, 3}, 1, 1, 1)}, `shape [1 3] of "w.scale" does not fit [2 2]`},
		"of nothing":       {"1", []Tensor{weight, scales([]int{2}, 1, 1)}, `shape [2] of "w.scale" does not fit [2 2]`},
		"no matrix":        {"1", []Tensor{{Info{"w", I8, []int{4}}, []byte{1, 2, 3, 4}}, scales(columns, 1, 1)}, `tensor "w": shape [4] of a quantised weight is not that of a matrix`},
		"another type":     {"1", []Tensor{weight, {Info{"w.scale", F16, columns}, []byte{0, 0x3c, 0, 0x3c}}}, `type of "w.scale" is F16, want F32`},
		"scales alone":     {"1", []Tensor{scales(columns, 1, 1)}, `tensor "w.scale" has no weight "w" of type I8`},
		"scales of an F32": {"1", []Tensor{FromFloat32("w", []int{1}, []float32{1}), scales(columns, 1, 1)}, `tensor "w.scale" has no weight "w" of type I8`},
		"another version":  {"2", []Tensor{weight, scales(columns, 1, 1)}, `quantised in version "2" of the form, this program knows version 1`},
		"no version":       {"", []Tensor{weight, scales(columns, 1, 1)}, `tensor "w" has scales, but the metadata does not say in which version`},
		"-128":             {"1", []Tensor{{Info{"w", I8, []int{2, 2}}, []byte{1, 0x80, 3, 4}}, scales(columns, 1, 1)}, `tensor "w" has the weight -128`},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "bad.safetensors")
			metadata := map[string]string{metadataQuantised: c.version}
			if c.version == "" {
				metadata = nil
			}
			if err := WriteSafetensors(path, c.tensors, metadata); err != nil {
				t.Fatal(err)
			}
			r, err := Quantised(OpenTest(t, path))
			if err == nil {
				_, err = r.Bytes("w")
			}
			if at := new(FileError); !errors.As(err, &at) || at.File != path || !strings.Contains(at.Problem, c.want) {
				t.Errorf("error %v, want %s", err, c.want)
			}
		})
	}
}

// TestQuantisedLeavesOthers holds that checkpoints in which nothing is quantised stay what they are.
func TestQuantisedLeavesOthers(t *testing.T) {
	r, err := FromTensors("x", []Tensor{{Info{"n", I8, []int{1}}, []byte{0x80}}, FromFloat32("norm.scale", []int{1}, []float32{0})})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := Quantised(r); err != nil || got != r {
		t.Errorf("%v, %v", got, err)
	}
}

func TestQuantiseRefuses(t *testing.T) {
	m, err := FromTensors("m", []Tensor{
		FromFloat32("w", []int{1, 2}, []float32{1, float32(math.NaN())}), FromFloat32("v", []int{1, 2}, []float32{float32(math.Inf(-1)), 1}),
		FromFloat32("b", []int{2}, []float32{1, 2}), {Info{"n", I8, []int{1, 1}}, []byte{1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		r    Reader
		name string
		want string
	}{
		{m, "w", `tensor "w": the weight in row 0 and column 1 is NaN`},
		{m, "v", `tensor "v": the weight in row 0 and column 0 is -Inf`},
		{m, "b", `tensor "b" is F32 of shape [2], where a matrix of floating-point numbers`},
		{m, "n", `tensor "n" is I8 of shape [1 1], where a matrix of floating-point numbers`},
		{m, "x", "lacks 1 of the 1 tensors"},
		{markedReader{m}, "w", "quantised already"},
	} {
		r, err := Quantise(c.r, map[string]bool{c.name: false})
		if err == nil {
			_, err = r.Bytes(c.name)
		}
		if at := new(FileError); !errors.As(err, &at) || !strings.Contains(at.Problem, c.want) {
			t.Errorf("%s: error %v, want %s", c.name, err, c.want)
		}
	}
}

// TestQuantiseError holds that a number is off by at most half its scale, however large or small numbers are.
func TestQuantiseError(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows, columns := rapid.IntRange(1, 5).Draw(t, "rows"), rapid.IntRange(1, 5).Draw(t, "columns")
		perRow := rapid.Bool().Draw(t, "perRow")
		values := rapid.SliceOfN(rapid.Float32Range(-math.MaxFloat32, math.MaxFloat32), rows*columns, rows*columns).Draw(t, "values")
		memory, err := FromTensors("m", []Tensor{FromFloat32("w", []int{rows, columns}, values)})
		if err != nil {
			t.Fatal(err)
		}
		q, err := Quantise(memory, map[string]bool{"w": perRow})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Quantised(q)
		if err != nil {
			t.Fatal(err)
		}
		_, scales, ofRows, ok, err := r.(QuantisedReader).Int8("w")
		got, _, errFloat := Float32s(r, "w")
		if err != nil || errFloat != nil || !ok || ofRows != perRow && len(values) > 1 {
			t.Fatalf("%v, %v, quantised %v, of rows %v, want %v", err, errFloat, ok, ofRows, perRow)
		}
		for i, v := range got {
			at := i % columns
			if perRow {
				at = i / columns
			}
			scale := scales[at]
			const rounding = 1 + 0x1p-15 // of float32, in 127 scales
			if off := math.Abs(float64(v) - float64(values[i])); off > float64(scale)/2*rounding {
				t.Fatalf("%v became %v, off by %v scales of %v", values[i], v, off/float64(scale), scale)
			}
		}
	})
}

// markedReader is a checkpoint in memory that says that it is quantised.
type markedReader struct{ Reader }

func (markedReader) Metadata() map[string]string {
	return map[string]string{metadataQuantised: quantisedVersion}
}

func FuzzQuantised(f *testing.F) {
	f.Add(quantisedFile())
	f.Add(safetensorsFile(`{"__metadata__":{"quantised":"1"},"w":{"dtype":"I8","shape":[0,3],"data_offsets":[0,0]},"w.scale":{"dtype":"F32","shape":[1,3],"data_offsets":[0,12]}}`, make([]byte, 12)...))
	f.Add(safetensorsFile(`{"__metadata__":{"quantised":"2"}}`))
	f.Fuzz(func(t *testing.T, file []byte) {
		stored, err := newSafetensors(&mapping{data: file}, "x", FormatSafetensors)
		if err != nil {
			return
		}
		r, err := Quantised(stored)
		if err != nil {
			if !errors.As(err, new(*FileError)) {
				t.Fatalf("%v names no file", err)
			}
			return
		}
		q, ok := r.(QuantisedReader)
		if !ok {
			return
		}
		for _, info := range r.Tensors() {
			values, scales, perRow, ok, err := q.Int8(info.Name)
			if err != nil {
				if _, err := r.Bytes(info.Name); err == nil {
					t.Fatalf("%+v has numbers and no whole numbers", info)
				}
				continue
			}
			if want := map[bool]int{true: 0, false: 1}[perRow]; ok && (len(values) != info.Elements() || len(scales) != info.Shape[want]) {
				t.Fatalf("%+v has %d values and %d scales", info, len(values), len(scales))
			}
			if data, err := r.Bytes(info.Name); err != nil || len(data) != info.Elements()*info.DType.Size() {
				t.Fatalf("%+v has %d bytes (%v)", info, len(data), err)
			}
		}
	})
}
