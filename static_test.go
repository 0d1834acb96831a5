package unimo_test

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// With a C compiler on the machine, go build uses it for packages of the standard library that can do without: net and
// os/user. The library imports neither, so that it adds no C to a program. The command does, as it serves.
func TestTheLibraryNeedsNoC(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "-f", "{{if .CgoFiles}}{{.ImportPath}}{{end}}", ".", "./tokenizer", "./checkpoint", "./metrics")
	list.Env, list.Stderr = append(os.Environ(), "CGO_ENABLED=1"), os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		t.Errorf("%s would be compiled with C: go list -deps -f '{{.ImportPath}} {{.Imports}}' . shows who imports it", name)
	}
}

// With CGO_ENABLED=0, as "make build" and the releases have it, the binary is static, and says so.
func TestTheBinaryIsStatic(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("not run: elsewhere every program loads the system's library")
	}
	path := filepath.Join(t.TempDir(), "unimo")
	build := exec.Command("go", "build", "-o", path, "./cmd/unimo")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
			t.Errorf("the binary has a segment %v: it is loaded with shared libraries", p.Type)
		}
	}
	out, err := exec.Command(path, "version", "--json").Output()
	var v struct{ Static bool }
	if err == nil {
		err = json.Unmarshal(out, &v)
	}
	if err != nil || !v.Static {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := exec.Command(path, "version").Output(); err != nil || strings.Contains(string(out), "CGO_ENABLED") {
		t.Errorf("%v: %s", err, out)
	}
}
