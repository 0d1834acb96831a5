package decode

import (
	"cmp"
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
)

// What the tests share: a tiny vocabulary, a tiny model with random parameters, and
// decoding once more, plainly, as their oracle.

// pieces is a vocabulary of byte strings.
type pieces []string

// tinyPieces has pieces of a character: "é" may come in two, and the white space is of three kinds.
var tinyPieces = pieces{"[CLS]", "[PAD]", "[SEP]", "[UNK]", " a", "b", "\xc3", "\xa9", " ", "\t", " \u00a0", "[MASK]"}

func (p pieces) VocabSize() int           { return len(p) }
func (p pieces) CLS() int32               { return 0 }
func (p pieces) PAD() int32               { return 1 }
func (p pieces) UNK() int32               { return 3 }
func (p pieces) MASK() int32              { return int32(len(p) - 1) }
func (p pieces) StartsWord(id int32) bool { return p[id][0] == ' ' }

func (p pieces) Decode(dst []byte, ids []int32) []byte {
	for _, id := range ids {
		dst = append(dst, p[id]...)
	}
	return dst
}

func (p pieces) DecodeString(ids []int32) string { return string([]rune(string(p.Decode(nil, ids)))) }

func tiny(problem string) model.Config {
	return model.Config{
		VocabSize: len(tinyPieces), HiddenSize: 8, Layers: 2, Heads: 2, MaxPositions: 32, HiddenAct: "gelu", InitRange: 0.02, ImageEmbeddingSize: 3, ProblemType: problem,
	}
}

// newDecoder makes a decoder of a model whose parameters are large enough for texts to differ.
func newDecoder(tb testing.TB, dev engine.Device, cfg model.Config) *Decoder {
	tb.Helper()
	cfg.InitRange = 0.5
	m, err := model.New[*model.Generator](dev, cfg, 1)
	if err != nil {
		tb.Fatal(err)
	}
	return New(dev, m, tinyPieces)
}

// randomSources draws sources of 1 to 9 regions and tokens.
func randomSources(r *rand.Rand, cfg model.Config, n int) []Source {
	draw := func(n, below int) []int32 {
		ids := make([]int32, n)
		for i := range ids {
			ids[i] = int32(r.IntN(below))
		}
		return ids
	}
	sources := make([]Source, n)
	for i := range sources {
		n, s := 1+r.IntN(9), &sources[i]
		if cfg.ProblemType == model.Captioning {
			regions := 1 + r.IntN(n)
			for range regions * cfg.ImageEmbeddingSize {
				s.Images.Features = append(s.Images.Features, float32(r.NormFloat64()))
			}
			for range regions * model.LocationSize {
				s.Images.Locations = append(s.Images.Locations, r.Float32())
			}
			s.Images.Offsets = []int32{0, int32(regions)}
			names := r.IntN(n - regions + 1)
			s.Objects.Append(draw(names, cfg.VocabSize))
			if n -= regions + names; n == 0 {
				continue // no text
			}
		}
		s.Text.Append(draw(n, cfg.VocabSize))
		if cfg.ProblemType == model.Dialogue {
			s.Text.Roles, s.Text.Turns = draw(n, 3), draw(n, 16)
		}
		if r.IntN(2) == 0 {
			s.TargetPosition = model.FirstPosition + int32(n)
		}
	}
	return sources
}

// plain is a hypothesis of the oracle.
type plain struct {
	ids    []int32 // with [CLS] and end
	scores []float64
	sum    float64
}

// distribution returns the log probabilities of the next token, from reading source and target
// as a whole.
func (d *Decoder) distribution(s Source, target []int32, forbidden int32) []float64 {
	var in model.Input
	in.Append(s.Input)
	source := int32(len(in.Text.Tokens))
	in.Text.Sources, in.Text.Offsets = []int32{source}, []int32{0, source + int32(len(target))}
	in.Text.Tokens = append(in.Text.Tokens, target...)
	for i := range target {
		in.Text.Positions = append(in.Text.Positions, s.first()+int32(i))
	}
	if in.Text.Roles != nil {
		zeros := make([]int32, len(target))
		in.Text.Roles, in.Text.Turns = append(in.Text.Roles, zeros...), append(in.Text.Turns, zeros...)
	}
	tape := autograd.NewInference(d.dev)
	defer tape.Release()
	logits := engine.Values(d.dev, d.model.Logits(tape, in).Value)
	p := make([]float64, d.model.Config.VocabSize)
	var sum float64
	for i := range p {
		p[i] = float64(logits[len(logits)-len(p)+i])
		if int32(i) == forbidden {
			p[i] = math.Inf(-1)
		}
		sum += math.Exp(p[i])
	}
	for i := range p {
		p[i] -= math.Log(sum)
	}
	return p
}

// words cuts tokens into full words.
func words(v Vocabulary, ids []int32) (list [][]int32) {
	for i, id := range ids {
		if i == 0 || v.StartsWord(id) {
			list = append(list, nil)
		}
		list[len(list)-1] = append(list[len(list)-1], id)
	}
	return list
}

// repeatsPlainly says whether the last three words were there before.
func repeatsPlainly(v Vocabulary, ids []int32) bool {
	list := words(v, ids)
	for end := 3; end < len(list); end++ {
		if slices.EqualFunc(list[end-3:end], list[len(list)-3:], slices.Equal) {
			return true
		}
	}
	return false
}

// beamPlainly is beam search for one source, from the package comment. margin is the smallest
// relative difference of two scores by which it chose: below what rounding changes, another
// choice is as right.
func (d *Decoder) beamPlainly(s Source, o Options) (beams []plain, margin float64) {
	end := d.vocabulary.MASK()
	ended := func(p plain) bool { return p.ids[len(p.ids)-1] == end && len(p.ids) > 1 }
	beams, margin = []plain{{ids: []int32{d.vocabulary.CLS()}, scores: []float64{0}}}, math.Inf(1)
	apart := func(better, worse float64) {
		margin = min(margin, (better-worse)/max(1, math.Abs(better)))
	}
	for t := range o.MaxLength {
		var next []plain
		for _, b := range beams {
			if ended(b) {
				next = append(next, b)
				continue
			}
			forbidden := int32(-1)
			if t < o.MinLength {
				forbidden = end
			}
			p := d.distribution(s, b.ids, forbidden)
			best := make([]int32, len(p))
			for i := range best {
				best[i] = int32(i)
			}
			slices.SortStableFunc(best, func(x, y int32) int { return cmp.Compare(p[y], p[x]) })
			if len(best) > o.BeamSize {
				apart(p[best[o.BeamSize-1]], p[best[o.BeamSize]])
			}
			for _, id := range best[:o.BeamSize] {
				c := plain{slices.Concat(b.ids, []int32{id}), nil, b.sum + p[id]}
				if o.BlockTrigrams && repeatsPlainly(d.vocabulary, c.ids) {
					c.sum -= 65000
				}
				c.scores = slices.Concat(b.scores, []float64{c.sum / math.Pow(float64(5+t+1)/6, o.LengthPenalty)})
				next = append(next, c)
			}
		}
		slices.SortStableFunc(next, func(x, y plain) int {
			return cmp.Compare(y.scores[len(y.scores)-1], x.scores[len(x.scores)-1])
		})
		for i := range min(len(next)-1, o.BeamSize) {
			apart(next[i].scores[len(next[i].scores)-1], next[i+1].scores[len(next[i+1].scores)-1])
		}
		beams = next[:min(len(next), o.BeamSize)]
		if !slices.ContainsFunc(beams, func(p plain) bool { return !ended(p) }) {
			break
		}
	}
	return beams, margin
}

// run runs, or the test fails.
func run(tb testing.TB, d *Decoder, sources []Source, o Options) []Result {
	tb.Helper()
	results, err := d.Run(context.Background(), sources, o, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return results
}

// memoryWatch is a device that counts the bytes of its living tensors.
type memoryWatch struct {
	engine.Device
	live, most int64
}

func watchMemory() *memoryWatch { return &memoryWatch{Device: cpu.New()} }

func (w *memoryWatch) Fork() engine.Device { return w }

func (w *memoryWatch) New(rows, cols int) *engine.Tensor {
	w.live += 4 * int64(rows) * int64(cols)
	w.most = max(w.most, w.live)
	return w.Device.New(rows, cols)
}

func (w *memoryWatch) Free(t *engine.Tensor) {
	if t != nil {
		w.live -= 4 * int64(t.Len())
	}
	w.Device.Free(t)
}
