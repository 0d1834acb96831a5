package texts

import (
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
)

// What would count for nothing is an error; --temperature 0 is greedy.
func TestDecodingFlags(t *testing.T) {
	usual := decode.Default
	usual.MaxMemory = 1<<30 + 5 // not a multiple of a MiB
	for _, c := range []struct {
		name, set, err string
		want           func(o *decode.Options)
	}{
		{name: "nothing", want: func(*decode.Options) {}},
		{name: "a search", set: "beam=3 length_penalty=1.5 min_length=2 max_length=9 block_trigram=true memory=7", want: func(o *decode.Options) {
			o.BeamSize, o.LengthPenalty, o.MinLength, o.MaxLength, o.BlockTrigrams, o.MaxMemory = 3, 1.5, 2, 9, true, 7<<20
		}},
		{name: "drawn", set: "sample=true temperature=0.5 top_k=4 top_p=0.9 seed=8", want: func(o *decode.Options) {
			o.Sample, o.Temperature, o.TopK, o.TopP, o.SampleSeed = true, 0.5, 4, 0.9, 8
		}},
		{name: "the likeliest", set: "temperature=0", want: func(o *decode.Options) { o.BeamSize = 1 }},
		{name: "the likeliest, not drawn", set: "sample=true temperature=0", want: func(o *decode.Options) { o.BeamSize = 1 }},
		{name: "the likeliest, not searched", set: "temperature=0 beam=4", err: "--temperature 0 takes the likeliest token, and --beam 4 searches"},
		{name: "drawn and searched", set: "sample=true beam=4", err: "--sample draws tokens, and --beam 4 searches"},
		{name: "temperature of a search", set: "temperature=0.5", err: "--temperature is for --sample; add that, or leave --temperature out"},
		{name: "top k of a search", set: "top_k=3", err: "--top-k is for --sample"},
		{name: "top p of a search", set: "top_p=0.3", err: "--top-p is for --sample"},
		{name: "seed of a search", set: "seed=3", err: "--seed is for --sample"},
		{name: "no beam", set: "beam=0", err: "beam_size is 0, want 1 to"},
		{name: "too long", set: "max_length=600", err: "max_out_len is 600, want 1 to 512"},
	} {
		d := NewDecoding(usual)
		err := run.SetFlags(d, strings.Fields(c.set))
		var got decode.Options
		if err == nil {
			got, err = d.Options(model.Base)
		}
		want := usual
		if c.want != nil {
			c.want(&want)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || err == nil && got != want {
			t.Errorf("%s: %+v, %v, want %+v, %q", c.name, got, err, want, c.err)
		}
	}
}
