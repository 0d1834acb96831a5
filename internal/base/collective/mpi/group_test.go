package mpi

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/base/collective"
)

// stand stands for a library: goroutines are its ranks.
type stand struct {
	collective.Group
	mail  []chan []byte // to each rank
	alone bool          // it sees itself only
	calls int
	hangs chan struct{} // in barriers
	fails error
}

func (s *stand) name() string { return "a stand-in" }
func (s *stand) file() string { return "here" }
func (s *stand) init() error  { return s.fails }
func (s *stand) place() (int, int, error) {
	if s.alone {
		return 0, 1, nil
	}
	return s.Rank(), s.Size(), nil
}
func (s *stand) barrier() error {
	if s.hangs != nil {
		<-s.hangs
	}
	return s.Barrier()
}
func (s *stand) broadcast(x []byte, root int) error { s.calls++; return s.Broadcast(x, root) }
func (s *stand) allGather(send, recv []byte) error {
	s.calls++
	if send == nil {
		n := len(recv) / s.Size()
		send = recv[s.Rank()*n:][:n]
	}
	return s.AllGather(send, recv)
}
func (s *stand) allToAll(send, recv []byte) error { s.calls++; return s.AllToAll(send, recv) }
func (s *stand) exchange(send []byte, to int, recv []byte, from int) error {
	s.calls++
	s.mail[to] <- bytes.Clone(send)
	if got := <-s.mail[s.Rank()]; copy(recv, got) != len(got) || len(got) != len(recv) {
		return fmt.Errorf("got %d bytes, want %d", len(got), len(recv))
	}
	return s.Barrier() // so that the next message is of the next round
}
func (s *stand) abort(int)       {}
func (s *stand) finalize() error { return nil }
func (s *stand) exit(int)        {}

// What is larger than a call may have goes in pieces, and arrives the same.
func TestPieces(t *testing.T) {
	const size = 4
	mail := make([]chan []byte, size)
	for i := range mail {
		mail[i] = make(chan []byte, 1)
	}
	for _, largest := range []int{1 << 20, 64, 7} {
		err := collective.Run(size, func(of collective.Group) error {
			lib := &stand{Group: of, mail: mail}
			g, err := join(lib, Options{})
			if err != nil {
				return err
			}
			g.largest = largest
			const n = 20
			send, recv, want := make([]byte, n*size), make([]byte, n*size), make([]byte, n*size)
			for i := range send {
				send[i] = byte(10*g.Rank() + i)
				want[i] = byte(10*(i/n) + g.Rank()*n + i%n)
			}
			if err := g.AllToAll(send, recv); err != nil {
				return err
			}
			if !bytes.Equal(recv, want) {
				return fmt.Errorf("largest %d: all to all: %v, want %v", largest, recv, want)
			}
			for i := range want {
				want[i] = byte(10*(i/n) + i%n)
			}
			all := make([]byte, n*size)
			copy(all[g.Rank()*n:], send[:n])
			if err := errors.Join(g.AllGather(send[:n], recv), g.AllGather(all[g.Rank()*n:][:n], all)); err != nil {
				return err
			}
			if !bytes.Equal(recv, want) || !bytes.Equal(all, want) {
				return fmt.Errorf("largest %d: gather: %v, %v, want %v", largest, recv, all, want)
			}
			if err := g.Broadcast(send, 2); err != nil {
				return err
			}
			for i := range send {
				if send[i] != byte(20+i) {
					return fmt.Errorf("largest %d: broadcast: %v", largest, send)
				}
			}
			if want := map[int]int{1 << 20: 4, 64: 3 + 3 + 3 + 2, 7: 3*3 + 2*3*3 + 12}[largest]; lib.calls != want {
				return fmt.Errorf("largest %d: %d calls, want %d", largest, lib.calls, want)
			}
			return g.Close()
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestLengths(t *testing.T) {
	g, err := join(&stand{Group: collective.Alone{}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if g.AllGather(make([]byte, 2), make([]byte, 3)) == nil || g.AllToAll(make([]byte, 2), make([]byte, 3)) == nil {
		t.Error("lengths that do not fit were taken")
	}
}

// Processes that each believe to be alone are told so, before they do anything.
func TestDisagreement(t *testing.T) {
	environment := func(pairs ...string) Launch {
		return Launched(func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		})
	}
	for _, test := range []struct {
		launch Launch
		says   string
	}{
		{environment("OMPI_COMM_WORLD_SIZE", "4", "OMPI_COMM_WORLD_RANK", "2"),
			"mpirun of Open MPI started 4 processes (OMPI_COMM_WORLD_SIZE), but a stand-in (here) sees 1: it does not understand this launcher; start with the mpirun of that library, or name the launcher's library with UNIMO_MPI"},
		{environment("PMI_SIZE", "2", "PMI_RANK", "1", "MPI_LOCALNRANKS", "2", "MPI_LOCALRANKID", "1"), "mpirun of MPICH or Intel MPI started 2 processes (PMI_SIZE), but"},
		{environment("SLURM_STEP_NUM_TASKS", "3", "SLURM_PROCID", "0"), "srun started 3 processes (SLURM_STEP_NUM_TASKS), but a stand-in (here) sees 1: it does not understand this launcher; give srun the --mpi"},
		{environment("PMIX_RANK", "0"), "a launcher with PMIx started this process, but a stand-in (here) sees 1"},
	} {
		_, err := join(&stand{Group: collective.Alone{}, alone: true}, Options{Launch: test.launch})
		var use *UseError
		if !errors.As(err, &use) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v:\n%v\nwant\n%s", test.launch, err, test.says)
		}
	}
	if _, err := join(&stand{Group: collective.Alone{}, alone: true}, Options{Launch: environment("PMI_SIZE", "1", "PMI_RANK", "0")}); err != nil {
		t.Error(err)
	}
}

func TestLaunched(t *testing.T) {
	for _, test := range []struct {
		environment string
		want        Launch
		several     bool
	}{
		{"", Launch{}, false},
		{"SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_JOB_ID=7", Launch{}, false}, // a batch script
		{"OMPI_COMM_WORLD_SIZE=4 OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_LOCAL_RANK=1 PMIX_RANK=3 SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1",
			Launch{"mpirun of Open MPI", "OMPI_COMM_WORLD_SIZE", 3, 4, "OMPI_COMM_WORLD_LOCAL_RANK", "--bind-to none", openMPI}, true},
		{"PMI_SIZE=8 PMI_RANK=5 MPI_LOCALNRANKS=4 MPI_LOCALRANKID=0 SLURM_STEP_NUM_TASKS=2 SLURM_PROCID=1", Launch{"mpirun of MPICH or Intel MPI", "PMI_SIZE", 5, 8, "", "-bind-to none (Intel MPI: -genv I_MPI_PIN=off)", mpich}, true},
		{"PMI_SIZE=8 PMI_RANK=5 SLURM_STEP_NUM_TASKS=8 SLURM_PROCID=5 SLURM_LOCALID=1", Launch{"srun", "SLURM_STEP_NUM_TASKS", 5, 8, "SLURM_LOCALID", "--cpus-per-task=N", anyFamily}, true},
		{"PMI_SIZE=2 PMI_RANK=1", Launch{"a launcher with PMI", "PMI_SIZE", 1, 2, "", "", anyFamily}, true},
		{"PMIX_RANK=1", Launch{"a launcher with PMIx", "", 1, 0, "", "", anyFamily}, true},
		{"OMPI_COMM_WORLD_SIZE=1 OMPI_COMM_WORLD_RANK=0", Launch{"mpirun of Open MPI", "OMPI_COMM_WORLD_SIZE", 0, 1, "", "--bind-to none", openMPI}, false},
		{"OMPI_COMM_WORLD_SIZE=many OMPI_COMM_WORLD_RANK=0", Launch{}, false},
		{"OMPI_COMM_WORLD_SIZE=2", Launch{}, false},
	} {
		l := Launched(func(name string) string {
			for pair := range strings.FieldsSeq(test.environment) {
				if value, ok := strings.CutPrefix(pair, name+"="); ok {
					return value
				}
			}
			return ""
		})
		if l != test.want || l.Several() != test.several {
			t.Errorf("%q: %+v, several %v, want %+v, %v", test.environment, l, l.Several(), test.want, test.several)
		}
	}
}

// An operation that does not come back is told of, once, with its name.
func TestExpires(t *testing.T) {
	lib := &stand{Group: collective.Alone{}, hangs: make(chan struct{})}
	told := make(chan error, 2)
	g, err := join(lib, Options{Launch: Launch{Rank: 0, Size: 1}, Expired: func(err error) { told <- err }})
	if err != nil {
		t.Fatal(err)
	}
	g.SetTimeout(time.Millisecond)
	done := make(chan error)
	go func() { done <- g.Barrier() }()
	apart := &TimeoutError{Rank: 1, Size: 2, Operation: initOperation}
	if e := apart.Error(); !strings.Contains(e, "another MPI library") || !strings.Contains(e, LibraryVariable) || !collective.IsWrongUse(apart) {
		t.Error(e)
	}
	var late *TimeoutError
	if err := <-told; !errors.As(err, &late) || late.Operation != "MPI_Barrier" || collective.IsWrongUse(err) || !strings.Contains(err.Error(), "rank 0 of 1 has waited in MPI_Barrier since") {
		t.Error(err)
	}
	close(lib.hangs)
	if err := <-done; err != nil {
		t.Error(err)
	}
	g.SetTimeout(0)
	if err := g.Broadcast([]byte{1}, 0); err != nil {
		t.Error(err)
	}
	if len(told) != 0 {
		t.Error(<-told)
	}
}

func TestInitFails(t *testing.T) {
	broken := errors.New("no network")
	_, err := join(&stand{Group: collective.Alone{}, fails: broken}, Options{Launch: Launch{Rank: 1, Size: 2}})
	if !errors.Is(err, broken) || err.Error() != "rank 1 of 2, MPI_Init: no network" {
		t.Error(err)
	}
}
