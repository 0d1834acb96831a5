package convnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/vision"
)

// tensorsOf copies the tensors of a file, which tests change. With names, only those.
func tensorsOf(t testing.TB, file string, names ...string) []checkpoint.Tensor {
	t.Helper()
	r, err := checkpoint.Open(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var tensors []checkpoint.Tensor
	for _, info := range r.Tensors() {
		if names != nil && !slices.Contains(names, info.Name) {
			continue
		}
		data, err := r.Bytes(info.Name)
		if err != nil {
			t.Fatal(err)
		}
		info.Shape = slices.Clone(info.Shape)
		tensors = append(tensors, checkpoint.Tensor{Info: info, Data: bytes.Clone(data)})
	}
	return tensors
}

func openTensors(t testing.TB, name string, config []byte, tensors []checkpoint.Tensor) (vision.Network, vision.Info, error) {
	t.Helper()
	r, err := checkpoint.FromTensors(name, tensors)
	if err != nil {
		t.Fatal(err)
	}
	return Open(cpu.NewLimited(1), config, r)
}

// What Info names opens the same network again, though no file's name is left that says something.
func TestInfoOpensTheNetworkAgain(t *testing.T) {
	goldens := reader(t, filepath.Join("testdata", "goldens.safetensors"))
	for _, file := range []string{
		"resnet_bottleneck.pth", "seresnet.safetensors", "efficientnet_lite0.safetensors", "tf_efficientnet_lite0.safetensors",
		"tf_efficientnet_b0.safetensors", "lukemelas_b0.safetensors", "transformers_resnet_bottleneck.safetensors",
		"transformers_efficientnet.safetensors", "transformers_mobilenet_v2.safetensors", "torchvision_mobilenet_v3_small.safetensors",
	} {
		first, info := open(t, file)
		second, again, err := openTensors(t, "image_encoder.safetensors", info.Config, tensorsOf(t, file, info.Tensors...))
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if again.Architecture != info.Architecture || !slices.Equal(again.Tensors, info.Tensors) || !bytes.Equal(again.Config, info.Config) {
			t.Errorf("%s: %+v, then %+v", file, info, again)
		}
		d := cpu.NewLimited(1)
		a, err := first.Run(d, pixels(t, goldens, "odd"))
		b, err2 := second.Run(d, pixels(t, goldens, "odd"))
		if errors.Join(err, err2) != nil || !slices.Equal(a.Features, b.Features) {
			t.Errorf("%s: the networks differ: %v", file, errors.Join(err, err2))
		}
	}
}

func TestRegionsAreCellsInReadingOrder(t *testing.T) {
	n, _ := open(t, "efficientnet_lite0.safetensors")
	out, err := n.Run(cpu.NewLimited(1), vision.Pixels{Width: 96, Height: 64, Values: make([]float32, 96*64*3)})
	if err != nil {
		t.Fatal(err)
	}
	third := float32(1) / 3
	want := []float32{0, 0, third, .5, third, 0, 2 * third, .5, 2 * third, 0, 1, .5, 0, .5, third, 1, third, .5, 2 * third, 1, 2 * third, .5, 1, 1}
	if !slices.Equal(out.Boxes, want) {
		t.Errorf("boxes %v, want %v", out.Boxes, want)
	}
	if _, err := n.Run(cpu.NewLimited(1), vision.Pixels{Width: 2, Height: 2, Values: make([]float32, 11)}); err == nil {
		t.Error("a picture with a value too few is taken")
	}
	for _, file := range []string{"resnet_basic.pth", "transformers_efficientnet.safetensors"} {
		n, _ := open(t, file)
		_, err := n.Run(cpu.NewLimited(1), vision.Pixels{Width: 1, Height: 1, Values: make([]float32, 3)})
		if strings.HasPrefix(file, "transformers_eff") != (err != nil) {
			t.Errorf("%s: a picture of one pixel: %v", file, err)
		}
	}
}

// The published sizes are known by their widths and depths.
func TestSizesAreNamed(t *testing.T) {
	for _, c := range []struct {
		width, depth float64
		squeeze      bool
		want         string
		side         int
	}{
		{1, 1, false, "EfficientNet-Lite0", 224}, {1, 1.1, false, "EfficientNet-Lite1", 240}, {1.4, 1.8, false, "EfficientNet-Lite4", 300},
		{1, 1, true, "EfficientNet-B0", 224}, {1.1, 1.2, true, "EfficientNet-B2", 260}, {2, 3.1, true, "EfficientNet-B7", 600}, {3, 1, true, "EfficientNet", 224},
	} {
		s := &source{shapes: map[string][]int{"stem.weight": {32, 3, 3, 3}}}
		m := mobile{stem: named("stem", ""), head: named("head", "")}
		for stage, width := range []int{16, 24, 40, 80, 112, 192, 320} {
			depth := []int{1, 2, 2, 3, 3, 4, 1}[stage]
			if c.squeeze || stage > 0 && stage < 6 {
				depth = int(math.Ceil(float64(depth) * c.depth))
			}
			for range depth {
				b := mobileBlock{stage: -1, depthwise: named(fmt.Sprint("depthwise", len(m.blocks)), ""), project: named(fmt.Sprint("project", len(m.blocks)), "")}
				if c.squeeze {
					b.reduceSqueeze = "squeeze"
				}
				s.shapes[b.depthwise.kernel] = []int{8, 1, efficientKernels[stage], efficientKernels[stage]}
				s.shapes[b.project.kernel] = []int{divisible(float64(width) * c.width), 8, 1, 1}
				m.blocks = append(m.blocks, b)
			}
		}
		p, _, err := m.plan(s, "a library")
		if err != nil || p.name != c.want || p.side != c.side {
			t.Errorf("width %g, depth %g: %+v, %v; want %s", c.width, c.depth, p, err, c.want)
		}
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	at := func(tensors []checkpoint.Tensor, name string) *checkpoint.Tensor {
		return &tensors[slices.IndexFunc(tensors, func(c checkpoint.Tensor) bool { return c.Name == name })]
	}
	without := func(part string) func([]checkpoint.Tensor) []checkpoint.Tensor {
		return func(tensors []checkpoint.Tensor) []checkpoint.Tensor {
			return slices.DeleteFunc(tensors, func(c checkpoint.Tensor) bool { return strings.Contains(c.Name, part) })
		}
	}
	named := func(from, to string) func([]checkpoint.Tensor) []checkpoint.Tensor {
		return func(tensors []checkpoint.Tensor) []checkpoint.Tensor {
			for i := range tensors {
				tensors[i].Name = strings.ReplaceAll(tensors[i].Name, from, to)
			}
			return tensors
		}
	}
	value := func(name string, v uint16) func([]checkpoint.Tensor) []checkpoint.Tensor { // of half precision
		return func(tensors []checkpoint.Tensor) []checkpoint.Tensor {
			binary.LittleEndian.PutUint16(at(tensors, name).Data[4:], v)
			return tensors
		}
	}
	shape := func(name string, shape ...int) func([]checkpoint.Tensor) []checkpoint.Tensor {
		return func(tensors []checkpoint.Tensor) []checkpoint.Tensor {
			size := 2
			for _, n := range shape {
				size *= n
			}
			c := at(tensors, name)
			c.Shape, c.Data = shape, make([]byte, size)
			return tensors
		}
	}
	for _, c := range []struct {
		what, file, name, config string
		change                   func([]checkpoint.Tensor) []checkpoint.Tensor
		want                     []string
	}{
		{what: "a missing block", file: "resnet_basic.pth", change: without("layer1.0."), want: []string{"supported are"}},
		{what: "a missing first block", file: "resnet_basic.pth", change: without("layer3."), want: []string{`no tensor "layer3.0.conv1.weight"`}},
		{what: "a gap", file: "transformers_mobilenet_v2.safetensors", change: without("layer.3."), want: []string{`begins with "layer.3."`}},
		{what: "a missing norm", file: "resnet_bottleneck.pth", change: without("layer2.0.bn2.running_var"), want: []string{`no tensor "module.layer2.0.bn2.running_var"`}},
		{what: "an unknown part", file: "resnet_basic.pth", change: named("layer1.1.bn2.bias", "layer1.1.bn2.shift"), want: []string{`no tensor "layer1.1.bn2.bias"`}},
		{what: "a part too many", file: "seresnet.safetensors", change: named("fc.weight", "layer1.0.eca.weight"), want: []string{`"layer1.0.eca.weight"`, "no part of the SE-ResNet-17"}},
		{what: "NaN", file: "resnet_basic.pth", change: value("layer2.0.conv1.weight", 0x7e00), want: []string{`NaN in tensor "layer2.0.conv1.weight", element 2`, "fetch"}},
		{what: "an infinity", file: "resnet_basic.pth", change: value("bn1.running_mean", 0x7c00), want: []string{`+Inf in tensor "bn1.running_mean"`}},
		{what: "a negative variance", file: "resnet_basic.pth", change: value("bn1.running_var", 0xbc00), want: []string{`variance of -1 in tensor "bn1.running_var"`}},
		{what: "another width", file: "resnet_basic.pth", change: shape("layer2.0.conv2.weight", 8, 7, 3, 3), want: []string{`"layer2.0.conv2.weight" of shape [8 7 3 3], want 8 channels in`}},
		{what: "a flat kernel", file: "resnet_basic.pth", change: shape("layer2.0.conv2.weight", 8, 72), want: []string{`"layer2.0.conv2.weight" of shape [8 72]`}},
		{what: "an even kernel", file: "resnet_basic.pth", change: shape("layer2.0.conv2.weight", 8, 8, 2, 2), want: []string{`of shape [8 8 2 2]`, "odd"}},
		{what: "another sum", file: "resnet_basic.pth", change: without("layer2.0.downsample"), want: []string{`"layer2.0.conv2.weight"`, "as the block reads"}},
		{what: "no picture of three colours", file: "resnet_basic.pth", change: shape("conv1.weight", 64, 1, 7, 7), want: []string{`want 3 channels in`}},
		{what: "another squeeze", file: "seresnet.safetensors", change: shape("layer1.0.se.fc2.weight", 15, 8, 1, 1), config: `{"architecture": "seresnet50"}`, want: []string{`"layer1.0.se.fc`}},
		{what: "TensorFlow's padding or not", file: "tf_efficientnet_lite0.safetensors", name: "model.safetensors", want: []string{"as TensorFlow does", "config.json"}},
		{what: "another network of timm's", file: "resnet_basic.pth", config: `{"architecture": "resnetblur50"}`, want: []string{`timm's "resnetblur50"`, "supported are EfficientNet, "}},
		{what: "arguments of timm's", file: "resnet_basic.pth", config: `{"architecture": "resnet18", "model_args": {"act_layer": "silu"}}`, want: []string{"act_layer"}},
		{what: "other pooling", file: "resnet_basic.pth", config: `{"architecture": "resnet18", "global_pool": "max"}`, want: []string{"global_pool"}},
		{what: "another activation", file: "transformers_resnet_basic.safetensors", config: `{"hidden_act": "gelu"}`, want: []string{"gelu", "relu"}},
		{what: "another stride", file: "transformers_mobilenet_v2.safetensors", config: `{"output_stride": 16}`, want: []string{"output_stride", "32"}},
		{what: "an epsilon below 0", file: "transformers_efficientnet.safetensors", config: `{"batch_norm_eps": -0.1}`, want: []string{`"batch_norm_eps": -0.1`, "0 or more"}},
		{what: "an epsilon like no other", file: "transformers_mobilenet_v2.safetensors", config: `{"layer_norm_eps": 1e300}`, want: []string{`"layer_norm_eps": 1e+300`}},
		{what: "other depths", file: "transformers_resnet_basic.safetensors", config: `{"depths": [3, 4, 6, 3]}`, want: []string{`"depths": [1 2 1 1], but config.json says [3 4 6 3]`}},
		{what: "other widths", file: "transformers_resnet_bottleneck.safetensors", config: `{"hidden_sizes": []}`, want: []string{`"hidden_sizes": [8 16 16 32]`}},
		{what: "another kind of block", file: "transformers_resnet_bottleneck.safetensors", config: `{"layer_type": "basic"}`, want: []string{`"layer_type": bottleneck`}},
		{what: "another stem", file: "transformers_resnet_bottleneck.safetensors", config: `{"embedding_size": -1}`, want: []string{`"embedding_size": 8, but config.json says -1`}},
		{what: "other colours", file: "transformers_mobilenet_v2.safetensors", config: `{"num_channels": 1}`, want: []string{`"num_channels": 3, but config.json says 1`}},
		{what: "other kernels than the tensors'", file: "transformers_efficientnet.safetensors", config: `{"kernel_sizes": [3, 3, 3, 3, 3, 3, 3]}`, want: []string{`"kernel_sizes": [3 3 5 3 5 5 3]`}},
		{what: "a wrong type", file: "resnet_basic.pth", config: `{"architecture": 5}`, want: []string{`"architecture" is a number, want a text`}},
		{what: "no JSON", file: "resnet_basic.pth", config: `{`, want: []string{"config.json", "ends in the middle"}},
		{what: "other kernels", file: "torchvision_efficientnet.safetensors", change: shape("features.3.0.block.1.0.weight", 24, 1, 7, 7), want: []string{"7 stages", "kernels of size 3,3,7"}},
		{what: "fused blocks", file: "tf_efficientnet_b0.safetensors", change: named("blocks.1.0.conv_dw", "blocks.1.0.conv_exp"), want: []string{"EfficientNet v2"}},
		{what: "a deep stem", file: "resnet_basic.pth", change: named("conv1.weight", "conv1.0.weight"), want: []string{"supported are"}},
		{what: "another network", file: "resnet_basic.pth", change: named("layer", "x"), want: []string{"no convolution network", "supported are"}},
		{what: "nothing", file: "resnet_basic.pth", change: without(""), want: []string{"no convolution network"}},
	} {
		name := c.name
		if name == "" {
			name = c.file
		}
		tensors := tensorsOf(t, c.file)
		if c.change != nil {
			tensors = c.change(tensors)
		}
		_, _, err := openTensors(t, name, []byte(c.config), tensors)
		if err == nil {
			t.Errorf("%s: opened", c.what)
			continue
		}
		for _, want := range append(c.want, name) {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v; want %q in it", c.what, err, want)
			}
		}
	}
}

// No file makes Open panic, whatever shapes its tensors have.
func FuzzOpen(f *testing.F) {
	for _, file := range []string{"efficientnet_lite0.safetensors", "transformers_resnet_bottleneck.safetensors", "seresnet.safetensors", "torchvision_mobilenet_v3_small.safetensors"} {
		data, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, []byte(`{"architecture": "tf_efficientnet_lite0", "depthwise_padding": [1], "layer_norm_eps": 0}`))
	}
	f.Fuzz(func(t *testing.T, data, config []byte) {
		r, err := checkpoint.ParseSafetensors("fuzz", data)
		if err != nil {
			return
		}
		defer r.Close()
		Recognised(config, r)
		n, info, err := Open(cpu.NewLimited(1), config, r)
		if err == nil && (n.Dim() < 1 || info.Architecture == "") {
			t.Errorf("opened %+v of size %d", info, n.Dim())
		}
	})
}

// timm has many networks with tensors of the same names that compute something else.
func TestTimmArchitectures(t *testing.T) {
	r := reader(t, filepath.Join("testdata", "goldens.safetensors"))
	for _, name := range []string{
		"efficientnet_b0", "tf_efficientnet_b7.ns_jft_in1k", "efficientnet_lite0", "tf_efficientnet_lite4", "mobilenetv2_100", "mobilenetv2_120d",
		"mobilenetv3_small_100", "tf_mobilenetv3_large_075", "resnet18", "resnet50.a1_in1k", "seresnet50", "resnext50_32x4d", "wide_resnet50_2", "seresnext50_32x4d",
	} {
		if err := (config{Architecture: name}).checkTimm(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{
		"efficientnet_b0_gn", "efficientnet_blur_b0", "tf_efficientnetv2_b0", "efficientnet_es", "mobilenetv3_rw", "tf_mobilenetv3_large_minimal_100",
		"mobilenetv4_conv_small", "resnet50d", "resnetblur50", "resnet50_gn", "resnet50_clip", "resnetaa50", "resnetv2_50", "ecaresnet50d", "resnetrs50", "mnasnet_100",
	} {
		if err := (config{Architecture: name}).checkTimm(r); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for file, want := range map[string]string{
		"tf_efficientnet_lite0-0aa007d2.pth": "tf_efficientnet_lite0", "efficientnet_b0_ra-3dd342df.pth": "efficientnet_b0",
		"mobilenetv3_large_100_ra-f55367f5.pth": "mobilenetv3_large_100", "model.safetensors": "",
	} {
		if got := timmName.FindString(file); got != want {
			t.Errorf("%s: %q, want %q", file, got, want)
		}
	}
}
