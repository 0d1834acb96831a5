package picture

import (
	"encoding/binary"
	"image"
	"math"
	"math/rand/v2"
)

// Augmentation says how a picture is changed at random in training. The zero value
// crops anything; {MinArea: 1} changes nothing.
type Augmentation struct {
	MinArea float64 // the least share of the area that a crop keeps, 0 to 1; 1: no crop
	Flip    bool    // exchange left and right in every second picture
}

// Augment cuts out a part of the picture, scales it to w x h pixels and possibly flips
// it, and says whether it did: a caption with "left" in it is then wrong. The part's
// share of the area is uniform in [MinArea, 1], and its sides' ratio is that of the
// picture times a factor in [3/4, 4/3], as far as such a part has room; its place is uniform.
//
// The result depends on the arguments alone and stays the same for ever. The draws are
// the raw numbers of ChaCha8 (math/rand/v2), whose key is the seed: seeds that differ
// by 1 have nothing in common.
func (p *Picture) Augment(a Augmentation, seed uint64, w, h int) (out *Picture, flipped bool) {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	source := rand.NewChaCha8(key)
	uniform := func(low, high float64) float64 {
		return low + (high-low)*float64(source.Uint64()>>11)/(1<<53)
	}

	area := uniform(min(max(a.MinArea, 0), 1), 1)
	ratio := uniform(max(3./4, area), 1) // a narrower part of this area would be higher than the picture
	if source.Uint64()>>63 == 1 {
		ratio = 1 / ratio
	}
	width := side(p.Width, math.Sqrt(area*ratio))
	height := side(p.Height, math.Sqrt(area/ratio))
	x := int(uniform(0, float64(p.Width-width+1)))
	y := int(uniform(0, float64(p.Height-height+1)))
	out = p.scale(image.Rect(x, y, x+width, y+height), w, h)
	if flipped = a.Flip && source.Uint64()>>63 == 1; flipped {
		out = out.Flip()
	}
	return out, flipped
}

// side is a share of n pixels, at least one and at most all.
func side(n int, share float64) int {
	return min(max(int(math.Round(float64(n)*share)), 1), n)
}
