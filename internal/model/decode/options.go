package decode

import (
	"cmp"
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/model"
)

// Options are what can be set about decoding. The keys are those of configuration files
// and of --set; help texts are in the struct tags.
type Options struct {
	BeamSize      int     `json:"beam_size" help:"hypotheses of a source (1: greedy)"`
	LengthPenalty float64 `json:"length_penalty" help:"exponent by which longer texts are preferred (0: not)"`
	MinLength     int     `json:"min_out_len" help:"tokens a text has at least"`
	MaxLength     int     `json:"max_out_len" help:"tokens a text has at most, its end included"`
	BlockTrigrams bool    `json:"block_trigram" help:"avoid three words in a row that were there before"`
	Sample        bool    `json:"sample" help:"draw one text instead of searching for the likeliest; beam_size has no meaning then"`
	Temperature   float64 `json:"temperature" help:"of sampling: below 1 likelier tokens, above 1 more varied ones"`
	TopK          int     `json:"top_k" help:"sample from so many likeliest tokens (0: from all)"`
	TopP          float64 `json:"top_p" help:"sample from the likeliest tokens whose probability reaches this (1: from all)"`
	SampleSeed    uint64  `json:"sample_seed" help:"of sampling"`
	MaxMemory     int64   `json:"max_memory" help:"bytes a batch of decoding may take besides the model"`
}

// Default is the reference's beam search with the constants its tasks share.
var Default = Options{BeamSize: 5, LengthPenalty: 0.6, MaxLength: 128, Temperature: 1, TopP: 1, SampleSeed: 1, MaxMemory: 1 << 30}

// Validate returns an error that names the first value that is impossible for a model with
// configuration cfg.
func (o Options) Validate(cfg model.Config) error {
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	return cmp.Or(
		settings.Want(o.BeamSize >= 1 && o.BeamSize < cfg.VocabSize, "beam_size", o.BeamSize, fmt.Sprintf("1 to %d, one less than the vocabulary", cfg.VocabSize-1)),
		settings.Want(o.LengthPenalty >= 0 && o.LengthPenalty < 100, "length_penalty", o.LengthPenalty, "0 or more and less than 100"),
		settings.Want(o.MaxLength >= 1 && o.MaxLength <= cfg.MaxTokens(), "max_out_len", o.MaxLength, fmt.Sprintf("1 to %d, the model's positions", cfg.MaxTokens())),
		settings.Want(o.MinLength >= 0 && o.MinLength <= o.MaxLength, "min_out_len", o.MinLength, fmt.Sprintf("0 to %d (max_out_len)", o.MaxLength)),
		settings.Want(o.Temperature > 0 && finite(o.Temperature), "temperature", o.Temperature, "more than 0"),
		settings.Want(o.TopK >= 0, "top_k", o.TopK, "0 or more"),
		settings.Want(o.TopP > 0 && o.TopP <= 1, "top_p", o.TopP, "more than 0 and at most 1"),
		settings.Want(o.MaxMemory >= 1, "max_memory", o.MaxMemory, "1 or more"),
	)
}

// beams is how many hypotheses of a source there may be.
func (o Options) beams() int {
	if o.Sample {
		return 1
	}
	return o.BeamSize
}

// penalty is what the sum of t log probabilities is divided by.
func (o Options) penalty(t int) float64 { return math.Pow((5+float64(t))/6, o.LengthPenalty) }
