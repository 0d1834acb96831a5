package pretrained

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/vision/extractor"
	"github.com/unimo-go/unimo/tokenizer"
)

// job implements [run.Job].
type job struct {
	task        *run.Task
	settings    *Settings
	env         *run.Env
	collections pretrain.Collections
	spec        *regions.Spec // nil: features from elsewhere
	dim         int           // of the images' features; 0 until they are read, and without images
	classes     int           // of their regions; 0: none
}

// Files implements [run.Job]: the collections are settings.
func (j *job) Files(string, string) ([]run.File, error) {
	return []run.File{{Split: j.task.Train.Name}, {Split: j.task.Dev[0].Name}}, nil
}

// Read implements [run.Job].
func (j *job) Read([]run.File) error {
	s := j.settings
	j.collections = pretrain.Collections{}
	x, err := s.NewExtractor()
	if err != nil {
		return err
	}
	extractor.Tell(j.env.Log, x)
	for i, kind := range pretrain.Kinds {
		paths := s.paths(kind)
		if ratio := s.ratios()[i]; ratio > 0 && len(paths) == 0 {
			return &run.SettingError{Err: fmt.Errorf("ratio_%s is %v, but %s names no collection; name one, or set the ratio to 0", kind, ratio, kind)}
		}
		if len(paths) == 0 {
			continue
		}
		c, err := corpus.Open(kind, paths, s.corpus(kind, x))
		if err != nil {
			return err
		}
		j.collections[kind] = c
		j.env.Log.Info(fmt.Sprintf("%-8s%d shards", kind, c.Shards()))
	}
	if err := j.readImages(); err != nil {
		return err
	}
	if err := j.holdOut(); err != nil {
		return err
	}
	return j.checkHeldOut()
}

// Bounds of what is held out where no setting says it.
const (
	leastHeldOut = 50  // samples of each collection, but
	mostHeldOut  = 0.1 // no larger share
)

// holdOut decides what share is held out, unless a setting does: one for all collections, so that a picture is
// held out of all that have it. From here on it is the setting's value.
func (j *job) holdOut() error {
	s := j.settings
	if s.HeldOutShare > 0 {
		return nil
	}
	for i, kind := range pretrain.Kinds {
		c := j.collections[kind]
		if c == nil || s.ratios()[i] == 0 {
			continue
		}
		share, held, err := c.Share(context.Background(), leastHeldOut, mostHeldOut)
		if err != nil {
			return err
		}
		if share > max(s.HeldOutShare, 0.01) {
			j.env.Log.Info(fmt.Sprintf("%.0f %% of each collection are held out, as the %s are few: %d of them (held_out_share)", 100*share, plural[kind], held))
		}
		s.HeldOutShare = max(s.HeldOutShare, share)
	}
	for _, c := range j.collections {
		c.HoldOut(s.HeldOutShare)
	}
	return nil
}

// plural names the samples of a kind.
var plural = map[corpus.Kind]string{corpus.Text: "texts", corpus.Images: "images", corpus.Pairs: "pairs"}

// checkHeldOut returns an error if a collection that is trained on has no sample to measure on.
func (j *job) checkHeldOut() error {
	for i, kind := range pretrain.Kinds {
		c := j.collections[kind]
		if c == nil || j.settings.ratios()[i] == 0 {
			continue
		}
		found := false
		for _, err := range c.Each(context.Background(), corpus.HeldOut) {
			if err != nil {
				return err
			}
			found = true
			break
		}
		if !found {
			return &run.SettingError{Err: fmt.Errorf("none of the %s is held out; raise held_out_share, now %v, or name more", kind, j.settings.HeldOutShare)}
		}
	}
	return nil
}

// readImages finds out what the images' features are.
func (j *job) readImages() error {
	s := j.settings
	for _, kind := range []corpus.Kind{corpus.Images, corpus.Pairs} {
		c := j.collections[kind]
		if c == nil {
			continue
		}
		if j.dim != 0 && c.Dim() != j.dim {
			return fmt.Errorf("images have features of %d values, pairs of %d; make both in the same way ('unimo features extract')", j.dim, c.Dim())
		}
		if n := c.Classes(); n > 0 && s.RegionClassWeight > 0 {
			if j.classes != 0 && j.classes != n {
				return fmt.Errorf("images have probabilities of %d classes, pairs of %d; use features of one detector, or set region_class_weight to 0", j.classes, n)
			}
			j.classes = n
		}
		j.dim = c.Dim()
		if spec := c.Extractor(); spec != nil {
			if known := (images.Trained{Name: "of the images", Spec: j.spec}); known.Check("pairs", c.Dim(), spec) != nil {
				return fmt.Errorf("images have regions by %s, pairs by %s; use one extractor for both", j.spec, spec)
			}
			if err := s.CheckModel(string(kind), c.Dim(), spec); err != nil {
				return err
			}
			j.spec = spec
		}
	}
	if err := s.checkObjectives(j.classes > 0); err != nil {
		return &run.SettingError{Err: fmt.Errorf("%w; region_class_weight counts only where features have probabilities of classes", err)}
	}
	return nil
}

// Head implements [run.Job].
func (j *job) Head(cfg model.Config) (_ model.Config, err error) {
	s := j.settings
	cfg.ContrastSize, cfg.RegionClasses = s.ContrastSize, j.classes
	if cfg.ImageEmbeddingSize, err = s.Dim(j.dim); err != nil {
		return cfg, err
	}
	most := fmt.Sprintf("%d at most, which is what the model reads", cfg.MaxTokens())
	return cfg, cmp.Or(
		settings.Want(s.MaxTextLen <= cfg.MaxTokens(), "max_text_len", s.MaxTextLen, most),
		settings.Want(s.MaxSeqLen <= cfg.MaxTokens(), "max_seq_len", s.MaxSeqLen, most),
	)
}

// Refit implements [run.Refitter].
func (j *job) Refit(r checkpoint.Reader, specs []model.Spec) checkpoint.Reader {
	return images.Fit(r, specs, j.env.Log)
}

// Digests implements [run.Job].
func (j *job) Digests() (map[string]string, error) {
	digests := map[string]string{}
	for kind, c := range j.collections {
		digests[string(kind)] = c.Fingerprint()
	}
	if j.settings.Paraphrases == "" {
		return digests, nil
	}
	var err error
	digests["paraphrases"], err = run.DigestFile(j.settings.Paraphrases)
	return digests, err
}

// vocabularyBytes is how much text of each kind a vocabulary is trained on, at most.
const vocabularyBytes = 8 << 20

// Texts implements [run.Job]: texts and captions as the streams have them.
func (j *job) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, kind := range []corpus.Kind{corpus.Text, corpus.Pairs} {
			c := j.collections[kind]
			if c == nil {
				continue
			}
			left := vocabularyBytes
		samples:
			for s, err := range c.Each(context.Background(), corpus.Train) {
				if err != nil {
					j.env.Log.Warn(fmt.Sprintf("the vocabulary is trained on what could be read: %v", err))
					break
				}
				for _, text := range append(slices.Clip(s.Captions), s.Text) {
					if left -= len(text); left < 0 {
						break samples
					}
					if text != "" && !yield(text) {
						return
					}
				}
			}
		}
	}
}

// Specs implements [run.Job].
func (j *job) Specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

// compute has a trained network look at all pictures, once.
func (j *job) compute(ctx context.Context) error {
	if j.spec == nil || !j.spec.Trained() {
		return nil
	}
	x, err := j.settings.NewExtractor()
	if err != nil {
		return err
	}
	for _, kind := range []corpus.Kind{corpus.Images, corpus.Pairs} {
		c, dir := j.collections[kind], filepath.Join(j.env.Out, run.FeaturesFolder, string(kind))
		if c == nil {
			continue
		}
		j.env.Observer.Stage("features of " + string(kind))
		_, err := collective.First(j.env.Group, func() (bool, error) {
			return false, extractor.During(x, j.env.Device, func(x regions.Extractor) error {
				return c.Compute(ctx, x, dir, func(dir string) error {
					images.TellOnce(j.env.Log, x.Spec(), dir)
					return extractor.Keep(dir, x)
				}, j.env.Observer.Tick)
			})
		})
		if err == nil {
			dir, err = j.env.Everywhere(dir)
		}
		if err == nil && j.env.Group.Rank() > 0 {
			err = c.Computed(dir)
		}
		if err != nil {
			return err
		}
		if spec, err := regions.ReadSpec(dir); err == nil { // it was computed: the network is there
			j.spec = &spec
		}
	}
	return nil
}

// Learner implements [run.Job].
func (j *job) Learner(ctx context.Context, cfg model.Config, tok *tokenizer.Tokenizer) (_ run.Learner, err error) {
	m, err := run.NewModel[*model.Pretrainer](j.env, cfg, j.settings.Seed)
	if err != nil {
		return nil, err
	}
	s := j.settings
	recipe := s.recipe(tok, j.spec != nil)
	var prints []string
	for _, kind := range slices.Sorted(maps.Keys(j.collections)) {
		prints = append(prints, j.collections[kind].Fingerprint())
	}
	related := pretrain.ResourceOptions{
		Recipe: recipe, Paraphrases: s.Paraphrases, Fingerprint: strings.Join(prints, " "),
		Log: j.env.Log, Stage: j.env.Observer.Stage, Tick: j.env.Observer.Tick,
	}
	var resources *pretrain.Resources
	dir := filepath.Join(j.env.Out, "related")
	_, err = collective.First(j.env.Group, func() (_ bool, err error) {
		resources, err = pretrain.OpenResources(ctx, dir, j.collections, related)
		return false, err
	})
	needed, err := collective.Tell(j.env.Group, resources != nil, err)
	if err == nil && needed {
		dir, err = j.env.Everywhere(dir)
	}
	if err == nil && j.env.Group.Rank() > 0 {
		related.Built = true
		resources, err = pretrain.OpenResources(ctx, dir, j.collections, related)
	}
	if err != nil {
		return nil, err
	}
	if err := j.compute(ctx); err != nil {
		return nil, err
	}
	files, copies := images.Companions(j.spec)
	l := &learner{
		job: j, config: cfg, model: m, files: files, copies: copies, recipe: recipe,
		preparer:  &pretrain.Preparer{Recipe: recipe, Tokenizer: tok, Resources: resources, Workers: s.Workers},
		resources: resources, tape: autograd.NewInference(j.env.Device),
	}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	streams := map[corpus.Kind]*corpus.Stream{}
	for i, kind := range pretrain.Kinds {
		if c := j.collections[kind]; c != nil && recipe.Ratios[i] > 0 {
			streams[kind] = c.Stream(corpus.StreamOptions{Seed: s.Seed, Buffer: s.ShuffleBuffer, Part: corpus.Train})
		}
	}
	ranks, rank := j.env.Group.Size(), j.env.Group.Rank()
	mine := func(batch int) bool { return s.Owner(batch, ranks) == rank }
	if l.feed, err = pretrain.NewFeed(l.preparer, streams, s.GradientAccumulation, mine); err != nil {
		return nil, err
	}
	if err = l.readHeldOut(ctx, images.Captions{Tokenizer: tok, MaxLen: s.MaxSeqLen}); err != nil {
		return nil, err
	}
	return l, nil
}
