package preprocess

import (
	"fmt"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// Families whose models come without a file that says how pictures are prepared.
const (
	TorchvisionFamily = "torchvision"       // torchvision's ResNet, MobileNet and their kind
	TimmFamily        = "timm"              // what timm takes where nothing is said
	EfficientNetLite  = "efficientnet-lite" // the weights that were trained with TensorFlow
	CenterNet         = "centernet"         // the detector on MobileNet v3: bytes as they are
	NanoDet           = "nanodet"           // the detector: ImageNet's statistics of bytes, rounded
)

// families are the ways of preparing that the published models of a family have. Those of transformers go by the
// model_type of config.json.
var families = map[string]func(side int) Config{
	TorchvisionFamily: func(side int) Config {
		c := evaluated(side)
		c.Filter = picture.Bilinear
		return c
	},
	TimmFamily: evaluated,
	// Trained on the middle side/(side+32) of the shorter side, and on bytes less 127 over 128, whatever the
	// package says that the weights come in.
	//
	// Source: the lite models of TensorFlow's TPU examples (MEAN_RGB, STDDEV_RGB, CROP_PADDING).
	EfficientNetLite: func(side int) Config {
		return Config{Library: Torchvision, Resize: Shorter, ResizeWidth: side + 32, Filter: picture.Bicubic, Width: side, Height: side,
			Scale: 1, Mean: [3]float64{127, 127, 127}, Deviation: [3]float64{128, 128, 128}}
	},
	CenterNet: func(side int) Config {
		c := whole(side, picture.Bilinear, [3]float64{}, [3]float64{1, 1, 1})
		c.Scale = 1
		return c
	},
	NanoDet: func(side int) Config {
		c := whole(side, picture.Bilinear, [3]float64{123.675, 116.28, 103.53}, [3]float64{58.395, 57.12, 57.375})
		c.Scale = 1
		return c
	},
	"vit":                   func(side int) Config { return whole(side, picture.Bilinear, half, half) },
	"deit":                  func(side int) Config { return cropped(side*256/224, side, imagenetMean, imagenetDeviation) },
	"clip":                  clip,
	"clip_vision_model":     clip,
	"siglip":                func(side int) Config { return whole(side, picture.Bicubic, half, half) },
	"siglip_vision_model":   func(side int) Config { return whole(side, picture.Bicubic, half, half) },
	"dinov2":                func(side int) Config { return cropped(side*256/224, side, imagenetMean, imagenetDeviation) },
	"dinov2_with_registers": func(side int) Config { return cropped(side*256/224, side, imagenetMean, imagenetDeviation) },
}

// Default is how pictures are prepared for a network of side x side pixels whose files do not say it. People should be
// told that it was taken.
func Default(family string, side int) (Config, error) {
	make, ok := families[family]
	if !ok {
		return Config{}, fmt.Errorf("no file says how pictures are prepared (preprocessor_config.json): %w",
			names.Unknown("family", family, slices.Sorted(maps.Keys(families))))
	}
	c := make(side)
	return c, c.Validate()
}

// evaluated is what timm takes where nothing is said.
func evaluated(side int) Config {
	return Config{Library: Torchvision, Resize: Shorter, ResizeWidth: int(float64(side) / 0.875), Filter: picture.Bicubic, Width: side, Height: side,
		Scale: 1. / 255, Mean: imagenetMean, Deviation: imagenetDeviation}
}

// whole scales the whole picture to the network's size.
func whole(side int, f picture.Filter, mean, deviation [3]float64) Config {
	return Config{Library: Transformers, Resize: Exact, ResizeWidth: side, ResizeHeight: side, Filter: f, Width: side, Height: side,
		Scale: 1. / 255, Mean: mean, Deviation: deviation}
}

// cropped reads the middle.
func cropped(shorter, side int, mean, deviation [3]float64) Config {
	return Config{Library: Transformers, Resize: Shorter, ResizeWidth: shorter, Filter: picture.Bicubic, Width: side, Height: side,
		Scale: 1. / 255, Mean: mean, Deviation: deviation}
}

func clip(side int) Config { return cropped(side, side, clipMean, clipDeviation) }
