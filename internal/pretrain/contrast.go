package pretrain

import (
	"math/rand/v2"
	"slices"

	"github.com/unimo-go/unimo/internal/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/regions"
)

// CMCL is what the pairs of a batch are compared with.
type CMCL struct {
	Images model.Images // of the pairs, then retrieved ones
	Pairs  int          // how many of them are the pairs'

	// Read jointly: pair i's image with its candidates. The texts are captions and rewritten ones.
	Joint      model.Text
	Candidates []model.Pair
	JointKinds engine.Contrast // a group for each pair

	// Encoded alone. The texts are the pairs' captions, then retrieved ones.
	Alone     model.Text
	TextKinds engine.Contrast // for each caption, of all images
	ImageKind engine.Contrast // for each pair's image, of all texts
}

// contrast makes the CMCL part of a batch, nil if it has none.
func (r *Recipe) contrast(items []item, random *rand.Rand) *CMCL {
	if !r.joint() && r.Weights.Contrast == 0 {
		return nil
	}
	c := &CMCL{Pairs: len(items)}
	var packed regions.Batch
	for i := range items {
		packed.Append(&items[i].image)
	}
	if r.joint() {
		r.pairUp(c, items, random)
	}
	if r.Weights.Contrast > 0 {
		compare(c, &packed, items)
	}
	c.Images = images(&packed)
	return c
}

// pairUp lists the joint pairs. A candidate that is also a caption or paraphrase of the image
// is never a negative.
func (r *Recipe) pairUp(c *CMCL, items []item, random *rand.Rand) {
	texts := packer{}
	own := make([]int32, len(items))
	for i := range items {
		own[i] = texts.add(items[i].tokens)
	}
	c.JointKinds.Group = r.candidates()
	for i := range items {
		it := &items[i]
		begin := len(c.Candidates)
		add := func(text int32, kind int8) {
			c.Candidates = append(c.Candidates, model.Pair{Image: int32(i), Text: text})
			c.JointKinds.Kinds = append(c.JointKinds.Kinds, kind)
		}
		add(own[i], engine.Positive)
		for _, tokens := range it.positives {
			add(texts.add(tokens), engine.Positive)
		}
		for _, tokens := range it.negatives {
			add(texts.add(tokens), engine.Negative)
		}
		// Other captions of the batch, each once, in an order of chance, for what is still missing.
		others := random.Perm(len(items))
		for _, j := range others {
			if len(c.Candidates)-begin == r.candidates() {
				break
			}
			if items[j].key != it.key && !slices.Equal(items[j].tokens, it.tokens) {
				add(own[j], engine.Negative)
			}
		}
		for len(c.Candidates)-begin < r.candidates() {
			add(own[i], engine.Excluded)
		}
	}
	c.Joint = texts.Text
}

// compare adds retrieved images to the packed ones and says what is alike.
func compare(c *CMCL, packed *regions.Batch, items []item) {
	var imageOwner, textOwner []int // the pair that an image or text was taken or retrieved for
	var imageKeys []string
	texts := packer{}
	var tokens [][]int32
	for i := range items {
		imageOwner, imageKeys = append(imageOwner, i), append(imageKeys, items[i].key)
		texts.add(items[i].tokens)
		textOwner, tokens = append(textOwner, i), append(tokens, items[i].tokens)
	}
	for i := range items {
		for k := range items[i].images {
			im := &items[i].images[k]
			packed.Append(&im.Image)
			imageOwner, imageKeys = append(imageOwner, i), append(imageKeys, im.key)
		}
		for _, t := range items[i].texts {
			texts.add(t)
			textOwner, tokens = append(textOwner, i), append(tokens, t)
		}
	}
	c.Alone = texts.Text
	for i := range items {
		it := &items[i]
		c.TextKinds.Kinds = append(c.TextKinds.Kinds, kinds(imageOwner, i, func(k int) bool {
			return imageKeys[k] == it.key || slices.ContainsFunc(it.images, func(r relatedImage) bool { return r.key == imageKeys[k] })
		}, func(owner int) bool { return items[owner].key == it.key })...)
		c.ImageKind.Kinds = append(c.ImageKind.Kinds, kinds(textOwner, i, func(k int) bool {
			return slices.Equal(tokens[k], it.tokens) || slices.ContainsFunc(it.texts, func(t []int32) bool { return slices.Equal(t, tokens[k]) })
		}, func(owner int) bool { return items[owner].key == it.key })...)
	}
	c.TextKinds.Group, c.ImageKind.Group = len(imageOwner), len(textOwner)
}

// kinds says of everything that was taken for some pair what it is to pair i: a positive if it was taken
// for that pair or for another drawing of the same image; otherwise a negative, unless it is the same
// as a positive, which excludes it.
func kinds(owners []int, i int, same func(k int) bool, sameImage func(owner int) bool) []int8 {
	out := make([]int8, len(owners))
	for k, owner := range owners {
		switch {
		case owner == i || sameImage(owner):
			out[k] = engine.Positive
		case same(k):
			out[k] = engine.Excluded
		default:
			out[k] = engine.Negative
		}
	}
	return out
}

// packer packs texts behind each other.
type packer struct{ model.Text }

// add returns the text's number.
func (p *packer) add(tokens []int32) int32 {
	if p.Offsets == nil {
		p.Offsets = []int32{0}
	}
	for i, id := range tokens {
		p.Tokens = append(p.Tokens, id)
		p.Positions = append(p.Positions, model.FirstPosition+int32(i))
	}
	p.Offsets = append(p.Offsets, int32(len(p.Tokens)))
	return int32(len(p.Offsets) - 2)
}
