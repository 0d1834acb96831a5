package decode

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/model"
)

func TestRoom(t *testing.T) {
	cfg := model.Mini
	cfg.VocabSize, cfg.MaxPositions = 1000, 514
	for _, c := range []struct {
		usual, beams, sources, longest, written int
		want                                    Room
		steps                                   int
	}{
		{5, 5, 1, 5, 50, Room{1, 32, 5, 512}, 17},
		{5, 3, 2, 33, 10, Room{4, 128, 5, 256}, 10},
		{5, 1, 16, 100, 64, Room{16, 128, 1, 64}, 17},
		{5, 6, 16, 100, 64, Room{16, 128, 16, 64}, 17},
		{20, 17, 1, 100, 512, Room{1, 128, 20, 512}, 257},
		{0, 2, 1, 100, 256, Room{1, 128, 16, 512}, 65},
		{5, 5, 16, 100, 65, Room{}, 0}, // too long for so many at a time
		{5, 5, 17, 100, 10, Room{}, 0},
		{5, 5, 64, 32, 10, Room{64, 32, 5, 64}, 10},
		{5, 5, 65, 32, 10, Room{}, 0},
		{5, 5, 1, 2049, 50, Room{}, 0},
	} {
		o := Default
		o.BeamSize = c.beams
		if r := (rooms{cfg, c.usual, o}).of(c.sources, c.longest, c.written); r != c.want || r.steps(c.written) != c.steps {
			t.Errorf("%+v: %+v and %d steps", c, r, r.steps(c.written))
		}
	}
	for _, c := range []struct {
		r                        Room
		wanted, vocabulary, want int
	}{
		{Room{}, 0, 1000, 0}, {Room{}, 70, 1000, 70}, {Room{}, 1000, 1000, 0},
		{Room{Sources: 1}, 0, 1000, 0}, {Room{Sources: 1}, 5, 1000, 64}, {Room{Sources: 1}, 64, 65, 64}, {Room{Sources: 1}, 5, 20, 19}, {Room{Sources: 1}, 65, 1000, 0},
	} {
		if got := c.r.likeliest(c.wanted, c.vocabulary); got != c.want {
			t.Errorf("%+v: %d tokens", c, got)
		}
	}
}

// Whatever requests ask for, their batches are in rooms that are rehearsed, with as many steps; and no source is lost.
func TestFittedBatchesAreRehearsed(t *testing.T) {
	cfg := model.Mini
	cfg.VocabSize, cfg.MaxPositions = 1000, 514
	type program struct { // a step's
		Room
		steps int
	}
	steps := func(r Room, written int) (list []program) {
		for n := leastSteps; ; n *= apart {
			if list = append(list, program{r, n}); n >= written {
				return list
			}
		}
	}
	source := func(rows int) (s Source) {
		s.Text.Append(make([]int32, rows))
		return s
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, all := range []bool{false, true} {
		for _, memory := range []int64{Default.MaxMemory, 1 << 26} {
			own := Default
			own.MaxMemory = memory
			there := map[program]bool{}
			for _, x := range (rooms{cfg, own.BeamSize, own}).rehearsals([]Source{source(3), source(100), source(200)}, all) {
				r := (rooms{cfg, own.BeamSize, x.Options}).of(len(x.Sources), x.Sources[0].Rows(), x.Options.MaxLength)
				for _, p := range steps(r, x.Options.MaxLength) {
					there[p] = true
				}
			}
			met := map[program]bool{}
			for range 300 {
				o := own
				sources := make([]Source, 1+rng.IntN(100))
				for i := range sources {
					sources[i] = source(3 + rng.IntN(198))
					if all && rng.IntN(10) == 0 {
						sources[i].MaxLength = 1 + rng.IntN(cfg.MaxTokens())
					} else {
						sources[i].MaxLength = 1 + rng.IntN(own.MaxLength)
					}
				}
				if all {
					o.BeamSize, o.MaxLength, o.Sample = 1+rng.IntN(MostBeams), cfg.MaxTokens(), rng.IntN(4) == 0
				}
				z := rooms{cfg, own.BeamSize, o}
				batches, err := cut(cfg, o, sources, &z)
				if err != nil {
					t.Fatal(err)
				}
				seen := 0
				for _, numbers := range batches {
					seen += len(numbers)
					longest, written := 0, 0
					for _, i := range numbers {
						longest, written = max(longest, sources[i].Rows()), max(written, sources[i].longest(&o))
					}
					r := z.of(len(numbers), longest, written)
					for _, p := range steps(r, written) {
						if met[p] = true; !there[p] || r == (Room{}) {
							t.Fatalf("%d sources of up to %d rows meet %+v, which is not rehearsed", len(numbers), longest, p)
						}
					}
				}
				if seen != len(sources) {
					t.Fatalf("%d sources are in batches, want %d", seen, len(sources))
				}
			}
			t.Logf("%d programs of steps are rehearsed, %d met", len(there), len(met))
		}
	}
}

// What is kept of all tokens are those that a device finds: of equal ones the first.
func TestKeep(t *testing.T) {
	s := new(sampler)
	s.all([]float32{1, 3, 2, 3, 2, 0}, 1)
	s.keep(3)
	var ids []int32
	for _, c := range s.candidates {
		ids = append(ids, c.id)
	}
	if !slices.Equal(ids, []int32{3, 2, 4}) {
		t.Errorf("%v", ids)
	}
	s.keep(0)
	if s.keep(9); len(s.candidates) != 3 {
		t.Errorf("%d are left", len(s.candidates))
	}
}
