package kernels

import (
	"math"
	"slices"
	"testing"
)

// The known answers of the Random123 library (kat_vectors, philox4x32 with 10 rounds).
var philoxKnown = []struct {
	counter [4]uint32
	key     [2]uint32
	want    [4]uint32
}{
	{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
	{
		[4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff},
		[4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
	},
	{
		[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0},
		[4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1},
	},
}

func TestPhiloxKnownAnswers(t *testing.T) {
	join := func(lo, hi uint32) uint64 { return uint64(hi)<<32 | uint64(lo) }
	eachISA(t, func(t *testing.T) {
		for _, c := range philoxKnown {
			key, stream := join(c.key[0], c.key[1]), join(c.counter[2], c.counter[3])
			block := join(c.counter[0], c.counter[1])
			for back := range uint64(philoxWords / 4) { // the block at every place of the vectors
				words := make([]uint32, 2*philoxWords)
				active().philox(words, key, stream, block-back)
				if got := [4]uint32(words[4*back:]); got != c.want {
					t.Errorf("counter %08x, block %d: %08x, want %08x", c.counter, back, got, c.want)
				}
			}
		}
	})
}

func TestPhiloxIsTheSameOnEveryISA(t *testing.T) {
	want, got := make([]uint32, 4*philoxWords), make([]uint32, 4*philoxWords)
	for _, first := range []uint64{0, 1<<32 - 20, math.MaxUint64 - 20, 12345} { // carries on the way
		philoxGeneric(want, 0x123456789abcdef0, 0xfedcba9876543210, first)
		eachISA(t, func(t *testing.T) {
			active().philox(got, 0x123456789abcdef0, 0xfedcba9876543210, first)
			if !slices.Equal(got, want) {
				t.Errorf("from block %d: differs", first)
			}
		})
	}
}

// wordOf is the oracle: the word of one element.
func wordOf(key, stream, element uint64) uint32 {
	block := element / 4
	words := philoxBlock([4]uint32{uint32(block), uint32(block >> 32), uint32(stream), uint32(stream >> 32)},
		[2]uint32{uint32(key), uint32(key >> 32)})
	return words[element%4]
}

func TestDropout(t *testing.T) {
	const key, stream = 0x0123456789abcdef, 1<<40 + 3
	var buffer []uint32
	eachISA(t, func(t *testing.T) {
		for _, n := range append(lengths(), bitsChunk-1, bitsChunk, bitsChunk+1, 3*bitsChunk+5) {
			for i, offset := range []uint64{0, 1, 2, 3, 1<<34 + 7, math.MaxUint64 - 50} {
				for _, accumulate := range []bool{false, true} {
					x := guardVector(random(n, uint64(n)), n%16).x
					dst := guardVector(random(n, 9), (n+i)%16)
					if n > 0 {
						dst.x[n/2] = float32(math.Copysign(0, -1)) // adding nothing leaves it
						x[n/3] = float32(math.NaN())
					}
					prob := []float32{0, 0.1, 0.5, 0.9}[(n+i)%4]
					want := make([]float32, n)
					for j := range want {
						if accumulate {
							want[j] = dst.x[j]
						}
						if word := wordOf(key, stream, offset+uint64(j)); float64(word) >= math.Round(float64(prob)*(1<<32)) {
							kept := float32(x[j] * (1 / (1 - prob))) // rounded, which Go need not do on arm64
							if accumulate {
								want[j] += kept
							} else {
								want[j] = kept
							}
						}
					}
					if offset+uint64(n) < offset || accumulate || n%2 == 0 {
						Dropout(dst.x, x, prob, key, stream, offset, accumulate)
					} else {
						DropWords(dst.x, x, Words(&buffer, n, key, stream, offset), prob)
					}
					dst.check(t)
					for j := range want {
						if g, w := dst.x[j], want[j]; math.Float32bits(g) != math.Float32bits(w) && (g == g || w == w) {
							t.Fatalf("n=%d, offset %d, p=%g, accumulate %v: element %d is %g, want %g", n, offset, prob, accumulate, j, g, w)
						}
					}
				}
			}
		}
	})
}

func TestDropoutOfEverything(t *testing.T) {
	x, dst := random(50, 1), random(50, 2)
	before := slices.Clone(dst)
	Dropout(dst, x, 1, 1, 2, 3, true)
	if !slices.Equal(dst, before) {
		t.Error("accumulated something")
	}
	Dropout(dst, x, 1, 1, 2, 3, false)
	if !slices.Equal(dst, make([]float32, 50)) {
		t.Error("kept something")
	}
}

// The share of what is kept, and the mean, are what they should be.
func TestDropoutShare(t *testing.T) {
	const n, prob = 1 << 18, 0.1
	x := slices.Repeat([]float32{1}, n)
	Dropout(x, x, prob, 42, 0, 0, false)
	kept := 0
	for _, v := range x {
		if v != 0 {
			kept++
		}
	}
	deviation := math.Sqrt(n * prob * (1 - prob))
	if math.Abs(float64(kept)-n*(1-prob)) > 5*deviation {
		t.Errorf("kept %d of %d", kept, n)
	}
}

func TestDropoutAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("not run: the race detector empties pools")
	}
	x := random(5000, 1)
	if n := testing.AllocsPerRun(50, func() { Dropout(x, x, 0.1, 1, 2, 3, false) }); n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}

// The edge of the comparison, which random words hardly ever meet.
func TestDropoutThreshold(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, threshold := range []uint32{0, 1, 1 << 31, math.MaxUint32} {
			words := []uint32{threshold, threshold - 1, threshold + 1, 0, 1<<31 - 1, 1 << 31, math.MaxUint32}
			var bits []uint32
			for range 10 {
				bits = append(bits, words...)
			}
			x := slices.Repeat([]float32{1}, len(bits))
			dst, sum := make([]float32, len(bits)), make([]float32, len(bits))
			active().dropout(dst, x, bits, threshold, 3)
			active().dropoutAdd(sum, x, bits, threshold, 3)
			for i, word := range bits {
				want := float32(0)
				if word >= threshold {
					want = 3
				}
				if dst[i] != want || sum[i] != want {
					t.Errorf("word %08x, threshold %08x: %g and %g, want %g", word, threshold, dst[i], sum[i], want)
				}
			}
		}
	})
}

// Numbers are drawn evenly between the bounds, from the words of their indices, wherever a tensor is cut.
func TestUniform(t *testing.T) {
	const key, stream, bound, n = 0x0123456789abcdef, 1<<40 + 3, 0.3, 20*bitsChunk + 5
	eachISA(t, func(t *testing.T) {
		for _, offset := range []uint64{0, 3, 1<<34 + 7} {
			dst := make([]float32, n)
			Uniform(dst, bound, key, stream, offset)
			var sum, square, most float64
			for i, got := range dst {
				if want := float32(int32(wordOf(key, stream, offset+uint64(i)))) / (1 << 31) * bound; got != want {
					t.Fatalf("offset %d: element %d is %v, want %v", offset, i, got, want)
				}
				sum, square, most = sum+float64(got), square+float64(got)*float64(got), max(most, math.Abs(float64(got)))
			}
			if mean, variance := sum/n, square/n*3/(bound*bound); math.Abs(mean) > 0.01*bound || math.Abs(variance-1) > 0.03 || most > bound+1e-7 || most < 0.99*bound {
				t.Errorf("mean %v, %v of the variance, largest %v", mean, variance, most)
			}
			part := make([]float32, bitsChunk)
			if Uniform(part, bound, key, stream, offset+5); !slices.Equal(part, dst[5:5+bitsChunk]) {
				t.Errorf("offset %d: a part is drawn otherwise", offset)
			}
		}
	})
	Uniform(nil, 1, 1, 1, 0)
}
