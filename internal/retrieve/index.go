package retrieve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/atomicfile"
	"github.com/unimo-go/unimo/internal/checkpoint"
	"github.com/unimo-go/unimo/internal/parallel"
	"github.com/unimo-go/unimo/internal/regions"
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
	vectors []float32
	reader  checkpoint.Reader
	regions regions.Source
}

// IndexInfo is what index.json says.
type IndexInfo struct {
	Version  int    `json:"version"`
	Model    string `json:"model_digest"` // of the weights that made the vectors
	Pictures string `json:"pictures"`     // the folder, as it was named; ids are names in it
	Images   int    `json:"images"`
	Size     int    `json:"vector_size"`
}

const (
	indexVersion = 1
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
	Model     string // digest of the weights
	Pictures  string
	Extractor *regions.Spec
	// Bad is told about an image that cannot be read. It returns nil to go on without it.
	Bad  func(id string, err error) error
	Tick func(stage string, done, total int)
}

// WriteIndex makes the index dir of all images of src. The regions of one that was interrupted
// are not computed again. An index that is there is brought up to date: images that are gone are
// not found any more, new ones are added. A picture that changed under its name keeps what it had.
func (s *Scorer) WriteIndex(ctx context.Context, dir string, src regions.Source, o IndexOptions) (IndexInfo, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return IndexInfo{}, fmt.Errorf("make an index: %w", err)
	}
	ids, err := writeRegions(ctx, filepath.Join(dir, regionFolder), src, o)
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
	size := s.model.Config.ContrastSize
	names, err := json.Marshal(ids)
	if err != nil {
		return IndexInfo{}, fmt.Errorf("index %s: %w", dir, err)
	}
	// The vectors and their ids are one file, so that they always belong together.
	err = checkpoint.WriteSafetensors(filepath.Join(dir, vectorFile), []checkpoint.Tensor{
		checkpoint.FromFloat32("vectors", []int{len(ids), size}, vectors),
		{Info: checkpoint.Info{Name: "ids", DType: checkpoint.U8, Shape: []int{len(names)}}, Data: names},
	}, map[string]string{"model": o.Model})
	if err != nil {
		return IndexInfo{}, err
	}
	info := IndexInfo{Version: indexVersion, Model: o.Model, Pictures: o.Pictures, Images: len(ids), Size: size}
	raw, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return IndexInfo{}, fmt.Errorf("index %s: %w", dir, err)
	}
	return info, atomicfile.WriteBytes(filepath.Join(dir, indexFile), append(raw, '\n'))
}

// writeRegions brings the store dir up to date with src and returns the ids that both have.
func writeRegions(ctx context.Context, dir string, src regions.Source, o IndexOptions) ([]string, error) {
	w, err := regions.NewWriter(dir, regions.Header{Dim: src.Dim(), Extractor: o.Extractor, Bytes: o.Extractor != nil && o.Extractor.Extractor == regions.Patches}, true)
	if err != nil {
		return nil, fmt.Errorf("%w; an index of other features is in the way: remove its folder", err)
	}
	all := src.IDs()
	bad := map[string]bool{}
	missing := slices.DeleteFunc(slices.Clone(all), w.Has)
	for lo := 0; lo < len(missing) && err == nil; lo += imageBlock {
		part := missing[lo:min(lo+imageBlock, len(missing))]
		err = addRegions(ctx, w, src, part, func(id string, problem error) error {
			bad[id] = true
			return o.Bad(id, problem)
		})
		o.Tick("regions", len(all)-len(missing)+lo+len(part), len(all))
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(all), func(id string) bool { return bad[id] }), nil
}

// addRegions adds images to w, read several at a time.
func addRegions(ctx context.Context, w *regions.Writer, src regions.Source, ids []string, bad func(id string, err error) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	read := make([]regions.Image, len(ids))
	failures := make([]error, len(ids))
	parallel.For(len(ids), func(i int) { failures[i] = src.Image(ids[i], &read[i]) })
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

// OpenIndex opens the index dir, which the model of that digest must have made.
func OpenIndex(dir, model string) (*Index, error) {
	path := filepath.Join(dir, indexFile)
	stat, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is no index (%w): make one with \"unimo index PICTURES --model MODEL --out %s\"", dir, fs.ErrNotExist, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	if !stat.Mode().IsRegular() || stat.Size() > maxIndexFile {
		return nil, fmt.Errorf("%s is not a regular file of at most %d KiB", path, maxIndexFile>>10)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open index: %w", err)
	}
	ix := &Index{}
	if err := json.Unmarshal(raw, &ix.Info); err != nil {
		return nil, fmt.Errorf("%s: %w; make the index again", path, err)
	}
	if ix.Info.Version != indexVersion {
		return nil, fmt.Errorf("%s has version %d, this program reads %d: make the index again", path, ix.Info.Version, indexVersion)
	}
	if ix.Info.Model != model {
		return nil, fmt.Errorf("index %s: %w: name the one that made it, or make the index again", dir, ErrOtherModel)
	}
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
		return fmt.Errorf("index %s was being made again: finish that with the same command", dir)
	}
	names, err := ix.reader.Bytes("ids")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(names, &ix.IDs); err != nil {
		return fmt.Errorf("%s: tensor ids: %w; make the index again", path, err)
	}
	if ix.vectors, _, err = checkpoint.Float32s(ix.reader, "vectors"); err != nil {
		return err
	}
	if len(ix.IDs) == 0 || len(ix.vectors) != len(ix.IDs)*ix.Info.Size {
		return fmt.Errorf("%s: %d vector values for %d images of %d each: make the index again", path, len(ix.vectors), len(ix.IDs), ix.Info.Size)
	}
	ix.regions, _, err = regions.Open(filepath.Join(dir, regionFolder), regions.Options{})
	return err
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
