package batches

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/base/random"
	"pgregory.net/rapid"
)

// The order is part of the format of runs: a change here breaks resuming. It was computed apart
// from this code, from the definitions of SHA-256 and chacha8rand.
func TestOrderStaysTheSame(t *testing.T) {
	for _, c := range []struct {
		seed  uint64
		epoch int
		want  []int
	}{
		{0, 0, []int{0, 1, 3, 8, 5, 6, 7, 9, 2, 4}}, {0, 1, []int{6, 9, 4, 7, 3, 5, 2, 1, 8, 0}}, {1, 0, []int{8, 2, 4, 1, 7, 5, 0, 6, 9, 3}}, {1<<64 - 1, 1 << 40, []int{5, 0, 3, 1, 7, 2, 4, 6, 8, 9}},
	} {
		b := Batches{Lengths: make([]int, 10), Size: 10, Shuffle: true, Seed: c.seed}
		if got := b.At(c.epoch, 0); !slices.Equal(got, c.want) {
			t.Errorf("seed %d, epoch %d: %v, want %v", c.seed, c.epoch, got, c.want)
		}
	}
}

func TestPlan(t *testing.T) {
	lengths := []int{3, 5, 2, 9, 4}
	for _, c := range []struct {
		name     string
		order    []int
		size     int
		inTokens bool
		want     [][]int
	}{
		{"by examples", []int{0, 1, 2, 3, 4}, 2, false, [][]int{{0, 1}, {2, 3}, {4}}},
		{"whole", []int{4, 3}, 2, false, [][]int{{4, 3}}},
		{"none", nil, 2, false, nil},
		{"by tokens, padded", []int{0, 1, 2, 3, 4}, 10, true, [][]int{{0, 1}, {2}, {3}, {4}}},
		{"just fits", []int{0, 2, 4}, 12, true, [][]int{{0, 2, 4}}},
		{"one too many", []int{0, 2, 4}, 11, true, [][]int{{0, 2}, {4}}},
		{"longer than the batch", []int{3, 0, 2}, 8, true, [][]int{{3}, {0, 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Plan(lengths, c.order, c.size, c.inTokens)
			if !slices.EqualFunc(got, c.want, slices.Equal) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// Records that are very short count for more, so that a batch has no more of them than there is room for.
func TestTogether(t *testing.T) {
	for _, c := range []struct {
		lengths []int
		places  int
		want    [][]int
	}{
		{[]int{3, 20, 10}, 32, [][]int{{1}, {2, 0}}},
		{[]int{2, 2, 3, 2}, 2 * LeastPlaces, [][]int{{2, 0}, {1, 3}}},
		{[]int{LeastPlaces + 1, 2}, 2 * LeastPlaces, [][]int{{0}, {1}}},
		{nil, 32, nil},
	} {
		if got := Together(c.lengths, c.places); !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%v: %v, want %v", c.lengths, got, c.want)
		}
	}
}

func TestPlanLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(2, 20), 0, 50).Draw(t, "lengths")
		size := rapid.IntRange(1, 60).Draw(t, "size")
		inTokens := rapid.Bool().Draw(t, "inTokens")
		order := random.New(uint64(size), "test").Perm(len(lengths))
		batches := Plan(lengths, order, size, inTokens)
		if !slices.Equal(slices.Concat(batches...), order) && len(order) > 0 {
			t.Fatalf("%v is not %v", batches, order)
		}
		for _, b := range batches {
			longest := 0
			for _, i := range b {
				longest = max(longest, lengths[i])
			}
			if inTokens && len(b) > 1 && len(b)*longest > size || !inTokens && len(b) > size || len(b) == 0 {
				t.Fatalf("batch %v with longest %d for size %d", b, longest, size)
			}
		}
	})
}

func TestBatchesByNumber(t *testing.T) {
	var lengths []int
	for i := range 100 {
		lengths = append(lengths, 2+i%17)
	}
	for _, inTokens := range []bool{false, true} {
		straight := Batches{Lengths: lengths, Size: 40, InTokens: inTokens, Shuffle: true, Seed: 5}
		resumed := Batches{Lengths: lengths, Size: 40, InTokens: inTokens, Shuffle: true, Seed: 5}
		total := 0
		var first [][]int
		for epoch := range 3 {
			plan := straight.Epoch(epoch)
			total += straight.Count(epoch)
			if epoch == 0 {
				first = plan
			} else if slices.EqualFunc(first, plan, slices.Equal) {
				t.Errorf("epoch %d repeats the first", epoch)
			}
		}
		k := straight.Count(2) - 1
		if !slices.Equal(resumed.At(2, k), straight.At(2, k)) {
			t.Error("a resumed run sees another batch")
		}
		if got := resumed.Total(3); got != total {
			t.Errorf("total %d, want %d", got, total)
		}
		if !slices.EqualFunc(first, straight.Epoch(0), slices.Equal) {
			t.Error("an epoch's plan changed")
		}
	}
	plain := Batches{Lengths: lengths, Size: 30}
	if got := plain.At(7, 3); len(got) != 10 || got[0] != 90 || plain.Total(2) != 8 || plain.Total(0) != 0 {
		t.Errorf("got %v", got)
	}
}
