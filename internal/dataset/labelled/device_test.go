package labelled

import (
	"os"
	"strings"
	"testing"
)

// A device, as a pipe would, must be refused before it is opened: it could keep
// the program waiting for ever.
func TestReadRefusesDevices(t *testing.T) {
	info, err := os.Stat(os.DevNull)
	if err != nil || info.Mode().IsRegular() {
		t.Skip("not run: this system has no null device in its file tree")
	}
	if _, _, err := Read(os.DevNull, Schema{Labels: []string{"a", "b"}}, ReadOptions{}); err == nil || !strings.Contains(err.Error(), "is a device") {
		t.Errorf("got %v", err)
	}
}
