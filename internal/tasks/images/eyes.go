package images

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/vision/extractor"
)

// Trained is a model as far as it depends on what its pictures were seen by when it was trained.
type Trained struct {
	Name   string        // a folder, for messages
	Spec   *regions.Spec // nil: it saw none, or it is not known what made the features
	Starts bool          // training starts from it; if features have another size, that part of it begins anew
}

// Check returns an error if features of dim values, which from has or gives, are by another trained network than those
// that the model knows. made is what computes or computed them; nil: it is not known.
func (t Trained) Check(from string, dim int, made *regions.Spec) error {
	if t.Spec == nil || made == nil || made.Equal(*t.Spec) || !made.Trained() && !t.Spec.Trained() {
		return nil
	}
	if t.Starts {
		if size, err := sizeOf(*t.Spec); err == nil && size != dim {
			return nil
		}
	}
	return fmt.Errorf("%s: regions by %s, but model %s knows regions by %s; give it regions by the same extractor", from, made, t.Name, t.Spec)
}

// specOf is what the model of a folder knows images by, which has the configuration cfg; nil: that is not known. Models that
// older versions wrote say it in the folder alone.
func specOf(dir string, cfg model.Config) (*regions.Spec, error) {
	own := cfg.ImageExtractor
	spec, err := regions.ReadSpec(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return own, nil
	case err != nil:
		return nil, err
	case own != nil && !own.Equal(spec):
		return nil, fmt.Errorf("%s says that pictures are seen by %s, but the model was trained with %s, says %s; copy the files from where the model comes from",
			filepath.Join(dir, regions.SpecFile), spec, own, modeldir.ConfigFile)
	}
	return &spec, nil
}

// Start takes over the extractor of the model in a folder, from which training starts.
func (c *Cut) Start(dir string, cfg model.Config) error {
	if infile.Folder(dir) != nil {
		return nil // a file of weights
	}
	spec, err := specOf(dir, cfg)
	if spec == nil {
		return err
	}
	c.model = Trained{Name: dir, Spec: spec, Starts: true}
	switch {
	case spec.Trained() && spec.Weights == "":
		return nil // settings are to name the network
	case spec.Trained():
		c.Extractor = dir
		return nil
	}
	c.Extractor, c.ImageSize = spec.Extractor, spec.ImageSize
	if spec.Extractor == regions.Statistics {
		c.Grid = spec.Grid
	} else {
		c.PatchSize = spec.PatchSize
	}
	return nil
}

// Once says whether the regions of pictures are the same whenever they are asked for, so that pictures are not changed at
// random: features, or what a trained network computes.
func Once(source regions.Source, spec *regions.Spec) bool {
	switch s := source.(type) {
	case shuffled:
		return Once(s.Source, spec)
	case *regions.Pictures:
		_, changes := s.Extractor().(regions.Changing)
		return spec.Trained() && !changes
	}
	return true
}

// MadeBy is the spec of what made a store of features, or else of what sees pictures; nil of other features.
func MadeBy(features string, pictures *regions.Spec) (*regions.Spec, error) {
	if features == "" {
		return pictures, nil
	}
	if infile.Folder(features) != nil {
		return nil, nil // a file, or what is not there
	}
	spec, err := regions.ReadSpec(features)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return &spec, err
}

// MadeBy is the spec of what makes or made the regions; nil if that is not known.
func (s *Settings) MadeBy() (*regions.Spec, error) {
	if s.Features != "" {
		return MadeBy(s.Features, nil)
	}
	x, err := s.NewExtractor()
	if err != nil {
		return nil, err
	}
	spec := x.Spec()
	return &spec, nil
}

// CheckModel is [Trained.Check] for the model that training starts from.
func (c *Cut) CheckModel(from string, dim int, made *regions.Spec) error {
	return c.model.Check(from, dim, made)
}

// Compute has a trained network look at all pictures of a source, once: what it says is kept in the run's folder, and
// read from there. Other sources stay as they are. The spec that is returned says where the network is kept.
func Compute(ctx context.Context, env *run.Env, o Options, source regions.Source, spec *regions.Spec) (regions.Source, *regions.Spec, error) {
	switch s := source.(type) {
	case shuffled:
		inner, spec, err := Compute(ctx, env, o, s.Source, spec)
		return shuffled{inner, s.other}, spec, err
	case hidden:
		inner, spec, err := Compute(ctx, env, o, s.Source, spec)
		return hidden{inner}, spec, err
	}
	pictures, ok := source.(*regions.Pictures)
	if !ok || !spec.Trained() {
		return source, spec, nil
	}
	if l, ok := pictures.Extractor().(*extractor.Learning); ok {
		return source, spec, l.Begin(env.Device)
	}
	dir := filepath.Join(env.Out, run.FeaturesFolder, env.Task)
	x := pictures.Extractor()
	TellOnce(env.Log, *spec, dir)
	e := regions.Extraction{
		Dir: pictures.Dir(), Names: unique(pictures.IDs()), Limits: picture.DefaultLimits, SkipBad: o.SkipBad,
		Keep:  func(dir string) error { return extractor.Keep(dir, x) },
		Stage: func(name string) { env.Observer.Stage("features: " + name) }, Tick: env.Observer.Tick, Warn: func(message string) { env.Log.Debug(message) },
	}
	var others *regions.OtherError
	var shard *regions.ShardError
	_, err := collective.First(env.Group, func() (bool, error) {
		return false, extractor.During(x, env.Device, func(x regions.Extractor) error {
			e.Extractor = x
			_, err := e.WriteStore(ctx, dir)
			return err
		})
	})
	switch {
	case errors.As(err, new(regions.BadPicture)):
		return nil, nil, fmt.Errorf("%w (or leave such pictures out: skip_bad, --skip-bad)", err)
	case errors.As(err, &others): // not with --replace, which training does not have
		return nil, nil, fmt.Errorf("%s: %s; remove the folder: they are computed again", others.Dir, others.Problem)
	case errors.As(err, &shard):
		return nil, nil, fmt.Errorf("%w (or remove the folder %s: what was in it is computed again)", shard.Err, dir)
	case err != nil:
		return nil, nil, err
	}
	if dir, err = env.Everywhere(dir); err != nil {
		return nil, nil, err
	}
	store, info, err := regions.Open(dir, regions.Options{Classes: o.Classes})
	if err != nil {
		return nil, nil, err
	}
	return store, info.Extractor, pictures.Close()
}

// TellOnce says that regions of pictures are computed once, into a folder.
func TellOnce(log *slog.Logger, spec regions.Spec, dir string) {
	log.Info(fmt.Sprintf("regions by %s are computed once, into %s; pictures are neither cropped nor mirrored", spec, dir))
}

// unique returns the names, each once.
func unique(names []string) []string {
	names = slices.Clone(names)
	seen := make(map[string]bool, len(names))
	return slices.DeleteFunc(names, func(name string) bool {
		twice := seen[name]
		seen[name] = true
		return twice
	})
}

// Companions are the files of a model's folder that say what its pictures are seen by: none for features from
// elsewhere, of which spec is nil. copies has those of them that are large, by where they are.
func Companions(spec *regions.Spec) (files map[string][]byte, copies map[string]string) {
	if spec == nil {
		return nil, nil
	}
	if spec.Weights != "" {
		copies = map[string]string{regions.WeightsFile: spec.Weights}
	}
	return map[string][]byte{regions.SpecFile: spec.File()}, copies
}
