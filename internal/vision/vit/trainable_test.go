package vit

import (
	"errors"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/vision"
)

// trained are the sizes of the pictures of a batch: two of the table's size, one of another between them.
var trained = []string{"12x12", "23x16", "12x12"}

func openTrainable(t *testing.T, d engine.Device, dir string) *Trainable {
	t.Helper()
	config, r := read(t, dir)
	defer r.Close()
	m, err := OpenTrainable(d, config, r)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// slopes are those of a loss of x.
func slopes(d engine.Device, x *autograd.Var) *engine.Tensor {
	values := make([]float32, x.Value.Len())
	for i := range values {
		values[i] = float32(math.Cos(float64(i)))
	}
	made := d.New(x.Value.Rows, x.Value.Cols)
	d.Write(made, values)
	return made
}

func TestGradientsAgainstTransformers(t *testing.T) {
	for _, dir := range folders(t, "testdata") {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want, err := checkpoint.OpenSafetensors(filepath.Join(dir, "gradients.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()
			d := cpu.New()
			m := openTrainable(t, d, dir)
			var pictures []vision.Pixels
			all := goldens(t, dir)
			for _, size := range trained {
				pictures = append(pictures, all[size].pixels)
			}
			tape := autograd.NewTape(d, autograd.Seed{})
			for pass := range 2 { // the second adds as much
				x, offsets, err := m.Features(tape, pictures)
				if err != nil {
					t.Fatal(err)
				}
				if pass == 0 {
					compareRows(t, engine.Values(d, x.Value), offsets, all)
				}
				tape.Backward(tape.Given(x, slopes(d, x)), 1)
			}
			var size float64 // of the gradients of all
			for _, p := range m.Params {
				size = max(size, largest(gradient(t, want, p.Name)))
			}
			for _, p := range m.Params {
				g := gradient(t, want, p.Name)
				got := make([]float32, p.Value.Len())
				if p.Gradient().Extent() != autograd.Empty {
					copy(got, engine.Values(d, p.Gradient().Fill(d)))
				}
				for i := range got {
					got[i] /= 2
				}
				if diff := difference(got, g) * largest(g); !(diff <= 2e-6*size+2e-5*largest(g)) {
					t.Errorf("%s: gradients differ by %g; the largest is %g, of all %g", p.Name, diff, largest(g), size)
				}
			}
		})
	}
}

func largest(values []float32) (most float64) {
	for _, v := range values {
		most = max(most, math.Abs(float64(v)))
	}
	return most
}

func gradient(t *testing.T, r checkpoint.Reader, name string) []float32 {
	t.Helper()
	values, _, err := checkpoint.Float32s(r, name)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// compareRows compares the rows of a batch with what each picture gives by itself.
func compareRows(t *testing.T, rows []float32, offsets []int32, all map[string]golden) {
	t.Helper()
	for i, size := range trained {
		g := all[size]
		dim := len(rows) / int(offsets[len(trained)])
		whole := g.global
		if whole == nil {
			whole = make([]float32, dim)
			for k, v := range g.regions {
				whole[k%dim] += v * float32(dim) / float32(len(g.regions))
			}
		}
		want := slices.Concat(whole, g.regions)
		if diff := difference(rows[int(offsets[i])*dim:int(offsets[i+1])*dim], want); !(diff <= tolerance) {
			t.Errorf("picture %d, %s: rows differ by %g", i, size, diff)
		}
	}
}

// The network of a model in training sees with the weights as they are.
func TestNetworkOfChangingWeights(t *testing.T) {
	d := cpu.New()
	m := openTrainable(t, d, "testdata/dinov2-registers")
	n := m.Network()
	for size, g := range goldens(t, "testdata/dinov2-registers") {
		before, err := n.Run(cpu.NewLimited(1), g.pixels)
		if err != nil || !(difference(before.Features, g.regions) <= tolerance) {
			t.Errorf("%s differs (%v)", size, err)
		}
		bias := m.Params[len(m.Params)-1] // of the last norm
		values := slices.Clone(engine.Values(d, bias.Value))
		moved := slices.Clone(values)
		for i := range moved {
			moved[i]++
		}
		d.Write(bias.Value, moved)
		after, err2 := n.Run(cpu.NewLimited(1), g.pixels)
		d.Write(bias.Value, values)
		if err := errors.Join(err, err2); err != nil || math.Abs(float64(after.Features[0]-before.Features[0])-1) > 1e-5 {
			t.Errorf("%s: %g before, %g after (%v)", size, before.Features[0], after.Features[0], err)
		}
	}
}
