package pretrain

import (
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
)

// CMCL is what the pairs of a batch are compared with.
type CMCL struct {
	Images model.Images // of the pairs, then retrieved ones
	Pairs  int          // how many of them are the pairs'

	// Read jointly: pair i's image with its candidates. The texts are captions and rewritten ones.
	Joint      model.Text
	Candidates []model.Pair
	JointKinds autograd.Contrast // a group for each pair

	// Encoded alone. The texts are the pairs' captions, then retrieved ones.
	Alone     model.Text
	TextKinds autograd.Contrast // for each caption, of all images
	ImageKind autograd.Contrast // for each pair's image, of all texts
}

// contrast makes the CMCL part of a batch, nil if it has none.
func (r *Recipe) contrast(items []item, stream *random.Stream) *CMCL {
	if !r.cmcl() {
		return nil
	}
	c := &CMCL{Pairs: len(items)}
	for i := range items {
		c.Images.Append(&items[i].image)
	}
	if r.joint() {
		r.pairUp(c, items, stream)
	}
	if r.Of(corpus.Pairs)[Contrast] > 0 {
		compare(c, items)
	}
	return c
}

// pairUp lists the joint pairs. A candidate that the image's captions or paraphrases say too is never a negative.
func (r *Recipe) pairUp(c *CMCL, items []item, stream *random.Stream) {
	own := make([]int32, len(items))
	for i := range items {
		own[i] = c.Joint.Append(items[i].tokens)
	}
	c.JointKinds.Group = r.candidates()
	for i := range items {
		it := &items[i]
		begin := len(c.Candidates)
		add := func(text int32, kind int8) {
			c.Candidates = append(c.Candidates, model.Pair{Image: int32(i), Text: text})
			c.JointKinds.Kinds = append(c.JointKinds.Kinds, kind)
		}
		isTrue := func(tokens []int32) bool {
			return slices.Equal(tokens, it.tokens) || slices.ContainsFunc(it.positives, func(p []int32) bool { return slices.Equal(p, tokens) })
		}
		add(own[i], autograd.Positive)
		for _, tokens := range it.positives {
			add(c.Joint.Append(tokens), autograd.Positive)
		}
		for _, tokens := range it.negatives {
			if !isTrue(tokens) {
				add(c.Joint.Append(tokens), autograd.Negative)
			}
		}
		// Other captions of the batch, each once, in an order of chance, for what is still missing.
		others := stream.Perm(len(items))
		for _, j := range others {
			if len(c.Candidates)-begin == r.candidates() {
				break
			}
			if !items[j].named(it) && !isTrue(items[j].tokens) && !slices.Contains(it.said, items[j].caption) {
				add(own[j], autograd.Negative)
			}
		}
		for len(c.Candidates)-begin < r.candidates() {
			add(own[i], autograd.Excluded)
		}
	}
}

// compare adds retrieved images to the pairs' and says what is alike.
func compare(c *CMCL, items []item) {
	var imageOwner, textOwner []int // the pair that an image or text was taken or retrieved for
	var names []string              // of the images
	var encoded []encodedText
	for i := range items {
		imageOwner, names = append(imageOwner, i), append(names, items[i].image.ID)
		c.Alone.Append(items[i].tokens)
		textOwner, encoded = append(textOwner, i), append(encoded, encodedText{items[i].caption, items[i].tokens})
	}
	for i := range items {
		for k := range items[i].images {
			im := &items[i].images[k]
			c.Images.Append(im)
			imageOwner, names = append(imageOwner, i), append(names, im.ID)
		}
		for _, t := range items[i].texts {
			c.Alone.Append(t.tokens)
			textOwner, encoded = append(textOwner, i), append(encoded, t)
		}
	}
	for i := range items {
		c.TextKinds.Kinds = append(c.TextKinds.Kinds, kinds(i, items, imageOwner, func(a, b int) bool {
			return names[a] == names[b] || b < len(items) && slices.Contains(items[b].said, items[i].caption)
		})...)
		c.ImageKind.Kinds = append(c.ImageKind.Kinds, kinds(i, items, textOwner, func(a, b int) bool {
			return slices.Equal(encoded[a].tokens, encoded[b].tokens) || slices.Contains(items[i].said, encoded[b].text)
		})...)
	}
	c.TextKinds.Group, c.ImageKind.Group = len(imageOwner), len(textOwner)
}

// kinds says of everything that was taken for some pair what it is to pair i: a positive if it was taken
// for that pair or for another drawing of the same sample; otherwise a negative, unless it equals a positive or was
// taken for an image of the same name, which excludes it.
func kinds(i int, items []item, owners []int, equal func(positive, k int) bool) []int8 {
	out := make([]int8, len(owners))
	var positives []int
	for k, owner := range owners {
		if items[owner].key == items[i].key {
			positives, out[k] = append(positives, k), autograd.Positive
		}
	}
	for k, owner := range owners {
		if out[k] == autograd.Negative && (items[owner].named(&items[i]) || slices.ContainsFunc(positives, func(p int) bool { return equal(p, k) })) {
			out[k] = autograd.Excluded
		}
	}
	return out
}
