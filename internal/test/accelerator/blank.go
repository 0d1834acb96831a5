//go:build linux || darwin

package accelerator

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/helper"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
	"github.com/unimo-go/unimo/internal/test/blank"
)

// blankVariable makes a test binary the helper program of a blank device.
const blankVariable = "UNIMO_TEST_BLANK"

// Main is the TestMain of a package whose tests use [Blank]: the test binary is the helper program, too.
func Main(m *testing.M) {
	if os.Getenv(blankVariable) == "" {
		os.Exit(m.Run())
	}
	most, err := strconv.Atoi(os.Getenv(blankVariable))
	if err == nil {
		err = helper.Run(&blank.Plugin{Platform: "blank", Plans: true, Compiled: func([]byte, wire.CompileOptions) error {
			if most--; most < 0 {
				select {}
			}
			return nil
		}})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Blank returns what --device calls a device that computes nothing, but has programs as any other; see package blank. It compiles so many: the
// one after these never ends.
func Blank(t *testing.T, programs int) string {
	t.Helper()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	plugin := filepath.Join(t.TempDir(), "blank")
	if err := os.WriteFile(plugin, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv(pjrt.HelperVariable, own)
	t.Setenv(blankVariable, strconv.Itoa(programs))
	t.Setenv("UNIMO_CACHE", t.TempDir())
	return "pjrt:" + plugin
}
