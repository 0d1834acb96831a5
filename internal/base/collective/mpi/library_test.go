//go:build mpi && linux

package mpi

import (
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The constants are those of the headers that come with a library.
func TestABI(t *testing.T) {
	none := func(string) uintptr { return 0 }
	addresses := map[string]uintptr{"ompi_mpi_comm_world": 10, "ompi_mpi_byte": 20, "ompi_mpi_errors_return": 30}
	for _, test := range []struct {
		path, version string
		address       func(string) uintptr
		want          abi
		known         bool
	}{
		{"/opt/x/lib/libmpi_abi.so.1", "MPICH Version: 5.0.2", none, abi{0x101, 0x247, 0x143, 1, 0, 1024, 2048}, true},
		{"libmpi.so.12", "MPICH Version: 5.0.2", none, abi{0x44000000, 0x4c00010d, 0x54000001, ^uintptr(0), 1, 1, 2}, true},
		{"libmpi.so.12", "Intel(R) MPI Library 2021.18", none, mpichABI, true},
		{"libmpi.so.40", "Open MPI v5.0.11", func(name string) uintptr { return addresses[name] }, abi{10, 20, 30, 1, 0, 1, 2}, true},
		{"libmpi.so.40", "Open MPI v9", func(name string) uintptr { return map[string]uintptr{"ompi_mpi_comm_world": 10}[name] }, abi{}, false},
		{"libmpi.so", "another", none, abi{}, false},
	} {
		got, known := abiOf(test.path, test.version, test.address)
		if known != test.known || known && got != test.want {
			t.Errorf("%s, %s: %+v %v, want %+v %v", test.path, test.version, got, known, test.want, test.known)
		}
	}
}

// MPICH's headers are beside its libraries, of both interfaces.
func TestABIOfHeaders(t *testing.T) {
	mpirun := os.Getenv("UNIMO_MPICH")
	if mpirun == "" {
		t.Skip("not run: set UNIMO_MPICH to the mpirun of MPICH; make ranks installs one")
	}
	for header, a := range map[string]abi{"mpi_abi.h": standardABI, "mpi.h": mpichABI} {
		raw, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(mpirun)), "include", header))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]uintptr{
			"MPI_COMM_WORLD": a.world, "MPI_BYTE": a.byte, "MPI_ERRORS_RETURN": a.errorsReturn, "MPI_IN_PLACE": a.inPlace, "MPI_STATUS_IGNORE": a.statusIgnore,
			"MPI_THREAD_FUNNELED": uintptr(a.funneled), "MPI_THREAD_SERIALIZED": uintptr(a.serialized),
		} {
			// #define MPI_BYTE ((MPI_Datatype)0x4c00010d), or an enum's MPI_THREAD_FUNNELED = 1024
			m := regexp.MustCompile(`(?m)^(?:#define)?\s*` + name + `\b[\s=]*(?:\(?\([A-Za-z_]+\s*\*?\))?\s*(-?(?:0x)?[0-9a-f]+)`).FindStringSubmatch(string(raw))
			if m == nil {
				t.Errorf("%s does not define %s", header, name)
				continue
			}
			if n, err := strconv.ParseInt(m[1], 0, 64); err != nil || uintptr(n) != want {
				t.Errorf("%s: %s is %s, want %#x", header, name, m[1], want)
			}
		}
	}
}

// The library that is beside the launcher comes first, then those that the system finds.
func TestCandidates(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"bin/mpirun", "lib/libmpi.so.12", "lib/libmpi_abi.so.1", "lib/x86_64-linux-gnu/libmpi.so.40"} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for f, want := range map[family]string{
		mpich:   "lib/libmpi_abi.so.1 lib/libmpi.so.12 libmpi_abi.so.1 libmpi.so.12 libmpich.so.12 libmpi.so",
		openMPI: "lib/libmpi_abi.so.1 lib/x86_64-linux-gnu/libmpi.so.40 libmpi.so.40 libmpi_abi.so.1 libmpi.so",
	} {
		got := strings.ReplaceAll(strings.Join(candidates(f, filepath.Join(dir, "bin/mpirun")), " "), dir+"/", "")
		if got != want {
			t.Errorf("%s: %s, want %s", f, got, want)
		}
	}
}

// A launcher is found through what is between it and the rank.
func TestLauncherProgram(t *testing.T) {
	proc := t.TempDir()
	process := func(name, stat, exe string) {
		dir := filepath.Join(proc, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(exe, filepath.Join(dir, "exe")); err != nil {
			t.Fatal(err)
		}
	}
	process("self", "30 (uni) (mo) S 20 30", "/home/me/unimo-mpi")
	process("20", "20 (bash) S 10 20", "/usr/bin/bash")
	process("10", "10 (hydra_pmi_proxy) S 9 10", "/opt/mpich/bin/hydra_pmi_proxy")
	process("9", "9 (mpirun) S 8 9", "/opt/mpich/bin/mpirun")
	process("8", "8 (sh) S 7 8", "/usr/bin/dash")
	process("7", "7 (mpirun) S 1 7", "/usr/bin/orterun") // of another job, which started a script
	if got, want := startedBy(proc), []program{{10, "/opt/mpich/bin/hydra_pmi_proxy"}, {9, "/opt/mpich/bin/mpirun"}}; !slices.Equal(got, want) {
		t.Errorf("found %v", got)
	}
	if got := startedBy(t.TempDir()); got != nil {
		t.Errorf("found %v in nothing", got)
	}
}

// A process finds the first one of its launcher, past scripts, and no other's.
func TestFirstRuns(t *testing.T) {
	proc := t.TempDir()
	process := func(pid, parent, environment string) {
		dir := filepath.Join(proc, pid)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{"stat": pid + " (unimo-mpi) S " + parent + " 30", "environ": strings.ReplaceAll(environment, " ", "\x00")} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	process("self", "20", "HOME=/ LOCAL=1")
	process("20", "10", "HOME=/ LOCAL=1") // a script
	process("10", "1", "HOME=/")
	process("11", "1", "LOCAL=0") // of another launcher
	process("21", "10", "LOCAL=2")
	if firstRuns(proc, "LOCAL") {
		t.Error("found a first process, where there is none")
	}
	process("22", "10", "NOTLOCAL=3 LOCAL=0 X=1")
	if !firstRuns(proc, "LOCAL") {
		t.Error("found no first process")
	}
	process("22", "10", "") // ended
	if firstRuns(proc, "LOCAL") {
		t.Error("found a first process that has ended")
	}
}

func TestFamilies(t *testing.T) {
	for version, want := range map[string]family{
		"Open MPI v4.1.4, package: Debian OpenMPI": openMPI, "MPICH Version: 5.0.2": mpich, "Intel(R) MPI Library 2021.18 for Linux* OS": mpich,
		"CRAY MPICH version 8.1": mpich, "MVAPICH2 Version : 2.3": mpich, "something": anyFamily,
	} {
		if got := familyOf(version); got != want {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
	}
}

// What is no library, or no MPI library, is refused with what was tried.
func TestNoLibrary(t *testing.T) {
	text := filepath.Join(t.TempDir(), "libmpi.so")
	if err := os.WriteFile(text, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{
		text: "UNIMO_MPI: ", "/nowhere/libmpi.so.40": "UNIMO_MPI: ", "libm.so.6": "libm.so.6 has no function MPI_",
	} {
		_, err := open(Options{Library: name})
		if _, ok := err.(*UseError); !ok || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %s", name, err, says)
		}
	}
	err := notFound(Launch{Launcher: "mpirun of Open MPI", family: openMPI}, nil)
	if !strings.Contains(err.Error(), "install Open MPI") || !strings.Contains(err.Error(), LibraryVariable) {
		t.Error(err)
	}
}

// What changes a signal's handler is undone.
func TestRestoreActions(t *testing.T) {
	heard := make(chan os.Signal, 1)
	signal.Notify(heard, syscall.SIGUSR2)
	defer signal.Stop(heard)
	before := actions()
	changed := before
	changed[syscall.SIGUSR2] = before[syscall.SIGKILL] // the default: it would end the process
	restoreActions(changed)
	if actions() != changed {
		t.Fatal("the handler has not changed")
	}
	restoreActions(before)
	syscall.Kill(os.Getpid(), syscall.SIGUSR2)
	select {
	case <-heard:
	case <-time.After(5 * time.Second):
		t.Error("the signal did not come")
	}
	if now := actions(); now != before || slices.Equal(before[:], make([]action, len(before))) {
		t.Error("the handlers are not those of before")
	}
}
