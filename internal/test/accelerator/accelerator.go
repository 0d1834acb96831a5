// Package accelerator gives tests the tracing device, on the plugin that UNIMO_PJRT_PATH names. Without one such a test is skipped with a line
// that begins "not run".
package accelerator

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/engine/xla"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

var client = sync.OnceValues(func() (*pjrt.Client, error) {
	return pjrt.Start(pjrt.Options{Plugin: os.Getenv("UNIMO_PJRT_PATH")})
})

// plugin is the file of the plugin.
func plugin(tb testing.TB) string {
	tb.Helper()
	path := os.Getenv("UNIMO_PJRT_PATH")
	if path == "" {
		tb.Skip("not run: UNIMO_PJRT_PATH names no plugin (make check-xla)")
	}
	return path
}

// Name returns what --device and the setting device call the plugin. Compiled programs are kept for the test alone.
func Name(t *testing.T) string {
	t.Helper()
	path := plugin(t)
	t.Setenv("UNIMO_CACHE", t.TempDir())
	return "pjrt:" + path
}

// Open returns a device at full precision. All of a test binary's share a helper program.
func Open(tb testing.TB) *xla.Device {
	tb.Helper()
	plugin(tb)
	c, err := client()
	if err != nil {
		tb.Fatal(err)
	}
	return xla.New(c, xla.Options{})
}

// Team returns devices of one process at full precision, on a plugin for the processor that pretends as many.
func Team(t *testing.T, n int) []*xla.Device {
	t.Helper()
	c, err := pjrt.Start(pjrt.Options{Plugin: plugin(t), Client: map[string]any{"cpu_device_count": int64(n)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return xla.NewTeam(c, 0, n, xla.Options{})
}

// Each runs a test on the engine for processors and on the tracing device.
func Each(t *testing.T, run func(t *testing.T, d engine.Device)) {
	t.Run("processor", func(t *testing.T) { run(t, cpu.New()) })
	t.Run("accelerator", func(t *testing.T) { run(t, Open(t)) })
}

// Children lists the processes that a process has started, on Linux: of one that has opened an accelerator, the helper program.
func Children(tb testing.TB, pid int) (list []int) {
	tb.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range stats {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:])) // state, parent, ...
		if len(fields) > 1 && fields[0] != "Z" && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			list = append(list, child)
		}
	}
	return list
}
