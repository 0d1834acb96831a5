package regions

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
)

// WriteReference writes images as the reference's lines, whole or not at all: id, width,
// height, number of regions, boxes, features, and class probabilities: one column of ones
// where they are unknown. All features must have dim values, and all images the same number
// of classes. It ends with the first error of images, which [Read] can give.
//
// The reference itself wants whole numbers as ids, and reads the same line with width and
// height exchanged in its evaluation.
func WriteReference(path string, dim int, images iter.Seq2[*Image, error]) error {
	return atomicfile.Write(path, func(w io.Writer) error {
		b := bufio.NewWriter(w)
		var ones []float32
		for im, err := range images {
			if err == nil {
				err = im.Check(dim)
			}
			if err == nil && (im.ID == "" || strings.ContainsAny(im.ID, "\t\r\n")) {
				err = fmt.Errorf("an id that is empty or has a tab or a line end in it")
			}
			if err != nil {
				return fmt.Errorf("image %q: %w", im.ID, err)
			}
			for len(ones) < im.Regions() {
				ones = append(ones, 1)
			}
			classes := im.Classes
			if len(classes) == 0 {
				classes = ones[:im.Regions()]
			}
			fmt.Fprintf(b, "%s\t%s\t%s\t%d", im.ID, shortest(im.Width), shortest(im.Height), im.Regions())
			for _, field := range [][]float32{im.Boxes, im.Features, classes} {
				b.WriteByte('\t')
				if err := encodeFloats(b, field); err != nil {
					return err
				}
			}
			b.WriteByte('\n')
		}
		return b.Flush()
	})
}

func shortest(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func encodeFloats(w io.Writer, values []float32) error {
	e := base64.NewEncoder(base64.StdEncoding, w)
	for len(values) > 0 { // in little-endian order, whatever the machine's
		part := values[:min(len(values), 1024)]
		values = values[len(part):]
		if _, err := e.Write(littleBytes(part)); err != nil {
			return err
		}
	}
	return e.Close()
}
