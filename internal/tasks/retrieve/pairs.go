package retrieve

import (
	"cmp"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/model"
)

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
func (b *pairBatch) hardGroups(s *Settings, epoch int, imageVectors, textVectors []float32, size int) {
	similarity := func(image, text int) float64 {
		var sum float32
		for k := range size {
			sum += imageVectors[image*size+k] * textVectors[text*size+k]
		}
		return float64(sum) / s.Temperature
	}
	for _, row := range b.rows {
		own := b.imageOf[row]
		stream := random.New(s.Seed, "hard negatives", epoch, b.captions[row])
		b.pairs = append(b.pairs, model.Pair{Image: own, Text: int32(row)})
		for _, i := range chooseHard(s.Negatives/2, len(b.images), stream, func(i int) (float64, bool) { return similarity(i, row), int32(i) != own }) {
			b.pairs = append(b.pairs, model.Pair{Image: i, Text: int32(row)})
		}
		for _, c := range chooseHard(s.Negatives-s.Negatives/2, len(b.captions), stream, func(c int) (float64, bool) { return similarity(int(own), c), b.imageOf[c] != own }) {
			b.pairs = append(b.pairs, model.Pair{Image: own, Text: c})
		}
	}
}

// chooseHard draws k of n items without putting them back, each with a probability that is
// proportional to exp(score): the k largest of score + Gumbel noise.
func chooseHard(k, n int, stream *random.Stream, score func(i int) (float64, bool)) []int32 {
	type item struct {
		number int32
		key    float64
	}
	var items []item
	for i := range n {
		uniform := stream.Float64() + 0.5/(1<<53)
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
