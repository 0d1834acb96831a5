package nn

import (
	"path/filepath"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// renamed shows a checkpoint's tensors under names with a prefix.
type renamed struct{ checkpoint.Reader }

func (r renamed) Stored(name string) (checkpoint.Reader, string) { return r.Reader, "a." + name }

// Models that are opened of a shared checkpoint have the same variables, and the same weights of them, and Close leaves it open.
func TestShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.safetensors")
	if err := checkpoint.WriteSafetensors(path, []checkpoint.Tensor{checkpoint.FromFloat32("a.w", []int{1, 2}, []float32{1, 2})}, nil); err != nil {
		t.Fatal(err)
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	dev := cpu.New()
	shared := NewShared(dev, r)
	open := func(r checkpoint.Reader, name string) *autograd.Var {
		var params Parameters
		var failure error
		v := Open(dev, r, &params, &failure)(name, Zeros, 1, 2)
		if failure != nil {
			t.Fatal(failure)
		}
		if params[0].Name != name {
			t.Errorf("the parameter is called %s", params[0].Name)
		}
		return v
	}
	v := open(shared, "a.w")
	if err := shared.Close(); err != nil {
		t.Fatal(err)
	}
	if other := open(renamed{shared}, "w"); other != v {
		t.Error("a view of a shared checkpoint gives another variable")
	}
	first, again := autograd.NewWeight(v, engine.NN), autograd.NewWeight(v, engine.NN)
	if first != again || first == autograd.NewWeight(v, engine.NT) {
		t.Error("there is not one weight for each side")
	}
	if open(r, "a.w") == v {
		t.Error("a checkpoint that is not shared gives the same variable")
	}
}
