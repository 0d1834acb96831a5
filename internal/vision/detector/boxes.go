package detector

import (
	"cmp"
	"slices"
)

// box is x1, y1, x2, y2 as shares of the picture's width and height.
type box [4]float32

// clipped returns the part of a box that lies in the picture, and whether there is any.
func (b box) clipped() (box, bool) {
	for i, v := range b {
		b[i] = max(0, min(1, v))
	}
	return b, b[2] > b[0] && b[3] > b[1] // false for NaN
}

func (b box) area() float32 { return (b[2] - b[0]) * (b[3] - b[1]) }

// overlap is the intersection over the union of two boxes.
func overlap(a, b box) float32 {
	width, height := min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1])
	if width <= 0 || height <= 0 {
		return 0
	}
	common := width * height
	return common / (a.area() + b.area() - common)
}

// candidate is a box in which an object may be.
type candidate struct {
	box
	class  int
	score  float32
	scores []float32 // of all classes there, each a probability of its own
}

// byScore sorts candidates, the best first. Of equal ones the earlier remains first.
func byScore(of []candidate) {
	slices.SortStableFunc(of, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
}

// same is the overlap from which boxes are one, whatever their classes.
const same = 0.9

// distinct returns the candidates, sorted, without those that overlap a better one of their class by more than most, or lie where
// any better one lies; limit at most.
func distinct(of []candidate, most float32, limit int) []candidate {
	var kept []candidate
	for _, c := range of {
		if len(kept) == limit {
			break
		}
		if !slices.ContainsFunc(kept, func(k candidate) bool {
			o := overlap(k.box, c.box)
			return o > same || k.class == c.class && o > most
		}) {
			kept = append(kept, c)
		}
	}
	return kept
}
