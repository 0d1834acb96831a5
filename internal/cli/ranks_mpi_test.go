//go:build mpi && linux

package cli

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/test/ranks"
)

// startRanks starts n ranks of the command.
func startRanks(t *testing.T, l ranks.Launcher, n int, args ...string) *ranks.Job {
	return l.Start(t, n, []string{"UNIMO_TEST_COMMAND=1"}, args...)
}

// sameModels compares the models of two runs.
func sameModels(t *testing.T, what, run, want string) {
	t.Helper()
	for _, name := range []string{"best/model.safetensors", "last/model.safetensors"} {
		if read(t, filepath.Join(run, name)) != read(t, filepath.Join(want, name)) {
			t.Errorf("%s: %s is another than that of one process", what, name)
		}
	}
}

// Ranks train the model of one process, to the bit, also where they exchange while they compute (with more than one thread), have their part
// of the moments alone, or divide the update (with one); the first one speaks. A run that is stopped by a signal goes on under another launcher.
func TestRanksTrain(t *testing.T) {
	launchers := ranks.Launchers(t)
	data, dir := opinionsFolder(t), t.TempDir()
	args := func(out string) []string {
		return finetuneArgs(data, filepath.Join(dir, out), "gradient_accumulation=8")
	}
	alone := must(t, args("alone")...)
	for _, l := range launchers {
		for n, more := range map[int][]string{2: {"--threads", "2"}, 4: {"--set", "shard_optimizer=true"}, 8: {"--threads", "1"}} {
			out := strings.ReplaceAll(l.Name, " ", "")
			code, stdout, stderr := startRanks(t, l, n, append(args(out), more...)...).Wait()
			if code != exitDone {
				t.Fatalf("%s, %d ranks: exit code %d\n%s%s", l.Name, n, code, stdout, stderr)
			}
			// The same lines, but for the paths.
			if got, want := strings.ReplaceAll(strings.ReplaceAll(stdout, "\r", ""), out, "alone"), alone.stdout; got != want {
				t.Errorf("%s, %d ranks print %q, want %q", l.Name, n, got, want)
			}
			if strings.Count(stderr, "done in ") != 1 || strings.Count(stderr, "(best so far)") < 1 || strings.Count(stderr, " on 1 host, "+l.Name) != 1 {
				t.Errorf("%s, %d ranks say\n%s", l.Name, n, stderr)
			}
			sameModels(t, l.Name, filepath.Join(dir, out), filepath.Join(dir, "alone"))
			if err := os.RemoveAll(filepath.Join(dir, out)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRanksStop(t *testing.T) {
	launchers := ranks.Launchers(t)
	data, dir := opinionsFolder(t), t.TempDir()
	args := func(out string) []string {
		return finetuneArgs(data, filepath.Join(dir, out), "gradient_accumulation=2", "epochs=2")
	}
	must(t, args("alone")...)
	for i, l := range launchers {
		job := startRanks(t, l, 2, args(l.Name)...)
		job.Says("shared  2 ranks") // before the first step
		job.Signal(i%2, syscall.SIGUSR1)
		code, stdout, stderr := job.Wait()
		if code != exitInterrupted || stdout != "" || !strings.Contains(stderr, "go on with the same command and --resume") {
			t.Fatalf("%s, stopped: exit code %d\n%s%s", l.Name, code, stdout, stderr)
		}
		other := launchers[(i+1)%len(launchers)]
		if code, stdout, stderr := startRanks(t, other, 2, "resume", filepath.Join(dir, l.Name), "--set", "shard_optimizer=true").Wait(); code != exitDone {
			t.Fatalf("%s goes on under %s: exit code %d\n%s%s", l.Name, other.Name, code, stdout, stderr)
		}
		sameModels(t, l.Name, filepath.Join(dir, l.Name), filepath.Join(dir, "alone"))
	}
}

// A rank that hangs ends the others with one line, and the run can go on.
func TestRanksWatchdog(t *testing.T) {
	data, dir := opinionsFolder(t), t.TempDir()
	for _, l := range ranks.Launchers(t) {
		out := filepath.Join(dir, l.Name)
		job := startRanks(t, l, 2, finetuneArgs(data, out, "gradient_accumulation=2", "epochs=50", "mpi_timeout=0.05")...)
		job.Says("shared  2 ranks")
		began := time.Now()
		job.Signal(1, syscall.SIGSTOP)
		code, stdout, stderr := job.Wait()
		if took := time.Since(began); took > 30*time.Second {
			t.Errorf("%s: over after %v", l.Name, took)
		}
		if code == 0 || stdout != "" || strings.Count(stderr, "unimo: rank 0 of 2 has waited in MPI_") != 1 {
			t.Errorf("%s: exit code %d\n%s%s", l.Name, code, stdout, stderr)
		}
		if info := read(t, filepath.Join(out, "run.json")); strings.Contains(info, `"done"`) {
			t.Errorf("%s: run.json says %s", l.Name, info)
		}
	}
}

// What only one rank finds before it has joined the others is said, though they still wait for it.
func TestRanksOneAlone(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	args := finetuneArgs(data, out, "gradient_accumulation=2")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range ranks.Launchers(t) {
		if l.Name != "Open MPI" {
			continue // its launcher lets the first one wait in MPI_Init, and a piece of shared memory stays where that one is killed there
		}
		// The second one is started by a script, which finds no library.
		other := append([]string{":", "-n", "1", "sh", "-c", `UNIMO_MPI=/nowhere "$0" "$@"; exit $?`, self}, args...)
		job := startRanks(t, l, 1, append(args, other...)...)
		if code, stdout, stderr := job.Wait(); code == exitDone || stdout != "" || strings.Count(stderr, "unimo: rank 1: UNIMO_MPI: /nowhere: ") != 1 {
			t.Errorf("%s: exit code %d\n%s%s", l.Name, code, stdout, stderr)
		}
	}
}

// What is wrong is said once, and nothing is written.
func TestRanksRefuse(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	for _, l := range ranks.Launchers(t) {
		for _, test := range []struct {
			code int
			says string
			args []string
		}{
			{exitUsage, "settings does not share its work, and mpirun of " + l.Name, []string{"settings", "sst-2"}},
			{exitUsage, "a grid makes one run after the other", append(finetuneArgs(data, out), "--grid", "seed=1,2")},
			{exitUsage, `unknown setting "epoch"`, finetuneArgs(data, out, "epoch=2")},
			{exitFailed, "holds no run", []string{"resume", data}},
			{exitFailed, "does not exist", finetuneArgs(data+"/nowhere", out)},
			{exitUsage, "2 ranks share the batches of a step", finetuneArgs(data, out)},
		} {
			code, stdout, stderr := startRanks(t, l, 2, test.args...).Wait()
			if code != test.code || strings.Contains(stdout, "unimo") || strings.Count(stderr, "unimo: ") != 1 || !strings.Contains(stderr, test.says) {
				t.Errorf("%s, %s: exit code %d, want %d\n%s%s", l.Name, test.says, code, test.code, stdout, stderr)
			}
			if _, err := os.Stat(out); err == nil {
				t.Errorf("%s, %s: the run's folder is there", l.Name, test.says)
			}
		}
	}
}

// What only says something, the first rank says.
func TestRanksSayOnce(t *testing.T) {
	for _, l := range ranks.Launchers(t) {
		for _, args := range [][]string{{"--version"}, {"version"}, {"--help"}, {"help"}, {"help", "finetune"}, {"finetune", "sst-2", "--help"}} {
			code, stdout, stderr := startRanks(t, l, 2, args...).Wait()
			if alone := must(t, args...); code != exitDone || strings.ReplaceAll(stdout, "\r", "") != alone.stdout || stderr != "" {
				t.Errorf("%s, %v: exit code %d\n%s%s, alone\n%s", l.Name, args, code, stdout, stderr, alone.stdout)
			}
		}
	}
}
