package picture

import (
	"image"
	"math"

	"github.com/unimo-go/unimo/internal/base/random"
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
// The result depends on the arguments alone and stays the same for ever.
func (p *Picture) Augment(a Augmentation, draws *random.Stream, w, h int) (out *Picture, flipped bool) {
	part, flipped := a.draw(draws, p.Width, p.Height)
	out = p.scale(part, w, h)
	if flipped {
		out = out.Flip()
	}
	return out, flipped
}

// draw returns the part of a picture of w x h pixels, and whether to flip it.
func (a Augmentation) draw(draws *random.Stream, w, h int) (part image.Rectangle, flip bool) {
	uniform := func(low, high float64) float64 { return low + (high-low)*draws.Float64() }
	coin := func() bool { return draws.IntN(2) == 1 }

	area := uniform(min(max(a.MinArea, 0), 1), 1)
	ratio := uniform(max(3./4, area), 1) // a narrower part of this area would be higher than the picture
	if coin() {
		ratio = 1 / ratio
	}
	width, height := side(w, math.Sqrt(area*ratio)), side(h, math.Sqrt(area/ratio))
	x := int(uniform(0, float64(w-width+1)))
	y := int(uniform(0, float64(h-height+1)))
	return image.Rect(x, y, x+width, y+height), coin() && a.Flip
}

// side is a share of n pixels, at least one and at most all.
func side(n int, share float64) int {
	return min(max(int(math.Round(float64(n)*share)), 1), n)
}
