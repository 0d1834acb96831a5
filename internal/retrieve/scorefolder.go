package retrieve

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/checkpoint"
)

// ScoreFolder keeps the scores of an evaluation on disk, a file for a block of images, so
// that one that was interrupted goes on. Each file has the tensor scores: images x texts.
type ScoreFolder struct {
	dir      string
	identity map[string]string
}

// OpenScoreFolder opens the folder dir, which need not exist yet. The identity says of what the
// scores are, the model and the data; a folder with scores of something else is refused.
func OpenScoreFolder(dir string, identity map[string]string) (*ScoreFolder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a folder for the scores: %w", err)
	}
	return &ScoreFolder{dir, identity}, nil
}

func (f *ScoreFolder) path(first int) string {
	return filepath.Join(f.dir, fmt.Sprintf("scores-%06d.safetensors", first))
}

// load returns the scores of the block of images from first on, nil if there are none yet.
func (f *ScoreFolder) load(first, images, texts int) ([]float32, error) {
	path := f.path(first)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	r, err := checkpoint.OpenSafetensors(path)
	if err != nil {
		return nil, fmt.Errorf("%w; remove the file to compute its scores again", err)
	}
	defer r.Close()
	for key, value := range f.identity {
		if got := r.Metadata()[key]; got != value {
			return nil, fmt.Errorf("scores %s are of another %s: name another folder, or remove this one", path, key)
		}
	}
	scores := make([]float32, images*texts)
	if err := checkpoint.ReadFloat32s(scores, r, "scores"); err != nil {
		return nil, fmt.Errorf("%w; remove the file to compute its scores again", err)
	}
	return scores, nil
}

func (f *ScoreFolder) save(first, images, texts int, scores []float32) error {
	return checkpoint.WriteSafetensors(f.path(first), []checkpoint.Tensor{checkpoint.FromFloat32("scores", []int{images, texts}, scores)}, f.identity)
}
