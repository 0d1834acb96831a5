//go:build linux || darwin

package pjrt

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// aheadVariable names plugins for GPUs that need not be there.
const aheadVariable = "UNIMO_PJRT_AHEAD"

func TestTargets(t *testing.T) {
	text := func(name string, length int) string {
		return "# " + strings.Repeat("x", length) + "\ngpu_device_info {\n}\ndevice_description_str: \"" + name + "\"\n"
	}
	want := map[string]string{}
	var file []byte
	for i := range 200 { // where pieces of the file meet, too
		file = append(file, make([]byte, 4<<20/16-500+i)...)
		name := fmt.Sprint("chip ", i)
		want[name] = text(name, 10+i*300)
		file = append(append(file, want[name]...), 0)
		if len(file) > 10<<20 {
			break
		}
	}
	file = append(append(file, text("longer than any", 100_000)...), 0)
	file = append(file, text("without an end", 10)...)
	path := filepath.Join(t.TempDir(), "plugin.so")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := Targets(path); err != nil || !maps.Equal(got, want) {
		t.Errorf("%d targets, want %d: %v", len(got), len(want), err)
	}
	if _, err := Targets(path + "x"); err == nil {
		t.Error("no error")
	}
}

func TestCompileFor(t *testing.T) {
	c := started(t)
	if size, plan, err := c.CompileFor(Topology{Target: "a chip"}, program("copies"), CompileOptions{Replicas: 2}); err != nil || size != 1000 || plan.Peak != 7 {
		t.Errorf("%d %+v %v", size, plan, err)
	}
}

// A program is compiled for chips that are not here.
func TestCompileForChips(t *testing.T) {
	plugins := filepath.SplitList(os.Getenv(aheadVariable))
	if len(plugins) == 0 {
		t.Skip("not run: " + aheadVariable + " names no plugin; make check-ahead fetches some")
	}
	for _, path := range plugins {
		targets, err := Targets(path)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Start(Options{Plugin: path, Ahead: true})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		const text = `module @m { func.func public @main(%a: tensor<512x768xf32>, %b: tensor<768x768xf32>) -> tensor<512x768xf32> {
			%0 = stablehlo.dot_general %a, %b, contracting_dims = [1] x [0] : (tensor<512x768xf32>, tensor<768x768xf32>) -> tensor<512x768xf32>
			%1 = stablehlo.tanh %0 : tensor<512x768xf32>
			return %1 : tensor<512x768xf32> } }`
		chips := []string{"NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB", "NVIDIA B200"}
		if kindOf(path) == "rocm" {
			chips = []string{"MI300X"}
		}
		// The same bits each time: without a chip there is a kernel for a product only if the plugin makes it.
		same := map[string]string{"xla_gpu_exclude_nondeterministic_ops": "true", "xla_gpu_experimental_autotune_backends": "TRITON"}
		for _, chip := range chips {
			size, plan, err := c.CompileFor(Topology{Target: targets[chip]}, []byte(text), CompileOptions{Flags: same})
			if err != nil || size == 0 || plan.Arguments != 4*(512*768+768*768) || plan.Results != 4*512*768 {
				t.Errorf("%s: %d bytes, %+v, %v", chip, size, plan, err)
			}
			t.Logf("%s: %d bytes, %+v", chip, size, plan)
		}
		if size, _, err := c.CompileFor(Topology{Target: targets[chips[0]], Shape: "1x1x2"}, []byte(Reduce), CompileOptions{Replicas: 2}); err != nil || size == 0 {
			t.Errorf("two devices: %d bytes, %v", size, err)
		}
		_, _, err = c.CompileFor(Topology{Target: "nonsense {"}, []byte(text), CompileOptions{})
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%#v", err)
		}
		if _, err := c.Compile([]byte(text), CompileOptions{}); err == nil || !strings.Contains(err.Error(), "and there are 0") {
			t.Error(err)
		}
	}
}

// Reduce adds what two devices have.
const Reduce = `module @m attributes {mhlo.num_replicas = 2 : i32} { func.func public @main(%a: tensor<2xf32>) -> (tensor<2xf32>, tensor<ui32>) {
	%0 = "stablehlo.all_reduce"(%a) ({
	^bb0(%x: tensor<f32>, %y: tensor<f32>):
		%s = stablehlo.add %x, %y : tensor<f32>
		stablehlo.return %s : tensor<f32>
	}) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<2xf32>) -> tensor<2xf32>
	%r = stablehlo.replica_id : tensor<ui32>
	return %0, %r : tensor<2xf32>, tensor<ui32> } }`
