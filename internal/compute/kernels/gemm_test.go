package kernels

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// gemmCase is a product with its operands.
type gemmCase struct {
	m, n, k       int
	flags         GemmFlags
	lda, ldb, ldc int
	a, b          []float32
	c0            float32 // the old values of C
}

func newGemmCase(m, n, k int, flags GemmFlags, pad int, seed uint64) gemmCase {
	g := gemmCase{m: m, n: n, k: k, flags: flags, ldc: n + pad, c0: float32(math.NaN())}
	aRows, bRows := m, k
	g.lda, g.ldb = k+pad, n+2*pad
	if flags&TransA != 0 {
		aRows, g.lda = k, m+pad
	}
	if flags&TransB != 0 {
		bRows, g.ldb = n, k+2*pad
	}
	if flags&Accumulate != 0 {
		g.c0 = 0.5
	}
	g.a = random(max(aRows*g.lda-pad, 0), seed)
	g.b = random(max(bRows*g.ldb-2*pad, 0), seed+1)
	return g
}

func (g *gemmCase) String() string {
	return fmt.Sprintf("%dx%dx%d flags %03b ld %d,%d,%d", g.m, g.n, g.k, g.flags, g.ldc, g.lda, g.ldb)
}

func (g *gemmCase) at(i, p int) float64 {
	if g.flags&TransA != 0 {
		return float64(g.a[p*g.lda+i])
	}
	return float64(g.a[i*g.lda+p])
}

func (g *gemmCase) bt(p, j int) float64 {
	if g.flags&TransB != 0 {
		return float64(g.b[j*g.ldb+p])
	}
	return float64(g.b[p*g.ldb+j])
}

// oracle returns the product in float64 and the bound of its rounding error:
// at most k+1 roundings, each of at most epsilon of the sum of magnitudes.
func (g *gemmCase) oracle() (want, tol []float64) {
	for i := range g.m {
		for j := range g.n {
			var sum, size float64
			if g.flags&Accumulate != 0 {
				sum, size = float64(g.c0), math.Abs(float64(g.c0))
			}
			for p := range g.k {
				v := g.at(i, p) * g.bt(p, j)
				sum += v
				size += math.Abs(v)
			}
			want = append(want, sum)
			tol = append(tol, 2*float64(g.k+1)*epsilon*size)
		}
	}
	return want, tol
}

type gemmFunc func(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags)

// run computes the product into guarded memory and returns C row after row.
func (g *gemmCase) run(t *testing.T, f gemmFunc, offset int) []float32 {
	t.Helper()
	c := guard(g.m, g.n, g.ldc, offset, g.c0)
	f(c.x, g.ldc, g.a, g.lda, g.b, g.ldb, g.m, g.n, g.k, g.flags)
	if place, bad := c.strayed(); bad {
		t.Errorf("%v: %s", g, place)
	}
	var out []float32
	for i := range g.m {
		out = append(out, c.row(i)...)
	}
	return out
}

// packedGemm is Gemm by way of GemmPacked.
func packedGemm(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
	GemmPacked(c, ldc, a, lda, PackB(b, ldb, n, k, flags&TransB), m, flags&^TransB, Options{})
}

func (g *gemmCase) check(t *testing.T, f gemmFunc, offset int) {
	t.Helper()
	want, tol := g.oracle()
	if fault := faults(g.run(t, f, offset), want, tol); fault != "" {
		t.Errorf("%v: %s", g, fault)
	}
}

func TestGemmSmall(t *testing.T) {
	sizes := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15, 16, 17, 23, 24, 25, 31, 32, 33, 47, 48, 49, 63, 64, 65, 67}
	if testing.Short() {
		sizes = []int{0, 1, 5, 12, 16, 33}
	}
	eachISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, m := range sizes {
			for _, n := range sizes {
				// For each m×n some of the many combinations.
				for range 4 {
					k := sizes[r.IntN(len(sizes))]
					c := newGemmCase(m, n, k, GemmFlags(r.IntN(8)), r.IntN(6), uint64(m+n+k))
					f := []gemmFunc{Gemm, GemmSerial, packedGemm}[r.IntN(3)]
					c.check(t, f, r.IntN(16))
				}
			}
		}
	})
}

// Sizes with several blocks of K, several groups of tiles, and edges in all.
func TestGemmLarge(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for flags := range GemmFlags(8) {
			if testing.Short() && flags%3 != 0 {
				continue
			}
			for i, size := range [][3]int{{13, 13, 64}, {26, 192, 768}, {100, 50, 400}, {1, 70, 1200}, {70, 1, 1200}, {205, 131, 385}, {130, 545, 97}} {
				c := newGemmCase(size[0], size[1], size[2], flags, i%3, uint64(i))
				c.check(t, Gemm, i)
				c.check(t, packedGemm, i)
			}
		}
	})
}

// Products of few rows have tiles of their own, which give the bits of others: whole panels and edges, one panel of rows and several,
// blocks of K of every length modulo 8 and 16, rows of B that fall into the same set of the cache, any threads.
func TestGemmFewRows(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	sizes := []struct{ n, k, pad int }{
		{128, 8, 0}, {131, 9, 0}, {160, 10, 0}, {64, 11, 0}, {145, 12, 0}, {130, 13, 0}, {32, 14, 0}, {192, 15, 0}, {200, 391, 0},
		{140, 797, 0}, {16, 7, 0},
		{259, largeB / 256, 0}, {96, 1024, 0}, {64, 1034, 507}, {48, 12, 506}, {70, 26, 499}, // rows of B are 4 or 8 KiB apart
	}
	eachISA(t, func(t *testing.T) {
		for i, size := range sizes {
			for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 26, 28, 29, 50} {
				if testing.Short() && m > 2 && m%4 != 0 || size.n*size.k >= largeB && m <= 28 {
					continue
				}
				flags := []GemmFlags{0, TransA, Accumulate}[(i+m)%3]
				turned := newGemmCase(m, size.n, size.k, flags|TransB, size.pad, uint64(i))
				plain := turned
				plain.flags, plain.ldb = flags, turned.n
				plain.b = make([]float32, turned.k*turned.n)
				transposeGeneric(plain.b, plain.ldb, turned.b, turned.ldb, turned.n, turned.k)
				parallel.SetThreads(1 + m%3)
				turned.check(t, Gemm, i+m)
				want := plain.run(t, Gemm, m)
				for name, got := range map[string][]float32{
					"transposed": turned.run(t, Gemm, i), "transposed and packed": turned.run(t, packedGemm, i), "packed": plain.run(t, packedGemm, i),
				} {
					if !slices.Equal(got, want) {
						t.Errorf("%v: %s differs", &plain, name)
					}
				}
			}
		}
	})
}

// More than is packed at a time, and several blocks of K.
func TestGemmInParts(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: long")
	}
	const m, n, k = 2*blockA/kBlock + 50, 150, 2 * kBlock
	eachISA(t, func(t *testing.T) {
		for _, flags := range []GemmFlags{0, TransA | TransB | Accumulate} {
			c := newGemmCase(m, n, k, flags, 0, 3)
			got := c.run(t, Gemm, 0)
			// The oracle takes too long for all rows.
			for i := 0; i < m; i += 1 + i/40 + max(0, m-i-70)/20 {
				row := c
				if flags&TransA != 0 {
					row.a = c.a[i:]
				} else {
					row.a = c.a[i*c.lda:]
				}
				row.m = 1
				want, tol := row.oracle()
				if fault := faults(got[i*n:(i+1)*n], want, tol); fault != "" {
					t.Fatalf("%v row %d: %s", &c, i, fault)
				}
			}
		}
	})
}

// Whoever takes tasks, and of whichever run, each is taken once.
func TestEachTaskIsTakenOnce(t *testing.T) {
	for threads := 1; threads <= 5; threads++ {
		for tasks := 1; tasks <= 23; tasks++ {
			p := product{threads: threads, tasks: tasks, taken: make([]atomic.Int32, 2*threads)}
			q := part{product: &p, index: 1}
			var taken []int
			for i := range tasks {
				taken = append(taken, q.take((i*i+tasks)%threads))
			}
			slices.Sort(taken)
			for i, task := range taken {
				if task != i {
					t.Fatalf("%d threads take the tasks %v", threads, taken)
				}
			}
		}
	}
}

func TestGemmIsTheSameForAnyThreads(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	eachISA(t, func(t *testing.T) {
		for flags := range GemmFlags(8) {
			sizes := [][3]int{{26, 192, 768}, {13, 13, 64}, {205, 333, 800}, {50, 600, 100}, {300, 40, 1152}}
			if testing.Short() {
				sizes = sizes[:2]
			}
			for _, size := range sizes {
				c := newGemmCase(size[0], size[1], size[2], flags, 1, 5)
				want := c.run(t, GemmSerial, 0)
				for i, threads := range []int{1, 2, 3, 7} {
					parallel.SetThreads(threads)
					if got := c.run(t, Gemm, i); !slices.Equal(got, want) {
						t.Errorf("%v: differs on %d threads", &c, threads)
					}
					if got := c.run(t, packedGemm, i); !slices.Equal(got, want) {
						t.Errorf("%v: packed differs on %d threads", &c, threads)
					}
				}
			}
		}
	})
}

// An element is the same wherever it falls in the tiles, and on both vector sets.
func TestGemmElementDoesNotDependOnItsTile(t *testing.T) {
	var first []float32
	for _, isa := range Available()[1:] {
		restore := Use(isa)
		c := newGemmCase(61, 83, 500, TransB, 0, 9)
		whole := c.run(t, Gemm, 0)
		for _, part := range [][4]int{{0, 1, 0, 1}, {5, 40, 7, 80}, {60, 61, 0, 83}, {11, 14, 31, 49}} {
			p := c
			p.a, p.b = c.a[part[0]*c.lda:], c.b[part[2]*c.ldb:]
			p.m, p.n = part[1]-part[0], part[3]-part[2]
			got := p.run(t, Gemm, 0)
			for i := range p.m {
				at := (part[0]+i)*c.n + part[2]
				if !slices.Equal(got[i*p.n:(i+1)*p.n], whole[at:at+p.n]) {
					t.Errorf("%v: row %d of the part %v differs from the whole", isa, i, part)
				}
			}
		}
		if first == nil {
			first = whole
		} else if !slices.Equal(first, whole) {
			t.Errorf("%v differs from %v", isa, Available()[1])
		}
		restore()
	}
}

// On processors of every architecture the vector sets give the same bits.
func TestGemmBits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	numbers := func(n int) []float32 { // by operations that are exact, or rounded once
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(int32(r.Uint32())) / (1 << 31)
		}
		return x
	}
	const m, n, k = 41, 53, 900 // edges in all, and three blocks of K
	a, b := numbers(m*k), numbers(n*k)
	want := map[GemmFlags]uint64{0: 0xc7ec08a4055a4158, TransA: 0x6aff5f1b872bcc4e, TransB: 0x821de93b4d21296, TransA | TransB: 0x196b232a3daf970c}
	for _, isa := range Available()[1:] {
		restore := Use(isa)
		for flags := range want {
			lda, ldb := k, n
			if flags&TransA != 0 {
				lda = m
			}
			if flags&TransB != 0 {
				ldb = k
			}
			c, sum := make([]float32, m*n), fnv.New64a()
			Gemm(c, n, a, lda, b, ldb, m, n, k, flags)
			if err := binary.Write(sum, binary.LittleEndian, c); err != nil {
				t.Fatal(err)
			}
			if sum.Sum64() != want[flags] {
				t.Errorf("%v, flags %03b: digest %#x, want %#x", isa, flags, sum.Sum64(), want[flags])
			}
		}
		restore()
	}
}

// The options: bias and Apply, packed and not, against the product alone.
func TestGemmOptions(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	eachISA(t, func(t *testing.T) {
		sizes := [][3]int{{0, 5, 3}, {5, 0, 3}, {5, 40, 0}, {1, 1, 1}, {13, 70, 9}, {40, 16, 2000}, {26, 192, 768}, {205, 333, 800}, {300, 1030, 50}, {300, 40, 1152}}
		if testing.Short() {
			sizes = sizes[:6]
		}
		for i, size := range sizes {
			for _, flags := range []GemmFlags{0, TransA, TransB, TransB | Accumulate} {
				c := newGemmCase(size[0], size[1], size[2], flags, 1, 5)
				parallel.SetThreads(1 + i%3)
				want, tol := c.oracle()
				var bias []float32
				if flags&Accumulate == 0 {
					bias = random(c.n, 3)
					for j := range want {
						want[j] += float64(bias[j%c.n])
						tol[j] += 2 * float64(c.k+1) * epsilon * math.Abs(float64(bias[j%c.n]))
					}
				}
				var first []float32
				for _, packed := range []bool{false, true} {
					var mu sync.Mutex
					seen := make([]int, c.m*c.n)
					got := c.run(t, func(out []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
						o := Options{Limit: parallel.Limit(i % 4), Bias: bias, Apply: func(i0, i1, j0, j1 int) {
							mu.Lock()
							defer mu.Unlock()
							for i := i0; i < i1; i++ {
								for j := j0; j < j1; j++ {
									seen[i*n+j]++
									out[i*ldc+j] *= 2 // exact, and shows that the element was final
								}
							}
						}}
						if packed {
							GemmPacked(out, ldc, a, lda, PackB(b, ldb, n, k, flags&TransB), m, flags&^TransB, o)
						} else {
							GemmWith(out, ldc, a, lda, b, ldb, m, n, k, flags, o)
						}
					}, i)
					for j, calls := range seen {
						if calls != 1 {
							t.Fatalf("%v packed %v: Apply saw element %d %d times", &c, packed, j, calls)
						}
						got[j] /= 2
					}
					if fault := faults(got, want, tol); fault != "" {
						t.Errorf("%v packed %v: %s", &c, packed, fault)
					}
					if first == nil {
						first = got
					} else if !slices.Equal(first, got) {
						t.Errorf("%v: packed differs", &c)
					}
				}
			}
		}
	})
}

// A matrix that was packed for one instruction set serves the others.
func TestPackedBServesEveryISA(t *testing.T) {
	c := newGemmCase(29, 75, 500, TransB, 0, 1)
	packed := PackB(c.b, c.ldb, c.n, c.k, TransB)
	want, tol := c.oracle()
	eachISA(t, func(t *testing.T) {
		got := make([]float32, c.m*c.n)
		GemmPacked(got, c.n, c.a, c.lda, packed, c.m, 0, Options{})
		if fault := faults(got, want, tol); fault != "" {
			t.Error(fault)
		}
	})
}

// NaN and Inf reach exactly the elements that depend on them, denormals count.
func TestGemmSpecialValues(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for i, v := range special {
			if v == math.MaxFloat32 || v == -math.MaxFloat32 {
				continue // the sum may overflow on the way to a finite end
			}
			for flags := range GemmFlags(8) {
				c := newGemmCase(15, 37, 20, flags, 0, uint64(i))
				c.a[len(c.a)/2] = v
				c.b[len(c.b)/3] = -v
				want, tol := c.oracle()
				for j, w := range want {
					if math.Abs(w) > math.MaxFloat32 { // overflows on the way, or not
						want[j], tol[j] = math.Inf(int(math.Copysign(1, w))), 0
					}
				}
				if fault := faults(c.run(t, Gemm, 0), want, tol); fault != "" {
					t.Errorf("%g in %v: %s", v, &c, fault)
				}
			}
		}
		tiny := newGemmCase(5, 20, 1, 0, 0, 1)
		for i := range tiny.a {
			tiny.a[i] = 1e-40
		}
		want, _ := tiny.oracle()
		tol := make([]float64, len(want))
		for i := range tol {
			tol[i] = math.SmallestNonzeroFloat32
		}
		if fault := faults(tiny.run(t, Gemm, 0), want, tol); fault != "" {
			t.Errorf("denormals: %s", fault)
		}
	})
}

func TestGemmChecksItsArguments(t *testing.T) {
	x := func(n int) []float32 { return make([]float32, n) }
	for name, f := range map[string]func(){
		"negative":   func() { Gemm(x(9), 3, x(9), 3, x(9), 3, -1, 3, 3, 0) },
		"short C":    func() { Gemm(x(8), 3, x(9), 3, x(9), 3, 3, 3, 3, 0) },
		"short A":    func() { Gemm(x(9), 3, x(8), 3, x(9), 3, 3, 3, 3, 0) },
		"short B":    func() { GemmSerial(x(9), 3, x(9), 3, x(8), 3, 3, 3, 3, 0) },
		"narrow C":   func() { Gemm(x(9), 2, x(9), 3, x(9), 3, 3, 3, 3, 0) },
		"narrow A":   func() { Gemm(x(9), 3, x(9), 2, x(9), 3, 3, 3, 3, 0) },
		"narrow B":   func() { Gemm(x(9), 3, x(9), 3, x(9), 2, 3, 3, 3, 0) },
		"TransA":     func() { Gemm(x(6), 3, x(8), 4, x(12), 3, 2, 3, 4, TransA) },
		"TransB":     func() { Gemm(x(6), 3, x(8), 4, x(12), 3, 2, 3, 4, TransB) },
		"huge":       func() { Gemm(x(9), math.MaxInt/2, x(9), 3, x(9), 3, 3, 3, 3, 0) },
		"Bias":       func() { GemmWith(x(9), 3, x(9), 3, x(9), 3, 3, 3, 3, 0, Options{Bias: x(2)}) },
		"Bias twice": func() { GemmWith(x(9), 3, x(9), 3, x(9), 3, 3, 3, 3, Accumulate, Options{Bias: x(3)}) },
		"PackB":      func() { PackB(x(8), 3, 3, 3, 0) },
		"PackB size": func() { PackB(x(8), 3, -3, 3, 0) },
		"PackB flag": func() { PackB(x(9), 3, 3, 3, TransA) },
		"packed":     func() { GemmPacked(x(9), 3, x(9), 3, PackB(x(9), 3, 3, 3, 0), 3, TransB, Options{}) },
		"packed C":   func() { GemmPacked(x(8), 3, x(9), 3, PackB(x(9), 3, 3, 3, 0), 3, 0, Options{}) },
		"nil C, k=0": func() { Gemm(nil, 3, nil, 0, nil, 3, 3, 3, 0, 0) },
	} {
		mustPanic(t, name, f)
	}
	Gemm(nil, 0, nil, 0, nil, 0, 0, 0, 0, 0) // nothing to do is not an error
	Gemm(nil, 0, nil, 0, x(9), 3, 0, 3, 3, 0)
}

// A task that panics keeps no other waiting.
func TestGemmPanics(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	parallel.SetThreads(3)
	c := newGemmCase(300, 40, 1152, TransA, 0, 1)
	fault := errors.New("fault")
	func() {
		defer func() {
			if got := recover(); got != fault {
				t.Errorf("recovered %v", got)
			}
		}()
		GemmWith(make([]float32, c.m*c.n), c.n, c.a, c.lda, c.b, c.ldb, c.m, c.n, c.k, c.flags, Options{Apply: func(i0, i1, j0, j1 int) { panic(fault) }})
	}()
	c.check(t, Gemm, 0)
}

func TestGemmAllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("not run: the race detector empties pools")
	}
	c := newGemmCase(26, 192, 768, TransB, 0, 1)
	out := make([]float32, c.m*c.n)
	run := func() { Gemm(out, c.n, c.a, c.lda, c.b, c.ldb, c.m, c.n, c.k, c.flags) }
	run()
	if n := testing.AllocsPerRun(50, run); n > 0.5 { // the pool may be emptied now and then
		t.Errorf("%v allocations", n)
	}
}

func TestGemmSerialConcurrently(t *testing.T) {
	c := newGemmCase(13, 13, 64, TransB, 3, 1)
	want := c.run(t, GemmSerial, 0)
	parallel.For(200, func(int) {
		if !slices.Equal(c.run(t, GemmSerial, 0), want) {
			t.Error("differs")
		}
	})
}
