package cli

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/base/collective/mpi"
)

// A program without MPI that a launcher starts several times refuses to train: each would train the same into one folder. What does not train is
// nobody's business.
func TestRanksNeedMPI(t *testing.T) {
	if mpi.Built {
		t.Skip("not run: this program has MPI")
	}
	t.Setenv("PMI_SIZE", "2")
	t.Setenv("MPI_LOCALNRANKS", "2")
	dir := t.TempDir()
	for rank, says := range []string{"mpirun of MPICH or Intel MPI started this process as one of several, and this program has no MPI: start unimo-mpi", ""} {
		t.Setenv("PMI_RANK", fmt.Sprint(rank))
		t.Setenv("MPI_LOCALRANKID", fmt.Sprint(rank))
		for _, args := range [][]string{{"finetune", "sst-2", "--data", dir, "--out", dir + "/run"}, {"pretrain", "--set", "text=" + dir, "--out", dir + "/run"}} {
			r := call(t, "", args...)
			if r.code != exitUsage || r.stdout != "" || says == "" && r.stderr != "" || !strings.Contains(r.stderr, says) || strings.Count(r.stderr, "\n") > 1 {
				t.Errorf("rank %d, %s: %+v", rank, args[0], r)
			}
		}
		if r := call(t, "", "version"); r.code != exitDone || !strings.HasPrefix(r.stdout, "unimo ") {
			t.Errorf("rank %d, version: %+v", rank, r)
		}
	}
}

// Ranks of a host share its processors; those that are bound to their own keep them.
func TestShareThreads(t *testing.T) {
	rank := func(host string, threads int, of int, cpus ...int) greeting {
		return greeting{Host: host, Threads: threads, CPUs: cpus, Of: of}
	}
	chosen := rank("a", 3, 4, 0, 1, 2, 3)
	chosen.Chosen = true
	for _, test := range []struct {
		what  string
		ranks []greeting
		want  []int
		warns string
	}{
		{"one each on two hosts", []greeting{rank("a", 4, 4, 0, 1, 2, 3), rank("b", 2, 2, 0, 1)}, []int{4, 2}, ""},
		{"two on one, bound to none", []greeting{rank("a", 4, 4, 0, 1, 2, 3), rank("a", 4, 4, 0, 1, 2, 3)}, []int{2, 2}, ""},
		{"more than processors", []greeting{rank("a", 2, 2, 0, 1), rank("a", 2, 2, 0, 1), rank("a", 2, 2, 0, 1)}, []int{1, 1, 1}, ""},
		{"bound to all", []greeting{rank("a", 2, 4, 0, 1), rank("a", 2, 4, 2, 3)}, []int{2, 2}, ""},
		{"bound to one of many", []greeting{rank("a", 1, 16, 0), rank("a", 1, 16, 1), rank("b", 16, 16, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)}, []int{1, 1, 16},
			"the launcher lets the 2 ranks on a use 2 of 16 processors; start with --bind-to none to use all"},
		{"chosen", []greeting{chosen, chosen}, []int{3, 3}, ""},
		{"not known", []greeting{rank("a", 8, 0), rank("a", 8, 0)}, []int{8, 8}, ""},
	} {
		threads, warnings := shareThreads(test.ranks, "--bind-to none")
		if !slices.Equal(threads, test.want) || strings.Join(warnings, "\n") != test.warns {
			t.Errorf("%s: %v %q, want %v %q", test.what, threads, warnings, test.want, test.warns)
		}
	}
	for want, threads := range map[string][]int{"1 thread each": {1, 1}, "8 threads each": {8}, "1 to 8 threads": {8, 1, 2}} {
		if got := threadsOf(threads); got != want {
			t.Errorf("%v: %q, want %q", threads, got, want)
		}
	}
}

// Ranks have a minute to find each other, or mpi_timeout, which is not checked yet.
func TestMeeting(t *testing.T) {
	for _, test := range []struct {
		set  []string
		want time.Duration
	}{
		{nil, time.Minute}, {[]string{"epochs=3"}, time.Minute}, {[]string{"mpi_timeout=2.5"}, 150 * time.Second}, {[]string{"mpi-timeout=5", "mpi_timeout=3"}, 3 * time.Minute},
		{[]string{"mpi_timeout=0"}, 0}, {[]string{"mpi_timeout=1e300"}, time.Minute}, {[]string{"mpi_timeout=long"}, time.Minute}, {[]string{"mpi_timeout"}, time.Minute},
	} {
		if got := meeting(test.set); got != test.want {
			t.Errorf("%v: %v, want %v", test.set, got, test.want)
		}
	}
}

// Ranks that would compute other numbers are refused, with what to do.
func TestSameProgram(t *testing.T) {
	first := greeting{Host: "a", Version: versionInfo{Version: "v1.2.0", Kernels: "avx512"}, Library: "Open MPI v5.0.11"}
	for says, change := range map[string]func(*greeting){
		"": func(*greeting) {},
		"rank 1 on b is unimo v1.3.0, and rank 0 on a v1.2.0; install the same on all": func(g *greeting) { g.Version.Version = "v1.3.0" },
		"rank 1 on b computes with avx2, and rank 0 on a with avx512":                  func(g *greeting) { g.Version.Kernels = "avx2" },
		"rank 1 on b has Open MPI v4.1.4, and rank 0 on a Open MPI v5.0.11":            func(g *greeting) { g.Library = "Open MPI v4.1.4" },
	} {
		other := first
		other.Host = "b"
		change(&other)
		err := sameProgram([]greeting{first, other})
		if says == "" && err != nil || says != "" && (err == nil || !strings.HasPrefix(err.Error(), says)) {
			t.Errorf("%v, want %q", err, says)
		}
	}
}
