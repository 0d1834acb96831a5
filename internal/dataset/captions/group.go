package captions

import (
	"errors"
	"regexp"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// Group is what a caption is trained with. Images[0] and Captions[0] belong together;
// Images[1:] are other images for that caption, Captions[1:] captions of other images.
type Group struct {
	Images   []int // indices into Set.Images
	Captions []int // indices into Set.Captions
}

// Groups draws the groups of a set: half of the negative pairs have another image, the
// others another caption. As in the reference the other image is any with equal
// probability, drawn anew for every pair, and the other caption any of another image.
//
// Differs from the reference: its generator is seeded with the epoch alone and runs on
// from group to group; here every group has its own, so that any can be drawn alone.
type Groups struct {
	Set       *Set
	Negatives int // pairs besides the right one; the reference's 20. Of an odd number the captions have one more
	Seed      uint64
}

// Check says whether groups can be drawn: from two images on, with one negative pair or more.
func (g *Groups) Check() error {
	switch {
	case g.Negatives < 1:
		return errors.New("a group needs a negative pair; give a number of negatives from 1 on")
	case len(g.Set.Images) < 2:
		return errors.New("a group needs another image; give a split with two images or more")
	}
	return nil
}

// At returns the group of a caption in an epoch. It depends on the seed, the set and the
// arguments alone. Groups that fail [Groups.Check] panic.
func (g *Groups) At(epoch, caption int) Group {
	if err := g.Check(); err != nil {
		panic("captions: " + err.Error())
	}
	draw := random.New(g.Seed, "negatives", epoch, caption)
	own := g.Set.Captions[caption].Image
	another := func() int {
		if i := draw.IntN(len(g.Set.Images) - 1); i < own {
			return i
		} else {
			return i + 1
		}
	}
	images := g.Negatives / 2
	out := Group{Images: make([]int, 1, images+1), Captions: make([]int, 1, g.Negatives-images+1)}
	out.Images[0], out.Captions[0] = own, caption
	for range images {
		out.Images = append(out.Images, another())
	}
	for range g.Negatives - images {
		of := g.Set.Of(another())
		out.Captions = append(out.Captions, of[draw.IntN(len(of))])
	}
	return out
}

// Truncate returns the first tokens of a caption and its last one, at most limit in all,
// as the reference does. limit is at least 2. What fits is returned as it is.
func Truncate(tokens []int32, limit int) []int32 {
	if len(tokens) <= limit {
		return tokens
	}
	out := make([]int32, limit)
	copy(out, tokens[:limit-1])
	out[limit-1] = tokens[len(tokens)-1]
	return out
}

// sides are the words that name a side, and phrases in which they do not.
var sides = regexp.MustCompile(`(?i)\bleft (?:alone|behind|over)\b|\bright (?:now|away|next to)\b|\ball right\b|` +
	`\b(left|right)(?:most|wards?|hand(?:ed)?|side)?\b`)

// MirrorText says left where s says right and the other way round, for the caption of a
// picture that is flipped. Whole words only, in their letter case.
func MirrorText(s string) string {
	return sides.ReplaceAllStringFunc(s, func(found string) string {
		m := sides.FindStringSubmatch(found)
		side := m[1]
		if side == "" {
			return found
		}
		other := "right"
		if strings.EqualFold(side, "right") {
			other = "left"
		}
		switch {
		case side == strings.ToUpper(side):
			other = strings.ToUpper(other)
		case side[:1] == strings.ToUpper(side[:1]):
			other = strings.ToUpper(other[:1]) + other[1:]
		}
		return other + found[len(side):]
	})
}
