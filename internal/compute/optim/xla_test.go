package optim

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// A device that records computes the CPU engine's steps. It runs two programs for each: for the norm, and for what follows. One before the first makes
// the moments.
func TestStepsOfARecordingDevice(t *testing.T) {
	for _, moments := range []string{MomentsFloat32, MomentsBfloat16, MomentsFactored} {
		cfg := Default
		cfg.Moments, cfg.WeightDecay, cfg.Seed = moments, 0.01, 7
		recording := accelerator.Open(t)
		var params [2][]Param
		var optimisers [2]*Adam
		devices := [2]engine.Device{cpu.New(), recording}
		for k, d := range devices {
			params[k] = []Param{newParam(d, "word_embedding", 13, 5), newParam(d, "fc.w_0", 9, 20), newParam(d, "fc.b_0", 1, 20)}
			for _, p := range params[k] {
				d.Write(p.Value, normal(p.Name, p.Value.Len(), 0.1))
			}
			optimisers[k] = NewAdam(d, cfg, params[k])
		}
		const steps = 4
		for step := range steps {
			var norms [2]float64
			for k, d := range devices {
				for i, p := range params[k] {
					p.Grad.Clear()
					if i != 1 || step != 2 { // a parameter may have none
						setGradient(d, p, normal(fmt.Sprint(p.Name, step), p.Value.Len(), 1))
					}
				}
				var err error
				if norms[k], err = optimisers[k].Step(0.01); err != nil {
					t.Fatal(err)
				}
			}
			if !(math.Abs(norms[0]-norms[1]) <= 1e-9*norms[0]) {
				t.Errorf("%s: step %d: the norm is %v, want %v", moments, step, norms[1], norms[0])
			}
		}
		if ran := recording.Stats().Ran; ran != 1+2*steps {
			t.Errorf("%s: %d steps ran %d programs", moments, steps, ran)
		}
		for i, p := range params[0] {
			optimisers[0].Settle()
			want := engine.Values(devices[0], p.Value)
			for j, got := range engine.Values(recording, params[1][i].Value) {
				if !(math.Abs(float64(got-want[j])) <= 1e-6) {
					t.Fatalf("%s: element %d of %s is %v, want %v", moments, j, p.Name, got, want[j])
				}
			}
		}
	}
}

// Steps that are made late download nothing. One whose gradients are not finite is not made, nor is any after it until somebody has read that.
func TestLateStepsOfARecordingDevice(t *testing.T) {
	for _, moments := range []string{MomentsFloat32, MomentsFactored} {
		t.Run(moments, func(t *testing.T) { lateSteps(t, moments) })
	}
}

func lateSteps(t *testing.T, moments string) {
	d := accelerator.Open(t)
	params := []Param{newParam(d, "fc.w_0", 9, 20), newParam(d, "fc.b_0", 1, 20)}
	for _, p := range params {
		d.Write(p.Value, normal(p.Name, p.Value.Len(), 0.1))
	}
	cfg := Default
	cfg.Moments = moments
	a := NewAdam(d, cfg, params)
	var norms []Norm
	step := func(broken bool) {
		for _, p := range params {
			p.Grad.Clear()
			setGradient(d, p, normal(p.Name, p.Value.Len(), 1))
		}
		if broken {
			x := normal("", 20, 1)
			x[7] = float32(math.Inf(1))
			setGradient(d, params[1], x)
		}
		if err := a.Measure(); err != nil {
			t.Fatal(err)
		}
		norm, err := a.Advance(0.01)
		if err != nil {
			t.Fatal(err)
		}
		norms = append(norms, norm)
	}
	values := func() (all []float32) {
		for _, p := range params {
			all = append(all, engine.Values(d, p.Value)...)
		}
		return all
	}
	before := values()
	downloads := d.Stats().Downloads
	step(false)
	if n := d.Stats().Downloads - downloads; n != 0 {
		t.Errorf("a step downloaded %d times", n)
	}
	made := values()
	if slices.Equal(made, before) {
		t.Error("the first step changed nothing")
	}
	downloads = d.Stats().Downloads
	for i := range 9 {
		step(i == 3)
		if i == 2 {
			made = values()
			downloads += 2
		}
	}
	if n := d.Stats().Downloads - downloads; n != 0 {
		t.Errorf("steps downloaded %d times", n)
	}
	if !slices.Equal(values(), made) {
		t.Error("a step after the last finite one was made")
	}
	downloads = d.Stats().Downloads
	for i, norm := range norms {
		n, err := norm()
		var bad *NormError
		switch {
		case i < 4 && (err != nil || !(n > 0)):
			t.Errorf("step %d: the norm is %v, %v", i+1, n, err)
		case i == 4 && (!errors.As(err, &bad) || bad.Where != "fc.b_0" || !math.IsInf(bad.Norm, 1)):
			t.Errorf("step %d: got %v", i+1, err)
		case i > 4 && err == nil:
			t.Errorf("step %d says that it was made", i+1)
		}
	}
	if n := d.Stats().Downloads - downloads; n != 1 {
		t.Errorf("%d downloads for the norms of %d steps", n, len(norms))
	}
	downloads = d.Stats().Downloads
	if step(false); d.Stats().Downloads != downloads {
		t.Error("the step after these downloaded something")
	}
	if slices.Equal(values(), made) || a.steps != 5 {
		t.Errorf("no step is made any more, or it is counted as the %dth", a.steps)
	}
}
