package texts

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
)

// Decoding are the settings of how a finished model finds texts: flags of "unimo generate", for
// example, and "unimo evaluate".
type Decoding struct {
	Beam          int     `json:"beam" help:"hypotheses of the beam search (1: greedy)"`
	LengthPenalty float64 `json:"length_penalty" help:"alpha of the length penalty (0: none)"`
	MinLength     int     `json:"min_length" help:"least tokens of a text"`
	MaxLength     int     `json:"max_length" help:"most tokens of a text"`
	BlockTrigram  bool    `json:"block_trigram" help:"no three words twice in a text"`
	Sample        bool    `json:"sample" help:"draw tokens by their probability instead of a beam search"`
	Temperature   float64 `json:"temperature" help:"of --sample: below 1 likelier tokens, above 1 rarer ones (0: the likeliest always)"`
	TopK          int     `json:"top_k" help:"sample among the k likeliest tokens (0: all)"`
	TopP          float64 `json:"top_p" help:"sample among the likeliest tokens that have this probability together (1: all)"`
	Seed          uint64  `json:"seed" help:"of --sample"`
	Memory        int     `json:"memory" help:"most memory of a decoding batch in MiB"`

	usual     float64 // temperature
	maxMemory int64   // that Memory was made of
}

// NewDecoding returns settings with the values of o.
func NewDecoding(o decode.Options) *Decoding {
	return &Decoding{
		Beam: o.BeamSize, LengthPenalty: o.LengthPenalty, MinLength: o.MinLength, MaxLength: o.MaxLength, BlockTrigram: o.BlockTrigrams,
		Sample: o.Sample, Temperature: o.Temperature, TopK: o.TopK, TopP: o.TopP, Seed: o.SampleSeed, Memory: int(o.MaxMemory >> 20),
		usual: o.Temperature, maxMemory: o.MaxMemory,
	}
}

// Validate implements [run.Flags]. What would count for nothing is an error. Of --temperature 0 it
// makes what that means.
func (d *Decoding) Validate(given func(key string) bool) error {
	switch {
	case given("temperature") && d.Temperature == 0: // the likeliest token always
		if given("beam") && d.Beam > 1 {
			return fmt.Errorf("--temperature 0 takes the likeliest token, and --beam %d searches; leave one out", d.Beam)
		}
		d.Sample, d.Beam, d.Temperature = false, 1, d.usual
	case d.Sample && given("beam") && d.Beam > 1:
		return fmt.Errorf("--sample draws tokens, and --beam %d searches; leave one out", d.Beam)
	case !d.Sample:
		for _, f := range []struct{ key, flag string }{{"temperature", "--temperature"}, {"top_k", "--top-k"}, {"top_p", "--top-p"}, {"seed", "--seed"}} {
			if given(f.key) {
				return fmt.Errorf("%s is for --sample; add that, or leave %[1]s out", f.flag)
			}
		}
	}
	return nil
}

// Options are what the settings mean for a model, which may be too small for them.
func (d *Decoding) Options(cfg model.Config) (decode.Options, error) {
	o := decode.Options{
		BeamSize: d.Beam, LengthPenalty: d.LengthPenalty, MinLength: d.MinLength, MaxLength: d.MaxLength, BlockTrigrams: d.BlockTrigram,
		Sample: d.Sample, Temperature: d.Temperature, TopK: d.TopK, TopP: d.TopP, SampleSeed: d.Seed, MaxMemory: int64(d.Memory) << 20,
	}
	if int64(d.Memory) == d.maxMemory>>20 {
		o.MaxMemory = d.maxMemory // not a multiple of a MiB
	}
	if err := o.Validate(cfg); err != nil {
		return o, &run.SettingError{Err: err}
	}
	return o, nil
}
