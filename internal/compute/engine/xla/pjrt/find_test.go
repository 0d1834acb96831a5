package pjrt

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not run: no plugins for this system")
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	end := ending()
	put := func(path string) string {
		path = filepath.Join(root, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("this is never read"), 0); err != nil {
			t.Fatal(err)
		}
		return path
	}
	packages := "env/lib/python3.13/site-packages/"
	cuda := put(packages + "jax_plugins/xla_cuda13/xla_cuda_plugin" + end)
	put(packages + "jax_plugins/xla_cuda13/other" + end)
	put(packages + "jax_cuda13_pjrt-0.12.0.1.dist-info/METADATA")
	put(packages + "jax_cuda13_plugin-0.12.0.dist-info/METADATA")
	tpu := put(packages + "libtpu/libtpu" + end)
	put(packages + "libtpu-0.0.52.dist-info/METADATA")
	cpu := put("conda/lib/python3.12/site-packages/lammps_jax_pjrt_cpu/pjrt_c_api_cpu_plugin" + end)
	put("conda/lib/python3.12/site-packages/lammps_jax_pjrt_cpu-0.11.2.dist-info/METADATA")
	rocm := put("tools/lib/python3.11/site-packages/jax_plugins/xla_rocm7/xla_rocm_plugin" + end)
	put("tools/bin/python3.11")
	named, inNamed := put("mine"+end), put("folder/libpjrt_cpu"+end)
	absent := filepath.Join(root, "absent"+end)

	vars := map[string]string{
		PathVariable:   strings.Join([]string{named, filepath.Join(root, "folder"), absent, named}, string(filepath.ListSeparator)),
		"VIRTUAL_ENV":  filepath.Join(root, "env"),
		"CONDA_PREFIX": filepath.Join(root, "conda"),
		"PATH":         filepath.Join(root, "tools", "bin"),
	}
	list, looked := find(func(name string) string { return vars[name] })
	var own []Plugin // the machine may have others
	for _, p := range list {
		if strings.HasPrefix(p.Path, root) {
			own = append(own, p)
		}
	}
	want := []Plugin{
		{Path: named}, {inNamed, "cpu", "", ""}, {Path: absent},
		{cuda, "cuda", "jax-cuda13-pjrt", "0.12.0.1"}, {tpu, "tpu", "libtpu", "0.0.52"},
		{cpu, "cpu", "lammps-jax-pjrt-cpu", "0.11.2"}, {rocm, "rocm", "", ""},
	}
	if !reflect.DeepEqual(own, want) {
		t.Errorf("found\n%+v, want\n%+v; looked in %q", own, want, looked)
	}
	t.Chdir(root) // a plugin that is named without a folder is the one here
	for name, want := range map[string]string{filepath.Base(named): named, filepath.Base(absent): absent} {
		if p := Named([]string{name})[0]; p.Path != want {
			t.Errorf("%s is %s, want %s", name, p.Path, want)
		}
	}
	t.Setenv(PathVariable, cuda)
	if p, err := FindKind("cuda"); err != nil || p.Path != cuda {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := FindKind("oneapi"); err != nil && !strings.Contains(err.Error(), "install jax-oneapi-pjrt (pip), or name its file with UNIMO_PJRT_PATH") {
		t.Error(err)
	}
}
