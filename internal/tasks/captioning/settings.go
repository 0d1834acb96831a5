package captioning

import (
	"cmp"
	"errors"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/texts"
	"github.com/unimo-go/unimo/internal/train/adversarial"
)

// The settings that the kind embeds, by names of their own.
type (
	Images = images.Settings
	Texts  = texts.Settings
)

// Settings are those of captioning.
type Settings struct {
	run.CommonSettings
	Images
	Objects     string  `json:"objects" help:"names of the objects in the images: a file (empty: those that object_vocab or a detector that sees the pictures finds)" run:"path"`
	ObjectVocab string  `json:"object_vocab" help:"names of a detector's classes, one a line: the region features' likeliest classes are the objects" run:"path"`
	MaxObjLen   int     `json:"max_obj_len" help:"longest list of objects in tokens; longer ones are cut (0: no objects, not even those of a detector that sees the pictures)"`
	MinCropArea float64 `json:"min_crop_area" help:"pictures are cropped to a random share of their area from this up (1: never)"`
	Flip        bool    `json:"flip" help:"mirror half of the pictures, unless a caption tells left from right"`
	Texts
	adversarial.Recipe
}

func defaults(size string, c run.CommonSettings) *Settings {
	// The reference's recipe; see its script/img2txt.
	c.BatchSize, c.Epochs, c.LearningRate, c.WeightDecay = 4, 20, 7e-6, 0.01
	if size == "large" {
		c.BatchSize, c.Epochs = 2, 10
	}
	s := &Settings{CommonSettings: c, Images: images.Default, MaxObjLen: 100, MinCropArea: 1, Texts: texts.NewSettings(50, texts.Search(5, 0.6, 5, 50, false)), Recipe: adversarial.Captioning(size)}
	if size == "mini" {
		// From random weights, some minutes.
		s.LearningRate, s.BatchSize, s.Epochs, s.VocabSize = 1e-3, 32, 3, 3000
		s.ImageSize, s.PatchSize, s.MinCropArea, s.Flip = 96, 24, 0.5, true
		s.MaxTgtLen, s.MaxOutLen = 30, 30
		s.DecodeExamples, s.Recipe = 200, adversarial.None()
	}
	return s
}

// Validate implements [run.Settings].
func (s *Settings) Validate(given func(key string) bool) error {
	if err := s.CommonSettings.Validate(); err != nil {
		return err
	}
	return cmp.Or(
		s.Images.Validate(given), s.Texts.Validate(),
		settings.Want(s.MaxObjLen >= 0, "max_obj_len", s.MaxObjLen, "0 or more"),
		settings.Want(s.MinCropArea > 0 && s.MinCropArea <= 1, "min_crop_area", s.MinCropArea, "more than 0, 1 at most"),
		s.ValidateAttacks(true),
		checkTags(s.Objects, s.ObjectVocab, s.Features),
	)
}

// Adopt implements [run.Settings].
func (s *Settings) Adopt(cfg model.Config) {
	s.MaxTgtLen, s.MaxObjLen = min(s.MaxTgtLen, cfg.MaxTokens()), min(s.MaxObjLen, cfg.MaxTokens())
}

// checkTags refuses a vocabulary that nothing is named by.
func checkTags(objects, vocabulary, features string) error {
	if vocabulary != "" && objects == "" && features == "" {
		return errors.New("object_vocab names a detector's classes, and pictures have none; give region features (features), a file of objects (objects), or leave it out")
	}
	return nil
}

// EvalSettings are those of scoring a finished model.
type EvalSettings struct {
	images.EvalSettings
	TagSettings
	texts.Decoding
}

// TagSettings are flags about the names of objects in images.
type TagSettings struct {
	Objects     string `json:"objects" help:"names of the objects in the images: CSV, JSON lines or the reference's file (default: none)"`
	ObjectVocab string `json:"object_vocab" help:"names of a detector's classes, one a line: the objects are the likeliest of region features"`
}

func newEvalSettings(o decode.Options) *EvalSettings {
	return &EvalSettings{Decoding: *texts.NewDecoding(o)}
}

// Validate implements [run.Flags].
func (s *EvalSettings) Validate(given func(key string) bool) error {
	return cmp.Or(s.EvalSettings.Validate(given), s.Decoding.Validate(given), checkTags(s.Objects, s.ObjectVocab, s.Features))
}
