//go:build linux

package ranks

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/test/doubles"
)

// Launcher starts processes that compute together: the mpirun of an MPI that is installed here.
type Launcher struct {
	Name   string
	mpirun string
	args   []string
	remote []string // by which it starts ranks on [Hosts], before the path of their script
	env    []string // with which these talk over the network
}

// Launchers are those that the environment names, as "make ranks" does; without any the test is not run.
func Launchers(t *testing.T) (list []Launcher) {
	t.Helper()
	for _, l := range []struct {
		Launcher
		variable string
	}{
		{Launcher{Name: "Open MPI", args: []string{"--oversubscribe", "--bind-to", "none"}, remote: []string{"--host", addresses, "--mca", "plm_rsh_agent"}}, "UNIMO_OPENMPI"},
		// UCX sees that the hosts have one kernel, and would take its memory.
		{Launcher{Name: "MPICH", remote: []string{"-hosts", addresses, "-iface", "unimo", "-launcher", "rsh", "-launcher-exec"}, env: []string{"UCX_TLS=tcp,self"}}, "UNIMO_MPICH"},
	} {
		if l.mpirun = os.Getenv(l.variable); l.mpirun == "" {
			t.Logf("not run: %s: set %s to its mpirun; make ranks does", l.Name, l.variable)
			continue
		}
		list = append(list, l.Launcher)
	}
	if list == nil {
		t.Skip("not run: no MPI launcher")
	}
	return list
}

// Library is the path of a library of the launcher's MPI.
func (l Launcher) Library(name string) string {
	return filepath.Join(filepath.Dir(filepath.Dir(l.mpirun)), "lib", name)
}

// Job is ranks of this test's program that a launcher has started.
type Job struct {
	t              *testing.T
	what           string
	command        *exec.Cmd
	stdout, stderr doubles.Log
	ctx            context.Context
	cancel         context.CancelFunc
	before         []string // files in shared memory
}

// Start has n ranks run this test's program with more in the environment, for a minute at most.
func (l Launcher) Start(t *testing.T, n int, env []string, args ...string) *Job {
	t.Helper()
	return l.start(t, n, []string{l.mpirun}, env, args)
}

// StartOn is [Launcher.Start] of a rank on each of two hosts; the launcher is on the first.
func (l Launcher) StartOn(h *Hosts, env []string, args ...string) *Job {
	h.t.Helper()
	return l.start(h.t, 2, slices.Concat([]string{h.script, "on", "a", l.mpirun}, l.remote, []string{h.script}), slices.Concat(h.env, l.env, env), args)
}

func (l Launcher) start(t *testing.T, n int, command, env, args []string) *Job {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	j := &Job{t: t, what: fmt.Sprintf("%s, %d ranks, %s %s", l.Name, n, strings.Join(env, " "), strings.Join(args, " ")), before: sharedMemory()}
	j.ctx, j.cancel = context.WithTimeout(context.Background(), time.Minute)
	all := slices.Concat(command[1:], []string{"-n", fmt.Sprint(n)}, l.args, []string{self}, args)
	j.command = exec.CommandContext(j.ctx, command[0], all...)
	// Two ranks of a test have less to do than to wait for, which MPI does with all of a processor.
	j.command.Env = slices.Concat(os.Environ(), []string{"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_mpi_yield_when_idle=1"}, env)
	j.command.Stdout, j.command.Stderr = &j.stdout, &j.stderr
	j.command.Cancel = func() error { return j.command.Process.Signal(syscall.SIGTERM) }
	j.command.WaitDelay = 10 * time.Second
	if err := j.command.Start(); err != nil {
		t.Fatal(err)
	}
	return j
}

// Says waits until standard error has a text, and returns what is there by then.
func (j *Job) Says(text string) string {
	j.t.Helper()
	j.stderr.Wait(j.t, text)
	return j.stderr.String()
}

// Signal sends a signal to one of the ranks.
func (j *Job) Signal(rank int, s syscall.Signal) {
	j.t.Helper()
	if err := syscall.Kill(j.process(rank), s); err != nil {
		j.t.Fatal(err)
	}
}

// process is that of a rank.
func (j *Job) process(rank int) int {
	j.t.Helper()
	for pid, r := range ranks() {
		if r == fmt.Sprint(rank) {
			return pid
		}
	}
	j.t.Fatalf("%s: no process is rank %d", j.what, rank)
	return 0
}

// KillDaemon kills the process of the launcher that has started a rank.
func (j *Job) KillDaemon(rank int) {
	j.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", j.process(rank)))
	if err != nil {
		j.t.Fatal(err)
	}
	var daemon int
	fmt.Sscan(strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))[1], &daemon) // the parent
	if err := syscall.Kill(daemon, syscall.SIGKILL); err != nil {
		j.t.Fatal(err)
	}
}

// Kill kills the launcher.
func (j *Job) Kill() { j.command.Process.Kill() }

// Wait waits for the launcher to end and returns its exit code. Neither a rank nor a file in shared memory may be left then.
func (j *Job) Wait() (code int, stdout, stderr string) {
	j.t.Helper()
	defer j.cancel()
	err := j.command.Wait()
	if j.ctx.Err() != nil {
		j.t.Errorf("%s: not over after a minute", j.what)
	}
	j.t.Logf("%s: %v", j.what, err)
	var left map[int]string
	for range 100 {
		if left = ranks(); len(left) == 0 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	for pid, rank := range left {
		j.t.Errorf("%s: process %d, rank %s, is left", j.what, pid, rank)
	}
	for _, name := range sharedMemory() {
		if !slices.Contains(j.before, name) {
			j.t.Errorf("%s: %s is left in shared memory", j.what, name)
		}
	}
	return j.command.ProcessState.ExitCode(), j.stdout.String(), j.stderr.String()
}

// ranks are the processes of this test's program that have a rank.
func ranks() map[int]string {
	found := map[int]string{}
	self, _ := os.Executable()
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		if exe, err := os.Readlink(filepath.Join(p, "exe")); err != nil || exe != self {
			continue
		}
		environment, _ := os.ReadFile(filepath.Join(p, "environ"))
		for pair := range bytes.SplitSeq(environment, []byte{0}) {
			name, value, _ := strings.Cut(string(pair), "=")
			if name == "OMPI_COMM_WORLD_RANK" || name == "PMI_RANK" {
				var pid int
				fmt.Sscan(filepath.Base(p), &pid)
				found[pid] = value
			}
		}
	}
	return found
}

// sharedMemory lists the files of shared memory that MPI libraries make.
func sharedMemory() (names []string) {
	for _, pattern := range []string{"mpich_*", "ucx_*", "vader_*", "sm_*", "*ompi*", "Intel_MPI_*"} {
		found, _ := filepath.Glob("/dev/shm/" + pattern)
		names = append(names, found...)
	}
	return names
}
