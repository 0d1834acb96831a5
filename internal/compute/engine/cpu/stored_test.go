package cpu

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// storedCases are a matrix in every format.
func storedCases(rows, cols int) map[string]engine.Stored {
	halves, bytes := make([]uint16, rows*cols), make([]int8, rows*cols)
	for i, v := range random(rows*cols, "stored") {
		halves[i] = uint16(math.Float32bits(v) >> 16)
		bytes[i] = int8(min(max(v*50, -127), 127))
	}
	scales := func(n int) []float32 {
		x := random(n, "scales")
		for i, v := range x {
			x[i] = 0.01 + v*v/100
		}
		return x
	}
	return map[string]engine.Stored{
		"bfloat16":       {Rows: rows, Cols: cols, Format: engine.BFloat16, Halves: halves},
		"float16":        {Rows: rows, Cols: cols, Format: engine.Float16, Halves: halves},
		"int8 by column": {Rows: rows, Cols: cols, Format: engine.Int8, Bytes: bytes, Scales: scales(cols)},
		"int8 by row":    {Rows: rows, Cols: cols, Format: engine.Int8, Bytes: bytes, Scales: scales(rows), ByRow: true},
	}
}

// number is an element of s.
func number(s engine.Stored, i int) float32 {
	switch {
	case s.Format == engine.BFloat16:
		return math.Float32frombits(uint32(s.Halves[i]) << 16)
	case s.Format == engine.Float16:
		h := s.Halves[i]
		sign, exponent, fraction := 1-2*float64(h>>15), int(h>>10&31), float64(h&1023)/1024
		if exponent == 0 {
			return float32(sign * math.Ldexp(fraction, -14))
		}
		return float32(sign * math.Ldexp(1+fraction, exponent-15))
	case s.ByRow:
		return float32(s.Bytes[i]) * s.Scales[i/s.Cols]
	default:
		return float32(s.Bytes[i]) * s.Scales[i%s.Cols]
	}
}

// What operations read of a stored tensor is its numbers; only what needs them all keeps them.
func TestStoredIsItsNumbers(t *testing.T) {
	const rows, cols = 11, 35
	eachISA(t, func(t *testing.T) {
		for name, s := range storedCases(rows, cols) {
			d := New()
			want := make([]float32, rows*cols)
			for i := range want {
				want[i] = number(s, i)
			}
			x := d.Store(s)
			if x.Rows != rows || x.Cols != cols || x.Format != s.Format {
				t.Errorf("%s: %d x %d of %v", name, x.Rows, x.Cols, x.Format)
			}
			got := make([]float32, rows*cols)
			d.Read(got, x)
			if !sameBits(got, want) || !sameBits(engine.Values(d, x), want) {
				t.Errorf("%s: read %v, want %v", name, got, want)
			}
			ids := []int32{10, 0, 3, 10}
			for _, accumulate := range []bool{false, true} {
				y, expected := d.New(len(ids), cols), d.New(len(ids), cols)
				for _, y := range []*engine.Tensor{y, expected} {
					d.Write(y, random(len(ids)*cols, "y"))
				}
				d.Gather(y, x, ids, accumulate)
				d.Gather(expected, d.Wrap(rows, cols, want), ids, accumulate)
				if !sameBits(data(y), data(expected)) {
					t.Errorf("%s: gather, accumulate %v", name, accumulate)
				}
			}
			if got, want := engine.SumSquares(d, x), engine.SumSquares(d, d.Wrap(rows, cols, want)); got != want {
				t.Errorf("%s: sum of squares %g, want %g", name, got, want)
			}
			mustPanicWithShape(t, "a row too far", func() { d.Gather(d.New(1, cols), x, []int32{rows}, false) })
			if x.Memory.(*block).stored.all != nil {
				t.Errorf("%s: expanded for nothing", name)
			}
			y := d.New(rows, cols)
			d.Copy(y, x) // as any other operation
			if !sameBits(data(y), want) || !sameBits(x.Memory.(*block).stored.all, want) {
				t.Errorf("%s: copied %v", name, data(y))
			}
			d.Free(x)
		}
	})
}

// Products with a stored weight are those with its numbers, to the bit. Where bytes are multiplied they are what the kernel says, and
// close to those with the numbers; the losses over a vocabulary use the same logits.
func TestStoredWeights(t *testing.T) {
	const m, hidden, out = 13, 37, 2*lossTask + 70
	eachISA(t, func(t *testing.T) {
		for _, op := range []engine.Transpose{engine.NN, engine.NT} {
			rows, cols := hidden, out
			if op == engine.NT {
				rows, cols = out, hidden
			}
			for name, s := range storedCases(rows, cols) {
				d := New()
				numbers := make([]float32, rows*cols)
				for i := range numbers {
					numbers[i] = number(s, i)
				}
				x, bias := d.Wrap(m, hidden, random(m*hidden, "x")), d.Wrap(1, out, random(out, "bias"))
				stored, plain := d.Prepare(d.Store(s), op), d.Prepare(d.Wrap(rows, cols, numbers), op)
				if stored.In() != hidden || stored.Out() != out {
					t.Errorf("%s: from %d to %d", name, stored.In(), stored.Out())
				}
				got, want := d.New(m, out), d.New(m, out)
				d.Linear(got, x, stored, bias)
				d.Linear(want, x, plain, bias)
				labels := randomRows(m, out)
				loss, stats := d.New(1, 1), d.New(m, 1)
				lossOf := func(w engine.Weight) float32 {
					d.VocabularyLoss(loss, stats, x, w, bias, labels, 0.1)
					return data(loss)[0]
				}
				mustPanicWithShape(t, "a gradient", func() {
					d.VocabularyLossBackward(d.New(m, hidden), nil, nil, loss, stats, x, stored, bias, labels, 0, false, false)
				})
				if !d.StoredAs(stored.Tensor).Multiplied(op) {
					if !sameBits(data(got), data(want)) {
						t.Errorf("%s, product %d: differs from float32", name, op)
					}
					if lossOf(stored) != lossOf(plain) {
						t.Errorf("%s, product %d: another loss", name, op)
					}
					continue
				}
				var bytes kernels.Int8Rows
				bytes.Set(data(x), hidden, m, hidden, 1)
				kernel := make([]float32, m*out)
				kernels.GemmInt8(kernel, out, &bytes, stored.Prepared.(*kernels.Int8Matrix), kernels.Options{Bias: data(bias)})
				if !sameBits(data(got), kernel) {
					t.Errorf("%s, product %d: not the kernel's", name, op)
				}
				var off, size float64
				for i, v := range data(got) {
					off, size = off+math.Pow(float64(v-data(want)[i]), 2), size+math.Pow(float64(data(want)[i]), 2)
				}
				if off == 0 || off > 1e-4*size {
					t.Errorf("%s, product %d: off by %g of %g", name, op, off, size)
				}
				d.CrossEntropy(loss, got, labels, 0.1)
				if want := data(loss)[0]; math.Abs(float64(lossOf(stored)-want)) > 1e-5 {
					t.Errorf("%s, product %d: loss %g, of the logits %g", name, op, data(loss)[0], want)
				}
				h := d.New(m, out)
				d.LinearActivate(h, got, x, stored, bias, engine.GELU)
				d.Activate(want, got, engine.Epilogue{Activation: engine.GELU})
				if !sameBits(data(h), data(want)) {
					t.Errorf("%s, product %d: with GELU", name, op)
				}
			}
		}
	})
}

// A device that rounds activations multiplies matrices of bfloat16 as the kernel says, close to float32, also over a vocabulary and in its
// forks; other formats stay exact.
func TestRoundingDevice(t *testing.T) {
	d := NewRounding(2)
	if d == nil {
		t.Skip("not run: this processor has no fast products of bfloat16")
	}
	if want := "cpu (" + kernels.Active().String() + " with bfloat16, "; !strings.HasPrefix(d.Name(), want) {
		t.Errorf("the device is %q", d.Name())
	}
	const m, hidden, out = 13, 37, 2*lossTask + 70
	for _, op := range []engine.Transpose{engine.NN, engine.NT} {
		rows, cols := hidden, out
		if op == engine.NT {
			rows, cols = out, hidden
		}
		for name, s := range storedCases(rows, cols) {
			for _, d := range []*Device{d, d.Another(), d.Fork().(*Device)} {
				plain := New()
				x, bias := random(m*hidden, "x"), random(out, "bias")
				labels := randomRows(m, out)
				compute := func(d *Device) (y, h *engine.Tensor, loss float32) {
					x, bias := d.Wrap(m, hidden, x), d.Wrap(1, out, bias)
					w := d.Prepare(d.Store(s), op)
					y, h = d.New(m, out), d.New(m, out)
					d.Linear(h, x, w, bias)
					d.LinearActivate(y, h, x, w, bias, engine.GELU)
					l, stats := d.New(1, 1), d.New(m, 1)
					d.VocabularyLoss(l, stats, x, w, bias, labels, 0.1)
					return y, h, data(l)[0]
				}
				y, h, loss := compute(d)
				wantY, wantH, wantLoss := compute(plain)
				if name != "bfloat16" {
					if !sameBits(data(y), data(wantY)) || !sameBits(data(h), data(wantH)) || loss != wantLoss {
						t.Errorf("%s, product %d: differs from float32", name, op)
					}
					continue
				}
				w := d.Prepare(d.Store(s), op)
				var rounded kernels.BFloat16Rows
				rounded.Set(x, hidden, m, hidden, 1)
				kernel := make([]float32, m*out)
				kernels.GemmBFloat16(kernel, out, &rounded, w.Prepared.(*kernels.BFloat16Matrix), kernels.Options{Bias: bias})
				if !sameBits(data(h), kernel) {
					t.Errorf("product %d: not the kernel's", op)
				}
				var off, size float64
				for i, v := range data(h) {
					off, size = off+math.Pow(float64(v-data(wantH)[i]), 2), size+math.Pow(float64(data(wantH)[i]), 2)
				}
				if off == 0 || off > 1e-5*size || math.Abs(float64(loss-wantLoss)) > 0.01 {
					t.Errorf("product %d: off by %g of %g, the loss is %g, in float32 %g", op, off, size, loss, wantLoss)
				}
				d.Activate(wantY, h, engine.Epilogue{Activation: engine.GELU})
				if !sameBits(data(y), data(wantY)) {
					t.Errorf("product %d: with GELU", op)
				}
			}
		}
	}
}

// What is kept of a weight is a quarter of float32, with the scales, or half of it.
func TestStoredMemory(t *testing.T) {
	const n = 512
	for name, want := range map[string]int{"int8 by column": n*n + 8*n, "bfloat16": 2 * n * n, "float16": 2 * n * n} {
		d := New()
		d.Prepare(d.Store(storedCases(n, n)[name]), engine.NN)
		used := 0
		for _, c := range d.arena.chunks {
			used += 4 * c.used
		}
		if used != want {
			t.Errorf("%s: %d bytes, want %d", name, used, want)
		}
	}
}

// Sums that would not fit into 32 bits are computed in float32.
func TestStoredOfManyRows(t *testing.T) {
	const k = kernels.Int8MaxK + 1
	d := New()
	bytes, x := make([]int8, k), make([]float32, k)
	for i := range k {
		bytes[i], x[i] = 127, 1
	}
	y := d.New(1, 1)
	d.Linear(y, d.Wrap(1, k, x), d.Prepare(d.Store(engine.Stored{Rows: k, Cols: 1, Format: engine.Int8, Bytes: bytes, Scales: []float32{1}}), engine.NN), nil)
	if got := data(y)[0]; got != 127*k {
		t.Errorf("the sum is %g, want %d", got, 127*k)
	}
}

func TestStoredChecksItsNumbers(t *testing.T) {
	for name, s := range map[string]engine.Stored{
		"format":       {Rows: 1, Cols: 1},
		"halves":       {Rows: 2, Cols: 2, Format: engine.Float16, Halves: make([]uint16, 3)},
		"bytes":        {Rows: 2, Cols: 2, Format: engine.Int8, Bytes: make([]int8, 3), Scales: make([]float32, 2)},
		"scales":       {Rows: 2, Cols: 3, Format: engine.Int8, Bytes: make([]int8, 6), Scales: make([]float32, 2)},
		"row scales":   {Rows: 2, Cols: 3, Format: engine.Int8, Bytes: make([]int8, 6), Scales: make([]float32, 3), ByRow: true},
		"both":         {Rows: 1, Cols: 1, Format: engine.BFloat16, Halves: make([]uint16, 1), Bytes: make([]int8, 1)},
		"negative":     {Rows: -1, Cols: -1, Format: engine.BFloat16, Halves: make([]uint16, 1)},
		"other format": {Rows: 1, Cols: 1, Format: 9},
	} {
		mustPanicWithShape(t, name, func() { New().Store(s) })
	}
	if names := []string{engine.Float32.String(), engine.Int8.String(), engine.Format(9).String()}; !slices.Equal(names, []string{"float32", "int8", "Format(9)"}) {
		t.Error(names)
	}
}
