package kernels

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/unimo-go/unimo/internal/base/names"
)

// ISA is an instruction set that kernels are written for.
type ISA int

// The instruction sets, those of each architecture in rising order of speed.
const (
	Generic ISA = iota // plain Go, on every processor
	AVX2               // 256-bit vectors with FMA
	AVX512             // 512-bit vectors: F, BW, DQ and VL
	NEON               // arm64's 128-bit vectors
)

// String returns the name that UNIMO_CPU knows.
func (isa ISA) String() string {
	switch isa {
	case Generic:
		return "generic"
	case AVX2:
		return "avx2"
	case AVX512:
		return "avx512"
	case NEON:
		return "neon"
	}
	return fmt.Sprintf("ISA(%d)", int(isa))
}

// environment is the variable that lowers the choice of instruction set.
const environment = "UNIMO_CPU"

// current is the implementation in use.
var current atomic.Pointer[implementation]

func init() {
	isa, _ := choose(os.Getenv(environment), Available())
	current.Store(implementations()[isa])
}

// active returns the implementation in use.
func active() *implementation { return current.Load() }

// Active returns the instruction set in use.
func Active() ISA { return active().isa }

// Available returns the instruction sets that this processor has, the fastest
// last. Generic is always among them.
func Available() []ISA {
	var available []ISA
	for isa := range implementations() {
		available = append(available, isa)
	}
	slices.Sort(available)
	return available
}

// Use selects an instruction set and returns a function that selects the
// former one again. It is for tests and benchmarks; a kernel that is running
// keeps the implementation it started with. It panics with an [ArgumentError]
// if the processor lacks isa.
func Use(isa ISA) (restore func()) {
	impl, ok := implementations()[isa]
	check(ok, "Use", "the processor has no %v", isa)
	old := current.Swap(impl)
	return func() { current.Store(old) }
}

// CheckEnv returns an error if the environment variable UNIMO_CPU has a value
// that is unknown, or that names an instruction set which this processor
// lacks. The best available instruction set is then in use.
func CheckEnv() error {
	_, err := choose(os.Getenv(environment), Available())
	return err
}

// choose returns the instruction set for a value of the environment variable.
// With an error it returns the best available.
func choose(value string, available []ISA) (ISA, error) {
	best := slices.Max(available)
	if value == "" {
		return best, nil
	}
	for _, isa := range []ISA{Generic, AVX2, AVX512, NEON} {
		if value != isa.String() {
			continue
		}
		if !slices.Contains(available, isa) {
			return best, fmt.Errorf("environment variable %s=%s: this processor has no %s; use one of %s, or unset it",
				environment, value, isa, strings.Join(known(available), ", "))
		}
		return isa, nil
	}
	return best, fmt.Errorf("environment variable %s: %w", environment, names.Unknown("instruction set", value, known(available)))
}

func known(list []ISA) []string {
	var s []string
	for _, isa := range list {
		s = append(s, isa.String())
	}
	return s
}
