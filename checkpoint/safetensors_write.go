package checkpoint

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

// dataAlignment is where data begins: with a page-aligned mapping every first
// tensor starts on a cache line, which is also the width of an AVX-512 register.
// The format only asks for 8.
const dataAlignment = 64

// WriteSafetensors creates or replaces a safetensors file, whole or not at all.
//
// The result depends only on the arguments, not on the order of tensors: the
// tensors lie in the file by the size of their element type, largest first, and
// by name among equals, so that each is aligned for its type without gaps. (The
// format's reference implementation orders in the same way.) metadata may be nil.
//
// Names must be different, valid UTF-8 and not "__metadata__", and the length of
// Data must fit type and shape; otherwise an error names the tensor and nothing
// is written.
func WriteSafetensors(path string, tensors []Tensor, metadata map[string]string) error {
	infos, fetch := fetchFrom(tensors)
	return writeSafetensors(path, infos, metadata, fetch)
}

// WriteSafetensorsFrom is [WriteSafetensors] for tensors that are never all in memory: fetch returns the data of the i-th of infos,
// which stay valid until it is called again. It is called once for each, in the order in which they lie in the file.
func WriteSafetensorsFrom(path string, infos []Info, metadata map[string]string, fetch func(i int) ([]byte, error)) error {
	return writeSafetensors(path, infos, metadata, fetch)
}

// fetcher returns the data of the i-th tensor of a list.
type fetcher func(i int) ([]byte, error)

// fetchFrom splits tensors for the writers, which take data one tensor at a time
// so that a conversion never holds a whole checkpoint.
func fetchFrom(tensors []Tensor) ([]Info, fetcher) {
	infos := make([]Info, len(tensors))
	for i, t := range tensors {
		infos[i] = t.Info
	}
	return infos, func(i int) ([]byte, error) { return tensors[i].Data, nil }
}

func writeSafetensors(path string, infos []Info, metadata map[string]string, fetch fetcher) error {
	sizes, err := checkInfos(infos)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	for _, info := range infos {
		if info.DType == C128 {
			return fmt.Errorf("write %s: tensor %q: safetensors has no type for %v; leave the tensor out, or write Paddle's format", path, info.Name, info.DType)
		}
	}
	order := safetensorsOrder(infos)
	header, err := buildHeader(infos, sizes, order, metadata)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		if _, err := w.Write(header); err != nil {
			return err
		}
		for _, i := range order {
			if err := writeData(w, infos[i], sizes[i], i, fetch); err != nil {
				return err
			}
		}
		return nil
	})
}

// SafetensorsHeader returns what a safetensors file with one tensor begins with. The tensor's data follow, little-endian, behind the
// header's end: for who has more of them than memory. The header may be made longer with spaces, if its first 8 bytes, the
// length of what follows them, say so.
func SafetensorsHeader(info Info, metadata map[string]string) ([]byte, error) {
	infos := []Info{info}
	sizes, err := checkInfos(infos)
	if err != nil {
		return nil, err
	}
	return buildHeader(infos, sizes, []int{0}, metadata)
}

// writeData fetches the data of the i-th tensor, checks its length and writes it.
func writeData(w io.Writer, info Info, size, i int, fetch fetcher) error {
	data, err := fetch(i)
	if err != nil {
		return err
	}
	if len(data) != size {
		return fmt.Errorf("tensor %q: %d bytes of data, but %v of shape %v has %d", info.Name, len(data), info.DType, info.Shape, size)
	}
	_, err = w.Write(data)
	return err
}

// checkInfos returns the tensors' sizes in bytes, or what is wrong with their
// names, types or shapes.
func checkInfos(infos []Info) ([]int, error) {
	sizes := make([]int, len(infos))
	seen := make(map[string]struct{}, len(infos))
	for i, info := range infos {
		if _, ok := seen[info.Name]; ok {
			return nil, fmt.Errorf("tensor %q is there twice", info.Name)
		}
		seen[info.Name] = struct{}{}
		if !utf8.ValidString(info.Name) {
			return nil, fmt.Errorf("tensor %q: name is not UTF-8", info.Name)
		}
		if !info.DType.valid() {
			return nil, fmt.Errorf("tensor %q: no such type %v", info.Name, info.DType)
		}
		size, err := byteSize(info.DType, info.Shape)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", info.Name, err)
		}
		sizes[i] = size
	}
	return sizes, nil
}

// safetensorsOrder returns the indices of infos in the order of the file.
func safetensorsOrder(infos []Info) []int {
	order := make([]int, len(infos))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(i, j int) int {
		a, b := infos[i], infos[j]
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), cmp.Compare(a.Name, b.Name))
	})
	return order
}

// buildHeader returns the length and the padded JSON.
func buildHeader(infos []Info, sizes, order []int, metadata map[string]string) ([]byte, error) {
	h := bytes.NewBuffer(make([]byte, headerPrefix, 4096))
	separator := byte('{')
	entry := func(key string, value any) error {
		h.WriteByte(separator)
		separator = ','
		if err := appendJSON(h, key); err != nil {
			return err
		}
		h.WriteByte(':')
		return appendJSON(h, value)
	}
	if len(metadata) > 0 {
		for key, value := range maps.All(metadata) {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, fmt.Errorf("metadata %q: %q is not UTF-8", key, value)
			}
		}
		if err := entry(metadataKey, metadata); err != nil { // encoding/json sorts the keys
			return nil, err
		}
	}
	offset := 0
	for _, i := range order {
		info := infos[i]
		if info.Name == metadataKey {
			return nil, fmt.Errorf("tensor %q: safetensors keeps this name for itself; rename it", info.Name)
		}
		end := offset + sizes[i]
		if end < offset {
			return nil, errors.New("the tensors together are larger than any file")
		}
		shape := info.Shape
		if shape == nil {
			shape = []int{} // a scalar is [], not null
		}
		if err := entry(info.Name, struct {
			DType   string `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{info.DType.String(), shape, [2]int{offset, end}}); err != nil {
			return nil, err
		}
		offset = end
	}
	if separator == '{' {
		h.WriteByte('{')
	}
	h.WriteByte('}')
	for h.Len()%dataAlignment != 0 {
		h.WriteByte(' ')
	}
	n := h.Len() - headerPrefix
	if n > maxHeader {
		return nil, fmt.Errorf("header of %d bytes is over the format's limit of %d: too many tensors, or too long names", n, maxHeader)
	}
	binary.LittleEndian.PutUint64(h.Bytes(), uint64(n))
	return h.Bytes(), nil
}

// appendJSON writes v on one line, leaving <, > and & readable.
func appendJSON(h *bytes.Buffer, v any) error {
	enc := json.NewEncoder(h)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	h.Truncate(h.Len() - 1) // the newline of Encode
	return nil
}
