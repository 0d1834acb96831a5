package checkpoint_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// TestGoldenPaddleEqualsSafetensors compares, in every case that has both, the
// parameters in Paddle's form with those in safetensors, byte for byte.
func TestGoldenPaddleEqualsSafetensors(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join(golden.Root(t), "*", "paddle_params"))
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, folder := range folders {
		c := golden.Case{Dir: filepath.Dir(folder), Name: filepath.Base(filepath.Dir(folder))}
		if !c.Has("weights.safetensors") {
			continue
		}
		compared++
		t.Run(c.Name, func(t *testing.T) {
			want, got := checkpoint.OpenTest(t, c.Path("weights.safetensors")), checkpoint.OpenTest(t, folder)
			if got.Format() != checkpoint.FormatPaddle || want.Format() != checkpoint.FormatSafetensors {
				t.Errorf("formats %s and %s", got.Format(), want.Format())
			}
			checkpoint.CompareTest(t, got, want)
		})
	}
	if compared == 0 {
		t.Skipf("not run: no golden case with both forms in %s", golden.Root(t))
	}
}

// TestGoldenSafetensorsOpen opens every safetensors file of the goldens.
func TestGoldenSafetensorsOpen(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(golden.Root(t), "*", "*.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("not run: no safetensors file in %s", golden.Root(t))
	}
	for _, file := range files {
		r := checkpoint.OpenTest(t, file)
		for _, info := range r.Tensors() {
			if data, err := r.Bytes(info.Name); err != nil || len(data) != info.Elements()*info.DType.Size() {
				t.Errorf("%s: %q: %d bytes, %v", file, info.Name, len(data), err)
			}
		}
	}
}

// TestRealPaddleModels reads two models that Paddle 1.x itself saved.
func TestRealPaddleModels(t *testing.T) {
	root := golden.Data(t, "paddle-fluid")
	for _, model := range []struct {
		name    string
		tensors map[string][]int
		files   []string
	}{
		{"ctr_prediction", map[string][]int{
			"fc_0.b_0": {400}, "fc_0.w_0": {273, 400}, "fc_1.b_0": {400}, "fc_1.w_0": {400, 400}, "fc_2.b_0": {400},
			"fc_2.w_0": {400, 400}, "fc_3.b_0": {2}, "fc_3.w_0": {400, 2},
		}, []string{"__model__.prototxt"}},
		{"text_classification_lstm", map[string][]int{
			"embedding_0.w_0": {5147, 128}, "fc_0.b_0": {512}, "fc_0.w_0": {128, 512}, "fc_1.b_0": {96},
			"fc_1.w_0": {128, 96}, "fc_2.b_0": {2}, "fc_2.w_0": {96, 2}, "lstm_0.b_0": {1, 896}, "lstm_0.w_0": {128, 512},
		}, nil},
	} {
		t.Run(model.name, func(t *testing.T) {
			r := checkpoint.OpenTest(t, filepath.Join(root, model.name))
			if len(r.Tensors()) != len(model.tensors) {
				t.Errorf("%d tensors: %v", len(r.Tensors()), r.Tensors())
			}
			for name, shape := range model.tensors {
				info, err := r.Info(name)
				if err != nil || info.DType != checkpoint.F32 || !slices.Equal(info.Shape, shape) {
					t.Errorf("%v, %v; want shape %v", info, err, shape)
				}
			}
			var files []string
			for _, f := range r.Files() {
				files = append(files, f.Name)
			}
			if !slices.Equal(files, model.files) {
				t.Errorf("unrecognised %v, want %v", r.Files(), model.files)
			}
			for _, info := range r.Tensors() {
				if _, _, err := checkpoint.Float32s(r, info.Name); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
