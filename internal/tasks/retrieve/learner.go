package retrieve

import (
	"context"
	"fmt"
	"iter"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// job implements [run.Job].
type job struct {
	task          *run.Task
	settings      *Settings
	env           *run.Env
	train, devSet *captions.Set
	source        regions.Source
	spec          *regions.Spec // nil: features from elsewhere
	dim           int           // of the features; 0 until they are read
}

// Files implements [run.Job].
func (j *job) Files(data, dev string) ([]run.File, error) { return j.task.FindFiles(data, dev) }

// Read implements [run.Job].
func (j *job) Read(files []run.File) error {
	var err error
	if j.train, err = captions.ReadList(files[0].Path); err != nil {
		return err
	}
	if j.devSet, err = captions.ReadList(files[1].Path); err != nil {
		return err
	}
	s := j.settings
	o := j.options()
	var sets []*captions.Set
	j.source, j.spec, sets, err = s.Open(o, j.train, j.devSet)
	if err != nil {
		return err
	}
	j.train, j.devSet, j.dim = sets[0], sets[1], j.source.Dim()
	if images.Once(j.source, j.spec) && (s.Flip || s.MinCropArea < 1) {
		if j.spec == nil || !j.spec.Trained() { // else it is said where they are computed
			j.env.Log.Info("region features are neither cropped nor mirrored")
		}
		s.Flip, s.MinCropArea = false, 1
	}
	return (&captions.Groups{Set: j.train, Negatives: s.Negatives}).Check()
}

func (j *job) options() images.Options {
	return j.settings.Options(j.env.Log, j.env.Device.Limit(), j.settings.Seed)
}

// Digests implements [run.Job].
func (j *job) Digests() (map[string]string, error) {
	digest, err := images.Digest(j.options(), j.train, j.devSet)
	return map[string]string{"images": digest}, err
}

// Head implements [run.Job].
func (j *job) Head(cfg model.Config) (_ model.Config, err error) {
	s := j.settings
	if cfg.ImageEmbeddingSize, err = s.Dim(j.dim); err != nil {
		return cfg, err
	}
	cfg.ContrastSize = s.ContrastSize
	return cfg.WithTextTokens(s.MaxSeqLen)
}

// Refit implements [run.Refitter].
func (j *job) Refit(r checkpoint.Reader, specs []model.Spec) checkpoint.Reader {
	return images.Fit(r, specs, j.env.Log)
}

// Texts implements [run.Job].
func (j *job) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range j.train.Captions {
			if !yield(c.Text) {
				return
			}
		}
	}
}

// Specs implements [run.Job].
func (j *job) Specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

// Learner implements [run.Job].
func (j *job) Learner(ctx context.Context, cfg model.Config, tok *tokenizer.Tokenizer) (_ run.Learner, err error) {
	if j.source, j.spec, err = images.Compute(ctx, j.env, j.options(), j.source, j.spec); err != nil {
		return nil, err
	}
	dev, log := j.env.Device, j.env.Log
	m, err := run.NewModel[*model.Retriever](j.env, cfg, j.settings.Seed)
	if err != nil {
		return nil, err
	}
	enc := images.Captions{Tokenizer: tok, MaxLen: j.settings.MaxSeqLen}
	tokens, cut, err := enc.All(j.train)
	if err != nil {
		return nil, err
	}
	if cut > 0 {
		log.Warn(fmt.Sprintf("%d of %d training captions are longer than %d tokens (max_seq_len) and were cut", cut, len(tokens), j.settings.MaxSeqLen))
	}
	s := j.settings
	var first regions.Image // the others have about as many regions
	if err := j.source.Image(j.train.Images[0], &first); err != nil {
		return nil, err
	}
	alone, lengths := make([]int, len(tokens)), make([]int, len(tokens))
	for i, t := range tokens {
		alone[i] = first.Regions() + 1 + len(t)
		lengths[i] = (1 + s.Negatives) * alone[i]
	}
	line := func(i int) int { return j.train.Captions[i].Line }
	all, _, err := images.EvalSet(j.devSet, j.source, enc)
	if err != nil {
		return nil, err
	}
	devSet := all.First(s.EvalImages)
	files, copies := images.Companions(j.spec)
	pairEpochs, aloneEpochs := run.NewEpochs(s.Common(), lengths, s.BatchSize, line), run.NewEpochs(s.Common(), alone, s.ContrastBatchSize, line)
	pairEpochs.Plan.Before = aloneEpochs.Total(s.ContrastEpochs) - pairEpochs.Total(s.ContrastEpochs)
	return &learner{
		job: j, model: m, eyes: images.EyesOf(j.source), tokens: tokens, encoder: enc, scorer: rank.NewScorer(dev, m),
		groups:     captions.Groups{Set: j.train, Negatives: s.Negatives, Seed: s.Seed},
		pairEpochs: pairEpochs, aloneEpochs: aloneEpochs,
		devSet: devSet, devNotes: firstNotes(devSet, all), files: files, copies: copies,
		about: run.About{Lines: images.About(log, j.train, j.devSet), Examples: len(tokens)}, // regions, pairs and groups come to the tokens
	}, nil
}

// learner implements [run.Learner].
type learner struct {
	job         *job
	model       *model.Retriever
	eyes        *images.Eyes // the network in training that sees the pictures; nil: none is
	tokens      rank.Texts
	groups      captions.Groups
	pairEpochs  run.Epochs
	aloneEpochs run.Epochs // of the epochs that train vectors only
	encoder     images.Captions
	devNotes    []string // on what of dev is not scored
	devSet      rank.Set // of its first images
	scorer      *rank.Scorer
	files       map[string][]byte
	copies      map[string]string
	about       run.About
	step        []candidates // of all batches of the step, with contrast_over_step
}

// Model implements [run.Learner].
func (l *learner) Model() run.Model {
	return l.eyes.Model(run.Model{Params: l.model.Params, Files: l.files, Copies: l.copies})
}

// About implements [run.Learner].
func (l *learner) About() run.About { return l.about }

// Close implements [run.Learner].
func (l *learner) Close() error { return nil }

// contrasting says whether an epoch trains vectors only.
func (l *learner) contrasting(epoch int) bool { return epoch < l.job.settings.ContrastEpochs }

func (l *learner) epochs(epoch int) *run.Epochs {
	if l.contrasting(epoch) {
		return &l.aloneEpochs
	}
	return &l.pairEpochs
}

// Batches implements [run.Learner].
func (l *learner) Batches(epoch int) int { return l.epochs(epoch).Batches(epoch) }

// Total implements [run.Learner].
func (l *learner) Total(epochs int) int {
	first := min(epochs, l.job.settings.ContrastEpochs)
	return l.aloneEpochs.Total(first) + l.pairEpochs.Total(epochs) - l.pairEpochs.Total(first)
}

// Describe implements [run.Learner].
func (l *learner) Describe(epoch, batch int) string { return l.epochs(epoch).Describe(epoch, batch) }

// pairs returns the captions of a batch with their images, and the groups of all of them
// unless these have to be chosen by the vectors.
func (l *learner) pairs(epoch, batch int) *pairBatch {
	b := newPairBatch(l.epochs(epoch).Plan.At(epoch, batch), l.job.train)
	if !l.contrasting(epoch) && !l.job.settings.HardNegatives {
		b.addGroups(&l.groups, epoch)
	}
	return b
}

// Parts implements [run.Learner]: the circle loss is a mean over groups, the contrastive loss one
// over the captions whose image is in the batch.
func (l *learner) Parts(epoch, batch int) ([]train.Part, error) {
	b := l.pairs(epoch, batch)
	own := 0
	for _, image := range b.imageOf {
		if image >= 0 {
			own++
		}
	}
	if l.Surveys() { // the loss is the same for every batch
		own = 1
	}
	if l.contrasting(epoch) {
		return []train.Part{{Name: "contrast", Weight: 1, Count: own}}, nil
	}
	parts := []train.Part{{Name: "circle", Weight: 1, Count: len(b.rows)}}
	if w := l.job.settings.ContrastWeight; w > 0 {
		parts = append(parts, train.Part{Name: "contrast", Weight: w, Count: own})
	}
	return parts, nil
}

// Loss implements [run.Learner].
func (l *learner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	b := l.pairs(epoch, batch)
	contrasting := l.contrasting(epoch)
	pictures, texts, err := l.inputs(tape, b, epoch)
	if err != nil {
		return nil, 0, err
	}
	im, tx := l.model.Side(tape, pictures), l.model.Side(tape, texts)
	s := l.job.settings
	var contrast *autograd.Var
	tokens := pictures.Rows() + texts.Rows()
	if l.contrasts(epoch) || s.HardNegatives {
		iv, tv := l.model.ImageVectors(tape, im), l.model.TextVectors(tape, tx)
		if l.contrasts(epoch) {
			if contrast, err = l.contrast(tape, epoch, batch, b, iv, tv); err != nil {
				return nil, 0, err
			}
		}
		if contrasting {
			return []*autograd.Var{contrast}, tokens, nil
		}
		if s.HardNegatives {
			engine.Expect(l.job.env.Device, iv.Value, tv.Value)
			b.hardGroups(s, epoch, engine.Values(l.job.env.Device, iv.Value), engine.Values(l.job.env.Device, tv.Value), s.ContrastSize)
		}
	}
	scores := l.model.Scores(tape, im, tx, b.pairs)
	for _, p := range b.pairs {
		tokens += im.Rows(p.Image) + tx.Rows(p.Text)
	}
	losses := []*autograd.Var{l.model.CircleLoss(tape, scores, 1+s.Negatives, s.Negatives/2, s.Margin, s.ScaleCircle, s.UseSigmoid)}
	if s.ContrastWeight > 0 {
		losses = append(losses, contrast)
	}
	return losses, tokens, nil
}

// inputs reads the images of a batch, changed at random where the settings say so, and its texts.
func (l *learner) inputs(tape *autograd.Tape, b *pairBatch, epoch int) (pictures, texts model.Input, err error) {
	read := make([]regions.Image, len(b.images))
	flipped := make([]bool, len(b.images))
	failures := make([]error, len(b.images))
	l.job.env.Device.Limit().For(len(read), func(i int) {
		read[i].Late = l.eyes != nil
		name := l.job.train.Images[b.images[i]]
		change := picture.Augmentation{MinArea: l.job.settings.MinCropArea, Flip: l.job.settings.Flip && l.mirrors(b.images[i])}
		draws := func() *random.Stream { return random.New(l.job.settings.Seed, "augmentation", epoch, b.images[i]) }
		flipped[i], failures[i] = images.Augmented(l.job.source, name, change, draws, &read[i])
	})
	var prepared []*picture.Picture
	for i := range read {
		if failures[i] != nil {
			return pictures, texts, failures[i]
		}
		pictures.Images.Append(&read[i])
		prepared = append(prepared, read[i].Prepared)
	}
	if err := l.eyes.See(tape, &pictures, prepared); err != nil {
		return pictures, texts, err
	}
	for i, c := range b.captions {
		tokens := l.tokens[c]
		if own := b.imageOf[i]; own >= 0 && flipped[own] {
			text := l.job.train.Captions[c].Text
			if mirrored := captions.MirrorText(text); mirrored != text {
				tokens, _ = l.encoder.Encode(mirrored)
			}
		}
		texts.Text.Append(tokens)
	}
	return pictures, texts, nil
}

// mirrors says whether left and right can be exchanged in all captions of an image: in tokens they
// cannot.
func (l *learner) mirrors(image int) bool {
	return !slices.ContainsFunc(l.job.train.Of(image), func(c int) bool { return l.job.train.Captions[c].Tokens != nil })
}

// Evaluate implements [run.Learner]. While only vectors are trained, they are what is scored.
func (l *learner) Evaluate(ctx context.Context, epoch int, tick run.Tick) (train.Evaluation, error) {
	defer l.scorer.Share(l.job.env.Group)()
	contrasting := l.contrasting(epoch)
	candidates := l.job.settings.EvalCandidates
	if contrasting {
		candidates = 0
	}
	r, err := l.assess(ctx, l.devSet, candidates, contrasting, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	m := images.RecallNumbers(r.Recalls, l.devSet)
	metric := l.job.task.Metric
	e := train.Evaluation{Metric: metric, Score: m[metric], Lower: l.job.task.Lower, Metrics: m}
	if contrasting {
		e.How = "by vectors"
	}
	return e, nil
}

// assess ranks a set by two stages or, with candidates 0, by the match score of every pair; with
// vectorsOnly by vectors.
func (l *learner) assess(ctx context.Context, set rank.Set, candidates int, vectorsOnly bool, tick run.Tick) (rank.Outcome, error) {
	if candidates == 0 && !vectorsOnly {
		return l.scorer.Exhaustive(ctx, set, nil, tick)
	}
	v, err := l.scorer.Vectors(ctx, set, tick)
	if err != nil {
		return rank.Outcome{}, err
	}
	return l.scorer.TwoStage(ctx, set, v, candidates, tick)
}

// Score implements [run.Learner].
func (l *learner) Score(ctx context.Context, f run.File, tick run.Tick) (run.Result, error) {
	out, err := l.assess(ctx, l.devSet, l.job.settings.EvalCandidates, false, tick)
	if err != nil {
		return run.Result{}, err
	}
	d, s := newDetail(l.job.devSet, l.devSet, out), l.job.settings
	matches := s.ContrastSize == 0 || l.model.Matches(l.job.env.Device)
	if d.sample, err = samplePairs(ctx, l.scorer, l.devSet, matches, s.ContrastSize, tick); err != nil {
		return run.Result{}, err
	}
	return run.Result{Split: f.Split, File: f.Path, Notes: l.devNotes, Metrics: images.RecallNumbers(out.Recalls, l.devSet), Detail: d}, nil
}
