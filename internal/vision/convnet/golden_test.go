package convnet

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/internal/vision"
)

// open opens a network of testdata with the configuration beside it, if there is one.
func open(t *testing.T, file string) (vision.Network, vision.Info) {
	t.Helper()
	path := filepath.Join("testdata", file)
	r := reader(t, path)
	config, err := os.ReadFile(strings.TrimSuffix(path, filepath.Ext(path)) + ".json")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	n, info, err := Open(cpu.NewLimited(1), config, r)
	if err != nil {
		t.Fatal(err)
	}
	return n, info
}

func reader(t *testing.T, path string) checkpoint.Reader {
	t.Helper()
	r, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// pixels is a picture of the goldens.
func pixels(t *testing.T, goldens checkpoint.Reader, name string) vision.Pixels {
	t.Helper()
	values, shape := tensor(t, goldens, name)
	return vision.Pixels{Height: shape[0], Width: shape[1], Values: values}
}

func tensor(t *testing.T, r checkpoint.Reader, name string) ([]float32, []int) {
	t.Helper()
	info, err := r.Info(name)
	if err != nil {
		t.Fatal(err)
	}
	values, _, err := checkpoint.Float32s(r, name)
	if err != nil {
		t.Fatal(err)
	}
	return values, info.Shape
}

// difference is the largest difference of two vectors, relative to the largest magnitude of the second.
func difference(t *testing.T, got, want []float32) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d values, want %d", len(got), len(want))
	}
	var largest, magnitude float64
	for i := range got {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		if math.IsNaN(d) {
			t.Fatalf("value %d is %v, want %v", i, got[i], want[i])
		}
		largest, magnitude = max(largest, d), max(magnitude, math.Abs(float64(want[i])))
	}
	return largest / magnitude
}

// The library's own numbers are in testdata/goldens.safetensors; make_goldens.py there made them.
func TestNetworksComputeWhatTheirLibrariesCompute(t *testing.T) {
	goldens := reader(t, filepath.Join("testdata", "goldens.safetensors"))
	for _, c := range []struct{ file, name, origin string }{
		{"resnet_basic.pth", "ResNet-12", "torchvision and timm"},
		{"resnet_bottleneck.pth", "ResNet-20", "torchvision and timm"},
		{"resnext.safetensors", "ResNeXt-17 2x2d", "torchvision and timm"},
		{"seresnet.safetensors", "SE-ResNet-17", "torchvision and timm"},
		{"tf_efficientnet_lite0.safetensors", "EfficientNet-Lite", "timm"},
		{"efficientnet_lite0.safetensors", "EfficientNet-Lite", "timm"},
		{"tf_efficientnet_b0.safetensors", "EfficientNet", "timm"},
		{"mobilenetv3_large.safetensors", "MobileNet v3 large", "timm"},
		{"lukemelas_lite0.safetensors", "EfficientNet-Lite", "lukemelas' EfficientNet"},
		{"lukemelas_b0.safetensors", "EfficientNet", "lukemelas' EfficientNet"},
		{"torchvision_efficientnet.safetensors", "EfficientNet", "torchvision"},
		{"torchvision_mobilenet_v2.safetensors", "MobileNet v2", "torchvision"},
		{"torchvision_mobilenet_v3_large.safetensors", "MobileNet v3 large", "torchvision"},
		{"torchvision_mobilenet_v3_small.safetensors", "MobileNet v3 small", "torchvision"},
		{"transformers_resnet_basic.safetensors", "ResNet-12", "transformers"},
		{"transformers_resnet_bottleneck.safetensors", "ResNet-17", "transformers"},
		{"transformers_efficientnet.safetensors", "EfficientNet", "transformers"},
		{"transformers_mobilenet_v2.safetensors", "MobileNet v2", "transformers"},
	} {
		t.Run(c.file, func(t *testing.T) {
			n, info := open(t, c.file)
			if info.Architecture != c.name || info.Library != c.origin {
				t.Errorf("%q of %q, want %q of %q", info.Architecture, info.Library, c.name, c.origin)
			}
			for _, picture := range []string{"even", "odd"} {
				base := strings.TrimSuffix(c.file, filepath.Ext(c.file)) + "." + picture
				features, shape := tensor(t, goldens, base+".features")
				global, _ := tensor(t, goldens, base+".global")
				out, err := n.Run(cpu.NewLimited(1), pixels(t, goldens, picture))
				if err != nil {
					t.Fatal(err)
				}
				if len(out.Boxes) != shape[0]*shape[1]*4 || shape[2] != n.Dim() || len(out.Global) != n.Dim() {
					t.Fatalf("%d numbers of boxes, %d of each feature, %d globally; want %v", len(out.Boxes), n.Dim(), len(out.Global), shape)
				}
				a, b := difference(t, out.Features, features), difference(t, out.Global, global)
				t.Logf("%s: cells %.1e, mean %.1e", picture, a, b)
				if max(a, b) > 1e-4 {
					t.Errorf("%s: largest relative difference: cells %g, mean %g", picture, a, b)
				}
			}
		})
	}
}

// A network is shared by goroutines, each with a device of its own.
func TestGoroutinesShareANetwork(t *testing.T) {
	n, _ := open(t, "seresnet.safetensors")
	p := pixels(t, reader(t, filepath.Join("testdata", "goldens.safetensors")), "odd")
	results := make(chan []float32)
	const many = 4
	for range many {
		go func() {
			d := cpu.NewLimited(1)
			var out vision.Output
			for range 5 {
				out, _ = n.Run(d, p)
			}
			results <- out.Features
		}()
	}
	first := <-results
	for range many - 1 {
		if other := <-results; len(first) == 0 || !slices.Equal(first, other) {
			t.Error("goroutines compute different features")
		}
	}
}

// The real EfficientNet-Lite0 against the package that its weights are for.
func TestRealEfficientNetLite0(t *testing.T) {
	path := golden.Weights(t, "efficientnet-lite0-57934424.pth")
	n, info, err := Open(cpu.NewLimited(1), nil, reader(t, path))
	if err != nil {
		t.Fatal(err)
	}
	if info.Architecture != "EfficientNet-Lite0" || info.Side != 224 || n.Dim() != 1280 {
		t.Errorf("opened %+v of size %d", info, n.Dim())
	}
	pictures := reader(t, filepath.Join("testdata", "goldens.safetensors"))
	goldens := reader(t, filepath.Join("testdata", "efficientnet-lite0-57934424.goldens.safetensors"))
	for _, picture := range []string{"even", "odd"} {
		want, _ := tensor(t, goldens, picture+".features")
		out, err := n.Run(cpu.NewLimited(1), pixels(t, pictures, picture))
		if err != nil {
			t.Fatal(err)
		}
		if d := difference(t, out.Features, want); d > 1e-4 {
			t.Errorf("%s: largest relative difference %g", picture, d)
		}
	}
}
