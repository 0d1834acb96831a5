package regions

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// The formats that [Open] recognises.
const (
	FormatReference = "reference lines"        // 7 fields: id, width and height or the other way round, n, boxes, features, probabilities
	FormatBottomUp  = "bottom-up-attention"    // 6 fields: the same without probabilities; or a header that names the fields
	FormatLXMERT    = "bottom-up-attention 10" // 10 fields, as LXMERT's tool writes them
	FormatNumPy     = "numpy"                  // .npz or .npy, a file an image
	FormatStore     = "store"                  // of this program
)

// The orders of an image's width and height in lines.
const (
	OrderWidth  = "width"  // width first
	OrderHeight = "height" // height first
)

// DefaultMaxRegions is the largest number of regions of an image that is read unless
// [Options] say otherwise: the models that the detectors' features are for have at most
// so many.
const DefaultMaxRegions = 100

// Options are the ways to open features.
type Options struct {
	// SkipBad leaves bad images out and counts them. To find them everything is read
	// once; without it only what makes an index is, and a bad feature is an error when
	// its image is asked for.
	SkipBad bool
	// MaxRegions bounds the regions of an image; one with more is bad. 0:
	// DefaultMaxRegions, and of a store any number.
	MaxRegions int
	// Order is the order of width and height in lines: OrderWidth, OrderHeight, or "" to
	// go by the boxes.
	Order string
	// Classes reads the class probabilities of the reference's lines, whose sum over a
	// region is made 1, and of a store. One column of them in lines says nothing and is
	// passed over. Other forms have none.
	Classes bool
	// Progress, unless nil, is told how many bytes of how many have been looked at, from
	// one goroutine at a time.
	Progress func(done, total int64)
}

// Info says what was opened.
type Info struct {
	Format     string `json:"format"`
	Path       string `json:"path"`
	Images     int    `json:"images"`
	Dim        int    `json:"dim"`               // size of a feature
	Classes    int    `json:"classes,omitempty"` // that probabilities are read of
	MinRegions int    `json:"min_regions"`
	MaxRegions int    `json:"max_regions"`
	Bytes      int64  `json:"bytes"` // of all files

	Order    string `json:"order,omitempty"`    // of lines: OrderWidth or OrderHeight
	Evidence string `json:"evidence,omitempty"` // what the order, or boxes that the files do not give, were chosen by

	Bad     int      `json:"bad"`               // images left out
	Skipped []string `json:"skipped,omitempty"` // what was wrong with the first of them

	Extractor *Spec `json:"extractor,omitempty"` // of a store: what computed the features
}

// shownSkipped is how many bad images [Info] describes.
const shownSkipped = 10

// maxImages bounds the index of a source.
const maxImages = 1 << 24

// Open opens features whatever their form, which the content tells:
//
//   - the reference's lines of seven tab-separated fields and the TSV of
//     bottom-up-attention, of six fields (ten in LXMERT's variant), with or without a line
//     of names: a file, or a folder of files;
//   - NumPy: a file NAME.npz or NAME.npy an image, or a folder of them;
//   - a folder that [Writer] wrote.
//
// Files of lines and the store are mapped. docs/reference/features.md describes the formats. What is
// wrong is an error with file and line, or counted if o.SkipBad.
func Open(path string, o Options) (Source, Info, error) {
	if o.Order != "" && o.Order != OrderWidth && o.Order != OrderHeight {
		return nil, Info{}, names.Unknown("order", o.Order, []string{OrderWidth, OrderHeight})
	}
	if o.Progress == nil {
		o.Progress = func(int64, int64) {}
	}
	in := &opening{Options: o, info: Info{Path: path}}
	s, err := in.open(path)
	if err == nil && o.SkipBad {
		err = in.readAll(s)
	}
	if err == nil && len(s.IDs()) == 0 {
		err = fmt.Errorf("%s: no image left of %d", path, in.info.Bad)
		if in.info.Bad > 0 {
			err = fmt.Errorf("%w; the first problem: %s", err, in.info.Skipped[0])
		}
	}
	if err != nil {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
		return nil, Info{}, err
	}
	in.info.Images, in.info.Dim, in.info.Classes = len(s.IDs()), s.Dim(), Classes(s)
	in.info.MinRegions, in.info.MaxRegions = s.regions()
	return s, in.info, nil
}

// indexed is a source that knows its images by number.
type indexed interface {
	Source
	read(i int, dst *Image) error // a checked image
	regions() (least, most int)
	keep(good []bool) // forget the images that are not good
}

// opening is what readers share while a source is opened.
type opening struct {
	Options
	info Info
}

// bad takes note of a bad image, or returns its error if bad ones are not to be skipped.
func (o *opening) bad(err error) error {
	if !o.SkipBad {
		return skippable(err)
	}
	o.info.Bad++
	if len(o.info.Skipped) < shownSkipped {
		o.info.Skipped = append(o.info.Skipped, err.Error())
	}
	return nil
}

// skippable says what to do about a bad image besides repairing it.
func skippable(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w (or leave such images out: --skip-bad)", err)
}

func (o *opening) maxRegions() int { return cmp.Or(o.MaxRegions, DefaultMaxRegions) }

// checkRegions says whether an image may have n regions.
func (o *opening) checkRegions(n int) error {
	switch most := o.maxRegions(); {
	case n < 1:
		return fmt.Errorf("%d regions, where one is the least", n)
	case n > most:
		return fmt.Errorf("%d regions, more than the %d that are allowed; raise --max-regions if that is right", n, most)
	}
	return nil
}

func (o *opening) open(path string) (indexed, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, infile.Explain(path, err)
	}
	if !info.IsDir() {
		return o.openFiles(path, []string{path})
	}
	if IsStore(path) {
		return o.openStore(path)
	}
	files, err := listFiles(path)
	if err != nil {
		return nil, err
	}
	return o.openFiles(path, files)
}

// IsStore says whether a folder is a store of features.
func IsStore(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, storeFile))
	return err == nil
}

// listFiles lists the regular files of a folder, but hidden ones, by name.
func listFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	pictures := false
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if infile.Hidden(e.Name()) {
			continue
		}
		info, err := os.Stat(path) // follows links
		if errors.Is(err, fs.ErrNotExist) {
			continue // a link to nowhere
		}
		if err != nil {
			return nil, err
		}
		if info.Mode().IsRegular() {
			files = append(files, path)
			pictures = pictures || picture.IsPicture(path)
		}
	}
	for name, what := range map[string]string{"index.json": "an index of pictures", "config.json": "a model"} {
		if slices.Contains(files, filepath.Join(dir, name)) {
			return nil, fmt.Errorf("%s is %s, and holds no features of pictures (it has a %s); name a store of features, or files of them", dir, what, name)
		}
	}
	switch {
	case pictures:
		return nil, fmt.Errorf("%s holds pictures, not features; make features of them with 'unimo features extract %s OUT'", dir, dir)
	case len(files) == 0:
		return nil, fmt.Errorf("%s holds no files of features", dir)
	}
	return files, nil
}

// openFiles opens files that must all be of the first one's kind.
func (o *opening) openFiles(path string, files []string) (indexed, error) {
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a regular file", f)
		}
		o.info.Bytes += info.Size()
	}
	if slices.ContainsFunc(files, func(f string) bool { return isNumPy(f) }) {
		return o.openNumPy(path, slices.DeleteFunc(files, func(f string) bool { return !isNumPy(f) }))
	}
	head, err := readHead(files[0])
	if err != nil {
		return nil, err
	}
	if err := notLines(files[0], head); err != nil {
		return nil, err
	}
	return o.openLines(path, files)
}

// readHead returns the first bytes of a file.
func readHead(path string) ([]byte, error) {
	f, err := infile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, infile.HeadBytes)
	n, err := io.ReadFull(f, head)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return head[:n], err
}

// notLines recognises files of other kinds and says what to do with them.
func notLines(path string, head []byte) error {
	if err := infile.Foreign(path, head); err != nil {
		return err
	}
	for _, k := range []struct{ magic, text string }{
		{"\x1f\x8b", "is compressed; unpack it with gunzip first, as images are read from any place of the file"},
		{"PK\x03\x04", "is a ZIP archive; unpack it, or call it .npz if it is NumPy's"},
		{"\x93NUMPY", "is a NumPy array; give it the name NAME.npy"},
		{"\x89HDF", "is an HDF5 file, which is not read here; save its arrays as one NAME.npz an image"},
		{"\x80", "looks like a Python pickle, which can run code when it is read; save the arrays as .npz"},
	} {
		if bytes.HasPrefix(head, []byte(k.magic)) {
			return fmt.Errorf("%s %s", path, k.text)
		}
	}
	const lmdbMagic = "\xde\xc0\xef\xbe"
	switch {
	case len(head) == 0:
		return fmt.Errorf("%s is empty", path)
	case len(head) > 20 && string(head[16:20]) == lmdbMagic, slices.Contains([]string{".mdb", ".lmdb"}, strings.ToLower(filepath.Ext(path))):
		return fmt.Errorf("%s is an LMDB database, which is not read here; save its entries as one NAME.npz an image, or as lines", path)
	case picture.IsPicture(path):
		return fmt.Errorf("%s is a picture, not features; make features of a folder of pictures with 'unimo features extract DIR OUT'", path)
	case bytes.IndexByte(head, 0) >= 0:
		return fmt.Errorf("%s is no file of features that is known here: expected tab-separated lines, .npz, .npy, or a store", path)
	}
	return nil
}

// readAll reads every image and leaves the bad ones out.
func (o *opening) readAll(s indexed) error {
	n := len(s.IDs())
	good := make([]bool, n)
	var mu sync.Mutex
	done := 0
	scratch := sync.Pool{New: func() any { return new(Image) }}
	for begin := 0; begin < n; begin += checkBlock {
		end := min(begin+checkBlock, n)
		errs := make([]error, end-begin)
		parallel.For(end-begin, func(i int) {
			im := scratch.Get().(*Image)
			errs[i] = s.read(begin+i, im)
			scratch.Put(im)
			mu.Lock()
			defer mu.Unlock()
			done++
			o.Progress(o.info.Bytes*int64(done)/int64(n), o.info.Bytes)
		})
		for i, err := range errs {
			if good[begin+i] = err == nil; err != nil {
				_ = o.bad(err) // which it never returns here
			}
		}
	}
	s.keep(good)
	return nil
}

// checkBlock is how many images are read before their errors are noted, in order.
const checkBlock = 1024

// idList has the ids of a source, and where each is.
type idList struct {
	ids []string
	at  map[string]int32

	once sync.Once
	keys map[string]int32 // the first image of each key
}

// add appends an id; it returns false if it is there already.
func (s *idList) add(id string) bool {
	if s.at == nil {
		s.at = make(map[string]int32)
	}
	if _, ok := s.at[id]; ok {
		return false
	}
	s.at[id] = int32(len(s.ids))
	s.ids = append(s.ids, id)
	return true
}

// find returns the number of an image. The features of the picture "1.jpg" may have
// the id "1": extractors drop the extension as often as not. Names with one [picture.Key]
// are one name.
func (s *idList) find(id, path string) (int, error) {
	i, ok := s.at[id]
	if !ok && picture.IsPicture(id) {
		i, ok = s.at[strings.TrimSuffix(id, filepath.Ext(id))]
	}
	if !ok {
		s.once.Do(func() {
			s.keys = make(map[string]int32, len(s.ids))
			for i := len(s.ids) - 1; i >= 0; i-- {
				s.keys[picture.Key(s.ids[i])] = int32(i)
			}
		})
		key := picture.Key(id)
		if i, ok = s.keys[key]; !ok && picture.IsPicture(key) {
			i, ok = s.keys[strings.TrimSuffix(key, filepath.Ext(key))]
		}
	}
	if !ok {
		return 0, fmt.Errorf("%s: %w: %q, among its %d", path, ErrNoImage, id, len(s.ids))
	}
	return int(i), nil
}

// IDs implements [Source].
func (s *idList) IDs() []string { return s.ids }

// keepGood keeps the elements whose numbers are good.
func keepGood[T any](list []T, good []bool) []T {
	kept := list[:0]
	for i, v := range list {
		if good[i] {
			kept = append(kept, v)
		}
	}
	return kept
}

func (s *idList) keep(good []bool) {
	s.ids = keepGood(s.ids, good)
	clear(s.at)
	for i, id := range s.ids {
		s.at[id] = int32(i)
	}
}
