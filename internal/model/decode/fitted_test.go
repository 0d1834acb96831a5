package decode

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/model"
)

func TestRoomFor(t *testing.T) {
	o := Options{BeamSize: 3, MaxLength: 50}
	for _, c := range []struct {
		sources, longest, most int
		want                   Room
		steps                  int
	}{
		{1, 5, 50, Room{1, 32, 64}, 17},
		{2, 33, 10, Room{4, 128, 64}, 10},
		{16, 100, 128, Room{16, 128, 128}, 65},
		{17, 100, 128, Room{}, 65},
		{64, 32, 300, Room{64, 32, 512}, 257},
		{1, 2049, 50, Room{}, 17},
	} {
		o.MaxLength = c.most
		if r := RoomFor(c.sources, c.longest, o); r != c.want || r.Steps(o) != c.steps {
			t.Errorf("%+v: %+v and %d steps, want %d", c, r, r.Steps(o), c.steps)
		}
	}
}

// Batches that are filled up have rooms of the list, and no source is lost.
func TestFittedBatches(t *testing.T) {
	cfg := model.Mini
	cfg.VocabSize = 1000
	rng := rand.New(rand.NewPCG(1, 2))
	o := Default
	for _, memory := range []int64{Default.MaxMemory, 1 << 26} {
		o.MaxMemory = memory
		list := Rooms(cfg, o, 3, 200)
		met := map[Room]bool{}
		for range 200 {
			sources := make([]Source, 1+rng.IntN(100))
			for i := range sources {
				sources[i].Text.Append(make([]int32, 3+rng.IntN(198)))
			}
			batches, err := cut(cfg, o, sources, true)
			if err != nil {
				t.Fatal(err)
			}
			seen := 0
			for _, numbers := range batches {
				seen += len(numbers)
				r := RoomFor(len(numbers), sources[numbers[0]].Rows(), o)
				if !slices.Contains(list, r) {
					t.Fatalf("%d sources of up to %d rows have the room %+v, which is none of %+v", len(numbers), sources[numbers[0]].Rows(), r, list)
				}
				met[r] = true
			}
			if seen != len(sources) {
				t.Fatalf("%d sources are in batches, want %d", seen, len(sources))
			}
		}
		t.Logf("%d rooms, %d met: %+v", len(list), len(met), list)
	}
}
