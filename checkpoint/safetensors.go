package checkpoint

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/unimo-go/unimo/internal/base/infile"
)

const (
	// headerPrefix is the size of the header's length.
	headerPrefix = 8

	// maxHeader is the longest header that the format's reference implementation accepts.
	maxHeader = 100_000_000

	metadataKey = "__metadata__"
)

// safetensors is a mapped safetensors file.
type safetensors struct {
	table
	format   Format
	file     *mapping
	spans    [][2]int // of infos, in file.data
	metadata map[string]string
}

// OpenSafetensors maps a safetensors file, whatever its name. It validates the whole header, and reads
// none of the data. [Open] calls it for what it recognises. Errors are [*FileError].
func OpenSafetensors(path string) (Reader, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	return mapSafetensors(f, path, FormatSafetensors)
}

// ParseSafetensors reads a safetensors file that lies in memory, such as an embedded one. The reader
// aliases it and never writes to it. name stands for the path in messages. Errors are [*FileError].
func ParseSafetensors(name string, file []byte) (Reader, error) {
	return newSafetensors(&mapping{data: file}, name, FormatSafetensors)
}

// mapSafetensors does the work of OpenSafetensors and takes f over.
func mapSafetensors(f *os.File, path string, format Format) (Reader, error) {
	file, err := mapFile(f)
	if err != nil {
		return nil, err
	}
	return newSafetensors(file, path, format)
}

// newSafetensors takes file over; if an error is returned, it is closed.
func newSafetensors(file *mapping, path string, format Format) (Reader, error) {
	if err := infile.Foreign(path, file.data); err != nil {
		return nil, errors.Join(err, file.close())
	}
	h, err := parseSafetensors(file.data)
	if err != nil {
		return nil, inFile(path, fmt.Errorf("safetensors: %w", errors.Join(err, file.close())))
	}
	r := &safetensors{table: newTable(path, h.infos), format: format, file: file, metadata: h.metadata}
	r.spans = make([][2]int, len(r.infos))
	for i, info := range r.infos {
		r.spans[i] = h.spans[info.Name]
	}
	return r, nil
}

func (r *safetensors) Format() Format              { return r.format }
func (r *safetensors) Metadata() map[string]string { return maps.Clone(r.metadata) }
func (r *safetensors) Files() []File               { return nil }
func (r *safetensors) Close() error                { return r.file.close() }

func (r *safetensors) Bytes(name string) ([]byte, error) {
	begin, end, err := r.span(name)
	if err != nil {
		return nil, err
	}
	return r.file.data[begin:end:end], nil
}

func (r *safetensors) fill(dst []byte, name string) error {
	begin, _, err := r.span(name)
	if err != nil {
		return err
	}
	if err := r.file.read(dst, begin); err != nil {
		return inFile(r.path, fmt.Errorf("tensor %q: %w", name, err))
	}
	return nil
}

// span returns where in the file, which must be open, a tensor lies.
func (r *safetensors) span(name string) (begin, end int, err error) {
	i, err := r.find(name)
	if err != nil {
		return 0, 0, err
	}
	if r.file.data == nil {
		return 0, 0, inFile(r.path, fmt.Errorf("tensor %q: %w", name, os.ErrClosed))
	}
	return r.spans[i][0], r.spans[i][1], nil
}

// safetensorsHeader is what the header of a file says.
type safetensorsHeader struct {
	infos    []Info            // in the header's order
	spans    map[string][2]int // in the file, by name
	metadata map[string]string
}

// parseSafetensors validates the header of a whole file.
func parseSafetensors(file []byte) (*safetensorsHeader, error) {
	if len(file) < headerPrefix {
		return nil, fmt.Errorf("file of %d bytes is too short for the header's length; it was cut off, fetch it again", len(file))
	}
	n := binary.LittleEndian.Uint64(file)
	if n > uint64(len(file)-headerPrefix) && !looksLikeSafetensors(file) {
		if err := misnamed(file, "safetensors"); err != nil {
			return nil, err
		}
	}
	if n > maxHeader {
		return nil, fmt.Errorf("header of %d bytes is over the format's limit of %d", n, maxHeader)
	}
	if n > uint64(len(file)-headerPrefix) {
		return nil, fmt.Errorf("header says it has %d bytes, but only %d follow; the file was cut off, fetch it again", n, len(file)-headerPrefix)
	}
	start := headerPrefix + int(n)
	h, err := parseHeader(file[headerPrefix:start])
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	if err := h.checkCover(len(file) - start); err != nil {
		return nil, err
	}
	for name, span := range h.spans {
		h.spans[name] = [2]int{start + span[0], start + span[1]}
	}
	return h, nil
}

// parseHeader reads the JSON. The spans count from the first byte of data and
// have the sizes of their tensors; whether they fit together and into the file
// is for checkCover to say.
func parseHeader(raw []byte) (*safetensorsHeader, error) {
	if len(raw) == 0 || raw[0] != '{' {
		return nil, errors.New("does not begin with '{'")
	}
	h := &safetensorsHeader{spans: make(map[string][2]int), metadata: make(map[string]string)}
	err := whole(raw, func(in *scanner) error {
		return in.object(maxEntries, func(key string) (err error) {
			if key == metadataKey {
				if h.metadata, err = in.texts(maxMetadata); err != nil {
					return fmt.Errorf("%s: %w", metadataKey, err)
				}
				return nil
			}
			info, span, err := readEntry(in, key)
			if err != nil {
				return fmt.Errorf("tensor %q: %w", key, err)
			}
			h.infos = append(h.infos, info)
			h.spans[key] = span
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return h, nil
}

// readEntry reads the description of one tensor.
func readEntry(in *scanner, name string) (Info, [2]int, error) {
	info := Info{Name: name}
	var offsets []int
	err := in.object(maxMetadata, func(key string) (err error) {
		switch key {
		case "dtype":
			var s string
			if s, err = in.text(); err == nil {
				var ok bool
				if info.DType, ok = parseDType(s); !ok || info.DType == C128 {
					err = fmt.Errorf("unknown type %q; read the file with the library that wrote it", s)
				}
			}
		case "shape":
			info.Shape, err = in.counts(maxRank)
		case "data_offsets":
			offsets, err = in.counts(2)
		default:
			err = errors.New("unknown key")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	if err != nil {
		return info, [2]int{}, err
	}
	if info.DType == 0 || info.Shape == nil || len(offsets) != 2 {
		return info, [2]int{}, errors.New("dtype, shape or one of the two data_offsets is missing")
	}
	span := [2]int{offsets[0], offsets[1]}
	if span[1] < span[0] {
		return info, span, fmt.Errorf("data_offsets %v run backwards", offsets)
	}
	size, err := byteSize(info.DType, info.Shape)
	if err != nil {
		return info, span, err
	}
	if span[1]-span[0] != size {
		return info, span, fmt.Errorf("data_offsets %v span %d bytes, but %v of shape %v has %d", offsets, span[1]-span[0], info.DType, info.Shape, size)
	}
	return info, span, nil
}

// checkCover says whether the spans cover dataSize bytes without gap, overlap or rest.
func (h *safetensorsHeader) checkCover(dataSize int) error {
	names := make([]string, len(h.infos))
	for i, info := range h.infos {
		names[i] = info.Name
	}
	slices.SortFunc(names, func(a, b string) int {
		x, y := h.spans[a], h.spans[b]
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(a, b))
	})
	end := 0
	for _, name := range names {
		span := h.spans[name]
		switch {
		case span[0] < end:
			return fmt.Errorf("tensor %q: data from byte %d overlaps another that ends at %d", name, span[0], end)
		case span[0] > end:
			return fmt.Errorf("tensor %q: data from byte %d leaves a hole after %d", name, span[0], end)
		case span[1] > dataSize:
			return fmt.Errorf("tensor %q: data up to byte %d, but the file holds %d; it was cut off, fetch it again", name, span[1], dataSize)
		}
		end = span[1]
	}
	if end != dataSize {
		return fmt.Errorf("%d bytes after the last tensor", dataSize-end)
	}
	return nil
}
