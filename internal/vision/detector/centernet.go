package detector

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/vision/graph"
)

// centerNet reads CenterNet's heads. An object is a peak in the map of its class; beside it stand the distances, in pixels of the
// picture, from there to the four sides of its box.
//
// Source: "Objects as Points", arXiv 1904.07850; the peaks and boxes of the published graph (its output "detections").
type centerNet struct {
	scores, sides string // the heads: 1 x h x w x classes, 1 x h x w x 4
}

// findCenterNet looks for the heads among a graph's outputs.
func findCenterNet(outputs []graph.Port) (head, bool) {
	var h centerNet
	for _, s := range outputs {
		for _, d := range outputs {
			if len(s.Shape) == 4 && len(d.Shape) == 4 && s.Shape[3] == len(cocoNames) && d.Shape[3] == 4 && slices.Equal(s.Shape[:3], d.Shape[:3]) {
				h.scores, h.sides = s.Name, d.Name
			}
		}
	}
	return h, h.scores != ""
}

func (h centerNet) name() string      { return "CenterNet" }
func (h centerNet) outputs() []string { return []string{h.scores, h.sides} }

func (h centerNet) check(p *graph.Program) error {
	s, d := p.Outputs[0].Dims, p.Outputs[1].Dims
	if len(s) != 4 || len(d) != 4 || s[3] != len(cocoNames) || d[3] != 4 || !slices.Equal(s[:3], d[:3]) {
		return fmt.Errorf("heads of shape %v and %v, want height x width x %d and x 4", s, d, len(cocoNames))
	}
	return nil
}

// candidates returns the limit highest peaks.
func (h centerNet) candidates(p *graph.Program, heads []graph.Tensor, limit int) []candidate {
	scores, sides := heads[0].Values, heads[1].Values
	height, width, classes := heads[0].Dims[1], heads[0].Dims[2], heads[0].Dims[3]
	var best []candidate
	floor := float32(0) // nothing below can be among the best
	for i, score := range scores {
		if !(score > floor) {
			continue
		}
		place, class := i/classes, i%classes
		x, y := place%width, place/width
		if !peak(scores[class:], score, x, y, width, height, classes) {
			continue
		}
		// The place is the corner of its cell nearest to the picture's, and sides count from there.
		cx, cy := float32(x)/float32(width), float32(y)/float32(height)
		d := sides[4*place:][:4]
		w, t := float32(p.Width), float32(p.Height)
		b, ok := box{cx - d[0]/w, cy - d[1]/t, cx + d[2]/w, cy + d[3]/t}.clipped()
		if !ok {
			continue
		}
		best = append(best, candidate{box: b, class: class, score: score, scores: scores[place*classes:][:classes]})
		if len(best) == 2*limit {
			byScore(best)
			best = best[:limit]
			floor = best[limit-1].score
		}
	}
	byScore(best)
	return best[:min(len(best), limit)]
}

// peak says whether no neighbour in a map is larger. The map's elements are step apart.
func peak(of []float32, score float32, x, y, width, height, step int) bool {
	for v := max(y-1, 0); v <= min(y+1, height-1); v++ {
		for u := max(x-1, 0); u <= min(x+1, width-1); u++ {
			if of[(v*width+u)*step] > score {
				return false
			}
		}
	}
	return true
}
