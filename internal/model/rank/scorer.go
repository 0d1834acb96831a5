package rank

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
)

// Images are numbered images of a source.
type Images struct {
	Source regions.Source
	IDs    []string
}

// Texts are numbered texts as the model reads them: tokens with [CLS] and [SEP].
type Texts [][]int32

// Scorer takes images, texts and pairs of them through a retriever, a batch at a time. It is
// safe for concurrent use.
type Scorer struct {
	collective.Sharing
	dev   engine.Device
	model *model.Retriever
	tapes *autograd.Pool
	rows  int // tokens and regions of a batch
}

// pass is a call of a scorer, which has a tape of its own.
type pass struct {
	*Scorer
	dev  engine.Device // of the tape
	tape *autograd.Tape
}

// Sizes of blocks and batches. A batch of some thousand rows fills the products and its
// values are still in the cache when the next operation comes.
const (
	batchRows  = 2048
	imageBlock = 64
	textBlock  = 128
)

// NewScorer returns a scorer that computes on dev.
func NewScorer(dev engine.Device, m *model.Retriever) *Scorer {
	return &Scorer{dev: dev, model: m, tapes: autograd.NewPool(dev), rows: batchRows}
}

// begin begins a pass, which end ends.
func (s *Scorer) begin() (p pass, end func()) {
	tape := s.tapes.Take()
	return pass{s, tape.Device(), tape}, func() { s.tapes.Give(tape) }
}

// read reads the images of some numbers, several at a time.
func (im Images) read(numbers []int32, limit parallel.Limit) ([]regions.Image, error) {
	read := make([]regions.Image, len(numbers))
	failures := make([]error, len(numbers))
	limit.For(len(numbers), func(i int) { failures[i] = im.Source.Image(im.IDs[numbers[i]], &read[i]) })
	for _, err := range failures {
		if err != nil {
			return nil, err
		}
	}
	return read, nil
}

// Pack returns the images of the given numbers behind each other. They are read several at a time.
func (im Images) Pack(numbers []int32, limit parallel.Limit) (model.Images, error) {
	read, err := im.read(numbers, limit)
	return packed(read), err
}

func packed(list []regions.Image) (p model.Images) {
	for i := range list {
		p.Append(&list[i])
	}
	return p
}

// Pack returns the texts of the given numbers behind each other.
func (t Texts) Pack(numbers []int32) (packed model.Text) {
	for _, n := range numbers {
		packed.Append(t[n])
	}
	return packed
}

// images and texts return the side of the given numbers, which belongs to the tape's pass.
func (s pass) images(im Images, numbers []int32) (model.Side, error) {
	in, err := im.Pack(numbers, s.dev.Limit())
	if err != nil {
		return model.Side{}, err
	}
	if err := in.Check(s.model.Config); err != nil {
		return model.Side{}, fmt.Errorf("images from %s on: %w", im.IDs[numbers[0]], err)
	}
	return s.model.Side(s.tape, model.Input{Images: in}), nil
}

func (s pass) texts(t Texts, numbers []int32) (model.Side, error) {
	in := t.Pack(numbers)
	if err := in.Check(s.model.Config); err != nil {
		return model.Side{}, fmt.Errorf("texts from number %d on: %w", numbers[0], err)
	}
	return s.model.Side(s.tape, model.Input{Text: in}), nil
}

// ImageVectors returns the vectors of all images, each of the model's contrast size and of
// length 1, behind each other.
func (s *Scorer) ImageVectors(ctx context.Context, im Images, tick func(done, total int)) ([]float32, error) {
	p, end := s.begin()
	defer end()
	all := sequence(0, len(im.IDs))
	plan := slices.Collect(slices.Chunk(all, imageBlock/2))
	if l, ok := im.Source.(listed); ok && engine.Fits(p.dev) { // of those in memory it is known how many rows they have
		plan = l.plan(s.rows)
	}
	return p.vectors(ctx, plan, len(all), tick, func(numbers []int32) (*autograd.Var, error) {
		side, err := p.images(im, numbers)
		if err != nil {
			return nil, err
		}
		v := s.model.ImageVectors(p.tape, side)
		engine.Expect(p.dev, v.Value)
		return v, s.model.Params.CheckOutput(p.tape, "vectors of images", v)
	})
}

// TextVectors returns the vectors of all texts like [Scorer.ImageVectors].
func (s *Scorer) TextVectors(ctx context.Context, t Texts, tick func(done, total int)) ([]float32, error) {
	p, end := s.begin()
	defer end()
	lengths := make([]int, len(t))
	for i := range t {
		lengths[i] = len(t[i])
	}
	plan := planned(lengths, s.rows)
	return p.vectors(ctx, plan, len(t), tick, func(numbers []int32) (*autograd.Var, error) {
		side, err := p.texts(t, numbers)
		if err != nil {
			return nil, err
		}
		v := s.model.TextVectors(p.tape, side)
		engine.Expect(p.dev, v.Value)
		return v, s.model.Params.CheckOutput(p.tape, "vectors of texts", v)
	})
}

// planned cuts images or texts into batches of up to so many rows, of those that are about as long as each other.
func planned(lengths []int, rows int) (plan [][]int32) {
	for _, batch := range batches.Together(lengths, rows) {
		numbers := make([]int32, len(batch))
		for i, n := range batch {
			numbers[i] = int32(n)
		}
		plan = append(plan, numbers)
	}
	return plan
}

// vectors returns those of n images or texts, of which the plan has batches.
func (s pass) vectors(ctx context.Context, plan [][]int32, n int, tick func(done, total int), encode func(numbers []int32) (*autograd.Var, error)) ([]float32, error) {
	size := s.model.Config.ContrastSize
	if size == 0 {
		return nil, fmt.Errorf("the model has no vectors of images and texts alone (contrast_size is 0); score every pair, or fine-tune with contrast_size")
	}
	vectors, done := make([]float32, n*size), 0
	err := collective.Spread(s.Group(), len(plan), func(i int) ([]float32, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		defer s.tape.Release()
		v, err := encode(plan[i])
		if err != nil {
			return nil, err
		}
		return slices.Clone(engine.Values(s.dev, v.Value)), nil
	}, func(i int, part []float32) {
		for k, number := range plan[i] {
			copy(vectors[int(number)*size:], part[k*size:(k+1)*size])
		}
		done += len(plan[i])
		tick(done, n)
	})
	if err != nil {
		return nil, err
	}
	return vectors, nil
}

// sequence returns lo to hi-1.
func sequence(lo, hi int) []int32 {
	numbers := make([]int32, hi-lo)
	for i := range numbers {
		numbers[i] = int32(lo + i)
	}
	return numbers
}

// Pairs calls emit with the match score of every pair, in an order of its own. Images and texts
// that are in many pairs are read once for a block of pairs. While tick runs nothing of the scorer is in use.
func (s *Scorer) Pairs(ctx context.Context, im Images, t Texts, pairs []model.Pair, emit func(p model.Pair, score float32), tick func(done, total int)) error {
	own, end := s.begin()
	defer end()
	pairs = slices.Clone(pairs)
	slices.SortFunc(pairs, func(a, b model.Pair) int {
		return cmp.Or(cmp.Compare(a.Image, b.Image), cmp.Compare(a.Text, b.Text))
	})
	var blocks []block
	for lo := 0; lo < len(pairs); {
		b := block{images: []int32{pairs[lo].Image}, lo: lo}
		for b.hi = lo; b.hi < len(pairs); b.hi++ {
			if image := pairs[b.hi].Image; image != b.images[len(b.images)-1] {
				if len(b.images) == imageBlock {
					break
				}
				b.images = append(b.images, image)
			}
		}
		blocks = append(blocks, b)
		lo = b.hi
	}
	done, shared := 0, s.Group().Size() > 1
	return collective.Spread(s.Group(), len(blocks), func(i int) (list []scored, err error) {
		b := blocks[i]
		err = own.imagePairs(ctx, im, t, b.images, pairs[b.lo:b.hi], func(p model.Pair, score float32) { list = append(list, scored{p, score}) }, func(n int) {
			if !shared {
				done += n
				tick(done, len(pairs))
			}
		})
		return list, err
	}, func(_ int, list []scored) {
		for _, x := range list {
			emit(x.Pair, x.Score)
		}
		if shared {
			done += len(list)
			tick(done, len(pairs))
		}
	})
}

// block is some images and where the pairs with them are.
type block struct {
	images []int32
	lo, hi int
}

type scored struct {
	Pair  model.Pair
	Score float32
}

// imagePairs scores pairs of the given images, which stay in memory.
func (s pass) imagePairs(ctx context.Context, im Images, t Texts, images []int32, pairs []model.Pair, emit func(p model.Pair, score float32), tick func(pairs int)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if engine.Fits(s.dev) {
		return s.fittedPairs(ctx, im, t, images, pairs, emit, tick)
	}
	side, err := s.images(im, images)
	if err != nil {
		s.tape.Release()
		return err
	}
	kept := side.Keep(s.dev)
	s.tape.Release()
	defer kept.Free(s.dev)
	place := make(map[int32]int32, len(images))
	for i, number := range images {
		place[number] = int32(i)
	}
	// Pairs with the same texts come together.
	slices.SortFunc(pairs, func(a, b model.Pair) int {
		return cmp.Or(cmp.Compare(a.Text, b.Text), cmp.Compare(a.Image, b.Image))
	})
	for lo := 0; lo < len(pairs); {
		texts := []int32{pairs[lo].Text}
		hi := lo
		var local []model.Pair
		for ; hi < len(pairs); hi++ {
			if text := pairs[hi].Text; text != texts[len(texts)-1] {
				if len(texts) == textBlock {
					break
				}
				texts = append(texts, text)
			}
			local = append(local, model.Pair{Image: place[pairs[hi].Image], Text: int32(len(texts) - 1)})
		}
		err := s.textPairs(ctx, kept, t, texts, local, func(k int, score float32) { emit(pairs[lo+k], score) }, tick)
		if err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// textPairs scores pairs of images and texts that both stay in memory, as many at a time
// as their rows allow.
func (s pass) textPairs(ctx context.Context, images model.Side, t Texts, texts []int32, pairs []model.Pair, emit func(k int, score float32), tick func(pairs int)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	side, err := s.texts(t, texts)
	if err != nil {
		s.tape.Release()
		return err
	}
	kept := side.Keep(s.dev)
	s.tape.Release()
	defer kept.Free(s.dev)
	for lo := 0; lo < len(pairs); {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi, rows := lo, 0
		for hi < len(pairs) && (hi == lo || rows < s.rows) {
			rows += images.Rows(pairs[hi].Image) + kept.Rows(pairs[hi].Text)
			hi++
		}
		scores := s.model.Scores(s.tape, images, kept, pairs[lo:hi])
		if err := s.model.Params.CheckOutput(s.tape, "match scores", scores); err != nil {
			s.tape.Release()
			return err
		}
		for k, score := range engine.Values(s.dev, scores.Value) {
			emit(lo+k, score)
		}
		s.tape.Release()
		tick(hi - lo)
		lo = hi
	}
	return nil
}
