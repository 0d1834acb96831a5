package kernels

import (
	"math"
	"slices"
	"testing"
)

func TestAdam(t *testing.T) {
	s := AdamStep{Beta1: 0.9, Beta2: 0.98, StepSize: 0.3, Epsilon: 1e-6, GradScale: 0.7, Decay: 0.01}
	b1, b2, wide := float64(s.Beta1), float64(s.Beta2), func(x float32) float64 { return float64(x) }
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths() {
			p, m, v := guardVector(random(n, 1), n%16), guardVector(random(n, 2), n%15), guardVector(random(n, 3), n%14)
			grad := guardVector(random(n, 4), n%13)
			var wantP, wantM, wantV, tolP, tolM, tolV []float64
			for i := range n {
				v.x[i] *= v.x[i]
				if i%5 == 0 { // the first step
					m.x[i], v.x[i] = 0, 0
				}
				if i%7 == 0 {
					grad.x[i] = 0
				}
				g := wide(grad.x[i]) * wide(s.GradScale)
				// 1-beta as float32 has it.
				m1, v1 := b1*wide(m.x[i])+wide(1-s.Beta1)*g, b2*wide(v.x[i])+wide(1-s.Beta2)*g*g
				step := wide(s.StepSize) * m1 / (math.Sqrt(v1) + wide(s.Epsilon))
				wantM, wantV = append(wantM, m1), append(wantV, v1)
				wantP = append(wantP, wide(p.x[i])-step-wide(s.Decay)*wide(p.x[i]))
				sizeM := b1*math.Abs(wide(m.x[i])) + (1-b1)*math.Abs(g)
				tolM, tolV = append(tolM, 4*epsilon*sizeM), append(tolV, 6*epsilon*v1)
				tolP = append(tolP, 10*epsilon*wide(s.StepSize)*sizeM/(math.Sqrt(v1)+wide(s.Epsilon))+4*epsilon*math.Abs(wide(p.x[i])))
			}
			Adam(p.x, m.x, v.x, grad.x, s)
			for name, fault := range map[string]string{
				"p": faults(p.x, wantP, tolP), "m": faults(m.x, wantM, tolM), "v": faults(v.x, wantV, tolV),
			} {
				if fault != "" {
					t.Errorf("n=%d: %s: %s", n, name, fault)
				}
			}
			for _, g := range []*guarded{p, m, v, grad} {
				g.check(t)
			}
		}
	})
}

// A NaN in the gradient reaches moments and parameter, of its own element alone.
func TestAdamNaN(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		p, m, v, g := random(40, 1), make([]float32, 40), make([]float32, 40), random(40, 2)
		g[17] = float32(math.NaN())
		Adam(p, m, v, g, AdamStep{Beta1: 0.9, Beta2: 0.99, StepSize: 1, Epsilon: 1e-8, GradScale: 1})
		for i := range p {
			if bad := i == 17; (p[i] != p[i]) != bad || (m[i] != m[i]) != bad || (v[i] != v[i]) != bad {
				t.Errorf("element %d: %g, %g, %g", i, p[i], m[i], v[i])
			}
		}
	})
}

// Idle steps are steps with a zero gradient, bit for bit, also where the moments vanish.
func TestAdamIdle(t *testing.T) {
	const count = 1000 // 0.9^1000 is 2e-46: from ordinary numbers to below the least moment
	steps := make([]AdamStep, count)
	for i := range steps {
		steps[i] = AdamStep{Beta1: 0.9, Beta2: 0.8, StepSize: 0.3 / float32(i+1), Epsilon: 1e-6, GradScale: 0.7, Decay: 1e-4 * float32(i%3)}
	}
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths() {
			make3 := func() (p, m, v *guarded) {
				p, m, v = guardVector(random(n, 1), n%16), guardVector(random(n, 2), n%15), guardVector(random(n, 3), n%14)
				for i := range v.x {
					v.x[i] *= v.x[i]
				}
				return p, m, v
			}
			p, m, v := make3()
			idleP, idleM, idleV := make3()
			zero := make([]float32, n)
			for _, s := range steps {
				Adam(p.x, m.x, v.x, zero, s)
			}
			AdamIdle(idleP.x, idleM.x, idleV.x, steps[:0])
			AdamIdle(idleP.x, idleM.x, idleV.x, steps[:1])
			AdamIdle(idleP.x, idleM.x, idleV.x, steps[1:])
			for name, pair := range map[string][2]*guarded{"p": {p, idleP}, "m": {m, idleM}, "v": {v, idleV}} {
				sameBits := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
				if !slices.EqualFunc(pair[0].x, pair[1].x, sameBits) {
					t.Errorf("n=%d: %s differs", n, name)
				}
				pair[1].check(t)
			}
			for i, x := range m.x {
				if x != 0 || v.x[i] != 0 {
					t.Fatalf("n=%d: moments %d are %g and %g after %d idle steps, want zero", n, i, x, v.x[i], count)
				}
			}
		}
	})
}
