package write

import (
	"cmp"
	"fmt"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
)

// Settings are those of generation.
type Settings struct {
	run.CommonSettings
	MaxSrcLen          int     `json:"max_src_len" help:"longest source text in tokens; longer ones are cut"`
	MaxTgtLen          int     `json:"max_tgt_len" help:"longest target in tokens; longer ones are cut"`
	ContinuousPosition bool    `json:"continuous_position" help:"positions run through all texts of an example instead of beginning anew in each"`
	LabelSmooth        float64 `json:"label_smooth" help:"share of the probability given to all tokens alike in the training loss"`
	BeamSize           int     `json:"beam_size" help:"hypotheses of the beam search (1: greedy)"`
	LengthPenalty      float64 `json:"length_penalty" help:"alpha: scores are divided by ((5+length)/6)^alpha"`
	MinOutLen          int     `json:"min_out_len" help:"least tokens of a generated text"`
	MaxOutLen          int     `json:"max_out_len" help:"most tokens of a generated text"`
	BlockTrigram       bool    `json:"block_trigram" help:"no three words twice in a generated text"`
	DecodeExamples     int     `json:"decode_examples" help:"dev examples that each evaluation decodes, evenly spread (0: all)"`
	DecodeMemory       int     `json:"decode_memory" help:"most memory of a decoding batch in MiB"`
}

func (g *Kind) settings(size string, c run.CommonSettings) *Settings {
	c.BatchSize, c.Epochs, c.LearningRate, c.WeightDecay = g.BatchSize, g.Epochs, g.BaseRate, 0.01
	s := &Settings{
		CommonSettings: c, MaxSrcLen: g.Data.MaxSource, MaxTgtLen: g.Data.MaxTarget, LabelSmooth: 0.1,
		BeamSize: g.Decoding.BeamSize, LengthPenalty: g.Decoding.LengthPenalty, MinOutLen: g.Decoding.MinLength, MaxOutLen: g.Decoding.MaxLength,
		BlockTrigram: g.Decoding.BlockTrigrams, DecodeExamples: 500, DecodeMemory: 1024,
	}
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
func (s *Settings) Validate() error {
	if err := s.CommonSettings.Validate(); err != nil {
		return err
	}
	return cmp.Or(
		settings.Want(s.MaxSrcLen >= 3, "max_src_len", s.MaxSrcLen, "3 or more"),
		settings.Want(s.MaxTgtLen >= 3, "max_tgt_len", s.MaxTgtLen, "3 or more"),
		settings.Want(s.LabelSmooth >= 0 && s.LabelSmooth < 1, "label_smooth", s.LabelSmooth, "0 or more and less than 1"),
		settings.Want(s.DecodeExamples >= 0, "decode_examples", s.DecodeExamples, "0 or more"),
		settings.Want(s.DecodeMemory >= 1, "decode_memory", s.DecodeMemory, "1 or more"),
	)
}

// Head implements [run.Job].
func (j *job) Head(cfg model.Config) (model.Config, error) {
	if d := j.kind.Data; d.Dialogue && cfg.RoleTypes == 0 {
		cfg.RoleTypes, cfg.TurnTypes = dialogueRoles, dialogueTurns
	} else if !d.Dialogue {
		cfg.RoleTypes, cfg.TurnTypes = 0, 0
	}
	s := j.settings
	for _, l := range []struct {
		key   string
		value int
	}{{"max_src_len", s.MaxSrcLen}, {"max_tgt_len", s.MaxTgtLen}} {
		if l.value > cfg.MaxTokens() {
			return cfg, fmt.Errorf("%s is %d, but the model has positions for %d tokens", l.key, l.value, cfg.MaxTokens())
		}
	}
	return cfg, s.decoding().Validate(cfg)
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

func (s *Settings) decoding() decode.Options {
	return decode.Options{
		BeamSize: s.BeamSize, LengthPenalty: s.LengthPenalty, MinLength: s.MinOutLen, MaxLength: s.MaxOutLen, BlockTrigrams: s.BlockTrigram, Temperature: 1, TopP: 1, SampleSeed: 1,
		MaxMemory: int64(s.DecodeMemory) << 20,
	}
}
