package random

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// What a key gives must never change: then Version must, and old runs cannot go on. But for the last two the values were
// computed apart from this code, from the definitions of SHA-256 and chacha8rand.
func TestForEver(t *testing.T) {
	s := New(7, "order", 3, -1)
	n := New(7, "initial values")
	got := fmt.Sprintf("%#x %#x %d %d %v %v %v %.15g %.15g", s.Uint64(), s.Uint64(), s.IntN(1000), s.IntN(1<<40), s.Float64(), s.Float64(), s.Perm(10), n.Normal(), n.Normal())
	const want = "0x85bbf79edabcd7d0 0xa93e939f338b2b7b 470 495253066087 0.7266975214890603 0.3647673052897442 [1 2 4 6 3 7 0 8 5 9] -0.743648497203323 -0.719384170203743"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// The key is what the package says it is.
func TestKey(t *testing.T) {
	raw := append([]byte("order"), 0)
	for _, n := range []int64{7, 3, -1} {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(n))
	}
	source, s := rand.NewChaCha8(sha256.Sum256(raw)), New(7, "order", 3, -1)
	for i := range 100 {
		if got, want := s.Uint64(), source.Uint64(); got != want {
			t.Fatalf("number %d is %#x, want %#x", i, got, want)
		}
	}
	if n := testing.AllocsPerRun(10, func() { New(1, "a purpose of a usual length", 1, 2, 3).Uint64() }); n > 1 {
		t.Errorf("%v allocations", n)
	}
}

// Keys that differ in one part give other numbers.
func TestKeysDiffer(t *testing.T) {
	seen := map[uint64]string{}
	for seed := range uint64(20) {
		for _, purpose := range []string{"", "a", "b", "ab"} {
			for _, numbers := range [][]int{nil, {0}, {1}, {0, 0}, {0, 1}, {1, 0}, {-1}} {
				key := fmt.Sprint(seed, purpose, numbers)
				first := New(seed, purpose, numbers...).Uint64()
				if other, twice := seen[first]; twice {
					t.Errorf("%s begins as %s does", key, other)
				}
				seen[first] = key
			}
		}
	}
}

func TestDistributions(t *testing.T) {
	const n = 100_000
	s := New(1, "test")
	var counts [7]float64
	var sum, square float64
	for range n {
		counts[s.IntN(7)]++
		x := s.Float64()
		if !(x >= 0 && x < 1) {
			t.Fatalf("%v", x)
		}
		sum += x
	}
	for i, c := range counts {
		if math.Abs(c-n/7) > 5*math.Sqrt(n/7.) {
			t.Errorf("%d came %v times of %d", i, c, n)
		}
	}
	if mean := sum / n; math.Abs(mean-0.5) > 0.005 {
		t.Errorf("mean %v", mean)
	}
	sum = 0
	for range n {
		x := s.Normal()
		sum, square = sum+x, square+x*x
	}
	if mean, variance := sum/n, square/n; math.Abs(mean) > 0.02 || math.Abs(variance-1) > 0.03 {
		t.Errorf("normal: mean %v, variance %v", mean, variance)
	}
	orders := map[string]int{}
	for i := range 6000 {
		p := New(1, "test", i).Perm(3)
		orders[fmt.Sprint(p)]++
		if slices.Sort(p); !slices.Equal(p, []int{0, 1, 2}) {
			t.Fatalf("%v", p)
		}
	}
	for order, c := range orders {
		if c < 850 || c > 1150 || len(orders) != 6 {
			t.Errorf("%s came %d times of 6000", order, c)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	for i := range b.N {
		New(1, "a purpose", i).Uint64()
	}
}

func BenchmarkNormal(b *testing.B) {
	s := New(1, "a purpose")
	b.ReportAllocs()
	for range b.N {
		s.Normal()
	}
}
