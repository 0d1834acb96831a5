package xla

import (
	"fmt"
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

func TestMatMul(t *testing.T) {
	for _, size := range [][3]int{{1, 1, 1}, {8, 5, 9}, {13, 9, 11}, {0, 3, 4}, {9, 0, 3}} {
		m, k, n := size[0], size[1], size[2]
		for _, accumulate := range []bool{false, true} {
			same(t, 2e-6, 3, func(d engine.Device, x *numbers) []*engine.Tensor {
				product := func(rows, cols int, a, b *engine.Tensor, op engine.Transpose) *engine.Tensor {
					y := x.gradient(rows, cols)
					d.MatMul(y, a, b, op, accumulate)
					return y
				}
				return []*engine.Tensor{
					product(m, n, x.value(m, k), x.value(k, n), engine.NN),
					product(m, n, x.value(m, k), x.value(n, k), engine.NT),
					product(m, n, x.gradient(m, k), x.value(n, k), engine.NT),
					product(m, n, x.value(k, m), x.gradient(k, n), engine.TN),
					product(m, n, x.gradient(k, m), x.value(k, n), engine.TN),
				}
			})
		}
	}
}

func TestLinear(t *testing.T) {
	for _, size := range [][3]int{{1, 1, 1}, {13, 9, 11}, {0, 3, 4}} {
		m, k, n := size[0], size[1], size[2]
		same(t, 2e-6, 0, func(d engine.Device, x *numbers) (results []*engine.Tensor) {
			in, bias := x.value(m, k), x.value(1, n)
			for _, w := range []engine.Weight{engine.Plain(x.value(k, n), engine.NN), engine.Plain(x.value(n, k), engine.NT), d.Prepare(x.value(n, k), engine.NT)} {
				if w.In() != k || w.Out() != n {
					t.Errorf("a weight from %d to %d, want %d to %d", w.In(), w.Out(), k, n)
				}
				plain, biased, y, h, last := d.New(m, n), d.New(m, n), d.New(m, n), d.New(m, n), d.New(m, n)
				d.Linear(plain, in, w, nil)
				d.Linear(biased, in, w, bias)
				d.LinearActivate(y, h, in, w, bias, engine.GELU)
				d.LinearActivate(last, last, in, w, bias, engine.SiLU)
				results = append(results, plain, biased, y, h, last)
			}
			return results
		})
	}
}

// Factors of bfloat16 are off by 2⁻⁹ at most, so products by some 2⁻⁸ of the sum of their sizes; those of float32 are not.
func TestPrecision(t *testing.T) {
	const m, k, n = 9, 40, 7
	x, w := make([]float32, m*k), make([]float32, k*n)
	for i := range x {
		x[i] = float32(math.Sin(float64(3 * i)))
	}
	for i := range w {
		w[i] = float32(math.Cos(float64(5 * i)))
	}
	for _, c := range []struct {
		precision   Precision
		least, most float64
	}{{Float32, 0, 1e-6}, {TF32, 0, 0x1p-10}, {BFloat16, 0x1p-16, 0x1p-8}} {
		d := open(t, Options{Precision: c.precision})
		y := d.New(m, n)
		d.MatMul(y, d.Wrap(m, k, x), d.Wrap(k, n, w), engine.NN, false)
		worst := 0.0
		for e, got := range engine.Values(d, y) {
			sum, size := 0.0, 0.0
			for l := range k {
				p := float64(x[e/n*k+l]) * float64(w[l*n+e%n])
				sum, size = sum+p, size+math.Abs(p)
			}
			worst = max(worst, math.Abs(float64(got)-sum)/size)
		}
		if worst < c.least || worst > c.most {
			t.Errorf("precision %d: products are off by %g of the sum of their sizes, want %g to %g", c.precision, worst, c.least, c.most)
		}
	}
}

func TestProductsCheckShapes(t *testing.T) {
	d := open(t, Options{})
	x, w := d.New(3, 4), d.New(4, 5)
	for name, run := range map[string]func(){
		"nn":         func() { d.MatMul(d.New(3, 5), x, d.New(3, 5), engine.NN, false) },
		"nt":         func() { d.MatMul(d.New(3, 5), x, w, engine.NT, false) },
		"tn":         func() { d.MatMul(d.New(4, 5), x, w, engine.TN, false) },
		"dst":        func() { d.MatMul(d.New(3, 4), x, w, engine.NN, false) },
		"linear":     func() { d.Linear(d.New(3, 5), w, engine.Plain(w, engine.NN), nil) },
		"bias":       func() { d.Linear(d.New(3, 5), x, engine.Plain(w, engine.NN), d.New(1, 4)) },
		"activation": func() { d.LinearActivate(d.New(3, 5), d.New(3, 5), x, engine.Plain(w, engine.NN), nil, 99) },
		"side":       func() { d.Prepare(w, engine.TN) },
	} {
		refuses(t, name, run)
	}
	if n := len(d.trace.calls); n != 0 {
		t.Errorf("%d operations were recorded", n)
	}
}

// refuses says if run does not panic with a shape error.
func refuses(t *testing.T, name string, run func()) {
	t.Helper()
	defer func() {
		if _, ok := recover().(engine.ShapeError); !ok {
			t.Errorf("%s: no shape error", name)
		}
	}()
	run()
}

func TestStored(t *testing.T) {
	const m, hidden, out = 13, 37, 21
	for _, op := range []engine.Transpose{engine.NN, engine.NT} {
		rows, cols := hidden, out
		if op == engine.NT {
			rows, cols = out, hidden
		}
		halves, bytes := make([]uint16, rows*cols), make([]int8, rows*cols)
		for i := range halves {
			v := math.Sin(float64(7 * i))
			halves[i], bytes[i] = uint16(math.Float32bits(float32(v))>>16), int8(127*v)
		}
		scales := func(n int) []float32 {
			s := make([]float32, n)
			for i := range s {
				s[i] = 0.01 + float32(i)/1000
			}
			return s
		}
		for _, s := range []engine.Stored{
			{Rows: rows, Cols: cols, Format: engine.BFloat16, Halves: halves},
			{Rows: rows, Cols: cols, Format: engine.Float16, Halves: halves},
			{Rows: rows, Cols: cols, Format: engine.Int8, Bytes: bytes, Scales: scales(cols)},
			{Rows: rows, Cols: cols, Format: engine.Int8, Bytes: bytes, Scales: scales(rows), ByRow: true},
		} {
			t.Run(fmt.Sprint(op, s.Format, s.ByRow), func(t *testing.T) {
				same(t, 5e-6, 0, func(d engine.Device, x *numbers) []*engine.Tensor {
					w := d.Store(s)
					if w.Format != s.Format || engine.StoredOf(d, w) == nil || engine.StoredOf(d, d.New(1, 1)) != nil {
						t.Error("what was stored is not known")
					}
					in, bias := x.value(m, hidden), x.value(1, out)
					plain, prepared, rows, copied := d.New(m, out), d.New(m, out), d.New(3, cols), d.New(w.Rows, cols)
					d.Linear(plain, in, engine.Plain(w, op), bias)
					d.Scale(d.Part(in, 2, 3), d.Part(in, 2, 3), 0) // a row of zeros
					d.Linear(prepared, in, d.Prepare(w, op), bias)
					d.Gather(rows, w, []int32{5, 0, 5}, false)
					d.Copy(copied, w)
					return []*engine.Tensor{plain, prepared, rows, copied}
				})
			})
		}
	}
}

// Batches of one grid have one program.
func TestMatMulOfAGridIsOneProgram(t *testing.T) {
	d := open(t, Options{})
	for _, rows := range []int{13, 14} {
		for _, op := range []engine.Transpose{engine.NN, engine.NT, engine.TN} {
			a, b := d.Wrap(rows, 2, make([]float32, 2*rows)), d.Wrap(2, 2, make([]float32, 4))
			dst := d.New(rows, 2)
			if op == engine.TN {
				b, dst = d.Wrap(rows, 2, make([]float32, 2*rows)), d.New(2, 2)
			}
			d.MatMul(dst, a, b, op, false)
			engine.Values(d, dst)
		}
	}
	if s := d.Stats(); s.Compiled != 3 {
		t.Errorf("%d programs were compiled, want 3", s.Compiled)
	}
}

// Rows that are added to a batch are counted.
func TestPadding(t *testing.T) {
	d := open(t, Options{})
	w := d.Wrap(2, 2, make([]float32, 4))
	for _, rows := range []int{8, 13, 9} { // 8, 14 and 10 on the device
		x, y := d.Wrap(rows, 2, make([]float32, 2*rows)), d.New(rows, 2)
		d.Linear(y, x, engine.Plain(w, engine.NN), nil)
		d.Free(x)
		d.Free(y)
	}
	if got := d.Stats().Padding; got != 2.0/32 {
		t.Errorf("%g of the work was padding, want 2/32", got)
	}
}

// What asks for it is computed without rounding beside what rounds: on forks and within scopes, of the same operations.
func TestExact(t *testing.T) {
	d := open(t, Options{Precision: BFloat16})
	exact := engine.Exact(d)
	within, free := engine.Scope(exact)
	defer free()
	x := d.Wrap(1, 1, []float32{1 + 0x1p-12})
	for _, c := range []struct {
		what string
		d    engine.Device
		want float32
	}{{"the device", d, 1}, {"exactly", exact, 1 + 0x1p-11}, {"the device again", d, 1}, {"a fork of it", d.Fork(), 1}, {"a fork", exact.Fork(), 1 + 0x1p-11}, {"a scope", within, 1 + 0x1p-11}} {
		y := c.d.New(1, 1)
		c.d.MatMul(y, x, x, engine.NN, false)
		if got := engine.Values(c.d, y)[0]; got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
		c.d.Free(y)
	}
}
