package embed

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

// Item is what a vector is of.
type Item struct {
	Text      *string `json:"text,omitempty"`
	Image     string  `json:"image,omitempty"`
	Truncated bool    `json:"truncated,omitempty"` // the text was cut to what the model reads
}

// Line is a line of a file of JSON lines.
type Line struct {
	Item
	Vector []float32 `json:"vector"`
}

// Add takes the next vector.
type Add func(item Item, vector []float32) error

// format is one of the binary formats: rows of float32 behind a header that says how many there are.
type format func(info Info, ids string, rows int) ([]byte, error)

// formats are the formats of files by their endings; JSON lines have no header.
var formats = map[string]format{".npy": npyHeader, ".safetensors": safetensorsHeader, ".jsonl": nil}

// Endings are those of the files that [Write] writes, for messages.
const Endings = ".jsonl, .npy or .safetensors"

// Known says whether [Write] writes files with the ending of path.
func Known(path string) bool {
	_, ok := formats[strings.ToLower(filepath.Ext(path))]
	return ok
}

// IDsFile is the file beside one of vectors that says what they are of; "" for JSON lines, which say it themselves.
func IDsFile(path string) string {
	ext := filepath.Ext(path)
	if formats[strings.ToLower(ext)] == nil {
		return ""
	}
	return strings.TrimSuffix(path, ext) + ".ids.jsonl"
}

// Write writes the vectors that fill adds to a file of the format that its ending names, whole or not at all, and what they are of: in
// the lines themselves, or in [IDsFile]. Their number need not be known, and none is kept in memory.
func Write(path string, info Info, fill func(add Add) error) error {
	var failed error // of fill: what it says does not begin with the file's name
	err := write(path, info, func(add Add) error {
		failed = fill(add)
		return failed
	})
	return cmp.Or(failed, err)
}

func write(path string, info Info, fill func(add Add) error) error {
	header := formats[strings.ToLower(filepath.Ext(path))]
	if header == nil {
		return atomicfile.Write(path, func(w io.Writer) error {
			return fill(func(item Item, vector []float32) error { return writeLine(w, Line{item, vector}) })
		})
	}
	ids, written := IDsFile(path), false
	err := atomicfile.Write(ids, func(lines io.Writer) error {
		err := atomicfile.WriteFile(path, func(f *os.File) error {
			return writeRows(f, info, filepath.Base(ids), header, func(add Add) error {
				return fill(func(item Item, vector []float32) error {
					if err := add(item, vector); err != nil {
						return err
					}
					return writeLine(lines, item)
				})
			})
		})
		written = err == nil
		return err
	})
	if err != nil && written { // as where the disk is full: vectors of nobody knows what
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

func writeLine(w io.Writer, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(raw, '\n'))
	return err
}

// maxRows is more than a file ever has: its digits are what a header reserves.
const maxRows = 1 << 40

// writeRows writes a header, the rows, and then the header again, with their number.
func writeRows(f *os.File, info Info, ids string, header format, fill func(Add) error) error {
	reserved, err := header(info, ids, maxRows)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	w.Write(reserved)
	rows, row := 0, make([]byte, 4*info.Size)
	err = fill(func(_ Item, vector []float32) error {
		if len(vector) != info.Size {
			return fmt.Errorf("vector %d has %d values, want %d", rows, len(vector), info.Size)
		}
		for k, x := range vector {
			binary.LittleEndian.PutUint32(row[4*k:], math.Float32bits(x))
		}
		rows++
		_, err := w.Write(row)
		return err
	})
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return err
	}
	final, err := header(info, ids, rows)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(final, 0)
	return err
}

// npyHeader is that of NumPy's format, version 1.0.
func npyHeader(info Info, _ string, rows int) ([]byte, error) {
	const size = 128
	text := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, info.Size)
	header := append([]byte("\x93NUMPY\x01\x00"), size-10, 0)
	header = append(header, text...)
	for len(header) < size-1 {
		header = append(header, ' ')
	}
	return append(header, '\n'), nil
}

// safetensorsHeader is that of a file with the tensor vectors, rows x size, as long for any number of rows.
func safetensorsHeader(info Info, ids string, rows int) ([]byte, error) {
	metadata := map[string]string{
		"format": "vectors", "ids": ids, "model": strings.ToValidUTF8(filepath.Base(info.Model), "?"), "normalized": fmt.Sprint(info.Normalized),
	}
	if len(info.Pooling) > 0 {
		metadata["pooling"] = strings.Join(info.Pooling, "+")
	}
	if info.Prompt != "" {
		metadata["prompt"] = info.Prompt
	}
	sized := func(rows int) ([]byte, error) {
		return checkpoint.SafetensorsHeader(checkpoint.Info{Name: "vectors", DType: checkpoint.F32, Shape: []int{rows, info.Size}}, metadata)
	}
	reserved, err := sized(maxRows)
	if err != nil {
		return nil, err
	}
	header, err := sized(rows)
	if err != nil {
		return nil, err
	}
	for len(header) < len(reserved) {
		header = append(header, ' ')
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, nil
}
