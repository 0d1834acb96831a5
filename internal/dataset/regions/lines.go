package regions

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/unimo-go/unimo/internal/base/textfile"
)

// layout says which field of a line is what.
type layout struct {
	format                       string
	fields                       int
	id, w, h, n, boxes, features int
	classes                      int    // 0: none
	order                        string // of width and height, where it is known
	evidence                     string // how
}

// layouts are those that the number of fields tells. Width and height may have changed
// places; the order says which of the two is the first.
var layouts = map[int]layout{
	6:  {format: FormatBottomUp, fields: 6, id: 0, w: 1, h: 2, n: 3, boxes: 4, features: 5},
	7:  {format: FormatReference, fields: 7, id: 0, w: 1, h: 2, n: 3, boxes: 4, features: 5, classes: 6},
	10: {format: FormatLXMERT, fields: 10, id: 0, w: 2, h: 1, n: 7, boxes: 8, features: 9, order: OrderHeight, evidence: "as LXMERT's tool writes it"},
}

const (
	maxFields = 64       // of a line
	maxSmall  = 4 << 10  // longest id, in bytes
	maxNumber = 64       // longest number, in bytes
	longField = 16 << 10 // bytes from which a field is jumped over: it never ends by chance where it should
	longLine  = 64 << 10 // bytes of a line whose pages are released
)

// headerLayout reads a line of names; ok is false if it is none.
func headerLayout(fields [][]byte) (l layout, ok bool, err error) {
	l = layout{format: FormatBottomUp, fields: len(fields), id: -1, w: -1, h: -1, n: -1, boxes: -1, features: -1, evidence: "the line of names says so"}
	known := map[string]*int{
		"image_id": &l.id, "img_id": &l.id, "image_w": &l.w, "img_w": &l.w, "width": &l.w, "image_h": &l.h, "img_h": &l.h, "height": &l.h,
		"num_boxes": &l.n, "number_box": &l.n, "boxes": &l.boxes, "features": &l.features,
	}
	for i, f := range fields {
		if at := known[string(f)]; at != nil {
			*at = i
		}
	}
	if l.boxes < 0 && l.features < 0 {
		return l, false, nil
	}
	least := min(l.id, l.w, l.h, l.n, l.boxes, l.features)
	switch {
	case least < 0:
		return l, true, errors.New("the line of names lacks one of image_id, image_w, image_h, num_boxes, boxes and features")
	case l.n > min(l.boxes, l.features):
		return l, true, errors.New("num_boxes stands behind boxes or features in the line of names")
	}
	l.order = OrderWidth
	if l.h < l.w {
		l.order = OrderHeight
	}
	return l, true, nil
}

// lineImage is where an image stands in its file.
type lineImage struct {
	file, line      int32
	n               int32
	fits            orders
	first, second   float64 // the sizes, in the layout's order
	boxes, features span
	classes         span // empty unless asked for
}

// span is a part of a file.
type span struct{ begin, size int }

func (s span) end() int { return s.begin + s.size }

func (s span) of(data []byte) []byte { return data[s.begin : s.begin+s.size] }

// orders are the orders of width and height with which an image's boxes lie inside.
type orders uint8

const (
	fitsWidth orders = 1 << iota
	fitsHeight
	fitsBoth = fitsWidth | fitsHeight
)

// lines is a source of files of lines.
type lines struct {
	idList
	path         string
	files        []*mapped
	images       []lineImage
	dim, classes int
	layout       layout
	order        string
}

func (s *lines) Dim() int { return s.dim }

func (s *lines) Classes() int { return s.classes }

func (s *lines) Close() error {
	var err error
	for _, f := range s.files {
		err = errors.Join(err, f.close())
	}
	return err
}

func (s *lines) keep(good []bool) {
	s.idList.keep(good)
	s.images = keepGood(s.images, good)
}

func (s *lines) regions() (least, most int) {
	return extremes(s.images, func(im lineImage) int { return int(im.n) })
}

// extremes returns the least and the largest number of a list's elements.
func extremes[T any](list []T, number func(T) int) (least, most int) {
	for i, v := range list {
		n := number(v)
		if i == 0 || n < least {
			least = n
		}
		most = max(most, n)
	}
	return least, most
}

func (s *lines) Image(id string, dst *Image) error {
	i, err := s.find(id, s.path)
	if err != nil {
		return err
	}
	return skippable(s.read(i, dst))
}

func (s *lines) read(i int, dst *Image) error {
	im := s.images[i]
	f := s.files[im.file]
	dst.ID, dst.Origin = s.ids[i], Origin{}
	dst.Width, dst.Height = im.first, im.second
	if s.order == OrderHeight {
		dst.Width, dst.Height = im.second, im.first
	}
	dst.Boxes = resize(dst.Boxes, 4*int(im.n))
	dst.Features = resize(dst.Features, s.dim*int(im.n))
	dst.Global = nil
	if dst.Classes = resize(dst.Classes, s.classes*int(im.n)); s.classes == 0 {
		dst.Classes = nil
	}
	err := f.guard(func() error {
		if f.data == nil {
			return fmt.Errorf("%s: %w", f.path, errClosed)
		}
		defer release(f.data[min(im.boxes.begin, im.features.begin):max(im.boxes.end(), im.features.end(), im.classes.end())])
		if err := decodeFloats(dst.Boxes, im.boxes.of(f.data)); err != nil {
			return fmt.Errorf("boxes: %w", err)
		}
		if err := decodeFloats(dst.Features, im.features.of(f.data)); err != nil {
			return fmt.Errorf("features: %w", err)
		}
		if err := decodeFloats(dst.Classes, im.classes.of(f.data)); err != nil {
			return fmt.Errorf("classes: %w", err)
		}
		return nil
	})
	if err == nil {
		err = dst.Check(s.dim)
	}
	for r := 0; err == nil && r < int(im.n); r++ {
		p := dst.classes(r)
		sum, _ := sumClasses(p) // which Check has looked at
		for i := range p {
			p[i] = float32(float64(p[i]) / sum)
		}
	}
	if err != nil {
		return badLine(f.path, int(im.line), dst.ID, err)
	}
	return nil
}

var errClosed = errors.New("the source is closed")

func badLine(path string, line int, id string, err error) error {
	problem := err.Error()
	if id != "" {
		problem = fmt.Sprintf("image %s: %v", textfile.Quote(id), err)
	}
	return &textfile.FileError{File: path, Line: line, Problem: problem, Err: err}
}

// indexer makes the index of files of lines in one pass, which reads the numbers and the
// boxes and jumps over what a line before had the same size of.
type indexer struct {
	*opening
	s       *lines
	before  int64          // bytes of the files before
	perBox  [maxFields]int // how many float32 a region has in a field, of the last line
	scratch []float32
}

func (o *opening) openLines(path string, files []string) (indexed, error) {
	s := &lines{path: path}
	x := &indexer{opening: o, s: s}
	err := x.index(files)
	if err == nil {
		err = x.decideOrder()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	o.info.Format, o.info.Order = s.layout.format, s.order
	return s, nil
}

func (x *indexer) index(files []string) error {
	for i, path := range files {
		f, err := mapFile(path)
		if err != nil {
			return err
		}
		x.s.files = append(x.s.files, f)
		jumpy(f.data, true)
		if err := f.guard(func() error { return x.file(int32(i), f) }); err != nil {
			return err
		}
		jumpy(f.data, false)
		x.before += int64(len(f.data))
		x.Progress(x.before, x.info.Bytes)
	}
	return nil
}

// file indexes one file.
func (x *indexer) file(number int32, f *mapped) error {
	pos := len(f.data) - len(bytes.TrimPrefix(f.data, []byte("\xef\xbb\xbf")))
	for line, learnt := int32(1), false; pos < len(f.data); line++ {
		if line%1024 == 0 {
			x.Progress(x.before+int64(pos), x.info.Bytes)
		}
		begin := pos
		im := lineImage{file: number, line: line}
		id, err := x.next(f.data, &pos, &im, &learnt)
		if err == nil && len(id) > 0 {
			err = x.add(string(id), im)
		}
		if err != nil {
			pos = lineEnd(f.data, max(pos, begin+1))
			if err := x.bad(badLine(f.path, int(line), string(id[:min(len(id), maxSmall)]), err)); err != nil {
				return err
			}
		}
		if pos-begin > longLine {
			release(f.data[begin:pos])
		}
	}
	return nil
}

// next reads a line. The id is empty if there is no image in it.
func (x *indexer) next(raw []byte, pos *int, im *lineImage, learnt *bool) (id []byte, err error) {
	if ends(raw, *pos) && raw[*pos] != '\t' { // an empty line
		*pos = lineEnd(raw, *pos+1)
		return nil, nil
	}
	if !*learnt {
		names, err := x.learn(raw, *pos)
		if err != nil {
			return nil, err
		}
		*learnt = true
		if names {
			*pos = lineEnd(raw, *pos+1)
			return nil, nil
		}
	}
	return x.line(raw, pos, im)
}

func (x *indexer) add(id string, im lineImage) error {
	if len(x.s.images) == maxImages {
		return fmt.Errorf("more than %d images", maxImages)
	}
	if !x.s.idList.add(id) {
		first := x.s.images[x.s.at[id]]
		return fmt.Errorf("the image is there already, in %s:%d", x.s.files[first.file].path, first.line)
	}
	x.s.images = append(x.s.images, im)
	return nil
}

// lineEnd returns where the next line begins, if pos is behind the last byte of this one
// or inside of it.
func lineEnd(data []byte, pos int) int {
	if pos > 0 && data[pos-1] == '\n' {
		return pos
	}
	if i := bytes.IndexByte(data[pos:], '\n'); i >= 0 {
		return pos + i + 1
	}
	return len(data)
}

// line reads the line that begins at *pos up to its end, or to where it is wrong, and
// returns the id also with an error, if it came that far.
func (x *indexer) line(raw []byte, pos *int, im *lineImage) (id []byte, err error) {
	l := &x.s.layout
	var fields [maxFields]span
	n := 0
	for last := false; !last; n++ {
		if n == maxFields {
			return id, fmt.Errorf("more than %d fields", maxFields)
		}
		size := -1
		if expected := encodedSize(int(im.n) * x.perBox[n]); expected >= longField {
			size = expected
		}
		fields[n], last = nextField(raw, pos, size)
		switch n {
		case l.id:
			id = fields[n].of(raw)
		case l.n:
			if im.n, err = x.count(fields[n].of(raw)); err != nil {
				return id, err
			}
		}
	}
	if n != l.fields {
		return id, fmt.Errorf("%d fields, where %d are needed, separated by tabs", n, l.fields)
	}
	if len(id) == 0 || len(id) > maxSmall {
		return id, fmt.Errorf("an id of %d bytes", len(id))
	}
	if err := x.fill(im, raw, fields[:n]); err != nil {
		return id, err
	}
	for i, f := range fields[:n] {
		x.perBox[i] = 0
		if floats, err := floatsIn(f.of(raw)); err == nil && i > l.n && floats%int(im.n) == 0 {
			x.perBox[i] = floats / int(im.n)
		}
	}
	return id, nil
}

// nextField returns the field at *pos, which it moves behind it, and whether it is the
// line's last. If size is not negative, the field is expected to have that size, and where
// it ends there, nothing in between is read: a line that is broken there shows when its
// image is decoded.
func nextField(raw []byte, pos *int, size int) (field span, last bool) {
	begin := *pos
	end := begin + size
	if size < 0 || !ends(raw, end) {
		end = scanField(raw, begin)
	}
	switch {
	case end < len(raw) && raw[end] == '\t':
		*pos = end + 1
		return span{begin, end - begin}, false
	case end < len(raw) && raw[end] == '\r':
		*pos = end + 2
	default:
		*pos = min(end+1, len(raw))
	}
	return span{begin, end - begin}, true
}

// ends says whether a field ends before raw[end].
func ends(raw []byte, end int) bool {
	switch {
	case end >= len(raw):
		return end == len(raw)
	case raw[end] == '\r':
		return end+1 < len(raw) && raw[end+1] == '\n'
	}
	return raw[end] == '\t' || raw[end] == '\n'
}

// scanField looks for the end of the field that begins at begin.
func scanField(raw []byte, begin int) int {
	for at, size := begin, 256; ; at, size = at+size, 2*size {
		part := raw[at:min(at+size, len(raw))]
		if i := bytes.IndexByte(part, '\t'); i >= 0 {
			part = part[:i+1]
		}
		if i := bytes.IndexByte(part, '\n'); i >= 0 {
			if at+i > begin && raw[at+i-1] == '\r' {
				i--
			}
			return at + i
		}
		if len(part) > 0 && part[len(part)-1] == '\t' {
			return at + len(part) - 1
		}
		if at+size >= len(raw) {
			return len(raw)
		}
	}
}

// learn takes the layout from the first line of a file, which stands at pos. names says
// that it is a line of names and no image.
func (x *indexer) learn(raw []byte, pos int) (names bool, err error) {
	var fields [][]byte
	for last := false; !last && len(fields) < maxFields; {
		var f span
		f, last = nextField(raw, &pos, -1)
		fields = append(fields, f.of(raw))
	}
	l, names, err := headerLayout(fields)
	if err != nil {
		return false, err
	}
	if !names {
		var ok bool
		if l, ok = layouts[len(fields)]; !ok {
			return false, fmt.Errorf("%d fields, separated by tabs, where the reference's lines have 7 (id, width, height, number of boxes, boxes, features, probabilities), "+
				"bottom-up-attention's 6 or, from LXMERT's tool, 10", len(fields))
		}
	}
	if x.s.layout.fields != 0 && x.s.layout != l {
		if names {
			return false, errors.New("the line of names is another than in the files before")
		}
		return false, nil // what is wrong with its fields is said later
	}
	x.s.layout = l
	x.perBox[l.boxes] = 4
	return names, nil
}

// count reads the number of regions.
func (x *indexer) count(field []byte) (int32, error) {
	n, err := strconv.Atoi(string(field[:min(len(field), maxNumber)]))
	if err != nil || len(field) > maxNumber {
		return 0, fmt.Errorf("number of boxes %s is no whole number", quote(field))
	}
	return int32(min(n, math.MaxInt32)), x.checkRegions(n)
}

func quote(field []byte) string { return textfile.Quote(string(field[:min(len(field), maxSmall)])) }

func number(field []byte) (float64, error) {
	v, err := strconv.ParseFloat(string(field[:min(len(field), maxNumber)]), 64)
	if err != nil || len(field) > maxNumber {
		return 0, fmt.Errorf("width or height %s is no number", quote(field))
	}
	return v, nil
}

// fill sets the rest of an image's entry, whose number of regions is known.
func (x *indexer) fill(im *lineImage, raw []byte, fields []span) (err error) {
	l := &x.s.layout
	first, second := fields[min(l.w, l.h)], fields[max(l.w, l.h)]
	if im.first, err = number(first.of(raw)); err != nil {
		return err
	}
	if im.second, err = number(second.of(raw)); err != nil {
		return err
	}
	if err := checkSize(im.first, im.second); err != nil {
		return err
	}
	im.boxes, im.features = fields[l.boxes], fields[l.features]
	n := int(im.n)
	if floats, err := floatsIn(im.boxes.of(raw)); err != nil {
		return fmt.Errorf("boxes: %w", err)
	} else if floats != 4*n {
		return fmt.Errorf("boxes: %d values for %d regions, where four a region are needed", floats, n)
	}
	floats, err := floatsIn(im.features.of(raw))
	dim := floats / n
	switch {
	case err != nil:
		return fmt.Errorf("features: %w", err)
	case floats%n != 0 || dim == 0 || dim > maxDim:
		return fmt.Errorf("features: %d values for %d regions; every region needs as many, and at most %d are possible", floats, n, maxDim)
	case x.s.dim != 0 && dim != x.s.dim:
		return fmt.Errorf("features of %d values, where the images before have %d", dim, x.s.dim)
	}
	if err := x.fillClasses(im, raw, fields); err != nil {
		return fmt.Errorf("classes: %w", err)
	}
	x.scratch = resize(x.scratch, 4*n)
	if err := decodeFloats(x.scratch, im.boxes.of(raw)); err != nil {
		return fmt.Errorf("boxes: %w", err)
	}
	problem := ""
	for _, order := range []struct {
		fits          orders
		width, height float64
	}{{fitsWidth, im.first, im.second}, {fitsHeight, im.second, im.first}} {
		if p := boxesProblem(x.scratch, order.width, order.height); p == "" {
			im.fits |= order.fits
		} else {
			problem = p
		}
	}
	if im.fits == 0 {
		return errors.New(problem)
	}
	x.s.dim = dim
	return nil
}

// fillClasses sets where an image's class probabilities are. The first image says of how
// many classes.
func (x *indexer) fillClasses(im *lineImage, raw []byte, fields []span) error {
	if !x.Classes || x.s.layout.classes == 0 {
		return nil
	}
	field := fields[x.s.layout.classes]
	n := int(im.n)
	floats, err := floatsIn(field.of(raw))
	if err != nil {
		return err
	}
	classes := floats / n
	if floats%n != 0 || classes > maxDim {
		return fmt.Errorf("%d values for %d regions; every region needs as many, and at most %d are possible", floats, n, maxDim)
	}
	if classes == 1 {
		classes = 0
	}
	if x.s.dim != 0 && classes != x.s.classes {
		return fmt.Errorf("probabilities of %d classes, where the images before have %d", classes, x.s.classes)
	}
	x.s.classes = classes
	if classes > 0 {
		im.classes = field
	}
	return nil
}

// decideOrder chooses the order of width and height, and removes the images whose boxes
// contradict it.
func (x *indexer) decideOrder() error {
	var first [fitsBoth + 1]*lineImage // of the images whose boxes fit so
	var count [fitsBoth + 1]int
	for i := range x.s.images {
		im := &x.s.images[i]
		if count[im.fits]++; first[im.fits] == nil {
			first[im.fits] = im
		}
	}
	known := x.s.layout.order
	x.info.Evidence = x.s.layout.evidence
	switch {
	case x.Order != "":
		known, x.info.Evidence = x.Order, "as asked for"
	case known != "":
	case count[fitsWidth] == 0 && count[fitsHeight] == 0:
		known, x.info.Evidence = OrderWidth, "all boxes fit either order; width first is the usual one"
	default:
		known = OrderWidth
		if count[fitsHeight] > count[fitsWidth] {
			known = OrderHeight
		}
		x.info.Evidence = fmt.Sprintf("the boxes of %d images fit only if the width is first, of %d only if the height is, of %d either way",
			count[fitsWidth], count[fitsHeight], count[fitsBoth])
	}
	x.s.order = known
	right, wrong := fitsWidth, fitsHeight
	if known == OrderHeight {
		right, wrong = wrong, right
	}
	if count[wrong] == 0 {
		return nil
	}
	good := make([]bool, len(x.s.images))
	for i, im := range x.s.images {
		if good[i] = im.fits&right != 0; good[i] {
			continue
		}
		err := fmt.Errorf("boxes lie outside the image, as the %s is read as the first of %v and %v", known, im.first, im.second)
		if other := first[right]; other != nil && x.Order == "" {
			err = fmt.Errorf("%w, which the boxes of %s:%d need; say with --order which is right", err, x.s.files[other.file].path, other.line)
		}
		if err := x.bad(badLine(x.s.files[im.file].path, int(im.line), x.s.ids[i], err)); err != nil {
			return err
		}
	}
	x.s.keep(good)
	return nil
}
