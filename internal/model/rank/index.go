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
//	store.json           StoreInfo, if the vectors are in a database, too
//
// Vectors and regions are mapped, not loaded.
type Index struct {
	Info     IndexInfo
	IDs      []string
	Stale    int // images that are left out, as they have changed in an update that has not come to its end
	dir      string
	origins  []Origin
	vectors  []float32
	reader   checkpoint.Reader
	regions  regions.Source
	database Database // see [Index.Connect]; nil: the index itself is searched
}

// rows are the vectors with what they are of.
func (ix *Index) rows() Rows { return Rows{ix.IDs, ix.origins, ix.vectors, ix.Info.Size} }

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

	Store *StoreInfo `json:"-"` // of an index that was just written; nil: its folder has all of it
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
	// Stores are the URLs of a database's servers for the vectors; without any they are those that the index has. NoStore takes what the
	// index has out of its database.
	Stores    []string
	NoStore   bool
	OpenStore OpenStore
	Texts     Texts // queries that the database is compared with the index by
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
	db, kept, err := o.database(ctx, dir, info.Size) // first, so that what is wrong with it is said before the work
	if err != nil {
		return IndexInfo{}, err
	}
	if db != nil {
		defer db.Close()
	}
	ids, origins, err := s.writeRegions(ctx, dir, src, o, &info)
	if err != nil {
		return IndexInfo{}, err
	}
	if len(ids) == 0 {
		return IndexInfo{}, fmt.Errorf("index %s: no image could be read", dir)
	}
	rows, err := s.indexRows(ctx, dir, ids, origins, o)
	if err != nil {
		return IndexInfo{}, err
	}
	if err := writeVectors(dir, rows, o.Model); err != nil {
		return IndexInfo{}, err
	}
	if db != nil && !o.NoStore {
		if err := s.fill(ctx, dir, db, kept, rows, o); err != nil {
			return IndexInfo{}, err
		}
		info.Store = kept
	}
	info.Images = len(ids)
	raw, err := json.MarshalIndent(info, "", "  ")
	if err != nil {
		return IndexInfo{}, fmt.Errorf("index %s: %w", dir, err)
	}
	if err := atomicfile.WriteBytes(filepath.Join(dir, indexFile), append(raw, '\n')); err != nil || db == nil || !o.NoStore {
		return info, err
	}
	return info, dropStore(ctx, dir, db)
}

// indexRows returns the vectors of the images ids of the index dir. Those that it has of the same regions by the same model are not computed again.
func (s *Scorer) indexRows(ctx context.Context, dir string, ids []string, origins []Origin, o IndexOptions) (Rows, error) {
	rows := Rows{ids, origins, make([]float32, len(ids)*s.model.Config.ContrastSize), s.model.Config.ContrastSize}
	missing, err := rows.reuse(dir, o.Model)
	if err != nil {
		return rows, err
	}
	store, _, err := regions.Open(filepath.Join(dir, regionFolder), regions.Options{})
	if err != nil {
		return rows, err
	}
	defer store.Close()
	images := Images{Source: store}
	for _, i := range missing {
		images.IDs = append(images.IDs, ids[i])
	}
	vectors, err := s.ImageVectors(ctx, images, func(done, total int) { o.Tick("vectors", len(ids)-total+done, len(ids)) })
	if err != nil {
		return rows, err
	}
	for k, i := range missing {
		copy(rows.Vector(int(i)), vectors[k*rows.Size:])
	}
	return rows, nil
}

// reuse sets the vectors that the index dir has of the same regions by the same model, and returns the numbers of the others.
func (r Rows) reuse(dir, model string) (missing []int32, err error) {
	old := &Index{Info: IndexInfo{Model: model, Size: r.Size}}
	place := map[string]int{}
	if old.openVectors(dir) == nil { // else there is nothing that is of use
		for i, id := range old.IDs {
			place[id] = i
		}
	}
	for i, id := range r.IDs {
		if k, ok := place[id]; ok && old.origins[k] == r.Origins[i] {
			copy(r.Vector(i), old.rows().Vector(k))
		} else {
			missing = append(missing, int32(i))
		}
	}
	return missing, old.Close()
}

// writeVectors writes vectors and what they are of as one file, so that they always belong together.
func writeVectors(dir string, rows Rows, model string) error {
	names, err := json.Marshal(rows.IDs)
	if err != nil {
		return fmt.Errorf("index %s: %w", dir, err)
	}
	var hashes []byte
	for _, o := range rows.Origins {
		hashes = append(hashes, o[:]...)
	}
	return checkpoint.WriteSafetensors(filepath.Join(dir, vectorFile), []checkpoint.Tensor{
		checkpoint.FromFloat32("vectors", []int{len(rows.IDs), rows.Size}, rows.Vectors),
		{Info: checkpoint.Info{Name: "ids", DType: checkpoint.U8, Shape: []int{len(names)}}, Data: names},
		{Info: checkpoint.Info{Name: "origins", DType: checkpoint.U8, Shape: []int{len(rows.IDs), sha256.Size}}, Data: hashes},
	}, map[string]string{"model": model})
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
		if !infile.Hidden(e.Name()) && !slices.Contains([]string{indexFile, vectorFile, regionFolder, storeFile}, e.Name()) {
			return fmt.Errorf("make an index: %s holds other files (%s); name a new folder", dir, e.Name())
		}
	}
	return nil
}

// writeRegions brings the store of the index dir up to date with src. It returns the ids that both
// have, and what these are made of.
func (s *Scorer) writeRegions(ctx context.Context, dir string, src regions.Source, o IndexOptions, info *IndexInfo) (ids []string, origins []Origin, err error) {
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
		origins = append(origins, Origin(hash))
	}
	return ids, origins, nil
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
	ix := &Index{Info: info, dir: dir}
	err = ix.openVectors(dir)
	if err == nil {
		ix.regions, _, err = regions.Open(filepath.Join(dir, regionFolder), regions.Options{})
	}
	if err == nil {
		err = ix.leaveOutStale(dir)
	}
	if err != nil {
		ix.Close()
		return nil, err
	}
	return ix, nil
}

func (ix *Index) openVectors(dir string) error {
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
	for h := range slices.Chunk(hashes, sha256.Size) {
		ix.origins = append(ix.origins, Origin(h))
	}
	return nil
}

// leaveOutStale leaves out the images whose vectors are of something else than their regions: an
// update that was interrupted has brought only these up to date.
func (ix *Index) leaveOutStale(dir string) error {
	have := regions.Origins(ix.regions)
	var good []int
	for i, id := range ix.IDs {
		if have[id].Hash == hex.EncodeToString(ix.origins[i][:]) {
			good = append(good, i)
		}
	}
	if len(good) == len(ix.IDs) {
		return nil
	}
	if len(good) == 0 {
		return fmt.Errorf("index %s was being made again; finish that with the same command", dir)
	}
	all := ix.rows()
	ix.IDs, ix.origins, ix.vectors = make([]string, len(good)), make([]Origin, len(good)), make([]float32, 0, len(good)*ix.Info.Size)
	for k, i := range good {
		ix.IDs[k], ix.origins[k] = all.IDs[i], all.Origins[i]
		ix.vectors = append(ix.vectors, all.Vector(i)...)
	}
	ix.Stale = len(all.IDs) - len(good)
	return nil
}

// Close releases the files and the database.
func (ix *Index) Close() error {
	var errs []error
	if ix.database != nil {
		errs = append(errs, ix.database.Close())
	}
	if ix.regions != nil {
		errs = append(errs, ix.regions.Close())
	}
	if ix.reader != nil {
		errs = append(errs, ix.reader.Close())
	}
	return errors.Join(errs...)
}
