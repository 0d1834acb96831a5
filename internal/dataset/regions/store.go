package regions

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/infile"
)

func readManifest(dir string) (m manifest, err error) {
	path := filepath.Join(dir, storeFile)
	if err := infile.ReadJSON(path, maxStoreFile, &m); err != nil {
		return m, err
	}
	switch {
	case m.Format != storeFormat:
		return m, fmt.Errorf("%s: format %q, where %q is needed", path, m.Format, storeFormat)
	case m.Version != storeVersion:
		return m, fmt.Errorf("%s: version %d; this program knows %d", path, m.Version, storeVersion)
	case m.Dim < 1 || m.Dim > maxDim:
		return m, fmt.Errorf("%s: features of %d values; 1 to %d are possible", path, m.Dim, maxDim)
	case len(m.Shards) > maxShards:
		return m, fmt.Errorf("%s: %d shards; at most %d are possible", path, len(m.Shards), maxShards)
	}
	if m.Extractor != nil && m.Extractor.Trained() {
		if err := m.Extractor.Validate(); err != nil {
			return m, fmt.Errorf("%s: extractor: %w", path, err)
		}
		m.Extractor.in(dir)
	}
	for _, s := range m.Shards {
		if s.File != filepath.Base(s.File) || !filepath.IsLocal(s.File) {
			return m, fmt.Errorf("%s: shard %q is not the name of a file in the folder", path, s.File)
		}
	}
	return m, nil
}

// shard is one mapped file of a store.
type shard struct {
	file     *mapped
	ids      []string
	origins  []Origin // nil of a store of an earlier version
	offsets  []int64  // images + 1, checked
	boxes    []byte
	sizes    []byte
	features []byte
	width    int // bytes of a region's feature

	globals     []byte // none: the means of the regions
	globalWidth int    // bytes of one; 0: none
	classes     []byte // none: unknown
	classWidth  int    // bytes of a region's; 0: none
}

// ShardError is the error about a shard of a store that is damaged or missing.
type ShardError struct{ Err error }

func (e *ShardError) Error() string {
	return fmt.Sprintf("%v (or extract again with --replace: what was in it is computed anew)", e.Err)
}

func (e *ShardError) Unwrap() error { return e.Err }

// openShard maps a shard and checks all but its features, boxes and sizes, which are
// checked when they are read.
func openShard(dir string, m manifest, listed manifestShard) (_ *shard, err error) {
	defer func() {
		if err != nil {
			err = &ShardError{err}
		}
	}()
	path := filepath.Join(dir, listed.File)
	f, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	s := &shard{file: f, width: m.Dim}
	kind := checkpoint.U8
	if !m.Bytes {
		kind, s.width = checkpoint.F32, 4*m.Dim
	}
	if err := f.guard(func() error { return s.parse(path, kind, m.Dim, listed.Images) }); err != nil {
		return nil, errors.Join(err, f.close())
	}
	return s, nil
}

func (s *shard) parse(path string, kind checkpoint.DType, dim, images int) error {
	r, err := checkpoint.ParseSafetensors(path, s.file.data)
	if err != nil {
		return err
	}
	var offsets []byte
	regions := -1
	for _, t := range []struct {
		name  string
		dtype checkpoint.DType
		width int // of a row; 0: one dimension
		data  *[]byte
	}{
		{tensorOffsets, checkpoint.I64, 0, &offsets}, {tensorSizes, checkpoint.F32, 2, &s.sizes},
		{tensorBoxes, checkpoint.F32, 4, &s.boxes}, {tensorFeatures, kind, dim, &s.features},
	} {
		info, err := r.Info(t.name)
		if err != nil {
			return err
		}
		if info.DType != t.dtype || t.width == 0 && len(info.Shape) != 1 || t.width > 0 && (len(info.Shape) != 2 || info.Shape[1] != t.width) {
			return fmt.Errorf("%s: tensor %q is %v %v; features.json says otherwise", path, t.name, info.DType, info.Shape)
		}
		if *t.data, err = r.Bytes(t.name); err != nil {
			return err
		}
		switch t.name {
		case tensorBoxes:
			regions = info.Shape[0]
		case tensorFeatures:
			if info.Shape[0] != regions {
				return fmt.Errorf("%s: %d boxes, but %d features", path, regions, info.Shape[0])
			}
		}
	}
	if s.globals, s.globalWidth, err = optional(r, tensorGlobals, images, dim); err != nil {
		return err
	}
	if s.classes, s.classWidth, err = optional(r, tensorClasses, regions, 0); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(r.Metadata()[metadataIDs]), &s.ids); err != nil {
		return fmt.Errorf("%s: ids: %w", path, infile.PlainJSON(err))
	}
	if raw, ok := r.Metadata()[metadataFrom]; ok {
		if err := json.Unmarshal([]byte(raw), &s.origins); err != nil {
			return fmt.Errorf("%s: origins: %w", path, infile.PlainJSON(err))
		}
		if len(s.origins) != len(s.ids) {
			return fmt.Errorf("%s: %d origins for %d ids", path, len(s.origins), len(s.ids))
		}
	}
	if n := len(s.ids); n != images || len(offsets) != 8*(n+1) || len(s.sizes) != 8*n {
		return fmt.Errorf("%s: %d ids, %d offsets and %d sizes for the %d images that features.json says", path, n, len(offsets)/8, len(s.sizes)/8, images)
	}
	s.offsets = make([]int64, len(offsets)/8)
	for i := range s.offsets {
		s.offsets[i] = int64(binary.LittleEndian.Uint64(offsets[8*i:]))
		if i == 0 && s.offsets[i] != 0 || i > 0 && s.offsets[i] <= s.offsets[i-1] {
			return fmt.Errorf("%s: offsets do not increase from 0 at image %d", path, i)
		}
	}
	if last := s.offsets[len(s.offsets)-1]; last != int64(regions) {
		return fmt.Errorf("%s: offsets end at %d, but there are %d regions", path, last, regions)
	}
	return nil
}

// optional returns a tensor of rows x columns F32 and the bytes of a row, none if it is not there. columns 0 stands
// for any number up to maxClasses.
func optional(r checkpoint.Reader, name string, rows, columns int) ([]byte, int, error) {
	at := slices.IndexFunc(r.Tensors(), func(t checkpoint.Info) bool { return t.Name == name })
	if at < 0 {
		return nil, 0, nil
	}
	info := r.Tensors()[at]
	if info.DType != checkpoint.F32 || len(info.Shape) != 2 || info.Shape[0] != rows || info.Shape[1] < 1 || columns > 0 && info.Shape[1] != columns || info.Shape[1] > maxClasses {
		return nil, 0, fmt.Errorf("%s: tensor %q is %v %v for %d rows", r.Path(), name, info.DType, info.Shape, rows)
	}
	raw, err := r.Bytes(name)
	return raw, 4 * info.Shape[1], err
}

// global returns the bytes of an image's global feature; none if it is the mean.
func (s *shard) global(i int) []byte { return s.globals[s.globalWidth*i : s.globalWidth*(i+1)] }

// origin returns what an image was made of; none if that was not noted.
func (s *shard) origin(i int) Origin {
	if s.origins == nil {
		return Origin{}
	}
	return s.origins[i]
}

// size returns the size of an image.
func (s *shard) size(i int) (width, height float64) {
	var size [2]float32
	copyFloats(size[:], s.sizes[8*i:])
	return float64(size[0]), float64(size[1])
}

// read sets dst to an image, unchecked.
func (s *shard) read(i, dim int, classes bool, dst *Image) {
	begin, end := int(s.offsets[i]), int(s.offsets[i+1])
	dst.ID, dst.Origin = s.ids[i], s.origin(i)
	dst.Width, dst.Height = s.size(i)
	dst.Boxes = resize(dst.Boxes, 4*(end-begin))
	copyFloats(dst.Boxes, s.boxes[16*begin:])
	dst.Features = resize(dst.Features, dim*(end-begin))
	dst.Global, dst.Classes = appendFloats(dst.Global[:0], s.global(i)), nil
	if classes {
		dst.Classes = appendFloats(nil, s.classes[s.classWidth*begin:s.classWidth*end])
	}
	features := s.features[s.width*begin : s.width*end]
	if s.width == dim {
		bytesToFeatures(dst.Features, features)
	} else {
		copyFloats(dst.Features, features)
	}
	release(features)
}

// copyFloats sets dst to the float32 that src begins with.
func copyFloats(dst []float32, src []byte) {
	copy(asBytes(dst), src)
	littleEndian(dst)
}

// appendFloats appends the float32 that src consists of.
func appendFloats(dst []float32, src []byte) []float32 {
	at := len(dst)
	dst = slices.Grow(dst, len(src)/4)[:at+len(src)/4]
	copyFloats(dst[at:], src)
	return dst
}

// littleInts returns the bytes of integers as the files have them.
func littleInts(values []int64) []byte {
	raw := make([]byte, 0, 8*len(values))
	for _, v := range values {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	return raw
}

// store is a source of the folder that [Writer] writes.
type store struct {
	idList
	dir    string
	shards []*shard
	images []storeImage
	dim    int

	withClasses bool // they are read
	classes     int  // that are read; 0: none
}

// storeImage is where an image is.
type storeImage struct{ shard, number int32 }

func (o *opening) openStore(dir string) (indexed, error) {
	for tries := 1; ; tries++ {
		m, err := readManifest(dir)
		if err != nil {
			return nil, err
		}
		before := o.info
		s, err := o.openShards(dir, m)
		if err == nil {
			return s, nil
		}
		// A writer may have replaced a shard since the list of them was read.
		if now, again := readManifest(dir); tries == 3 || again != nil || slices.Equal(now.Shards, m.Shards) {
			return nil, err
		}
		o.info = before
	}
}

func (o *opening) openShards(dir string, m manifest) (indexed, error) {
	o.info.Format, o.info.Extractor = FormatStore, m.Extractor
	s := &store{dir: dir, dim: m.Dim, withClasses: o.Classes}
	for i, listed := range m.Shards {
		if err := o.addShard(s, m, listed); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		o.Progress(int64(i+1), int64(len(m.Shards)))
	}
	return s, nil
}

// addShard opens a shard. One that is broken as a whole is an error even if bad images
// are to be skipped: its images are not known.
func (o *opening) addShard(s *store, m manifest, listed manifestShard) error {
	shard, err := openShard(s.dir, m, listed)
	if err != nil {
		return err
	}
	if n := shard.classWidth / 4; s.withClasses && len(s.shards) > 0 && n != s.classes {
		return errors.Join(fmt.Errorf("%s: probabilities of %d classes, where the shards before have %d; extract again", shard.file.path, n, s.classes), shard.file.close())
	} else if s.withClasses {
		s.classes = n
	}
	o.info.Bytes += int64(len(shard.file.data))
	number := int32(len(s.shards))
	s.shards = append(s.shards, shard)
	for i, id := range shard.ids {
		err := error(nil)
		if o.MaxRegions > 0 {
			err = o.checkRegions(int(shard.offsets[i+1] - shard.offsets[i]))
		}
		if err == nil && len(s.ids) == maxImages {
			err = fmt.Errorf("more than %d images", maxImages)
		}
		if err == nil && !s.add(id) {
			err = errors.New("the image is there already")
		}
		if err != nil {
			if err := o.bad(fmt.Errorf("%s: image %q: %w", shard.file.path, id, err)); err != nil {
				return err
			}
			continue
		}
		s.images = append(s.images, storeImage{number, int32(i)})
	}
	return nil
}

func (s *store) Dim() int { return s.dim }

// Classes is found by the function [Classes].
func (s *store) Classes() int { return s.classes }

// Origins returns what the images of a store are made of, by id; none of other sources.
func Origins(s Source) map[string]Origin {
	st, ok := s.(*store)
	if !ok {
		return nil
	}
	origins := make(map[string]Origin, len(st.ids))
	for i, id := range st.ids {
		origins[id] = st.shards[st.images[i].shard].origin(int(st.images[i].number))
	}
	return origins
}

func (s *store) Close() error {
	var err error
	for _, shard := range s.shards {
		err = errors.Join(err, shard.file.close())
	}
	return err
}

func (s *store) keep(good []bool) {
	s.idList.keep(good)
	s.images = keepGood(s.images, good)
}

func (s *store) regions() (least, most int) {
	return extremes(s.images, func(im storeImage) int {
		offsets := s.shards[im.shard].offsets[im.number:]
		return int(offsets[1] - offsets[0])
	})
}

func (s *store) Image(id string, dst *Image) error {
	i, err := s.find(id, s.dir)
	if err != nil {
		return fmt.Errorf("%w (if 'unimo features extract' was interrupted, the same command goes on)", err)
	}
	return skippable(s.read(i, dst))
}

func (s *store) read(i int, dst *Image) error {
	im := s.images[i]
	shard := s.shards[im.shard]
	err := shard.file.guard(func() error {
		if shard.file.data == nil {
			return errClosed
		}
		shard.read(int(im.number), s.dim, s.withClasses, dst)
		return dst.Check(s.dim)
	})
	if err != nil {
		return fmt.Errorf("%s: image %q: %w", shard.file.path, s.ids[i], err)
	}
	return nil
}
