package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"
)

const (
	// metadataQuantised is the entry of the metadata that says that weights are quantised, and in which version of the form.
	metadataQuantised = "quantised"

	quantisedVersion = "1"

	// scaleSuffix follows a weight's name in that of its scales.
	scaleSuffix = ".scale"
)

// QuantisedReader is a checkpoint whose weights are in part whole numbers with scales, and that shows them as F32 under their
// names: a weight is its whole number times the scale of its row or column. [Quantised] makes one.
type QuantisedReader interface {
	Reader

	// Int8 returns the whole numbers of a weight, from -127 to 127, and its scales, one for each row if perRow, otherwise one for
	// each column. values aliases the file as Bytes does; neither may be written to. ok is false if the tensor is there and not
	// quantised.
	Int8(name string) (values []int8, scales []float32, perRow, ok bool, err error)

	// Stored returns the checkpoint as the file has it.
	Stored() Reader
}

// Quantised returns r as floating-point numbers where its weights are quantised ([Quantise]): as a [QuantisedReader]. A
// checkpoint in which nothing is quantised is returned as it is. Closing the result closes r.
//
// Scales are read and checked at once, weights when they are asked for. Another version of the form, a missing scale, one that is not a
// positive number, and shapes that do not fit are a [*FileError] that names the tensor; then r stays open.
func Quantised(r Reader) (Reader, error) {
	version, marked := r.Metadata()[metadataQuantised]
	if marked && version != quantisedVersion {
		return nil, inFile(r.Path(), fmt.Errorf("weights are quantised in version %q of the form, this program knows version %s; quantise the model again, or use the program that wrote it", version, quantisedVersion))
	}
	scales := map[string]scale{}
	var shown []Info
	for _, info := range r.Tensors() {
		weight, named := strings.CutSuffix(info.Name, scaleSuffix)
		of, err := r.Info(weight)
		switch {
		case named && err == nil && of.DType == I8 && !marked:
			return nil, inFile(r.Path(), fmt.Errorf("tensor %q has scales, but the metadata does not say in which version of the form it is quantised (%q); quantise the model again", weight, metadataQuantised))
		case marked && info.DType == I8:
			s, err := readScale(r, info)
			if err != nil {
				return nil, inFile(r.Path(), fmt.Errorf("tensor %q: %w; quantise the model again", info.Name, err))
			}
			scales[info.Name] = s
			info.DType = F32
		case marked && named:
			if err != nil || of.DType != I8 {
				return nil, inFile(r.Path(), fmt.Errorf("tensor %q has no weight %q of type %v; quantise the model again", info.Name, weight, I8))
			}
			continue
		}
		shown = append(shown, info)
	}
	if !marked {
		return r, nil
	}
	return &quantised{newTable(r.Path(), shown), r, scales}, nil
}

// scale is what makes numbers of a quantised weight.
type scale struct {
	values []float32
	perRow bool
}

// readScale reads the scales of a weight. Their shape says of what they are, as broadcasting does elsewhere: [1, columns] or [rows, 1].
func readScale(r Reader, weight Info) (scale, error) {
	if len(weight.Shape) != 2 {
		return scale{}, fmt.Errorf("shape %v of a quantised weight is not that of a matrix", weight.Shape)
	}
	name := weight.Name + scaleSuffix
	info, err := r.Info(name)
	if errors.Is(err, ErrNoTensor) {
		return scale{}, fmt.Errorf("its scales %q are missing", name)
	} else if err != nil {
		return scale{}, err
	}
	rows, columns := weight.Shape[0], weight.Shape[1]
	perRow := slices.Equal(info.Shape, []int{rows, 1})
	if !perRow && !slices.Equal(info.Shape, []int{1, columns}) {
		return scale{}, fmt.Errorf("shape %v of %q does not fit %v: want [1 %d], one for each column, or [%d 1], one for each row", info.Shape, name, weight.Shape, columns, rows)
	}
	if info.DType != F32 {
		return scale{}, fmt.Errorf("type of %q is %v, want %v", name, info.DType, F32)
	}
	values, _, err := Float32s(r, name)
	if err != nil {
		return scale{}, err
	}
	for i, v := range values {
		if !(v > 0) || 127*v > math.MaxFloat32 {
			return scale{}, fmt.Errorf("scale %d of %q is %v, want a positive number 127 of which are finite", i, name, v)
		}
	}
	return scale{slices.Clone(values), perRow}, nil
}

// quantised implements [QuantisedReader].
type quantised struct {
	table         // as shown
	stored Reader // as in the file
	scales map[string]scale
}

func (q *quantised) Format() Format { return q.stored.Format() }
func (q *quantised) Files() []File  { return q.stored.Files() }
func (q *quantised) Close() error   { return q.stored.Close() }
func (q *quantised) Stored() Reader { return q.stored }

func (q *quantised) Metadata() map[string]string {
	metadata := q.stored.Metadata()
	delete(metadata, metadataQuantised) // what is shown is not
	return metadata
}

func (q *quantised) Int8(name string) (values []int8, scales []float32, perRow, ok bool, err error) {
	if _, err := q.find(name); err != nil {
		return nil, nil, false, false, err
	}
	s, ok := q.scales[name]
	if !ok {
		return nil, nil, false, false, nil
	}
	data, err := q.stored.Bytes(name)
	if err != nil {
		return nil, nil, false, false, err
	}
	if bytes.IndexByte(data, 0x80) >= 0 {
		return nil, nil, false, false, inFile(q.path, fmt.Errorf("tensor %q has the weight -128, where whole numbers from -127 to 127 are wanted; quantise the model again", name))
	}
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(data))), len(data)), s.values, s.perRow, true, nil
}

func (q *quantised) Bytes(name string) ([]byte, error) {
	info, err := q.Info(name)
	if err != nil {
		return nil, err
	}
	if _, ok := q.scales[name]; !ok {
		return q.stored.Bytes(name)
	}
	values := make([]float32, info.Elements())
	if err := q.restore(values, name); err != nil {
		return nil, err
	}
	return FromFloat32(name, info.Shape, values).Data, nil
}

// restore sets dst to the numbers that a quantised weight stands for.
func (q *quantised) restore(dst []float32, name string) error {
	values, _, _, _, err := q.Int8(name)
	if err != nil {
		return err
	}
	info, err := q.Info(name)
	if err != nil {
		return err
	}
	s, columns := q.scales[name], info.Shape[1]
	for row := range info.Shape[0] {
		for column, v := range values[row*columns:][:columns] {
			dst[row*columns+column] = float32(v) * *s.of(row, column)
		}
	}
	return nil
}

func (q *quantised) fill(dst []byte, name string) error {
	if _, ok := q.scales[name]; ok {
		return q.restore(unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(dst))), len(dst)/4), name)
	}
	if f, ok := q.stored.(filler); ok {
		return f.fill(dst, name)
	}
	data, err := q.stored.Bytes(name)
	copy(dst, data)
	return err
}

// Quantise returns r with some of its weights as whole numbers with scales, for [Convert]; [Quantised] reads what that writes. weights has
// their names, and whether scales are of rows (of a table, or a weight of x·wᵀ) or of columns (of x·w). They are matrices of floating-point
// numbers.
//
// The largest number of a row or column becomes 127 or -127. Others are rounded to the nearest, ties to even, and so off by at most
// half a scale. Infinities and NaN are an error of Bytes. Weights are rounded when Bytes is called, and not kept. Closing the result closes r.
func Quantise(r Reader, weights map[string]bool) (Reader, error) {
	if _, ok := r.Metadata()[metadataQuantised]; ok {
		return nil, inFile(r.Path(), errors.New("weights are quantised already; quantise the model that they were made of"))
	}
	var shown []Info
	seen := 0
	for _, info := range r.Tensors() {
		perRow, ok := weights[info.Name]
		if ok {
			if len(info.Shape) != 2 || !info.DType.Float() {
				return nil, inFile(r.Path(), fmt.Errorf("tensor %q is %v of shape %v, where a matrix of floating-point numbers is to be quantised", info.Name, info.DType, info.Shape))
			}
			seen++
			info.DType = I8
			shown = append(shown, Info{info.Name + scaleSuffix, F32, scaleShape(info.Shape, perRow)})
		}
		shown = append(shown, info)
	}
	if seen < len(weights) {
		return nil, inFile(r.Path(), fmt.Errorf("lacks %d of the %d tensors that are to be quantised: %w", len(weights)-seen, len(weights), ErrNoTensor))
	}
	return &quantising{newTable(r.Path(), shown), r, weights}, nil
}

// scaleShape is the shape of the scales of a matrix.
func scaleShape(shape []int, perRow bool) []int {
	if perRow {
		return []int{shape[0], 1}
	}
	return []int{1, shape[1]}
}

// quantising implements the reader of [Quantise].
type quantising struct {
	table
	from    Reader
	weights map[string]bool
}

func (q *quantising) Format() Format { return q.from.Format() }
func (q *quantising) Files() []File  { return q.from.Files() }
func (q *quantising) Close() error   { return q.from.Close() }

func (q *quantising) Metadata() map[string]string {
	metadata := q.from.Metadata()
	metadata[metadataQuantised] = quantisedVersion
	return metadata
}

func (q *quantising) Bytes(name string) ([]byte, error) {
	if _, err := q.find(name); err != nil {
		return nil, err
	}
	weight, ofScale := strings.CutSuffix(name, scaleSuffix)
	perRow, ok := q.weights[weight]
	if !ok {
		return q.from.Bytes(name)
	}
	values, _, err := Float32s(q.from, weight)
	if err != nil {
		return nil, err
	}
	info, err := q.from.Info(weight)
	if err != nil {
		return nil, err
	}
	s, err := newScale(info.Shape, values, perRow)
	if err != nil {
		return nil, inFile(q.Path(), fmt.Errorf("tensor %q: %w", weight, err))
	}
	if ofScale {
		return FromFloat32(name, scaleShape(info.Shape, perRow), s.values).Data, nil
	}
	return s.quantise(info.Shape, values), nil
}

// newScale returns the scales of a matrix.
func newScale(shape []int, values []float32, perRow bool) (scale, error) {
	of := scaleShape(shape, perRow)
	s := scale{make([]float32, of[0]*of[1]), perRow}
	for row := range shape[0] {
		for column, v := range values[row*shape[1]:][:shape[1]] {
			if v-v != 0 {
				return scale{}, fmt.Errorf("the weight in row %d and column %d is %v, which no whole number stands for", row, column, v)
			}
			largest := s.of(row, column)
			*largest = max(*largest, v, -v)
		}
	}
	for i, v := range s.values {
		v = max(v/127, 0x1p-126) // a scale is never zero, and has all digits
		if 127*v > math.MaxFloat32 {
			v = math.Nextafter32(v, 0)
		}
		s.values[i] = v
	}
	return s, nil
}

// of is the scale of the weight in a row and a column.
func (s scale) of(row, column int) *float32 {
	if s.perRow {
		return &s.values[row]
	}
	return &s.values[column]
}

// quantise returns the whole numbers of a matrix.
func (s scale) quantise(shape []int, values []float32) []byte {
	data := make([]byte, len(values))
	for row := range shape[0] {
		for column, v := range values[row*shape[1]:][:shape[1]] {
			q := math.RoundToEven(float64(v) / float64(*s.of(row, column)))
			data[row*shape[1]+column] = byte(int8(max(-127, min(q, 127))))
		}
	}
	return data
}
