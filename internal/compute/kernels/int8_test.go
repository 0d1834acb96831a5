package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"unsafe"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// eachInt8 runs test as a subtest on every way to multiply bytes that this machine has.
func eachInt8(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, isa := range Available() {
		for _, tile := range int8Tiles(isa) {
			t.Run(tile.name, func(t *testing.T) {
				defer useInt8(isa, tile)()
				test(t)
			})
		}
	}
}

// useInt8 selects a way of an instruction set to multiply bytes.
func useInt8(isa ISA, tile *int8Tile) (restore func()) {
	impl := *implementations()[isa]
	impl.int8 = tile
	old := current.Swap(&impl)
	return func() { current.Store(old) }
}

// int8Case is a product of rows with a matrix of bytes.
type int8Case struct {
	m, n, k       int
	flags         GemmFlags
	lda, ldb, ldc int
	a             []float32
	b             []int8
	scales, bias  []float32
}

func newInt8Case(m, n, k int, flags GemmFlags, pad int, biased bool, seed uint64) *int8Case {
	r := rand.New(rand.NewPCG(seed, 11))
	c := &int8Case{m: m, n: n, k: k, flags: flags, lda: k + pad, ldb: n + pad, ldc: n + pad}
	bRows := k
	if flags&TransB != 0 {
		bRows, c.ldb = n, k+pad
	}
	c.a, c.b = random(max(m*c.lda-pad, 0), seed), make([]int8, max(bRows*c.ldb-pad, 0))
	for i := range c.b {
		c.b[i] = int8(r.IntN(255) - 127)
	}
	for range n {
		c.scales = append(c.scales, r.Float32()*0.01)
		if biased {
			c.bias = append(c.bias, r.Float32()-0.5)
		}
	}
	return c
}

func (c *int8Case) String() string {
	return fmt.Sprintf("%dx%dx%d flags %b ld %d,%d,%d bias %v", c.m, c.n, c.k, c.flags, c.ldc, c.lda, c.ldb, c.bias != nil)
}

func (c *int8Case) weight(p, j int) int64 {
	if c.flags&TransB != 0 {
		return int64(c.b[j*c.ldb+p])
	}
	return int64(c.b[p*c.ldb+j])
}

// oracle computes the product in exact integers, and with them the float64 product of the numbers themselves and how far from it
// the rounding of A, half a step for each element, may take an element.
func (c *int8Case) oracle() (want []float32, real, tol []float64) {
	for i := range c.m {
		row := c.a[i*c.lda:][:c.k]
		low, high := 0.0, 0.0
		for _, v := range row {
			low, high = min(low, float64(v)), max(high, float64(v))
		}
		step, inverse := (high-low)/255, float32(255/(high-low))
		zero := int64(math.RoundToEven(-low * 255 / (high - low)))
		bytes := make([]int64, c.k)
		for p, v := range row {
			bytes[p] = min(max(int64(math.RoundToEven(float64(v*inverse)))+zero, 0), 255)
		}
		if high == low {
			zero, inverse = 0, 0
			clear(bytes)
		}
		for j := range c.n {
			var sum, weights int64
			var exact, sizes float64
			for p, x := range bytes {
				w := c.weight(p, j)
				sum += x * w
				weights += w
				exact += float64(row[p]) * float64(w)
				sizes += math.Abs(float64(w))
			}
			v := float32(float32(float32(sum-zero*weights)*float32(step)) * c.scales[j])
			r := exact * float64(c.scales[j])
			if c.bias != nil {
				v += c.bias[j]
				r += float64(c.bias[j])
			}
			want, real = append(want, v), append(real, r)
			tol = append(tol, sizes*step*float64(c.scales[j])*0.51+4*epsilon*(math.Abs(r)+sizes*256*step*float64(c.scales[j])))
		}
	}
	return want, real, tol
}

func (c *int8Case) prepared() *Int8Matrix {
	return NewInt8Matrix(make([]byte, Int8Len(c.n, c.k)), c.b, c.ldb, c.scales, c.n, c.k, c.flags, 0)
}

// run computes the product into guarded memory and returns C row after row.
func (c *int8Case) run(t *testing.T, offset int, o Options) []float32 {
	t.Helper()
	out := guard(c.m, c.n, c.ldc, offset, float32(math.NaN()))
	var rows Int8Rows
	rows.Set(c.a, c.lda, c.m, c.k, o.Limit)
	o.Bias = c.bias
	GemmInt8(out.x, c.ldc, &rows, c.prepared(), o)
	if place, bad := out.strayed(); bad {
		t.Errorf("%v: %s", c, place)
	}
	var list []float32
	for i := range c.m {
		list = append(list, out.row(i)...)
	}
	return list
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// Every height of a tile and width of an edge, to the bit; and close to the product of the numbers themselves.
func TestGemmInt8(t *testing.T) {
	eachInt8(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for m := range 31 {
			for _, n := range []int{0, 1, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 40, 63, 65, 100} {
				k := []int{0, 1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 33, 64, 65, 100}[r.IntN(15)]
				c := newInt8Case(m, n, k, GemmFlags(r.IntN(2))*TransB, r.IntN(5), r.IntN(2) == 0, uint64(m*n+k))
				want, real, tol := c.oracle()
				got := c.run(t, r.IntN(16), Options{})
				if !sameBits(got, want) {
					t.Fatalf("%v: %v, want %v", c, got, want)
				}
				if fault := faults(got, real, tol); fault != "" {
					t.Errorf("%v: %s", c, fault)
				}
			}
		}
	})
}

// Sizes of several tasks, and as many threads as may be, with what is applied to finished blocks.
func TestGemmInt8InTasks(t *testing.T) {
	defer parallel.SetThreads(parallel.Threads())
	eachInt8(t, func(t *testing.T) {
		for i, size := range [][3]int{{1, 70, 1200}, {26, 768, 768}, {205, 131, 385}, {130, 545, 97}, {70, 1, 3072}, {600, 64, 500}} {
			c := newInt8Case(size[0], size[1], size[2], GemmFlags(i%2)*TransB, i%3, i%2 == 0, uint64(i))
			want, _, _ := c.oracle()
			for _, threads := range []int{1, 2, 3, 7} {
				parallel.SetThreads(threads)
				var mu sync.Mutex
				seen := make([]int, c.m*c.n)
				got := c.run(t, threads, Options{Limit: parallel.Limit(i % 3), Apply: func(i0, i1, j0, j1 int) {
					mu.Lock()
					defer mu.Unlock()
					for i := i0; i < i1; i++ {
						for j := j0; j < j1; j++ {
							seen[i*c.n+j]++
						}
					}
				}})
				if !sameBits(got, want) {
					t.Errorf("%v on %d threads: differs", c, threads)
				}
				if slices.ContainsFunc(seen, func(n int) bool { return n != 1 }) {
					t.Errorf("%v on %d threads: Apply does not see each element once", c, threads)
				}
			}
		}
	})
}

// The largest sums: no instruction may saturate, and nothing overflow.
func TestGemmInt8Extremes(t *testing.T) {
	eachInt8(t, func(t *testing.T) {
		for _, sign := range []int8{1, -1} {
			for _, low := range []float32{0, -1} {
				c := newInt8Case(15, 33, 4096, 0, 0, true, 1)
				for i := range c.b {
					c.b[i] = 127 * sign
				}
				for i := range c.a {
					c.a[i] = []float32{1, low}[i%2*(i/64%2)]
				}
				want, _, _ := c.oracle()
				if !sameBits(c.run(t, 0, Options{}), want) {
					t.Errorf("%d, %g: differs", sign, low)
				}
			}
		}
		longest := newInt8Case(1, 1, Int8MaxK, 0, 0, false, 1)
		for i := range longest.b {
			longest.a[i], longest.b[i] = 1, -127
		}
		want, _, _ := longest.oracle()
		if got := longest.run(t, 0, Options{}); !sameBits(got, want) || got[0] > -127*Int8MaxK*longest.scales[0]*0.99 {
			t.Errorf("%v, want %v", got, want)
		}
	})
}

// Rows of every kind: a row of zeros is its bias, NaN and the infinities make their own row NaN and no other.
func TestGemmInt8SpecialValues(t *testing.T) {
	eachInt8(t, func(t *testing.T) {
		for i, v := range special {
			for _, k := range []int{1, 20, 37} {
				c := newInt8Case(15, 37, k, 0, 0, true, uint64(i))
				clear(c.a[:k])
				c.a[7*k+k/2] = v
				got := c.run(t, 0, Options{})
				if !sameBits(got[:c.n], c.bias) {
					t.Fatalf("%g: a row of zeros gives %v", v, got[:c.n])
				}
				special := got[7*c.n : 8*c.n]
				if v-v != 0 {
					if slices.ContainsFunc(special, func(x float32) bool { return x == x }) {
						t.Errorf("%g gives %v", v, special)
					}
					c.a[7*k+k/2] = 1 // the others' oracle
				}
				want, _, _ := c.oracle()
				if v-v == 0 && max(v, -v) < 1e-30 && k == 1 { // too small for anything to be seen
					copy(want[7*c.n:8*c.n], c.bias)
				}
				if v-v != 0 {
					copy(want[7*c.n:], special)
				}
				if !slices.EqualFunc(got, want, func(x, y float32) bool { return x == y || x != x && y != y }) {
					t.Errorf("%g, k=%d: differs", v, k)
				}
			}
		}
	})
}

// A row is the same among any others, and columns are the same in a view of some.
func TestGemmInt8ElementDoesNotDependOnItsTile(t *testing.T) {
	eachInt8(t, func(t *testing.T) {
		c := newInt8Case(61, 100, 500, TransB, 0, false, 9)
		whole := c.run(t, 0, Options{})
		matrix := c.prepared()
		for _, part := range [][4]int{{0, 1, 0, 1}, {5, 40, 32, 80}, {60, 61, 0, 100}, {11, 14, 64, 64}, {1, 2, 96, 100}} {
			rows, cols := part[1]-part[0], part[3]-part[2]
			var r Int8Rows
			r.Set(c.a[part[0]*c.lda:], c.lda, rows, c.k, 0)
			got := make([]float32, rows*cols)
			GemmInt8(got, cols, &r, matrix.Columns(part[2], part[3]), Options{})
			for i := range rows {
				if at := (part[0]+i)*c.n + part[2]; !sameBits(got[i*cols:(i+1)*cols], whole[at:at+cols]) {
					t.Errorf("row %d of the part %v differs from the whole", i, part)
				}
			}
		}
	})
}

// What is prepared is to the byte as long as it says, and no byte around it is touched.
func TestInt8MatrixMemory(t *testing.T) {
	for n := range 70 {
		for _, k := range []int{0, 1, 4, 7, 33} {
			c := newInt8Case(1, n, k, 0, 0, false, 1)
			memory := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(make([]float32, Int8Len(n, k)/4+16)))), Int8Len(n, k)+64)
			for i := range memory {
				memory[i] = 0xa5
			}
			NewInt8Matrix(memory[32:32+Int8Len(n, k)], c.b, c.ldb, c.scales, n, k, 0, 0)
			for i, v := range memory {
				if (i < 32 || i >= 32+Int8Len(n, k)) && v != 0xa5 {
					t.Fatalf("%dx%d: byte %d is touched", k, n, i-32)
				}
			}
		}
	}
}

func TestGemmInt8ChecksItsArguments(t *testing.T) {
	b, scales := make([]int8, 9), make([]float32, 3)
	prepare := func(n, k int, flags GemmFlags) *Int8Matrix {
		return NewInt8Matrix(make([]byte, 1000), b, 3, scales, n, k, flags, 0)
	}
	var rows Int8Rows
	rows.Set(make([]float32, 9), 3, 3, 3, 0)
	for name, f := range map[string]func(){
		"negative":  func() { prepare(-1, 3, 0) },
		"too long":  func() { prepare(3, Int8MaxK+1, 0) },
		"short B":   func() { prepare(3, 4, 0) },
		"flags":     func() { prepare(3, 3, TransA) },
		"scales":    func() { prepare(2, 3, 0) },
		"memory":    func() { NewInt8Matrix(make([]byte, 10), b, 3, scales, 3, 3, 0, 0) },
		"columns":   func() { prepare(3, 3, 0).Columns(1, 2) },
		"no column": func() { prepare(3, 3, 0).Columns(0, 4) },
		"short A":   func() { new(Int8Rows).Set(make([]float32, 8), 3, 3, 3, 0) },
		"K":         func() { GemmInt8(make([]float32, 9), 3, &rows, prepare(3, 2, 0), Options{}) },
		"short C":   func() { GemmInt8(make([]float32, 8), 3, &rows, prepare(3, 3, 0), Options{}) },
		"bias":      func() { GemmInt8(make([]float32, 9), 3, &rows, prepare(3, 3, 0), Options{Bias: scales[:2]}) },
		"clamp":     func() { GemmInt8(make([]float32, 9), 3, &rows, prepare(3, 3, 0), Options{Clamp: true}) },
	} {
		mustPanic(t, name, f)
	}
	GemmInt8(nil, 0, new(Int8Rows), prepare(3, 0, 0), Options{}) // nothing to do is not an error
}

func TestGemmInt8AllocatesNothing(t *testing.T) {
	if raceDetector {
		t.Skip("not run: the race detector empties pools")
	}
	c := newInt8Case(200, 192, 768, 0, 0, true, 1)
	out, matrix := make([]float32, c.m*c.n), c.prepared()
	var rows Int8Rows
	run := func() {
		rows.Set(c.a, c.lda, c.m, c.k, 0)
		GemmInt8(out, c.n, &rows, matrix, Options{Bias: c.bias})
	}
	run()
	if n := testing.AllocsPerRun(50, run); n > 0.5 { // the pool may be emptied now and then
		t.Errorf("%v allocations", n)
	}
}
