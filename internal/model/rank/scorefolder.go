package rank

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
)

// ScoreFolder keeps the scores of an evaluation on disk, a file for a block of images, so
// that one that was interrupted goes on. Each file has the tensor scores: images x texts.
type ScoreFolder struct {
	dir      string
	identity ScoreIdentity
	lock     *atomicfile.Lock
}

// ScoreIdentity says of what scores are, by digests.
type ScoreIdentity struct {
	Model  string // weights and configuration
	Texts  string // the tokens of every text, and which image it belongs to
	Images string // names, and what the model sees of each: size, boxes and features, whatever they come from
}

// parts are the identity's parts, and what is said of scores that differ in them.
func (id ScoreIdentity) parts() []struct{ key, value, of string } {
	return []struct{ key, value, of string }{
		{"model", id.Model, "another model"},
		{"texts", id.Texts, "other captions, or other images of the split"},
		{"images", id.Images, "other images: pictures or features have changed, or are read with other options"},
	}
}

// OpenScoreFolder opens the folder dir, which need not exist yet. A folder with scores of
// something else is refused. It belongs to this process until Close.
func OpenScoreFolder(dir string, identity ScoreIdentity) (*ScoreFolder, error) {
	if err := atomicfile.Mkdir(dir); err != nil {
		return nil, fmt.Errorf("make a folder for the scores: %w", err)
	}
	f := &ScoreFolder{dir: dir, identity: identity}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries { // before hours of work, not at the end
		switch ok, _ := path.Match("scores-*.safetensors", e.Name()); {
		case infile.Hidden(e.Name()):
			continue
		case !ok:
			return nil, fmt.Errorf("keep the scores: %s holds other files (%s); name a new folder", dir, e.Name())
		}
		r, err := f.open(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		r.Close()
	}
	if f.lock, err = atomicfile.Own(dir); err != nil {
		return nil, err
	}
	return f, nil
}

// Close gives the folder back to other processes. A nil folder has nothing to give back.
func (f *ScoreFolder) Close() error {
	if f == nil {
		return nil
	}
	return f.lock.Release()
}

func (f *ScoreFolder) path(first int) string {
	return filepath.Join(f.dir, fmt.Sprintf("scores-%06d.safetensors", first))
}

// open opens a file of scores of the same.
func (f *ScoreFolder) open(path string) (checkpoint.Reader, error) {
	r, err := checkpoint.OpenSafetensors(path)
	if err != nil {
		return nil, fmt.Errorf("%w; remove the file to compute its scores again", err)
	}
	for _, part := range f.identity.parts() {
		if r.Metadata()[part.key] != part.value {
			r.Close()
			return nil, fmt.Errorf("scores %s are of %s; name another folder, or remove this one", path, part.of)
		}
	}
	return r, nil
}

// load returns the scores of the block of images from first on, nil if there are none yet.
func (f *ScoreFolder) load(first, images, texts int) ([]float32, error) {
	r, err := f.open(f.path(first))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	scores := make([]float32, images*texts)
	if err := checkpoint.ReadFloat32s(scores, r, "scores"); err != nil {
		return nil, fmt.Errorf("%w; remove the file to compute its scores again", err)
	}
	return scores, nil
}

func (f *ScoreFolder) save(first, images, texts int, scores []float32) error {
	metadata := map[string]string{}
	for _, part := range f.identity.parts() {
		metadata[part.key] = part.value
	}
	return checkpoint.WriteSafetensors(f.path(first), []checkpoint.Tensor{checkpoint.FromFloat32("scores", []int{images, texts}, scores)}, metadata)
}
