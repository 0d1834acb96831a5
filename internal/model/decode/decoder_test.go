package decode

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
)

// Decoding with caches, in batches, finds what searching plainly, source by source, with
// the whole text read again for every token, finds.
func TestBeamSearchAgainstPlainSearch(t *testing.T) {
	decoders := map[string]*Decoder{}
	problems := []string{model.Generation, model.Dialogue, model.Captioning}
	for _, problem := range problems {
		decoders[problem] = newDecoder(t, cpu.New(), tiny(problem))
	}
	const rounding = 1e-4 // 60,000 random searches differ by 1.2e-5 at most
	compared, ties := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		d := decoders[rapid.SampledFrom(problems).Draw(t, "problem")]
		o := Default
		o.BeamSize = rapid.IntRange(1, 6).Draw(t, "beams")
		o.MaxLength = rapid.IntRange(1, 10).Draw(t, "longest")
		o.MinLength = rapid.IntRange(0, o.MaxLength).Draw(t, "shortest")
		o.LengthPenalty = rapid.SampledFrom([]float64{0, 0.6, 1.2, 3}).Draw(t, "penalty")
		o.BlockTrigrams = rapid.Bool().Draw(t, "trigrams")
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		sources := randomSources(r, d.model.Config, rapid.IntRange(0, 5).Draw(t, "sources"))
		results, err := d.Run(context.Background(), sources, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range sources {
			want, margin := d.beamPlainly(s, o)
			if compared++; margin < rounding {
				ties++
				continue
			}
			for j, h := range results[i].Hypotheses {
				ids := append([]int32{0}, h.IDs...)
				if h.Finished {
					ids = append(ids, d.vocabulary.MASK())
				}
				if !slices.Equal(ids, want[j].ids) {
					t.Fatalf("%+v: source %d, hypothesis %d is %v (%v), want %v (%v)", o, i, j, ids, h.Score, want[j].ids, want[j].scores)
				}
				for k, score := range want[j].scores[1:] {
					if !(math.Abs(h.Scores[k]-score) <= rounding*max(1, math.Abs(score))) {
						t.Fatalf("%+v: source %d, hypothesis %d has scores %v, want %v", o, i, j, h.Scores, want[j].scores)
					}
				}
				if h.Score != h.Scores[len(h.Scores)-1] {
					t.Fatalf("score %v is not the last of %v", h.Score, h.Scores)
				}
			}
			if len(results[i].Hypotheses) != len(want) {
				t.Fatalf("%+v: source %d has %d hypotheses, want %d", o, i, len(results[i].Hypotheses), len(want))
			}
		}
	})
	if ties*4 > compared {
		t.Errorf("%d of %d sources were decided by less than rounding: too few were compared", ties, compared)
	}
	t.Logf("%d of %d sources were decided by less than rounding", ties, compared)
}

// same says whether results are equal but for rounding.
func same(a, b []Result) bool {
	return slices.EqualFunc(a, b, func(a, b Result) bool {
		return slices.EqualFunc(a.Hypotheses, b.Hypotheses, func(a, b Hypothesis) bool {
			return slices.Equal(a.IDs, b.IDs) && a.Finished == b.Finished && math.Abs(a.Score-b.Score) <= 1e-5*max(1, math.Abs(a.Score))
		})
	})
}

// What is written for a source depends neither on the other sources, nor on the cut into
// batches, nor on the number of threads; when sampling neither.
func TestResultsDoNotDependOnBatches(t *testing.T) {
	d := newDecoder(t, cpu.New(), tiny(model.Generation))
	cfg := d.model.Config
	sources := randomSources(rand.New(rand.NewPCG(1, 2)), cfg, 9)
	beam, greedy, sample := Default, Default, Default
	beam.BeamSize, beam.MaxLength, greedy.BeamSize, greedy.MaxLength = 4, 12, 1, 12
	sample.Sample, sample.MaxLength, sample.BlockTrigrams = true, 12, true
	nucleus, likeliest := sample, sample
	nucleus.TopP, likeliest.TopK, likeliest.Temperature = 0.8, 5, 1.5
	for name, o := range map[string]Options{"beam": beam, "greedy": greedy, "sample": sample, "nucleus": nucleus, "likeliest": likeliest} {
		want := run(t, d, sources, o)
		ticks := 0
		small := o
		small.MaxMemory = MemoryOf(cfg, o, 9, 9)
		batches, err := cut(cfg, small, sources, nil)
		if err != nil || len(batches) < 2 {
			t.Fatalf("%s: batches %v, %v", name, batches, err)
		}
		got, err := d.Run(context.Background(), sources, small, func(done, total int) {
			if ticks++; total != len(sources) || done < ticks || ticks == len(batches) && done != total {
				t.Errorf("%s: %d of %d done", name, done, total)
			}
		})
		if err != nil || !same(got, want) {
			t.Errorf("%s: in %d batches other results (%v)", name, len(batches), err)
		}
		if ticks != len(batches) {
			t.Errorf("%s: %d ticks for %d batches", name, ticks, len(batches))
		}
		before := parallel.Threads()
		for _, threads := range []int{1, 2} {
			parallel.SetThreads(threads)
			if got := run(t, d, sources, o); !same(got, want) {
				t.Errorf("%s: with %d threads other results", name, threads)
			}
		}
		parallel.SetThreads(before)
		if alone := run(t, d, sources[:1], o); !same(alone, want[:1]) {
			t.Errorf("%s: the first source alone gives another result", name)
		}
	}
}

// The memory taken stays within what MemoryOf says, and within the limit.
// Sources with seeds and greatest lengths of their own get, together and told piece by piece, what each gets alone, bit for bit.
func TestSourcesWithTheirOwnLimits(t *testing.T) {
	d := newDecoder(t, cpu.New(), tiny(model.Generation))
	rapid.Check(t, func(t *rapid.T) {
		o := Default
		o.Sample = rapid.Bool().Draw(t, "sample")
		o.BeamSize = rapid.IntRange(1, 4).Draw(t, "beams")
		o.MaxLength = rapid.IntRange(1, 10).Draw(t, "longest")
		o.MinLength = rapid.IntRange(0, o.MaxLength).Draw(t, "shortest")
		o.TopK = rapid.SampledFrom([]int{0, 3}).Draw(t, "top k")
		o.BlockTrigrams = rapid.Bool().Draw(t, "trigrams")
		sources := randomSources(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "sources"), 1)), d.model.Config, rapid.IntRange(1, 5).Draw(t, "n"))
		for i := range sources {
			sources[i].MaxLength = rapid.IntRange(1, o.MaxLength).Draw(t, "own longest")
			seed := rapid.Uint64().Draw(t, "seed")
			sources[i].Seed = &seed
		}
		told := make([]string, len(sources))
		together, err := d.Streams(context.Background(), sources, o, func(i int, piece string) { told[i] += piece })
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range sources {
			own := o
			own.MaxLength, own.SampleSeed = s.MaxLength, *s.Seed
			own.MinLength = min(own.MinLength, own.MaxLength)
			s.MaxLength, s.Seed = 0, nil
			alone, err := d.Run(context.Background(), []Source{s}, own, nil)
			if err != nil || !reflect.DeepEqual(alone[0], together[i]) || told[i] != Text(d.vocabulary, alone[0].Best().IDs) {
				t.Fatalf("%+v: source %d is %+v and told %q, alone %+v, %v", own, i, together[i], told[i], alone, err)
			}
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*model.Config, *Options)
	}{
		{"beam", func(*model.Config, *Options) {}},
		{"many logits", func(_ *model.Config, o *Options) { o.BeamSize = 11 }},
		{"deep", func(cfg *model.Config, _ *Options) { cfg.Layers = 9 }},
		{"no layer", func(cfg *model.Config, _ *Options) { cfg.Layers = 0 }},
		{"long texts", func(_ *model.Config, o *Options) { o.MaxLength, o.MinLength = 30, 30 }},
		{"images", func(cfg *model.Config, _ *Options) { cfg.ProblemType, cfg.ImageEmbeddingSize = model.Captioning, 2 }},
		{"images of many features", func(cfg *model.Config, _ *Options) { cfg.ProblemType, cfg.ImageEmbeddingSize = model.Captioning, 999 }},
		{"sample", func(_ *model.Config, o *Options) { o.Sample = true }},
	} {
		dev := watchMemory()
		cfg, o := tiny(model.Generation), Default
		o.MaxLength = 12
		c.edit(&cfg, &o)
		d := newDecoder(t, dev, cfg)
		r := rand.New(rand.NewPCG(3, 4))
		before := dev.live
		for range 5 {
			sources := randomSources(r, cfg, 8)
			for i := range sources {
				sources[i].TargetPosition = 0
			}
			o.MaxMemory = MemoryOf(cfg, o, 9, 9, 5)
			dev.most = dev.live
			run(t, d, sources, o)
			if taken := dev.most - before; taken > o.MaxMemory || taken < o.MaxMemory/20 {
				t.Errorf("%s: %d bytes, the limit is %d", c.name, taken, o.MaxMemory)
			}
			if dev.live != before {
				t.Errorf("%s: %d bytes are left over", c.name, dev.live-before)
			}
		}
		o.MaxMemory = MemoryOf(cfg, o, 3) - 1
		var long Source
		long.Text.Append([]int32{0, 5, 2})
		if cfg.ProblemType == model.Captioning {
			long = randomSources(r, cfg, 1)[0]
			o.MaxMemory = MemoryOf(cfg, o, long.Rows()) - 1
		}
		_, err := d.Run(context.Background(), []Source{long}, o, nil)
		if err == nil || !strings.Contains(err.Error(), "max_memory") || !strings.HasPrefix(err.Error(), "source ") {
			t.Errorf("%s: a limit too low for one source: %v", c.name, err)
		}
	}
}

// Batches hold every source once, the longest first, within both limits.
func TestCut(t *testing.T) {
	cfg, o := tiny(model.Generation), Default
	o.MaxLength = 4
	sources := randomSources(rand.New(rand.NewPCG(1, 1)), cfg, 999)
	for _, c := range []struct{ beams, most int }{{1, maxHypotheses}, {3, maxHypotheses / 3}, {11, maxHypotheses / 11}} {
		o.BeamSize = c.beams
		batches, err := cut(cfg, o, sources, nil)
		if err != nil {
			t.Fatal(err)
		}
		seen, before := map[int]bool{}, 9
		for i, batch := range batches {
			if len(batch) > c.most || len(batch) < c.most && i < len(batches)-1 {
				t.Errorf("%d beams: a batch of %d sources, want %d", c.beams, len(batch), c.most)
			}
			for _, number := range batch {
				n := sources[number].Rows()
				if seen[number] || n > before {
					t.Errorf("%d beams: source %d of %d tokens after one of %d, seen: %v", c.beams, number, n, before, seen[number])
				}
				seen[number], before = true, n
			}
		}
		if len(seen) != len(sources) {
			t.Errorf("%d beams: %d sources in batches, want %d", c.beams, len(seen), len(sources))
		}
	}
}

func TestRunRefusesBadSources(t *testing.T) {
	d := newDecoder(t, cpu.New(), tiny(model.Dialogue))
	fine := func() Source {
		s := Source{Input: model.Input{Text: model.Text{Roles: []int32{0, 1, 2}, Turns: []int32{0, 0, 0}}}}
		s.Text.Append([]int32{0, 5, 2})
		return s
	}
	o := Default
	o.MaxLength = 5
	for _, c := range []struct {
		name, want string
		edit       func(*Source)
	}{
		{"empty", "no token", func(s *Source) { *s = Source{} }},
		{"unknown id", "token 1 has id 12, but the model's vocabulary has 12", func(s *Source) { s.Text.Tokens[1] = 12 }},
		{"negative id", "token 1 has id -1", func(s *Source) { s.Text.Tokens[1] = -1 }},
		{"position outside", "token 2 has position 32, but the model has 32", func(s *Source) { s.Text.Positions[2] = 32 }},
		{"positions missing", "3 tokens have 0 positions", func(s *Source) { s.Text.Positions = nil }},
		{"roles missing", "3 tokens have 0 roles", func(s *Source) { s.Text.Roles = nil }},
		{"unknown turn", "token 0 has turn 16", func(s *Source) { s.Text.Turns[0] = 16 }},
		{"two texts", "2 sequences", func(s *Source) { s.Append(s.Input) }},
		{"a target", "1 sources in them", func(s *Source) { s.Text.Sources = []int32{2} }},
		{"an image", "the model reads texts only", func(s *Source) { s.Images.Offsets = []int32{0, 1} }},
		{"target outside", "from position 28 on does not fit the model's 32", func(s *Source) { s.TargetPosition = 28 }},
		{"target far outside", "max_out_len", func(s *Source) { s.TargetPosition = math.MaxInt32 }},
		{"target before the text", "max_out_len", func(s *Source) { s.TargetPosition = -1 }},
	} {
		bad := fine()
		c.edit(&bad)
		for _, err := range []error{
			second(d.Run(context.Background(), []Source{fine(), bad}, o, nil)),
			second(d.Stream(context.Background(), bad, o, func(string) {})),
		} {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want an error with %q", c.name, err, c.want)
			}
		}
		if _, err := d.Run(context.Background(), []Source{fine(), bad}, o, nil); !strings.HasPrefix(err.Error(), "source 2 of 2: ") {
			t.Errorf("%s: %v does not name the source", c.name, err)
		}
	}
	if results := run(t, d, nil, o); len(results) != 0 {
		t.Errorf("no source: %v", results)
	}
	other := New(d.dev, d.model, tinyPieces[1:])
	if _, err := other.Run(context.Background(), []Source{fine()}, o, nil); err == nil || !strings.Contains(err.Error(), "the vocabulary has 11 entries, but the model has 12") {
		t.Errorf("another vocabulary: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// A model whose weights are not numbers gives an error, never a text.
func TestDamagedModel(t *testing.T) {
	d := newDecoder(t, cpu.New(), tiny(model.Generation))
	for _, p := range d.model.Params {
		if p.Name == "mask_lm_out_fc.b_0" {
			values := make([]float32, p.Elements())
			values[4] = float32(math.NaN())
			d.dev.Write(p.Value, values)
		}
	}
	sources := randomSources(rand.New(rand.NewPCG(1, 1)), d.model.Config, 2)
	for _, edit := range []func(*Options){func(*Options) {}, func(o *Options) { o.Sample = true }, func(o *Options) { o.Sample, o.TopK = true, 3 }} {
		o := Default
		o.MaxLength = 5
		edit(&o)
		if _, err := d.Run(context.Background(), sources, o, nil); err == nil || !strings.Contains(err.Error(), "mask_lm_out_fc.b_0") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

// expiring is a context that ends when it was asked so many times.
type expiring struct {
	context.Context
	left int
}

func (c *expiring) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// A context is asked before every layer of every pass, and nothing is left behind when it ends.
func TestCancelling(t *testing.T) {
	dev := watchMemory()
	d := newDecoder(t, dev, tiny(model.Generation))
	sources := randomSources(rand.New(rand.NewPCG(1, 1)), d.model.Config, 3)
	o := Default
	o.MaxLength, o.MinLength = 4, 4
	before := dev.live
	asked := (1 + o.MaxLength) * d.model.Config.Layers
	for left := range asked {
		if _, err := d.Run(&expiring{context.Background(), left}, sources, o, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("after %d layers: %v", left, err)
		}
		if dev.live != before {
			t.Fatalf("after %d layers: %d bytes are left over", left, dev.live-before)
		}
	}
	if _, err := d.Run(&expiring{context.Background(), asked}, sources, o, nil); err != nil {
		t.Errorf("after all layers: %v", err)
	}
}

func TestOptions(t *testing.T) {
	cfg := tiny(model.Generation)
	o := Default
	o.MaxLength = 30
	if err := o.Validate(cfg); err != nil {
		t.Fatal(err)
	}
	if err := Default.Validate(model.Mini); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	nan := math.NaN()
	for _, c := range []struct {
		want string
		edit func(*Options)
	}{
		{"beam_size is 0, want 1 to 11", func(o *Options) { o.BeamSize = 0 }},
		{"beam_size is 12", func(o *Options) { o.BeamSize = 12 }},
		{"length_penalty is -1", func(o *Options) { o.LengthPenalty = -1 }},
		{"length_penalty is NaN", func(o *Options) { o.LengthPenalty = nan }},
		{"max_out_len is 0, want 1 to 30", func(o *Options) { o.MaxLength = 0 }},
		{"max_out_len is 31", func(o *Options) { o.MaxLength = 31 }},
		{"min_out_len is 6, want 0 to 5 (max_out_len)", func(o *Options) { o.MinLength, o.MaxLength = 6, 5 }},
		{"min_out_len is -1", func(o *Options) { o.MinLength = -1 }},
		{"temperature is 0, want more than 0", func(o *Options) { o.Temperature = 0 }},
		{"temperature is NaN", func(o *Options) { o.Temperature = nan }},
		{"temperature is +Inf", func(o *Options) { o.Temperature = math.Inf(1) }},
		{"top_k is -1", func(o *Options) { o.TopK = -1 }},
		{"top_p is 0, want more than 0 and at most 1", func(o *Options) { o.TopP = 0 }},
		{"top_p is 1.5", func(o *Options) { o.TopP = 1.5 }},
		{"top_p is NaN", func(o *Options) { o.TopP = nan }},
		{"max_memory is 0", func(o *Options) { o.MaxMemory = 0 }},
	} {
		bad := o
		c.edit(&bad)
		if err := bad.Validate(cfg); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		d := newDecoder(t, cpu.New(), cfg)
		if _, err := d.Run(context.Background(), nil, bad, nil); err == nil {
			t.Errorf("%s: accepted", c.want)
		}
	}
}
