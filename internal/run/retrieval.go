package run

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math"
	"math/bits"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/internal/report"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
	"github.com/unimo-go/unimo/tokenizer"
)

// Retrieval is what makes an image-text retrieval task; all of them have the reference's
// recipe for Flickr30k.
type Retrieval struct{}

// RetrievalSettings are those of image-text retrieval.
type RetrievalSettings struct {
	CommonSettings
	MaxSeqLen  int    `json:"max_seq_len" help:"longest caption in tokens, special ones included; longer ones are cut"`
	Features   string `json:"features" help:"region features: file or folder (empty: the data's pictures are cut into patches)"`
	Order      string `json:"feature_order" help:"of width and height in lines of features: width, height (empty: by the boxes)"`
	MaxRegions int    `json:"max_regions" help:"most regions of an image of features, the global one not counted"`
	SkipBad    bool   `json:"skip_bad" help:"leave out images that cannot be read or have no features, and count them"`
	ImageSize  int    `json:"image_size" help:"side of the square that pictures are resized to, in pixels"`
	PatchSize  int    `json:"patch_size" help:"side of a patch; it divides image_size"`
	ImageCache int    `json:"image_cache" help:"most memory for resized pictures in MiB; others are decoded each time"`

	Negatives   int     `json:"negatives" help:"wrong pairs in a caption's group: half have another image, half another caption"`
	Margin      float64 `json:"margin" help:"of the circle loss"`
	ScaleCircle float64 `json:"scale_circle" help:"of the circle loss"`
	UseSigmoid  bool    `json:"use_sigmoid" help:"circle loss of the sigmoid of scores"`

	ContrastSize      int     `json:"contrast_size" help:"size of the vectors of images and texts alone, for search (0: none)"`
	ContrastWeight    float64 `json:"contrast_weight" help:"of the contrastive loss of these vectors beside the circle loss"`
	Temperature       float64 `json:"temperature" help:"of the contrastive loss"`
	ContrastEpochs    int     `json:"contrast_epochs" help:"epochs at the start that train the vectors only, which is cheap"`
	ContrastBatchSize int     `json:"contrast_batch_size" help:"captions of a batch in these epochs, or regions and tokens with in_tokens"`
	HardNegatives     bool    `json:"hard_negatives" help:"draw wrong pairs from the batch, likelier the more alike their vectors are"`

	MinCropArea float64 `json:"min_crop_area" help:"pictures are cropped to a random share of their area from this up (1: never)"`
	Flip        bool    `json:"flip" help:"mirror half of the pictures, and left and right in their captions"`

	EvalImages     int `json:"eval_images" help:"dev images that evaluations score, the first ones (0: all)"`
	EvalCandidates int `json:"eval_candidates" help:"evaluations let the match head order this many candidates found by vectors (0: score every pair)"`

	imageDim int // of the features, once they are known
}

func retrievalDefaults(size string, c CommonSettings) *RetrievalSettings {
	// The reference's recipe; see its script/retrieval/Flickr30k.
	c.LRScheduler, c.WarmupProportion, c.Epochs, c.BatchSize, c.LearningRate, c.WeightDecay = "scale_by_epoch_decay", 0, 40, 4, 5e-6, 0.1
	if size == "large" {
		c.BatchSize = 2
	}
	s := &RetrievalSettings{
		CommonSettings: c, MaxSeqLen: 50, MaxRegions: 100, ImageSize: 160, PatchSize: 16, ImageCache: 1024,
		Negatives: 20, Margin: 0.2, ScaleCircle: 1, Temperature: 0.07, ContrastBatchSize: 64, MinCropArea: 1, EvalImages: 100,
	}
	if size == "mini" {
		// From random weights, chosen by measurement on Flickr8k: see docs/results/2026-11-26-retrieval.md.
		s.LRScheduler, s.WarmupProportion, s.LearningRate, s.WeightDecay = "linear_warmup_decay", 0.06, 1e-3, 0.05
		s.Epochs, s.ContrastEpochs, s.BatchSize, s.ContrastBatchSize = 12, 11, 32, 64
		s.VocabSize, s.ImageSize, s.PatchSize, s.MinCropArea, s.Flip = 3000, 96, 16, 0.5, true
		s.Negatives, s.HardNegatives, s.ContrastSize, s.ContrastWeight = 4, true, 128, 1
		s.EvalImages, s.EvalCandidates = 500, 20
	}
	return s
}

// Validate implements [Settings].
func (s *RetrievalSettings) Validate() error {
	if err := s.validate(); err != nil {
		return err
	}
	err := cmp.Or(
		settings.Want(s.MaxSeqLen >= batches.MinSeqLen, "max_seq_len", s.MaxSeqLen, fmt.Sprintf("%d or more", batches.MinSeqLen)),
		settings.Want(s.MaxRegions >= 1, "max_regions", s.MaxRegions, "1 or more"),
		settings.Want(s.ImageCache >= 0, "image_cache", s.ImageCache, "0 or more"),
		settings.Want(s.Negatives >= 2, "negatives", s.Negatives, "2 or more"),
		settings.Want(s.Margin >= 0 && s.Margin <= 1, "margin", s.Margin, "0 to 1"),
		settings.Want(s.ScaleCircle > 0 && s.ScaleCircle < 1e6, "scale_circle", s.ScaleCircle, "more than 0"),
		settings.Want(s.ContrastSize >= 0, "contrast_size", s.ContrastSize, "0 or more"),
		settings.Want(s.ContrastWeight >= 0, "contrast_weight", s.ContrastWeight, "0 or more"),
		settings.Want(s.Temperature > 0 && s.Temperature <= 10, "temperature", s.Temperature, "more than 0"),
		settings.Want(s.ContrastEpochs >= 0 && s.ContrastEpochs <= s.Epochs, "contrast_epochs", s.ContrastEpochs, "0 to epochs"),
		settings.Want(s.ContrastBatchSize >= 1, "contrast_batch_size", s.ContrastBatchSize, "1 or more"),
		settings.Want(s.MinCropArea > 0 && s.MinCropArea <= 1, "min_crop_area", s.MinCropArea, "more than 0, 1 at most"),
		settings.Want(s.EvalImages >= 0, "eval_images", s.EvalImages, "0 or more"),
		settings.Want(s.EvalCandidates >= 0, "eval_candidates", s.EvalCandidates, "0 or more"),
	)
	if err != nil {
		return err
	}
	if s.ContrastSize == 0 && (s.ContrastEpochs > 0 || s.HardNegatives || s.EvalCandidates > 0 || s.ContrastWeight > 0) {
		return errors.New("contrast_size is 0: contrast_epochs, contrast_weight, hard_negatives and eval_candidates need vectors; set it, or set them to 0")
	}
	return nil
}

func (s *RetrievalSettings) head(_ *Preset, cfg model.Config) (model.Config, error) {
	cfg.ImageEmbeddingSize, cfg.ContrastSize = s.imageDim, s.ContrastSize
	if s.imageDim == 0 { // nothing was read yet
		x, err := regions.NewExtractor(s.spec())
		if err != nil {
			return cfg, err
		}
		cfg.ImageEmbeddingSize = x.Dim()
	}
	if s.MaxSeqLen > cfg.MaxTokens() {
		return cfg, fmt.Errorf("max_seq_len is %d, but the model reads at most %d tokens", s.MaxSeqLen, cfg.MaxTokens())
	}
	return cfg, nil
}

func (s *RetrievalSettings) adopt(cfg model.Config) {
	s.MaxSeqLen = min(s.MaxSeqLen, cfg.MaxTokens())
	s.ContrastSize = cmp.Or(cfg.ContrastSize, s.ContrastSize)
}

func (s *RetrievalSettings) images() ImageOptions {
	return ImageOptions{Features: s.Features, Order: s.Order, MaxRegions: s.MaxRegions, SkipBad: s.SkipBad}
}

// spec is how the settings cut pictures up.
func (s *RetrievalSettings) spec() regions.Spec {
	return regions.Spec{Extractor: regions.Patches, ImageSize: s.ImageSize, PatchSize: s.PatchSize}
}

// retrieval is a run's work on image-text retrieval.
type retrieval struct {
	preset        *Preset
	settings      *RetrievalSettings
	train, devSet *captions.Set
	source        regions.Source
	spec          *regions.Spec // nil: features from elsewhere
}

func (j *retrieval) read(files []splitFile, run *Options) error {
	log := run.Log
	var err error
	if j.train, err = readSplit(files[0].Path); err != nil {
		return err
	}
	if j.devSet, err = readSplit(files[1].Path); err != nil {
		return err
	}
	o := j.settings.images()
	o.Log = log
	if o.Features != "" && (j.settings.Flip || j.settings.MinCropArea < 1) {
		log.Info("region features are neither cropped nor mirrored")
		j.settings.Flip, j.settings.MinCropArea = false, 1
	}
	extractor := func() (regions.Extractor, error) {
		x, err := regions.NewExtractor(j.settings.spec())
		if err != nil {
			return nil, &SettingError{err}
		}
		return x, nil
	}
	var sets []*captions.Set
	j.source, j.spec, sets, err = openImages(o, extractor, picture.DefaultLimits, int64(j.settings.ImageCache)<<20, j.train, j.devSet)
	if err != nil {
		return err
	}
	j.train, j.devSet = sets[0], sets[1]
	j.settings.imageDim = j.source.Dim()
	return (&captions.Groups{Set: j.train, Negatives: j.settings.Negatives}).Check()
}

// readSplit reads the split whose list is the given file.
func readSplit(list string) (*captions.Set, error) {
	return captions.Read(filepath.Dir(list), strings.TrimSuffix(filepath.Base(list), filepath.Ext(list)))
}

// digests implements [job].
func (j *retrieval) digests() (map[string]string, error) {
	images, err := digestImages(j.settings.images(), j.train, j.devSet)
	return map[string]string{"images": images}, err
}

func (j *retrieval) texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range j.train.Captions {
			if !yield(c.Text) {
				return
			}
		}
	}
}

func (j *retrieval) specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }

func (j *retrieval) learner(_ context.Context, dev engine.Device, cfg model.Config, tok *tokenizer.Tokenizer, log *slog.Logger) (learner, error) {
	m, err := model.New[*model.Retriever](dev, cfg, j.settings.Seed)
	if err != nil {
		return nil, err
	}
	enc := captionEncoder{tok, j.settings.MaxSeqLen}
	tokens, cut := enc.all(j.train)
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
	l := &retrievalLearner{
		baseLearner: newBase(j.preset, &s.CommonSettings, dev, cfg, m.Params, tok, lengths),
		settings:    s, model: m, train: j.train, devCaptions: j.devSet, tokens: tokens, source: j.source, encoder: enc,
		groups: captions.Groups{Set: j.train, Negatives: s.Negatives, Seed: s.Seed}, scorer: rank.NewScorer(dev, m),
	}
	l.contrast = batches.Batches{Lengths: alone, Size: s.ContrastBatchSize, InTokens: s.InTokens, Shuffle: true, Seed: s.Seed}
	all := evalSet(j.devSet, j.source, enc)
	l.devSet = all.First(s.EvalImages)
	l.devNotes = firstNotes(l.devSet, all)
	l.devLen, l.about = len(l.devSet.Texts), j.about(log)
	l.line = func(i int) int { return j.train.Captions[i].Line }
	if j.spec != nil {
		l.files = map[string][]byte{regions.SpecFile: j.spec.File()}
	}
	return l, nil
}

// captionEncoder makes tokens of captions.
type captionEncoder struct {
	tok    *tokenizer.Tokenizer
	maxLen int
}

func (e captionEncoder) encode(text string) (tokens []int32, cut bool) {
	r, cut := (&labelled.Encoder{Tokenizer: e.tok, MaxLen: e.maxLen}).Encode(labelled.Example{TextA: text})
	return r.Tokens, cut
}

func (e captionEncoder) all(set *captions.Set) (tokens rank.Texts, cut int) {
	tokens = make(rank.Texts, len(set.Captions))
	for i, c := range set.Captions {
		if c.Tokens != nil {
			tokens[i] = captions.Truncate(c.Tokens, e.maxLen)
			if len(tokens[i]) < len(c.Tokens) {
				cut++
			}
			continue
		}
		var shorter bool
		if tokens[i], shorter = e.encode(c.Text); shorter {
			cut++
		}
	}
	return tokens, cut
}

func evalSet(set *captions.Set, source regions.Source, enc captionEncoder) rank.Set {
	tokens, _ := enc.all(set)
	return rank.Set{Images: rank.Images{Source: source, IDs: set.Images}, Texts: tokens, ImageOf: set.ImageOf()}
}

// retrievalLearner implements [learner].
type retrievalLearner struct {
	baseLearner
	settings    *RetrievalSettings
	model       *model.Retriever
	train       *captions.Set
	devCaptions *captions.Set
	tokens      rank.Texts
	source      regions.Source
	groups      captions.Groups
	contrast    batches.Batches // of the epochs that train vectors only
	encoder     captionEncoder
	devNotes    []string // on what of dev is not scored
	devSet      rank.Set // of its first images
	scorer      *rank.Scorer
}

var _ learner = (*retrievalLearner)(nil)

func (l *retrievalLearner) plan(epoch int) *batches.Batches {
	if epoch < l.settings.ContrastEpochs {
		return &l.contrast
	}
	return &l.batches
}

// Batches implements [train.Task].
func (l *retrievalLearner) Batches(epoch int) int { return l.plan(epoch).Count(epoch) }

// Total implements [train.Task].
func (l *retrievalLearner) Total(epochs int) int {
	first := min(epochs, l.settings.ContrastEpochs)
	return l.contrast.Total(first) + l.batches.Total(epochs) - l.batches.Total(first)
}

// Describe implements [train.Task].
func (l *retrievalLearner) Describe(epoch, batch int) string {
	return l.describe(l.plan(epoch).At(epoch, batch))
}

// pairs returns the captions of a batch with their images, and the groups of all of them
// unless these have to be chosen by the vectors.
func (l *retrievalLearner) pairs(epoch, batch int) *pairBatch {
	b := newPairBatch(l.plan(epoch).At(epoch, batch), l.train)
	if epoch >= l.settings.ContrastEpochs && !l.settings.HardNegatives {
		b.addGroups(&l.groups, epoch)
	}
	return b
}

// Parts implements [train.Task]: the circle loss is a mean over groups, the contrastive loss one
// over the captions whose image is in the batch.
func (l *retrievalLearner) Parts(epoch, batch int) ([]train.Part, error) {
	b := l.pairs(epoch, batch)
	own := 0
	for _, image := range b.imageOf {
		if image >= 0 {
			own++
		}
	}
	if epoch < l.settings.ContrastEpochs {
		return []train.Part{{Name: "contrast", Weight: 1, Count: own}}, nil
	}
	parts := []train.Part{{Name: "circle", Weight: 1, Count: len(b.rows)}}
	if w := l.settings.ContrastWeight; w > 0 {
		parts = append(parts, train.Part{Name: "contrast", Weight: w, Count: own})
	}
	return parts, nil
}

// Loss implements [train.Task].
func (l *retrievalLearner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	b := l.pairs(epoch, batch)
	contrasting := epoch < l.settings.ContrastEpochs
	images, texts, err := l.inputs(b, epoch)
	if err != nil {
		return nil, 0, err
	}
	im, tx := l.model.ImagePart(tape, images), l.model.TextPart(tape, texts)
	s := l.settings
	var contrast *autograd.Var
	tokens := len(texts.Tokens) + int(images.Offsets[len(images.Offsets)-1])
	if s.ContrastWeight > 0 || contrasting || s.HardNegatives {
		iv, tv := l.model.ImageVectors(tape, im), l.model.TextVectors(tape, tx)
		contrast = l.model.ContrastiveLoss(tape, iv, tv, b.imageOf, s.Temperature)
		if contrasting {
			return []*autograd.Var{contrast}, tokens, nil
		}
		if s.HardNegatives {
			b.hardGroups(s, epoch, engine.Values(l.dev, iv.Value), engine.Values(l.dev, tv.Value), s.ContrastSize)
		}
	}
	scores := l.model.Scores(tape, im, tx, b.pairs)
	for _, p := range b.pairs {
		tokens += int(images.Offsets[p.Image+1] - images.Offsets[p.Image] + texts.Offsets[p.Text+1] - texts.Offsets[p.Text])
	}
	losses := []*autograd.Var{l.model.CircleLoss(tape, scores, 1+s.Negatives, s.Negatives/2, s.Margin, s.ScaleCircle, s.UseSigmoid)}
	if s.ContrastWeight > 0 {
		losses = append(losses, contrast)
	}
	return losses, tokens, nil
}

// inputs reads the images of a batch, changed at random where the settings say so, and its texts.
func (l *retrievalLearner) inputs(b *pairBatch, epoch int) (model.Images, model.Text, error) {
	read := make([]regions.Image, len(b.images))
	flipped := make([]bool, len(b.images))
	failures := make([]error, len(b.images))
	parallel.For(len(read), func(i int) {
		name := l.train.Images[b.images[i]]
		change := picture.Augmentation{MinArea: l.settings.MinCropArea, Flip: l.settings.Flip && l.mirrors(b.images[i])}
		if pictures, ok := l.source.(*regions.Pictures); ok && (change.Flip || change.MinArea < 1) {
			flipped[i], failures[i] = pictures.Augmented(name, change, draws(l.settings.Seed, epoch, b.images[i], 1).Uint64(), &read[i])
			return
		}
		failures[i] = l.source.Image(name, &read[i])
	})
	var packed regions.Batch
	packed.Reset()
	for i := range read {
		if failures[i] != nil {
			return model.Images{}, model.Text{}, failures[i]
		}
		packed.Append(&read[i])
	}
	texts := make(rank.Texts, len(b.captions))
	for i, c := range b.captions {
		texts[i] = l.tokens[c]
		if own := b.imageOf[i]; own >= 0 && flipped[own] {
			text := l.train.Captions[c].Text
			if mirrored := captions.MirrorText(text); mirrored != text {
				texts[i], _ = l.encoder.encode(mirrored)
			}
		}
	}
	numbers := make([]int32, len(texts))
	for i := range numbers {
		numbers[i] = int32(i)
	}
	return model.Images{Features: packed.Features, Locations: packed.Locations, Offsets: packed.Offsets}, texts.Pack(numbers), nil
}

// mirrors says whether left and right can be exchanged in all captions of an image: in tokens they
// cannot.
func (l *retrievalLearner) mirrors(image int) bool {
	return !slices.ContainsFunc(l.train.Of(image), func(c int) bool { return l.train.Captions[c].Tokens != nil })
}

// pairBatch is a batch of captions with their images, each once, and the pairs of them
// that the match head scores, in the order of groups.
type pairBatch struct {
	set      *captions.Set
	rows     []int // the captions of the batch, places in captions
	images   []int // of the set
	captions []int // of the set
	imageOf  []int32
	pairs    []model.Pair

	imagePlace, captionPlace map[int]int32
}

func newPairBatch(idx []int, set *captions.Set) *pairBatch {
	b := &pairBatch{set: set, imagePlace: map[int]int32{}, captionPlace: map[int]int32{}}
	for _, c := range idx {
		b.image(set.Captions[c].Image)
		b.rows = append(b.rows, int(b.caption(c)))
	}
	b.own()
	return b
}

func (b *pairBatch) image(i int) int32 {
	place, ok := b.imagePlace[i]
	if !ok {
		place = int32(len(b.images))
		b.imagePlace[i] = place
		b.images = append(b.images, i)
	}
	return place
}

func (b *pairBatch) caption(c int) int32 {
	place, ok := b.captionPlace[c]
	if !ok {
		place = int32(len(b.captions))
		b.captionPlace[c] = place
		b.captions = append(b.captions, c)
	}
	return place
}

// own sets the image of every caption, -1 where it is not in the batch.
func (b *pairBatch) own() {
	b.imageOf = b.imageOf[:0]
	for _, c := range b.captions {
		place, ok := b.imagePlace[b.set.Captions[c].Image]
		if !ok {
			place = -1
		}
		b.imageOf = append(b.imageOf, place)
	}
}

// addGroups adds the reference's groups: the negatives are any images and captions.
func (b *pairBatch) addGroups(groups *captions.Groups, epoch int) {
	for _, row := range b.rows {
		g := groups.At(epoch, b.captions[row])
		caption, image := b.caption(g.Captions[0]), b.image(g.Images[0])
		b.pairs = append(b.pairs, model.Pair{Image: image, Text: caption})
		for _, i := range g.Images[1:] {
			b.pairs = append(b.pairs, model.Pair{Image: b.image(i), Text: caption})
		}
		for _, c := range g.Captions[1:] {
			b.pairs = append(b.pairs, model.Pair{Image: image, Text: b.caption(c)})
		}
	}
	b.own()
}

// hardGroups adds groups whose negatives come from the batch, each with a probability that
// grows with the similarity of the vectors; with too few others in the batch some come twice.
func (b *pairBatch) hardGroups(s *RetrievalSettings, epoch int, imageVectors, textVectors []float32, size int) {
	similarity := func(image, text int) float64 {
		var sum float32
		for k := range size {
			sum += imageVectors[image*size+k] * textVectors[text*size+k]
		}
		return float64(sum) / s.Temperature
	}
	for _, row := range b.rows {
		own := b.imageOf[row]
		random := draws(s.Seed, epoch, b.captions[row], 2)
		b.pairs = append(b.pairs, model.Pair{Image: own, Text: int32(row)})
		for _, i := range chooseHard(s.Negatives/2, len(b.images), random, func(i int) (float64, bool) { return similarity(i, row), int32(i) != own }) {
			b.pairs = append(b.pairs, model.Pair{Image: i, Text: int32(row)})
		}
		for _, c := range chooseHard(s.Negatives-s.Negatives/2, len(b.captions), random, func(c int) (float64, bool) { return similarity(int(own), c), b.imageOf[c] != own }) {
			b.pairs = append(b.pairs, model.Pair{Image: own, Text: c})
		}
	}
}

// chooseHard draws k of n items without putting them back, each with a probability that is
// proportional to exp(score): the k largest of score + Gumbel noise.
func chooseHard(k, n int, random *rand.ChaCha8, score func(i int) (float64, bool)) []int32 {
	type item struct {
		number int32
		key    float64
	}
	var items []item
	for i := range n {
		uniform := (float64(random.Uint64()>>11) + 0.5) / (1 << 53)
		if value, ok := score(i); ok {
			items = append(items, item{int32(i), value - math.Log(-math.Log(uniform))})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Or(cmp.Compare(b.key, a.key), cmp.Compare(a.number, b.number)) })
	chosen := make([]int32, k)
	for i := range chosen {
		if len(items) == 0 {
			continue // a batch of one image: the pair is its own negative, which teaches nothing
		}
		chosen[i] = items[i%len(items)].number
	}
	return chosen
}

// draws returns the random numbers of one purpose for an item of an epoch.
func draws(seed uint64, epoch, item int, purpose uint64) *rand.ChaCha8 {
	var key [32]byte
	high, low := bits.Mul64(seed+1, 0x9e3779b97f4a7c15)
	for i, part := range []uint64{high ^ low, uint64(epoch), uint64(item), purpose} {
		binary.LittleEndian.PutUint64(key[8*i:], part)
	}
	return rand.NewChaCha8(key)
}

// Evaluate implements [train.Task]. While only vectors are trained, they are what is scored.
func (l *retrievalLearner) Evaluate(ctx context.Context, epoch int, tick func(done, total int)) (train.Evaluation, error) {
	contrasting := epoch < l.settings.ContrastEpochs
	candidates := l.settings.EvalCandidates
	if contrasting {
		candidates = 0
	}
	r, err := l.assess(ctx, l.devSet, candidates, contrasting, tick)
	if err != nil {
		return train.Evaluation{}, err
	}
	m := recallNumbers(r.Recalls, l.devSet)
	e := train.Evaluation{Metric: l.preset.Metric, Score: m[l.preset.Metric], Metrics: m}
	if contrasting {
		e.How = "by vectors"
	}
	return e, nil
}

// assess ranks a set by two stages or, with candidates 0, by the match score of every pair; with
// vectorsOnly by vectors.
func (l *retrievalLearner) assess(ctx context.Context, set rank.Set, candidates int, vectorsOnly bool, tick func(done, total int)) (rank.Outcome, error) {
	if candidates == 0 && !vectorsOnly {
		return l.scorer.Exhaustive(ctx, set, nil, tick)
	}
	v, err := l.scorer.Vectors(ctx, set, tick)
	if err != nil {
		return rank.Outcome{}, err
	}
	return l.scorer.TwoStage(ctx, set, v, candidates, tick)
}

// recallNumbers are the metrics of retrieval by their names.
func recallNumbers(r rank.Recalls, set rank.Set) train.Numbers {
	m := train.Numbers{
		"recall@1":  train.Number((r.Image.At1 + r.Text.At1) / 2),
		"mean_rank": train.Number((r.Image.MeanRank + r.Text.MeanRank) / 2),
		"images":    train.Number(len(set.Images.IDs)), "examples": train.Number(len(set.Texts)),
	}
	for name, recall := range map[string]metrics.Recall{"image": r.Image, "text": r.Text} {
		m[name+"_recall@1"], m[name+"_recall@5"], m[name+"_recall@10"] = train.Number(recall.At1), train.Number(recall.At5), train.Number(recall.At10)
		m[name+"_mean_rank"] = train.Number(recall.MeanRank)
	}
	return m
}

func (l *retrievalLearner) score(ctx context.Context, f splitFile, tick func(done, total int)) (Result, error) {
	out, err := l.assess(ctx, l.devSet, l.settings.EvalCandidates, false, tick)
	if err != nil {
		return Result{}, err
	}
	return Result{
		Split: f.Split, File: f.Path, Notes: l.devNotes, Scores: Scores{Metrics: recallNumbers(out.Recalls, l.devSet)},
		Retrieved: &Retrieved{Texts: captionTexts(l.devCaptions, len(l.devSet.Images.IDs)), Set: l.devSet, Outcome: out, pictures: captions.ImageDir(l.devCaptions.Dir)},
	}, nil
}

func (l *retrievalLearner) predict(context.Context, splitFile, string, func(done, total int)) error {
	return nil // a test set is scored by "unimo evaluate"; there is nothing to hand in
}

func (l *retrievalLearner) show(page *report.Run, first Result, _ train.History) {
	page.Galleries = first.Retrieved.galleries()
}
