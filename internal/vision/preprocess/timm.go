package preprocess

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// timmFile is what timm keeps of a model's training in config.json.
type timmFile struct {
	InputSize     []int           `json:"input_size"`
	Interpolation string          `json:"interpolation"`
	CropShare     float64         `json:"crop_pct"`
	CropMode      string          `json:"crop_mode"`
	Mean          json.RawMessage `json:"mean"`
	Deviation     json.RawMessage `json:"std"`
}

// parseTimm reads pretrained_cfg. It is prepared for as timm evaluates: what is missing is what timm takes.
func parseTimm(file string, raw []byte) (c Config, err error) {
	var f timmFile
	if err := infile.DecodeJSON(file, raw, &f); err != nil {
		return Config{}, err
	}
	if f.InputSize == nil {
		f.InputSize = []int{3, 224, 224}
	}
	if len(f.InputSize) != 3 || f.InputSize[0] != 3 {
		return Config{}, fmt.Errorf("input_size %v: want [3, height, width], pictures in colour", f.InputSize)
	}
	c = Config{Library: Torchvision, Scale: 1. / 255, Width: f.InputSize[2], Height: f.InputSize[1]}
	if c.Filter, err = picture.ParseFilter(cmp.Or(f.Interpolation, "bicubic")); err != nil {
		return Config{}, fmt.Errorf("interpolation: %w", err)
	}
	if c.Mean, err = threeNumbers("mean", f.Mean, imagenetMean); err != nil {
		return Config{}, err
	}
	if c.Deviation, err = threeNumbers("std", f.Deviation, imagenetDeviation); err != nil {
		return Config{}, err
	}
	return c, c.cropAs(f.CropMode, f.CropShare)
}

// cropAs sets how a picture is scaled, so that the network reads a share of its sides.
func (c *Config) cropAs(mode string, share float64) (err error) {
	share = cmp.Or(share, 0.875)
	if c.ResizeWidth, err = divide(c.Width, share); err != nil {
		return err
	}
	if c.ResizeHeight, err = divide(c.Height, share); err != nil {
		return err
	}
	switch mode {
	case "squash":
		c.Resize = Exact
	case "border":
		c.Resize = Contain
		for i, v := range c.Mean {
			c.Fill[i] = byte(min(max(math.RoundToEven(255*v), 0), 255))
		}
	case "center", "":
		if c.Resize = Cover; c.ResizeWidth == c.ResizeHeight {
			c.Resize, c.ResizeHeight = Shorter, 0
		}
	default:
		return fmt.Errorf("crop_mode %q: want center, squash or border", mode)
	}
	return nil
}
