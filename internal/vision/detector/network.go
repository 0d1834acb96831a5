package detector

import (
	"errors"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/vision"
	"github.com/unimo-go/unimo/internal/vision/graph"
)

// head knows what the outputs of one kind of detector mean.
type head interface {
	name() string
	outputs() []string // the nodes that it reads, in the order of heads below

	// check returns an error unless the program's first outputs are those heads.
	check(p *graph.Program) error

	// candidates returns the limit best candidates of a picture, the best first.
	candidates(p *graph.Program, heads []graph.Tensor, limit int) []candidate
}

// Regions says which candidates become regions.
type Regions struct {
	Min     int     `json:"min"`     // so many at least, whatever their scores
	Max     int     `json:"max"`     // so many at most
	Score   float32 `json:"score"`   // what others need, 0 to 1
	Overlap float32 `json:"overlap"` // intersection over union, above which two boxes of a class are of one object, 0 to 1
}

var defaultRegions = Regions{Min: 10, Max: 36, Score: 0.2, Overlap: 0.5}

func (r Regions) validate() error {
	if r.Min < 1 || r.Max < r.Min || r.Max > 1000 || !(r.Score >= 0 && r.Score <= 1) || !(r.Overlap >= 0 && r.Overlap <= 1) {
		return fmt.Errorf("regions %+v: want 1 to max for min, min to 1000 for max, and 0 to 1 for score and overlap", r)
	}
	return nil
}

// network is an opened detector.
type network struct {
	program *graph.Program
	head    head
	maps    int // outputs of the program after the heads: maps of features
	dim     int
	bgr     bool // blue comes first
	regions Regions
}

func (n *network) Dim() int          { return n.dim }
func (n *network) Classes() []string { return slices.Clone(cocoNames) }

// Check implements [vision.Network].
func (n *network) Check(width, height int) error {
	if width != n.program.Width || height != n.program.Height {
		return fmt.Errorf("a picture of %d x %d pixels, but this %s reads %d x %d", width, height, n.head.name(), n.program.Width, n.program.Height)
	}
	return nil
}

// Run finds the regions of a picture.
func (n *network) Run(d engine.Device, p vision.Pixels) (vision.Output, error) {
	if err := n.Check(p.Width, p.Height); err != nil {
		return vision.Output{}, err
	}
	found, maps, err := n.find(d, p)
	if err != nil {
		return vision.Output{}, err
	}
	var out vision.Output
	for i, c := range found {
		if i >= n.regions.Min && c.score < n.regions.Score {
			break
		}
		out.Boxes = append(out.Boxes, c.box[:]...)
		out.Features = append(out.Features, n.feature(maps, c.box)...)
		out.Classes = append(out.Classes, oneOf(c.scores)...)
	}
	whole := box{0, 0, 1, 1}
	out.Global = n.feature(maps, whole)
	if slices.ContainsFunc(out.Global, func(v float32) bool { return v-v != 0 }) {
		return vision.Output{}, errors.New("the network's features of the picture are no finite numbers")
	}
	if len(found) == 0 { // of a picture in which nothing at all is seen, the whole is the region
		out.Boxes, out.Features = whole[:], slices.Clone(out.Global)
		out.Classes = slices.Repeat([]float32{1 / float32(len(cocoNames))}, len(cocoNames))
	}
	return out, nil
}

// find returns the distinct candidates of a picture, the best first, Max at most, and the maps of features.
func (n *network) find(d engine.Device, p vision.Pixels) ([]candidate, []graph.Tensor, error) {
	pixels := p.Values
	if n.bgr {
		pixels = slices.Clone(pixels)
		for i := 0; i+2 < len(pixels); i += 3 {
			pixels[i], pixels[i+2] = pixels[i+2], pixels[i]
		}
	}
	out, err := n.program.Run(d, pixels)
	if err != nil {
		return nil, nil, err
	}
	heads, maps := out[:len(out)-n.maps], out[len(out)-n.maps:]
	// Several candidates of an object are usual, so that more are looked at than are wanted.
	return distinct(n.head.candidates(n.program, heads, max(100, 4*n.regions.Max)), n.regions.Overlap, n.regions.Max), maps, nil
}

// feature joins the means of all maps over a box.
func (n *network) feature(maps []graph.Tensor, b box) []float32 {
	feature := make([]float32, n.dim)
	at := 0
	for _, m := range maps {
		channels := m.Dims[3]
		pool(feature[at:][:channels], m, b)
		at += channels
	}
	return feature
}

// oneOf turns probabilities of each class by itself into those of a choice of one.
func oneOf(scores []float32) []float32 {
	const nearly = 1 - 1e-6 // float32 rounds large sigmoids to 1
	odds, total := make([]float64, len(scores)), 0.
	for i, s := range scores {
		p := min(float64(s), nearly)
		odds[i] = p / (1 - p)
		total += odds[i]
	}
	out := make([]float32, len(scores))
	for i := range out {
		out[i] = float32(odds[i] / total)
	}
	return out
}
