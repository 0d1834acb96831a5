package model

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/nn"
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
	return kept(c, name, data, cut.Elements(), info.DType.Size()), nil
}

// Int8 shows the whole numbers of a quantised checkpoint ([nn.Int8]).
func (c *shortened) Int8(name string) (values []int8, scales []float32, perRow, ok bool, err error) {
	info, err := c.Reader.Info(name)
	if err != nil {
		return nil, nil, false, false, err
	}
	values, scales, perRow, ok, err = nn.Int8(c.Reader, name)
	if cut, is := c.cut(info); is && ok && err == nil {
		values = kept(c, name, values, cut.Elements(), 1)
		if perRow == (wordTables[name] == 0) { // a scale for each token
			scales = scales[:c.to:c.to]
		}
	}
	return values, scales, perRow, ok, err
}

// kept returns what is left of a table of words, of which it is the first so many elements or, of a matrix whose columns are words, the
// first of each row. An element is so many of data.
func kept[E any](c *shortened, name string, data []E, elements, size int) []E {
	width, n := len(data), elements*size
	if wordTables[name] == 1 {
		width, n = c.from*size, c.to*size
	}
	if n == width || width == 0 {
		return data
	}
	if len(data) == width {
		return data[:n:n]
	}
	out := make([]E, 0, len(data)/width*n)
	for row := range slices.Chunk(data, width) {
		out = append(out, row[:n]...)
	}
	return out
}
