package train

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/checkpoint"
)

// interrupted runs until after the given step, and returns the run's folder.
func interrupted(t *testing.T, c Config, after int) string {
	t.Helper()
	root := t.TempDir()
	trainer, _ := newTrainer(t, root, c)
	ctx, cancel := context.WithCancel(t.Context())
	trainer.Observer = watcher{func(e StepEvent) {
		if e.Step == after {
			cancel()
		}
	}}
	if _, err := trainer.Run(ctx, false); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	return root
}

// resume goes on with a run and returns what it warned of.
func resume(t *testing.T, root string, c Config) (Outcome, string) {
	t.Helper()
	var log bytes.Buffer
	trainer, _ := newTrainer(t, root, c)
	trainer.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	outcome, err := trainer.Run(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	return outcome, log.String()
}

// whole runs without an interrupt and returns the final model.
func whole(t *testing.T, c Config) string {
	t.Helper()
	root := t.TempDir()
	trainer, _ := newTrainer(t, root, c)
	if _, err := trainer.Run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	return lastModel(t, root)
}

// Every byte of a snapshot counts: one with another digit anywhere in its position is passed over
// with a warning, and the run ends in the same bits.
func TestDamagedPositionIsPassedOver(t *testing.T) {
	c := testConfig()
	want := whole(t, c)
	root := interrupted(t, c, 9)
	d := &Dir{root: root}
	files, err := d.listSnapshots()
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	sound, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	begin := bytes.Index(sound, []byte(`"state":"`))
	end := begin + bytes.Index(sound[begin:], []byte(`}"`))
	tried := 0
	for i := begin; i < end; i++ {
		if sound[i] < '0' || sound[i] > '9' {
			continue
		}
		if tried++; tried%10 != 0 {
			continue // each run takes a while
		}
		damaged := bytes.Clone(sound)
		damaged[i] = '0' + (damaged[i]-'0'+1)%10
		if err := os.WriteFile(files[0], damaged, 0o644); err != nil {
			t.Fatal(err)
		}
		again := t.TempDir()
		if err := os.CopyFS(again, os.DirFS(root)); err != nil {
			t.Fatal(err)
		}
		if _, warned := resume(t, again, c); !strings.Contains(warned, "damaged") || !strings.Contains(warned, "checksum") {
			t.Errorf("byte %d: warned of %q", i-begin, warned)
		}
		if lastModel(t, again) != want {
			t.Errorf("byte %d: another model", i-begin)
		}
	}
	if tried < 20 {
		t.Errorf("only %d digits in the position", tried)
	}
}

// Snapshots of earlier releases, whose checksum is of the tensors alone, are read.
func TestOldSnapshot(t *testing.T) {
	c := testConfig()
	root := interrupted(t, c, 9)
	files, _ := (&Dir{root: root}).listSnapshots()
	for _, file := range files {
		r, err := checkpoint.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		var tensors []checkpoint.Tensor
		for _, info := range r.Tensors() {
			raw, err := r.Bytes(info.Name)
			if err != nil {
				t.Fatal(err)
			}
			tensors = append(tensors, checkpoint.Tensor{Info: info, Data: bytes.Clone(raw)})
		}
		meta := r.Metadata()
		r.Close()
		delete(meta, keySum)
		infos := make([]checkpoint.Info, len(tensors))
		for i, tensor := range tensors {
			infos[i] = tensor.Info
		}
		if meta[keyOldSum], err = checksum("", content{infos, func(i int) ([]byte, error) { return tensors[i].Data, nil }}); err != nil {
			t.Fatal(err)
		}
		if err := checkpoint.WriteSafetensors(file, tensors, meta); err != nil {
			t.Fatal(err)
		}
	}
	if _, warned := resume(t, root, c); warned != "" {
		t.Errorf("warned of %q", warned)
	}
	if lastModel(t, root) != whole(t, c) {
		t.Error("another model")
	}
}

// Snapshots by the clock change nothing about the result, and one is taken before an evaluation
// that is due when it is time.
func TestSnapshotsByTime(t *testing.T) {
	c := testConfig()
	c.EvalSteps, c.SnapshotSteps, c.SnapshotMinutes = 0, 1000, 0
	want := whole(t, c)
	for _, minutes := range []float64{0, 1, 2.5} {
		c.SnapshotMinutes = minutes
		root := t.TempDir()
		trainer, _ := newTrainer(t, root, c)
		now := time.Unix(0, 0)
		trainer.now = func() time.Time { return now }
		var saved []int
		trainer.Observer = clocked{watcher{func(StepEvent) { now = now.Add(time.Minute) }}, func(step int) { saved = append(saved, step) }}
		if _, err := trainer.Run(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if lastModel(t, root) != want {
			t.Errorf("every %v minutes: another model", minutes)
		}
		wanted := map[float64]string{0: "[20]", 2.5: "[3 6 9 12 15 18 20]"}
		if s, ok := wanted[minutes]; ok && fmt.Sprint(saved) != s {
			t.Errorf("every %v minutes: snapshots after %v, want %s", minutes, saved, s)
		}
		if minutes == 1 && len(saved) < 20 {
			t.Errorf("every minute: snapshots after %v", saved)
		}
	}
}

// clocked is a watcher that is told of snapshots.
type clocked struct {
	watcher
	saved func(step int)
}

func (c clocked) Saved(step int) { c.saved(step) }

// When max_minutes is over, a run is saved and can be resumed to the same bits.
func TestMaxMinutes(t *testing.T) {
	c := testConfig()
	want := whole(t, c)
	c.MaxMinutes = 4
	root := t.TempDir()
	steps := 0
	for i := range 5 {
		trainer, _ := newTrainer(t, root, c)
		now := time.Unix(int64(i)*1e6, 0)
		trainer.now = func() time.Time { return now }
		trainer.Observer = watcher{func(StepEvent) { now, steps = now.Add(time.Minute), steps+1 }}
		outcome, err := trainer.Run(t.Context(), i > 0)
		if last := i == 4; !last && (err != ErrTimeUp || !errors.Is(err, context.Canceled) || outcome.Stopped != "interrupted") || last && err != nil {
			t.Fatalf("after %d steps: %q, %v", steps, outcome.Stopped, err)
		}
		if !HasSnapshot(root) {
			t.Fatal("nothing is saved")
		}
	}
	if steps != 20 || lastModel(t, root) != want {
		t.Errorf("%d steps, or another model", steps)
	}
}

// Models that are missing or damaged when a run goes on are mended. A best model that is lost gives
// way to the next one: the run can be finished whatever happened.
func TestModelsAreMended(t *testing.T) {
	const model = "model.safetensors"
	for name, damage := range map[string]func(dir string) error{
		"removed":           os.RemoveAll,
		"emptied":           func(dir string) error { return os.Remove(filepath.Join(dir, model)) },
		"truncated":         func(dir string) error { return os.Truncate(filepath.Join(dir, model), 20) },
		"a link to nowhere": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Symlink("nowhere", dir)) },
		"a folder in its file's place": func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, model)), os.Mkdir(filepath.Join(dir, model), 0o755))
		},
	} {
		for stop, lost := range map[int]bool{8: true, 9: false, 20: false} {
			c := testConfig() // evaluations after 3, 6, 9, ..., 20
			c.SnapshotSteps = 0
			root := t.TempDir()
			trainer, l := newTrainer(t, root, c)
			l.scores = []float64{1, 5, 6, 2, 2, 2, 7}
			ctx, cancel := context.WithCancel(t.Context())
			trainer.Observer = watcher{func(e StepEvent) {
				if e.Step == stop+1 {
					cancel()
				}
			}}
			trainer.Run(ctx, false)
			d := trainer.Dir
			if stop == 9 { // to the snapshot of the best step
				files, _ := d.listSnapshots()
				os.Remove(files[0])
			}
			best, _ := os.ReadFile(filepath.Join(d.Best(), model))
			for _, dir := range []string{d.Best(), d.Last()} {
				if err := damage(dir); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			trainer, l = newTrainer(t, root, c)
			trainer.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
			l.scores = []float64{2, 2, 2, 2, 2, 2, 2, 2}
			outcome, err := trainer.Run(t.Context(), true)
			if err != nil {
				t.Fatalf("%s after step %d: %v", name, stop, err)
			}
			if warned := strings.Contains(log.String(), "is gone"); warned != lost {
				t.Errorf("%s after step %d: log %q", name, stop, log.String())
			}
			if step, err := l.Repair(d.Best(), Note{}); err != nil || step != outcome.BestStep {
				t.Errorf("%s after step %d: best/ has step %d, want %d, %v", name, stop, step, outcome.BestStep, err)
			}
			if got, _ := os.ReadFile(filepath.Join(d.Best(), model)); !lost && !bytes.Equal(got, best) {
				t.Errorf("%s after step %d: another best model, of step %d", name, stop, outcome.BestStep)
			}
			if step, err := l.Repair(d.Last(), Note{}); err != nil || step != 20 {
				t.Errorf("%s after step %d: last/ has step %d, %v", name, stop, step, err)
			}
		}
	}
}

// Before there is a best model, what is in its place is not in its way.
func TestPlaceOfTheFirstBest(t *testing.T) {
	c := testConfig() // the first evaluation is after step 3
	root := interrupted(t, c, 2)
	best := (&Dir{root: root}).Best()
	if err := os.MkdirAll(filepath.Join(best, "model.safetensors"), 0o755); err != nil {
		t.Fatal(err)
	}
	resume(t, root, c)
	if info, err := os.Stat(filepath.Join(best, "model.safetensors")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("%v, %v", info, err)
	}
}

// A snapshot is written before the models: where these fail, it is there.
func TestSnapshotComesFirst(t *testing.T) {
	c := testConfig()
	want := whole(t, c)
	root := t.TempDir()
	trainer, l := newTrainer(t, root, c)
	trainer.Observer = watcher{func(e StepEvent) {
		if e.Step == 6 {
			l.failing = errors.New("no space left on device")
		}
	}}
	if _, err := trainer.Run(t.Context(), false); !errors.Is(err, l.failing) {
		t.Fatalf("got %v", err)
	}
	trainer, _ = newTrainer(t, root, c)
	trainer.Observer = watcher{func(e StepEvent) {
		if e.Step <= 6 {
			t.Errorf("step %d was repeated", e.Step)
		}
	}}
	if _, err := trainer.Run(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if lastModel(t, root) != want {
		t.Error("another model")
	}
}

// A damaged log costs its lines, never the run.
func TestDamagedLog(t *testing.T) {
	c := testConfig()
	for name, damage := range map[string]func(raw []byte) []byte{
		"first byte": func(raw []byte) []byte { raw[0] = '#'; return raw },
		"no text":    func(raw []byte) []byte { copy(raw[20:], "\x00\xff\x00"); return raw },
		"a word":     func(raw []byte) []byte { return append([]byte("{\"event\":\"step\",\"step\":\"x\"}\n"), raw...) },
		"cut":        func(raw []byte) []byte { return raw[:len(raw)-10] },
		"long":       func(raw []byte) []byte { return append(append(bytes.Repeat([]byte("x"), 3*maxLine), '\n'), raw...) },
		"list":       func(raw []byte) []byte { return append([]byte("[1]\n"), raw...) },
	} {
		root := interrupted(t, c, 9)
		d := &Dir{root: root}
		raw, err := os.ReadFile(d.Log())
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.Log(), damage(raw), 0o644); err != nil {
			t.Fatal(err)
		}
		resume(t, root, c)
		h, err := ReadHistory(d)
		if err != nil {
			t.Fatal(err)
		}
		if h.Unread < 1 || len(h.Steps) < 10 || h.Steps[len(h.Steps)-1].Step != 20 {
			t.Errorf("%s: %d lines unread, %d steps", name, h.Unread, len(h.Steps))
		}
	}
	root := interrupted(t, c, 9)
	d := &Dir{root: root}
	if err := os.Remove(d.Log()); err != nil {
		t.Fatal(err)
	}
	if h, err := ReadHistory(d); err != nil || len(h.Steps) > 0 {
		t.Errorf("without a log: %v, %v", h, err)
	}
	resume(t, root, c)
	if err := os.Remove(d.Log()); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(d.Log(), 0o755); err != nil {
		t.Fatal(err)
	}
	trainer, _ := newTrainer(t, root, c)
	trainer.Observer = watcher{func(StepEvent) { t.Error("it trained first") }}
	if _, err := trainer.Run(t.Context(), true); err == nil || !strings.Contains(err.Error(), "no ordinary file") {
		t.Errorf("a folder in the log's place: %v", err)
	}
	if err := os.Remove(d.Log()); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", d.Log()); err != nil {
		if runtime.GOOS != "windows" { // where links need a right of their own
			t.Fatal(err)
		}
		t.Skip("not run: ", err)
	}
	trainer, _ = newTrainer(t, root, c)
	if _, err := trainer.Run(t.Context(), true); err == nil || !strings.Contains(err.Error(), "no ordinary file") {
		t.Errorf("a link to nowhere in the log's place: %v", err)
	}
}

// The best model is chosen among evaluations that can be compared: one that was measured in another
// way gives way to any that was not, however good it looks.
func TestBestOfComparableEvaluations(t *testing.T) {
	nan := Number(math.NaN())
	final, vectors, loss := Evaluation{Score: 0.1}, Evaluation{Score: 0.9, How: "by vectors"}, Evaluation{Score: 2, Lower: true}
	for _, c := range []struct {
		name   string
		e, old Evaluation
		want   bool
	}{
		{"final after vectors", final, vectors, true},
		{"vectors after final", vectors, final, false},
		{"undefined after vectors", Evaluation{Score: nan}, vectors, true},
		{"better vectors", Evaluation{Score: 0.95, How: "by vectors"}, vectors, true},
		{"equal", final, final, false},
		{"lower loss", Evaluation{Score: 1, Lower: true}, loss, true},
		{"higher loss", Evaluation{Score: 3, Lower: true}, loss, false},
		{"a number after NaN", loss, Evaluation{Score: nan, Lower: true}, true},
		{"NaN after a number", Evaluation{Score: nan, Lower: true}, loss, false},
		{"lower than a loss that was kept as its negative", loss, Evaluation{Score: -3}, true},
	} {
		if got := c.e.better(c.old); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
