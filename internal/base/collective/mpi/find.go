//go:build mpi && linux

package mpi

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// libraryNames are the files that may be the library, the best first: the standard ABI where a family has it.
func libraryNames(f family) []string {
	switch f {
	case openMPI:
		return []string{"libmpi.so.40", "libmpi_abi.so.1", "libmpi.so"}
	case mpich:
		return []string{"libmpi_abi.so.1", "libmpi.so.12", "libmpich.so.12", "libmpi.so"}
	}
	return []string{"libmpi_abi.so.1", "libmpi.so.40", "libmpi.so.12", "libmpich.so.12", "libmpi.so"}
}

// candidates lists what may be the library: files beside the launcher, then names that the system's loader looks for.
func candidates(f family, launcher string) []string {
	var list []string
	if launcher != "" {
		prefix := filepath.Dir(filepath.Dir(launcher))
		for _, pattern := range []string{"lib", "lib64", "lib/*-linux-gnu", "lib/release"} {
			dirs, _ := filepath.Glob(filepath.Join(prefix, pattern))
			for _, dir := range dirs {
				for _, name := range libraryNames(f) {
					if path := filepath.Join(dir, name); exists(path) {
						list = append(list, path)
					}
				}
			}
		}
	}
	return append(list, libraryNames(f)...)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// familyOf says which family a library is of, by what it says of itself.
func familyOf(version string) family {
	for _, known := range []struct {
		words string
		family
	}{{"Open MPI", openMPI}, {"MPICH", mpich}, {"Intel(R) MPI", mpich}, {"MVAPICH", mpich}} {
		if strings.Contains(version, known.words) {
			return known.family
		}
	}
	return anyFamily
}

// notFound is the error where no candidate could be loaded.
func notFound(l Launch, tried []error) error {
	install := map[family]string{openMPI: "Open MPI (Debian: libopenmpi3)", mpich: "MPICH or Intel MPI (pip: mpich)"}[l.family]
	if install == "" {
		install = "the MPI library of the cluster"
	}
	reasons := make([]string, len(tried))
	for i, err := range tried {
		reasons[i] = err.Error()
	}
	return usef("%s started this process, and no MPI library for it was found; install %s on every host, or name its file with %s (tried: %s)",
		l.Launcher, install, LibraryVariable, strings.Join(slices.Compact(reasons), "; "))
}
