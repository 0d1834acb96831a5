package model

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/autograd"
)

// LocationSize is the length of a region's location: left, top, right and bottom as shares of
// the picture's width and height, and the share of its area.
const LocationSize = 5

// Images is a batch of images. Each is a number of regions, the global one first.
type Images struct {
	Features  []float32 // R x E, E the configuration's image_embedding_size
	Locations []float32 // R x [LocationSize]
	Offsets   []int32   // B+1: where each image's regions begin
}

// Sequences returns B.
func (im Images) Sequences() int { return len(im.Offsets) - 1 }

// Check returns an error unless features and locations have the lengths that offsets and cfg
// ask for and every image has a region. Whether the numbers make sense it does not look at.
func (im Images) Check(cfg Config) error {
	n := len(im.Offsets)
	if n < 1 || im.Offsets[0] != 0 {
		return fmt.Errorf("the images' offsets do not start from 0")
	}
	for i := range im.Sequences() {
		if im.Offsets[i+1] <= im.Offsets[i] {
			return fmt.Errorf("image %d has no region", i)
		}
	}
	regions := int(im.Offsets[n-1])
	if len(im.Features) != regions*cfg.ImageEmbeddingSize {
		return fmt.Errorf("%d regions have %d feature values, but the model wants %d of each (image_embedding_size): the features do not fit the model", regions, len(im.Features), cfg.ImageEmbeddingSize)
	}
	if len(im.Locations) != regions*LocationSize {
		return fmt.Errorf("%d regions have %d location values, want %d of each", regions, len(im.Locations), LocationSize)
	}
	return nil
}

// imageEmbedding embeds regions:
//
//	x = Drop(LN(affine(feature) + affine(location)))
type imageEmbedding struct {
	feature, location linear
	norm              norm
}

func newImageEmbedding(p declare, cfg Config) imageEmbedding {
	return imageEmbedding{
		feature:  newLinear(p, "image_emb", cfg.ImageEmbeddingSize, cfg.HiddenSize),
		location: newLinear(p, "image_loc", LocationSize, cfg.HiddenSize),
		norm:     newNorm(p, "v_pre_encoder", cfg),
	}
}

// apply returns R x H.
func (e imageEmbedding) apply(t *autograd.Tape, cfg Config, im Images) *autograd.Var {
	return t.Block(func() *autograd.Var {
		rows := int(im.Offsets[im.Sequences()])
		features := t.Input(rows, cfg.ImageEmbeddingSize, im.Features)
		locations := t.Input(rows, LocationSize, im.Locations)
		x := e.norm.add(t, e.feature.apply(t, features), e.location.apply(t, locations), 0)
		return t.Dropout(x, cfg.HiddenDropout)
	})
}
