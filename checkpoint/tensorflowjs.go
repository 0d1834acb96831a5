package checkpoint

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// tensorFlowJS is the name that TensorFlow.js gives to a model's file; its weights lie beside it.
const tensorFlowJS = "model.json"

// manifest is what of a model.json says where the weights are. A group's tensors follow each other without gaps through
// the files of its paths, one after the other.
type manifest struct {
	Format          string `json:"format"`
	GeneratedBy     string `json:"generatedBy"`
	ConvertedBy     string `json:"convertedBy"`
	WeightsManifest []struct {
		Paths   []string      `json:"paths"`
		Weights []weightEntry `json:"weights"`
	} `json:"weightsManifest"`
}

// weightEntry describes a tensor. One that is quantised has elements q of the quantisation's type, and means
// q·scale+min, rounded where the tensor's own type is a whole number; or just q in half precision.
type weightEntry struct {
	Name         string `json:"name"`
	Shape        []int  `json:"shape"`
	DType        string `json:"dtype"`
	Quantization *struct {
		DType string   `json:"dtype"`
		Scale *float64 `json:"scale"`
		Min   *float64 `json:"min"`
	} `json:"quantization"`
}

// jsTypes are the types by their names in TensorFlow.js. Its texts ("string") are no numbers, and not read.
var jsTypes = map[string]DType{"float32": F32, "float16": F16, "int32": I32, "uint16": U16, "uint8": U8, "bool": Bool, "complex64": C64}

// types returns the type of a tensor and the one that its elements have in the file.
func (w weightEntry) types() (own, stored DType, err error) {
	own, ok := jsTypes[w.DType]
	if !ok {
		return 0, 0, fmt.Errorf("is of type %q, which is not supported; supported are float32, int32, bool, complex64 and the quantised", w.DType)
	}
	q := w.Quantization
	switch {
	case q == nil:
		return own, own, nil
	case q.DType == "float16" && own == F32:
		return F16, F16, nil // what it is: half precision; whoever reads it converts
	case (q.DType == "uint8" || q.DType == "uint16") && (own == F32 || own == I32):
		if q.Scale == nil || q.Min == nil {
			return 0, 0, fmt.Errorf("is quantised as %s without a scale or a minimum; fetch the file again", q.DType)
		}
		return own, jsTypes[q.DType], nil
	}
	return 0, 0, fmt.Errorf("is of type %s, quantised as %q, which is not supported; supported are float16, uint8 and uint16", w.DType, q.DType)
}

// size returns the bytes that a tensor has in the file.
func (w weightEntry) size() (int, error) {
	own, stored, err := w.types()
	if err != nil {
		return 0, err
	}
	if _, err := byteSize(own, w.Shape); err != nil {
		return 0, err
	}
	return byteSize(stored, w.Shape)
}

// restore computes the elements of a tensor that is quantised as whole numbers.
func (w weightEntry) restore(stored DType, raw []byte) []byte {
	n := len(raw) / stored.Size()
	data := make([]byte, 4*n)
	for i := range n {
		q := float64(raw[i*stored.Size()])
		if stored == U16 {
			q = float64(binary.LittleEndian.Uint16(raw[2*i:]))
		}
		v := float64(q**w.Quantization.Scale) + *w.Quantization.Min // not fused: JavaScript rounds twice
		bits := math.Float32bits(float32(v))
		if w.DType == "int32" {
			bits = uint32(int32(max(math.MinInt32, min(math.MaxInt32, math.Floor(v+0.5))))) // Math.round
		}
		binary.LittleEndian.PutUint32(data[4*i:], bits)
	}
	return data
}

// openTensorFlowJS opens the model.json f, which it closes, and reads the files of weights beside it.
func openTensorFlowJS(root *os.Root, f *os.File, path string) (Reader, error) {
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxHeader+1))
	if err == nil && len(raw) > maxHeader {
		err = fmt.Errorf("is larger than %d bytes, which no model's description is", maxHeader)
	}
	if err != nil {
		return nil, inFile(path, err)
	}
	r, err := parseTensorFlowJS(raw, path, func(name string, limit int) ([]byte, error) { return readBeside(root, name, limit) })
	if err != nil {
		return nil, inFile(path, err)
	}
	return r, nil
}

// readBeside reads a file of weights, of at most limit bytes.
func readBeside(root *os.Root, name string, limit int) ([]byte, error) {
	f, err := openInside(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > int64(limit) {
		return nil, fmt.Errorf("it has %d bytes, where the tensors have %d", st.Size(), limit)
	}
	data := make([]byte, st.Size())
	_, err = io.ReadFull(f, data)
	return data, err
}

// parseTensorFlowJS reads a model.json. read returns the content of a file beside it.
func parseTensorFlowJS(raw []byte, path string, read func(name string, limit int) ([]byte, error)) (Reader, error) {
	var m manifest
	if err := infile.DecodeJSON(path, raw, &m); err != nil {
		return nil, err
	}
	if len(m.WeightsManifest) == 0 {
		return nil, &FileError{File: path, Problem: "is no checkpoint that is known here: JSON without a weightsManifest, which TensorFlow.js's model.json has",
			Remedy: "name " + nameable}
	}
	r := &memory{format: FormatTensorFlowJS, data: map[string][]byte{}, about: map[string]string{}}
	for key, value := range map[string]string{"format": m.Format, "generatedBy": m.GeneratedBy, "convertedBy": m.ConvertedBy} {
		if value != "" {
			r.about[key] = value
		}
	}
	var infos []Info
	for _, group := range m.WeightsManifest {
		total := 0
		for _, w := range group.Weights {
			size, err := w.size()
			if err != nil {
				return nil, fmt.Errorf("tensor %q: %w", w.Name, err)
			}
			if total += size; total < 0 {
				return nil, fmt.Errorf("tensor %q: with those before it larger than any memory", w.Name)
			}
		}
		data, err := readGroup(group.Paths, path, total, read)
		if err != nil {
			return nil, err
		}
		if len(data) != total {
			return nil, fmt.Errorf("%d bytes of weights in %s, where the tensors have %d; fetch the files again", len(data), strings.Join(group.Paths, ", "), total)
		}
		for _, w := range group.Weights {
			own, stored, _ := w.types()
			size, _ := w.size()
			values := data[:size:size]
			data = data[size:]
			if own != stored {
				values = w.restore(stored, values)
			}
			infos = append(infos, Info{Name: w.Name, DType: own, Shape: w.Shape})
			r.data[w.Name] = values
		}
	}
	if _, err := checkInfos(infos); err != nil { // names that are there twice
		return nil, err
	}
	r.table = newTable(path, infos)
	return r, nil
}

// readGroup reads the files of a group of the description at path; together they have at most limit bytes.
func readGroup(names []string, path string, limit int, read func(name string, limit int) ([]byte, error)) ([]byte, error) {
	var data []byte
	for _, name := range names {
		if !beside(name) {
			return nil, fmt.Errorf("weights in %q, which is not the name of a file beside it; put the file there and its name into \"paths\"", name)
		}
		part, err := read(name, limit-len(data))
		if err != nil {
			problem := fmt.Sprintf("has weights of %s, but cannot be read: %v", filepath.Base(path), err)
			if errors.Is(err, fs.ErrNotExist) {
				problem = fmt.Sprintf("is named by %s, but is not there", filepath.Base(path))
			}
			return nil, &FileError{File: filepath.Join(filepath.Dir(path), name), Problem: problem, Remedy: "fetch it again, into the same folder", Err: err}
		}
		if len(names) == 1 {
			return part, nil
		}
		data = append(data, part...)
	}
	return data, nil
}
