package vit

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/vision"
)

// tolerance is relative to a tensor's largest value.
const tolerance = 1e-4

// open opens the model of a folder.
func open(t testing.TB, dir string) (*network, vision.Info) {
	t.Helper()
	config, r := read(t, dir)
	defer r.Close()
	n, info, err := Open(cpu.New(), config, r)
	if err != nil {
		t.Fatal(err)
	}
	return n.(*network), info
}

func read(t testing.TB, dir string) ([]byte, checkpoint.Reader) {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := checkpoint.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return config, r
}

// golden is what transformers made of one picture.
type golden struct {
	pixels          vision.Pixels
	regions, global []float32
}

func goldens(t testing.TB, dir string) map[string]golden {
	t.Helper()
	r, err := checkpoint.OpenSafetensors(filepath.Join(dir, "golden.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	floats := func(name string) []float32 {
		values, _, err := checkpoint.Float32s(r, name)
		if err != nil && !errors.Is(err, checkpoint.ErrNoTensor) {
			t.Fatal(err)
		}
		return values
	}
	all := map[string]golden{}
	for _, info := range r.Tensors() {
		if size, ok := strings.CutSuffix(info.Name, ".pixels"); ok {
			all[size] = golden{
				vision.Pixels{Height: info.Shape[0], Width: info.Shape[1], Values: floats(info.Name)},
				floats(size + ".regions"), floats(size + ".global"),
			}
		}
	}
	return all
}

// difference is the largest one, relative to the largest value.
func difference(got, want []float32) float64 {
	if len(got) != len(want) {
		return math.Inf(1)
	}
	var most, size float64
	for i, w := range want {
		if d := math.Abs(float64(got[i]) - float64(w)); !(d <= most) {
			most = d
		}
		size = max(size, math.Abs(float64(w)))
	}
	if size == 0 {
		return most
	}
	return most / size
}

func testFolders(t *testing.T, folders []string) {
	for _, dir := range folders {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			n, info := open(t, dir)
			for size, g := range goldens(t, dir) {
				out, err := n.Run(cpu.NewLimited(parallel.Limit(1)), g.pixels)
				if err != nil {
					t.Fatal(err)
				}
				regions, global := difference(out.Features, g.regions), difference(out.Global, g.global)
				if !(regions <= tolerance && global <= tolerance) {
					t.Errorf("%s: differences of %g in the regions, %g in the whole", size, regions, global)
				}
				t.Logf("%s, %s: differences of %.1e and %.1e", info.Architecture, size, regions, global)
				if len(out.Boxes)*n.Dim() != len(out.Features)*4 {
					t.Errorf("%s: %d boxes", size, len(out.Boxes)/4)
				}
			}
		})
	}
}

func folders(t *testing.T, root string) []string {
	files, err := filepath.Glob(filepath.Join(root, "*", "golden.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no models in %s (%v)", root, err)
	}
	for i, file := range files {
		files[i] = filepath.Dir(file)
	}
	return files
}

func TestAgainstTransformers(t *testing.T) { testFolders(t, folders(t, "testdata")) }

// Models of published sizes, which testdata/make_goldens.py --large makes.
func TestPublishedSizes(t *testing.T) {
	root := filepath.Join(os.Getenv("UNIMO_WEIGHTS"), "vit")
	if _, err := os.Stat(root); os.Getenv("UNIMO_WEIGHTS") == "" || errors.Is(err, fs.ErrNotExist) {
		t.Skip("not run: UNIMO_WEIGHTS names no folder with vit/ in it")
	}
	testFolders(t, folders(t, root))
}

// What a model says of itself opens it again, from the tensors that it names alone, to the same bits.
func TestInfoOpensTheModelAgain(t *testing.T) {
	for _, dir := range folders(t, "testdata") {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			n, info := open(t, dir)
			_, r := read(t, dir)
			defer r.Close()
			var tensors []checkpoint.Tensor
			for _, name := range info.Tensors {
				i, err := r.Info(name)
				if err != nil {
					t.Fatal(err)
				}
				data, err := r.Bytes(name)
				if err != nil {
					t.Fatal(err)
				}
				tensors = append(tensors, checkpoint.Tensor{Info: i, Data: data})
			}
			saved, err := checkpoint.FromTensors("saved", tensors)
			if err != nil {
				t.Fatal(err)
			}
			if !Recognised(info.Config, saved) {
				t.Error("not recognised")
			}
			again, same, err := Open(cpu.New(), info.Config, saved)
			if err != nil {
				t.Fatal(err)
			}
			if fmt.Sprint(same) != fmt.Sprint(info) {
				t.Errorf("it says %v, and before %v", same, info)
			}
			for size, g := range goldens(t, dir) {
				first, err := n.Run(cpu.New(), g.pixels)
				second, err2 := again.Run(cpu.New(), g.pixels)
				if err := errors.Join(err, err2); err != nil || fmt.Sprint(first) != fmt.Sprint(second) {
					t.Errorf("%s differs (%v)", size, err)
				}
			}
		})
	}
}
