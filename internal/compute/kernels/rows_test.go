package kernels

import (
	"math"
	"slices"
	"testing"
)

func softmaxOracle(x []float32, scale float32) []float64 {
	largest, sum := math.Inf(-1), 0.0
	for _, v := range x {
		largest = max(largest, float64(scale)*float64(v))
	}
	p := make([]float64, len(x))
	for i, v := range x {
		p[i] = math.Exp(float64(scale)*float64(v) - largest)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// softmaxTolerance: the argument of exp has two roundings, relative to its size;
// the sum is of positive numbers.
func softmaxTolerance(want []float64, x []float32, scale float32) []float64 {
	size := 0.0
	for _, v := range x {
		size = max(size, math.Abs(float64(scale*v)))
	}
	var tol []float64
	for _, w := range want {
		tol = append(tol, w*epsilon*(4*size+10+float64(len(x)))+math.SmallestNonzeroFloat32)
	}
	return tol
}

func TestSoftmax(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths() {
			for _, scale := range []float32{0.125, 1, 3, 20} {
				x := guardVector(random(n, uint64(n)), n%16).x
				want := softmaxOracle(x, scale)
				dst := guard(1, n, n, n%11, old)
				Softmax(dst.x, x, scale)
				dst.check(t)
				if fault := faults(dst.x, want, softmaxTolerance(want, x, scale)); fault != "" {
					t.Errorf("n=%d, scale %g: %s", n, scale, fault)
				}
				Softmax(x, x, scale)
				if !slices.Equal(x, dst.x) {
					t.Errorf("n=%d: in place differs", n)
				}
			}
		}
	})
}

// notFinite says that x is NaN or an infinity.
func notFinite(x float32) bool { return x-x != 0 }

func TestSoftmaxSpecialValues(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	eachISA(t, func(t *testing.T) {
		for _, n := range []int{1, 3, 8, 17, 40} {
			for at := range n {
				row := func(v float32) []float32 {
					x := random(n, uint64(n))
					x[at] = v
					Softmax(x, x, 1)
					return x
				}
				for _, v := range []float32{nan, inf} {
					if x := row(v); slices.ContainsFunc(x, func(p float32) bool { return p == p }) {
						t.Errorf("%g at %d of %d: %v", v, at, n, x)
					}
				}
				x := row(-inf)
				if n == 1 {
					if x[0] == x[0] {
						t.Errorf("nothing but -Inf: %v", x)
					}
				} else if x[at] != 0 || slices.ContainsFunc(x, notFinite) {
					t.Errorf("-Inf at %d of %d: %v", at, n, x)
				}
				x = row(math.MaxFloat32)
				for i, p := range x {
					if want := map[bool]float64{true: 1}[i == at]; !closeTo(float64(p), want, 2*epsilon*want) {
						t.Errorf("a large number at %d of %d: %v", at, n, x)
						break
					}
				}
				if x = row(-1e4); n > 1 && (x[at] != 0 || slices.ContainsFunc(x, notFinite)) {
					t.Errorf("a masked element at %d of %d: %v", at, n, x)
				}
			}
		}
		// The whole range of exp, into the denormal numbers.
		for d := float32(0); d < 120; d += 0.37 {
			x := []float32{0, -d}
			want := softmaxOracle(x, 1)
			Softmax(x, x, 1)
			tol := (4+2*float64(d))*epsilon*want[1] + 2*math.SmallestNonzeroFloat32 // the argument is rounded
			if !(math.Abs(float64(x[1])-want[1]) <= tol) {
				t.Errorf("exp(%g) = %g, want %g ± %g", -d, x[1], want[1], tol)
			}
		}
	})
}

func TestExponentials(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths() {
			for _, scale := range []float32{0.125, 1, 3, 20} {
				x := guardVector(random(n, uint64(n)), n%16).x
				largest, size := math.Inf(-1), 0.0
				for _, v := range x {
					largest = max(largest, float64(scale)*float64(v))
					size = max(size, math.Abs(float64(scale*v)))
				}
				var want, tol []float64
				sum, sumTol := 0.0, 0.0
				for i, v := range x {
					want = append(want, math.Exp(float64(scale)*float64(v)-largest))
					tol = append(tol, want[i]*epsilon*(4*size+10)+math.SmallestNonzeroFloat32)
					sum += want[i]
					sumTol += tol[i] + want[i]*epsilon*float64(n)
				}
				dst := guard(1, n, n, n%11, old)
				gotLargest, gotSum := Exponentials(dst.x, x, scale)
				dst.check(t)
				if fault := faults(dst.x, want, tol); fault != "" {
					t.Errorf("n=%d, scale %g: %s", n, scale, fault)
				}
				if !closeTo(float64(gotLargest), largest, 2*epsilon*math.Abs(largest)) || !closeTo(float64(gotSum), sum, sumTol) {
					t.Errorf("n=%d, scale %g: largest %g, sum %g, want %g and %g", n, scale, gotLargest, gotSum, largest, sum)
				}
				Exponentials(x, x, scale)
				if !slices.Equal(x, dst.x) {
					t.Errorf("n=%d: in place differs", n)
				}
			}
		}
	})
}

func TestSoftmaxBackward(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		var buffer []uint32
		for _, n := range lengths() {
			for _, prob := range []float32{0, 0.3, 1} {
				const scale = 0.125
				x, d := guardVector(random(n, uint64(n)), n%5), guardVector(random(n, 5), n%16)
				logSum, size := 0.0, 0.0
				for _, v := range x.x {
					logSum += math.Exp(float64(v) * scale)
					size = max(size, math.Abs(float64(v))*scale)
				}
				logSum = float64(float32(math.Log(logSum)))
				relative := epsilon * (4*(size+math.Abs(logSum)) + 10)
				var words []uint32
				if prob > 0 {
					words = Words(&buffer, n, 1, 2, uint64(n))
				}
				p, m := make([]float64, n), make([]float64, n)
				var dot, dotSize float64
				for i, v := range x.x {
					p[i] = math.Exp(float64(v)*scale - logSum)
					if words == nil || float64(words[i]) >= float64(prob)*(1<<32) {
						m[i] = 1 / (1 - float64(prob))
					}
					term := p[i] * m[i] * float64(d.x[i])
					dot += term
					dotSize += math.Abs(term)
				}
				var wantX, wantD, tolX, tolD []float64
				for i, v := range d.x {
					wantX = append(wantX, p[i]*m[i])
					tolX = append(tolX, wantX[i]*(relative+2*epsilon))
					wantD = append(wantD, scale*p[i]*(m[i]*float64(v)-dot))
					tolD = append(tolD, scale*p[i]*((relative+6*epsilon)*(m[i]*math.Abs(float64(v))+dotSize)+(relative+float64(n+4)*epsilon)*dotSize))
				}
				SoftmaxBackward(x.x, d.x, scale, float32(logSum), words, prob)
				x.check(t)
				d.check(t)
				if fault := faults(x.x, wantX, tolX); fault != "" {
					t.Errorf("n=%d, p=%g: x: %s", n, prob, fault)
				}
				if fault := faults(d.x, wantD, tolD); fault != "" {
					t.Errorf("n=%d, p=%g: d: %s", n, prob, fault)
				}
			}
		}
	})
}

// layerNormOracle returns the normalised row and its statistics.
func layerNormOracle(x []float32, eps float64) (xhat []float64, mean, rstd float64) {
	n := float64(len(x))
	for _, v := range x {
		mean += float64(v) / n
	}
	variance := 0.0
	for _, v := range x {
		d := float64(v) - mean
		variance += d * d / n
	}
	rstd = 1 / math.Sqrt(variance+eps)
	for _, v := range x {
		xhat = append(xhat, (float64(v)-mean)*rstd)
	}
	return xhat, mean, rstd
}

func TestLayerNorm(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths() {
			for _, shift := range []float32{0, 100} {
				x := guardVector(random(n, uint64(n)), n%16).x
				for i := range x {
					x[i] += shift
				}
				gamma, beta := random(n, 3), random(n, 4)
				xhat, wantMean, wantRstd := layerNormOracle(x, 1e-5)
				// The errors of mean and variance are relative to the inputs' size.
				spread := epsilon * (float64(n) + 10) * (1 + float64(shift)) * wantRstd
				var want, tol []float64
				for i, h := range xhat {
					g := float64(gamma[i])
					want = append(want, h*g+float64(beta[i]))
					tol = append(tol, math.Abs(g)*(4*epsilon+spread)*(1+math.Abs(h)*(1+spread))+2*epsilon*math.Abs(want[i])+2*epsilon*math.Abs(float64(beta[i])))
				}
				dst := guard(1, n, n, n%9, float32(math.NaN()))
				mean, rstd := LayerNorm(dst.x, x, gamma, beta, 1e-5)
				dst.check(t)
				if n == 0 {
					continue
				}
				if n == 1 && shift != 0 { // the variance is all rounding
					continue
				}
				if fault := faults(dst.x, want, tol); fault != "" {
					t.Errorf("n=%d, shift %g: %s", n, shift, fault)
				}
				if !closeTo(float64(mean), wantMean, spread/wantRstd) || !closeTo(float64(rstd), wantRstd, wantRstd*(4*epsilon+2*spread)) {
					t.Errorf("n=%d, shift %g: mean %g, rstd %g, want %g, %g", n, shift, mean, rstd, wantMean, wantRstd)
				}
				LayerNorm(x, x, gamma, beta, 1e-5)
				if !slices.Equal(x, dst.x) {
					t.Errorf("n=%d: in place differs", n)
				}
			}
		}
	})
}

func TestLayerNormSpecialValues(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
			for _, n := range []int{1, 7, 33} {
				for at := range n {
					x, one := random(n, 1), make([]float32, n)
					x[at] = v
					mean, _ := LayerNorm(x, x, one, one, 1e-5)
					if mean == mean && v != v || x[at] == x[at] {
						t.Errorf("%g at %d of %d: %v", v, at, n, x)
					}
				}
			}
		}
		same, one := slices.Repeat([]float32{3}, 20), slices.Repeat([]float32{1}, 20)
		out := make([]float32, 20)
		if mean, rstd := LayerNorm(out, same, one, one, 1e-5); mean != 3 || !closeTo(float64(rstd), math.Sqrt(1e5), 1e-3) || !slices.Equal(out, one) {
			t.Errorf("a constant row: mean %g, rstd %g, %v", mean, rstd, out)
		}
	})
}

func TestLayerNormBackward(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths() {
			x, gamma, dy := random(n, uint64(n)), random(n, 3), guardVector(random(n, 4), n%16).x
			_, m, r := layerNormOracle(x, 1e-5)
			mean, rstd := float32(m), float32(r)
			if n == 0 {
				mean, rstd = 0, 1
			}
			var s1, s2, size1, size2 float64
			xhat := make([]float64, n)
			for i := range x {
				xhat[i] = (float64(x[i]) - float64(mean)) * float64(rstd)
				v := float64(dy[i]) * float64(gamma[i])
				s1 += v / float64(n)
				s2 += v * xhat[i] / float64(n)
				size1 += math.Abs(v) / float64(n)
				size2 += math.Abs(v*xhat[i]) / float64(n)
			}
			var wantDx, tolDx, wantDgamma, wantDbeta, tol []float64
			sum := epsilon * float64(n+10)
			for i := range x {
				v, h := float64(dy[i])*float64(gamma[i]), math.Abs(xhat[i])
				w := float64(rstd) * (v - s1 - xhat[i]*s2)
				wantDx = append(wantDx, old+w)
				tolDx = append(tolDx, 2*epsilon*(old+math.Abs(w))+float64(rstd)*(8*epsilon*(math.Abs(v)+size1+h*size2+math.Abs(s2)*(1+h)*(1+float64(rstd)))+sum*(size1+h*size2)))
				wantDgamma = append(wantDgamma, old+float64(dy[i])*xhat[i])
				wantDbeta = append(wantDbeta, old+float64(dy[i]))
				tol = append(tol, 4*epsilon*(old+math.Abs(float64(dy[i]))*(1+h)*(1+float64(rstd))))
			}
			dx, dgamma, dbeta := guard(1, n, n, 1, old), guard(1, n, n, n%5, old), guard(1, n, n, n%7, old)
			LayerNormBackward(dx.x, dgamma.x, dbeta.x, dy, x, gamma, mean, rstd)
			dx.check(t)
			dgamma.check(t)
			dbeta.check(t)
			for name, fault := range map[string]string{
				"dx": faults(dx.x, wantDx, tolDx), "dgamma": faults(dgamma.x, wantDgamma, tol), "dbeta": faults(dbeta.x, wantDbeta, tol),
			} {
				if fault != "" {
					t.Errorf("n=%d: %s: %s", n, name, fault)
				}
			}
		}
	})
}

// The gradient against central differences of a float64 forward pass.
func TestLayerNormBackwardIsTheGradient(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const n, step = 29, 1e-5
		x, gamma, beta, dy := random(n, 1), random(n, 2), random(n, 3), random(n, 4)
		loss := func(at int, delta float64) float64 {
			wide := make([]float64, n)
			mean, variance := 0.0, 0.0
			for i := range x {
				wide[i] = float64(x[i])
				if i == at {
					wide[i] += delta
				}
				mean += wide[i] / n
			}
			for _, v := range wide {
				variance += (v - mean) * (v - mean) / n
			}
			sum := 0.0
			for i, v := range wide {
				sum += float64(dy[i]) * ((v-mean)/math.Sqrt(variance+1e-5)*float64(gamma[i]) + float64(beta[i]))
			}
			return sum
		}
		out, dx, dgamma, dbeta := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
		mean, rstd := LayerNorm(out, x, gamma, beta, 1e-5)
		LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd)
		for i := range x {
			want := (loss(i, step) - loss(i, -step)) / (2 * step)
			if !(math.Abs(float64(dx[i])-want) <= 5e-6) {
				t.Errorf("dx[%d] = %g, want %g", i, dx[i], want)
			}
		}
	})
}
