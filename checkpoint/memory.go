package checkpoint

import (
	"fmt"
	"maps"
	"os"
	"slices"
)

// memory is a checkpoint that lies in memory.
type memory struct {
	table
	format Format
	data   map[string][]byte
	files  []File
	about  map[string]string // the metadata; nil: none
	closed bool
}

// FromTensors returns a reader of tensors in memory, which it aliases. name stands for the path in
// messages. Names, types and sizes are checked: errors name the tensor.
func FromTensors(name string, tensors []Tensor) (Reader, error) {
	infos, _ := fetchFrom(tensors)
	sizes, err := checkInfos(infos)
	if err != nil {
		return nil, inFile(name, err)
	}
	data := make(map[string][]byte, len(tensors))
	for i, t := range tensors {
		if len(t.Data) != sizes[i] {
			return nil, inFile(name, fmt.Errorf("tensor %q: %d bytes of data, but %v of shape %v has %d", t.Name, len(t.Data), t.DType, t.Shape, sizes[i]))
		}
		data[t.Name] = t.Data
	}
	return &memory{table: newTable(name, infos), format: FormatMemory, data: data}, nil
}

func (r *memory) Format() Format { return r.format }
func (r *memory) Files() []File  { return slices.Clone(r.files) }
func (r *memory) Close() error   { r.closed = true; return nil }

func (r *memory) Metadata() map[string]string {
	about := make(map[string]string, len(r.about))
	maps.Copy(about, r.about)
	return about
}

func (r *memory) Bytes(name string) ([]byte, error) {
	if _, err := r.find(name); err != nil {
		return nil, err
	}
	if r.closed {
		return nil, inFile(r.path, fmt.Errorf("tensor %q: %w", name, os.ErrClosed))
	}
	data := r.data[name]
	return data[:len(data):len(data)], nil
}
