package masking

import (
	"math"

	"github.com/unimo-go/unimo/internal/base/random"
)

// Regions hides regions of an image together with those that overlap them strongly, which
// would show what is hidden.
//
// Detectors' regions overlap in chains, often through the whole image. A chosen region
// therefore takes those that overlap it, but not those that overlap these in turn. Of what
// is hidden, only what no visible region shows is predicted: the chosen regions, and those
// of the others whose strong overlaps happen to be hidden too.
type Regions struct {
	Share   float64 // of the regions that are hidden, 0.15
	Overlap float64 // intersection over union above which two regions show the same, 0.3
}

// Choose takes boxes, n x 4 as x1, y1, x2, y2, and returns the regions to hide and those
// of them to predict, both ascending. There is one of each if there is a region.
func (g *Regions) Choose(boxes []float32, r *random.Stream) (hidden, predicted []int) {
	n := len(boxes) / 4
	out := make([]bool, n)
	left := g.Share * float64(n)
	whole := left
	for _, at := range r.Perm(n) {
		if out[at] {
			continue
		}
		var group []int
		for i := range n {
			if !out[i] && (i == at || g.same(boxes, i, at)) {
				group = append(group, i)
			}
		}
		if left < whole && !fits(len(group), left, r) {
			break
		}
		for _, i := range group {
			out[i] = true
		}
		left -= float64(len(group))
	}
	for i := range n {
		if !out[i] {
			continue
		}
		hidden = append(hidden, i)
		shown := false
		for j := 0; j < n && !shown; j++ {
			shown = !out[j] && g.same(boxes, i, j)
		}
		if !shown {
			predicted = append(predicted, i)
		}
	}
	return hidden, predicted
}

// same says whether two regions show the same.
func (g *Regions) same(boxes []float32, i, j int) bool {
	return overlap(boxes[4*i:], boxes[4*j:]) > g.Overlap
}

// overlap returns the intersection of two boxes over their union, NaN if both are empty.
func overlap(a, b []float32) float64 {
	both := side(max(a[0], b[0]), min(a[2], b[2])) * side(max(a[1], b[1]), min(a[3], b[3]))
	return both / (area(a) + area(b) - both)
}

func area(b []float32) float64 { return side(b[0], b[2]) * side(b[1], b[3]) }

func side(from, to float32) float64 { return max(0, float64(to)-float64(from)) }

// Normalise sets dst to a region's values with their mean taken off, over their standard
// deviation. Pixels are predicted so: what counts in a patch is its pattern, not how light
// it is. A patch of one colour gives zeros.
func Normalise(dst, feature []float32) {
	var sum, squares float64
	for _, v := range feature {
		sum += float64(v)
	}
	mean := sum / float64(len(feature))
	for _, v := range feature {
		squares += (float64(v) - mean) * (float64(v) - mean)
	}
	const epsilon = 1e-6
	scale := 1 / math.Sqrt(squares/float64(len(feature))+epsilon)
	for i, v := range feature {
		dst[i] = float32((float64(v) - mean) * scale)
	}
}
