package kernels

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The committed assembly is what the generator writes.
func TestAssemblyIsUpToDate(t *testing.T) {
	if testing.Short() {
		t.Skip("not run: long")
	}
	goTool := func(args ...string) ([]byte, error) {
		cmd := exec.Command("go", args...)
		cmd.Dir = "asm"
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly", "GOOS=", "GOARCH=")
		return cmd.CombinedOutput()
	}
	// Only this may fail for want of a network.
	if out, err := goTool("mod", "download"); err != nil {
		t.Skipf("not run: the generator's modules cannot be resolved: %v: %s", err, out)
	}
	dir := t.TempDir()
	if out, err := goTool("run", ".", "-dir", dir); err != nil {
		t.Fatalf("the generator: %v\n%s", err, out)
	}
	generated := map[string]bool{}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("the generator has written nothing (%v)", err)
	}
	for _, e := range entries {
		generated[e.Name()] = true
		want, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		got = bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")) // a checkout on Windows
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what the generator writes; run go generate ./internal/compute/kernels", e.Name())
		}
	}
	// And no assembly that the generator does not know.
	files, err := filepath.Glob("*.s")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if !generated[name] {
			t.Errorf("%s is not written by the generator", name)
		}
		if !strings.HasSuffix(name, "_amd64.s") && !strings.HasSuffix(name, "_arm64.s") {
			t.Errorf("%s would be built for other processors", name)
		}
	}
}
