package preprocess

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// What networks' mean and deviation were computed over.
var (
	imagenetMean      = [3]float64{0.485, 0.456, 0.406}
	imagenetDeviation = [3]float64{0.229, 0.224, 0.225}
	clipMean          = [3]float64{0.48145466, 0.4578275, 0.40821073}
	clipDeviation     = [3]float64{0.26862954, 0.26130258, 0.27577711}
	half              = [3]float64{0.5, 0.5, 0.5}
)

// processor is one of transformers' image processors, as it is where its file leaves things out.
type processor struct {
	filter          picture.Filter
	mean, deviation [3]float64
	size            string // as a file would have it
	square          bool   // a size of one number is that of both sides, not of the shorter one
	crop            string
	doCrop          bool
}

// processors are the image processors by their names without ImageProcessor.
var processors = map[string]processor{
	"ViT":          {picture.Bilinear, half, half, `224`, true, ``, false},
	"DeiT":         {picture.Bicubic, half, half, `256`, true, `224`, true},
	"CLIP":         {picture.Bicubic, clipMean, clipDeviation, `224`, false, `224`, true},
	"Siglip":       {picture.Bicubic, half, half, `{"height":224,"width":224}`, false, ``, false},
	"Bit":          {picture.Bicubic, clipMean, clipDeviation, `224`, false, `224`, true},
	"EfficientNet": {picture.Bicubic, half, half, `346`, true, `289`, false},
	"ConvNext":     {picture.Bicubic, half, half, `384`, false, ``, false},
	"MobileNetV1":  {picture.Bilinear, half, half, `256`, false, `224`, true},
	"MobileNetV2":  {picture.Bilinear, half, half, `256`, false, `224`, true},
}

// processorOf is the image processor that transformers takes for a model_type.
var processorOf = map[string]string{
	"vit": "ViT", "vit_mae": "ViT", "vit_msn": "ViT", "deit": "DeiT",
	"clip": "CLIP", "clip_vision_model": "CLIP", "siglip": "Siglip", "siglip_vision_model": "Siglip",
	"dinov2": "Bit", "dinov2_with_registers": "Bit", "bit": "Bit",
	"efficientnet": "EfficientNet", "convnext": "ConvNext", "convnextv2": "ConvNext", "resnet": "ConvNext", "regnet": "ConvNext",
	"mobilenet_v1": "MobileNetV1", "mobilenet_v2": "MobileNetV2",
}

// transformersFile is preprocessor_config.json. What is null counts as left out.
type transformersFile struct {
	Type          string          `json:"image_processor_type"`
	OldType       string          `json:"feature_extractor_type"`
	Resize        *bool           `json:"do_resize"`
	Size          json.RawMessage `json:"size"`
	Square        *bool           `json:"default_to_square"`
	UseSquare     bool            `json:"use_square_size"` // of CLIP's
	CropShare     *float64        `json:"crop_pct"`        // of ConvNext's
	Resample      *int            `json:"resample"`
	Crop          *bool           `json:"do_center_crop"`
	CropSize      json.RawMessage `json:"crop_size"`
	Pad           bool            `json:"do_pad"`
	Rescale       *bool           `json:"do_rescale"`
	RescaleFactor *float64        `json:"rescale_factor"`
	RescaleOffset bool            `json:"rescale_offset"` // of EfficientNet's
	Normalize     *bool           `json:"do_normalize"`
	Mean          json.RawMessage `json:"image_mean"`
	Deviation     json.RawMessage `json:"image_std"`
	IncludeTop    *bool           `json:"include_top"` // of EfficientNet's
}

// processorName returns the name of the image processor, without what its versions add to it.
func (f transformersFile) processorName(family string) (string, error) {
	full := cmp.Or(f.Type, f.OldType)
	if full == "" {
		if name, ok := processorOf[family]; ok {
			return name, nil
		}
		return "", fmt.Errorf("image_processor_type is missing, and the model's type %q leaves it open; supported are %s", family, processorNames())
	}
	name := strings.TrimSuffix(strings.TrimSuffix(full, "Fast"), "Pil")
	name = strings.TrimSuffix(strings.TrimSuffix(name, "ImageProcessor"), "FeatureExtractor")
	if _, ok := processors[name]; !ok {
		return "", fmt.Errorf("image_processor_type %.80q is not supported; supported are %s", full, processorNames())
	}
	return name, nil
}

func processorNames() string {
	var list []string
	for name := range processors {
		list = append(list, name+"ImageProcessor")
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func parseTransformers(file string, raw []byte, family string) (Config, error) {
	var f transformersFile
	if err := infile.DecodeJSON(file, raw, &f); err != nil {
		return Config{}, err
	}
	name, err := f.processorName(family)
	if err != nil {
		return Config{}, err
	}
	p := processors[name]
	c := Config{Library: Transformers, Filter: picture.Filter(orElse(f.Resample, int(p.filter)))}
	if orElse(f.Resize, true) {
		if err := c.resizeAs(name, p, f); err != nil {
			return Config{}, err
		}
	}
	if orElse(f.Crop, p.doCrop) {
		if name == "ConvNext" && c.Resize == Shorter {
			return Config{}, fmt.Errorf("do_center_crop and crop_pct together are not supported")
		}
		s, err := parseSize("crop_size", orText(f.CropSize, p.crop), true)
		if err != nil {
			return Config{}, err
		}
		if s.shorter {
			return Config{}, fmt.Errorf(`crop_size: want {"height", "width"}`)
		}
		c.Width, c.Height = s.width, s.height
	}
	switch {
	case c.Width != 0 || c.Resize == Exact:
	case c.Resize == Keep:
		return Config{}, fmt.Errorf("do_resize is false and do_center_crop is off; networks that read pictures of any size are not supported")
	default:
		return Config{}, fmt.Errorf("pictures keep their sides' ratio and are not cropped (do_center_crop is off); networks that read pictures of any size are not supported")
	}
	if f.Pad {
		return Config{}, fmt.Errorf("do_pad is on; networks that read padded pictures of any size are not supported")
	}
	return c, c.numbersAs(name, p, f)
}

// resizeAs sets how a picture is scaled, and the network's size where that follows.
func (c *Config) resizeAs(name string, p processor, f transformersFile) error {
	if name == "CLIP" && f.UseSquare { // KOSMOS-2, where it overrules size
		f.Size = json.RawMessage(`{"height": 224, "width": 224}`)
	}
	s, err := parseSize("size", orText(f.Size, p.size), orElse(f.Square, p.square))
	if err != nil {
		return err
	}
	switch {
	case name == "ConvNext":
		if !s.shorter {
			return fmt.Errorf(`size: ConvNextImageProcessor wants {"shortest_edge"}`)
		}
		c.Width, c.Height = s.width, s.width
		c.Resize, c.ResizeWidth, c.ResizeHeight = Exact, s.width, s.width
		if share := orElse(f.CropShare, 224./256); s.width < 384 { // larger ones are trained on the whole picture
			side, err := divide(s.width, share)
			if err != nil {
				return err
			}
			c.Resize, c.ResizeWidth, c.ResizeHeight = Shorter, side, 0
		}
	case s.shorter:
		c.Resize, c.ResizeWidth = Shorter, s.width
	default:
		c.Resize, c.ResizeWidth, c.ResizeHeight = Exact, s.width, s.height
		c.Width, c.Height = s.width, s.height
	}
	return nil
}

// divide returns side / share, rounded down.
func divide(side int, share float64) (int, error) {
	if !(share > 0 && float64(side)/share <= MaxSide) {
		return 0, fmt.Errorf("crop_pct %v: want a share of 1 that leaves sides of at most %d pixels", share, MaxSide)
	}
	return int(float64(side) / share), nil
}

// numbersAs sets what bytes become.
func (c *Config) numbersAs(name string, p processor, f transformersFile) (err error) {
	if c.Scale = 1; orElse(f.Rescale, true) {
		c.Scale = orElse(f.RescaleFactor, 1./255)
		if f.RescaleOffset && name == "EfficientNet" {
			c.Offset = 1
		}
	}
	if c.Mean, err = threeNumbers("image_mean", f.Mean, p.mean); err != nil {
		return err
	}
	if c.Deviation, err = threeNumbers("image_std", f.Deviation, p.deviation); err != nil {
		return err
	}
	c.Twice = name == "EfficientNet" && orElse(f.IncludeTop, true)
	if !orElse(f.Normalize, true) {
		c.Mean = [3]float64{}
		if !c.Twice {
			c.Deviation = [3]float64{1, 1, 1}
		}
		c.Twice = false
	}
	return nil
}

// size is what a file says of a picture's sides.
type size struct {
	width, height int
	shorter       bool // width is that of the shorter side
}

// parseSize reads a number, [height, width], {"height", "width"} or {"shortest_edge"}.
func parseSize(name string, raw json.RawMessage, square bool) (size, error) {
	var side int
	if json.Unmarshal(raw, &side) == nil {
		return size{side, side, !square}, nil
	}
	var sides []int
	if json.Unmarshal(raw, &sides) == nil && len(sides) == 2 {
		return size{sides[1], sides[0], false}, nil
	}
	var keys map[string]*int
	if json.Unmarshal(raw, &keys) == nil {
		for key, v := range keys {
			if v == nil {
				delete(keys, key)
			}
		}
		width, height, shorter := keys["width"], keys["height"], keys["shortest_edge"]
		switch {
		case len(keys) == 2 && width != nil && height != nil:
			return size{*width, *height, false}, nil
		case len(keys) == 1 && shorter != nil:
			return size{*shorter, *shorter, true}, nil
		}
	}
	return size{}, fmt.Errorf(`%s %.80s: want a whole number, {"height", "width"} or {"shortest_edge"}`, name, raw)
}

func orElse[T any](v *T, byDefault T) T {
	if v == nil {
		return byDefault
	}
	return *v
}

func orText(raw json.RawMessage, byDefault string) json.RawMessage {
	if present(raw) {
		return raw
	}
	return json.RawMessage(byDefault)
}
