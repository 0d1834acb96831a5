package decode

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
)

// tokens are drawn as often as softmax says, among those that are left.
func TestSampling(t *testing.T) {
	logits := []float32{1, 3, -2, 0.5, 2.9, 1, -8, 2}
	for _, c := range []struct {
		name           string
		temperature, p float64
		k              int
		except         int32
		want           []int32 // the tokens left
	}{
		{"all", 1, 1, 0, -1, []int32{0, 1, 2, 3, 4, 5, 6, 7}},
		{"cold", 0.5, 1, 0, -1, []int32{0, 1, 2, 3, 4, 5, 6, 7}},
		{"hot", 3, 1, 0, -1, []int32{0, 1, 2, 3, 4, 5, 6, 7}},
		{"no end", 1, 1, 0, 1, []int32{0, 2, 3, 4, 5, 6, 7}},
		{"top 3", 1, 1, 3, -1, []int32{1, 4, 7}},
		{"top 1", 1, 1, 1, -1, []int32{1}},
		{"top 99", 1, 1, 99, -1, []int32{0, 1, 2, 3, 4, 5, 6, 7}},
		{"nucleus", 1, 0.8, 0, -1, []int32{1, 4, 7}},
		{"small nucleus", 1, 0.01, 0, -1, []int32{1}},
		{"nucleus of the top 3", 1, 0.7, 3, -1, []int32{1, 4}},
		{"nucleus without end", 1, 0.5, 0, 1, []int32{4}},
	} {
		o := Default
		o.Sample, o.Temperature, o.TopP, o.TopK = true, c.temperature, c.p, c.k
		// Expected frequencies.
		expected, total := map[int32]float64{}, 0.0
		for _, id := range c.want {
			expected[id] = math.Exp(float64(logits[id]) / c.temperature)
			total += expected[id]
		}
		const draws = 20000
		counts := map[int32]int{}
		s, random := new(sampler), randomStream(&o, &Source{}, 1)
		for range draws {
			if 0 < c.k && c.k < len(logits) {
				ids, values := largest(logits, c.k)
				s.some(ids, values)
			} else {
				s.all(logits, c.except)
			}
			counts[s.sample(&o, random, func(int32) bool { return false }).id]++
		}
		var chi float64
		for id, weight := range expected {
			want := draws * weight / total
			chi += (float64(counts[id]) - want) * (float64(counts[id]) - want) / want
			delete(counts, id)
		}
		if len(counts) > 0 {
			t.Errorf("%s: drew %v, which should be left out", c.name, counts)
		}
		// Six deviations of a chi-square distribution.
		if freedom := float64(len(c.want) - 1); chi > freedom+6*math.Sqrt(2*freedom) {
			t.Errorf("%s: chi-square %.1f with %v degrees of freedom", c.name, chi, freedom)
		}
	}
}

// largest returns the k largest logits.
func largest(logits []float32, k int) (ids []int32, values []float32) {
	for i := range logits {
		ids = append(ids, int32(i))
	}
	slices.SortStableFunc(ids, func(a, b int32) int { return cmp.Compare(logits[b], logits[a]) })
	for _, id := range ids[:k] {
		values = append(values, logits[id])
	}
	return ids[:k], values
}

// The nucleus is the shortest list of likeliest tokens whose probability reaches p.
func TestNucleus(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var logits []float32
		for _, x := range rapid.SliceOfN(rapid.IntRange(-2000, 2000), 1, 50).Draw(t, "logits") {
			logits = append(logits, float32(x)/100)
		}
		o := Default
		o.TopP = rapid.Float64Range(1e-6, 1).Draw(t, "p")
		o.Temperature = rapid.SampledFrom([]float64{0.1, 1, 10}).Draw(t, "temperature")
		s := new(sampler)
		s.all(logits, -1)
		sum := s.weigh(&o)
		ids, _ := largest(logits, len(logits))
		weight := func(id int32) float64 { return math.Exp(float64(logits[id]-logits[ids[0]]) / o.Temperature) }
		var total, kept float64
		for _, id := range ids {
			total += weight(id)
		}
		if o.TopP == 1 {
			return
		}
		for i, c := range s.candidates {
			if c.id != ids[i] {
				t.Fatalf("candidates %v, want the first of %v", s.candidates, ids)
			}
			kept += weight(c.id)
		}
		last := weight(s.candidates[len(s.candidates)-1].id)
		if slack := 1e-9 * total; kept < o.TopP*total-slack || kept-last > o.TopP*total+slack || math.Abs(sum-kept) > slack {
			t.Fatalf("%d of %d tokens with %g of %g, want %g; the sum is %g", len(s.candidates), len(logits), kept, total, o.TopP, sum)
		}
	})
}

// What is blocked is drawn only if nothing else is left.
func TestBlockedTokens(t *testing.T) {
	o := Default
	s, random := new(sampler), randomStream(&o, &Source{}, 0)
	for range 100 {
		s.all([]float32{5, 4, 3}, -1)
		if got := s.sample(&o, random, func(id int32) bool { return id != 2 }); got.id != 2 {
			t.Fatalf("drew %d, which is blocked", got.id)
		}
		s.all([]float32{5, 4, 3}, 1)
		if got := s.sample(&o, random, func(int32) bool { return true }); got.id == 1 {
			t.Fatal("drew what is no candidate")
		}
	}
}

// Samples follow the options of all decoding and their seed, and are scored by the model's
// own probabilities.
func TestSampledTexts(t *testing.T) {
	d := newDecoder(t, cpu.New(), tiny(model.Generation))
	sources := randomSources(rand.New(rand.NewPCG(7, 8)), d.model.Config, 12)
	o := Default
	o.Sample, o.MinLength, o.MaxLength, o.Temperature, o.BlockTrigrams = true, 3, 14, 2, true
	results := run(t, d, sources, o)
	for i, r := range results {
		h := r.Best()
		if n := len(h.IDs); len(r.Hypotheses) != 1 || n < o.MinLength || n > o.MaxLength || h.Finished == (n == o.MaxLength) {
			t.Errorf("source %d: %+v", i, r)
		}
		target, sum := []int32{0}, 0.0
		ids := h.IDs
		if h.Finished {
			ids = append(slices.Clone(ids), d.vocabulary.MASK())
		}
		for j, id := range ids {
			forbidden := int32(-1)
			if j < o.MinLength {
				forbidden = d.vocabulary.MASK()
			}
			sum += d.distribution(sources[i], target, forbidden)[id]
			target = append(target, id)
			if repeatsPlainly(d.vocabulary, target) {
				t.Errorf("source %d repeats a trigram: %v", i, target)
			}
		}
		if want := sum / o.penalty(len(ids)); !(math.Abs(h.Score-want) <= 1e-5*math.Abs(want)) {
			t.Errorf("source %d has score %g, want %g", i, h.Score, want)
		}
	}
	o.SampleSeed++
	if same(results, run(t, d, sources, o)) {
		t.Error("another seed gives the same texts")
	}
	// The likeliest token alone is what greedy decoding takes.
	o.TopK, o.BlockTrigrams = 1, false
	greedy := o
	greedy.Sample, greedy.BeamSize = false, 1
	if !same(run(t, d, sources, o), run(t, d, sources, greedy)) {
		t.Error("sampling from the likeliest token is not greedy")
	}
}
