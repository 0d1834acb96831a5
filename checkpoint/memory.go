package checkpoint

import (
	"fmt"
	"slices"
)

// memory is a checkpoint that lies in memory.
type memory struct {
	table
	format Format
	data   map[string][]byte
	files  []File
}

// FromTensors returns a reader of tensors in memory, which it aliases. name
// stands for the path in error messages. Names, types and sizes are checked.
func FromTensors(name string, tensors []Tensor) (Reader, error) {
	infos, _ := fetchFrom(tensors)
	sizes, err := checkInfos(infos)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	data := make(map[string][]byte, len(tensors))
	for i, t := range tensors {
		if len(t.Data) != sizes[i] {
			return nil, fmt.Errorf("%s: tensor %q: %d bytes of data, but %v of shape %v has %d", name, t.Name, len(t.Data), t.DType, t.Shape, sizes[i])
		}
		data[t.Name] = t.Data
	}
	return &memory{table: newTable(name, infos), format: "memory", data: data}, nil
}

func (r *memory) Format() string              { return string(r.format) }
func (r *memory) Metadata() map[string]string { return map[string]string{} }
func (r *memory) Files() []File               { return slices.Clone(r.files) }
func (r *memory) Close() error                { return nil }

func (r *memory) Bytes(name string) ([]byte, error) {
	if _, err := r.find(name); err != nil {
		return nil, err
	}
	data := r.data[name]
	return data[:len(data):len(data)], nil
}
