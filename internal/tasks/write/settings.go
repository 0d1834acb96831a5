package write

import (
	"cmp"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
)

// Settings are those of generation.
type Settings struct {
	run.CommonSettings
	MaxSrcLen          int  `json:"max_src_len" help:"longest source text in tokens; longer ones are cut"`
	ContinuousPosition bool `json:"continuous_position" help:"positions run through all texts of an example instead of beginning anew in each"`
	texts.Settings
}

func (g *Kind) settings(size string, c run.CommonSettings) *Settings {
	c.BatchSize, c.Epochs, c.LearningRate, c.WeightDecay = g.BatchSize, g.Epochs, g.BaseRate, 0.01
	s := &Settings{CommonSettings: c, MaxSrcLen: g.Data.MaxSource, Settings: texts.NewSettings(g.Data.MaxTarget, g.Decoding)}
	switch size {
	case "large":
		s.LearningRate, s.BeamSize, s.LengthPenalty = g.LargeRate, g.LargeBeam, g.LargePenalty
	case "mini":
		// From random weights, with little data, some minutes: see docs/results/2026-11-25-text-to-text.md.
		s.LearningRate, s.BatchSize, s.VocabSize, s.Epochs = 1e-3, 32, 8000, 5
	}
	return s
}

// Validate implements [Settings].
func (s *Settings) Validate(func(key string) bool) error {
	if err := s.CommonSettings.Validate(); err != nil {
		return err
	}
	return cmp.Or(settings.Want(s.MaxSrcLen >= 3, "max_src_len", s.MaxSrcLen, "3 or more"), s.Settings.Validate())
}

// Head implements [run.Job].
func (j *job) Head(cfg model.Config) (model.Config, error) {
	if d := j.kind.Data; d.Dialogue && cfg.RoleTypes == 0 {
		cfg.RoleTypes, cfg.TurnTypes = dialogueRoles, dialogueTurns
	} else if !d.Dialogue {
		cfg.RoleTypes, cfg.TurnTypes = 0, 0
	}
	return cfg, cmp.Or(texts.FitsTokens("max_src_len", j.settings.MaxSrcLen, cfg), j.settings.Fits(cfg))
}

// The reference's dialogue has a role for each speaker and one for the passage, and
// turns 1 to 15 beside 0 for the passage and the answer.
const (
	dialogueRoles = 3
	dialogueTurns = 16
)

// Adopt implements [run.Settings].
func (s *Settings) Adopt(cfg model.Config) {
	s.MaxSrcLen, s.MaxTgtLen = min(s.MaxSrcLen, cfg.MaxTokens()), min(s.MaxTgtLen, cfg.MaxTokens())
}
