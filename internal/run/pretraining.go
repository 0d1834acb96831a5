package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/internal/pretrain"

	"github.com/unimo-go/unimo/internal/report"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// Pretraining is the task of "unimo pretrain"; it is not among the names of the others.
var Pretraining = &Preset{
	Name: "pretrain", Title: "pre-training", Metric: "loss", Pretraining: true,
	Train: Split{Name: "train"}, Dev: []Split{{Name: "held-out"}},
}

// pretraining is a run's work on pre-training.
type pretraining struct {
	preset      *Preset
	settings    *PretrainingSettings
	collections pretrain.Collections
	spec        *regions.Spec // nil: features from elsewhere
	o           *Options
}

func (j *pretraining) read(_ []splitFile, o *Options) error {
	s := j.settings
	j.o, j.collections = o, pretrain.Collections{}
	extractor, err := regions.NewExtractor(s.spec())
	if err != nil {
		return &SettingError{err}
	}
	for i, kind := range pretrain.Kinds {
		paths := s.paths(kind)
		if ratio := s.ratios()[i]; ratio > 0 && len(paths) == 0 {
			return &SettingError{fmt.Errorf("ratio_%s is %v, but %s names no collection: name one, or set the ratio to 0", kind, ratio, kind)}
		}
		if len(paths) == 0 {
			continue
		}
		c, err := corpus.Open(kind, paths, s.corpus(kind, extractor))
		if err != nil {
			return err
		}
		j.collections[kind] = c
		o.Log.Info(fmt.Sprintf("%-8s%d shards", kind, c.Shards()))
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
func (j *pretraining) holdOut() error {
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
			j.o.Log.Info(fmt.Sprintf("%.0f %% of each collection are held out, as the %s are few: %d of them (held_out_share)", 100*share, plural[kind], held))
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
func (j *pretraining) checkHeldOut() error {
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
			return &SettingError{fmt.Errorf("none of the %s is held out: raise held_out_share, now %v, or name more", kind, j.settings.HeldOutShare)}
		}
	}
	return nil
}

// readImages finds out what the images' features are.
func (j *pretraining) readImages() error {
	s := j.settings
	for _, kind := range []corpus.Kind{corpus.Images, corpus.Pairs} {
		c := j.collections[kind]
		if c == nil {
			continue
		}
		if s.imageDim != 0 && c.Dim() != s.imageDim {
			return fmt.Errorf("images have features of %d values, pairs of %d: make both in the same way ('unimo features extract')", s.imageDim, c.Dim())
		}
		if n := c.Classes(); n > 0 && s.RegionClassWeight > 0 {
			if s.regionClasses != 0 && s.regionClasses != n {
				return fmt.Errorf("images have probabilities of %d classes, pairs of %d: use features of one detector, or set region_class_weight to 0", s.regionClasses, n)
			}
			s.regionClasses = n
		}
		s.imageDim = c.Dim()
		if spec := c.Extractor(); spec != nil {
			j.spec = spec
		}
	}
	if err := s.checkObjectives(s.regionClasses > 0); err != nil {
		return &SettingError{fmt.Errorf("%w; region_class_weight counts only where features have probabilities of classes", err)}
	}
	return nil
}

// digests implements [job].
func (j *pretraining) digests() (map[string]string, error) {
	digests := map[string]string{}
	for kind, c := range j.collections {
		digests[string(kind)] = c.Fingerprint()
	}
	if j.settings.Paraphrases == "" {
		return digests, nil
	}
	var err error
	digests["paraphrases"], err = digestFile(j.settings.Paraphrases)
	return digests, err
}

// vocabularyBytes is how much text of each kind a vocabulary is trained on, at most.
const vocabularyBytes = 8 << 20

// texts yields texts and captions as the streams have them.
func (j *pretraining) texts() iter.Seq[string] {
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
					j.o.Log.Warn(fmt.Sprintf("the vocabulary is trained on what could be read: %v", err))
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

func (j *pretraining) specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

func (j *pretraining) learner(ctx context.Context, dev engine.Device, cfg model.Config, tok *tokenizer.Tokenizer, log *slog.Logger) (_ learner, err error) {
	m, err := model.New[*model.Pretrainer](dev, cfg, j.settings.Seed)
	if err != nil {
		return nil, err
	}
	s := j.settings
	recipe := s.recipe(tok, j.spec != nil)
	var prints []string
	for _, kind := range slices.Sorted(maps.Keys(j.collections)) {
		prints = append(prints, j.collections[kind].Fingerprint())
	}
	resources, err := pretrain.OpenResources(ctx, filepath.Join(j.o.Out, "related"), j.collections, pretrain.ResourceOptions{
		Recipe: recipe, Paraphrases: s.Paraphrases, Fingerprint: strings.Join(prints, " "),
		Log: log, Stage: j.o.Observer.Stage, Tick: j.o.Observer.Tick,
	})
	if err != nil {
		return nil, err
	}
	l := &pretrainingLearner{
		baseLearner: newBase(j.preset, &s.CommonSettings, dev, cfg, m.Params, tok, nil), settings: s, model: m, recipe: recipe,
		preparer:    &pretrain.Preparer{Recipe: recipe, Tokenizer: tok, Resources: resources, Workers: s.Workers},
		collections: j.collections, resources: resources, log: log, tape: autograd.NewInference(dev),
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	streams := map[corpus.Kind]*corpus.Stream{}
	for i, kind := range pretrain.Kinds {
		if c := j.collections[kind]; c != nil && recipe.Ratios[i] > 0 {
			streams[kind] = c.Stream(corpus.StreamOptions{Seed: s.Seed, Buffer: s.ShuffleBuffer, Part: corpus.Train})
		}
	}
	if l.feed, err = pretrain.NewFeed(l.preparer, streams); err != nil {
		return nil, err
	}
	if err = l.readHeldOut(ctx, j.collections); err != nil {
		return nil, err
	}
	l.about = []string{fmt.Sprintf("%d samples held out to measure on", l.devLen)}
	if j.spec != nil {
		l.files = map[string][]byte{regions.SpecFile: j.spec.File()}
	}
	return l, nil
}

// pretrainingLearner implements [learner].
type pretrainingLearner struct {
	baseLearner
	settings    *PretrainingSettings
	model       *model.Pretrainer
	recipe      *pretrain.Recipe
	preparer    *pretrain.Preparer
	collections pretrain.Collections
	resources   *pretrain.Resources
	feed        *pretrain.Feed
	waiting     []*pretrain.Batch // of the step, not computed yet
	batch       *pretrain.Batch   // the newest
	log         *slog.Logger

	tape    *autograd.Tape // for measuring
	heldOut []*pretrain.Batch
	probe   *rank.Set // held-out pairs; nil without
}

var (
	_ learner        = (*pretrainingLearner)(nil)
	_ train.Streamer = (*pretrainingLearner)(nil)
)

// readHeldOut prepares the held-out samples: batches with hidden and with fragmented texts, and the
// pairs that are searched.
func (l *pretrainingLearner) readHeldOut(ctx context.Context, collections pretrain.Collections) error {
	number := 0
	for i, kind := range pretrain.Kinds {
		c := collections[kind]
		if c == nil || l.recipe.Ratios[i] == 0 {
			continue
		}
		var samples []*corpus.Sample
		for s, err := range c.Each(ctx, corpus.HeldOut) {
			if err != nil {
				return err
			}
			if samples = append(samples, s); len(samples) == l.settings.HeldOut {
				break
			}
		}
		var failed error
		before := len(l.heldOut)
		for at := 0; at < len(samples); at += l.recipe.BatchSize {
			part := samples[at:min(at+l.recipe.BatchSize, len(samples))]
			for _, seq2seq := range []bool{false, true} {
				if seq2seq && (kind == corpus.Images || l.recipe.Weights[i][pretrain.Seq2Seq] == 0) {
					continue
				}
				number--
				b, err := l.preparer.Prepare(number, kind, part, seq2seq)
				if err != nil {
					failed = cmp.Or(failed, err)
					continue // counted; there may be others
				}
				if seq2seq { // the rest is measured with the hidden texts
					b.CMCL, b.Hidden.Regions, b.Hidden.Targets, b.Hidden.Classes = nil, nil, nil, nil
				}
				l.heldOut = append(l.heldOut, b)
			}
		}
		if len(l.heldOut) == before {
			return fmt.Errorf("none of the %d held-out samples of %s can be used: %w", len(samples), kind, failed)
		}
		l.devLen += len(samples)
		if kind == corpus.Pairs && l.recipe.Weights[i][pretrain.Contrast] > 0 {
			var err error
			if l.probe, err = l.searched(samples); err != nil {
				return err
			}
		}
	}
	return nil
}

// searched makes a set of held-out pairs, of which those whose image cannot be read are left out.
func (l *pretrainingLearner) searched(samples []*corpus.Sample) (*rank.Set, error) {
	images := &imagesInMemory{dim: l.config.ImageEmbeddingSize, images: map[string]*regions.Image{}}
	set := &rank.Set{}
	enc := captionEncoder{l.tok, l.settings.MaxSeqLen}
	for _, s := range samples {
		im := new(regions.Image)
		if s.Image(im) != nil {
			continue // counted when the batches were made
		}
		for _, caption := range s.Captions {
			tokens, _ := enc.encode(caption)
			set.Texts, set.ImageOf = append(set.Texts, tokens), append(set.ImageOf, len(images.ids))
		}
		images.ids = append(images.ids, s.Key)
		images.images[s.Key] = im
	}
	set.Images = rank.Images{Source: images, IDs: images.ids}
	return set, nil
}

// imagesInMemory implements [regions.Source].
type imagesInMemory struct {
	dim    int
	ids    []string
	images map[string]*regions.Image
}

func (s *imagesInMemory) Dim() int      { return s.dim }
func (s *imagesInMemory) IDs() []string { return s.ids }
func (s *imagesInMemory) Close() error  { return nil }
func (s *imagesInMemory) Image(id string, dst *regions.Image) error {
	im, ok := s.images[id]
	if !ok {
		return fmt.Errorf("%w: %q", regions.ErrNoImage, id)
	}
	*dst = *im
	return nil
}

// matchBias is the parameter that contrastive learning knows nothing about: it compares scores that all have it.
const matchBias = "match_fc.b_0"

// Params implements [train.Task]. Adam would turn the rounding noise in the gradient of the match head's bias into steps
// as long as others.
func (l *pretrainingLearner) Params() []optim.Param {
	return slices.DeleteFunc(slices.Clone(l.optimised), func(p optim.Param) bool { return p.Name == matchBias })
}

// Batches implements [train.Task]: a stream is one epoch as long as the run.
func (l *pretrainingLearner) Batches(epoch int) int { return l.Total(epoch+1) - l.Total(epoch) }

// Total implements [train.Task].
func (l *pretrainingLearner) Total(epochs int) int {
	return min(epochs, 1) * l.settings.MaxSteps * l.settings.GradientAccumulation
}

// Parts implements [train.Task]. What a batch counts is known when it is prepared, so the batches of a step are taken
// from the feed together and wait.
func (l *pretrainingLearner) Parts(_, batch int) ([]train.Part, error) {
	b, err := l.feed.Batch(batch)
	if err != nil {
		return nil, err
	}
	l.waiting = append(l.waiting, b)
	var parts []train.Part
	for _, p := range l.recipe.Parts(b) {
		parts = append(parts, train.Part(p))
	}
	return parts, nil
}

// Loss implements [train.Task].
func (l *pretrainingLearner) Loss(tape *autograd.Tape, _, batch int) ([]*autograd.Var, int, error) {
	l.batch = l.waiting[0]
	l.waiting = slices.Delete(l.waiting, 0, 1)
	losses := l.recipe.Losses(tape, l.model, l.batch)
	if !slices.ContainsFunc(losses, func(v *autograd.Var) bool { return v != nil }) {
		return nil, 0, fmt.Errorf("batch %d (%s) has nothing to predict: give another objective a weight", batch+1, l.Describe(0, batch))
	}
	return losses, l.batch.Tokens, nil
}

// StreamState implements [train.Streamer].
func (l *pretrainingLearner) StreamState() ([]byte, error) {
	if n := len(l.waiting); n > 0 {
		return nil, fmt.Errorf("%d batches of the step are not computed yet", n)
	}
	return l.feed.State()
}

// RestoreStream implements [train.Streamer].
func (l *pretrainingLearner) RestoreStream(state []byte) error { return l.feed.Restore(state) }

// Describe implements [train.Task].
func (l *pretrainingLearner) Describe(int, int) string {
	const show = 3
	samples := l.batch.Samples
	more := ""
	if len(samples) > show {
		more = fmt.Sprintf(" and %d more", len(samples)-show)
	}
	return fmt.Sprintf("%s of %s%s", l.batch.Kind, strings.Join(samples[:min(show, len(samples))], ", "), more)
}

// Evaluate implements [train.Task]. The score is the loss on held-out data: the weighted sum of the objectives,
// each the mean over all that it counts.
func (l *pretrainingLearner) Evaluate(ctx context.Context, _ int, tick func(done, total int)) (train.Evaluation, error) {
	l.reportData()
	m, err := l.measure(ctx, tick)
	return train.Evaluation{Metric: "loss", Score: m["loss"], Lower: true, Metrics: m}, err
}

// reportData says what was passed over so far, and how long the model waited for data.
func (l *pretrainingLearner) reportData() {
	for _, kind := range pretrain.Kinds {
		l.report("passed over", "samples of "+string(kind), l.feed.Report(kind))
	}
	l.report("of no use, or not wholly", "samples", l.preparer.Lost())
	if waited := l.feed.Waited(); waited > time.Second {
		l.log.Info(fmt.Sprintf("the model waited %v for data so far; more workers help", waited.Round(100*time.Millisecond)))
	}
}

func (l *pretrainingLearner) report(how, samples string, r corpus.Report) {
	for _, reason := range slices.Sorted(maps.Keys(r.Skipped)) {
		l.log.Warn(fmt.Sprintf("%d %s were %s so far: %s; the first: %s", r.Skipped[reason], samples, how, reason, r.First[reason]))
	}
}

// measure computes every objective, the share of hidden tokens that the model knows, and how well vectors
// find held-out pairs.
func (l *pretrainingLearner) measure(ctx context.Context, tick func(done, total int)) (train.Numbers, error) {
	sums, counts := map[string]float64{}, map[string]float64{}
	var known, hidden float64
	for i, b := range l.heldOut {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		parts, losses := l.recipe.Parts(b), l.recipe.Losses(l.tape, l.model, b)
		for k, p := range parts {
			if p.Count == 0 {
				continue
			}
			if err := l.model.Params.CheckOutput(l.dev, "losses", losses[k]); err != nil {
				l.tape.Release()
				return nil, err
			}
			sums[p.Name] += float64(engine.Values(l.dev, losses[k].Value)[0]) * float64(p.Count)
			counts[p.Name] += float64(p.Count)
		}
		l.tape.Release()
		if !b.Seq2Seq && len(b.Hidden.Labels) > 0 && l.recipe.Of(b.Kind)[pretrain.MaskedLM] > 0 {
			logits := l.model.LanguageLogits(l.tape, b.Hidden)
			if err := l.model.Params.CheckOutput(l.dev, "scores of hidden tokens", logits); err != nil {
				l.tape.Release()
				return nil, err
			}
			values := engine.Values(l.dev, logits.Value)
			for row, label := range b.Hidden.Labels {
				hidden++
				if argmax(values[row*logits.Value.Cols:(row+1)*logits.Value.Cols]) == int(label) {
					known++
				}
			}
			l.tape.Release()
		}
		tick(i+1, len(l.heldOut))
	}
	m := train.Numbers{"examples": train.Number(l.devLen)}
	var total float64
	for _, o := range l.recipe.Objectives(l.config.RegionClasses > 0) {
		if counts[o.Name] == 0 {
			continue // no held-out text is long enough, say
		}
		mean := sums[o.Name] / counts[o.Name]
		m[o.Name] = train.Number(mean)
		total += mean * o.Weight
	}
	m["loss"] = train.Number(total)
	if hidden > 0 {
		m["masked_accuracy"] = train.Number(known / hidden)
	}
	if l.probe == nil {
		return m, nil
	}
	scorer := rank.NewScorer(l.dev, &l.model.Retriever)
	v, err := scorer.Vectors(ctx, *l.probe, func(int, int) {})
	if err != nil {
		return nil, err
	}
	out, err := scorer.TwoStage(ctx, *l.probe, v, 0, func(int, int) {})
	if err != nil {
		return nil, err
	}
	for key, value := range recallNumbers(out.Recalls, *l.probe) {
		if key != "examples" {
			m[key] = value
		}
	}
	return m, nil
}

func (l *pretrainingLearner) score(ctx context.Context, f splitFile, tick func(done, total int)) (Result, error) {
	m, err := l.measure(ctx, tick)
	return Result{Split: f.Split, Scores: Scores{Metrics: m}}, err
}

func (l *pretrainingLearner) predict(context.Context, splitFile, string, func(done, total int)) error {
	return nil
}

// close implements [learner].
func (l *pretrainingLearner) close() error {
	l.feed.Close()
	err := l.resources.Close()
	for _, c := range l.collections {
		err = errors.Join(err, c.Close())
	}
	return err
}

// show adds a curve for each objective, and how long this process waited for data.
func (l *pretrainingLearner) show(page *report.Run, first Result, history train.History) {
	page.Summary = append(page.Summary, report.Item{Key: "waited for data", Value: fmt.Sprintf("%.1f s", l.feed.Waited().Seconds())})
	page.Curves = page.Curves[2:] // the learning rate
	var curves []report.Curve
	shown := append(l.recipe.Objectives(l.config.RegionClasses > 0),
		pretrain.Objective{Name: "masked_accuracy", Title: "Masked accuracy, held out"}, pretrain.Objective{Name: "recall@1", Title: "Recall@1, held out"})
	for _, o := range shown {
		name := o.Name
		if saysNothing(l.preset, first.Metrics, name) {
			continue
		}
		var x, y, evalX, evalY []float64
		for _, s := range history.Steps {
			if value, ok := s.Parts[name]; ok {
				x, y = append(x, float64(s.Step)), append(y, float64(value))
			}
		}
		for _, e := range history.Evals {
			if value, ok := e.Metrics[name]; ok {
				evalX, evalY = append(evalX, float64(e.Step)), append(evalY, float64(value))
			}
		}
		if len(x)+len(evalX) == 0 {
			continue
		}
		curve := report.Curve{Title: o.Title, XLabel: "step", YLabel: "loss"}
		if len(x) > 0 {
			curve.Series = report.Smoothed("training", x, y, float64(len(x))/40)
		} else {
			curve.YLabel = name
		}
		curve.Series = append(curve.Series, report.Series{Name: "held out", X: evalX, Y: evalY, Points: true})
		curves = append(curves, bounded(curve))
	}
	page.Curves = append(curves, page.Curves...)
}
