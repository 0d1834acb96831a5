package regions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// The store is a folder with features.json and shards, which are safetensors files. A
// shard is whole before features.json lists it.
const (
	storeFile    = "features.json"
	storeFormat  = "unimo-features"
	storeVersion = 1
	maxStoreFile = 64 << 20
	shardBytes   = 64 << 20 // of features, about
	maxShards    = 1 << 20
)

// Header describes a store.
type Header struct {
	Dim       int    // size of a feature
	Extractor *Spec  // what computes the features; nil: something else
	Bytes     bool   // features are stored as uint8 with value byte/127.5-1, which is exact for pixels
	Source    string // the folder of pictures, or the features, of which the images are; see [Place]
}

// Existing says what a [Writer] does with a store that is there.
type Existing int

const (
	Refuse  Existing = iota // it is an error
	Resume                  // it goes on, if it has the same header
	Replace                 // it goes on; what is of another header leaves it
)

// OtherError is the error about a store of something else than what is to be written.
type OtherError struct {
	Dir     string
	Problem string
}

func (e *OtherError) Error() string {
	return fmt.Sprintf("%s: %s; name another folder, or replace what is in it with --replace", e.Dir, e.Problem)
}

// Place returns the name by which a store knows a folder or file: absolute, without links.
func Place(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	return picture.ID(filepath.ToSlash(path))
}

// samePlace says whether two names of [Place] are one folder or file.
func samePlace(a, b string) bool {
	if a == b {
		return true
	}
	x, err := os.Stat(filepath.FromSlash(a))
	y, err2 := os.Stat(filepath.FromSlash(b))
	return err == nil && err2 == nil && os.SameFile(x, y)
}

// manifest is the content of features.json.
type manifest struct {
	Format    string          `json:"format"`
	Version   int             `json:"version"`
	Dim       int             `json:"dim"`
	Bytes     bool            `json:"bytes"`
	Extractor *Spec           `json:"extractor,omitempty"`
	Source    string          `json:"source,omitempty"`
	Shards    []manifestShard `json:"shards"`
}

type manifestShard struct {
	File   string `json:"file"`
	Images int    `json:"images"`
}

// Names of a shard's tensors, and of the metadata with the ids and the origins, JSON arrays.
const (
	tensorFeatures = "features" // R x Dim, F32 or U8
	tensorBoxes    = "boxes"    // R x 4, F32
	tensorOffsets  = "offsets"  // images + 1, I64
	tensorSizes    = "sizes"    // images x 2: width, height, F32
	tensorGlobals  = "globals"  // images x Dim, F32; absent: the means of the regions
	tensorClasses  = "classes"  // R x classes, F32; absent: unknown
	metadataIDs    = "ids"
	metadataFrom   = "origins"
)

// Writer writes a store, shard by shard. What is in a finished shard survives whatever
// happens to the process. It is not for several goroutines at once.
type Writer struct {
	dir      string
	lock     *atomicfile.Lock
	manifest manifest
	written  map[string]written

	ids     []string // of the shard in work
	origins []Origin
	bytes   []byte // features, if the store has bytes
	floats  []float32
	boxes   []float32
	offsets []int64
	sizes   []float32
	globals []float32
	classes []float32
}

// written is an image that the store has.
type written struct {
	origin Origin
	noted  time.Time // when its shard was written
	pixels float64   // width times height
}

// NewWriter begins a store in the folder dir, which must not exist or be empty, or may hold a
// store according to e. It belongs to the writer until Close. An error about one that is of something
// else is an [*OtherError].
func NewWriter(dir string, h Header, e Existing) (*Writer, error) {
	if h.Dim < 1 || h.Dim > maxDim {
		return nil, fmt.Errorf("features of %d values; 1 to %d are possible", h.Dim, maxDim)
	}
	w := &Writer{dir: dir, written: make(map[string]written), offsets: []int64{0},
		manifest: manifest{Format: storeFormat, Version: storeVersion, Dim: h.Dim, Bytes: h.Bytes, Extractor: h.Extractor, Source: h.Source}}
	var err error
	if w.lock, err = atomicfile.Own(dir); err != nil {
		return nil, err
	}
	if err := w.open(e); err != nil {
		return nil, errors.Join(err, w.lock.Release())
	}
	return w, nil
}

// open takes over what the folder holds.
func (w *Writer) open(e Existing) error {
	dir := w.dir
	old, err := readManifest(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w.begin()
	case err != nil:
		return err
	case e == Refuse:
		return fmt.Errorf("%s holds features already; name another folder, or remove it", dir)
	case e == Resume:
		if problem := old.other(w.manifest); problem != "" {
			return &OtherError{dir, problem}
		}
	}
	if !old.sameKind(w.manifest) {
		old.Shards = nil
	}
	for _, s := range old.Shards {
		if err := w.take(s); err == nil {
			w.manifest.Shards = append(w.manifest.Shards, s)
		} else if e != Replace { // which also gets over what is damaged
			return err
		}
	}
	if err := w.manifest.write(dir); err != nil {
		return err
	}
	return w.clean()
}

// take notes the images of a shard that is there.
func (w *Writer) take(listed manifestShard) error {
	shard, err := openShard(w.dir, w.manifest, listed)
	if err != nil {
		return err
	}
	err = shard.file.guard(func() error {
		for i, id := range shard.ids {
			width, height := shard.size(i)
			w.written[id] = written{shard.origin(i), shard.file.modified, width * height}
		}
		return nil
	})
	return errors.Join(err, shard.file.close())
}

// clean removes the shards that features.json does not list: those of a killed writer and those
// that others have replaced. What cannot be removed is left: nobody reads it.
func (w *Writer) clean() error {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		ours, _ := path.Match("features-*.safetensors", e.Name())
		if ours && !slices.ContainsFunc(w.manifest.Shards, func(s manifestShard) bool { return s.File == e.Name() }) {
			_ = os.Remove(filepath.Join(w.dir, e.Name()))
		}
	}
	return nil
}

// begin takes the folder, which must be empty but for what a killed writer left.
func (w *Writer) begin() error {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return infile.Hidden(e.Name()) })
	if len(entries) > 0 {
		return fmt.Errorf("%s holds other files (%s); name a new folder", w.dir, entries[0].Name())
	}
	return w.manifest.write(w.dir)
}

// Refresh lets only those images stay that src still has, as they were when they were added, and
// returns the ids of src that are to be added. What a file is made of is read again only if its
// size or times say that it may have changed. tick is told how many images have been looked at.
func (w *Writer) Refresh(ctx context.Context, src Source, tick func(done, total int)) (missing []string, err error) {
	ids := src.IDs()
	var there []string
	for _, id := range ids {
		if w.Has(id) {
			there = append(there, id)
		}
	}
	now := make(map[string]Origin, len(there)) // of those that have not changed
	for done := 0; done < len(there); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		part := there[done:min(done+readBlock, len(there))]
		found := make([]Origin, len(part))
		parallel.For(len(part), func(i int) { found[i] = w.unchanged(src, part[i]) })
		for i, id := range part {
			if found[i].Hash != "" {
				now[id] = found[i]
			}
		}
		done += len(part)
		tick(done, len(there))
	}
	if err := w.retain(now); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(ids), w.Has), nil
}

// unchanged returns the origin of an image, none if it has changed or cannot be read any more.
func (w *Writer) unchanged(src Source, id string) Origin {
	known := w.written[id]
	if p, ok := src.(*Pictures); ok && known.pixels > float64(p.limits.MaxPixels) && p.limits.MaxPixels > 0 {
		return Origin{} // which is an error now
	}
	now, err := currentOrigin(src, id, known.origin, known.noted)
	if err != nil || now.Hash != known.origin.Hash {
		return Origin{}
	}
	return now
}

// retain lets only the images of the map stay, with the origins in it. Shards of which some images
// go are written anew without them, all before features.json names the first of these.
func (w *Writer) retain(origins map[string]Origin) error {
	var shards []manifestShard
	changed := false
	next := w.nextShard()
	for _, listed := range w.manifest.Shards {
		kept, anew, err := w.retainIn(listed, origins, next)
		if err != nil {
			return err
		}
		changed = changed || anew || kept.Images == 0
		if anew {
			next++
		}
		if kept.Images > 0 {
			shards = append(shards, kept)
		}
	}
	for id, known := range w.written {
		if o, ok := origins[id]; ok {
			known.origin = o
			w.written[id] = known
		} else {
			delete(w.written, id)
		}
	}
	if !changed {
		return nil
	}
	w.manifest.Shards = shards
	if err := w.manifest.write(w.dir); err != nil {
		return err
	}
	return w.clean()
}

// retainIn returns the shard to list in a shard's place: itself, or another of that number, which
// it writes.
func (w *Writer) retainIn(listed manifestShard, origins map[string]Origin, number int) (kept manifestShard, anew bool, err error) {
	shard, err := openShard(w.dir, w.manifest, listed)
	if err != nil {
		return kept, false, err
	}
	defer func() { err = errors.Join(err, shard.file.close()) }()
	var stay []int
	same := true
	for i, id := range shard.ids {
		o, ok := origins[id]
		if ok {
			stay = append(stay, i)
		}
		same = same && ok && o == shard.origin(i)
	}
	if same || len(stay) == 0 {
		listed.Images = len(stay)
		return listed, false, nil
	}
	part := Writer{dir: w.dir, manifest: w.manifest, offsets: []int64{0}, written: map[string]written{}}
	err = shard.file.guard(func() error {
		for _, i := range stay {
			part.copy(shard, i, origins[shard.ids[i]])
		}
		return nil
	})
	if err == nil {
		kept, err = part.writeShard(number)
	}
	return kept, true, err
}

// sameKind says whether two stores hold features of one kind.
func (m manifest) sameKind(other manifest) bool {
	if (m.Extractor == nil) != (other.Extractor == nil) || m.Extractor != nil && !m.Extractor.Equal(*other.Extractor) {
		return false
	}
	return m.Dim == other.Dim && m.Bytes == other.Bytes
}

// other says what a store is of, if it is of something else; else "".
func (m manifest) other(now manifest) string {
	switch {
	case !m.sameKind(now):
		return fmt.Sprintf("holds features of another kind (%s); the new ones are %s", m, now)
	case now.Source == "" || m.Source == "" && len(m.Shards) == 0:
		return ""
	case m.Source == "":
		return "was made by an earlier version, which did not note of which files"
	case !samePlace(m.Source, now.Source):
		return fmt.Sprintf("is of %s, not of %s", m.Source, now.Source)
	}
	return ""
}

func (m manifest) String() string {
	s := fmt.Sprintf("%d values", m.Dim)
	if m.Extractor != nil {
		s += fmt.Sprintf(" by %s", m.Extractor)
	}
	return s
}

func (m manifest) write(dir string) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.WriteBytes(filepath.Join(dir, storeFile), append(raw, '\n'))
}

// Images returns how many images the store has, those of the shard in work included.
func (w *Writer) Images() int { return len(w.written) }

// Has says whether the store has an image.
func (w *Writer) Has(id string) bool {
	_, ok := w.written[id]
	return ok
}

// Origin returns what an image of the store is made of.
func (w *Writer) Origin(id string) Origin { return w.written[id].origin }

// Add appends an image, which it checks and copies. An id that is there already is an error, and so is an image
// that has a global feature, or classes, where those before have none, or the other way round.
func (w *Writer) Add(im *Image) error {
	if err := im.Check(w.manifest.Dim); err != nil {
		return fmt.Errorf("image %q: %w", im.ID, err)
	}
	if im.ID == "" || len(im.ID) > maxSmall || !utf8.ValidString(im.ID) {
		return fmt.Errorf("an id of %d bytes, %.40q, where 1 to %d of UTF-8 are possible", len(im.ID), im.ID, maxSmall)
	}
	if w.Has(im.ID) {
		return fmt.Errorf("image %q is there already", im.ID)
	}
	if n := len(w.ids); n > 0 && (len(w.globals) != n*len(im.Global) || len(w.classes)*im.Regions() != len(im.Classes)*len(w.boxes)/4) {
		return fmt.Errorf("image %q has %d values of a global feature and %d class probabilities, which are others than the images before have", im.ID, len(im.Global), len(im.Classes))
	}
	if w.manifest.Bytes {
		for i, v := range im.Features {
			b := byte(min(max(math.Round((float64(v)+1)*127.5), 0), 255))
			if featureOf[b] != v {
				return fmt.Errorf("image %q: feature value %d is %v, which is no byte/127.5-1: such features are stored as float32", im.ID, i, v)
			}
			w.bytes = append(w.bytes, b)
		}
	} else {
		w.floats = append(w.floats, im.Features...)
	}
	origin := im.Origin
	if origin.Hash == "" {
		origin.Hash = im.Digest()
	}
	w.globals, w.classes = append(w.globals, im.Global...), append(w.classes, im.Classes...)
	w.append(im.ID, origin, im.Boxes, float32(im.Width), float32(im.Height))
	if len(w.bytes)+4*len(w.floats) >= shardBytes {
		return w.flush()
	}
	return nil
}

// append appends all of an image but its features.
func (w *Writer) append(id string, origin Origin, boxes []float32, width, height float32) {
	w.written[id] = written{origin: origin, pixels: float64(width) * float64(height)}
	w.ids, w.origins = append(w.ids, id), append(w.origins, origin)
	w.boxes = append(w.boxes, boxes...)
	w.offsets = append(w.offsets, w.offsets[len(w.offsets)-1]+int64(len(boxes)/4))
	w.sizes = append(w.sizes, width, height)
}

// copy appends an image of a shard as it is.
func (w *Writer) copy(s *shard, i int, origin Origin) {
	begin, end := int(s.offsets[i]), int(s.offsets[i+1])
	features := s.features[s.width*begin : s.width*end]
	if w.manifest.Bytes {
		w.bytes = append(w.bytes, features...)
	} else {
		w.floats = appendFloats(w.floats, features)
	}
	boxes := appendFloats(nil, s.boxes[16*begin:16*end])
	w.globals = appendFloats(w.globals, s.global(i))
	w.classes = appendFloats(w.classes, s.classes[s.classWidth*begin:s.classWidth*end])
	width, height := s.size(i)
	w.append(s.ids[i], origin, boxes, float32(width), float32(height))
}

// Close writes the last shard.
func (w *Writer) Close() error { return errors.Join(w.flush(), w.lock.Release()) }

func (w *Writer) flush() error {
	if len(w.ids) == 0 {
		return nil
	}
	if len(w.manifest.Shards) == maxShards {
		return fmt.Errorf("%s has %d shards already", w.dir, maxShards)
	}
	shard, err := w.writeShard(w.nextShard())
	if err != nil {
		return err
	}
	w.manifest.Shards = append(w.manifest.Shards, shard)
	if err := w.manifest.write(w.dir); err != nil {
		return err
	}
	w.ids, w.origins, w.bytes, w.floats, w.boxes, w.sizes = w.ids[:0], w.origins[:0], w.bytes[:0], w.floats[:0], w.boxes[:0], w.sizes[:0]
	w.globals, w.classes = w.globals[:0], w.classes[:0]
	w.offsets = append(w.offsets[:0], 0)
	return nil
}

// nextShard returns the number of a shard that no other has.
func (w *Writer) nextShard() int {
	next := 1
	for _, s := range w.manifest.Shards {
		var n int
		if _, err := fmt.Sscanf(s.File, shardName, &n); err == nil {
			next = max(next, n+1)
		}
	}
	return next
}

const shardName = "features-%05d.safetensors"

// writeShard writes the shard in work to a file of that number.
func (w *Writer) writeShard(number int) (manifestShard, error) {
	ids, err := json.Marshal(w.ids)
	if err != nil {
		return manifestShard{}, err
	}
	from, err := json.Marshal(w.origins)
	if err != nil {
		return manifestShard{}, err
	}
	n, regions := len(w.ids), len(w.boxes)/4
	features := checkpoint.Tensor{Info: checkpoint.Info{Name: tensorFeatures, DType: checkpoint.U8, Shape: []int{regions, w.manifest.Dim}}, Data: w.bytes}
	if !w.manifest.Bytes {
		features = checkpoint.FromFloat32(tensorFeatures, features.Shape, w.floats)
	}
	shard := manifestShard{File: fmt.Sprintf(shardName, number), Images: n}
	tensors := []checkpoint.Tensor{
		features,
		checkpoint.FromFloat32(tensorBoxes, []int{regions, 4}, w.boxes),
		checkpoint.FromFloat32(tensorSizes, []int{n, 2}, w.sizes),
		{Info: checkpoint.Info{Name: tensorOffsets, DType: checkpoint.I64, Shape: []int{n + 1}}, Data: littleInts(w.offsets)},
	}
	if len(w.globals) > 0 {
		tensors = append(tensors, checkpoint.FromFloat32(tensorGlobals, []int{n, w.manifest.Dim}, w.globals))
	}
	if len(w.classes) > 0 {
		tensors = append(tensors, checkpoint.FromFloat32(tensorClasses, []int{regions, len(w.classes) / regions}, w.classes))
	}
	return shard, checkpoint.WriteSafetensors(filepath.Join(w.dir, shard.File), tensors, map[string]string{metadataIDs: string(ids), metadataFrom: string(from)})
}
