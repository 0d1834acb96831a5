package adversarial

import (
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// On an accelerator a batch under attack has the loss and the gradients that it has on the processor, and reads nothing until the loss is read.
func TestAttacksOnAnAccelerator(t *testing.T) {
	for name, c := range map[string]struct {
		problem string
		recipe  Recipe
	}{
		"answers":        {model.Answering, with(func(r *Recipe) { r.AdvStep = 2 })},
		"texts, one way": {model.Classification, with(func(r *Recipe) { r.Adv, r.AdvStep, r.AdvKLWeight, r.AdvNorm = FreeLBText, 2, 0, Inf })},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(c.problem)
			cfg.Layers = 1
			recording := accelerator.Open(t)
			var parts [2][]float32
			var gradients [2]map[string][]float32
			for k, d := range []engine.Device{cpu.New(), recording} {
				in, o, params := objective(t, d, cfg, 3)
				tape := autograd.NewTape(d, autograd.Seed{Key: 3, Pass: 2})
				trainer := Trainer{Recipe: c.recipe}
				before := recording.Stats().Downloads
				read, _, err := trainer.Passes(tape, in, o, scales(c.recipe))
				if err != nil {
					t.Fatal(err)
				}
				if n := recording.Stats().Downloads - before; n != 0 {
					t.Errorf("a batch downloaded %d times", n)
				}
				parts[k], gradients[k] = read(), map[string][]float32{}
				for _, p := range params {
					gradients[k][p.Name] = engine.Values(d, p.Gradient().Fill(d))
				}
			}
			for i, want := range parts[0] {
				if got := parts[1][i]; !(math.Abs(float64(got-want)) <= 1e-5*math.Abs(float64(want))) {
					t.Errorf("part %d is %v, want %v", i, got, want)
				}
			}
			var largest float64
			for _, g := range gradients[0] {
				for _, x := range g {
					largest = max(largest, math.Abs(float64(x)))
				}
			}
			for name, g := range gradients[0] {
				for i, want := range g {
					if got := gradients[1][name][i]; !(math.Abs(float64(got-want)) <= 5e-5*largest) {
						t.Fatalf("%s: element %d of the gradient is %v, want %v; the largest is %v", name, i, got, want, largest)
					}
				}
			}
		})
	}
}
