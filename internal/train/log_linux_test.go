package train

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// A disk that is full when a step is logged ends the run with what the log says, before the next step.
func TestLogCannotBeWritten(t *testing.T) {
	root := t.TempDir()
	trainer, _ := newTrainer(t, root, testConfig())
	steps := 0
	trainer.Observer = watcher{func(e StepEvent) {
		if steps++; steps == 1 {
			fill(t, filepath.Join(root, "log.jsonl"))
		}
	}}
	if _, err := trainer.Run(t.Context(), false); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v", err)
	}
	if steps != 1 {
		t.Errorf("%d steps were taken", steps)
	}
}

// fill lets the open file of this name be one on a full disk.
func fill(t *testing.T, path string) {
	t.Helper()
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if target, _ := os.Readlink("/proc/self/fd/" + f.Name()); target == path {
			fd, _ := strconv.Atoi(f.Name())
			if err := unix.Dup3(int(full.Fd()), fd, unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("%s is not open", path)
}
