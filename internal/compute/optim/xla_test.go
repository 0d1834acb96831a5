package optim

import (
	"fmt"
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// A device that records computes the CPU engine's steps. It runs two programs for each: for the norm, which alone is read, and for what
// follows. One before the first makes the moments.
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
		if ran := recording.Stats().Ran; ran != 1+2*steps && moments != MomentsFactored {
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
