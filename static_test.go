package unimo_test

import (
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// With a C compiler on the machine, go build uses it for packages of the standard library that can do without: net and
// os/user. The program and the library import neither, so that "go build" gives a static binary.
func TestNothingNeedsC(t *testing.T) {
	list := exec.Command("go", "list", "-deps", "-f", "{{if .CgoFiles}}{{.ImportPath}}{{end}}", "./cmd/unimo", ".", "./tokenizer", "./checkpoint", "./metrics")
	list.Env, list.Stderr = append(os.Environ(), "CGO_ENABLED=1"), os.Stderr
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		t.Errorf("%s would be compiled with C: go list -deps -f '{{.ImportPath}} {{.Imports}}' ./cmd/unimo shows who imports it", name)
	}
}

// "go build ./cmd/unimo" with no settings, run.
func TestTheBinaryIsStatic(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("not run: elsewhere every program loads the system's library")
	}
	path := filepath.Join(t.TempDir(), "unimo")
	build := exec.Command("go", "build", "-o", path, "./cmd/unimo")
	build.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "CGO_ENABLED=") || strings.HasPrefix(v, "GOFLAGS=")
	})
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
	if out, err := exec.Command(path, "version").CombinedOutput(); err != nil || !strings.HasPrefix(string(out), "unimo ") {
		t.Errorf("%v: %s", err, out)
	}
}
