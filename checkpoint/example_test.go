package checkpoint_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/checkpoint"
)

// tempDir makes a folder and returns what removes it.
func tempDir() (dir string, remove func()) {
	dir, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		log.Fatal(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// weights returns a reader of two tensors.
func weights() checkpoint.Reader {
	r, err := checkpoint.FromTensors("weights", []checkpoint.Tensor{
		checkpoint.FromFloat32("pooled_fc.w_0", []int{2, 2}, []float32{1, 0, 0, 1}),
		checkpoint.FromFloat32("pooled_fc.b_0", []int{2}, []float32{0.5, -0.5}),
	})
	if err != nil {
		log.Fatal(err)
	}
	return r
}

// A checkpoint is written as safetensors, converted to an archive in the form of the released models,
// and read from there.
func Example() {
	dir, remove := tempDir()
	defer remove()
	single, archive := filepath.Join(dir, "model.safetensors"), filepath.Join(dir, "unimo_mini_en.tar.gz")

	tensors := []checkpoint.Tensor{
		checkpoint.FromFloat32("pooled_fc.w_0", []int{2, 2}, []float32{1, 0, 0, 1}),
		checkpoint.FromFloat32("pooled_fc.b_0", []int{2}, []float32{0.5, -0.5}),
	}
	if err := checkpoint.WriteSafetensors(single, tensors, nil); err != nil {
		log.Fatal(err)
	}
	src, err := checkpoint.Open(single)
	if err != nil {
		log.Fatal(err)
	}
	defer src.Close()
	if err := checkpoint.Convert(context.Background(), src, archive, checkpoint.FormatPaddleArchive); err != nil {
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

// Tensors that are made one after the other are never all in memory.
func ExampleWriteSafetensorsFrom() {
	dir, remove := tempDir()
	defer remove()
	file := filepath.Join(dir, "model.safetensors")
	infos := []checkpoint.Info{{Name: "b", DType: checkpoint.F32, Shape: []int{2}}, {Name: "a", DType: checkpoint.F32, Shape: []int{2}}}
	err := checkpoint.WriteSafetensorsFrom(file, infos, nil, func(i int) ([]byte, error) {
		fmt.Println("fetch", infos[i].Name)
		x := float32(i)
		return checkpoint.FromFloat32(infos[i].Name, infos[i].Shape, []float32{x, x}).Data, nil
	})
	if err != nil {
		log.Fatal(err)
	}
	r, err := checkpoint.Open(file)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	a, _, err := checkpoint.Float32s(r, "a")
	fmt.Println(a, err)
	// Output:
	// fetch a
	// fetch b
	// [1 1] <nil>
}

// A file of torch.save is read without running anything in it.
func ExampleOpen() {
	r, err := checkpoint.Open("testdata/pytorch/all.bin")
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	fmt.Println(r.Format())
	for _, info := range r.Tensors()[:2] {
		fmt.Println(info.Name, info.DType, info.Shape, info.Elements())
	}
	_, err = r.Info("classifier.weight")
	fmt.Println(errors.Is(err, checkpoint.ErrNoTensor))
	// Output:
	// pytorch
	// bf16 BF16 [2 2] 4
	// bool BOOL [3] 3
	// true
}

func ExampleFileError() {
	dir, remove := tempDir()
	defer remove()
	file := filepath.Join(dir, "model.safetensors")
	if err := os.WriteFile(file, []byte("version https://git-lfs.github.com/spec/v1\n"), 0o600); err != nil {
		log.Fatal(err)
	}
	_, err := checkpoint.Open(file)
	var at *checkpoint.FileError
	if errors.As(err, &at) {
		fmt.Println(at.Problem)
		fmt.Println(at.Remedy)
	}
	_, err = checkpoint.Open(filepath.Join(dir, "none"))
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output:
	// is a Git LFS pointer, not the file itself
	// fetch the file with 'git lfs pull'
	// true
}

func ExampleOpenSafetensors() {
	dir, remove := tempDir()
	defer remove()
	file := filepath.Join(dir, "m.safetensors")
	tensors := []checkpoint.Tensor{checkpoint.FromFloat32("w", []int{3}, []float32{1, 2, 3})}
	if err := checkpoint.WriteSafetensors(file, tensors, map[string]string{"made by": "an example"}); err != nil {
		log.Fatal(err)
	}
	r, err := checkpoint.OpenSafetensors(file)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	data, err := r.Bytes("w")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(data), "bytes,", r.Metadata())
	// Output: 12 bytes, map[made by:an example]
}

func ExampleParseSafetensors() {
	file := []byte("\x38\x00\x00\x00\x00\x00\x00\x00" + `{"w":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}   ` + "abc")
	r, err := checkpoint.ParseSafetensors("embedded", file)
	if err != nil {
		log.Fatal(err)
	}
	data, err := r.Bytes("w")
	fmt.Printf("%s %v\n", data, err)
	// Output: abc <nil>
}

func ExampleWriteSafetensors() {
	dir, remove := tempDir()
	defer remove()
	err := checkpoint.WriteSafetensors(filepath.Join(dir, "m.safetensors"), []checkpoint.Tensor{
		{Info: checkpoint.Info{Name: "ids", DType: checkpoint.U8, Shape: []int{2, 2}}, Data: []byte{1, 2, 3}},
	}, nil)
	fmt.Println(err != nil) // three bytes are no 2 x 2
	// Output: true
}

func ExampleFromTensors() {
	r := weights()
	fmt.Println(r.Format(), r.Path())
	for _, info := range r.Tensors() {
		fmt.Println(info.Name, info.Shape)
	}
	// Output:
	// memory weights
	// pooled_fc.b_0 [2]
	// pooled_fc.w_0 [2 2]
}

func ExampleFromFloat32() {
	t := checkpoint.FromFloat32("w", []int{2}, []float32{1, -2})
	fmt.Println(t.Name, t.DType, t.Shape, t.Data)
	// Output: w F32 [2] [0 0 128 63 0 0 0 192]
}

func ExampleFloat32s() {
	half := checkpoint.Tensor{Info: checkpoint.Info{Name: "h", DType: checkpoint.BF16, Shape: []int{2}}, Data: []byte{0x80, 0x3f, 0x00, 0xc0}}
	r, err := checkpoint.FromTensors("weights", []checkpoint.Tensor{half})
	if err != nil {
		log.Fatal(err)
	}
	values, aliased, err := checkpoint.Float32s(r, "h")
	fmt.Println(values, aliased, err)
	// Output: [1 -2] false <nil>
}

func ExampleReadFloat32s() {
	r := weights()
	info, err := r.Info("pooled_fc.b_0")
	if err != nil {
		log.Fatal(err)
	}
	values := make([]float32, info.Elements())
	err = checkpoint.ReadFloat32s(values, r, info.Name)
	fmt.Println(values, err)
	// Output: [0.5 -0.5] <nil>
}

func ExampleStatistics() {
	s, err := checkpoint.Statistics(weights(), "pooled_fc.w_0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("from", s.Min, "to", s.Max, "mean", s.Mean, "deviation", s.Std, "zeros", s.Zeros)
	// Output: from 0 to 1 mean 0.5 deviation 0.5 zeros 2
}

func ExampleConvert() {
	dir, remove := tempDir()
	defer remove()
	src, dst := weights(), filepath.Join(dir, "model")
	if err := checkpoint.Convert(context.Background(), src, dst, checkpoint.FormatPaddle); err != nil {
		log.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dst, "*"))
	if err != nil {
		log.Fatal(err)
	}
	for _, file := range files {
		fmt.Println(filepath.Base(file))
	}
	err = checkpoint.Convert(context.Background(), src, dst, checkpoint.FormatPaddle)
	fmt.Println(errors.Is(err, os.ErrExist))
	// Output:
	// pooled_fc.b_0
	// pooled_fc.w_0
	// true
}

func ExampleCast() {
	dir, remove := tempDir()
	defer remove()
	half, err := checkpoint.Cast(weights(), checkpoint.F16)
	if err != nil {
		log.Fatal(err)
	}
	defer half.Close()
	file := filepath.Join(dir, "half.safetensors")
	if err := checkpoint.Convert(context.Background(), half, file, checkpoint.FormatSafetensors); err != nil {
		log.Fatal(err)
	}

	r, err := checkpoint.Open(file)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	info, err := r.Info("pooled_fc.b_0")
	if err != nil {
		log.Fatal(err)
	}
	values, _, err := checkpoint.Float32s(r, "pooled_fc.b_0")
	fmt.Println(info.DType, values, err)
	// Output: F16 [0.5 -0.5] <nil>
}

func ExampleQuantise() {
	small, err := checkpoint.Quantise(weights(), map[string]bool{"pooled_fc.w_0": false}) // with scales of its columns
	if err != nil {
		log.Fatal(err)
	}
	defer small.Close()
	for _, info := range small.Tensors() {
		fmt.Println(info.Name, info.DType, info.Shape)
	}
	// Output:
	// pooled_fc.b_0 F32 [2]
	// pooled_fc.w_0 I8 [2 2]
	// pooled_fc.w_0.scale F32 [1 2]
}

func ExampleQuantised() {
	small, err := checkpoint.Quantise(weights(), map[string]bool{"pooled_fc.w_0": false})
	if err != nil {
		log.Fatal(err)
	}
	r, err := checkpoint.Quantised(small) // or what Open returned of a file
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	values, _, err := checkpoint.Float32s(r, "pooled_fc.w_0")
	fmt.Println(values, err)
	whole, _, perRow, ok, err := r.(checkpoint.QuantisedReader).Int8("pooled_fc.w_0")
	fmt.Println(whole, perRow, ok, err)
	// Output:
	// [1 0 0 1] <nil>
	// [127 0 0 127] false true <nil>
}

func ExampleGuessFormat() {
	for _, name := range []string{"m.safetensors", "m.tar.gz", "folder", "m.onnx"} {
		format, ok := checkpoint.GuessFormat(name, weights())
		fmt.Printf("%-13s  %v %s\n", name, ok, format)
	}
	// Output:
	// m.safetensors  true safetensors
	// m.tar.gz       true paddle-tar.gz
	// folder         true safetensors-folder
	// m.onnx         false
}

func ExampleGuard() {
	r := weights()
	sum := float32(0)
	err := checkpoint.Guard(func() error {
		values, _, err := checkpoint.Float32s(r, "pooled_fc.w_0")
		for _, v := range values {
			sum += v // reads the file where it is mapped
		}
		return err
	})
	fmt.Println(sum, err)
	// Output: 2 <nil>
}

func ExampleInfo_Elements() {
	fmt.Println(checkpoint.Info{Shape: []int{2, 3}}.Elements(), checkpoint.Info{}.Elements())
	// Output: 6 1
}

func ExampleDType_Size() {
	for _, d := range []checkpoint.DType{checkpoint.F32, checkpoint.BF16, checkpoint.I64, checkpoint.F8E4M3} {
		fmt.Println(d, d.Size(), "bytes, floating point", d.Float(), "computed with", d.Computed())
	}
	// Output:
	// F32 4 bytes, floating point true computed with true
	// BF16 2 bytes, floating point true computed with true
	// I64 8 bytes, floating point false computed with true
	// F8_E4M3 1 bytes, floating point false computed with false
}

// Write a tensor of which only some rows are in memory at a time.
func ExampleSafetensorsHeader() {
	path := filepath.Join(os.TempDir(), "unimo-example-rows.safetensors")
	defer os.Remove(path)
	f, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	header, err := checkpoint.SafetensorsHeader(checkpoint.Info{Name: "rows", DType: checkpoint.F32, Shape: []int{3, 2}}, nil)
	if err != nil {
		log.Fatal(err)
	}
	f.Write(header)
	for i := range 3 {
		binary.Write(f, binary.LittleEndian, []float32{float32(i), -1})
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
	r, err := checkpoint.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	values, _, err := checkpoint.Float32s(r, "rows")
	fmt.Println(values, err)
	// Output: [0 -1 1 -1 2 -1] <nil>
}
