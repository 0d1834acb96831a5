package xla

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// onBoth calls run on the CPU engine and here, and returns what it returns.
func onBoth[T any](x *Device, run func(d engine.Device, n *numbers) T) (want, got T) {
	on := func(d engine.Device) T { return run(d, &numbers{d, rand.New(rand.NewPCG(1, 2))}) }
	return on(cpu.New()), on(x)
}

// Sums of squares are as good as in float64: what lies behind the rows does not count, nor does it matter how large they are.
func TestSumsOfSquares(t *testing.T) {
	d := open(t, Options{})
	want, got := onBoth(d, func(d engine.Device, n *numbers) []float64 {
		large, small := n.value(13, 5), n.value(9, 1)
		n.change(large, func(_ int, x float32) float32 { return x * 1e25 })
		n.change(small, func(_ int, x float32) float32 { return x * 1e-30 })
		ts := []*engine.Tensor{n.value(1, 7), n.value(13, 70), n.value(8, 3), large, small, n.value(100, 9), n.value(13, 4), d.New(0, 3)}
		sums, parts, rows := make([]float64, len(ts)), make([]float64, 2), make([]float64, 13)
		d.SumSquares(sums, ts, nil)
		d.SumSquares(parts, []*engine.Tensor{ts[1], ts[1]}, [][]int32{{12, 3}, {}})
		d.RowSquares(rows, ts[1], nil)
		some := make([]float64, 9)
		d.RowSquares(some, ts[5], []int32{99, 0, 5, 6, 7, 8, 9, 10, 11})
		d.RowSquares(nil, ts[1], []int32{})
		d.SumSquares(nil, nil, nil)
		return slices.Concat(sums, parts, rows, some)
	})
	for i, w := range want {
		if math.Abs(got[i]-w) > 1e-12*w {
			t.Errorf("sum %d is %v, want %v", i, got[i], w)
		}
	}
	before := d.Stats().Ran
	var sums [3]float64
	x := d.Wrap(2, 2, []float32{1, float32(math.Inf(1)), 0, 0})
	y := d.Wrap(2, 2, []float32{1, float32(math.NaN()), 0, 0})
	d.SumSquares(sums[:], []*engine.Tensor{x, y, d.Wrap(1, 1, []float32{3})}, nil)
	if !math.IsInf(sums[0], 1) || !math.IsNaN(sums[1]) || sums[2] != 9 {
		t.Errorf("sums with infinity, with NaN and with neither: %v", sums)
	}
	if ran := d.Stats().Ran - before; ran != 1 {
		t.Errorf("%d programs ran for one call", ran)
	}
}

// moment is zero behind its rows, as moments are.
func (n *numbers) moment(rows, cols int) (m, v *engine.Tensor) {
	m, v = n.gradient(rows, cols), n.gradient(rows, cols)
	n.change(v, func(i int, x float32) float32 {
		if i%4 == 3 {
			return 1e-31 // vanishes
		}
		return x * x
	})
	return m, v
}

// change replaces the numbers of a tensor. Behind them are zeros then.
func (n *numbers) change(t *engine.Tensor, to func(i int, x float32) float32) {
	values := engine.Values(n.d, t)
	for i, x := range values {
		values[i] = to(i, x)
	}
	n.d.Write(t, values)
}

func TestAdam(t *testing.T) {
	step := func(i int) engine.AdamStep {
		return engine.AdamStep{Beta1: 0.9, Beta2: 0.98, StepSize: 0.3 / float32(i+1), Epsilon: 1e-6, GradScale: 0.7, Decay: 0.01}
	}
	for _, rows := range []int{1, 13} {
		same(t, 1e-6, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
			p, g := n.gradient(rows, 5), n.gradient(rows, 5)
			m, v := n.moment(rows, 5)
			for i := range 3 {
				s := step(i)
				d.Adam(p, m, v, g, nil, s)
				s.Decay = 0
				d.Adam(p, m, v, g, nil, s)
			}
			return []*engine.Tensor{p, m, v}
		})
	}
	same(t, 1e-6, 0, func(d engine.Device, n *numbers) []*engine.Tensor { // a part, some rows, idle steps
		p, g := n.gradient(13, 5), n.gradient(13, 5)
		m, v := n.moment(13, 5)
		of := func(x *engine.Tensor) *engine.Tensor { return d.Part(x, 2, 12) }
		history := []engine.AdamStep{step(0), step(1), step(2)}
		d.Adam(of(p), of(m), of(v), of(g), nil, step(0))
		d.Adam(p, m, v, g, []int32{12, 0, 7}, step(1))
		d.Adam(p, m, v, g, []int32{}, step(1))
		d.AdamIdle(p, m, v, []int32{1, 2, 0, 12}, []int32{0, 1, 3, 2}, history)
		return []*engine.Tensor{p, m, v}
	})
}

// clips is Clip with new results; what lies behind the rows does not count.
func clips(d engine.Device, limit float64, ts ...*engine.Tensor) (clip, measure *engine.Tensor) {
	clip, measure = d.Wrap(1, 1, []float32{1}), d.New(1, 4)
	d.Clip(clip, measure, ts, limit)
	return clip, measure
}

func TestClip(t *testing.T) {
	for _, limit := range []float64{0, 0.7, 1e6} {
		same(t, 1e-7, 0, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
			large, small := n.value(13, 5), n.value(9, 1)
			n.change(large, func(_ int, x float32) float32 { return x * 1e25 })
			n.change(small, func(_ int, x float32) float32 { return x * 1e-30 })
			infinite, broken := d.Wrap(2, 1, []float32{1, float32(math.Inf(-1))}), d.Wrap(1, 2, []float32{1, float32(math.NaN())})
			for _, ts := range [][]*engine.Tensor{{}, {n.value(8, 3)}, {n.value(13, 70), large, d.New(0, 3), small}, {small, infinite, broken}, {broken}} {
				clip, measure := clips(d, limit, ts...)
				results = append(results, clip, measure)
			}
			last := results[len(results)-2] // NaN stays NaN
			d.Clip(last, results[len(results)-1], []*engine.Tensor{small}, limit)
			return results
		})
	}
	d := open(t, Options{})
	x := d.Wrap(1, 3, []float32{3, 4, 0.1})
	_, measure := clips(d, 1, x)
	m := engine.Values(d, measure)
	if norm, want := engine.Joined(m[0], m[1]), math.Sqrt(25+float64(float32(0.1))*float64(float32(0.1))); math.Abs(norm-want) > 1e-12*want {
		t.Errorf("the norm is %v, want %v", norm, want)
	}
}

// A clip takes the place of the scale, and where it is NaN nothing changes.
func TestAdamWithAClip(t *testing.T) {
	for _, clip := range []float32{0.3, float32(math.NaN())} {
		same(t, 1e-6, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
			p, g, both := n.gradient(13, 5), n.gradient(13, 5), d.New(13, 5)
			m, v := n.moment(13, 5)
			d.Zero(both)
			s := engine.AdamStep{Beta1: 0.9, Beta2: 0.98, StepSize: 0.3, Epsilon: 1e-6, GradScale: 100, Decay: 0.01, Clip: d.Wrap(1, 1, []float32{clip})}
			d.Adam(p, m, v, g, nil, s)
			d.Adam(p, m, v, g, []int32{12, 3}, s)
			d.AdamBfloat16(p, both, g, nil, s, engine.Rounding{Key: 1, Stream: 2})
			d.AdamIdle(p, m, v, []int32{1}, []int32{0}, []engine.AdamStep{s})
			return []*engine.Tensor{p, m, v}
		})
	}
}

// A step's scalars are sent once for all parameters, and are no part of the program.
func TestAdamIsOneProgram(t *testing.T) {
	d := open(t, Options{})
	var tensors []*engine.Tensor
	for range 4 * 3 {
		tensors = append(tensors, d.Wrap(2, 3, make([]float32, 6)))
	}
	for i := range 3 {
		for at := 0; at < len(tensors); at += 4 {
			x := tensors[at:]
			d.Adam(x[0], x[1], x[2], x[3], nil, engine.AdamStep{Beta1: 0.9, Beta2: 0.9, StepSize: 1 / float32(i+1), Epsilon: 1, Decay: float32(at & 4)})
		}
		if n := len(d.trace.packed); n != 2*8+3 {
			t.Errorf("%d words are sent, want two steps of 8 and 3 counts", n)
		}
		engine.Values(d, tensors[0])
	}
	if s := d.Stats(); s.Compiled != 1 || s.Ran != 3 {
		t.Errorf("%d programs compiled and %d ran, want 1 and 3", s.Compiled, s.Ran)
	}
}

// Where nothing else rounds, moments of 16 bits are bit for bit the CPU engine's: chance rounds all elements alike.
func TestAdamBfloat16(t *testing.T) {
	step := engine.AdamStep{Beta1: 0.5, Beta2: 0.75, StepSize: 0.5, Epsilon: 1, GradScale: 1}
	run := func(rows, first int) {
		x := open(t, Options{})
		want, got := onBoth(x, func(d engine.Device, n *numbers) []uint32 {
			g, p, moments := n.gradient(rows, 7), n.gradient(rows, 7), n.gradient(rows, 7)
			n.change(g, func(_ int, x float32) float32 { return float32(int(x*300)) / 256 }) // few digits: the new moments are exact
			d.Zero(moments)
			for i := range 2 {
				d.AdamBfloat16(p, moments, g, nil, step, engine.Rounding{Key: 0x123456789, Stream: 1<<35 + uint64(i), First: first})
			}
			d.AdamBfloat16(p, moments, g, []int32{0}, step, engine.Rounding{Key: 5, First: first})
			d.AdamIdleBfloat16(p, moments, []int32{int32(rows - 1)}, []int32{1}, []engine.AdamStep{step, step}, engine.Rounding{Key: 5, Stream: 7, First: first})
			var bits []uint32
			for _, v := range engine.Values(d, moments) {
				bits = append(bits, math.Float32bits(v))
			}
			return bits
		})
		if !slices.Equal(got, want) {
			t.Errorf("%d rows from %d on: moments %x, want %x", rows, first, got, want)
		}
	}
	run(1, 0)
	run(13, 0)
	run(13, 7*3)
	same(t, 1e-6, 0, func(d engine.Device, n *numbers) []*engine.Tensor {
		p, g, moments := n.gradient(13, 5), n.gradient(13, 5), d.New(13, 5)
		d.Zero(moments)
		s := step
		s.Decay, s.GradScale = 0.01, 0.3
		d.AdamBfloat16(p, moments, g, nil, s, engine.Rounding{Key: 1, Stream: 2})
		return []*engine.Tensor{p}
	})
}

// Matrices on the grid and off it; all rows, whose gradient is zero in one of them, and some; moments of zero; a clip, and one that is NaN; idle steps.
func TestAdamFactored(t *testing.T) {
	same(t, 1e-6, 0, func(d engine.Device, n *numbers) (results []*engine.Tensor) {
		s := engine.AdamStep{Beta1: 0.9, Beta2: 0.98, StepSize: 0.3, Epsilon: 1e-6, GradScale: 0.7, Decay: 0.01}
		clipped, refused := s, s
		clipped.Clip, refused.Clip = d.Wrap(1, 1, []float32{0.3}), d.Wrap(1, 1, []float32{float32(math.NaN())})
		matrix := func(rows int) (p *engine.Tensor, f engine.Factored, g *engine.Tensor) {
			p, g = n.value(rows, 5), n.gradient(rows, 5)
			_, f.Rows = n.moment(rows, 1)
			_, f.Columns = n.moment(1, 6)
			n.change(g, func(i int, x float32) float32 {
				if i/5 == 1 {
					return 0
				}
				return x
			})
			results = append(results, p, f.Rows, f.Columns)
			return p, f, g
		}
		for _, rows := range []int{2, 8, 13} {
			p, f, g := matrix(rows)
			d.AdamFactored(p, f, g, nil, s)
			d.AdamFactored(p, f, g, nil, clipped)
			d.AdamFactored(p, f, g, nil, refused)
		}
		p, f, g := matrix(13)
		d.AdamFactored(p, f, g, []int32{12, 1, 7}, s)
		d.AdamFactored(p, f, g, []int32{}, s)
		p, f, _ = matrix(9)
		d.AdamIdleFactored(p, f, []int32{1, 2, 0, 8}, []int32{0, 1, 3, 2}, []engine.AdamStep{s, s, s})
		p, f, g = matrix(3) // of nothing there is nothing to divide by
		for _, x := range []*engine.Tensor{f.Rows, f.Columns, g} {
			d.Zero(x)
		}
		d.AdamFactored(p, f, g, nil, s)
		return results
	})
}

// For chips that are not here, too, a step with factored moments keeps nothing of a matrix's size on the way, and needs no kernel that adds in any order.
func TestCompileForFactoredMoments(t *testing.T) {
	ahead(t, func(c *pjrt.Client, chip, target string) {
		d := New(c, Options{})
		tensor := func(rows, cols int) *engine.Tensor {
			x := d.New(rows, cols)
			of(x).buffer = c.NewBuffer() // only a name: nothing runs
			return x
		}
		const rows, cols = 30522, 768
		f := engine.Factored{Rows: tensor(rows, 1), Columns: tensor(1, cols+1)}
		d.AdamFactored(tensor(rows, cols), f, tensor(rows, cols), nil, engine.AdamStep{Clip: tensor(1, 1)})
		flags := map[string]string{}
		if strings.Contains(chip, "NVIDIA") {
			flags["xla_gpu_exclude_nondeterministic_ops"] = "true"
		}
		size, plan, err := c.CompileFor(pjrt.Topology{Target: target}, d.trace.text(), pjrt.CompileOptions{Flags: flags})
		if err != nil || plan.Temporary > 4*rows*cols/20 {
			t.Errorf("%s: %v, %+v", chip, err, plan)
		}
		t.Logf("%s: %d bytes, %+v", chip, size, plan)
	})
}

func TestOptimiserRefuses(t *testing.T) {
	d := open(t, Options{})
	p, q := d.New(3, 2), d.New(2, 3)
	f := engine.Factored{Rows: d.New(3, 1), Columns: d.New(1, 3)}
	s := []engine.AdamStep{{}}
	for name, run := range map[string]func(){
		"a gradient of another shape": func() { d.Adam(p, p, p, q, nil, s[0]) },
		"a row that there is not":     func() { d.Adam(p, p, p, p, []int32{3}, s[0]) },
		"a clip of another shape":     func() { d.Clip(q, d.New(1, 4), []*engine.Tensor{p}, 1) },
		"a measure of another shape":  func() { d.Clip(d.New(1, 1), q, []*engine.Tensor{p}, 1) },
		"moments of another shape":    func() { d.AdamBfloat16(p, q, p, nil, s[0], engine.Rounding{}) },
		"a step that there is not":    func() { d.AdamIdle(p, p, p, []int32{0}, []int32{2}, s) },
		"a row without its step":      func() { d.AdamIdleBfloat16(p, p, []int32{0, 1}, []int32{0}, s, engine.Rounding{}) },
		"averages of other rows":      func() { d.AdamFactored(q, f, q, nil, s[0]) },
		"a gradient of another form":  func() { d.AdamFactored(p, f, q, nil, s[0]) },
		"no average of all columns":   func() { d.AdamIdleFactored(p, engine.Factored{Rows: f.Rows, Columns: d.New(1, 2)}, nil, nil, nil) },
		"a row without its sum":       func() { d.RowSquares(make([]float64, 2), p, nil) },
		"a tensor without its sum":    func() { d.SumSquares(make([]float64, 2), []*engine.Tensor{p}, nil) },
		"a sum of no row":             func() { d.SumSquares(make([]float64, 1), []*engine.Tensor{p}, [][]int32{{-1}}) },
	} {
		refuses(t, name, run)
	}
	if n := len(d.trace.calls); n != 0 {
		t.Errorf("%d operations were recorded", n)
	}
}
