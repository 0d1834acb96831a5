package checkpoint_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/checkpoint"
)

// A checkpoint is written as safetensors, converted to an archive in the form of
// the released models, and read from there.
func Example() {
	dir, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	single, archive := filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "unimo_mini_en.tar.gz")

	weights := []checkpoint.Tensor{
		checkpoint.FromFloat32("pooled_fc.w_0", []int{2, 2}, []float32{1, 0, 0, 1}),
		checkpoint.FromFloat32("pooled_fc.b_0", []int{2}, []float32{0.5, -0.5}),
	}
	if err := checkpoint.WriteSafetensors(single, weights, nil); err != nil {
		log.Fatal(err)
	}
	src, err := checkpoint.Open(single)
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	if err := checkpoint.Convert(src, archive, ""); err != nil { // the format follows from the name
		log.Fatal(err)
	}

	r, err := checkpoint.Open(archive)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	fmt.Println(r.Format())
	for _, info := range r.Tensors() {
		values, _, err := checkpoint.Float32s(r, info.Name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(info.Name, info.DType, info.Shape, values)
	}
	// Output:
	// paddle-tar.gz
	// pooled_fc.b_0 F32 [2] [0.5 -0.5]
	// pooled_fc.w_0 F32 [2 2] [1 0 0 1]
}
