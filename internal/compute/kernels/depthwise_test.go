package kernels

import (
	"fmt"
	"math"
	"testing"
)

// rowOracle computes a row of a depthwise convolution and how far rounding may take it.
func rowOracle(x, w, bias []float32, r Row) (want, tol []float64) {
	for i := range r.OutWidth * r.Channels {
		o, c := i/r.Channels, i%r.Channels
		sum, size := float64(bias[c]), math.Abs(float64(bias[c]))
		for row := range r.Rows {
			for col := range r.Cols {
				at := o*r.Stride - r.Left + col*r.Dilation
				if at < 0 || at >= r.Width {
					continue
				}
				v := float64(x[row*r.RowDistance+at*r.Channels+c]) * float64(w[(row*r.Cols+col)*r.Channels+c])
				sum += v
				size += math.Abs(v)
			}
		}
		want = append(want, min(max(sum, float64(r.Least)), float64(r.Most)))
		tol = append(tol, epsilon*size*float64(r.Rows*r.Cols+2))
	}
	return want, tol
}

// Every width of a row has its own split into pixels that are computed together and at the edges.
func TestDepthwise(t *testing.T) {
	infinite := float32(math.Inf(1))
	eachISA(t, func(t *testing.T) {
		for cols := range 7 {
			for _, channels := range []int{1, 7, 8, 15, 16, 17, 40, 64, 83, 150} {
				for width := range 30 {
					if width > 12 && channels > 40 {
						continue
					}
					r := Row{
						Channels: channels, Width: width + 1, Rows: (width + channels) % 6, Cols: cols + 1, Stride: 1 + width%3,
						Dilation: 1 + cols/2*(channels%2), Left: (cols + width) % 4, Least: -infinite, Most: infinite,
					}
					r.RowDistance = r.Width*channels + 5
					if width%2 == 0 {
						r.Least, r.Most = -0.5, 1.5
					}
					r.OutWidth = max((r.Left+r.Width+2-(r.Cols-1)*r.Dilation-1)/r.Stride+1, 0)
					x := random(max(r.Rows-1, 0)*r.RowDistance+r.Width*channels, uint64(width))
					w, bias := random(max(r.Rows, 1)*r.Cols*channels, 1), random(channels, 2)
					want, tol := rowOracle(x, w, bias, r)
					y := guard(1, r.OutWidth*channels, r.OutWidth*channels, width%5, old)
					Depthwise(y.x, x, w, bias, r)
					if fault := faults(y.x, want, tol); fault != "" {
						t.Errorf("%+v: %s", r, fault)
					}
					if place, bad := y.strayed(); bad {
						t.Errorf("%+v: %s", r, place)
					}
				}
			}
		}
	})
}

func TestDepthwiseKeepsNaN(t *testing.T) {
	nan := float32(math.NaN())
	eachISA(t, func(t *testing.T) {
		for at := range 12 {
			x, y := make([]float32, 12*17), make([]float32, 12*17)
			x[at*17+16] = nan
			Depthwise(y, x, random(3*17, 1), random(17, 2), Row{
				Channels: 17, Width: 12, OutWidth: 12, Rows: 1, Cols: 3, Stride: 1, Dilation: 1, Left: 1, Least: 0, Most: 6,
			})
			for i, v := range y {
				if near := i%17 == 16 && max(i/17-at, at-i/17) <= 1; near != (v != v) {
					t.Errorf("NaN in pixel %d: element %d is %g", at, i, v)
				}
			}
		}
	})
}

func TestDepthwiseChecksItsArguments(t *testing.T) {
	good := Row{Channels: 2, Width: 3, OutWidth: 3, Rows: 2, Cols: 3, RowDistance: 6, Stride: 1, Dilation: 1, Left: 1, Most: 1}
	call := func(y, x, w, bias int, change func(r *Row)) func() {
		return func() {
			r := good
			if change != nil {
				change(&r)
			}
			Depthwise(make([]float32, y), make([]float32, x), make([]float32, w), make([]float32, bias), r)
		}
	}
	call(6, 12, 12, 2, nil)()
	for name, f := range map[string]func(){
		"y": call(5, 12, 12, 2, nil), "x": call(6, 11, 12, 2, nil), "w": call(6, 12, 11, 2, nil), "bias": call(6, 12, 12, 3, nil),
		"stride": call(6, 12, 12, 2, func(r *Row) { r.Stride = 0 }), "left": call(6, 12, 12, 2, func(r *Row) { r.Left = -1 }),
		"dilation": call(6, 12, 12, 2, func(r *Row) { r.Dilation = 0 }), "rows": call(6, 12, 12, 2, func(r *Row) { r.Rows = -1 }),
	} {
		mustPanic(t, name, f)
	}
}

// activated is the activation in float64.
func activated(x float64, a Activation, slope float32) float64 {
	hard := min(max(x+3, 0), 6) / 6
	switch a {
	case ReLU:
		return max(x, 0)
	case ReLU6:
		return min(max(x, 0), 6)
	case LeakyReLU:
		return max(x, 0) + float64(slope)*min(x, 0)
	case Sigmoid:
		return 1 / (1 + math.Exp(-x))
	case SiLU:
		return x / (1 + math.Exp(-x))
	case HardSigmoid:
		return hard
	case HardSwish:
		return x * hard
	}
	return x
}

func TestActivate(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for a := NoActivation; a <= HardSwish; a++ {
			for _, n := range lengths() {
				x := random(n, uint64(n))
				for i := range x {
					x[i] *= float32(math.Exp2(float64(i % 8))) // to some 200
				}
				x = append(x, float32(math.NaN()), 0, 1e5, -1e5, 3, -3, 6)
				var want, tol []float64
				for _, v := range x {
					y := activated(float64(v), a, 0.25)
					want = append(want, y)
					// The functions with an exponential have it to some units of x in the last place.
					tol = append(tol, epsilon*(8*math.Abs(y)+math.Min(math.Abs(float64(v)), 90)*2)+1e-37)
				}
				dst := guard(1, len(x), len(x), n%7, old)
				Activate(dst.x, x, a, 0.25)
				dst.check(t)
				if fault := faults(dst.x, want, tol); fault != "" {
					t.Errorf("activation %d of %d: %s", a, n, fault)
				}
				Activate(x, x, a, 0.25)
				if fmt.Sprint(x) != fmt.Sprint(dst.x) {
					t.Errorf("activation %d of %d: in place differs", a, n)
				}
			}
		}
	})
	mustPanic(t, "lengths", func() { Activate(make([]float32, 2), make([]float32, 3), ReLU, 0) })
	mustPanic(t, "unknown", func() { Activate(nil, nil, -1, 0) })
}

// Bounds of a product are those of its finished elements, whatever the tile and the blocks of K.
func TestGemmClamp(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, size := range [][3]int{{1, 1, 1}, {14, 32, 5}, {15, 33, 400}, {30, 47, 900}, {3, 5, 0}} {
			g := newGemmCase(size[0], size[1], size[2], 0, 1, 3)
			bias := random(g.n, 4)
			want, got := make([]float32, g.m*g.ldc), make([]float32, g.m*g.ldc)
			GemmWith(want, g.ldc, g.a, g.lda, g.b, g.ldb, g.m, g.n, g.k, 0, Options{Bias: bias})
			GemmWith(got, g.ldc, g.a, g.lda, g.b, g.ldb, g.m, g.n, g.k, 0, Options{Bias: bias, Clamp: true, Least: -0.5, Most: 1})
			for i := range want {
				if i%g.ldc < g.n {
					want[i] = min(max(want[i], -0.5), 1)
				}
			}
			if fmt.Sprint(want) != fmt.Sprint(got) {
				t.Errorf("%v: elements differ from those bounded afterwards", size)
			}
			if g.k > 0 {
				g.a[0] = float32(math.NaN())
				GemmWith(got, g.ldc, g.a, g.lda, g.b, g.ldb, g.m, g.n, g.k, 0, Options{Clamp: true, Least: 0, Most: 1})
				if got[0] == got[0] {
					t.Errorf("%v: NaN became %g", size, got[0])
				}
			}
		}
	})
}
