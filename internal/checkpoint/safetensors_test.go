package checkpoint

import (
	"bytes"
	"path/filepath"
	"testing"
)

func TestSafetensorsRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	in := []Tensor{
		FromFloat32("b", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}),
		FromFloat32("a", nil, []float32{7}),
		{Info{"c", I64, []int{0, 4}}, nil},
		{Info{"<d>", U8, []int{3}}, []byte{1, 2, 3}},
	}
	if err := WriteSafetensors(path, in, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	r, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Metadata()["format"] != "pt" || len(r.Tensors()) != len(in) {
		t.Fatal(r.Metadata(), r.Tensors())
	}
	for _, want := range in {
		got, err := r.Bytes(want.Name)
		if err != nil || !bytes.Equal(got, want.Data) {
			t.Fatalf("%s: %v %v", want.Name, got, err)
		}
	}
	v, aliased, err := Float32s(r, "b")
	if err != nil || !aliased || v[5] != 6 {
		t.Fatal(v, aliased, err)
	}
}
