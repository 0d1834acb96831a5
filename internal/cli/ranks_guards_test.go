//go:build mpi && linux

package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/collective/mpi"
	"github.com/unimo-go/unimo/internal/test/ranks"
)

// startTwo starts two ranks, each with arguments of its own, and the second one with more in its environment.
func startTwo(t *testing.T, l ranks.Launcher, first, env, second []string) *ranks.Job {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startRanks(t, l, 1, slices.Concat(first, []string{":", "-n", "1", "env"}, env, []string{self}, second)...)
}

// Ranks that would not compute the same, or cannot, are refused at the start: it is said once, and nothing is written.
func TestRanksDiffer(t *testing.T) {
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	other := opinionsFolder(t)
	writeFile(t, filepath.Join(other, "train.tsv"), read(t, filepath.Join(other, "train.tsv"))+"one more\t1\n")
	args := func(data string, settings ...string) []string {
		return finetuneArgs(data, out, append(settings, "gradient_accumulation=2")...)
	}
	for _, l := range ranks.Launchers(t) {
		for _, test := range []struct {
			code   int
			says   string
			env    []string
			second []string
		}{
			{exitUsage, "rank 1: seed is 7, on rank 0 ", nil, args(data, "seed=7")},
			{exitUsage, "rank 1: content of train is ", nil, args(other)},
			{exitFailed, "rank 1: ", nil, args(data + "/nowhere")},
			{exitUsage, `rank 1: unknown flag "--nowhere"`, nil, append(args(data), "--nowhere")},
			{exitUsage, "rank 1: seed is much, want a whole number", nil, args(data, "seed=much")},
			{exitUsage, "computes with generic, and rank 0 on ", []string{"UNIMO_CPU=generic"}, args(data)},
		} {
			code, stdout, stderr := startTwo(t, l, args(data), test.env, test.second).Wait()
			if code != test.code || strings.Contains(stdout, "unimo") || strings.Count(stderr, "unimo: ") != 1 || !strings.Contains(stderr, test.says) {
				t.Errorf("%s, %s: exit code %d, want %d\n%s%s", l.Name, test.says, code, test.code, stdout, stderr)
			}
			if _, err := os.Stat(out); err == nil {
				t.Fatalf("%s, %s: the run's folder is there", l.Name, test.says)
			}
		}
	}
}

// A library of another family than its launcher's, and none, are refused by every process. One of them says it.
func TestRanksWrongLibrary(t *testing.T) {
	list := ranks.Launchers(t)
	if len(list) < 2 {
		t.Skip("not run: one MPI alone")
	}
	data, out := opinionsFolder(t), filepath.Join(t.TempDir(), "run")
	for _, test := range []struct {
		launcher  ranks.Launcher
		mpi, says string
	}{
		{list[0], list[1].Library("libmpi_abi.so.1"), "mpirun of Open MPI started 2 processes (OMPI_COMM_WORLD_SIZE), but MPICH"},
		{list[1], "libmpi.so.40", "mpirun of MPICH or Intel MPI started 2 processes (PMI_SIZE), but Open MPI"},
		{list[0], "/nowhere/libmpi.so", "UNIMO_MPI: "},
		{list[1], "libm.so.6", "libm.so.6 has no function MPI_"},
	} {
		code, stdout, stderr := test.launcher.Start(t, 2, []string{"UNIMO_TEST_COMMAND=1", mpi.LibraryVariable + "=" + test.mpi}, finetuneArgs(data, out, "gradient_accumulation=2")...).Wait()
		if code != exitUsage || stdout != "" && !strings.Contains(stdout, "mpirun") && !strings.Contains(stdout, "BAD TERMINATION") || strings.Count(stderr, "unimo: ") != 1 || !strings.Contains(stderr, test.says) {
			t.Errorf("%s with %s: exit code %d\n%s%s", test.launcher.Name, test.mpi, code, stdout, stderr)
		}
		if _, err := os.Stat(out); err == nil {
			t.Fatalf("%s with %s: the run's folder is there", test.launcher.Name, test.mpi)
		}
	}
}

// Ranks pre-train the model of one process, also where a loss is over the pairs of all, and write one log.
func TestRanksPretrain(t *testing.T) {
	data, dir := collections(t), t.TempDir()
	args := func(out string) []string {
		return pretrainArgs(data, filepath.Join(dir, out), "max_steps=6", "eval_steps=4", "log_steps=1", "gradient_accumulation=4", "contrast_over_step=true")
	}
	must(t, args("alone")...)
	for _, l := range ranks.Launchers(t) {
		code, stdout, stderr := startRanks(t, l, 2, args(l.Name)...).Wait()
		if code != exitDone {
			t.Fatalf("%s: exit code %d\n%s%s", l.Name, code, stdout, stderr)
		}
		sameModels(t, l.Name, filepath.Join(dir, l.Name), filepath.Join(dir, "alone"))
		if !regexp.MustCompile(`ranks   2 on 1 host, .*; \d+ threads? each`).MatchString(stderr) {
			t.Errorf("%s: threads are not said:\n%s", l.Name, stderr)
		}
		log := read(t, filepath.Join(dir, l.Name, "log.jsonl"))
		for event, want := range map[string]int{"start": 1, "step": 6, "eval": 2, "trained": 1} {
			if got := strings.Count(log, `"event":"`+event+`"`); got != want {
				t.Errorf("%s: %d lines of %s in the log, want %d\n%s", l.Name, got, event, want, log)
			}
		}
	}
}
