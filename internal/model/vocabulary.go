package model

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
)

// CutVocabulary returns cfg and r for a vocabulary of n tokens, fewer than cfg has: the rows of the
// tables that no token has, which others leave for tokens to come or to fill a multiple of 64, are not in them.
// Closing the reader closes r.
func CutVocabulary(cfg Config, r checkpoint.Reader, n int) (Config, checkpoint.Reader) {
	c := &shortened{Reader: r, from: cfg.VocabSize, to: n}
	cfg.VocabSize = n
	return cfg, c
}

// shortened is a checkpoint without the last rows of the tables of words.
type shortened struct {
	checkpoint.Reader
	from, to int
}

// wordTables are the parameters with a row, or where it is 1 a column, for each token.
var wordTables = map[string]int{"word_embedding": 0, "mask_lm_out_fc.b_0": 0, "mask_lm_out_fc.w_0": 1}

// cut returns info as it is seen here, and whether it differs.
func (c *shortened) cut(info checkpoint.Info) (checkpoint.Info, bool) {
	axis, ok := wordTables[info.Name]
	if !ok || len(info.Shape) <= axis || info.Shape[axis] != c.from {
		return info, false
	}
	info.Shape = slices.Clone(info.Shape)
	info.Shape[axis] = c.to
	return info, true
}

// Tensors implements [checkpoint.Reader].
func (c *shortened) Tensors() []checkpoint.Info {
	infos := c.Reader.Tensors()
	for i := range infos {
		infos[i], _ = c.cut(infos[i])
	}
	return infos
}

// Info implements [checkpoint.Reader].
func (c *shortened) Info(name string) (checkpoint.Info, error) {
	info, err := c.Reader.Info(name)
	if err != nil {
		return info, err
	}
	info, _ = c.cut(info)
	return info, nil
}

// Bytes implements [checkpoint.Reader].
func (c *shortened) Bytes(name string) ([]byte, error) {
	info, err := c.Reader.Info(name)
	if err != nil {
		return nil, err
	}
	data, err := c.Reader.Bytes(name)
	if err != nil {
		return nil, err
	}
	cut, is := c.cut(info)
	if !is {
		return data, nil
	}
	if size := info.Elements() * info.DType.Size(); len(data) != size {
		return nil, fmt.Errorf("%s: tensor %q: %d bytes, want %d", c.Path(), name, len(data), size)
	}
	// The rows of a matrix whose columns are words are each cut; any other tensor at its end.
	width, keep := len(data), cut.Elements()*cut.DType.Size()
	if wordTables[name] == 1 {
		width, keep = c.from*info.DType.Size(), c.to*info.DType.Size()
	}
	if keep == width || width == 0 {
		return data, nil
	}
	if len(data) == width {
		return data[:keep:keep], nil
	}
	out := make([]byte, 0, len(data)/width*keep)
	for row := range slices.Chunk(data, width) {
		out = append(out, row[:keep]...)
	}
	return out, nil
}
