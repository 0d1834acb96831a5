package vit

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/vision"
)

// On an accelerator a network says of pictures, of its own size and of another, what it says on the processor. Its weights are there once, and of
// pictures nothing stays but the embeddings of a size's places.
func TestAcceleratorSeesTheSame(t *testing.T) {
	d := accelerator.Open(t)
	for _, name := range []string{"vit", "clip-projection", "siglip", "dinov2-registers", "dinov2-giant"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", name)
			here, _ := open(t, dir)
			config, r := read(t, dir)
			defer r.Close()
			within, free := engine.Scope(d)
			before, _ := d.Held()
			there, _, err := Open(within, config, r)
			if err != nil {
				t.Fatal(err)
			}
			all := goldens(t, dir)
			var held []int
			for range 3 {
				for _, size := range []string{"12x12", "23x16"} {
					want, err := here.Run(cpu.NewLimited(1), all[size].pixels)
					if err != nil {
						t.Fatal(err)
					}
					got, err := there.Run(within.Fork(), all[size].pixels)
					if err != nil {
						t.Fatal(err)
					}
					regions, global := difference(got.Features, want.Features), difference(got.Global, want.Global)
					if !(regions <= 1e-5 && global <= 1e-5) || !slices.Equal(got.Boxes, want.Boxes) {
						t.Errorf("%s: differences of %g in the regions, %g in the whole", size, regions, global)
					}
				}
				now, _ := d.Held()
				held = append(held, now)
			}
			if held[0] <= before || held[1] != held[0] || held[2] != held[0] {
				t.Errorf("%d buffers were held before, then %v", before, held)
			}
			if free(); func() int { n, _ := d.Held(); return n }() != before {
				t.Error("the network leaves something in the device's memory")
			}
		})
	}
}

// What trains on an accelerator has the processor's features and gradients.
func TestAcceleratorTrainsTheSame(t *testing.T) {
	d := accelerator.Open(t)
	for _, name := range []string{"siglip", "dinov2-registers"} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join("testdata", name)
			features, gradients := learn(t, cpu.New(), dir)
			gotFeatures, gotGradients := learn(t, d, dir)
			if diff := difference(gotFeatures, features); !(diff <= 1e-5) {
				t.Errorf("features differ by %g", diff)
			}
			if diff := difference(gotGradients, gradients); !(diff <= 5e-5) {
				t.Errorf("gradients differ by %g", diff)
			}
		})
	}
}

// learn returns the features of the batch of [trained], and all gradients of a loss of them.
func learn(t *testing.T, d engine.Device, dir string) (features, gradients []float32) {
	t.Helper()
	m := openTrainable(t, d, dir)
	var pictures []vision.Pixels
	all := goldens(t, dir)
	for _, size := range trained {
		pictures = append(pictures, all[size].pixels)
	}
	tape := autograd.NewTape(d, autograd.Seed{})
	defer tape.Release()
	x, _, err := m.Features(tape, pictures)
	if err != nil {
		t.Fatal(err)
	}
	features = slices.Clone(engine.Values(d, x.Value))
	tape.Backward(tape.Given(x, slopes(d, x)), 1)
	for _, p := range m.Params {
		if p.Gradient().Extent() != autograd.Empty {
			gradients = append(gradients, engine.Values(d, p.Gradient().Fill(d))...)
		}
	}
	return features, gradients
}
