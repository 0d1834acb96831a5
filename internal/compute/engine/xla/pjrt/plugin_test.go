//go:build linux || darwin

package pjrt_test

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// plugin starts the helper program with the plugin that UNIMO_PJRT_PATH names.
func plugin(t testing.TB, options map[string]any) *pjrt.Client {
	t.Helper()
	path := os.Getenv("UNIMO_PJRT_PATH")
	if path == "" {
		t.Skip("not run: UNIMO_PJRT_PATH names no plugin; make check-xla fetches one")
	}
	c, err := pjrt.Start(pjrt.Options{Plugin: path, Client: options})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func floats(x ...float32) (b []byte) {
	for _, v := range x {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// sum adds its arguments, and takes over the memory of the first.
const sum = `module @sum {
  func.func public @main(%a: tensor<2x3xf32> {tf.aliasing_output = 0 : i32}, %b: tensor<2x3xf32> {x.note = ") -> {"}) -> (tensor<2x3xf32> {jax.result_info = ""}) {
    %0 = stablehlo.add %a, %b : tensor<2x3xf32>
    return %0 : tensor<2x3xf32>
  }
}`

func upload(t testing.TB, c *pjrt.Client, device int, typ pjrt.Type, dims []int, data []byte) pjrt.Buffer {
	t.Helper()
	b := c.NewBuffer()
	if err := c.Upload(b, device, typ, dims, data); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPlugin(t *testing.T) {
	c := plugin(t, map[string]any{"cpu_device_count": int64(2)})
	if info := c.Info(); len(info.Devices) != 2 || info.Platform == "" || info.Major != 0 {
		t.Errorf("%+v", info)
	}
	compiled, err := c.Compile([]byte(sum), pjrt.CompileOptions{Flags: map[string]string{"xla_backend_optimization_level": "1", "xla_cpu_enable_fast_math": "true", "xla_dump_hlo_as_text": "false"}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := c.Serialize(compiled)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := c.Deserialize(data, pjrt.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.Compile([]byte(sum), pjrt.CompileOptions{Device: 1})
	if err != nil {
		t.Fatal(err)
	}
	secondData, err := c.Serialize(second)
	if err != nil {
		t.Fatal(err)
	}
	secondLoaded, err := c.Deserialize(secondData, pjrt.CompileOptions{Device: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []pjrt.Executable{compiled, loaded, second, secondLoaded} {
		a := upload(t, c, i/2, pjrt.F32, []int{2, 3}, floats(1, 2, 3, 4, 5, 6))
		b := upload(t, c, i/2, pjrt.F32, []int{2, 3}, floats(10, 20, 30, 40, 50, 60))
		y := c.NewBuffer()
		if err := c.Execute(e, [][]pjrt.Buffer{{a, b}}, [][]pjrt.Buffer{{y}}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 24)
		if err := c.Download(y, got); err != nil || !slices.Equal(got, floats(11, 22, 33, 44, 55, 66)) {
			t.Errorf("%v %v", got, err)
		}
		if err := c.Download(a, got); err == nil || !strings.Contains(err.Error(), "was given to a program") {
			t.Error(err)
		}
		if err := c.Free(a, b, y); err != nil {
			t.Error(err)
		}
	}
	if plan, err := c.Memory(compiled); err != nil || plan.Arguments != 48 || plan.Alias != 24 {
		t.Errorf("%+v %v", plan, err)
	}
	if err := c.FreeExecutable(loaded); err != nil {
		t.Error(err)
	}

	var e *pjrt.Error
	_, err = c.Compile([]byte(strings.Replace(sum, "add %a", "add %c", 1)), pjrt.CompileOptions{})
	if !errors.As(err, &e) || e.Code == 0 || !strings.Contains(e.Message, "3:") {
		t.Errorf("%#v", err)
	}
	if _, err = c.Compile([]byte(sum), pjrt.CompileOptions{Flags: map[string]string{"xla_no_such_flag": "1"}}); !errors.As(err, &e) {
		t.Errorf("%#v", err)
	}

	// Larger than the shared memory
	n := 20 << 20
	large := make([]byte, 4*n)
	for i := range n {
		binary.LittleEndian.PutUint32(large[4*i:], uint32(i))
	}
	b := upload(t, c, 1, pjrt.I32, []int{n}, large)
	back := make([]byte, len(large))
	if err := c.Download(b, back); err != nil || !slices.Equal(back, large) {
		t.Errorf("%d bytes: %v", len(large), err)
	}
}

// A program that is compiled once runs on each device.
func TestAnyDevice(t *testing.T) {
	c := plugin(t, map[string]any{"cpu_device_count": int64(2)})
	anywhere := pjrt.CompileOptions{Device: pjrt.AnyDevice}
	compiled, err := c.Compile([]byte(sum), anywhere)
	if err != nil {
		t.Fatal(err)
	}
	data, err := c.Serialize(compiled)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := c.Deserialize(data, anywhere)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []pjrt.Executable{compiled, compiled, loaded, loaded} {
		a := upload(t, c, i%2, pjrt.F32, []int{2, 3}, floats(1, 2, 3, 4, 5, 6))
		b := upload(t, c, i%2, pjrt.F32, []int{2, 3}, floats(10, 20, 30, 40, 50, float32(i)))
		y := c.NewBuffer()
		if err := c.ExecuteOn(e, i%2, []pjrt.Buffer{a, b}, []pjrt.Buffer{y}); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 24)
		if err := c.Download(y, got); err != nil || !slices.Equal(got, floats(11, 22, 33, 44, 55, 6+float32(i))) {
			t.Errorf("%v %v", got, err)
		}
		if err := c.Free(a, b, y); err != nil {
			t.Error(err)
		}
	}
}

// Two devices compute the sum of what each has.
func TestReplicas(t *testing.T) {
	c := plugin(t, map[string]any{"cpu_device_count": int64(2)})
	e, err := c.Compile([]byte(pjrt.Reduce), pjrt.CompileOptions{Replicas: 2})
	if err != nil {
		t.Fatal(err)
	}
	var args, results [][]pjrt.Buffer
	for d := range 2 {
		args = append(args, []pjrt.Buffer{upload(t, c, d, pjrt.F32, []int{2}, floats(1, 10*float32(d+1)))})
		results = append(results, []pjrt.Buffer{c.NewBuffer(), c.NewBuffer()})
	}
	if err := c.Execute(e, args, results); err != nil {
		t.Fatal(err)
	}
	for d := range 2 {
		sums, id := make([]byte, 8), make([]byte, 4)
		if err := errors.Join(c.Download(results[d][0], sums), c.Download(results[d][1], id)); err != nil || !slices.Equal(sums, floats(2, 30)) || int(id[0]) != d {
			t.Errorf("device %d: %v %v %v", d, sums, id, err)
		}
	}
}

// A program that is freed while it runs, or before, for all that the caller knows, runs to its end: on one device and on several.
func TestFreeWhileRunning(t *testing.T) {
	c := plugin(t, map[string]any{"cpu_device_count": int64(2)})
	for replicas, sum := range map[int]string{1: "%x", 2: `"stablehlo.all_reduce"(%x) ({
      ^bb0(%l: tensor<f32>, %r: tensor<f32>):
        %s = stablehlo.add %l, %r : tensor<f32>
        stablehlo.return %s : tensor<f32>
    }) {replica_groups = dense<[[0, 1]]> : tensor<1x2xi64>} : (tensor<300x300xf32>) -> tensor<300x300xf32>`} {
		text := `module @m attributes {mhlo.num_replicas = ` + strconv.Itoa(replicas) + ` : i32, mhlo.num_partitions = 1 : i32} {
  func.func public @main(%a: tensor<300x300xf32>) -> tensor<300x300xf32> {
    %zero = stablehlo.constant dense<0> : tensor<i32>
    %one = stablehlo.constant dense<1> : tensor<i32>
    %many = stablehlo.constant dense<200> : tensor<i32>
    %n, %x = stablehlo.while(%i = %zero, %y = %a) : tensor<i32>, tensor<300x300xf32>
    cond {
      %go = stablehlo.compare LT, %i, %many : (tensor<i32>, tensor<i32>) -> tensor<i1>
      stablehlo.return %go : tensor<i1>
    } do {
      %next = stablehlo.add %i, %one : tensor<i32>
      %z = stablehlo.dot_general %y, %a, contracting_dims = [1] x [0] : (tensor<300x300xf32>, tensor<300x300xf32>) -> tensor<300x300xf32>
      stablehlo.return %next, %z : tensor<i32>, tensor<300x300xf32>
    }
    %all = ` + sum + `
    return %all : tensor<300x300xf32>
  }
}`
		if replicas == 1 {
			text = strings.Replace(strings.Replace(text, "    %all = %x\n", "", 1), "return %all", "return %x", 1)
		}
		var unit []float32 // whose products are itself
		for i := range 300 * 300 {
			x := float32(0)
			if i%301 == 0 {
				x = 1
			}
			unit = append(unit, x)
		}
		var args [][]pjrt.Buffer
		for d := range replicas {
			args = append(args, []pjrt.Buffer{upload(t, c, d, pjrt.F32, []int{300, 300}, floats(unit...))})
		}
		var results [][][]pjrt.Buffer
		for range 3 {
			e, err := c.Compile([]byte(text), pjrt.CompileOptions{Replicas: replicas})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				var outs [][]pjrt.Buffer
				for range replicas {
					outs = append(outs, []pjrt.Buffer{c.NewBuffer()})
				}
				if err := c.Execute(e, args, outs); err != nil {
					t.Fatal(err)
				}
				results = append(results, outs)
			}
			if err := c.FreeExecutable(e); err != nil {
				t.Fatal(err)
			}
			if err := c.Execute(e, args, args); err == nil || !strings.Contains(err.Error(), "no executable") {
				t.Errorf("a program that was freed: %v", err)
			}
		}
		for _, outs := range results {
			for d := range replicas {
				got := make([]byte, 4*len(unit))
				if err := c.Download(outs[d][0], got); err != nil || binary.LittleEndian.Uint32(got[4*301:]) != math.Float32bits(float32(replicas)) || got[4] != 0 {
					t.Errorf("%d replicas, device %d: %v, %v", replicas, d, got[:8], err)
				}
			}
		}
	}
}

// What cannot be computed says so with the next download.
func TestNoMemory(t *testing.T) {
	c := plugin(t, nil)
	e, err := c.Compile([]byte(`module @m { func.func public @main(%a: tensor<f32>) -> tensor<1000000x1000000xf32> {
		%0 = stablehlo.broadcast_in_dim %a, dims = [] : (tensor<f32>) -> tensor<1000000x1000000xf32>
		return %0 : tensor<1000000x1000000xf32> } }`), pjrt.CompileOptions{})
	if err != nil {
		t.Fatal(err)
	}
	a, y := upload(t, c, 0, pjrt.F32, nil, floats(1)), c.NewBuffer()
	if err := c.Execute(e, [][]pjrt.Buffer{{a}}, [][]pjrt.Buffer{{y}}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 4)
	var out *pjrt.Error
	if err := c.Download(a, got); !errors.As(err, &out) || out.Code != 8 || !strings.Contains(out.Message, "Out of memory") {
		t.Errorf("%#v", err)
	}
	if err := c.Download(a, got); err != nil {
		t.Error(err)
	}
}

// A helper program with a plugin in it is killed as one without.
func TestPluginKilled(t *testing.T) {
	for i := range 5 {
		c := plugin(t, nil)
		e, err := c.Compile([]byte(sum), pjrt.CompileOptions{})
		if err != nil {
			t.Fatal(err)
		}
		failed := make(chan error)
		go func() {
			data := floats(1, 2, 3, 4, 5, 6)
			for {
				a, b, y := c.NewBuffer(), c.NewBuffer(), c.NewBuffer()
				if err := errors.Join(c.Upload(a, 0, pjrt.F32, []int{2, 3}, data), c.Upload(b, 0, pjrt.F32, []int{2, 3}, data),
					c.Execute(e, [][]pjrt.Buffer{{a, b}}, [][]pjrt.Buffer{{y}}), c.Download(y, make([]byte, 24)), c.Free(a, b, y)); err != nil {
					failed <- err
					return
				}
			}
		}()
		time.Sleep(time.Duration(i*7) * time.Millisecond)
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-failed:
			if crash, ok := errors.AsType[*pjrt.CrashError](err); !ok || crash.Status != "signal: killed" {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("a request waits for a helper program that is gone")
		}
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	c := plugin(b, nil)
	x := upload(b, c, 0, pjrt.F32, nil, floats(1))
	got := make([]byte, 4)
	for b.Loop() {
		if err := c.Download(x, got); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkExecute(b *testing.B) {
	c := plugin(b, nil)
	args := strings.Repeat("%a#: tensor<f32> {tf.aliasing_output = # : i32}, ", 600)
	for i := 0; strings.Contains(args, "#"); i++ {
		n := pad(i)
		args = strings.Replace(strings.Replace(args, "#", n, 1), "#", n, 1)
	}
	var names, types []string
	for i := range 600 {
		names, types = append(names, "%a"+pad(i)), append(types, "tensor<f32>")
	}
	all := strings.Join(types, ", ")
	e, err := c.Compile([]byte("module @m { func.func public @main("+strings.TrimSuffix(args, ", ")+") -> ("+all+") { return "+strings.Join(names, ", ")+" : "+all+" } }"), pjrt.CompileOptions{})
	if err != nil {
		b.Fatal(err)
	}
	in, out := make([]pjrt.Buffer, 600), make([]pjrt.Buffer, 600)
	for i := range in {
		in[i] = upload(b, c, 0, pjrt.F32, nil, floats(1))
	}
	got := make([]byte, 4)
	for b.Loop() {
		for i := range out {
			out[i] = c.NewBuffer()
		}
		if err := c.Execute(e, [][]pjrt.Buffer{in}, [][]pjrt.Buffer{out}); err != nil {
			b.Fatal(err)
		}
		c.Free(in...)
		in, out = out, in
		if err := c.Download(in[0], got); err != nil {
			b.Fatal(err)
		}
	}
}

func pad(i int) string {
	return string([]byte{'0' + byte(i/100), '0' + byte(i/10%10), '0' + byte(i%10)})
}
