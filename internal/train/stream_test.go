package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// stream is a line whose batches are drawn, not found by number. Its state is large and
// has bytes that are no text.
type stream struct {
	*line
	source  *rand.PCG
	drawn   []draw // of the step, not computed yet
	passed  []int  // batches drawn, computed or not
	see     func(p Part, mean float64)
	failing error // of RestoreStream
}

// draw is a batch of the stream.
type draw struct {
	batch int
	parts []Part
}

func newStream() *stream { return &stream{line: newLine(cpu.New()), source: rand.NewPCG(1, 2)} }

const streamPadding = 1 << 16

// Parts draws what Loss then computes: a part "all", one of another size, and one that not every batch has.
func (s *stream) Parts(int, int) ([]Part, error) {
	r := rand.New(s.source)
	d := draw{batch: r.IntN(lineBatches), parts: []Part{{"all", 1, lineBatch}, {"drawn", 0.5, 1 + r.IntN(9)}}}
	if r.IntN(3) == 0 {
		d.parts = append(d.parts, Part{"rare", 2, 1})
	}
	s.drawn, s.passed = append(s.drawn, d), append(s.passed, d.batch)
	return d.parts, nil
}

func (s *stream) Skip(epoch, batch int) error {
	_, err := s.Parts(epoch, batch)
	s.drawn = s.drawn[:len(s.drawn)-1]
	return err
}

func (s *stream) Loss(t *autograd.Tape, epoch, _ int) ([]*autograd.Var, int, error) {
	d := s.drawn[0]
	s.drawn = s.drawn[1:]
	var losses []*autograd.Var
	tokens := 0
	for range d.parts {
		loss, n, err := s.line.Loss(t, epoch, d.batch)
		if err != nil {
			return nil, 0, err
		}
		losses, tokens = append(losses, loss...), tokens+n
	}
	s.computed(t, d, losses)
	return losses, tokens, nil
}

// computed tells see of a batch.
func (s *stream) computed(t *autograd.Tape, d draw, losses []*autograd.Var) {
	if s.see == nil {
		return
	}
	for i, p := range d.parts {
		s.see(p, float64(engine.Values(s.dev, losses[i].Value)[0]))
	}
}

func (s *stream) Note(int, int) ([]byte, error) {
	return []byte{byte(s.drawn[len(s.drawn)-1].batch)}, nil
}

// Heed checks that every rank hears of the batches that it has computed or passed over.
func (s *stream) Heed(notes [][]byte) error {
	for i, batch := range s.passed[len(s.passed)-len(notes):] {
		if len(notes[i]) != 1 || int(notes[i][0]) != batch {
			return fmt.Errorf("batch %d of the step is %d, the note says %v", i, batch, notes[i])
		}
	}
	return nil
}

func (s *stream) StreamState() ([]byte, error) {
	state, err := s.source.MarshalBinary()
	return append(make([]byte, streamPadding), state...), err
}

func (s *stream) RestoreStream(state []byte) error {
	if s.failing != nil {
		return s.failing
	}
	return s.source.UnmarshalBinary(state[streamPadding:])
}

func newStreamTrainer(t *testing.T, root string, c Config) (*Trainer, *stream) {
	t.Helper()
	trainer, _ := newTrainer(t, root, c)
	s := newStream()
	trainer.Device, trainer.Task = s.dev, s
	return trainer, s
}

// steps returns the lines of steps of a log without what differs between equal runs.
func steps(t *testing.T, d *Dir) string {
	t.Helper()
	raw, err := os.ReadFile(d.Log())
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, `{"event":"step"`) {
			lines = append(lines, regexp.MustCompile(`"time":"[^"]*",|,"tokens_per_second":[^}]*`).ReplaceAllString(line, ""))
		}
	}
	return strings.Join(lines, "")
}

// A run over a stream that is interrupted anywhere, also between two lines of the log, ends
// in the same bits and writes the same lines.
func TestStreamIsResumed(t *testing.T) {
	c := testConfig()
	c.LogSteps, c.GradientAccumulation = 4, 2
	whole, _ := newStreamTrainer(t, t.TempDir(), c)
	outcome, err := whole.Run(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	want := steps(t, whole.Dir)
	if n := strings.Count(want, `"parts":{"all":`); n != 3 {
		t.Fatalf("%d lines with parts in\n%s", n, want)
	}
	for stop := 1; stop < outcome.Steps; stop += 2 {
		root := t.TempDir()
		trainer, _ := newStreamTrainer(t, root, c)
		ctx, cancel := context.WithCancel(t.Context())
		trainer.Observer = watcher{func(e StepEvent) {
			if e.Step == stop {
				cancel()
			}
		}}
		if _, err := trainer.Run(ctx, false); !errors.Is(err, context.Canceled) {
			t.Fatalf("stopped after step %d: got %v", stop, err)
		}
		trainer, _ = newStreamTrainer(t, root, c)
		if _, err := trainer.Run(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		if lastModel(t, root) != lastModel(t, whole.Dir.Root()) {
			t.Errorf("stopped after step %d: the final model differs", stop)
		}
		if got := steps(t, trainer.Dir); got != want {
			t.Errorf("stopped after step %d: the log has\n%s\nwant\n%s", stop, got, want)
		}
	}
}

// A stream that cannot go on is an error that says so; so is a snapshot without a stream, or
// with a damaged one.
func TestStreamCannotBeRestored(t *testing.T) {
	root := t.TempDir()
	trainer, _ := newStreamTrainer(t, root, testConfig())
	if _, err := trainer.Run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	trainer, s := newStreamTrainer(t, root, testConfig())
	s.failing = errors.New("a shard is gone")
	if _, err := trainer.Run(t.Context(), true); !errors.Is(err, s.failing) || !strings.Contains(err.Error(), "step-") {
		t.Errorf("got %v", err)
	}
	trainer, _ = newTrainer(t, root, testConfig())
	if _, err := trainer.Run(t.Context(), true); err == nil {
		t.Error("a task without stream went on from a stream")
	}
	files, _ := trainer.Dir.listSnapshots()
	for _, file := range files { // their last bytes are the stream's
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		raw[len(raw)-1] ^= 1
		if err := os.WriteFile(file, raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	trainer, _ = newStreamTrainer(t, root, testConfig())
	if _, err := trainer.Run(t.Context(), true); err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("the stream of all snapshots is damaged, got %v", err)
	}
	root = t.TempDir()
	trainer, _ = newTrainer(t, root, testConfig())
	if _, err := trainer.Run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	trainer, _ = newStreamTrainer(t, root, testConfig())
	if _, err := trainer.Run(t.Context(), true); err == nil || !strings.Contains(err.Error(), nameStream) {
		t.Errorf("got %v", err)
	}
}

// The parts of the log are means over all that was counted since the line before.
func TestParts(t *testing.T) {
	c := testConfig()
	c.LogSteps, c.GradientAccumulation = 3, 2
	trainer, s := newStreamTrainer(t, t.TempDir(), c)
	type total struct {
		sum float64
		n   int
	}
	var want []map[string]float64
	now := map[string]total{}
	s.see = func(p Part, mean float64) {
		now[p.Name] = total{now[p.Name].sum + mean*float64(p.Count), now[p.Name].n + p.Count}
	}
	var seen Numbers // of the newest event
	trainer.Observer = watcher{func(e StepEvent) {
		seen = e.Parts
		if e.Step%c.LogSteps == 0 || e.Step == e.Total {
			means := map[string]float64{}
			for name, v := range now {
				means[name] = v.sum / float64(v.n)
			}
			want, now = append(want, means), map[string]total{}
		}
	}}
	if _, err := trainer.Run(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	h, err := ReadHistory(trainer.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(h.Steps) != len(want) || len(want) != 4 {
		t.Fatalf("%d lines, want %d", len(h.Steps), len(want))
	}
	rare := 0
	for i, line := range h.Steps {
		if len(line.Parts) != len(want[i]) {
			t.Errorf("line %d has %v, want %v", i, line.Parts, want[i])
		}
		for name, v := range want[i] {
			if float64(line.Parts[name]) != v {
				t.Errorf("line %d: %s is %v, want %v", i, name, line.Parts[name], v)
			}
		}
		if _, ok := want[i]["rare"]; ok {
			rare++
		}
	}
	if last, _ := json.Marshal(h.Steps[3].Parts); rare == 0 || mustJSON(t, seen) != string(last) {
		t.Errorf("a rare part in %d lines; the last event has %v, the log %s", rare, seen, last)
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

var _ Streamer = (*stream)(nil)
