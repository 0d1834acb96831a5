package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// machineLine describes where and when this runs.
func machineLine(threads int) string {
	cpu := field("/proc/cpuinfo", "model name")
	if cpu == "" {
		cpu = runtime.GOARCH
	} else {
		cpu += fmt.Sprintf(" (family %s, model %s)", field("/proc/cpuinfo", "cpu family"), field("/proc/cpuinfo", "model"))
	}
	var sets []string
	for _, isa := range kernels.Available() {
		sets = append(sets, isa.String())
	}
	line := fmt.Sprintf("%s: %s, %d cores, %s", time.Now().Format("2 January 2006"), cpu, runtime.NumCPU(), runtime.GOOS)
	var kib int64
	if _, err := fmt.Sscanf(field("/proc/meminfo", "MemTotal"), "%d kB", &kib); err == nil {
		line += fmt.Sprintf(", %.0f GB memory", float64(kib)*1024/1e9)
	}
	return line + fmt.Sprintf("; %d threads each; float32; instruction sets %s", threads, strings.Join(sets, ", "))
}

// field returns the first value of a name in a file of "name: value" lines.
func field(path, name string) string {
	raw, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
