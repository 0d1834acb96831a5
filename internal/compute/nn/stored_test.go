package nn

import (
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// withBytes has a tensor of bytes beside those of a checkpoint.
type withBytes struct {
	checkpoint.Reader
	scales []float32
}

func (r withBytes) Int8(name string) (values []int8, scales []float32, perRow, ok bool, err error) {
	if name != "bytes" {
		return nil, nil, false, false, nil
	}
	return []int8{1, -2, 3, 4, 5, 127}, r.scales, false, true, nil
}

// Matrices stay as they are stored, anything else becomes float32; and what is multiplied is the numbers.
func TestOpenStored(t *testing.T) {
	half := func(name string, dtype checkpoint.DType, data []byte, shape ...int) checkpoint.Tensor {
		return checkpoint.Tensor{Info: checkpoint.Info{Name: name, DType: dtype, Shape: shape}, Data: data}
	}
	r, err := checkpoint.FromTensors("test", []checkpoint.Tensor{
		half("bfloat16", checkpoint.BF16, []byte{0x80, 0x3f, 0, 0x40, 0, 0xc0, 0x40, 0x40}, 2, 2), // 1 2 -2 3
		half("float16", checkpoint.F16, []byte{0, 0x3c, 0, 0x40, 0, 0xc0, 0, 0x42}, 2, 2),
		half("vector", checkpoint.BF16, []byte{0x80, 0x3f, 0, 0x40}, 2),
		checkpoint.FromFloat32("float32", []int{2, 2}, []float32{1, 2, -2, 3}),
	})
	if err != nil {
		t.Fatal(err)
	}
	d := cpu.New()
	declare := func(r checkpoint.Reader, name string, shape ...int) (*autograd.Var, error) {
		var params Parameters
		var failure error
		v := Open(d, r, &params, &failure)(name, Zeros, shape...)
		return v, failure
	}
	for _, c := range []struct {
		name   string
		shape  []int
		format engine.Format
		want   []float32 // of x·w
	}{
		{"bfloat16", []int{2, 2}, engine.BFloat16, []float32{-3, 8}},
		{"float16", []int{2, 2}, engine.Float16, []float32{-3, 8}},
		{"float32", []int{2, 2}, engine.Float32, []float32{-3, 8}},
		{"vector", []int{2}, engine.Float32, nil},
		{"bytes", []int{2, 3}, engine.Int8, []float32{4.5, 8, 1028}},
	} {
		v, err := declare(NewShared(d, withBytes{r, []float32{0.5, 1, 4}}), c.name, c.shape...)
		if err != nil {
			t.Fatal(err)
		}
		if v.Value.Format != c.format {
			t.Errorf("%s is stored as %v", c.name, v.Value.Format)
		}
		if c.want == nil {
			continue
		}
		tape := autograd.NewInference(d)
		got := engine.Values(d, tape.Linear(tape.Input(1, 2, []float32{1, 2}), autograd.NewWeight(v, engine.NN), nil).Value)
		if !slices.EqualFunc(got, c.want, func(x, y float32) bool { return max(x-y, y-x) <= 0.004*max(y, 1) }) {
			t.Errorf("%s gives %v, want %v", c.name, got, c.want)
		}
	}
	if _, err := declare(withBytes{r, []float32{1, 2}}, "bytes", 2, 3); err == nil || !strings.Contains(err.Error(), "tensor bytes: 2 scales for 2 x 3") {
		t.Errorf("error %v", err)
	}
}
