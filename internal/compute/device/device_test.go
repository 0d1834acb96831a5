package device

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

func TestCheck(t *testing.T) {
	with := func(change func(c *Choice)) Choice {
		c := Default
		change(&c)
		return c
	}
	on := func(name string) Choice { return with(func(c *Choice) { c.Device = name }) }
	for _, c := range []struct {
		choice Choice
		want   string // "": it is right
	}{
		{Default, ""},
		{on("cuda"), ""},
		{on("cuda:7"), ""},
		{on("tpu"), ""},
		{on("pjrt:plugin.so"), ""},
		{on("pjrt:/a:b/plugin.so"), ""}, // a colon in a path
		{on("pjrt:plugin.so:1"), ""},
		{Choice{"rocm", BFloat16, 1}, ""},
		{Choice{"cpu", Float32, 1}, ""},
		{on(""), `unknown device ""`},
		{on("cdua"), "did you mean cuda?"},
		{on("CUDA"), "did you mean cuda?"},
		{on("gpu"), "did you mean cuda?"},
		{on("cuda:"), "the number of a device"},
		{on("cuda:-1"), "the number of a device"},
		{on("cuda:x"), "the number of a device"},
		{on("Pjrt:x"), `unknown device "Pjrt:x"`},
		{on("cpu:0"), "--threads"},
		{on("pjrt"), "pjrt:PATH"},
		{on("pjrt:"), "pjrt:PATH"},
		{on("pjrt::1"), "pjrt:PATH"},
		{Choice{"cuda", "fp16", 1}, "did you mean bf16?"},
		{Choice{"cpu", BFloat16, 1}, ""},
		{Choice{"cpu", TF32, 1}, "tf32, which the processor (device cpu) does not have"},
		{Choice{"cuda", Auto, 0}, "want 1 or more"},
		{Choice{"cuda", Auto, 2}, ""},
		{Choice{"cpu", Auto, 2}, "--threads"},
	} {
		err := c.choice.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.choice, err, c.want)
		}
	}
}

func TestAbsolute(t *testing.T) {
	here, err := filepath.Abs("")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"cuda:1": "cuda:1", "cpu": "cpu", "pjrt:a/b.so:1": "pjrt:" + filepath.Join(here, "a", "b.so:1"), "pjrt:" + here: "pjrt:" + here} {
		if c, err := (Choice{Device: name}).Absolute(); c.Device != want || err != nil {
			t.Errorf("%s is %s, %v, want %s", name, c.Device, err, want)
		}
	}
}

func TestTheProcessor(t *testing.T) {
	d, err := Open(Default, Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	if d.Accelerated() || d.Precision != Float32 || d.Limit() != 2 || d.Report() != "" || d.Version() != "" || d.Close() != nil {
		t.Errorf("%+v", d)
	}
}

// missing is a name that cannot be opened, and what is said of it.
type missing struct {
	name, memory, want string
	is                 error
}

func (m missing) check(t *testing.T) {
	t.Helper()
	t.Setenv(pjrt.HelperVariable, filepath.Join(t.TempDir(), "none"))
	t.Setenv(pjrt.PathVariable, "")
	t.Setenv("PATH", "")
	t.Setenv(MemoryVariable, m.memory)
	_, err := Open(Choice{m.name, Auto, 1}, Options{})
	if err == nil || !strings.Contains(err.Error(), m.want) || !strings.HasPrefix(err.Error(), "device "+m.name) || m.is != nil && !errors.Is(err, m.is) {
		t.Errorf("%s: %v, want %q", m.name, err, m.want)
	}
}

// What cannot be opened is said, and nothing is started for it.
func TestOpenSaysWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	file, pretends := filepath.Join(dir, "plugin.so"), filepath.Join(dir, "cpu_plugin.so")
	for _, path := range []string{file, pretends} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range []missing{
		{"pjrt:" + file + ":-1", "", file + `: "-1" is no number of a device; write 0 or more behind the colon`, nil},
		{"pjrt:" + file + ":", "", `"" is no number of a device`, nil},
		{"pjrt:" + file + ":70000", "", `"70000" is no number of a device`, nil},
		{"pjrt:" + file + "none", "", "does not exist", fs.ErrNotExist},
		{"pjrt:" + filepath.Dir(file), "", "is a folder", nil},
		{"pjrt:" + file, "", "unimo-xla", pjrt.ErrNoHelper},
		{"pjrt:" + file, "much", MemoryVariable + ` is "much"`, nil},
		{"rocm", "", "jax-rocm7-pjrt", pjrt.ErrNoPlugin},
		{"pjrt:" + pretends + ":64", "", "65 devices of a plugin for the processor", nil},
		{"pjrt:" + pretends + ":63", "", "unimo-xla", pjrt.ErrNoHelper},
	} {
		m.check(t)
	}
}

func TestBestPrecision(t *testing.T) {
	for _, c := range []struct{ platform, kind, want string }{
		{"cpu", "cpu", Float32},
		{"cuda", "NVIDIA H100 80GB HBM3", BFloat16},
		{"cuda", "NVIDIA A100-SXM4-40GB", BFloat16},
		{"cuda", "NVIDIA GeForce RTX 4090", BFloat16},
		{"cuda", "NVIDIA GeForce RTX 2080 Ti", Float32},
		{"cuda", "Tesla V100-SXM2-16GB", Float32},
		{"cuda", "Tesla T4", Float32},
		{"rocm", "AMD Instinct MI300X", BFloat16},
		{"tpu", "TPU v4", BFloat16},
	} {
		if got := best(c.platform, c.kind); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.platform, c.kind, got, c.want)
		}
	}
}

// Memory is not taken all at once, and the number says which chip is seen.
func TestClientOptions(t *testing.T) {
	for _, c := range []struct {
		name, path string
		devices    int
		visible    []int64 // nil: no options of memory
		processors int64   // that are pretended
	}{
		{"cuda", "xla_cuda_plugin.so", 1, []int64{0}, 0},
		{"cuda:3", "xla_cuda_plugin.so", 1, []int64{3}, 0},
		{"cuda:2", "xla_cuda_plugin.so", 3, []int64{2, 3, 4}, 0},
		{"pjrt:x/xla_rocm_plugin.so:1", "x/xla_rocm_plugin.so", 1, []int64{1}, 0},
		{"pjrt:x/cuda/cpu_plugin.so", "x/cuda/cpu_plugin.so", 1, nil, 0},
		{"pjrt:x/cuda/cpu_plugin.so", "x/cuda/cpu_plugin.so", 2, nil, 2},
		{"pjrt:x/cpu_plugin.so:2", "x/cpu_plugin.so", 3, nil, 5},
		{"tpu", "libtpu.so", 4, nil, 0},
	} {
		where, err := parse(c.name)
		if err != nil {
			t.Fatal(err)
		}
		o := clientOptions(where, c.path, c.devices)
		visible, _ := o["visible_devices"].([]int64)
		processors, _ := o["cpu_device_count"].(int64)
		if processors != c.processors || !slices.Equal(visible, c.visible) || c.visible != nil && o["preallocate"] != false {
			t.Errorf("%s: %v", c.name, o)
		}
	}
}

// A program in the cache is for the same plugin, chip and options.
func TestIdentity(t *testing.T) {
	file := filepath.Join(t.TempDir(), "plugin")
	seen := map[string]bool{}
	withFlags := func(file, chip, version string, options map[string]any, flags string) string {
		return identity(file, pjrt.Info{Platform: "cuda", PlatformVersion: version, Attributes: map[string]string{"a": "1"}}, chip, options, flags)
	}
	of := func(file, chip, version string, options map[string]any) string {
		return withFlags(file, chip, version, options, "")
	}
	for _, content := range []string{"one", "two"} {
		os.WriteFile(file, []byte(content), 0o644)
		for _, on := range [][2]string{{"H100", "1"}, {"H200", "1"}, {"H100", "2"}} {
			for _, share := range []float32{0.5, 0.9} {
				id := of(file, on[0], on[1], map[string]any{"memory_fraction": share, "visible_devices": []int64{0}})
				if seen[id] || id != of(file, on[0], on[1], map[string]any{"memory_fraction": share, "visible_devices": []int64{1}}) {
					t.Errorf("%q occurs twice, or depends on which chip of a kind it is", id)
				}
				seen[id] = true
			}
		}
	}
	if a, b := of(file+"none", "H100", "1", nil), of(file+"none", "H100", "1", nil); a == b {
		t.Error("a plugin that cannot be read is taken for itself")
	}
	flags := filepath.Join(t.TempDir(), "flags")
	for _, content := range []string{"--xla_a=1", "--xla_a=2"} {
		os.WriteFile(flags, []byte(content), 0o644)
		for _, value := range []string{content, flags} {
			id := withFlags(file, "H100", "1", nil, value)
			if seen[id] || id != withFlags(file, "H100", "1", nil, value) {
				t.Errorf("%q occurs twice, or is another for the same flags", id)
			}
			seen[id] = true
		}
	}
}

// Compiled programs are run, so they are not taken from the current folder because a variable is not set.
func TestCacheNeedsAFolder(t *testing.T) {
	home := "HOME"
	if runtime.GOOS == "windows" {
		home = "USERPROFILE"
	}
	for _, c := range []struct {
		home, variable, value string
		kept                  bool
	}{
		{t.TempDir(), "", "", true},
		{"", "", "", false},
		{"", "XDG_CACHE_HOME", "caches", false},
		{"", "XDG_CACHE_HOME", t.TempDir(), true},
		{"", "UNIMO_CACHE", "here", true},
	} {
		t.Setenv(home, c.home)
		log := new(bytes.Buffer)
		kept := cache(func(name string) string { return map[string]string{c.variable: c.value}[name] }, slog.New(slog.NewTextHandler(log, nil)))
		if (kept != nil) != c.kept || c.kept != (log.Len() == 0) {
			t.Errorf("%+v: kept is %v, logged %s", c, kept != nil, log)
		}
	}
}

// On a plugin: a device computes, says what it did, and keeps its programs where the environment says.
func TestOpenAPlugin(t *testing.T) {
	path := os.Getenv(pjrt.PathVariable)
	if path == "" {
		t.Skip("not run: UNIMO_PJRT_PATH names no plugin (make check-xla)")
	}
	cache := t.TempDir()
	t.Setenv("UNIMO_CACHE", cache)
	for _, compiled := range []string{"programs: 1 compiled, 0 ", "programs: 0 compiled, 1 "} {
		told := 0
		d, err := Open(Choice{"pjrt:" + path, Auto, 1}, Options{Notify: func(xla.Notice) { told++ }})
		if err != nil {
			t.Fatal(err)
		}
		x, y := d.Wrap(1, 2, []float32{1, 2}), d.New(1, 2)
		d.Add(y, x, x)
		if got := engine.Values(d.Device, y); !slices.Equal(got, []float32{2, 4}) {
			t.Errorf("got %v", got)
		}
		if !d.Accelerated() || d.Precision != Float32 || told != 2 || !strings.HasPrefix(d.Report(), compiled) || !strings.Contains(d.Version(), "cpu") {
			t.Errorf("%s, %s, %s, told %d times", d.Precision, d.Report(), d.Version(), told)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
	if files, _ := filepath.Glob(filepath.Join(cache, "programs", "*")); len(files) != 1 {
		t.Errorf("the cache has %v", files)
	}
}
