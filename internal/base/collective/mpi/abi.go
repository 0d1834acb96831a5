//go:build mpi && linux

package mpi

import (
	"path/filepath"
	"strings"
)

// abi is the constants of a library's binary interface, whose functions are the same everywhere. Handles are numbers or addresses; what is 32 bits wide
// is read from the lower half of its register.
type abi struct {
	world, byte, errorsReturn uintptr // MPI_COMM_WORLD, MPI_BYTE, MPI_ERRORS_RETURN
	inPlace, statusIgnore     uintptr // MPI_IN_PLACE, MPI_STATUS_IGNORE
	funneled, serialized      int32   // MPI_THREAD_FUNNELED, MPI_THREAD_SERIALIZED
}

// standardABI is that of MPI 5.0, chapter 20. The constants are those of mpi_abi.h.
var standardABI = abi{world: 0x101, byte: 0x247, errorsReturn: 0x143, inPlace: 1, statusIgnore: 0, funneled: 1024, serialized: 2048}

// mpichABI is that of MPICH and of what keeps to the MPICH ABI Compatibility Initiative: libmpi.so.12.
var mpichABI = abi{world: 0x44000000, byte: 0x4c00010d, errorsReturn: 0x54000001, inPlace: ^uintptr(0), statusIgnore: 1, funneled: 1, serialized: 2}

// openMPIABI is that of Open MPI 3 to 5, whose handles are addresses of its variables.
func openMPIABI(address func(name string) uintptr) abi {
	return abi{world: address("ompi_mpi_comm_world"), byte: address("ompi_mpi_byte"), errorsReturn: address("ompi_mpi_errors_return"),
		inPlace: 1, statusIgnore: 0, funneled: 1, serialized: 2}
}

// abiOf tells a library's interface by its file's name, by the variables that it has, and by what it says of itself. address returns 0 for
// what a library does not have.
func abiOf(path, version string, address func(name string) uintptr) (abi, bool) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	switch {
	case strings.HasPrefix(filepath.Base(path), "libmpi_abi.so"):
		return standardABI, true
	case address("ompi_mpi_comm_world") != 0:
		a := openMPIABI(address)
		return a, a.byte != 0 && a.errorsReturn != 0
	case familyOf(version) == mpich:
		return mpichABI, true
	}
	return abi{}, false
}
