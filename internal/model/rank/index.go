package rank

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// Index holds the vectors and the regions of many pictures, made by one model.
//
//	index.json           what follows, IndexInfo
//	vectors.safetensors  the tensor vectors, images x size
//	regions/             a feature store, which re-ranking reads
//
// Both files are mapped, not loaded.
type Index struct {
	Info    IndexInfo
	IDs     []string
	Stale   int // images that are left out, as they have changed in an update that has not come to its end
	vectors []float32
	reader  checkpoint.Reader
	regions regions.Source
}

// IndexInfo is what index.json says.
type IndexInfo struct {
	Version  int    `json:"version"`
	Model    string `json:"model_digest"`       // of the model that made the vectors
	ModelDir string `json:"model,omitempty"`    // where it was
	Source   string `json:"pictures"`           // the folder of pictures, or the features, as [regions.Place] names it; ids are names in it
	Features bool   `json:"features,omitempty"` // the source is region features
	Images   int    `json:"images"`
	Size     int    `json:"vector_size"`
	Computed int    `json:"computed"` // images whose regions were computed by the command that wrote this, as they were new or had changed
}

const (
	indexVersion = 2
	indexFile    = "index.json"
	vectorFile   = "vectors.safetensors"
	regionFolder = "regions"
	// maxIndexFile bounds index.json; real ones have less than a kilobyte.
	maxIndexFile = 1 << 16
)

// ErrOtherModel is what errors about an index of another model wrap.
var ErrOtherModel = errors.New("the index was made with another model")

// IndexOptions say how an index is made.
type IndexOptions struct {
	Model     string // digest of the model
	ModelDir  string
	Source    string // the folder of pictures, or the features
	Features  bool
	Extractor *regions.Spec
	Replace   bool // an index of something else is no error
	// Bad is told about an image that cannot be read. It returns nil to go on without it.
	Bad  func(id string, err error) error
	Tick func(stage string, done, total int) // may be nil
}

// WriteIndex makes the index dir of all images of src. An index of the same source that is there
// is brought up to date: the regions of images that are as they were are not computed again,
// whether it was interrupted or not, and images that are gone leave it. An index of another source
// is a [*regions.OtherError], unless o.Replace.
func (s *Scorer) WriteIndex(ctx context.Context, dir string, src regions.Source, o IndexOptions) (IndexInfo, error) {
	if o.Tick == nil {
		o.Tick = func(string, int, int) {}
	}
	if err := vacant(dir); err != nil {
		return IndexInfo{}, err
	}
	lock, err := atomicfile.Own(dir)
	if err != nil {
		return IndexInfo{}, fmt.Errorf("make an index: %w", err)
	}
	defer lock.Release()
	info := IndexInfo{Version: indexVersion, Model: o.Model, ModelDir: regions.Place(o.ModelDir), Source: regions.Place(o.Source), Features: o.Features, Size: s.model.Config.ContrastSize}
	ids, hashes, err := s.writeRegions(ctx, dir, src, o, &info)
	if err != nil {
		return IndexInfo{}, err
	}
	if len(ids) == 0 {
		return IndexInfo{}, fmt.Errorf("index %s: no image could be read", dir)
	}
	store, _, err := regions.Open(filepath.Join(dir, regionFolder), regions.Options{})
	if err != nil {
		return IndexInfo{}, err
	}
	defer store.Close()
	vectors, err := s.ImageVectors(ctx, Images{store, ids}, func(done, total int) { o.Tick("vectors", done, total) })
	if err != nil {
		return IndexInfo{}, err
	}
	names, err := json.Marshal(ids)
	if err != nil {
		return IndexInfo{}, fmt.Errorf("index %s: %w", dir, err)
	}
	// The vectors and their ids are one file, so that they always belong together.
	err = checkpoint.WriteSafetensors(filepath.Join(dir, vectorFile), []checkpoint.Tensor{
		checkpoint.FromFloat32("vectors", []int{len(ids), info.Size}, vectors),
		{Info: checkpoint.Info{Name: "ids", DType: checkpoint.U8, Shape: []int{len(names)}}, Data: names},
		{Info: checkpoint.Info{Name: "origins", DType: checkpoint.U8, Shape: []int{len(ids), sha256.Size}}, Data: hashes},
	}, map[string]string{"model": o.Model})
	if err != nil {
		return IndexInfo{}, err
	}
	info.Images = len(ids)
	raw, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return IndexInfo{}, fmt.Errorf("index %s: %w", dir, err)
	}
	return info, atomicfile.WriteBytes(filepath.Join(dir, indexFile), append(raw, '\n'))
}

// vacant refuses a folder that holds what is no part of an index: that of the pictures, or of data.
func vacant(dir string) error {
	if err := infile.Folder(dir); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return fmt.Errorf("make an index: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("make an index: %w", err)
	}
	for _, e := range entries {
		if !infile.Hidden(e.Name()) && !slices.Contains([]string{indexFile, vectorFile, regionFolder}, e.Name()) {
			return fmt.Errorf("make an index: %s holds other files (%s); name a new folder", dir, e.Name())
		}
	}
	return nil
}

// writeRegions brings the store of the index dir up to date with src. It returns the ids that both
// have, and the hashes of what these are made of, behind each other.
func (s *Scorer) writeRegions(ctx context.Context, dir string, src regions.Source, o IndexOptions, info *IndexInfo) (ids []string, hashes []byte, err error) {
	existing := regions.Resume
	if o.Replace {
		existing = regions.Replace
	}
	w, err := regions.NewWriter(filepath.Join(dir, regionFolder), regions.Header{
		Dim: src.Dim(), Extractor: o.Extractor, Bytes: o.Extractor != nil && o.Extractor.Extractor == regions.Patches, Source: info.Source,
	}, existing)
	if other := (*regions.OtherError)(nil); errors.As(err, &other) {
		return nil, nil, &regions.OtherError{Dir: "index " + dir, Problem: other.Problem}
	}
	if err != nil {
		return nil, nil, err
	}
	all := src.IDs()
	missing, err := w.Refresh(ctx, src, func(done, total int) { o.Tick("changes", done, total) })
	if err != nil {
		return nil, nil, errors.Join(err, w.Close())
	}
	bad := map[string]bool{}
	for lo := 0; lo < len(missing) && err == nil; lo += imageBlock {
		part := missing[lo:min(lo+imageBlock, len(missing))]
		err = s.addRegions(ctx, w, src, part, func(id string, problem error) error {
			bad[id] = true
			return o.Bad(id, problem)
		})
		o.Tick("regions", len(all)-len(missing)+lo+len(part), len(all))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, nil, err
	}
	info.Computed = len(missing) - len(bad)
	ids = slices.DeleteFunc(slices.Clone(all), func(id string) bool { return bad[id] })
	for _, id := range ids {
		hash, err := hex.DecodeString(w.Origin(id).Hash)
		if err != nil || len(hash) != sha256.Size {
			return nil, nil, fmt.Errorf("index %s: image %q has no hash; make the index again", dir, id)
		}
		hashes = append(hashes, hash...)
	}
	return ids, hashes, nil
}

// addRegions adds images to w, read several at a time.
func (s *Scorer) addRegions(ctx context.Context, w *regions.Writer, src regions.Source, ids []string, bad func(id string, err error) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	read := make([]regions.Image, len(ids))
	failures := make([]error, len(ids))
	s.dev.Limit().For(len(ids), func(i int) { failures[i] = src.Image(ids[i], &read[i]) })
	for i := range read {
		if failures[i] != nil {
			if err := bad(ids[i], failures[i]); err != nil {
				return err
			}
			continue
		}
		if err := w.Add(&read[i]); err != nil {
			return err
		}
	}
	return nil
}

// ReadIndexInfo reads what index.json of the index dir says.
func ReadIndexInfo(dir string) (info IndexInfo, err error) {
	path := filepath.Join(dir, indexFile)
	err = infile.ReadJSON(path, maxIndexFile, &info)
	if errors.Is(err, fs.ErrNotExist) {
		return info, fmt.Errorf("%s is no index (%w); make one with \"unimo index PICTURES --model MODEL --out %s\"", dir, fs.ErrNotExist, dir)
	}
	if err != nil {
		return info, fmt.Errorf("%w (or make the index again)", err)
	}
	if info.Version != indexVersion {
		return info, fmt.Errorf("%s has version %d, this program reads %d; make the index again, in another folder or with --replace", path, info.Version, indexVersion)
	}
	return info, nil
}

// OpenIndex opens the index dir, which the model of that digest must have made.
func OpenIndex(dir, model string) (*Index, error) {
	info, err := ReadIndexInfo(dir)
	if err != nil {
		return nil, err
	}
	if info.Model != model {
		return nil, fmt.Errorf("index %s: %w; name the one that made it, or make the index again", dir, ErrOtherModel)
	}
	ix := &Index{Info: info}
	if err := ix.open(dir); err != nil {
		ix.Close()
		return nil, err
	}
	return ix, nil
}

func (ix *Index) open(dir string) error {
	var err error
	path := filepath.Join(dir, vectorFile)
	if ix.reader, err = checkpoint.OpenSafetensors(path); err != nil {
		return err
	}
	if ix.reader.Metadata()["model"] != ix.Info.Model {
		return fmt.Errorf("index %s was being made again; finish that with the same command", dir)
	}
	names, err := ix.reader.Bytes("ids")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(names, &ix.IDs); err != nil {
		return fmt.Errorf("%s: tensor ids: %w; make the index again", path, infile.PlainJSON(err))
	}
	if ix.vectors, _, err = checkpoint.Float32s(ix.reader, "vectors"); err != nil {
		return err
	}
	if len(ix.IDs) == 0 || len(ix.vectors) != len(ix.IDs)*ix.Info.Size {
		return fmt.Errorf("%s: %d vector values for %d images of %d each; make the index again", path, len(ix.vectors), len(ix.IDs), ix.Info.Size)
	}
	hashes, err := ix.reader.Bytes("origins")
	if err != nil {
		return err
	}
	if len(hashes) != len(ix.IDs)*sha256.Size {
		return fmt.Errorf("%s: %d bytes of hashes for %d images; make the index again", path, len(hashes), len(ix.IDs))
	}
	if ix.regions, _, err = regions.Open(filepath.Join(dir, regionFolder), regions.Options{}); err != nil {
		return err
	}
	return ix.leaveOutStale(dir, hashes)
}

// leaveOutStale leaves out the images whose vectors are of something else than their regions: an
// update that was interrupted has brought only these up to date.
func (ix *Index) leaveOutStale(dir string, hashes []byte) error {
	origins := regions.Origins(ix.regions)
	var good []int
	for i, id := range ix.IDs {
		if origins[id].Hash == hex.EncodeToString(hashes[i*sha256.Size:(i+1)*sha256.Size]) {
			good = append(good, i)
		}
	}
	if len(good) == len(ix.IDs) {
		return nil
	}
	if len(good) == 0 {
		return fmt.Errorf("index %s was being made again; finish that with the same command", dir)
	}
	ids, vectors := make([]string, len(good)), make([]float32, 0, len(good)*ix.Info.Size)
	for k, i := range good {
		ids[k] = ix.IDs[i]
		vectors = append(vectors, ix.vectors[i*ix.Info.Size:(i+1)*ix.Info.Size]...)
	}
	ix.Stale = len(ix.IDs) - len(good)
	ix.IDs, ix.vectors = ids, vectors
	return nil
}

// Close releases the files.
func (ix *Index) Close() error {
	var errs []error
	if ix.regions != nil {
		errs = append(errs, ix.regions.Close())
	}
	if ix.reader != nil {
		errs = append(errs, ix.reader.Close())
	}
	return errors.Join(errs...)
}
