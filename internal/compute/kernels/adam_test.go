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
	lengths := lengths()
	if testing.Short() {
		lengths = lengths[:40]
	}
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths {
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

// A step with moments of 16 bits is one of Adam with what they say, whose moments are rounded down after the word's half is added to
// their bits, wherever vectors are cut.
func TestAdamBfloat16(t *testing.T) {
	const key, stream = 7, 1<<40 + 3
	s := AdamStep{Beta1: 0.9, Beta2: 0.999, StepSize: 0.3, Epsilon: 1e-6, GradScale: 0.7, Decay: 0.01}
	eachISA(t, func(t *testing.T) {
		for _, n := range lengths() {
			p, both, grad := guardVector(random(n, 1), n%16), guardVector(random(n, 2), n%15), guardVector(random(n, 3), n%13)
			wantP, m, v := slices.Clone(p.x), make([]float32, n), make([]float32, n)
			second := random(n, 4)
			for i := range n {
				m[i] = math.Float32frombits(math.Float32bits(both.x[i]) & 0xffff0000)
				v[i] = math.Float32frombits(math.Float32bits(second[i]*second[i]) & 0xffff0000)
				if i%5 == 0 {
					m[i], v[i] = 0, 0
				}
				if i%7 == 0 {
					grad.x[i] = 0
				}
				both.x[i] = math.Float32frombits(math.Float32bits(m[i]) | math.Float32bits(v[i])>>16)
			}
			cut, cutP := slices.Clone(both.x), slices.Clone(p.x)
			Adam(wantP, m, v, grad.x, s)
			var buffer []uint32
			offset := uint64(1<<33 + n%7)
			words := Words(&buffer, n, key, stream, offset)
			want := make([]float32, n)
			for i, w := range words {
				first, second := (math.Float32bits(m[i])+w%65536)/65536, (math.Float32bits(v[i])+w/65536)/65536
				want[i] = math.Float32frombits(first*65536 + second)
			}
			AdamBfloat16(p.x, both.x, grad.x, s, key, stream, offset)
			at := n / 3
			AdamBfloat16(cutP[:at], cut[:at], grad.x[:at], s, key, stream, offset)
			AdamBfloat16(cutP[at:], cut[at:], grad.x[at:], s, key, stream, offset+uint64(at))
			sameBits := func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }
			if !slices.EqualFunc(p.x, wantP, sameBits) || !slices.EqualFunc(cutP, wantP, sameBits) {
				t.Errorf("n=%d: the parameters are not those of Adam", n)
			}
			if !slices.EqualFunc(both.x, want, sameBits) || !slices.EqualFunc(cut, want, sameBits) {
				t.Errorf("n=%d: other moments", n)
			}
			for _, g := range []*guarded{p, both, grad} {
				g.check(t)
			}
		}
	})
}

// Rounding by chance keeps the mean: a second moment follows gradients that change it by less than half of its last place.
func TestAdamBfloat16KeepsTheMean(t *testing.T) {
	const n, steps = 512, 1000
	s := AdamStep{Beta1: 0.9, Beta2: 0.999, StepSize: 0, Epsilon: 1e-6, GradScale: 1}
	eachISA(t, func(t *testing.T) {
		p, both, grad := make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range grad {
			grad[i] = 0.5
			both[i] = math.Float32frombits(math.Float32bits(1) >> 16) // v is 1
		}
		for step := range uint64(steps) {
			AdamBfloat16(p, both, grad, s, 1, step, 0)
		}
		var m, v float64
		for _, b := range both {
			m += float64(math.Float32frombits(math.Float32bits(b)&0xffff0000)) / n
			v += float64(math.Float32frombits(math.Float32bits(b)<<16)) / n
		}
		decay := math.Pow(float64(s.Beta2), steps)
		if want := decay + (1-decay)*0.25; math.Abs(v-want) > 0.005 { // the mean of 512 has a deviation of 0.001
			t.Errorf("the second moment is %v in the mean, want %v", v, want)
		}
		if math.Abs(m-0.5) > 0.001 {
			t.Errorf("the first moment is %v in the mean, want 0.5", m)
		}
	})
}
