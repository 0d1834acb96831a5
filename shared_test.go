package unimo

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
)

// seeing trains a model for two tasks, whose pictures a network sees, and returns its folder.
func seeing(t *testing.T) string {
	t.Helper()
	pictures := filepath.Join("testdata", "shapes")
	run, err := Finetune(t.Context(), FinetuneOptions{
		Task: "multi", Out: filepath.Join(t.TempDir(), "run"),
		TrainOptions: TrainOptions{Settings: Settings{
			"tasks": "vqa=" + filepath.Join("testdata", "questions") + ",coco-caption=" + pictures, "vqa.images_dir": filepath.Join(pictures, "images"),
			"extractor": filepath.Join("internal", "vision", "vit", "testdata", "vit"), "max_steps": 1, "batch_size": 2,
			"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 264,
			"coco-caption.min_out_len": 1, "coco-caption.max_out_len": 5, "coco-caption.beam_size": 1,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return run.Best
}

// task is an open model for one of the tasks, what it says of a picture, and what it may share.
type task struct {
	io.Closer
	says   func() (string, error)
	sees   func() (regions.Extractor, error)
	params model.Parameters
}

// openTask opens one of both tasks.
func openTask(t *testing.T, dir string, n int, list ...Option) (task, error) {
	picture, err := os.ReadFile(filepath.Join("testdata", "shapes", "images", "red-bar.png"))
	if err != nil {
		return task{}, err
	}
	if n%2 == 0 {
		m, err := OpenAnswerer(dir, list...)
		if err != nil {
			return task{}, err
		}
		return task{m, func() (string, error) {
			a, err := m.Ask(t.Context(), picture, "what is it?")
			if err != nil {
				return "", err
			}
			return a[0].Text, nil
		}, m.a.Extractor, m.a.Params}, nil
	}
	m, err := OpenCaptioner(dir, list...)
	if err != nil {
		return task{}, err
	}
	return task{m, func() (string, error) {
		c, err := m.Caption(t.Context(), picture)
		return c.Text, err
	}, m.c.Extractor, m.c.Params}, nil
}

func opening(t *testing.T, dir string, n int, list ...Option) task {
	t.Helper()
	x, err := openTask(t, dir, n, list...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// network is what sees the pictures of a task.
func (x task) network(t *testing.T) regions.Extractor {
	t.Helper()
	n, err := x.sees()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// common counts the variables that two tasks have in common.
func (x task) common(other task) (n int) {
	for _, p := range x.params {
		if slices.ContainsFunc(other.params, func(q model.Parameter) bool { return p.Var == q.Var }) {
			n++
		}
	}
	return n
}

// Tasks of a folder that are open at once have one network and one encoder, also those that are opened again, and say what they say alone, whichever
// of them is closed before.
func TestTasksOfAFolderShare(t *testing.T) {
	dir := seeing(t)
	var want [2]string
	for n := range want {
		alone := opening(t, dir, n)
		said, err := alone.says()
		if err = errors.Join(err, alone.Close()); err != nil {
			t.Fatal(err)
		}
		want[n] = said
	}
	check := func(n int, x task) {
		t.Helper()
		if said, err := x.says(); said != want[n%2] || err != nil {
			t.Errorf("task %d says %q, %v, want %q", n%2, said, err, want[n%2])
		}
	}
	for _, order := range [][3]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}} {
		var all [3]task
		for n := range all {
			all[n] = opening(t, dir, n)
			check(n, all[n])
		}
		first := all[0]
		if first.network(t) != all[1].network(t) || first.network(t) != all[2].network(t) {
			t.Error("not all have the same network")
		}
		if first.common(all[1]) < 20 || first.common(all[2]) != len(first.params) {
			t.Errorf("%d of %d variables are common to both tasks, %d to a task and itself", first.common(all[1]), len(first.params), first.common(all[2]))
		}
		for i, n := range order {
			if err := all[n].Close(); err != nil {
				t.Error(err)
			}
			if _, err := all[n].says(); !errors.Is(err, ErrClosed) {
				t.Errorf("closed, it says %v", err)
			}
			for _, left := range order[i+1:] {
				check(left, all[left])
			}
		}
	}

	first := opening(t, dir, 0)
	defer first.Close()
	check(0, first)
	network := first.network(t)
	for name, other := range map[string]task{"other threads": opening(t, dir, 0, Threads(1)), "another precision": opening(t, dir, 0, Precision("float32"))} {
		check(0, other)
		if other.network(t) == network || other.common(first) > 0 {
			t.Errorf("%s: something is shared", name)
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
	file := filepath.Join(dir, regions.WeightsFile)
	raw, err := os.ReadFile(file)
	if err == nil {
		err = atomicfile.WriteBytes(file, raw)
	}
	if err != nil {
		t.Fatal(err)
	}
	replaced := opening(t, dir, 1)
	defer replaced.Close()
	check(1, replaced)
	check(0, first)
	if replaced.network(t) == network {
		t.Error("the network of a file that was replaced is shared")
	}
}

// Goroutines open the tasks of a folder, ask at once, and close them.
func TestTasksOfAFolderAtOnce(t *testing.T) {
	dir := seeing(t)
	var wait sync.WaitGroup
	var mu sync.Mutex
	said := [2]string{}
	for n := range 6 {
		wait.Go(func() {
			for range 3 {
				x, err := openTask(t, dir, n)
				if err != nil {
					t.Error(err)
					return
				}
				for range 3 {
					s, err := x.says()
					mu.Lock()
					if said[n%2] == "" {
						said[n%2] = s
					}
					if s != said[n%2] || err != nil {
						t.Errorf("task %d says %q, %v, and said %q", n%2, s, err, said[n%2])
					}
					mu.Unlock()
				}
				if err := x.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
}
