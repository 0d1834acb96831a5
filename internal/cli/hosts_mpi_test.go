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

// What may die of two hosts ends the ranks on both, and the launcher, in time; nothing of them is left, and the run goes on to the same bits.
func TestHostsFail(t *testing.T) {
	launchers, hosts := ranks.Launchers(t), ranks.TwoHosts(t)
	data, dir := opinionsFolder(t), t.TempDir()
	args := func(out string) []string {
		return finetuneArgs(data, filepath.Join(dir, out), "gradient_accumulation=2", "epochs=40", "eval_steps=200", "snapshot_steps=5", "log_steps=1", "mpi_timeout=0.1")
	}
	must(t, args("alone")...)
	for _, event := range []struct {
		what string
		does func(*ranks.Job)
		says map[string]string
	}{
		{"a rank", func(j *ranks.Job) { j.Signal(1, syscall.SIGKILL) },
			map[string]string{"Open MPI": "exited on signal 9", "MPICH": "BAD TERMINATION"}}, // the launcher says it
		{"a daemon", func(j *ranks.Job) { j.KillDaemon(1) },
			map[string]string{"Open MPI": "Remote daemon: ", "MPICH": "rank 1 was told to stop, or its launcher's process is gone\n"}},
		{"the launcher", func(j *ranks.Job) { j.Kill() }, nil},
		{"the link", func(*ranks.Job) { hosts.Do("link", "down") },
			map[string]string{"Open MPI": "unimo: rank 0 of 2", "MPICH": "unimo: rank 0 of 2"}},
	} {
		for _, l := range launchers {
			out := l.Name + " without " + event.what
			job := l.StartOn(hosts, []string{"UNIMO_TEST_COMMAND=1"}, args(out)...)
			steps := func() int {
				log, _ := os.ReadFile(filepath.Join(dir, out, "log.jsonl"))
				return strings.Count(string(log), `"loss"`)
			}
			for began := time.Now(); steps() < 8; time.Sleep(20 * time.Millisecond) {
				if time.Since(began) > 40*time.Second {
					t.Fatalf("%s: no steps: %s", out, job.Says(""))
				}
			}
			began := time.Now()
			event.does(job)
			code, stdout, stderr := job.Wait()
			left := hosts.Processes()
			if took := time.Since(began); took > 45*time.Second || len(left) > 0 {
				t.Errorf("%s: over after %v, left are %v", out, took, left)
			}
			if code == 0 || !strings.Contains(stdout+stderr, event.says[l.Name]) || strings.Count(stderr, "unimo: ") > 1 {
				t.Errorf("%s: exit code %d\n%s%s", out, code, stdout, stderr)
			}
			if info := read(t, filepath.Join(dir, out, "run.json")); strings.Contains(info, `"done"`) {
				t.Errorf("%s: run.json says %s", out, info)
			}
			hosts.Do("link", "up")
			must(t, append(args(out), "--resume")...)
			sameModels(t, out, filepath.Join(dir, out), filepath.Join(dir, "alone"))
		}
	}
}
