package cpu

import (
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

func TestSumSquares(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := New()
		for _, shape := range append([][2]int{{50, elementBlock}}, flatShapes...) {
			x := d.Wrap(shape[0], shape[1], random(shape[0]*shape[1], "x"))
			var want float64
			for _, v := range wide(data(x)) {
				want += v * v
			}
			setThreads(t, 1)
			single := engine.SumSquares(d, x)
			if !(math.Abs(single-want) <= float64(x.Len())*0x1p-52*want) { // both sums round
				t.Errorf("%v: %g, want %g", shape, single, want)
			}
			for _, threads := range []int{2, 3, 7, 7, 7, 7, 7, 7} { // often: an order that varies may hit the same sum
				setThreads(t, threads)
				if got := engine.SumSquares(d, x); got != single {
					t.Errorf("%v: %v with %d threads, %v with one", shape, got, threads, single)
				}
			}
		}
	})
}

// The sums of rows, of all or some, are those that SumSquares adds up; a part of a tensor has its rows.
func TestRowSquares(t *testing.T) {
	d := New()
	x := d.Wrap(7, 33, random(7*33, "x"))
	all, some, part := make([]float64, 7), make([]float64, 2), make([]float64, 3)
	d.RowSquares(all, x, nil)
	d.RowSquares(some, x, []int32{5, 2})
	d.RowSquares(part, d.Part(x, 2, 5), nil)
	var sum float64
	tensors, rows, each := []*engine.Tensor{x}, [][]int32{nil}, make([]float64, 8)
	for i, s := range all {
		tensors, rows = append(tensors, x), append(rows, []int32{int32(i)})
		sum += s
	}
	d.SumSquares(each, tensors, rows)
	if !slices.Equal(each[1:], all) {
		t.Errorf("rows %v, want %v", each[1:], all)
	}
	if got := engine.SumSquares(d, x); got != sum || each[0] != sum || some[0] != all[5] || some[1] != all[2] || !slices.Equal(part, all[2:5]) {
		t.Errorf("all %v, whose sum is %v; rows 5 and 2 are %v, rows 2 to 4 are %v", all, got, some, part)
	}
	data(d.Part(x, 6, 7))[0] = 5
	if data(x)[6*33] != 5 {
		t.Error("a part is a copy")
	}
	d.Zero(d.Part(x, 3, 3))
}

func TestAdam(t *testing.T) {
	s := engine.AdamStep{Beta1: 0.9, Beta2: 0.98, StepSize: 0.3, Epsilon: 1e-6, GradScale: 0.7, Decay: 0.01}
	b1, b2 := float64(s.Beta1), float64(s.Beta2)
	var operations []operation
	for _, shape := range flatShapes {
		rows, cols := shape[0], shape[1]
		squares := accumulated("v", rows, cols)
		for i, v := range squares.start {
			squares.start[i] = v * v
		}
		operations = append(operations, operation{
			name:     named("adam", shape),
			operands: []operand{accumulated("p", rows, cols), accumulated("m", rows, cols), squares, in("g", rows, cols)},
			run:      func(d *Device, t tensors) { d.Adam(t["p"], t["m"], t["v"], t["g"], nil, s) },
			oracle: func(x numbers) results {
				var p, m, v []exact
				for i := range x["p"] {
					g := x["g"][i] * float64(s.GradScale)
					m1 := start(b1 * x["m"][i])
					m1.add((1 - b1) * g)
					v1 := b2*x["v"][i] + (1-b2)*g*g
					root := math.Sqrt(v1) + float64(s.Epsilon)
					p1 := start(x["p"][i])
					p1.add(-float64(s.StepSize) * m1.value / root)
					p1.add(-float64(s.Decay) * x["p"][i])
					e := p1.exact()
					e.tolerance += float64(s.StepSize) / root * (m1.error() + 6*epsilon*math.Abs(m1.value))
					p, m, v = append(p, e), append(m, m1.exact()), append(v, exact{v1, 6 * epsilon * v1})
				}
				return results{"p": p, "m": m, "v": v}
			},
		})
	}
	check(t, operations...)
}

// Operations on some rows do what they do on all, where the others have no gradient.
func TestOptimiserOnRows(t *testing.T) {
	step := func(i int) engine.AdamStep {
		return engine.AdamStep{
			Beta1: 0.9, Beta2: 0.98, StepSize: 0.3 / float32(i+1), Epsilon: 1e-6, GradScale: 0.7, Decay: 0.01,
		}
	}
	const rows, cols, steps = 40, 100, 7
	eachISA(t, func(t *testing.T) {
		for _, threads := range []int{1, 2, 3} {
			setThreads(t, threads)
			d := New()
			matrix := func(name string) *engine.Tensor {
				x := d.New(rows, cols)
				d.Write(x, random(rows*cols, name))
				for i, v := range data(x) {
					data(x)[i] = v * v
				}
				return x
			}
			some := []int32{0, 3, 4, 17, 39}
			g := matrix("g")
			dense := d.New(rows, cols) // g in some rows, zero in the others
			d.Zero(dense)
			for _, row := range some {
				copy(rowOf(data(dense), int(row), cols), rowOf(data(g), int(row), cols))
			}
			sums := make([]float64, 3)
			d.SumSquares(sums, []*engine.Tensor{g, dense, g}, [][]int32{some, nil, {}})
			if sums[0] != sums[1] || sums[2] != 0 {
				t.Errorf("sums of squares of some rows %v, of all %v, of none %v", sums[0], sums[1], sums[2])
			}
			mustPanicWithShape(t, "a tensor without a sum", func() { d.SumSquares(sums[:1], []*engine.Tensor{g, g}, nil) })
			mustPanicWithShape(t, "a tensor without rows", func() { d.SumSquares(sums[:2], []*engine.Tensor{g, g}, [][]int32{nil}) })
			p, m, v := matrix("p"), matrix("m"), matrix("v")
			lateP, lateM, lateV := matrix("p"), matrix("m"), matrix("v")
			var history []engine.AdamStep
			for i := range steps {
				d.Adam(p, m, v, dense, nil, step(i))
				history = append(history, step(i))
				d.Adam(lateP, lateM, lateV, g, some, step(i))
			}
			var late, from []int32
			for row := range int32(rows) {
				if !slices.Contains(some, row) {
					late, from = append(late, row), append(from, 0)
				}
			}
			d.AdamIdle(lateP, lateM, lateV, late, from, history[:3])
			for i := range from {
				from[i] = 3
			}
			d.AdamIdle(lateP, lateM, lateV, late, from, history)
			for i := range from {
				from[i] = steps // nothing is left
			}
			d.AdamIdle(lateP, lateM, lateV, late, from, history)
			for name, pair := range map[string][2]*engine.Tensor{"p": {p, lateP}, "m": {m, lateM}, "v": {v, lateV}} {
				if !sameBits(data(pair[0]), data(pair[1])) {
					t.Errorf("%d threads: %s differs", threads, name)
				}
			}
			mustPanicWithShape(t, "a row out of range", func() { d.Adam(p, m, v, g, []int32{rows}, step(0)) })
			mustPanicWithShape(t, "a step out of range", func() { d.AdamIdle(p, m, v, []int32{0}, []int32{steps + 1}, history) })
			mustPanicWithShape(t, "a row without its step", func() { d.AdamIdle(p, m, v, []int32{0, 1}, []int32{0}, history) })
		}
	})
}

// Steps with moments of 16 bits are those of the kernel whatever the threads, on all rows, on some and idle ones, and of a part of a
// parameter those of the whole.
func TestAdamBfloat16(t *testing.T) {
	const rows, cols, steps = 40, 100, 5
	step := func(i int) engine.AdamStep {
		return engine.AdamStep{Beta1: 0.9, Beta2: 0.999, StepSize: 0.3 / float32(i+1), Epsilon: 1e-6, GradScale: 0.7, Decay: 0.01}
	}
	rounding := func(i int) engine.Rounding { return engine.Rounding{Key: 5, Stream: uint64(7 + i)} }
	eachISA(t, func(t *testing.T) {
		for _, threads := range []int{1, 3} {
			setThreads(t, threads)
			d := New()
			matrix := func(name string) *engine.Tensor {
				x := d.New(rows, cols)
				d.Write(x, random(rows*cols, name))
				return x
			}
			zeros := func() *engine.Tensor {
				x := d.New(rows, cols)
				d.Zero(x)
				return x
			}
			some, others := []int32{0, 3, 4, 17, 39}, []int32{}
			g, dense := matrix("g"), zeros() // g in some rows, zero in the others
			for row := range int32(rows) {
				if slices.Contains(some, row) {
					copy(rowOf(data(dense), int(row), cols), rowOf(data(g), int(row), cols))
				} else {
					others = append(others, row)
				}
			}
			p, moments := matrix("p"), zeros()
			lateP, lateMoments := matrix("p"), zeros()
			partP, partMoments := matrix("p"), zeros()
			wantP, want := slices.Clone(data(p)), make([]float32, rows*cols)
			d.AdamBfloat16(p, moments, g, nil, step(0), rounding(0)) // moments of all rows
			d.AdamBfloat16(lateP, lateMoments, g, nil, step(0), rounding(0))
			d.AdamBfloat16(partP, partMoments, g, nil, step(0), rounding(0))
			kernels.AdamBfloat16(wantP, want, data(g), kernelStep(step(0)), 5, 7, 0)
			var history []engine.AdamStep
			for i := 1; i < steps; i++ {
				kernels.AdamBfloat16(wantP, want, data(dense), kernelStep(step(i)), 5, uint64(7+i), 0)
				d.AdamBfloat16(p, moments, dense, nil, step(i), rounding(i))
				d.AdamBfloat16(lateP, lateMoments, g, some, step(i), rounding(i))
				history = append(history, step(i))
				for _, cut := range [][2]int{{0, 13}, {13, rows}} {
					r := rounding(i)
					r.First = cut[0] * cols
					of := func(x *engine.Tensor) *engine.Tensor { return d.Part(x, cut[0], cut[1]) }
					d.AdamBfloat16(of(partP), of(partMoments), of(dense), nil, step(i), r)
				}
			}
			from := make([]int32, len(others))
			d.AdamIdleBfloat16(lateP, lateMoments, others, from, history[:2], rounding(1))
			for i := range from {
				from[i] = 2
			}
			d.AdamIdleBfloat16(lateP, lateMoments, others, from, history, rounding(1))
			for name, got := range map[string][2]*engine.Tensor{"all": {p, moments}, "some and idle": {lateP, lateMoments}, "parts": {partP, partMoments}} {
				if !sameBits(data(got[0]), wantP) || !sameBits(data(got[1]), want) {
					t.Errorf("%d threads: %s: other numbers than the kernel's", threads, name)
				}
			}
			mustPanicWithShape(t, "a row out of range", func() { d.AdamBfloat16(p, moments, g, []int32{rows}, step(0), rounding(0)) })
			mustPanicWithShape(t, "a step out of range", func() { d.AdamIdleBfloat16(p, moments, []int32{0}, []int32{steps}, history, rounding(0)) })
		}
	})
}

// A step of all rows is that of the formulas, whatever the threads and into how many blocks a matrix is divided; on some rows it is what it is on all where
// the others have no gradient; idle ones are steps with a gradient of zero.
func TestAdamFactored(t *testing.T) {
	s := engine.AdamStep{Beta1: 0.9, Beta2: 0.9, StepSize: 0.3, Epsilon: 1e-3, GradScale: 0.7, Decay: 0.01}
	for _, shape := range [][2]int{{2, 3}, {40, 100}, {3, factoredBlock}} {
		rows, cols := shape[0], shape[1]
		d := New()
		matrix := func(name string, rows, cols int) *engine.Tensor {
			x := d.New(rows, cols)
			d.Write(x, random(rows*cols, name))
			return x
		}
		squares := func(name string, rows, cols int) *engine.Tensor {
			x := matrix(name, rows, cols)
			d.Multiply(x, x, x)
			return x
		}
		start := func() (p, g *engine.Tensor, f engine.Factored) {
			return matrix("p", rows, cols), matrix("g", rows, cols), engine.Factored{Rows: squares("rows", rows, 1), Columns: squares("columns", 1, cols+1)}
		}
		p, g, f := start()
		clear(rowOf(data(g), 1, cols))
		want, wide := make([]float64, rows*cols), func(x float32) float64 { return float64(x) }
		b, scale := wide(s.Beta2), wide(s.GradScale)
		r, c := make([]float64, rows), make([]float64, cols+1)
		for i := range r {
			r[i] = b * wide(data(f.Rows)[i])
		}
		for j := range c {
			c[j] = b * wide(data(f.Columns)[j])
		}
		for i, x := range data(g) {
			square := (1 - b) * scale * scale * wide(x) * wide(x)
			r[i/cols] += square / float64(cols)
			c[i%cols] += square / float64(rows)
			c[cols] += square / float64(rows*cols)
		}
		var sum float64
		for i, x := range data(g) {
			want[i] = scale * wide(x) / (math.Sqrt(r[i/cols]*c[i%cols]/c[cols]) + wide(s.Epsilon))
			sum += want[i] * want[i]
		}
		size := wide(s.StepSize) / max(1, math.Sqrt(sum/float64((rows-1)*cols)))
		for i, x := range data(p) {
			want[i] = wide(x) - size*want[i] - wide(s.Decay)*wide(x)
		}
		var first []float32
		for _, threads := range []int{1, 3} {
			setThreads(t, threads)
			p, g, f := start()
			clear(rowOf(data(g), 1, cols))
			d.AdamFactored(p, f, g, nil, s)
			if first == nil {
				first = slices.Clone(data(p))
			}
			if !sameBits(data(p), first) {
				t.Errorf("%v: other bits on %d threads", shape, threads)
			}
			for i, x := range data(p) {
				if !(math.Abs(wide(x)-want[i]) <= 1e-5*max(1, math.Abs(want[i]))) {
					t.Fatalf("%v: element %d is %v, want %v", shape, i, x, want[i])
				}
			}
		}
		some := []int32{0}
		for row := 2; row < rows; row++ {
			some = append(some, int32(row))
		}
		q, g, h := start()
		d.AdamFactored(q, h, g, some, s)
		d.AdamIdleFactored(q, h, []int32{1}, []int32{1}, []engine.AdamStep{s, s})
		d.AdamFactored(p, f, g, nil, s)
		for i, x := range data(q) {
			if i/cols == 1 { // it has not moved but by what decays
				want[i] = wide(first[i])
			}
			if !(math.Abs(wide(x)-want[i]) <= 1e-5*max(1, math.Abs(want[i]))) {
				t.Fatalf("%v: with some rows element %d is %v, want %v", shape, i, x, want[i])
			}
		}
		if got, want := data(h.Rows)[1], engine.Faded(data(squares("rows", rows, 1))[1], s.Beta2, 1); got != want {
			t.Errorf("%v: the average of an idle row is %v, want %v", shape, got, want)
		}
		mustPanicWithShape(t, "averages of other columns", func() { d.AdamFactored(p, engine.Factored{Rows: f.Rows, Columns: f.Rows}, g, nil, s) })
		mustPanicWithShape(t, "a row out of range", func() { d.AdamFactored(p, f, g, []int32{int32(rows)}, s) })
		mustPanicWithShape(t, "a step out of range", func() { d.AdamIdleFactored(p, f, []int32{0}, []int32{2}, []engine.AdamStep{s}) })
	}
}
