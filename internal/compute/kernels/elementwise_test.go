package kernels

import (
	"math"
	"slices"
	"testing"
)

// vectorCase is one kernel that computes dst[i] from the elements i of its
// arguments. The oracle gets them as float64, dst first.
type vectorCase struct {
	name   string
	args   int // slices, dst included
	run    func(args [][]float32)
	oracle func(v []float64) float64
	// tolerance of an element: relative to size(v), which defaults to |oracle|.
	relative float64
	size     func(v []float64) float64
	absolute float64
	smooth   bool // the oracle is right for all special values too
}

var vectorCases = []vectorCase{
	{
		name: "Add", args: 3, smooth: true, relative: epsilon,
		run:    func(a [][]float32) { Add(a[0], a[1], a[2]) },
		oracle: func(v []float64) float64 { return v[1] + v[2] },
	},
	{
		name: "Mul", args: 3, smooth: true, relative: epsilon, absolute: math.SmallestNonzeroFloat32,
		run:    func(a [][]float32) { Mul(a[0], a[1], a[2]) },
		oracle: func(v []float64) float64 { return v[1] * v[2] },
	},
	{
		name: "Max", args: 3, smooth: true,
		run:    func(a [][]float32) { Max(a[0], a[1], a[2]) },
		oracle: func(v []float64) float64 { return max(v[1], v[2]) },
	},
	{
		name: "Axpy", args: 2, smooth: true, relative: 2 * epsilon, absolute: math.SmallestNonzeroFloat32,
		run:    func(a [][]float32) { Axpy(a[0], 1.25, a[1]) },
		oracle: func(v []float64) float64 { return v[0] + 1.25*v[1] },
		size:   func(v []float64) float64 { return math.Abs(v[0]) + 1.25*math.Abs(v[1]) },
	},
	{
		name: "Scale", args: 2, smooth: true, relative: epsilon, absolute: math.SmallestNonzeroFloat32,
		run:    func(a [][]float32) { Scale(a[0], -0.3, a[1]) },
		oracle: func(v []float64) float64 { return float64(float32(-0.3)) * v[1] },
	},
	{
		// Relative, also where Φ is tiny; the limit on the left is zero.
		name: "GELU", args: 2, smooth: true, relative: 10 * epsilon, absolute: 20 * math.SmallestNonzeroFloat32,
		run: func(a [][]float32) { GELU(a[0], a[1]) },
		oracle: func(v []float64) float64 {
			if math.IsInf(v[1], -1) {
				return 0
			}
			return v[1] * 0.5 * math.Erfc(-v[1]/math.Sqrt2)
		},
	},
	{
		name: "GELUBackward", args: 3, relative: 8 * epsilon, absolute: math.SmallestNonzeroFloat32,
		run:    func(a [][]float32) { GELUBackward(a[0], make([]float32, len(a[0])), a[1], a[2]) },
		oracle: func(v []float64) float64 { return v[2] * geluSlopeOracle(v[1]) },
		size:   func(v []float64) float64 { return math.Abs(v[2]) * 1.2 },
	},
}

// geluSlopeOracle differentiates the oracle of GELU numerically in its own
// terms: Φ from erf, the density from exp.
func geluSlopeOracle(x float64) float64 {
	return (1+math.Erf(x/math.Sqrt2))/2 + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
}

func (c *vectorCase) expect(args [][]float32) (want, tol []float64) {
	for i := range args[0] {
		var v []float64
		for _, a := range args {
			v = append(v, float64(a[i]))
		}
		w := c.oracle(v)
		size := math.Abs(w)
		if c.size != nil {
			size = c.size(v)
		}
		if near := float64(float32(w)); math.IsInf(near, 0) {
			w = near
		}
		want, tol = append(want, w), append(tol, c.relative*size+c.absolute)
	}
	return want, tol
}

func TestVectorKernels(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, c := range vectorCases {
			for _, n := range lengths() {
				var args [][]float32
				for i := range c.args {
					args = append(args, random(n, uint64(n+i)))
				}
				want, tol := c.expect(args)
				// Every argument at another alignment, the destination guarded.
				dst := guardVector(args[0], n%17)
				moved := [][]float32{dst.x}
				for i, a := range args[1:] {
					moved = append(moved, guardVector(a, (n+5*i)%16).x)
				}
				c.run(moved)
				if fault := faults(dst.x, want, tol); fault != "" {
					t.Errorf("%s, n=%d: %s", c.name, n, fault)
				}
				dst.check(t)
			}
		}
	})
}

// An element gets the same value wherever it stands.
func TestVectorKernelsMayBeCut(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, c := range vectorCases {
			var whole, cut [][]float32
			for i := range c.args {
				whole = append(whole, random(200, uint64(i)))
				cut = append(cut, slices.Clone(whole[i]))
			}
			c.run(whole)
			for lo, step := 0, 1; lo < 200; lo, step = lo+step, step+1 {
				hi := min(lo+step, 200)
				var part [][]float32
				for _, a := range cut {
					part = append(part, a[lo:hi])
				}
				c.run(part)
			}
			if !slices.Equal(whole[0], cut[0]) {
				t.Errorf("%s: the parts differ from the whole", c.name)
			}
		}
	})
}

func TestVectorKernelsSpecialValues(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, c := range vectorCases {
			args := make([][]float32, c.args)
			for _, a := range special {
				for _, b := range special {
					for i, v := range []float32{1, a, b}[:c.args] {
						args[i] = append(args[i], v)
					}
				}
			}
			want, tol := c.expect(args)
			if !c.smooth {
				for i := range want { // only where every argument is a number
					for _, a := range args {
						if v := float64(a[i]); math.Abs(v) > 1e30 {
							want[i], tol[i] = 0, math.Inf(1)
						}
						if v := float64(a[i]); v != v {
							want[i] = v
						}
					}
				}
			}
			c.run(args)
			for i := range want {
				if math.IsInf(tol[i], 1) && !math.IsNaN(want[i]) {
					continue // at infinity: see the kernel's own test
				}
				if !closeTo(float64(args[0][i]), want[i], tol[i]) {
					t.Errorf("%s(%g): %g, want %g ± %g", c.name, special[i/len(special)], args[0][i], want[i], tol[i])
				}
			}
		}
	})
}

func TestVectorKernelsInPlace(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range []int{5, 77} {
			x := random(n, 1)
			for name, f := range map[string]func(dst, x []float32){
				"Add":   func(dst, x []float32) { Add(dst, x, x) },
				"Mul":   func(dst, x []float32) { Mul(dst, x, x) },
				"Scale": func(dst, x []float32) { Scale(dst, 3, x) },
				"GELU":  GELU,
			} {
				want, got := make([]float32, n), slices.Clone(x)
				f(want, x)
				f(got, got)
				if !slices.Equal(got, want) {
					t.Errorf("%s in place differs", name)
				}
			}
		}
	})
}

// Every float32 in the range where something happens, in steps.
func TestGELUAccuracy(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const n = 1 << 16
		x := make([]float32, n)
		for i := range x {
			x[i] = -16 + 32*(float32(i)+0.37)/n
		}
		y, slope, one := make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range one {
			one[i] = 1
		}
		GELU(y, x)
		again := make([]float32, n)
		GELUBackward(slope, again, x, one)
		// Errors of Φ, with the rounding of its product with x, and of the slope.
		var worst, worstSlope float64
		for i, v := range x {
			exact := 0.5 * math.Erfc(-float64(v)/math.Sqrt2)
			worst = max(worst, math.Abs(float64(y[i])/float64(v)-exact), math.Abs(float64(again[i])/float64(v)-exact))
			worstSlope = max(worstSlope, math.Abs(float64(slope[i])-geluSlopeOracle(float64(v))))
		}
		if !(worst <= 1.5e-7 && worstSlope <= 2e-7) {
			t.Errorf("errors of Φ %g, of the slope %g", worst, worstSlope)
		}
	})
}

func TestGELUBackwardAtInfinity(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		inf := float32(math.Inf(1))
		x, dy := []float32{inf, -inf, 1e30, -1e30}, []float32{2, 2, 2, 2}
		GELUBackward(dy, x, x, dy) // in place
		if !slices.Equal(dy, []float32{2, 0, 2, 0}) {
			t.Errorf("slopes %v", dy)
		}
		if want := []float32{inf, 0, 1e30, 0}; !slices.Equal(x, want) { // -0 is equal to 0
			t.Errorf("values %v, want %v", x, want)
		}
	})
}

func TestReductions(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths() {
			a, b := guardVector(random(n, uint64(n)), n%16).x, guardVector(random(n, 99), n%13).x
			var dot, dotSize, sum, sumSize, squares float64
			for i := range a {
				v := float64(a[i]) * float64(b[i])
				dot += v
				dotSize += math.Abs(v)
				sum += float64(a[i])
				sumSize += math.Abs(float64(a[i]))
				squares += float64(a[i]) * float64(a[i])
			}
			bound := 2 * float64(n) * epsilon
			if got := float64(Dot(a, b)); !(math.Abs(got-dot) <= bound*dotSize) {
				t.Errorf("n=%d: Dot %g, want %g", n, got, dot)
			}
			if got := float64(Sum(a)); !(math.Abs(got-sum) <= bound*sumSize) {
				t.Errorf("n=%d: Sum %g, want %g", n, got, sum)
			}
			if got := SumSquares(a); !(math.Abs(got-squares) <= 1e-14*squares) {
				t.Errorf("n=%d: SumSquares %g, want %g", n, got, squares)
			}
			if n == 0 {
				continue
			}
			for _, v := range special {
				at := n * 2 / 3
				a[at] = v
				if got := SumSquares(a[at : at+1]); !closeTo(got, float64(v)*float64(v), 0) {
					t.Errorf("SumSquares(%g) = %g", v, got)
				}
				if v != v && (Sum(a) == Sum(a) || Dot(a, b) == Dot(a, b)) {
					t.Errorf("n=%d: NaN got lost in a sum", n)
				}
			}
		}
	})
}

func TestVectorKernelsCheckTheirArguments(t *testing.T) {
	three, two := make([]float32, 3), make([]float32, 2)
	for name, f := range map[string]func(){
		"Add":                func() { Add(three, three, two) },
		"Add dst":            func() { Add(two, three, three) },
		"Mul":                func() { Mul(three, two, three) },
		"Max":                func() { Max(three, three, two) },
		"Axpy":               func() { Axpy(three, 1, two) },
		"Scale":              func() { Scale(three, 1, two) },
		"Dot":                func() { Dot(three, two) },
		"GELU":               func() { GELU(three, two) },
		"GELUBackward":       func() { GELUBackward(three, three, three, two) },
		"Activate":           func() { Activate(three, two, SiLU, 0) },
		"Activation":         func() { Activate(three, three, QuickGELU+1, 0) },
		"ActivateBackward":   func() { ActivateBackward(three, three, three, two, SiLU) },
		"No gradient":        func() { ActivateBackward(three, three, three, three, HardSwish) },
		"Softmax":            func() { Softmax(three, two, 1) },
		"Softmax's scale":    func() { Softmax(three, three, 0) },
		"Exponentials":       func() { Exponentials(three, two, 1) },
		"Exponentials' NaN":  func() { Exponentials(three, three, float32(math.NaN())) },
		"SoftmaxBackward":    func() { SoftmaxBackward(three, two, 1, 0, nil, 0) },
		"SoftmaxBackward 2":  func() { SoftmaxBackward(three, three, 1, 0, []uint32{1, 2}, 0.5) },
		"SoftmaxBackward 3":  func() { SoftmaxBackward(three, three, 1, 0, []uint32{1, 2, 3}, 1.5) },
		"LayerNorm":          func() { LayerNorm(three, three, two, three, 1) },
		"LayerNormBackward":  func() { LayerNormBackward(three, three, three, three, three, two, 0, 1) },
		"Adam":               func() { Adam(three, three, three, two, AdamStep{}) },
		"Dropout":            func() { Dropout(three, two, 0.5, 0, 0, 0, false) },
		"Dropout below":      func() { Dropout(three, three, -0.5, 0, 0, 0, false) },
		"Dropout above":      func() { Dropout(three, three, 1.5, 0, 0, 0, false) },
		"Dropout with a NaN": func() { Dropout(three, three, float32(math.NaN()), 0, 0, 0, false) },
	} {
		mustPanic(t, name, f)
	}
}
