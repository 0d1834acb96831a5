package pretrain

import (
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/engine"
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
	JointKinds engine.Contrast // a group for each pair

	// Encoded alone. The texts are the pairs' captions, then retrieved ones.
	Alone     model.Text
	Compared  []Compared
	TextKinds engine.Contrast // for each caption, of all images
	ImageKind engine.Contrast // for each pair's image, of all texts
}

// Compared is what there is to know of a pair to compare its image and its caption, and what was retrieved for it, with those of others.
type Compared struct {
	Key     string // where the pair is
	Name    string // of its image
	Caption Text
	Said    []string // what is true of the image: all captions and paraphrases
	Images  []string // retrieved ones, by their names
	Texts   []Text   // retrieved
}

// Text is a text with its tokens.
type Text struct {
	Text   string
	Tokens []int32
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
		add(own[i], engine.Positive)
		for _, tokens := range it.positives {
			add(c.Joint.Append(tokens), engine.Positive)
		}
		for _, tokens := range it.negatives {
			if !isTrue(tokens) {
				add(c.Joint.Append(tokens), engine.Negative)
			}
		}
		// Other captions of the batch, each once, in an order of chance, for what is still missing.
		others := stream.Perm(len(items))
		for _, j := range others {
			if len(c.Candidates)-begin == r.candidates() {
				break
			}
			if !items[j].named(it) && !isTrue(items[j].tokens) && !slices.Contains(it.said, items[j].caption) {
				add(own[j], engine.Negative)
			}
		}
		for len(c.Candidates)-begin < r.candidates() {
			add(own[i], engine.Excluded)
		}
	}
}

// compare adds retrieved images to the pairs' and says what is alike.
func compare(c *CMCL, items []item) {
	for i := range items {
		it := &items[i]
		c.Alone.Append(it.tokens)
		pair := Compared{Key: it.key, Name: it.image.ID, Caption: Text{it.caption, it.tokens}, Said: it.said, Texts: it.texts}
		for k := range it.images {
			pair.Images = append(pair.Images, it.images[k].ID)
		}
		c.Compared = append(c.Compared, pair)
	}
	for i := range items {
		for k := range items[i].images {
			c.Images.Append(&items[i].images[k])
		}
		for _, t := range items[i].texts {
			c.Alone.Append(t.Tokens)
		}
	}
	c.TextKinds, c.ImageKind = alike(c.Compared)
}

// alike says what images are to the captions of pairs, and texts to their images: those of the pairs, then retrieved ones.
func alike(pairs []Compared) (textKinds, imageKind engine.Contrast) {
	var imageOwner, textOwner []int // the pair that an image or text was taken or retrieved for
	var names []string              // of the images
	var texts []Text
	for i, p := range pairs {
		imageOwner, names = append(imageOwner, i), append(names, p.Name)
		textOwner, texts = append(textOwner, i), append(texts, p.Caption)
	}
	for i, p := range pairs {
		for _, name := range p.Images {
			imageOwner, names = append(imageOwner, i), append(names, name)
		}
		for _, t := range p.Texts {
			textOwner, texts = append(textOwner, i), append(texts, t)
		}
	}
	for i, p := range pairs {
		textKinds.Kinds = append(textKinds.Kinds, kinds(i, pairs, imageOwner, func(a, b int) bool {
			return names[a] == names[b] || b < len(pairs) && slices.Contains(pairs[b].Said, p.Caption.Text)
		})...)
		imageKind.Kinds = append(imageKind.Kinds, kinds(i, pairs, textOwner, func(a, b int) bool {
			return slices.Equal(texts[a].Tokens, texts[b].Tokens) || slices.Contains(p.Said, texts[b].Text)
		})...)
	}
	textKinds.Group, imageKind.Group = len(imageOwner), len(textOwner)
	return textKinds, imageKind
}

// kinds says of everything that was taken for some pair what it is to pair i: a positive if it was taken
// for that pair or for another drawing of the same sample; otherwise a negative, unless it equals a positive or was
// taken for an image of the same name, which excludes it.
func kinds(i int, pairs []Compared, owners []int, equal func(positive, k int) bool) []int8 {
	out := make([]int8, len(owners))
	var positives []int
	for k, owner := range owners {
		if pairs[owner].Key == pairs[i].Key {
			positives, out[k] = append(positives, k), engine.Positive
		}
	}
	for k, owner := range owners {
		if out[k] == engine.Negative && (pairs[owner].Name == pairs[i].Name || slices.ContainsFunc(positives, func(p int) bool { return equal(p, k) })) {
			out[k] = engine.Excluded
		}
	}
	return out
}
