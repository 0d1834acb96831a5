package checkpoint

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

func TestCast(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	values := []float32{0, -1.5, 1 + 1.0/2048, 1 + 3.0/2048, 1 + 1.0/256, 1 + 3.0/256, 6e-8, 65504, inf, nan, math.Float32frombits(0x7f800001)}
	src, err := FromTensors("src", []Tensor{
		FromFloat32("x", []int{len(values)}, values),
		{Info{"n", I64, []int{1}}, []byte{1, 2, 3, 4, 5, 6, 7, 8}},
		{Info{"wide", F64, []int{1}}, []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x3f}},
	})
	if err != nil {
		t.Fatal(err)
	}
	const step = 1.0 / (1 << 24) // the least number of F16
	for to, want := range map[DType][]float32{
		F16:  {0, -1.5, 1, 1 + 2.0/1024, 1 + 1.0/256, 1 + 3.0/256, step, 65504, inf, nan, nan},
		BF16: {0, -1.5, 1, 1, 1, 1 + 2.0/128, 0x1.02p-24, 65536, inf, nan, nan},
		F32:  values,
	} {
		r, err := Cast(src, to)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := Float32s(r, "x")
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range got {
			if v != want[i] && (v == v || want[i] == want[i]) {
				t.Errorf("%v: %v becomes %v, want %v", to, values[i], v, want[i])
			}
		}
		for _, info := range r.Tensors() {
			one, err := r.Info(info.Name)
			raw, errBytes := r.Bytes(info.Name)
			if want := map[bool]DType{true: I64, false: to}[info.Name == "n"]; err != nil || errBytes != nil || info.DType != want || one.DType != want || len(raw) != info.Elements()*want.Size() {
				t.Errorf("%v: %+v, %+v, %d bytes (%v, %v)", to, info, one, len(raw), err, errBytes)
			}
		}
		if _, err := r.Bytes("y"); !errors.Is(err, ErrNoTensor) {
			t.Errorf("a tensor that is not there: %v", err)
		}
	}
	if _, err := Cast(src, I8); err == nil || !strings.Contains(err.Error(), "choose F16") {
		t.Errorf("to I8: %v", err)
	}
	large, err := FromTensors("src", []Tensor{FromFloat32("x", []int{2}, []float32{1, 65520})})
	if err != nil {
		t.Fatal(err)
	}
	half, err := Cast(large, F16)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := half.Bytes("x"); err == nil || !strings.Contains(err.Error(), `tensor "x": 65520 is too large for F16`) {
		t.Errorf("too large: %v", err)
	}
	if err := half.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := half.Bytes("x"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}
