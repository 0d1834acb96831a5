//go:build mpi && linux

package mpi

import (
	"os"
	"strings"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// unlinkShared takes the names from shared memory that all ranks of the host have by now, so that nothing is left of it when a rank is killed.
// MPICH keeps the name until the end; other libraries take it away themselves.
func unlinkShared() {
	maps, err := infile.Read("/proc/self/maps", 16<<20)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		at := strings.Index(line, "/dev/shm/mpich_shm_")
		if at >= 0 && !strings.Contains(line, "(deleted)") {
			os.Remove(strings.TrimSpace(line[at:])) // the ranks of a host race for it
		}
	}
}
