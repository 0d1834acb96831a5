package train

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/optim"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
)

// line is a task small enough to check by hand: a linear map with dropout that
// learns the sign of a sum.
type line struct {
	dev         engine.Device
	w, b        *autograd.Var
	inputs      [][]float32
	classes     []int32
	evaluations int
	evaluating  func(n int) // called at the start of each evaluation; may be nil
	nan         int         // the batch whose loss is NaN, from 1; 0: none
	spoiled     int         // the batch with a gradient that is infinite, from 1; 0: none
	passes      int
	failing     error // of Save
	scores      []float64
}

const (
	lineInputs  = 8
	lineBatch   = 4
	lineBatches = 5
)

func newLine(d engine.Device) *line {
	l := &line{dev: d}
	variable := func(rows, cols int) *autograd.Var {
		v := autograd.Param(d.New(rows, cols), autograd.NewGradient(d.New(rows, cols)))
		values := make([]float32, rows*cols)
		for i := range values {
			values[i] = float32(i%3) * 0.1
		}
		d.Write(v.Value, values)
		return v
	}
	l.w, l.b = variable(lineInputs, 2), variable(1, 2)
	for i := range lineBatch * lineBatches {
		x := make([]float32, lineInputs)
		var sum float32
		for j := range x {
			x[j] = float32((i*7+j*5)%11) - 5
			sum += x[j]
		}
		class := int32(0)
		if sum > 0 {
			class = 1
		}
		l.inputs, l.classes = append(l.inputs, x), append(l.classes, class)
	}
	return l
}

func (l *line) Params() []optim.Param {
	return []optim.Param{{Name: "w", Value: l.w.Value, Grad: l.w.Gradient()}, {Name: "b", Value: l.b.Value, Grad: l.b.Gradient()}}
}

func (l *line) Batches(int) int      { return lineBatches }
func (l *line) Total(epochs int) int { return epochs * lineBatches }

func (l *line) Parts(int, int) ([]Part, error) { return []Part{{Weight: 1, Count: lineBatch}}, nil }

func (l *line) Loss(t *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	l.passes++
	var x []float32
	for _, row := range l.inputs[batch*lineBatch : (batch+1)*lineBatch] {
		x = append(x, row...)
	}
	if l.nan == l.passes {
		x[0] = float32(math.NaN())
	}
	in := autograd.Const(l.dev.Wrap(lineBatch, lineInputs, x))
	logits := t.Linear(in, autograd.NewWeight(l.w, engine.NN), l.b)
	logits = t.Dropout(logits, 0.3)
	if l.spoiled == l.passes {
		slopes := l.dev.New(logits.Value.Rows, logits.Value.Cols)
		l.dev.Write(slopes, slices.Repeat([]float32{math.MaxFloat32}, slopes.Len()))
		return []*autograd.Var{t.Given(logits, slopes)}, lineBatch, nil
	}
	return []*autograd.Var{t.CrossEntropy(logits, l.classes[batch*lineBatch:(batch+1)*lineBatch], 0)}, lineBatch, nil
}

func (l *line) Describe(_, batch int) string { return fmt.Sprintf("batch number %d", batch) }

func (l *line) Evaluate(ctx context.Context, _ int, tick func(int, int)) (Evaluation, error) {
	tick(1, 1)
	score := float64(engine.Values(l.dev, l.w.Value)[0])
	if l.evaluating != nil {
		l.evaluating(l.evaluations)
	}
	if n := l.evaluations; n < len(l.scores) {
		score = l.scores[n]
	}
	l.evaluations++
	return Evaluation{Score: Number(score), Metrics: Numbers{"score": Number(score)}}, ctx.Err()
}

func (l *line) Save(dir string, note Note) error {
	if l.failing != nil {
		return l.failing
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	w := checkpoint.FromFloat32("w", []int{lineInputs, 2}, engine.Values(l.dev, l.w.Value))
	return checkpoint.WriteSafetensors(filepath.Join(dir, "model.safetensors"), []checkpoint.Tensor{w}, map[string]string{"step": strconv.Itoa(note.Step)})
}

func (l *line) Repair(dir string, note Note) (int, error) {
	r, err := checkpoint.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		return 0, err
	}
	defer r.Close()
	return strconv.Atoi(r.Metadata()["step"])
}

// watcher calls a function after each step.
type watcher struct{ step func(StepEvent) }

func (w watcher) Step(e StepEvent) {
	if w.step != nil {
		w.step(e)
	}
}
func (watcher) Evaluating(int, int)             {}
func (watcher) Evaluated(int, Evaluation, bool) {}
func (watcher) Saved(int)                       {}

func testConfig() Config {
	c := Default
	c.Epochs, c.LearningRate, c.LogSteps, c.EvalSteps, c.SnapshotSteps = 4, 0.01, 1, 3, 2
	return c
}

func newTrainer(t *testing.T, root string, c Config) (*Trainer, *line) {
	t.Helper()
	return newTrainerOn(t, cpu.New(), root, c)
}

func newTrainerOn(t *testing.T, d engine.Device, root string, c Config) (*Trainer, *line) {
	t.Helper()
	dir := &Dir{root: root} // without its lock: tests go on with a run in one process
	if err := dir.WriteInfo(Info{Status: Running}); err != nil {
		t.Fatal(err)
	}
	l := newLine(d)
	return &Trainer{Config: c, Device: l.dev, Task: l, Dir: dir, Observer: watcher{}, Log: slog.New(slog.DiscardHandler)}, l
}

func lastModel(t *testing.T, root string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "last", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// A run interrupted after any step and resumed ends in the same bits, whatever the
// accumulation; so does one that resumes from an older snapshot.
func TestResumeEndsInTheSameBits(t *testing.T) {
	for _, accumulate := range []int{1, 3} {
		c := testConfig()
		c.GradientAccumulation = accumulate
		whole := t.TempDir()
		trainer, _ := newTrainer(t, whole, c)
		outcome, err := trainer.Run(t.Context(), false)
		if err != nil {
			t.Fatal(err)
		}
		wantSteps := (4*lineBatches + accumulate - 1) / accumulate
		if outcome.Steps != wantSteps {
			t.Fatalf("%d steps, want %d", outcome.Steps, wantSteps)
		}
		for stop := 1; stop < outcome.Steps; stop++ {
			root := t.TempDir()
			trainer, _ := newTrainer(t, root, c)
			ctx, cancel := context.WithCancel(t.Context())
			trainer.Observer = watcher{func(e StepEvent) {
				if e.Step == stop {
					cancel()
				}
			}}
			if _, err := trainer.Run(ctx, false); !errors.Is(err, context.Canceled) {
				t.Fatalf("stopped after step %d: got %v", stop, err)
			}
			if stop%2 == 1 { // as if the newest snapshot had been lost
				files, _ := trainer.Dir.listSnapshots()
				os.Remove(files[0])
			}
			trainer, _ = newTrainer(t, root, c)
			resumed, err := trainer.Run(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			if lastModel(t, root) != lastModel(t, whole) {
				t.Errorf("accumulation %d, stopped after step %d: the final model differs", accumulate, stop)
			}
			if resumed.Best.Score != outcome.Best.Score || resumed.BestStep != outcome.BestStep {
				t.Errorf("stopped after step %d: best %v at %d, want %v at %d", stop, resumed.Best.Score, resumed.BestStep, outcome.Best.Score, outcome.BestStep)
			}
		}
	}
}

// "After each epoch" holds also where a step takes batches of two epochs.
func TestEvaluationAfterEachEpoch(t *testing.T) {
	for accumulate, want := range map[int]int{1: 4, 2: 4, 3: 4, 7: 3} {
		c := testConfig()
		c.EvalSteps, c.GradientAccumulation = 0, accumulate
		trainer, l := newTrainer(t, t.TempDir(), c)
		if _, err := trainer.Run(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		if l.evaluations != want {
			t.Errorf("accumulation %d: %d evaluations in 4 epochs, want %d", accumulate, l.evaluations, want)
		}
	}
}

// Where saving fails, an interrupt must not say that the run was saved.
func TestFailedSaveOnInterrupt(t *testing.T) {
	trainer, l := newTrainer(t, t.TempDir(), testConfig())
	ctx, cancel := context.WithCancel(t.Context())
	trainer.Observer = watcher{func(StepEvent) {
		l.failing = errors.New("no space left on device")
		cancel()
	}}
	_, err := trainer.Run(ctx, false)
	if !errors.Is(err, l.failing) || errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// An interrupt in an evaluation saves the step before it, and the evaluation is
// repeated.
func TestInterruptedEvaluationIsRepeated(t *testing.T) {
	c := testConfig()
	c.SnapshotSteps = 100
	whole := t.TempDir()
	trainer, _ := newTrainer(t, whole, c)
	outcome, err := trainer.Run(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	trainer, l := newTrainer(t, root, c)
	ctx, cancel := context.WithCancel(t.Context())
	l.evaluating = func(n int) {
		if n == 1 { // the second
			cancel()
		}
	}
	if _, err := trainer.Run(ctx, false); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	trainer, _ = newTrainer(t, root, c)
	trainer.Observer = watcher{func(e StepEvent) {
		if e.Step <= 6 {
			t.Errorf("step %d was repeated", e.Step)
		}
	}}
	resumed, err := trainer.Run(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	if resumed.BestStep != outcome.BestStep || lastModel(t, root) != lastModel(t, whole) {
		t.Errorf("best step %d, want %d, or another model", resumed.BestStep, outcome.BestStep)
	}
}

// A run that stopped early and died before it could say so stops at the same step
// when it is resumed.
func TestEarlyStopIsResumed(t *testing.T) {
	c := testConfig()
	c.EarlyStopping = 1
	root := t.TempDir()
	for resumed := range 2 {
		trainer, l := newTrainer(t, root, c)
		l.scores = []float64{3, 1, 2, 4, 5, 6, 7}
		outcome, err := trainer.Run(t.Context(), resumed == 1)
		if err != nil {
			t.Fatal(err)
		}
		if outcome.Steps != 6 || outcome.BestStep != 3 || outcome.Stopped == "" {
			t.Errorf("%d steps, best %d, stopped %q", outcome.Steps, outcome.BestStep, outcome.Stopped)
		}
	}
}

// The log of a resumed run has every step once.
func TestResumeTruncatesTheLog(t *testing.T) {
	root := t.TempDir()
	c := testConfig()
	trainer, _ := newTrainer(t, root, c)
	ctx, cancel := context.WithCancel(t.Context())
	trainer.Observer = watcher{func(e StepEvent) {
		if e.Step == 7 {
			cancel()
		}
	}}
	trainer.Run(ctx, false)
	files, err := trainer.Dir.listSnapshots()
	if err != nil || len(files) != keepSnapshots {
		t.Fatalf("%d snapshots, %v", len(files), err)
	}
	os.Remove(files[0])
	trainer, _ = newTrainer(t, root, c)
	if _, err := trainer.Run(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	h, err := ReadHistory(trainer.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range h.Steps {
		if s.Step != i+1 {
			t.Fatalf("line %d of the steps is step %d", i, s.Step)
		}
	}
	if len(h.Steps) != 4*lineBatches || len(h.Evals) != 7 {
		t.Errorf("%d steps and %d evaluations in the log", len(h.Steps), len(h.Evals))
	}
}

func TestDamagedSnapshotIsPassedOver(t *testing.T) {
	root := t.TempDir()
	c := testConfig()
	trainer, _ := newTrainer(t, root, c)
	if _, err := trainer.Run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	want := lastModel(t, root)
	files, _ := trainer.Dir.listSnapshots()
	damage := func(file string) {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)-1] ^= 1
		if err := os.WriteFile(file, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	damage(files[0])
	trainer, _ = newTrainer(t, root, c)
	if _, err := trainer.Run(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if lastModel(t, root) != want {
		t.Error("the run resumed from the older snapshot ends in another model")
	}
	files, _ = trainer.Dir.listSnapshots()
	for _, file := range files {
		damage(file)
	}
	trainer, _ = newTrainer(t, root, c)
	if _, err := trainer.Run(t.Context(), true); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("all snapshots are damaged, got %v", err)
	}
}

func TestNonFiniteLossStopsTheRun(t *testing.T) {
	root := t.TempDir()
	trainer, l := newTrainer(t, root, testConfig())
	l.nan = 8 // second epoch, third batch
	_, err := trainer.Run(t.Context(), false)
	var bad *NonFiniteError
	if !errors.As(err, &bad) {
		t.Fatalf("got %v", err)
	}
	if bad.Step != 8 || bad.Epoch != 2 || bad.Batch != 3 || !strings.Contains(err.Error(), "batch number 2") {
		t.Errorf("got %v", err)
	}
	for _, p := range l.Params() {
		for _, v := range engine.Values(l.dev, p.Value) {
			if math.IsNaN(float64(v)) {
				t.Fatal("the parameters are no numbers")
			}
		}
	}
}

func TestBestModelAndEarlyStopping(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name      string
		scores    []float64
		stopping  int
		bestStep  int
		steps     int
		bestScore float64
	}{
		{"last is best", []float64{1, 2, 3, 4, 5, 6, 7}, 2, 20, 20, 7},
		{"ties keep the earlier", []float64{1, 1, 1, 1, 1, 1, 1}, 0, 3, 20, 1},
		{"stops", []float64{1, 3, 2, 2, 9, 9, 9}, 2, 6, 12, 3},
		{"undefined is worst", []float64{nan, nan, 0, nan, nan, nan, nan}, 0, 9, 20, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig()
			cfg.EarlyStopping = c.stopping
			trainer, l := newTrainer(t, t.TempDir(), cfg)
			l.scores = c.scores
			o, err := trainer.Run(t.Context(), false)
			if err != nil {
				t.Fatal(err)
			}
			if o.BestStep != c.bestStep || o.Steps != c.steps || float64(o.Best.Score) != c.bestScore {
				t.Errorf("best %v at step %d of %d, want %v at %d of %d", o.Best.Score, o.BestStep, o.Steps, c.bestScore, c.bestStep, c.steps)
			}
			if (o.Stopped != "") != (c.stopping > 0 && c.steps < 20) {
				t.Errorf("stopped %q", o.Stopped)
			}
		})
	}
}

func TestSaveErrorEndsTheRun(t *testing.T) {
	trainer, l := newTrainer(t, t.TempDir(), testConfig())
	l.failing = errors.New("no space left on device")
	if _, err := trainer.Run(t.Context(), false); !errors.Is(err, l.failing) {
		t.Errorf("got %v", err)
	}
}

func TestNewDirRefusesOtherFolders(t *testing.T) {
	root := t.TempDir()
	d, err := NewDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.WriteInfo(Info{}); err != nil {
		t.Fatal(err)
	}
	if _, err := NewDir(root); !errors.Is(err, ErrRunExists) {
		t.Errorf("got %v", err)
	}
	other := t.TempDir()
	os.WriteFile(filepath.Join(other, ".DS_Store"), nil, 0o644)
	if _, err := NewDir(other); err != nil {
		t.Errorf("a folder with a hidden file alone: %v", err)
	}
	other = t.TempDir()
	os.WriteFile(filepath.Join(other, "thesis.txt"), nil, 0o644)
	if _, err := NewDir(other); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v", err)
	}
	if _, _, err := OpenDir(other); err == nil {
		t.Error("a foreign folder was taken for a run")
	}
}

// A process killed before run.json was there leaves at most a half-written file,
// and the folder can be used again.
func TestFolderOfARunKilledAtOnce(t *testing.T) {
	for _, open := range []func(string) error{
		func(root string) error { _, err := NewDir(root); return err },
		func(root string) error { _, _, err := OpenDir(root); return err },
	} {
		root := t.TempDir()
		os.WriteFile(filepath.Join(root, ".unimo-partial-1"), []byte("{"), 0o644)
		if err := open(root); err != nil {
			t.Error(err)
		}
	}
}

func TestCheckSame(t *testing.T) {
	info := func(epochs int, digest string) Info {
		c := Default
		c.Epochs = epochs
		return Info{Task: "t", Config: c, Data: map[string]string{"train": digest}}
	}
	root := t.TempDir()
	d, _, err := OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.WriteInfo(info(3, "a")); err != nil {
		t.Fatal(err)
	}
	old, err := d.ReadInfo()
	if err != nil {
		t.Fatal(err)
	}
	if err := old.CheckSame(info(3, "a")); err != nil {
		t.Errorf("equal settings: %v", err)
	}
	drawn, dealt := info(3, "a"), info(3, "a")
	drawn.Random++
	dealt.Batches++
	for want, now := range map[string]Info{
		"epochs was 3 and is 4": info(4, "a"), "the content of train has changed": info(3, "b"), "other random numbers": drawn, "other examples": dealt,
	} {
		if err := old.CheckSame(now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	if err := Default.Validate(); err != nil {
		t.Fatal(err)
	}
	for key, change := range map[string]func(*Config){
		"epochs":                func(c *Config) { c.Epochs = 0 },
		"batch_size":            func(c *Config) { c.BatchSize = 0 },
		"gradient_accumulation": func(c *Config) { c.GradientAccumulation = 0 },
		"learning_rate":         func(c *Config) { c.LearningRate = math.NaN() },
		"warmup_proportion":     func(c *Config) { c.WarmupProportion = 1.5 },
		"beta2":                 func(c *Config) { c.Beta2 = 1 },
		"epsilon":               func(c *Config) { c.Epsilon = 0 },
		"log_steps":             func(c *Config) { c.LogSteps = 0 },
		"schedule":              func(c *Config) { c.LRScheduler = "no" },
	} {
		c := Default
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: got %v", key, err)
		}
	}
}
