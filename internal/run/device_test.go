package run

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// Where a plugin has crashed, --resume goes on with what was saved, if something was.
func TestALostDeviceIsExplained(t *testing.T) {
	crash := &pjrt.CrashError{Status: "signal: aborted", Asked: "run program 5", Stderr: "Check failed: it is so"}
	for saved, want := range map[string]string{"": "nothing had been saved yet", "step-00000010.safetensors": "what was saved is whole"} {
		out := t.TempDir()
		if saved != "" {
			if err := os.Mkdir(filepath.Join(out, "snapshots"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(out, "snapshots", saved), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		r := new(run)
		r.Out = out
		err := r.explain(crash)
		if !errors.Is(err, crash) || !strings.Contains(err.Error(), "signal: aborted, after it was asked to run program 5: Check failed: it is so; "+want) {
			t.Errorf("%q saved: %v", saved, err)
		}
	}
}
