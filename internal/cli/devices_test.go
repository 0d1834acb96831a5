package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

func TestDevices(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("not run: no plugins for this system")
	}
	dir := t.TempDir()
	for _, name := range []string{"VIRTUAL_ENV", "CONDA_PREFIX", "HOME", "PATH"} {
		t.Setenv(name, dir)
	}
	plugin := filepath.Join(dir, "libpjrt_cuda.so")
	if err := os.WriteFile(plugin, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	// No helper program
	t.Setenv("UNIMO_XLA", filepath.Join(dir, "absent"))
	t.Setenv("UNIMO_PJRT_PATH", plugin)
	if out := must(t, "devices").stdout; !strings.HasPrefix(out, "cpu (") || !strings.Contains(out, "plugins are not loaded: the program unimo-xla") || !strings.Contains(out, "\ncuda: ") {
		t.Error(out)
	}
	if r := call(t, "", "devices", plugin); r.code != exitFailed || !strings.Contains(r.stderr, "the program unimo-xla, which loads plugins, was not found") {
		t.Errorf("%+v", r)
	}
	// A plugin is named as --device names it, too. A kind of chip names none.
	if r := call(t, "", "devices", "pjrt:"+plugin+":1"); r.code != exitFailed || !strings.Contains(r.stdout, "\npjrt:"+plugin+"\n") {
		t.Errorf("%+v", r)
	}
	refused(t, exitUsage, []string{"devices", "cuda"}, "PLUGIN is a file, and cuda a name of a device")
	refused(t, exitUsage, []string{"devices", ""}, "PLUGIN is empty")
	// One that is no helper program
	helper := filepath.Join(dir, "unimo-xla")
	if err := os.WriteFile(helper, []byte("#!/bin/sh\necho this is said >&2\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("UNIMO_XLA", helper)
	if out := must(t, "devices").stdout; !strings.Contains(out, "exit status 3: this is said") {
		t.Error(out)
	}
	var list deviceList
	if err := json.Unmarshal([]byte(must(t, "devices", "--json").stdout), &list); err != nil || list.Helper.Path != helper || len(list.Plugins) == 0 || list.Plugins[0].Kind != "cuda" || list.Plugins[0].Name != "cuda" || list.Plugins[0].Error == "" {
		t.Errorf("%+v %v", list, err)
	}
}

// What stands before a plugin in the list is what --device takes: of several for a kind of chip the first is the kind's.
func TestNamesOfPlugins(t *testing.T) {
	got := namesOf([]pjrt.Plugin{{Path: "/a.so", Kind: "cuda"}, {Path: "/cpu.so", Kind: "cpu"}, {Path: "/b.so", Kind: "cuda"}, {Path: "/c.so"}, {Path: "/d.so", Kind: "metal"}, {Path: "/libtpu.so", Kind: "tpu"}})
	if want := []string{"cuda", "pjrt:/cpu.so", "pjrt:/b.so", "pjrt:/c.so", "pjrt:/d.so", "tpu"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// With a plugin and the real helper program.
func TestDevicesOfPlugin(t *testing.T) {
	plugin := os.Getenv("UNIMO_PJRT_PATH")
	if plugin == "" {
		t.Skip("not run: UNIMO_PJRT_PATH names no plugin; make check-xla fetches one")
	}
	out := must(t, "devices", plugin).stdout
	if !strings.Contains(out, "\npjrt:"+plugin+": ") || !strings.Contains(out, "API 0.") || !strings.Contains(out, "\n  0: cpu") {
		t.Error(out)
	}
	dir := t.TempDir()
	no := filepath.Join(dir, "plugin.so")
	if err := os.WriteFile(no, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	tpu := filepath.Join(dir, "libtpu.so")
	if err := os.WriteFile(tpu, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{no: "cannot be loaded", tpu: "is for machines with TPUs, and this is none", filepath.Join(dir, "absent.so"): "does not exist"} {
		if r := call(t, "", "devices", path); r.code != exitFailed || !strings.Contains(r.stdout+r.stderr, says) {
			t.Errorf("%s: %+v", path, r)
		}
	}
}
