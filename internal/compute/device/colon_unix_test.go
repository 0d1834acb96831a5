//go:build unix

package device

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// A file whose own name ends as a number of a device does is opened with a number behind it. Windows has no such names.
func TestOpenWithAColonInTheName(t *testing.T) {
	colon := filepath.Join(t.TempDir(), "plugin.so:1")
	if err := os.WriteFile(colon, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, m := range []missing{
		{"pjrt:" + colon, "", "does not exist; check the path; for the file " + colon + " name a device of it, too: " + colon + ":0", fs.ErrNotExist},
		{"pjrt:" + colon + ":0", "", "unimo-xla", pjrt.ErrNoHelper},
	} {
		m.check(t)
	}
	for path, want := range map[string]string{colon: "pjrt:" + colon + ":0", "/plugin.so": "pjrt:/plugin.so", "/plugin.so:": "pjrt:/plugin.so:"} {
		if got := Plugged(path); got != want || PluginOf(got) != path {
			t.Errorf("%s is named %s, which is the device of %s", path, got, PluginOf(got))
		}
	}
}
