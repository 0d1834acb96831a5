package optim

import (
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/test/late"
)

// oracle is Adam in float64 on one tensor, from the formulas of [Adam]. Beside each
// number runs a bound of what float32 can have made of it.
type oracle struct {
	p, m, v                []float64
	errorP, errorM, errorV []float64
}

const epsilon = 1.0 / (1 << 24) // the largest relative error of rounding to float32

// step takes one step with gradients g, already clipped with the given relative error.
func (o *oracle) step(cfg Config, g []float64, gError, rate float64, t int, decayed bool) {
	// The constants reach the device in float32.
	b1, b2 := float64(float32(cfg.Beta1)), float64(float32(cfg.Beta2))
	size := rate * math.Sqrt(1-math.Pow(cfg.Beta2, float64(t))) / (1 - math.Pow(cfg.Beta1, float64(t)))
	decay := 0.0
	if decayed {
		decay = cfg.WeightDecay * rate
	}
	for i := range g {
		e := gError + epsilon
		m := b1*o.m[i] + (1-b1)*g[i]
		v := b2*o.v[i] + (1-b2)*g[i]*g[i]
		o.errorM[i] = b1*o.errorM[i] + (1-b1)*math.Abs(g[i])*e + 3*epsilon*(b1*math.Abs(o.m[i])+(1-b1)*math.Abs(g[i]))
		o.errorV[i] = b2*o.errorV[i] + (1-b2)*g[i]*g[i]*2*e + 4*epsilon*v
		root := math.Sqrt(v) + cfg.Epsilon
		update := size * m / root
		// A relative error of v counts half in its root.
		o.errorP[i] = o.errorP[i]*(1+decay) + size/root*(o.errorM[i]+math.Abs(m)*(0.5*o.errorV[i]/max(v, 1e-300)+8*epsilon)) +
			4*epsilon*(math.Abs(o.p[i])+math.Abs(update))
		o.p[i] -= update + decay*o.p[i]
		o.m[i], o.v[i] = m, v
	}
}

func normal(name string, n int, scale float64) []float32 {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(scale * r.NormFloat64())
	}
	return x
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func newParam(d engine.Device, name string, rows, cols int) Param {
	return Param{Name: name, Value: d.New(rows, cols), Grad: autograd.NewGradient(d.New(rows, cols))}
}

// setGradient makes a gradient dense.
func setGradient(d engine.Device, p Param, values []float32) { d.Write(p.Grad.Fill(d), values) }

// both are the moments of a parameter as they are.
func both(a *Adam, i int) (m, v *engine.Tensor) {
	list := a.Moments(i)
	return list[0].Value, list[1].Value
}

// resumed is an optimiser that goes on where another is, as that of a run that is resumed does.
func resumed(d engine.Device, a *Adam, cfg Config, params []Param) *Adam {
	a.Settle()
	next := NewAdam(d, cfg, params)
	for i := range params {
		moments := next.Moments(i)
		for k, m := range a.Moments(i) {
			d.Write(moments[k].Value, engine.Values(d, m.Value))
		}
	}
	next.Resume(a.steps)
	return next
}

// Several steps, some of whose gradients are clipped, with and without decay.
func TestAdam(t *testing.T) {
	const steps, size = 6, 50
	for _, c := range []struct {
		name  string
		cfg   Config
		scale float64 // of the gradients
		clips int     // steps that are clipped
	}{
		{"default", Default, 0.01, 0},
		{"clipped", Default, 2.45, 5},
		{"decay", Config{Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, WeightDecay: 0.1, ClipNorm: 1}, 0.2, 1},
		{"no clipping", Config{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01}, 3, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := cpu.New()
			names := []string{"encoder.w_0", "encoder.b_0", "norm.weight"} // the first one is decayed
			var params []Param
			var oracles []*oracle
			for _, name := range names {
				p := newParam(d, name, 2, size/2)
				p.Undecayed = name == "norm.weight"
				d.Write(p.Value, normal(name, size, 1))
				params = append(params, p)
				zeros := func() []float64 { return make([]float64, size) }
				oracles = append(oracles, &oracle{wide(normal(name, size, 1)), zeros(), zeros(), zeros(), zeros(), zeros()})
			}
			a := NewAdam(d, c.cfg, params)
			clipped := 0
			for step := 1; step <= steps; step++ {
				rate := 0.1 / float64(step)
				grads := make([][]float64, len(params))
				var squares float64
				for i, p := range params {
					g := normal(fmt.Sprint(p.Name, step), size, c.scale/float64(step*step))
					setGradient(d, p, g)
					grads[i] = wide(g)
					for _, v := range grads[i] {
						squares += v * v
					}
				}
				norm, err := a.Step(rate)
				if err != nil {
					t.Fatal(err)
				}
				if want := math.Sqrt(squares); !(math.Abs(norm-want) <= 1e-12*want) || a.steps != step {
					t.Fatalf("step %d: norm %g of step %d, want %g", step, norm, a.steps, want)
				}
				if c.cfg.ClipNorm > 0 && math.Sqrt(squares) > c.cfg.ClipNorm {
					clipped++
					for _, g := range grads {
						for j := range g {
							g[j] *= c.cfg.ClipNorm / math.Sqrt(squares)
						}
					}
				}
				for i, p := range params {
					o := oracles[i]
					o.step(c.cfg, grads[i], 2*epsilon, rate, step, i == 0)
					m, v := both(a, i)
					for _, tensor := range []struct {
						name        string
						got         []float32
						want, error []float64
					}{
						{"value", d.Host(p.Value), o.p, o.errorP}, {"first moment", d.Host(m), o.m, o.errorM}, {"second moment", d.Host(v), o.v, o.errorV},
					} {
						for j, want := range tensor.want {
							if !(math.Abs(float64(tensor.got[j])-want) <= tensor.error[j]) {
								t.Fatalf("step %d: %s of %s: element %d is %g, want %g ± %.2g", step, tensor.name, p.Name, j, tensor.got[j], want, tensor.error[j])
							}
						}
					}
				}
			}
			for _, o := range oracles { // a bound that allows everything would show nothing
				for j, e := range o.errorP {
					if e > 1e-4 {
						t.Errorf("the tolerance of %g reaches %g", o.p[j], e)
						return
					}
				}
			}
			if clipped != c.clips {
				t.Errorf("%d steps were clipped, want %d", clipped, c.clips)
			}
		})
	}
}

// A run that is resumed goes on as if it had not stopped.
func TestAdamResumes(t *testing.T) {
	const size = 8
	d := cpu.New()
	run := func(stop int) []float32 {
		p := newParam(d, "w", 1, size)
		d.Write(p.Value, normal("w", size, 1))
		a := NewAdam(d, Default, []Param{p})
		for step := range 4 {
			if step == stop {
				a = resumed(d, a, Default, []Param{p})
			}
			setGradient(d, p, normal(fmt.Sprint("g", step), size, 0.1))
			if _, err := a.Step(0.1); err != nil {
				t.Fatal(err)
			}
		}
		return d.Host(p.Value)
	}
	whole, resumed := run(-1), run(2)
	for i := range whole {
		if whole[i] != resumed[i] {
			t.Errorf("element %d is %g after resuming, %g without", i, resumed[i], whole[i])
		}
	}
}

func TestDecayed(t *testing.T) {
	for name, want := range map[string]bool{
		"word_embedding": true, "pos_embedding": true, "role_embedding": true,
		"encoder_layer_0_multi_head_att_query_fc.w_0": true, "encoder_layer_0_multi_head_att_query_fc.b_0": false,
		"encoder_layer_11_post_ffn_layer_norm_scale": false, "encoder_layer_11_post_ffn_layer_norm_bias": false,
		"pre_encoder_layer_norm_scale": false, "mask_lm_trans_layer_norm_bias": false,
		"mask_lm_out_fc.b_0": false, "pooled_fc_text.w_0": true, "pooled_fc_text.b_0": false,
		"cls_out_2_w": true, "cls_out_2_b": false,
		"cls_out_w_0": true, "cls_out_b_0": true, "cls_out_b_1": true, // the reference's rule, biases though they are
	} {
		if got := Decayed(name); got != want {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestSchedules(t *testing.T) {
	linear := LinearWarmupDecay{Peak: 1, Warmup: 4, Total: 10}
	epochs, err := NewSchedule(ScheduleEpochs, 1, 0, 400, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		schedule Schedule
		step     int
		want     float64
	}{
		{linear, 0, 0}, {linear, 1, 0.25}, {linear, 3, 0.75}, {linear, 4, 0.6}, {linear, 9, 0.1}, {linear, 10, 0}, {linear, 99, 0},
		{LinearWarmupDecay{Peak: 2, Total: 4}, 0, 2}, {LinearWarmupDecay{}, 0, 0},
		{NoamDecay{Peak: 1, Warmup: 4}, 0, 0.25}, {NoamDecay{Peak: 1, Warmup: 4}, 3, 1}, {NoamDecay{Peak: 1, Warmup: 4}, 15, 0.5},
		{NoamDecay{Peak: 1}, 0, 1},
		{epochs, 0, 1}, {epochs, 239, 1}, {epochs, 240, 0.1}, {epochs, 319, 0.1}, {epochs, 320, 0.01}, {epochs, 999, 0.01},
		{Constant(0.3), 7, 0.3},
	} {
		if got := c.schedule.Rate(c.step); !(math.Abs(got-c.want) <= 1e-15) {
			t.Errorf("%+v: rate of step %d is %g, want %g", c.schedule, c.step, got, c.want)
		}
	}
	for _, name := range []string{ScheduleLinear, ScheduleNoam, ScheduleEpochs, ScheduleConstant} {
		if s, err := NewSchedule(name, 1, 2, 3, 1); err != nil || s == nil {
			t.Errorf("%s: %v, %v", name, s, err)
		} else if _, err := NewSchedule(strings.ToUpper(name), 1, 2, 3, 1); err == nil {
			t.Errorf("%s in capitals was accepted", name)
		}
	}
}

// full is a device with no room for the program of a step: its third, after those of the moments and of the norm.
type full struct{ *late.Device }

func (f full) Start() {
	if f.Device.Start(); f.Started.Load() > 2 {
		panic(engine.Failure{Err: &engine.MemoryError{Needs: 9, Has: 5}})
	}
}

// Where a device has too little memory for a step, the error says that it is one: no smaller batch helps.
func TestAStepWithoutRoom(t *testing.T) {
	d := full{late.New()}
	p := newParam(d, "fc.w_0", 2, 3)
	d.Zero(p.Value)
	adam := NewAdam(d, Default, []Param{p})
	setGradient(d, p, normal("g", 6, 1))
	var little *engine.MemoryError
	err := engine.Guard(func() error {
		_, err := adam.Advance(0.1)
		return err
	})
	if !errors.As(err, &little) || little.Alone != StepName {
		t.Errorf("%v", err)
	}
}
