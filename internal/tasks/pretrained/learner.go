package pretrained

import (
	"bytes"
	"cmp"
	"context"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/pretrain"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/train"
)

// learner implements [run.Learner].
type learner struct {
	collective.Sharing
	job       *job
	config    model.Config
	model     *model.Pretrainer
	files     map[string][]byte
	copies    map[string]string
	recipe    *pretrain.Recipe
	preparer  *pretrain.Preparer
	resources *pretrain.Resources
	feed      *pretrain.Feed
	waiting   []*pretrain.Batch // of the step, not computed yet
	computed  []*pretrain.Batch // of the step

	tape    *autograd.Tape // for measuring
	samples int            // held out
	heldOut []*pretrain.Batch
	lost    corpus.Report // of the held-out samples
	probe   *rank.Set     // held-out pairs; nil without
}

var (
	_ run.Learner  = (*learner)(nil)
	_ run.Streamer = (*learner)(nil)
	_ run.Surveyor = (*learner)(nil)
	_ run.Reporter = (*learner)(nil)
)

// matchBias is the parameter that contrastive learning knows nothing about: it compares scores that all have it.
// Adam would turn the rounding noise in its gradient into steps as long as others.
const matchBias = "match_fc.b_0"

// Model implements [run.Learner].
func (l *learner) Model() run.Model {
	return run.Model{Params: l.model.Params, Fixed: []string{matchBias}, Files: l.files, Copies: l.copies}
}

// About implements [run.Learner].
func (l *learner) About() run.About {
	return run.About{Lines: []string{fmt.Sprintf("%d samples held out to measure on", l.samples)}}
}

// readHeldOut prepares the held-out samples: batches with hidden and with fragmented texts, and the
// pairs that are searched.
func (l *learner) readHeldOut(ctx context.Context, enc images.Captions) error {
	number := 0
	for i, kind := range pretrain.Kinds {
		c := l.job.collections[kind]
		if c == nil || l.recipe.Ratios[i] == 0 {
			continue
		}
		var samples []*corpus.Sample
		for s, err := range c.Each(ctx, corpus.HeldOut) {
			if err != nil {
				return err
			}
			if samples = append(samples, s); len(samples) == l.job.settings.HeldOut {
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
				b := l.preparer.Prepare(number, kind, part, seq2seq)
				l.lost.Add(b.Lost)
				if b.Problem != nil {
					failed = cmp.Or(failed, b.Problem)
					continue // there may be others
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
		l.samples += len(samples)
		if kind == corpus.Pairs && l.recipe.Weights[i][pretrain.Contrast] > 0 {
			var err error
			if l.probe, err = l.searched(samples, enc); err != nil {
				return err
			}
		}
	}
	return nil
}

// searched makes a set of held-out pairs, of which those whose image cannot be read are left out.
func (l *learner) searched(samples []*corpus.Sample, enc images.Captions) (*rank.Set, error) {
	source := &imagesInMemory{dim: l.config.ImageEmbeddingSize, images: map[string]*regions.Image{}}
	set := &rank.Set{}
	for _, s := range samples {
		im := new(regions.Image)
		if s.Image(im) != nil {
			continue // counted when the batches were made
		}
		for _, caption := range s.Captions {
			tokens, _ := enc.Encode(caption)
			set.Texts, set.ImageOf = append(set.Texts, tokens), append(set.ImageOf, len(source.ids))
		}
		source.ids = append(source.ids, s.Key)
		source.images[s.Key] = im
	}
	set.Images = rank.Images{Source: source, IDs: source.ids}
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

// Batches implements [run.Learner]: a stream is one epoch as long as the run.
func (l *learner) Batches(epoch int) int { return l.Total(epoch+1) - l.Total(epoch) }

// Total implements [run.Learner].
func (l *learner) Total(epochs int) int {
	return min(epochs, 1) * l.job.settings.MaxSteps * l.job.settings.GradientAccumulation
}

// Parts implements [run.Learner]. What a batch counts is known when it is prepared, so the batches of a step are taken
// from the feed together and wait.
func (l *learner) Parts(_, batch int) ([]train.Part, error) {
	b, err := l.feed.Batch(batch)
	if err != nil {
		return nil, err
	}
	if len(l.waiting) == 0 { // a step begins
		l.computed = nil
	}
	l.waiting = append(l.waiting, b)
	b.OverStep = l.Surveys() && l.recipe.Compares(b)
	var parts []train.Part
	for _, p := range l.recipe.Parts(b) {
		parts = append(parts, train.Part(p))
	}
	return parts, nil
}

// Skip implements [run.Streamer].
func (l *learner) Skip(_, batch int) error { return l.feed.Skip(batch) }

// Note implements [run.Streamer].
func (l *learner) Note(int, int) ([]byte, error) {
	return json.Marshal(l.waiting[len(l.waiting)-1].Note())
}

// Heed implements [run.Streamer].
func (l *learner) Heed(raw [][]byte) error {
	notes := make([]pretrain.Note, len(raw))
	for i := range raw {
		if err := json.Unmarshal(raw[i], &notes[i]); err != nil {
			return fmt.Errorf("note of a batch: %w", err)
		}
	}
	return l.feed.Count(notes)
}

// Surveys implements [run.Surveyor].
func (l *learner) Surveys() bool {
	return l.job.settings.ContrastOverStep && l.job.settings.GradientAccumulation > 1
}

// Survey implements [run.Surveyor].
func (l *learner) Survey(tape *autograd.Tape, _, batch int) ([]byte, []*autograd.Var, error) {
	b := l.waiting[slices.IndexFunc(l.waiting, func(b *pretrain.Batch) bool { return b.Number == batch })]
	if !b.OverStep {
		return nil, nil, nil
	}
	found, vectors := l.recipe.Survey(tape, l.model, b)
	var raw bytes.Buffer
	err := gob.NewEncoder(&raw).Encode(found)
	return raw.Bytes(), vectors, err
}

// Surveyed implements [run.Surveyor].
func (l *learner) Surveyed(batches []train.Surveyed) error {
	var list []pretrain.Surveyed
	for _, b := range batches {
		if len(b.About) == 0 {
			continue
		}
		var s pretrain.Surveyed
		if err := gob.NewDecoder(bytes.NewReader(b.About)).Decode(&s); err != nil {
			return fmt.Errorf("pairs of a batch: %w", err)
		}
		list = append(list, s.At(b.Vectors))
	}
	step := pretrain.NewStep(list)
	for _, b := range l.waiting {
		b.Step = step
	}
	return nil
}

// Loss implements [run.Learner].
func (l *learner) Loss(tape *autograd.Tape, _, batch int) ([]*autograd.Var, int, error) {
	b := l.waiting[0]
	l.waiting, l.computed = slices.Delete(l.waiting, 0, 1), append(l.computed, b)
	if b.Problem != nil { // the step does without
		return make([]*autograd.Var, len(l.recipe.Parts(b))), 0, nil
	}
	losses := l.recipe.Losses(tape, l.model, b)
	if !slices.ContainsFunc(losses, func(v *autograd.Var) bool { return v != nil }) {
		return nil, 0, fmt.Errorf("batch %d (%s) has nothing to predict; give another objective a weight", batch+1, l.Describe(0, batch))
	}
	return losses, b.Tokens, nil
}

// StreamState implements [run.Streamer].
func (l *learner) StreamState() ([]byte, error) {
	if n := len(l.waiting); n > 0 {
		return nil, fmt.Errorf("%d batches of the step are not computed yet", n)
	}
	return l.feed.State()
}

// RestoreStream implements [run.Streamer].
func (l *learner) RestoreStream(state []byte) error { return l.feed.Restore(state) }

// Describe implements [run.Learner].
func (l *learner) Describe(_, batch int) string {
	const show = 3
	at := slices.IndexFunc(l.computed, func(b *pretrain.Batch) bool { return b.Number == batch })
	if at < 0 {
		return "a batch of another rank"
	}
	b := l.computed[at]
	samples := b.Samples
	more := ""
	if len(samples) > show {
		more = fmt.Sprintf(" and %d more", len(samples)-show)
	}
	return fmt.Sprintf("%s of %s%s", b.Kind, strings.Join(samples[:min(show, len(samples))], ", "), more)
}

// Evaluate implements [run.Learner]. The score is the loss on held-out data: the weighted sum of the objectives,
// each the mean over all that it counts.
func (l *learner) Evaluate(ctx context.Context, _ int, tick run.Tick) (train.Evaluation, error) {
	l.reportData()
	defer l.Share(l.job.env.Group)()
	m, err := l.measure(ctx, tick)
	return train.Evaluation{Metric: l.job.task.Metric, Score: m[l.job.task.Metric], Lower: l.job.task.Lower, Metrics: m}, err
}

// reportData says what was passed over so far, and how long the model waited for data.
func (l *learner) reportData() {
	for _, kind := range pretrain.Kinds {
		l.report("passed over", "samples of "+string(kind), l.feed.Report(kind))
	}
	l.report("of no use, or not wholly", "held-out samples", l.lost)
	l.report("of no use, or not wholly", "samples", l.feed.Lost())
	l.report("empty", "batches", l.feed.Empty())
	if waited := l.feed.Waited(); waited > time.Second {
		l.job.env.Log.Info(fmt.Sprintf("the model waited %v for data so far; more workers help", waited.Round(100*time.Millisecond)))
	}
}

func (l *learner) report(how, samples string, r corpus.Report) {
	for _, reason := range slices.Sorted(maps.Keys(r.Skipped)) {
		l.job.env.Log.Warn(fmt.Sprintf("%d %s were %s so far: %s; the first: %s", r.Skipped[reason], samples, how, reason, r.First[reason]))
	}
}

// measure computes every objective, the share of hidden tokens that the model knows, and how well vectors
// find held-out pairs.
func (l *learner) measure(ctx context.Context, tick run.Tick) (train.Numbers, error) {
	sums, counts := map[string]float64{}, map[string]float64{}
	var known, hidden float64
	err := collective.Spread(l.Group(), len(l.heldOut), func(i int) (of measured, err error) {
		err = engine.Sized("batch_size", int64(l.job.settings.BatchSize), func() error {
			of, err = l.measureBatch(ctx, l.heldOut[i])
			return err
		})
		return of, err
	}, func(i int, of measured) {
		for k, p := range l.recipe.Parts(l.heldOut[i]) {
			if p.Count > 0 {
				sums[p.Name] += float64(of.Losses[k]) * float64(p.Count)
				counts[p.Name] += float64(p.Count)
			}
		}
		known, hidden = known+float64(of.Known), hidden+float64(of.Hidden)
		tick(i+1, len(l.heldOut))
	})
	if err != nil {
		return nil, err
	}
	m := train.Numbers{"examples": train.Number(l.samples)}
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
		m[maskedAccuracy] = train.Number(known / hidden)
	}
	if l.probe == nil {
		return m, nil
	}
	scorer := rank.NewScorer(l.job.env.Device, &l.model.Retriever)
	defer scorer.Share(l.Group())()
	v, err := scorer.Vectors(ctx, *l.probe, func(int, int) {})
	if err != nil {
		return nil, err
	}
	out, err := scorer.TwoStage(ctx, *l.probe, v, 0, func(int, int) {})
	if err != nil {
		return nil, err
	}
	for key, value := range images.RecallNumbers(out.Recalls, *l.probe) {
		if key != "examples" {
			m[key] = value
		}
	}
	return m, nil
}

// measured is what a model says of a held-out batch.
type measured struct {
	Losses        []float32 // of its parts
	Known, Hidden int       // hidden tokens: that the model knows, and all
}

func (l *learner) measureBatch(ctx context.Context, b *pretrain.Batch) (of measured, err error) {
	if err := ctx.Err(); err != nil {
		return of, err
	}
	defer l.tape.Release()
	dev := l.job.env.Device
	parts, losses := l.recipe.Parts(b), l.recipe.Losses(l.tape, l.model, b)
	var counting []*autograd.Var
	for k, p := range parts {
		if p.Count > 0 {
			counting = append(counting, losses[k])
		}
	}
	if err := l.model.Params.CheckOutput(l.tape, "losses", counting...); err != nil {
		return of, err
	}
	of.Losses = make([]float32, len(parts))
	for k, p := range parts {
		if p.Count > 0 {
			of.Losses[k] = engine.Values(dev, losses[k].Value)[0]
		}
	}
	l.tape.Release()
	if b.Seq2Seq || len(b.Hidden.Labels) == 0 || l.recipe.Of(b.Kind)[pretrain.MaskedLM] == 0 {
		return of, nil
	}
	logits := l.model.LanguageLogits(l.tape, b.Hidden)
	if err := l.model.Params.CheckOutput(l.tape, "scores of hidden tokens", logits); err != nil {
		return of, err
	}
	of.Hidden = len(b.Hidden.Labels)
	values := engine.Values(dev, logits.Value)
	for row, label := range b.Hidden.Labels {
		scores := values[row*logits.Value.Cols : (row+1)*logits.Value.Cols]
		if slices.Index(scores, slices.Max(scores)) == int(label) { // the first of the highest
			of.Known++
		}
	}
	return of, nil
}

// Score implements [run.Learner].
func (l *learner) Score(ctx context.Context, f run.File, tick run.Tick) (run.Result, error) {
	m, err := l.measure(ctx, tick)
	return run.Result{Split: f.Split, Metrics: m}, err
}

// Close implements [run.Learner].
func (l *learner) Close() error {
	if l.feed != nil {
		l.feed.Close()
	}
	err := l.resources.Close()
	for _, c := range l.job.collections {
		err = errors.Join(err, c.Close())
	}
	return err
}
