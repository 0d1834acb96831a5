package regions

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/atomicfile"
	"github.com/unimo-go/unimo/internal/checkpoint"
	"github.com/unimo-go/unimo/internal/infile"
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
	Dim       int   // size of a feature
	Extractor *Spec // what computes the features; nil: something else
	Bytes     bool  // features are stored as uint8 with value byte/127.5-1, which is exact for pixels
}

// manifest is the content of features.json.
type manifest struct {
	Format    string          `json:"format"`
	Version   int             `json:"version"`
	Dim       int             `json:"dim"`
	Bytes     bool            `json:"bytes"`
	Extractor *Spec           `json:"extractor,omitempty"`
	Shards    []manifestShard `json:"shards"`
}

type manifestShard struct {
	File   string `json:"file"`
	Images int    `json:"images"`
}

// Names of a shard's tensors, and of the metadata with the ids, a JSON array.
const (
	tensorFeatures = "features" // R x Dim, F32 or U8
	tensorBoxes    = "boxes"    // R x 4, F32
	tensorOffsets  = "offsets"  // images + 1, I64
	tensorSizes    = "sizes"    // images x 2: width, height, F32
	metadataIDs    = "ids"
)

// Writer writes a store, shard by shard. What is in a finished shard survives whatever
// happens to the process. It is not for several goroutines at once.
type Writer struct {
	dir      string
	manifest manifest
	written  map[string]struct{}

	ids     []string // of the shard in work
	bytes   []byte   // features, if the store has bytes
	floats  []float32
	boxes   []float32
	offsets []int64
	sizes   []float32
}

// NewWriter begins a store in the folder dir, which must not exist or be empty. If resume,
// it may also hold a store with the same header, to which images are added.
func NewWriter(dir string, h Header, resume bool) (*Writer, error) {
	if h.Dim < 1 || h.Dim > maxDim {
		return nil, fmt.Errorf("features of %d values; 1 to %d are possible", h.Dim, maxDim)
	}
	w := &Writer{dir: dir, written: make(map[string]struct{}), offsets: []int64{0},
		manifest: manifest{Format: storeFormat, Version: storeVersion, Dim: h.Dim, Bytes: h.Bytes, Extractor: h.Extractor}}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	old, err := readManifest(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return w, w.begin()
	case err != nil:
		return nil, err
	case !resume:
		return nil, fmt.Errorf("%s holds features already; name another folder, or remove it", dir)
	case !old.same(w.manifest):
		return nil, fmt.Errorf("%s holds features of another kind (%s); the new ones are %s: name another folder", dir, old, w.manifest)
	}
	w.manifest.Shards = old.Shards
	if err := atomicfile.Clean(dir); err != nil {
		return nil, err
	}
	for _, s := range old.Shards {
		shard, err := openShard(dir, old, s)
		if err != nil {
			return nil, err
		}
		for _, id := range shard.ids {
			w.written[id] = struct{}{}
		}
		if err := shard.file.close(); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// begin takes the folder, which must be empty but for what a killed writer left.
func (w *Writer) begin() error {
	if err := atomicfile.Clean(w.dir); err != nil {
		return err
	}
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

// same says whether two stores hold features of one kind.
func (m manifest) same(other manifest) bool {
	if (m.Extractor == nil) != (other.Extractor == nil) || m.Extractor != nil && *m.Extractor != *other.Extractor {
		return false
	}
	return m.Dim == other.Dim && m.Bytes == other.Bytes
}

func (m manifest) String() string {
	s := fmt.Sprintf("%d values", m.Dim)
	if m.Extractor != nil {
		s += fmt.Sprintf(" by %s, image size %d, patch size %d, grid %d", m.Extractor.Extractor, m.Extractor.ImageSize, m.Extractor.PatchSize, m.Extractor.Grid)
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

// Add appends an image, which it checks and copies, but for its classes, which a store does not
// keep. An id that is there already is an error.
func (w *Writer) Add(im *Image) error {
	if err := im.Check(w.manifest.Dim); err != nil {
		return fmt.Errorf("image %q: %w", im.ID, err)
	}
	if im.ID == "" || len(im.ID) > maxSmall {
		return fmt.Errorf("an id of %d bytes, where 1 to %d are possible", len(im.ID), maxSmall)
	}
	if w.Has(im.ID) {
		return fmt.Errorf("image %q is there already", im.ID)
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
	w.written[im.ID] = struct{}{}
	w.ids = append(w.ids, im.ID)
	w.boxes = append(w.boxes, im.Boxes...)
	w.offsets = append(w.offsets, w.offsets[len(w.offsets)-1]+int64(im.Regions()))
	w.sizes = append(w.sizes, float32(im.Width), float32(im.Height))
	if len(w.bytes)+4*len(w.floats) >= shardBytes {
		return w.flush()
	}
	return nil
}

// Close writes the last shard.
func (w *Writer) Close() error { return w.flush() }

func (w *Writer) flush() error {
	if len(w.ids) == 0 {
		return nil
	}
	if len(w.manifest.Shards) == maxShards {
		return fmt.Errorf("%s has %d shards already", w.dir, maxShards)
	}
	ids, err := json.Marshal(w.ids)
	if err != nil {
		return err
	}
	n, regions := len(w.ids), len(w.boxes)/4
	features := checkpoint.Tensor{Info: checkpoint.Info{Name: tensorFeatures, DType: checkpoint.U8, Shape: []int{regions, w.manifest.Dim}}, Data: w.bytes}
	if !w.manifest.Bytes {
		features = checkpoint.FromFloat32(tensorFeatures, features.Shape, w.floats)
	}
	shard := manifestShard{File: fmt.Sprintf("features-%05d.safetensors", len(w.manifest.Shards)+1), Images: n}
	err = checkpoint.WriteSafetensors(filepath.Join(w.dir, shard.File), []checkpoint.Tensor{
		features,
		checkpoint.FromFloat32(tensorBoxes, []int{regions, 4}, w.boxes),
		checkpoint.FromFloat32(tensorSizes, []int{n, 2}, w.sizes),
		{Info: checkpoint.Info{Name: tensorOffsets, DType: checkpoint.I64, Shape: []int{n + 1}}, Data: littleInts(w.offsets)},
	}, map[string]string{metadataIDs: string(ids)})
	if err != nil {
		return err
	}
	w.manifest.Shards = append(w.manifest.Shards, shard)
	if err := w.manifest.write(w.dir); err != nil {
		return err
	}
	w.ids, w.bytes, w.floats, w.boxes, w.sizes = w.ids[:0], w.bytes[:0], w.floats[:0], w.boxes[:0], w.sizes[:0]
	w.offsets = append(w.offsets[:0], 0)
	return nil
}
