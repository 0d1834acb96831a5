package metrics

import (
	"math"
	"testing"
)

func TestMcNemar(t *testing.T) {
	for _, c := range []struct {
		a, b int
		want float64
	}{
		{0, 0, 1}, {5, 5, 1}, {1, 0, 1},
		{0, 6, 2.0 / 64},        // scipy.stats.binomtest(0, 6).pvalue
		{10, 2, 0.03857421875},  // binomtest(2, 12)
		{3, 9, 0.14599609375},   // binomtest(3, 12)
		{400, 500, 0.000956444}, // binomtest(400, 900)
	} {
		if got := McNemar(c.a, c.b); math.Abs(got-c.want) > 1e-8 {
			t.Errorf("McNemar(%d, %d) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// Of six examples that all speak for one side 2 of 64 exchanges are as uneven.
func TestPermutation(t *testing.T) {
	mean := func(swapped []bool) (d float64) {
		for _, s := range swapped {
			if s {
				d--
			} else {
				d++
			}
		}
		return d / float64(len(swapped))
	}
	if p := Permutation(6, 20000, 1, mean); math.Abs(p-2.0/64) > 0.005 {
		t.Errorf("p = %v, want about %v", p, 2.0/64)
	}
	if p := Permutation(6, 1000, 1, func([]bool) float64 { return 0 }); p != 1 {
		t.Errorf("p = %v of no difference, want 1", p)
	}
}

func TestBootstrap(t *testing.T) {
	share := func(sample []int) float64 { // 30 of 100
		n := 0
		for _, i := range sample {
			if i < 30 {
				n++
			}
		}
		return float64(n) / float64(len(sample))
	}
	lo, hi := Bootstrap(100, 4000, 1, share)
	if math.Abs(lo-0.21) > 0.015 || math.Abs(hi-0.39) > 0.015 { // 0.3 ± 1.96 · 0.0458
		t.Errorf("interval %v to %v", lo, hi)
	}
}
