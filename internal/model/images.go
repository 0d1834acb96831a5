package model

import "github.com/unimo-go/unimo/internal/compute/autograd"

// imageEmbedding embeds regions:
//
//	x = LN(affine(feature) + affine(location))
type imageEmbedding struct {
	feature, location linear
	norm              norm
}

func newImageEmbedding(p declare, cfg Config) imageEmbedding {
	return imageEmbedding{
		feature:  newLinear(p, "image_emb", cfg.ImageEmbeddingSize, cfg.HiddenSize),
		location: namedLinear(p, "image_loc.w_0", "image_loc.b_0", PlaceNormal, LocationSize, cfg.HiddenSize),
		norm:     newNorm(p, "v_pre_encoder", cfg),
	}
}

// apply returns R x H. Of what is known it takes features, or else what is to be added to the images'.
func (e imageEmbedding) apply(t *autograd.Tape, cfg Config, im Images, known Embedding) *autograd.Var {
	return t.Block(func() *autograd.Var {
		rows := int(im.Offsets[im.Sequences()])
		features := known.Features
		switch {
		case features != nil:
		case known.FeatureShift != nil:
			features = t.Shifted(im.Features, known.FeatureShift)
		default:
			features = t.Input(rows, cfg.ImageEmbeddingSize, im.Features)
		}
		locations := t.Input(rows, LocationSize, im.Locations)
		return e.norm.Add(t, e.feature.Apply(t, features), e.location.Apply(t, locations), 0)
	})
}
