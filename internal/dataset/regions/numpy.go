package regions

import (
	"archive/zip"
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// The names of arrays in .npz files, as the common extractors write them.
var (
	featureKeys = []string{"x", "features", "feature", "feat", "feats", "image_feat", "image_features", "arr_0"}
	boxKeys     = []string{"bbox", "boxes", "bboxes", "box", "image_bboxes", normBoxes}
	widthKeys   = []string{"image_w", "img_w", "width", "image_width"}
	heightKeys  = []string{"image_h", "img_h", "height", "image_height"}
	countKeys   = []string{"num_bbox", "num_boxes", "number_box", "num_box"} // of arrays that are padded
)

// numpy is a source of files of NumPy, one an image, which are read when asked for.
type numpy struct {
	idList
	path   string
	images []numpyImage
	dim    int
	limits *opening
}

type numpyImage struct {
	file string
	n    int
}

// openNumPy looks at the heads of all files.
func (o *opening) openNumPy(path string, files []string) (indexed, error) {
	s := &numpy{path: path, limits: o}
	o.info.Format = FormatNumPy
	boxless := 0
	var done int64
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			done += info.Size()
		}
		id := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		n, dim, boxes, err := s.inspect(file)
		switch {
		case err != nil:
		case s.dim != 0 && dim != s.dim:
			err = fmt.Errorf("features of %d values, where the images before have %d", dim, s.dim)
		case len(s.ids) == maxImages:
			err = fmt.Errorf("more than %d images", maxImages)
		case !s.add(id):
			err = fmt.Errorf("image %q is there already, in %s", id, s.images[s.at[id]].file)
		default:
			s.dim = dim
			s.images = append(s.images, numpyImage{file, n})
			if !boxes {
				boxless++
			}
		}
		if err != nil {
			if err := o.bad(inFile(file, err)); err != nil {
				return nil, err
			}
		}
		o.Progress(done, o.info.Bytes)
	}
	if boxless > 0 {
		o.info.Evidence = fmt.Sprintf("no boxes with %d images: a grid's cells of arrays with three dimensions, else the whole image for every region", boxless)
	}
	return s, nil
}

func (s *numpy) Dim() int     { return s.dim }
func (s *numpy) Close() error { return nil }

func (s *numpy) keep(good []bool) {
	s.idList.keep(good)
	s.images = keepGood(s.images, good)
}

func (s *numpy) regions() (least, most int) {
	return extremes(s.images, func(im numpyImage) int { return im.n })
}

func (s *numpy) Image(id string, dst *Image) error {
	i, err := s.find(id, s.path)
	if err != nil {
		return err
	}
	return skippable(s.read(i, dst))
}

// archive is an open .npz, or an .npy that stands for one with features alone.
type archive struct {
	file  *os.File
	zip   *zip.Reader // nil of an .npy
	bytes int64
}

func openArchive(path string) (*archive, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	a := &archive{file: f}
	err = func() error {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		a.bytes = info.Size()
		head := make([]byte, infile.HeadBytes)
		n, err := f.ReadAt(head, 0)
		if err != nil && err != io.EOF {
			return err
		}
		if n < len(zipMagic) {
			return fmt.Errorf("too short: %w", io.ErrUnexpectedEOF)
		}
		if err := infile.Foreign(path, head[:n]); err != nil {
			return err
		}
		if !isZip(head[:len(zipMagic)]) {
			return nil
		}
		if a.zip, err = zip.NewReader(f, info.Size()); err != nil {
			return err
		}
		seen := map[string]bool{}
		for _, f := range a.zip.File {
			if seen[f.Name] {
				return fmt.Errorf("has two arrays %q; save it again", strings.TrimSuffix(f.Name, ".npy"))
			}
			seen[f.Name] = true
		}
		return nil
	}()
	if err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

// present returns which of the names have arrays.
func (a *archive) present(keys []string) []string {
	var found []string
	for _, key := range keys {
		if a.zip != nil && slices.ContainsFunc(a.zip.File, func(f *zip.File) bool { return f.Name == key+".npy" }) {
			found = append(found, key)
		}
	}
	return found
}

// one returns the name that has an array, "" if none has. Two arrays for one thing are an error.
func (a *archive) one(keys []string) (string, error) {
	found := a.present(keys)
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0], nil
	}
	return "", fmt.Errorf("has %s, which mean the same; leave one", strings.Join(found, " and "))
}

// array opens an array, of an .npy the only one.
func (a *archive) array(key string) (h npyHeader, data io.ReadCloser, err error) {
	if a.zip == nil {
		if _, err := a.file.Seek(0, io.SeekStart); err != nil {
			return h, nil, err
		}
		r := bufio.NewReader(a.file)
		if h, err = readNpyHeader(r); err == nil {
			err = h.fits(a.bytes)
		}
		return h, io.NopCloser(r), err
	}
	name := key + ".npy"
	f := a.zip.File[slices.IndexFunc(a.zip.File, func(f *zip.File) bool { return f.Name == name })]
	if data, err = f.Open(); err != nil {
		return h, nil, fmt.Errorf("%s: %w", name, err)
	}
	if h, err = readNpyHeader(data); err == nil {
		err = h.fits(int64(min(f.UncompressedSize64, math.MaxInt64)))
	}
	if err != nil {
		data.Close()
		return h, nil, fmt.Errorf("%s: %w", name, err)
	}
	return h, data, nil
}

// header reads the header of an array.
func (a *archive) header(key string) (npyHeader, error) {
	h, data, err := a.array(key)
	if err == nil {
		data.Close()
	}
	return h, err
}

// floats reads an array. check may lower the first dimension, so that no more is kept; all of it
// is read, which holds the bytes against the archive's checksum.
func (a *archive) floats(key string, dst []float32, check func(*npyHeader) error) (h npyHeader, values []float32, err error) {
	h, data, err := a.array(key)
	if err != nil {
		return h, nil, err
	}
	defer data.Close()
	if err := check(&h); err != nil {
		return h, nil, err
	}
	if values, err = h.readFloats(data, dst); err == nil && a.zip != nil {
		_, err = io.Copy(io.Discard, data)
	}
	if err != nil {
		return h, nil, fmt.Errorf("%s: %w", cmp.Or(key, "data"), err)
	}
	return h, values, nil
}

// number reads an array of one number, if there is one with one of the names. Several must agree.
func (a *archive) number(keys []string) (v float64, ok bool, err error) {
	first := ""
	for _, key := range a.present(keys) {
		_, values, err := a.floats(key, nil, func(h *npyHeader) error {
			if n, _ := h.elements(); n != 1 {
				return fmt.Errorf("%s has shape %v, where one number is needed", key, h.shape)
			}
			return nil
		})
		if err != nil {
			return 0, false, err
		}
		if now := float64(values[0]); first == "" {
			v, first = now, key
		} else if now != v {
			return 0, false, fmt.Errorf("%s is %v, but %s is %v", first, v, key, now)
		}
	}
	return v, first != "", nil
}

// size reads the image's width and height; ok is false if there are none.
func (a *archive) size() (width, height float64, ok bool, err error) {
	width, hasWidth, err := a.number(widthKeys)
	if err != nil {
		return 0, 0, false, err
	}
	height, hasHeight, err := a.number(heightKeys)
	if err == nil && hasWidth != hasHeight {
		err = errors.New("has one of the image's width and height; add the other")
	}
	return width, height, hasWidth, err
}

// featureShape returns the regions and the size of a feature: of n x D, or of a grid of
// H x W x D.
func featureShape(h npyHeader) (n, dim, gridWidth int, err error) {
	switch shape := h.shape; {
	case len(shape) == 2:
		n, dim = shape[0], shape[1]
	case len(shape) == 3 && !h.fortran:
		n, dim, gridWidth = shape[0]*shape[1], shape[2], shape[1]
	default:
		return 0, 0, 0, fmt.Errorf("features of shape %v, where regions x values, or height x width x values, are needed", shape)
	}
	if dim < 1 || dim > maxDim {
		return 0, 0, 0, fmt.Errorf("features of %d values; 1 to %d are possible", dim, maxDim)
	}
	return n, dim, gridWidth, nil
}

var errNoFeatures = fmt.Errorf("no array of features; its name should be one of %s", strings.Join(featureKeys, ", "))

// inFile names the file of an error, once.
func inFile(path string, err error) error {
	if errors.As(err, new(*infile.Error)) {
		return err
	}
	return fmt.Errorf("%s: %w", path, err)
}

// inspect reads what is needed for the index, and holds the arrays' shapes against each other.
func (s *numpy) inspect(path string) (n, dim int, boxes bool, err error) {
	a, err := openArchive(path)
	if err != nil {
		return 0, 0, false, err
	}
	defer a.file.Close()
	key, err := a.features()
	if err != nil {
		return 0, 0, false, err
	}
	h, err := a.header(key)
	if err != nil {
		return 0, 0, false, err
	}
	rows, dim, _, err := featureShape(h)
	if err == nil {
		n, err = s.count(a, rows)
	}
	if err != nil {
		return 0, 0, false, err
	}
	for _, key := range a.present(boxKeys) {
		boxes = true
		h, err := a.header(key)
		if err == nil {
			err = checkBoxShape(key, h.shape, n, rows)
		}
		if err != nil {
			return 0, 0, false, err
		}
	}
	_, _, _, err = a.size()
	return n, dim, boxes, err
}

// features returns the name of the array of features.
func (a *archive) features() (string, error) {
	if a.zip == nil {
		return "", nil
	}
	key, err := a.one(featureKeys)
	if err == nil && key == "" {
		err = errNoFeatures
	}
	return key, err
}

// checkBoxShape says whether an array of boxes is one of n regions, whose features have rows: as
// many boxes, or as many rows.
func checkBoxShape(key string, shape []int, n, rows int) error {
	if len(shape) != 2 || shape[0] != n && shape[0] != rows || shape[1] < 4 || shape[1] > 8 {
		return fmt.Errorf("%s: boxes of shape %v for %d regions, where regions x 4 are needed", key, shape, n)
	}
	return nil
}

// count returns how many of rows are regions; the others are padding.
func (s *numpy) count(a *archive, rows int) (int, error) {
	v, ok, err := a.number(countKeys)
	if err != nil {
		return 0, err
	}
	if ok {
		if !(v >= 0 && v <= float64(rows)) || v != math.Trunc(v) {
			return 0, fmt.Errorf("%v boxes, but features of %d", v, rows)
		}
		rows = int(v)
	}
	return rows, s.limits.checkRegions(rows)
}

func (s *numpy) read(i int, dst *Image) error {
	im := s.images[i]
	dst.ID, dst.Origin = s.ids[i], Origin{}
	err := s.readFile(im, dst)
	if err == nil {
		err = dst.Check(s.dim)
	}
	if err != nil {
		return inFile(im.file, err)
	}
	return nil
}

func (s *numpy) readFile(im numpyImage, dst *Image) error {
	a, err := openArchive(im.file)
	if err != nil {
		return err
	}
	defer a.file.Close()
	key, err := a.features()
	if err != nil {
		return err
	}
	all, rows, columns := 0, 0, 0
	_, features, err := a.floats(key, dst.Features, func(h *npyHeader) error {
		n, dim, width, err := featureShape(*h)
		if err == nil && (dim != s.dim || n < im.n) {
			err = errors.New("it has changed since it was opened")
		}
		if width > 0 {
			rows, columns = n/width, width
		}
		all, h.shape = n, []int{n, dim}
		return errors.Join(err, h.cut(im.n))
	})
	if err != nil {
		return err
	}
	dst.Features = features
	return a.readBoxes(im.n, all, rows, columns, dst)
}

// normBoxes is the name of boxes that are shares of the sides.
const normBoxes = "norm_bb"

// readBoxes sets the boxes and the size of an image of n regions, whose features have all rows,
// and form a grid if it has columns.
func (a *archive) readBoxes(n, all, rows, columns int, dst *Image) error {
	var err error
	var hasSize bool
	if dst.Width, dst.Height, hasSize, err = a.size(); err != nil {
		return err
	}
	dst.Global, dst.Classes = nil, nil
	pixels := slices.DeleteFunc(slices.Clone(boxKeys), func(key string) bool { return key == normBoxes })
	key, err := a.one(pixels)
	if err != nil {
		return err
	}
	shares := a.present([]string{normBoxes})
	if key == "" && len(shares) == 0 {
		dst.Boxes = resize(dst.Boxes, 4*n)
		dst.Width, dst.Height = 1, 1
		for r := range n {
			copy(dst.Boxes[4*r:], []float32{0, 0, 1, 1})
		}
		if columns > 0 {
			dst.Boxes = gridCells(dst.Boxes[:0], columns, rows, 1, 1)[:4*n]
		}
		return nil
	}
	if dst.Boxes, err = a.boxes(cmp.Or(key, normBoxes), n, all, dst.Boxes); err != nil {
		return err
	}
	switch {
	case key == "" || normalised(dst.Boxes):
		dst.Width, dst.Height = 1, 1
	case !hasSize:
		return fmt.Errorf("boxes in pixels without the image's size; add arrays %s and %s", widthKeys[0], heightKeys[0])
	}
	if key == "" || len(shares) == 0 {
		return nil
	}
	other, err := a.boxes(normBoxes, n, all, nil)
	if err != nil {
		return err
	}
	for i, v := range other {
		side := [2]float64{dst.Width, dst.Height}[i%2]
		if off := math.Abs(float64(v)*side - float64(dst.Boxes[i])); !(off <= 2*boxTolerance(side)) {
			return fmt.Errorf("box %d is another in %s than in %s", i/4+1, key, normBoxes)
		}
	}
	return nil
}

// boxes reads the boxes of n regions.
func (a *archive) boxes(key string, n, all int, dst []float32) ([]float32, error) {
	h, values, err := a.floats(key, nil, func(h *npyHeader) error {
		if err := checkBoxShape(key, h.shape, n, all); err != nil {
			return err
		}
		return h.cut(n)
	})
	if err != nil {
		return nil, err
	}
	dst = resize(dst, 4*n)
	for r := range n {
		copy(dst[4*r:4*r+4], values[r*h.shape[1]:])
	}
	return dst, nil
}

// normalised says whether boxes are given in shares of the image's sides.
func normalised(boxes []float32) bool {
	return !slices.ContainsFunc(boxes, func(v float32) bool { return v > 1.01 })
}
