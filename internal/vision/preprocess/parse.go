package preprocess

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// maxFile bounds the size of a file: a config.json may name 21,000 classes.
const maxFile = 4 << 20

// Find reads how pictures are prepared for the model in a folder: from preprocessor_config.json or
// processor_config.json of transformers, or from config.json of timm. source is the file's path; "" if none says it,
// and then the result is [Default] of the family and the network's size, which people should be told of.
func Find(dir, family string, side int) (c Config, source string, err error) {
	for _, name := range []string{"preprocessor_config.json", "processor_config.json", "config.json"} {
		path := filepath.Join(dir, name)
		raw, err := infile.Read(path, maxFile)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return Config{}, "", err
		}
		c, err := Parse(path, raw, family)
		if errors.Is(err, ErrSilent) {
			continue
		}
		return c, path, err
	}
	c, err = Default(family, side)
	return c, "", err
}

// ErrSilent is wrapped by the error of [Parse] about a file that says nothing of how pictures are prepared.
var ErrSilent = errors.New("says nothing of how pictures are prepared")

// Parse reads the content of a file: preprocessor_config.json or processor_config.json of transformers, config.json of
// timm. family is the model's (model_type), for files that leave open whose they are; it may be "". Errors name the
// file.
func Parse(file string, raw []byte, family string) (Config, error) {
	c, err := parse(file, raw, family)
	if err != nil {
		var known *infile.Error
		if !errors.As(err, &known) { // those name it
			err = fmt.Errorf("%s: %w", file, err)
		}
		return Config{}, err
	}
	return c, nil
}

func parse(file string, raw []byte, family string) (c Config, err error) {
	var keys struct {
		ImageProcessor json.RawMessage `json:"image_processor"` // of processor_config.json
		Pretrained     json.RawMessage `json:"pretrained_cfg"`  // of timm
		Architecture   json.RawMessage `json:"architecture"`    // of timm
		InputSize      json.RawMessage `json:"input_size"`      // of timm before 0.9, which has no pretrained_cfg
		Type           json.RawMessage `json:"image_processor_type"`
		OldType        json.RawMessage `json:"feature_extractor_type"`
		Mean           json.RawMessage `json:"image_mean"`
		Size           json.RawMessage `json:"size"`
		Resize         json.RawMessage `json:"do_resize"`
		Crop           json.RawMessage `json:"do_center_crop"`
		Rescale        json.RawMessage `json:"do_rescale"`
		Normalize      json.RawMessage `json:"do_normalize"`
	}
	if err := infile.DecodeJSON(file, raw, &keys); err != nil {
		return Config{}, err
	}
	switch {
	case present(keys.Pretrained):
		c, err = parseTimm(file, keys.Pretrained)
	case present(keys.Architecture) && present(keys.InputSize):
		c, err = parseTimm(file, raw)
	case present(keys.ImageProcessor):
		c, err = parseTransformers(file, keys.ImageProcessor, family)
	case slices.ContainsFunc([]json.RawMessage{keys.Type, keys.OldType, keys.Mean, keys.Size, keys.Resize, keys.Crop, keys.Rescale, keys.Normalize}, present):
		c, err = parseTransformers(file, raw, family)
	default:
		return Config{}, ErrSilent
	}
	if err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

// present says whether a key has a value.
func present(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// threeNumbers reads a list of three numbers, or one number for all three; absent: the default.
func threeNumbers(name string, raw json.RawMessage, byDefault [3]float64) ([3]float64, error) {
	if !present(raw) {
		return byDefault, nil
	}
	var list []float64
	if json.Unmarshal(raw, &list) == nil && len(list) == 3 {
		return [3]float64(list), nil
	}
	var one float64
	if json.Unmarshal(raw, &one) == nil {
		return [3]float64{one, one, one}, nil
	}
	return [3]float64{}, fmt.Errorf("%s %.60s: want a number for each of red, green and blue", name, raw)
}
