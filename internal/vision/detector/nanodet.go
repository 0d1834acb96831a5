package detector

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/vision/graph"
)

// nanoDet reads NanoDet's heads: for maps of three sizes, scores of the classes at each place, and for each side of the box there a
// distribution over its distance from the place's centre, in steps of the map's stride. The distance is the distribution's mean.
//
// Source: RangiLyu/nanodet (its first form, with generalized focal loss); arXiv 2006.04388, section 3.2.
type nanoDet struct {
	levels []level
}

// level is the heads of one map: n x classes and n x 4·bins for its n places.
type level struct {
	stride, width, height, bins int
	scores, distances           string
}

var strides = []int{8, 16, 32}

// findNanoDet looks for the heads among a graph's outputs.
func findNanoDet(inputs, outputs []graph.Port) (head, bool) {
	if len(inputs) != 1 || len(inputs[0].Shape) != 4 || inputs[0].Shape[1] != 3 {
		return nil, false
	}
	height, width := inputs[0].Shape[2], inputs[0].Shape[3]
	var h nanoDet
	for _, stride := range strides {
		l := level{stride: stride, width: (width + stride - 1) / stride, height: (height + stride - 1) / stride}
		for _, o := range outputs {
			if len(o.Shape) != 3 || o.Shape[1] != l.width*l.height {
				continue
			}
			switch n := o.Shape[2]; {
			case n == len(cocoNames):
				l.scores = o.Name
			case n%4 == 0 && n > 4:
				l.distances, l.bins = o.Name, n/4
			}
		}
		if l.scores == "" || l.distances == "" {
			return nil, false
		}
		h.levels = append(h.levels, l)
	}
	return h, true
}

func (h nanoDet) name() string { return "NanoDet" }

func (h nanoDet) outputs() []string {
	var names []string
	for _, l := range h.levels {
		names = append(names, l.scores, l.distances)
	}
	return names
}

func (h nanoDet) check(p *graph.Program) error {
	for i, l := range h.levels {
		for k, cols := range []int{len(cocoNames), 4 * l.bins} {
			if d := p.Outputs[2*i+k].Dims; len(d) != 3 || d[0] != 1 || d[1] != l.width*l.height || d[2] != cols {
				return fmt.Errorf("a head of shape %v, want 1 x %d x %d", d, l.width*l.height, cols)
			}
		}
	}
	return nil
}

// candidates returns the limit best of all places and classes.
func (h nanoDet) candidates(p *graph.Program, heads []graph.Tensor, limit int) []candidate {
	var best []candidate
	floor := float32(0)
	for i, l := range h.levels {
		scores, distances := heads[2*i].Values, heads[2*i+1].Values
		for place := range l.width * l.height {
			all := scores[place*len(cocoNames):][:len(cocoNames)]
			var b box
			known := false
			for class, score := range all {
				if !(score > floor) {
					continue
				}
				if !known {
					known = true
					b = l.box(place, distances[4*l.bins*place:][:4*l.bins], p.Width, p.Height)
				}
				if b, ok := b.clipped(); ok {
					best = append(best, candidate{box: b, class: class, score: score, scores: all})
				}
			}
			if len(best) >= 4*limit {
				byScore(best)
				best = best[:limit]
				floor = best[limit-1].score
			}
		}
	}
	byScore(best)
	return best[:min(len(best), limit)]
}

// box returns the box at a place.
func (l level) box(place int, distances []float32, width, height int) box {
	var d [4]float64
	for side := range d {
		of := distances[side*l.bins:][:l.bins]
		high := of[0]
		for _, v := range of {
			high = max(high, v)
		}
		var sum, mean float64
		for i, v := range of {
			e := math.Exp(float64(v - high))
			sum += e
			mean += float64(i) * e
		}
		d[side] = mean / sum * float64(l.stride)
	}
	x, y := (float64(place%l.width)+0.5)*float64(l.stride), (float64(place/l.width)+0.5)*float64(l.stride)
	w, t := float64(width), float64(height)
	return box{float32((x - d[0]) / w), float32((y - d[1]) / t), float32((x + d[2]) / w), float32((y + d[3]) / t)}
}
