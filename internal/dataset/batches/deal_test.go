package batches

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/base/random"
)

func TestDeal(t *testing.T) {
	lengths := []int{9, 1, 5, 5, 2, 8, 3}
	for _, c := range []struct{ step, want [][]int }{
		{[][]int{{0, 1, 2}}, [][]int{{0, 1, 2}}},
		{[][]int{{0, 5}, {1, 2}}, [][]int{{0, 1}, {5, 2}}},
		{[][]int{{0, 5}, {4, 1}}, [][]int{{0, 1}, {5, 4}}},
		{[][]int{{4, 1, 2}, {0}}, [][]int{{4, 1, 0}, {2}}}, // a batch that is short of records stays so
		{[][]int{{0, 1, 2}, {3, 4, 5}, {6}}, [][]int{{0, 4, 6}, {1, 3, 5}, {2}}},
	} {
		got := make([][]int, len(c.step))
		for i, b := range c.step {
			got[i] = slices.Clone(b)
		}
		deal(lengths, got)
		if !slices.EqualFunc(got, c.want, slices.Equal) {
			t.Errorf("%v becomes %v, want %v", c.step, got, c.want)
		}
	}
}

// The records of every step are those that it has without dealing, also where it spans epochs, and each batch has as many; asked for in another order,
// as by a run that is resumed, batches are the same.
func TestStepsKeepTheirRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lengths := rapid.SliceOfN(rapid.IntRange(2, 90), 1, 60).Draw(t, "lengths")
		plain := Batches{Lengths: lengths, Size: rapid.IntRange(1, 9).Draw(t, "size"), Shuffle: rapid.Bool().Draw(t, "shuffle"), Seed: 3}
		dealt := plain
		dealt.Step, dealt.Before = rapid.IntRange(2, 5).Draw(t, "step"), rapid.IntRange(-7, 7).Draw(t, "before")
		resumed := dealt
		const epochs = 3
		if plain.Total(epochs) != dealt.Total(epochs) {
			t.Fatalf("%d batches, want %d", dealt.Total(epochs), plain.Total(epochs))
		}
		number := dealt.Before
		was, is := map[int][]int{}, map[int][]int{} // records by step
		for epoch := range epochs {
			for k := range plain.Count(epoch) {
				a, b := plain.At(epoch, k), dealt.At(epoch, k)
				if len(a) != len(b) {
					t.Fatalf("batch %d of epoch %d has %d records, want %d", k, epoch, len(b), len(a))
				}
				step := (number + 10*dealt.Step) / dealt.Step
				was[step], is[step] = append(was[step], a...), append(is[step], b...)
				number++
			}
		}
		for step := range was {
			slices.Sort(was[step])
			slices.Sort(is[step])
			if !slices.Equal(was[step], is[step]) {
				t.Fatalf("step %d has %v, want %v", step, is[step], was[step])
			}
		}
		for epoch := epochs - 1; epoch >= 0; epoch-- {
			again := resumed.Epoch(epoch)
			if !slices.EqualFunc(again, dealt.Epoch(epoch), slices.Equal) {
				t.Fatalf("epoch %d: %v, resumed %v", epoch, dealt.Epoch(epoch), again)
			}
		}
	})
}

// Two batches of 32 sentences of 3 to 50 tokens, short ones more often, have some 470 tokens each, and differ by up to 193; dealt, by up to 4.
func TestBatchesOfAStepHaveAsManyTokens(t *testing.T) {
	draw := random.New(1, "lengths")
	lengths := make([]int, 6400)
	for i := range lengths {
		lengths[i] = 3 + int(47*draw.Float64()*draw.Float64())
	}
	apart := func(step int) (worst int) {
		b := Batches{Lengths: lengths, Size: 32, Shuffle: true, Seed: 1, Step: step}
		tokens := func(k int) (n int) {
			for _, i := range b.At(0, k) {
				n += lengths[i]
			}
			return n
		}
		for k := 0; k < b.Count(0); k += 2 {
			worst = max(worst, tokens(k)-tokens(k+1), tokens(k+1)-tokens(k))
		}
		return worst
	}
	if was, is := apart(1), apart(2); was < 60 || is > 5 {
		t.Errorf("two batches differ by up to %d tokens, dealt by %d", was, is)
	}
}
