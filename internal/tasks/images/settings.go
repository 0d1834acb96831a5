package images

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/vision/extractor"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/run"
)

// Settings are those of a task whose data have pictures. The settings of its kind embed them.
type Settings struct {
	Features   string `json:"features" help:"region features: file or folder (empty: the data's pictures are cut up)" run:"path"`
	Order      string `json:"feature_order" help:"of width and height in lines of features: width, height (empty: by the boxes)"`
	MaxRegions int    `json:"max_regions" help:"most regions of an image of features, the global one not counted"`
	SkipBad    bool   `json:"skip_bad" help:"leave out images that cannot be read or have no features, and count them"`
	Pictures   string `json:"pictures" help:"a control: shuffled gives each picture the place of another of its split, hidden shows a grey one (empty: as they are)"`
	Cut
	TrainExtractor bool `json:"train_extractor" help:"train the weights of the extractor, a Vision Transformer, with the model"`
	ImageCache     int  `json:"image_cache" help:"most memory for resized pictures in MiB; others are decoded each time" run:"free"`

	learning *extractor.Learning
}

// Cut is how pictures are cut up.
type Cut struct {
	Extractor string `json:"extractor" help:"of pictures: patches of pixels, statistics of colours and edges, or the file or folder of a trained network"`
	ImageSize int    `json:"image_size" help:"side of the square that pictures are resized to, in pixels"`
	PatchSize int    `json:"patch_size" help:"side of a patch; it divides image_size"`
	Grid      int    `json:"grid" help:"regions along a side, of statistics (0: 6)"`

	opened regions.Extractor
	model  Trained // that training starts from
}

// untrained says whether no network sees the pictures.
func (c *Cut) untrained() bool { return extractor.Untrained(c.Extractor) }

// OpenExtractor is [extractor.Open] for which a run's folder stands for its best model.
func OpenExtractor(s regions.Spec) (regions.Extractor, error) {
	if !extractor.Untrained(s.Extractor) {
		s.Extractor = modeldir.Resolve(s.Extractor)
	}
	return extractor.Open(s)
}

// Spec is what an extractor is made of. A trained network has its own sizes.
func (c *Cut) Spec() regions.Spec {
	switch c.Extractor {
	case regions.Statistics:
		return regions.Spec{Extractor: c.Extractor, ImageSize: c.ImageSize, Grid: c.Grid}
	case regions.Patches:
		return regions.Spec{Extractor: c.Extractor, ImageSize: c.ImageSize, PatchSize: c.PatchSize}
	}
	return regions.Spec{Extractor: c.Extractor}
}

// NewExtractor makes what sees pictures.
func (c *Cut) NewExtractor() (regions.Extractor, error) {
	if c.opened != nil {
		return c.opened, nil
	}
	x, err := OpenExtractor(c.Spec())
	if err != nil {
		if extractor.WrongUse(err) {
			return nil, &run.SettingError{Err: err}
		}
		return nil, &run.FileError{Err: err}
	}
	c.opened = x
	return x, nil
}

// Dim is the size of an image's features: dim where they were read, else that of what the extractor makes.
func (c *Cut) Dim(dim int) (int, error) {
	if dim != 0 {
		return dim, nil
	}
	x, err := c.NewExtractor()
	if err != nil {
		return 0, err
	}
	return x.Dim(), nil
}

// sizes are the settings of sizes that each extractor has.
var sizes = map[string][]string{regions.Patches: {"image_size", "patch_size"}, regions.Statistics: {"image_size", "grid"}}

// Validate refuses sizes that the extractor does not have, and makes the path of a trained network absolute: a run is gone
// on with from any folder.
func (c *Cut) Validate(given func(key string) bool) (err error) {
	for key, size := range map[string]int{"image_size": c.ImageSize, "patch_size": c.PatchSize, "grid": c.Grid} {
		switch {
		case size == 0 || c.Extractor == "" || slices.Contains(sizes[c.Extractor], key) || !given(key):
		case c.untrained():
			return fmt.Errorf("%s is no setting of %s, whose sizes are %s; leave it out", key, c.Extractor, strings.Join(sizes[c.Extractor], " and "))
		default:
			return fmt.Errorf("%s is a setting of patches and statistics; a trained network (%s) has its own sizes; leave it out", key, c.Extractor)
		}
	}
	if c.untrained() || c.Extractor == "" {
		return nil
	}
	if _, err := os.Stat(c.Extractor); err != nil {
		return nil // which is said when it is opened
	}
	c.Extractor, err = filepath.Abs(c.Extractor)
	return err
}

// NewExtractor makes what sees pictures.
func (s *Settings) NewExtractor() (regions.Extractor, error) {
	x, err := s.Cut.NewExtractor()
	if err != nil || !s.TrainExtractor {
		return x, err
	}
	if s.learning == nil {
		if s.learning, err = extractor.NewLearning(x); err != nil {
			return nil, &run.SettingError{Err: fmt.Errorf("train_extractor: %w", err)}
		}
	}
	return s.learning, nil
}

// Trains says whether the network that sees pictures is trained.
func (s *Settings) Trains() bool { return s.TrainExtractor }

// Default is the recipe of base and large.
var Default = Settings{MaxRegions: 100, Cut: Cut{Extractor: regions.Patches, ImageSize: 160, PatchSize: 16}, ImageCache: 1024}

// Validate returns an error that names the first impossible value of these settings. given says whether a key was set.
func (s *Settings) Validate(given func(key string) bool) error {
	var clash error
	switch {
	case s.TrainExtractor && s.Features != "":
		clash = errors.New("train_extractor is for pictures, but features says where they have been computed; leave one of the two out")
	case s.TrainExtractor && s.Pictures == Hidden:
		clash = errors.New("train_extractor has nothing to learn from pictures=hidden; leave one of the two out")
	}
	return cmp.Or(
		clash,
		s.Cut.Validate(given),
		settings.Want(s.MaxRegions >= 1, "max_regions", s.MaxRegions, "1 or more"),
		checkControl("pictures", s.Pictures),
		settings.Want(s.ImageCache >= 0, "image_cache", s.ImageCache, "0 or more"),
	)
}

// Options are where the settings take images from. The seed is that of the run.
func (s *Settings) Options(log *slog.Logger, limit parallel.Limit, seed uint64) Options {
	return Options{Features: s.Features, Order: s.Order, MaxRegions: s.MaxRegions, SkipBad: s.SkipBad, Pictures: s.Pictures, Seed: seed, Model: s.model, Log: log, Limit: limit}
}

// Open is [Open] for a run with these settings, of which o are the options.
func (s *Settings) Open(o Options, sets ...*captions.Set) (regions.Source, *regions.Spec, []*captions.Set, error) {
	if s.Features != "" && !s.untrained() && s.model.Spec == nil {
		o.Log.Warn(fmt.Sprintf("regions are those of features, %s; extractor, %s, is not used for them", s.Features, s.Extractor))
	}
	return Open(o, s.NewExtractor, picture.DefaultLimits, int64(s.ImageCache)<<20, sets...)
}

// EvalSettings are those of scoring a model of such a task. Those of its kind embed them.
type EvalSettings struct {
	Features   string `json:"features" help:"region features, file or folder (default: the data's pictures)"`
	Order      string `json:"order" help:"of width and height in lines of features: width or height first (default: by the boxes)"`
	MaxRegions int    `json:"max_regions" help:"most regions of an image of features (0: 100)"`
	SkipBad    bool   `json:"skip_bad" help:"leave out images that cannot be read or have no features, and count them"`
	Pictures   string `json:"pictures" help:"a control: shuffled gives each picture the place of another of the split, hidden shows a grey one (default: as they are)"`
}

// Validate implements [run.Flags].
func (s *EvalSettings) Validate(func(key string) bool) error {
	return checkControl("--pictures", s.Pictures)
}

// Options are where the settings take images from.
func (s *EvalSettings) Options(log *slog.Logger, limit parallel.Limit) Options {
	return Options{Features: s.Features, Order: s.Order, MaxRegions: s.MaxRegions, SkipBad: s.SkipBad, Pictures: s.Pictures, Seed: evalSeed, Log: log, Limit: limit}
}

// evalSeed shuffles the pictures of an evaluation.
const evalSeed = 1

// sizeOf is the size of the features that an extractor makes.
func sizeOf(spec regions.Spec) (int, error) {
	if spec.Trained() {
		return spec.Dim, nil
	}
	x, err := regions.NewExtractor(spec)
	if err != nil {
		return 0, err
	}
	return x.Dim(), nil
}
