package regions

import (
	"archive/zip"
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The names of arrays in .npz files, as the common extractors write them.
var (
	featureKeys = []string{"x", "features", "feature", "feat", "feats", "image_feat", "image_features", "arr_0"}
	boxKeys     = []string{"bbox", "boxes", "bboxes", "box", "image_bboxes", "norm_bb"}
	widthKeys   = []string{"image_w", "img_w", "width", "image_width"}
	heightKeys  = []string{"image_h", "img_h", "height", "image_height"}
	countKeys   = []string{"num_bbox", "num_boxes", "number_box", "num_box"} // of arrays that are padded
)

// numpy is a source of files of NumPy, one an image, which are read when asked for.
type numpy struct {
	names
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
			if err := o.bad(fmt.Errorf("%s: %w", file, err)); err != nil {
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
	s.names.keep(good)
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
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a := &archive{file: f}
	err = func() error {
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return errors.New("not a regular file")
		}
		a.bytes = info.Size()
		head := make([]byte, len(zipMagic))
		if _, err := f.ReadAt(head, 0); err != nil {
			return fmt.Errorf("too short: %w", err)
		}
		if isZip(head) {
			a.zip, err = zip.NewReader(f, info.Size())
		}
		return err
	}()
	if err != nil {
		f.Close()
		return nil, err
	}
	return a, nil
}

// array opens the array that has one of the names. ok is false if there is none.
func (a *archive) array(keys []string) (h npyHeader, data io.ReadCloser, key string, ok bool, err error) {
	if a.zip == nil {
		if !slices.Contains(keys, featureKeys[0]) {
			return h, nil, "", false, nil
		}
		if _, err := a.file.Seek(0, io.SeekStart); err != nil {
			return h, nil, "", false, err
		}
		r := bufio.NewReader(a.file)
		if h, err = readNpyHeader(r); err != nil {
			return h, nil, "", true, err
		}
		if n, _ := h.elements(); int64(n)*int64(h.size()) > a.bytes {
			return h, nil, "", true, cutOff(io.ErrUnexpectedEOF)
		}
		return h, io.NopCloser(r), "", true, nil
	}
	for _, key := range keys {
		i := slices.IndexFunc(a.zip.File, func(f *zip.File) bool { return f.Name == key+".npy" })
		if i < 0 {
			continue
		}
		f := a.zip.File[i]
		data, err := f.Open()
		if err != nil {
			return h, nil, key, true, fmt.Errorf("%s: %w", f.Name, err)
		}
		h, err = readNpyHeader(data)
		if n, _ := h.elements(); err == nil && uint64(n)*uint64(h.size()) > f.UncompressedSize64 {
			err = cutOff(io.ErrUnexpectedEOF)
		}
		if err != nil {
			data.Close()
			return h, nil, key, true, fmt.Errorf("%s: %w", f.Name, err)
		}
		return h, data, key, true, nil
	}
	return h, nil, "", false, nil
}

// floats reads an array with one of the names; key is empty if there is none, or the file
// is an .npy. check may lower the first dimension, so that no more is read.
func (a *archive) floats(keys []string, dst []float32, check func(*npyHeader) error) (h npyHeader, values []float32, key string, err error) {
	h, data, key, ok, err := a.array(keys)
	if err != nil || !ok {
		return h, nil, "", err
	}
	defer data.Close()
	if err := check(&h); err != nil {
		return h, nil, key, err
	}
	if values, err = h.readFloats(data, dst); err != nil {
		return h, nil, key, fmt.Errorf("%s: %w", key, err)
	}
	return h, values, key, nil
}

// number reads an array of one number, if it is there.
func (a *archive) number(keys []string) (v float64, ok bool, err error) {
	_, values, key, err := a.floats(keys, nil, func(h *npyHeader) error {
		if n, _ := h.elements(); n != 1 {
			return fmt.Errorf("%s has shape %v, where one number is needed", keys[0], h.shape)
		}
		return nil
	})
	if err != nil || key == "" {
		return 0, false, err
	}
	return float64(values[0]), true, nil
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

// inspect reads what is needed for the index.
func (s *numpy) inspect(path string) (n, dim int, boxes bool, err error) {
	a, err := openArchive(path)
	if err != nil {
		return 0, 0, false, err
	}
	defer a.file.Close()
	h, data, _, ok, err := a.array(featureKeys)
	if err != nil {
		return 0, 0, false, err
	}
	if !ok {
		return 0, 0, false, errNoFeatures
	}
	data.Close()
	n, dim, _, err = featureShape(h)
	if err == nil {
		n, err = s.count(a, n)
	}
	if err != nil {
		return 0, 0, false, err
	}
	_, data, _, boxes, err = a.array(boxKeys)
	if boxes && err == nil {
		data.Close()
	}
	return n, dim, boxes, err
}

// count returns how many of rows are regions; the others are padding.
func (s *numpy) count(a *archive, rows int) (int, error) {
	v, ok, err := a.number(countKeys)
	if err != nil {
		return 0, err
	}
	if ok {
		if !(v >= 0 && v <= float64(rows)) {
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
		return fmt.Errorf("%s: %w", im.file, err)
	}
	return nil
}

func (s *numpy) readFile(im numpyImage, dst *Image) error {
	a, err := openArchive(im.file)
	if err != nil {
		return err
	}
	defer a.file.Close()
	rows, columns := 0, 0
	_, features, _, err := a.floats(featureKeys, dst.Features, func(h *npyHeader) error {
		n, dim, width, err := featureShape(*h)
		if err == nil && (dim != s.dim || n < im.n) {
			err = errors.New("it has changed since it was opened")
		}
		if width > 0 {
			rows, columns = n/width, width
		}
		h.shape = []int{n, dim}
		return errors.Join(err, h.cut(im.n))
	})
	if err != nil {
		return err
	}
	if features == nil {
		return errNoFeatures
	}
	dst.Features = features
	return readBoxes(a, im.n, rows, columns, dst)
}

// readBoxes sets the boxes and the size of an image of n regions, whose features form a
// grid if it has columns.
func readBoxes(a *archive, n, rows, columns int, dst *Image) error {
	var err error
	var hasWidth, hasHeight bool
	if dst.Width, hasWidth, err = a.number(widthKeys); err != nil {
		return err
	}
	if dst.Height, hasHeight, err = a.number(heightKeys); err != nil {
		return err
	}
	if !hasWidth || !hasHeight {
		dst.Width, dst.Height = 1, 1
	}
	h, boxes, key, err := a.floats(boxKeys, nil, func(h *npyHeader) error {
		if len(h.shape) != 2 || h.shape[0] < n || h.shape[1] < 4 || h.shape[1] > 8 {
			return fmt.Errorf("boxes of shape %v for %d regions, where regions x 4 are needed", h.shape, n)
		}
		return h.cut(n)
	})
	if err != nil {
		return err
	}
	dst.Boxes, dst.Classes = resize(dst.Boxes, 4*n), nil
	if boxes == nil {
		dst.Width, dst.Height = 1, 1
		for r := range n {
			copy(dst.Boxes[4*r:], []float32{0, 0, 1, 1})
		}
		if columns > 0 {
			dst.Boxes = gridCells(dst.Boxes[:0], columns, rows, 1, 1)[:4*n]
		}
		return nil
	}
	for r := range n {
		copy(dst.Boxes[4*r:4*r+4], boxes[r*h.shape[1]:])
	}
	if key == "norm_bb" || normalised(dst.Boxes) {
		dst.Width, dst.Height = 1, 1
	} else if !hasWidth || !hasHeight {
		return fmt.Errorf("boxes in pixels without the image's size; add arrays %s and %s", widthKeys[0], heightKeys[0])
	}
	return nil
}

// normalised says whether boxes are given in shares of the image's sides.
func normalised(boxes []float32) bool {
	return !slices.ContainsFunc(boxes, func(v float32) bool { return v > 1.01 })
}
