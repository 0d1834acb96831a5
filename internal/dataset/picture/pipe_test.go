//go:build unix

package picture

import (
	"path/filepath"
	"syscall"
	"testing"
)

// TestPipe would wait for a writer for ever if a pipe were opened.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe.jpg")
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Skipf("not run: %v", err)
	}
	wantError(t, path, "is a pipe")
}
