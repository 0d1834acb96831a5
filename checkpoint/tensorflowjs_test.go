package checkpoint

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTensorFlowJS reads what TensorFlow.js reads; testdata/make_tensorflowjs.js asked it.
func TestTensorFlowJS(t *testing.T) {
	const folder = "testdata/tensorflowjs"
	raw, err := os.ReadFile(filepath.Join(folder, "want.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want map[string][]float64
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{folder, filepath.Join(folder, tensorFlowJS)} {
		r := OpenTest(t, path)
		if r.Format() != FormatTensorFlowJS || r.Metadata()["generatedBy"] != "by hand" || len(r.Tensors()) != len(want) {
			t.Errorf("%s: format %q, metadata %v, %d tensors", path, r.Format(), r.Metadata(), len(r.Tensors()))
		}
		for _, info := range r.Tensors() {
			data, err := r.Bytes(info.Name)
			if err != nil {
				t.Fatal(err)
			}
			var got []float64
			switch info.DType {
			case Bool:
				for _, b := range data {
					got = append(got, float64(b))
				}
			case I32:
				for i := range info.Elements() {
					got = append(got, float64(int32(binary.LittleEndian.Uint32(data[4*i:]))))
				}
			default:
				values, _, err := Float32s(r, info.Name)
				if err != nil {
					t.Fatal(err)
				}
				for _, v := range values {
					got = append(got, float64(v))
				}
			}
			if len(got) != len(want[info.Name]) {
				t.Fatalf("%s: %d values, want %d", info.Name, len(got), len(want[info.Name]))
			}
			for i, v := range want[info.Name] {
				if float32(v) != float32(got[i]) || math.IsNaN(v) {
					t.Errorf("%s: element %d is %v, want %v", info.Name, i, got[i], v)
				}
			}
		}
	}
}

// jsFile is a description with one group of one file.
func jsFile(paths, weights string) string {
	return `{"format":"graph-model","weightsManifest":[{"paths":[` + paths + `],"weights":[` + weights + `]}]}`
}

func TestHostileTensorFlowJS(t *testing.T) {
	w := func(more string) string { return `{"name":"w","shape":[2],` + more + `}` }
	for name, c := range map[string]struct {
		file, want string
		data       int
	}{
		"no weights":     {`{"format":"graph-model"}`, "without a weightsManifest", 0},
		"a path":         {jsFile(`"../w.bin"`, w(`"dtype":"float32"`)), "not the name of a file beside it", 8},
		"absent":         {jsFile(`"v.bin"`, w(`"dtype":"float32"`)), "v.bin: is named by m.json, but is not there", 8},
		"too short":      {jsFile(`"w.bin"`, w(`"dtype":"float32"`)), "7 bytes of weights in w.bin, where the tensors have 8", 7},
		"too long":       {jsFile(`"w.bin"`, w(`"dtype":"float32"`)), "it has 9 bytes, where the tensors have 8", 9},
		"text":           {jsFile(`"w.bin"`, w(`"dtype":"string"`)), `is of type "string", which is not supported`, 8},
		"quantisation":   {jsFile(`"w.bin"`, w(`"dtype":"float32","quantization":{"dtype":"int4"}`)), `quantised as "int4", which is not supported`, 8},
		"no scale":       {jsFile(`"w.bin"`, w(`"dtype":"float32","quantization":{"dtype":"uint8","min":0}`)), "without a scale", 2},
		"twice":          {jsFile(`"w.bin"`, w(`"dtype":"bool"`)+","+w(`"dtype":"bool"`)), `tensor "w" is there twice`, 4},
		"negative":       {jsFile(`"w.bin"`, `{"name":"w","shape":[-2],"dtype":"float32"}`), "negative dimension", 8},
		"overflow":       {jsFile(`"w.bin"`, `{"name":"w","shape":[4294967296,4294967296],"dtype":"float32"}`), "larger than any memory", 8},
		"sum overflows":  {jsFile(`"w.bin"`, `{"name":"v","shape":[4611686018427387904],"dtype":"bool"},{"name":"w","shape":[4611686018427387904],"dtype":"bool"}`), "larger than any memory", 8},
		"promises":       {jsFile(`"w.bin"`, `{"name":"w","shape":[1073741824],"dtype":"float32"}`), "where the tensors have 4294967296", 8},
		"cut off":        {jsFile(`"w.bin"`, w(`"dtype":"float32"`))[:40], "ends in the middle", 8},
		"quantised size": {jsFile(`"w.bin"`, `{"name":"w","shape":[4611686018427387904],"dtype":"float32","quantization":{"dtype":"uint8","scale":1,"min":0}}`), "larger than any memory", 8},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			save(t, filepath.Join(dir, "w.bin"), make([]byte, c.data))
			path := save(t, filepath.Join(dir, "m.json"), []byte(c.file))
			r, err := Open(path)
			if err == nil {
				r.Close()
				t.Fatal("accepted")
			}
			if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("error %q, want %q and the file's path", err, c.want)
			}
			if name == "absent" && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("error %q wraps no fs.ErrNotExist", err)
			}
		})
	}
}

func FuzzTensorFlowJS(f *testing.F) {
	f.Add([]byte(jsFile(`"w.bin"`, `{"name":"w","shape":[2],"dtype":"float32"}`)), uint16(8))
	f.Add([]byte(jsFile(`"w.bin","w.bin"`, `{"name":"w","shape":[2,2],"dtype":"float32","quantization":{"dtype":"uint16","scale":0.1,"min":-3}}`)), uint16(4))
	f.Add([]byte(jsFile(`"w.bin"`, `{"name":"w","shape":[],"dtype":"int32","quantization":{"dtype":"uint8","scale":1e300,"min":-3}}`)), uint16(1))
	f.Fuzz(func(t *testing.T, file []byte, data uint16) {
		r, err := parseTensorFlowJS(file, "x", func(name string, limit int) ([]byte, error) {
			if int(data) > limit {
				return nil, errors.New("larger")
			}
			return make([]byte, data), nil
		})
		if err != nil {
			return
		}
		checkTensors(t, r)
	})
}
