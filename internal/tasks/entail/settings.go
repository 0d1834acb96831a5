package entail

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/entailment"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
	"github.com/unimo-go/unimo/internal/train/adversarial"
)

// Settings are those of visual entailment.
type Settings struct {
	run.CommonSettings
	MaxSeqLen int    `json:"max_seq_len" help:"longest text in tokens, special ones included; longer ones are cut"`
	Labels    string `json:"labels" help:"the classes in the order of their numbers, which files may have instead of names"`
	Columns   string `json:"columns" help:"columns of the data whose names are not known: text=PICTURE,text=HYPOTHESIS,label=LABEL"`
	pairs.Folder
	images.Settings
	adversarial.Recipe

	MinCropArea float64 `json:"min_crop_area" help:"pictures are cropped to a random share of their area from this up (1: never)"`
	Flip        bool    `json:"flip" help:"mirror half of the pictures, unless the text tells left from right"`
}

func defaults(size string, c run.CommonSettings) *Settings {
	// The reference's recipe; see its script/visual_entailment/SNLI-VE.
	c.Epochs, c.BatchSize, c.LearningRate, c.WarmupProportion, c.WeightDecay, c.Beta2 = 10, 12, 1e-5, 0.06, 0, 0.999
	if size == "large" {
		c.BatchSize = 4
	}
	s := &Settings{CommonSettings: c, MaxSeqLen: 512, Labels: strings.Join(entailment.Labels, ","), Settings: images.Default, Recipe: adversarial.Entailment(), MinCropArea: 1}
	if size == "mini" {
		s.Recipe = adversarial.None()
		s.LearningRate, s.WeightDecay, s.BatchSize, s.Epochs = 5e-4, 0.05, 32, 8
		s.MaxSeqLen, s.VocabSize, s.ImageSize, s.PatchSize, s.MinCropArea, s.Flip = 50, 2000, 96, 16, 0.5, true
		s.HiddenDropout, s.EvalBatchSize = 0.2, 64
	}
	return s
}

// Validate implements [run.Settings].
func (s *Settings) Validate(given func(key string) bool) error {
	if err := s.CommonSettings.Validate(); err != nil {
		return err
	}
	classes := s.labels()
	sorted := slices.Sorted(slices.Values(classes))
	err := cmp.Or(
		s.Settings.Validate(given),
		settings.Want(s.MaxSeqLen >= batches.MinSeqLen, "max_seq_len", s.MaxSeqLen, fmt.Sprintf("%d or more", batches.MinSeqLen)),
		settings.Want(slices.Equal(sorted, slices.Sorted(slices.Values(entailment.Labels))), "labels", s.Labels, strings.Join(entailment.Labels, ",")+" in some order"),
		settings.Want(s.MinCropArea > 0 && s.MinCropArea <= 1, "min_crop_area", s.MinCropArea, "more than 0, 1 at most"),
	)
	if err != nil {
		return err
	}
	if err := s.Recipe.ValidateAttacks(true); err != nil {
		return err
	}
	_, err = labelled.ParseColumns(s.Columns)
	return err
}

// labels are the classes in order.
func (s *Settings) labels() []string {
	list := strings.Split(s.Labels, ",")
	for i := range list {
		list[i] = strings.TrimSpace(list[i])
	}
	return list
}

// Adopt implements [run.Settings].
func (s *Settings) Adopt(cfg model.Config) { s.MaxSeqLen = min(s.MaxSeqLen, cfg.MaxTokens()) }

func (s *Settings) change() picture.Augmentation {
	return picture.Augmentation{MinArea: s.MinCropArea, Flip: s.Flip}
}

// reading is how the settings read files.
func (s *Settings) reading() entailment.Options {
	columns, _ := labelled.ParseColumns(s.Columns) // which Validate has looked at
	return entailment.Options{Labels: s.labels(), Columns: columns, MaxRegions: s.MaxRegions, SkipBad: s.SkipBad}
}

// EvalSettings are those of scoring a finished model.
type EvalSettings struct {
	pairs.Folder
	images.EvalSettings
	Columns string `json:"columns" help:"columns of the data whose names are not known: text=PICTURE,text=HYPOTHESIS,label=LABEL"`
}

// Validate implements [run.Flags].
func (s *EvalSettings) Validate(given func(key string) bool) error {
	if _, err := labelled.ParseColumns(s.Columns); err != nil {
		return err
	}
	return s.EvalSettings.Validate(given)
}

// reading is how the settings read files for a model with these classes.
func (s *EvalSettings) reading(labels []string) entailment.Options {
	columns, _ := labelled.ParseColumns(s.Columns)
	return entailment.Options{Labels: labels, Columns: columns, MaxRegions: s.MaxRegions, SkipBad: s.SkipBad}
}
