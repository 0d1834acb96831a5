//go:build unix

package checkpoint

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestPipe would wait for a writer for ever if a pipe in a folder were opened.
func TestPipe(t *testing.T) {
	dir := folder(t, map[string][]byte{"v": good})
	if err := syscall.Mkfifo(filepath.Join(dir, "w"), 0o644); err != nil {
		t.Skipf("not run: %v", err)
	}
	r := OpenTest(t, dir)
	if len(r.Tensors()) != 1 || len(r.Files()) != 1 || r.Files()[0].Reason != errNotRegular.Error() {
		t.Error(r.Tensors(), r.Files())
	}
	wantError(t, filepath.Join(dir, "w"), "neither a file nor a folder")
}
