package texts

import (
	"cmp"
	"fmt"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
)

// Settings are those of training a model that writes. The settings of its kind embed them.
type Settings struct {
	MaxTgtLen      int     `json:"max_tgt_len" help:"longest target in tokens; longer ones are cut"`
	LabelSmooth    float64 `json:"label_smooth" help:"share of the probability given to all tokens alike in the training loss"`
	BeamSize       int     `json:"beam_size" help:"hypotheses of the beam search (1: greedy)"`
	LengthPenalty  float64 `json:"length_penalty" help:"alpha: scores are divided by ((5+length)/6)^alpha"`
	MinOutLen      int     `json:"min_out_len" help:"least tokens of a generated text"`
	MaxOutLen      int     `json:"max_out_len" help:"most tokens of a generated text"`
	BlockTrigram   bool    `json:"block_trigram" help:"no three words twice in a generated text"`
	DecodeExamples int     `json:"decode_examples" help:"dev examples that each evaluation decodes, evenly spread (0: all)"`
	DecodeMemory   int     `json:"decode_memory" help:"most memory of a decoding batch in MiB" run:"free"`
}

// NewSettings returns settings of targets of so many tokens that find texts as o says. The rest is what the
// reference's tasks share.
func NewSettings(target int, o decode.Options) Settings {
	return Settings{
		MaxTgtLen: target, LabelSmooth: 0.1,
		BeamSize: o.BeamSize, LengthPenalty: o.LengthPenalty, MinOutLen: o.MinLength, MaxOutLen: o.MaxLength, BlockTrigram: o.BlockTrigrams,
		DecodeExamples: 500, DecodeMemory: 1024,
	}
}

// Search is a beam search with the reference's constants.
func Search(beam int, penalty float64, least, most int, blockTrigram bool) decode.Options {
	o := decode.Default
	o.BeamSize, o.LengthPenalty, o.MinLength, o.MaxLength, o.BlockTrigrams = beam, penalty, least, most, blockTrigram
	return o
}

// Validate returns an error that names the first impossible value of these settings.
func (s *Settings) Validate() error {
	return cmp.Or(
		settings.Want(s.MaxTgtLen >= 3, "max_tgt_len", s.MaxTgtLen, "3 or more"),
		settings.Want(s.LabelSmooth >= 0 && s.LabelSmooth < 1, "label_smooth", s.LabelSmooth, "0 or more and less than 1"),
		settings.Want(s.DecodeExamples >= 0, "decode_examples", s.DecodeExamples, "0 or more"),
		settings.Want(s.DecodeMemory >= 1, "decode_memory", s.DecodeMemory, "1 or more"),
	)
}

// Fits returns an error about what is too long for a model.
func (s *Settings) Fits(cfg model.Config) error {
	return cmp.Or(FitsTokens("max_tgt_len", s.MaxTgtLen, cfg), s.Options().Validate(cfg))
}

// FitsTokens returns an error about a setting that asks for more tokens than a model has positions for.
func FitsTokens(key string, value int, cfg model.Config) error {
	if value > cfg.MaxTokens() {
		return fmt.Errorf("%s is %d, but the model has positions for %d tokens", key, value, cfg.MaxTokens())
	}
	return nil
}

// Options are how the settings find texts.
func (s *Settings) Options() decode.Options {
	o := Search(s.BeamSize, s.LengthPenalty, s.MinOutLen, s.MaxOutLen, s.BlockTrigram)
	o.MaxMemory = int64(s.DecodeMemory) << 20
	return o
}

// Decoded are the dev examples that an evaluation decodes.
func Decoded[T any](s *Settings, dev []T) []T {
	if s.DecodeExamples == 0 {
		return dev
	}
	return Evenly(dev, s.DecodeExamples)
}
