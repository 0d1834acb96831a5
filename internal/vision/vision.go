// Package vision is what picture encoders have in common: what they read, what they say, and that they run.
//
// Their families are vision/vit, vision/convnet and vision/detector; what a picture goes through before is
// vision/preprocess. Package vision/extractor makes an extractor of regions of both, from the files that people have.
package vision

import (
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Pixels is a picture as a network reads it.
type Pixels struct {
	Width, Height int
	Values        []float32 // Height x Width x 3: red, green, blue of each pixel, scaled and normalised
}

// Output is what a network says of a picture: n regions.
type Output struct {
	Boxes    []float32 // n x 4: x1, y1, x2, y2 as shares of the width and height of what was read, 0 to 1
	Features []float32 // n x Dim
	Global   []float32 // Dim: the picture as a whole; nil: the mean of the regions
	Classes  []float32 // n x len(Classes()): probabilities that sum to 1; nil: unknown
}

// Info says what a network is, and what opens it again.
type Info struct {
	Architecture string   // as people call it: "EfficientNet-Lite0", "ViT-B/16"
	Library      string   // whose names the tensors have: "timm", "transformers"
	Config       []byte   // JSON with which the family's Open opens the tensors again; nil: it needs none
	Tensors      []string // those that the network reads, by their names in the file
	Unread       []string // others that look like parts of it: the configuration may be another network's

	// How pictures are prepared where no file says it: the family that preprocess.Default knows, and the side of the
	// square that the network reads, in pixels.
	Preprocessing string
	Side          int
}

// Network is a picture encoder with its weights, which never change. Several goroutines may run it at once, each on a
// device of its own.
type Network interface {
	// Dim is the size of a region's feature.
	Dim() int

	// Classes names what regions are taken for; nil: the network does not say.
	Classes() []string

	// Check returns an error if the network cannot read pictures of this size in pixels.
	Check(width, height int) error

	// Run computes the regions of a picture, on one device.
	Run(d engine.Device, p Pixels) (Output, error)
}
