package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/internal/train"
)

// watcher is told how a part goes on, and calls stage with each stage's name.
type watcher struct{ stage func(name string) }

func (w watcher) Stage(name string)                      { w.stage(name) }
func (watcher) Tick(done, total int)                     {}
func (watcher) Step(train.StepEvent)                     {}
func (watcher) Evaluating(done, total int)               {}
func (watcher) Evaluated(int, train.Evaluation, bool)    {}
func (watcher) Saved(int)                                {}
func (w watcher) watch(*run.Task) (run.Observer, func()) { return w, func() {} }

// small makes a part small enough for a test.
func small(p Part) Part {
	p.Sizes = Sizes{Train: 500, Dev: 20, HeldOut: 20}
	p.Settings = append(slices.Clone(p.Settings), "vocab_size=400", "num_hidden_layers=1", "hidden_size=16", "num_attention_heads=2", "max_steps=4", "eval_steps=4")
	if p.Tuning != nil {
		p.Settings = append(p.Settings, "held_out=20", "shuffle_buffer=50")
		p.Tuning = append(slices.Clone(p.Tuning), "num_hidden_layers=1", "hidden_size=16", "num_attention_heads=2", "max_steps=3", "eval_steps=3")
	}
	return p
}

func runPart(t *testing.T, ctx context.Context, p Part, dir string, w watcher) (Outcome, error) {
	t.Helper()
	return p.Run(ctx, Options{Dir: dir, Version: map[string]string{"unimo": "test"}, Log: slog.New(slog.DiscardHandler), Watch: w.watch})
}

// Every part goes on to its end and leaves scores and a page that says that its data are invented.
func TestParts(t *testing.T) {
	for _, p := range Parts() {
		t.Run(p.Name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), p.Name)
			out, err := runPart(t, t.Context(), small(p), dir, watcher{func(string) {}})
			if err != nil {
				t.Fatal(err)
			}
			if p.Tuning != nil {
				if want := []string{"image_recall@1", "image_recall@1_alone", "masked_accuracy", "text_recall@1", "text_recall@1_alone"}; !slices.Equal(slices.Sorted(maps.Keys(out.Scores)), want) {
					t.Errorf("the scores are %v", out.Scores)
				}
			} else if p.write != nil && (p.Name == oneModel.Name || p.Name == ready.Name) {
				for _, key := range []string{"answers", "entailment", "captions", "recall@1"} {
					if _, ok := out.Scores[key]; !ok || !strings.Contains(out.Text, "the question only") {
						t.Errorf("no score %s, or nothing to compare it with:\n%s", key, out.Text)
					}
				}
			} else if len(out.Results) != 1 || out.Scores["examples"] == 0 {
				t.Errorf("the results are %v, the scores %v", out.Results, out.Scores)
			}
			if p.baselines != nil && len(out.Baselines) < 2 {
				t.Errorf("the baselines are %v", out.Baselines)
			}
			if _, err := os.Stat(out.Model); out.Model != "" && err != nil {
				t.Error(err)
			}
			page, err := os.ReadFile(out.Page)
			if err != nil || !strings.Contains(string(page), "Synthetic data") {
				t.Errorf("the page: %v, %d bytes", err, len(page))
			}
		})
	}
}

// A part that is stopped, in training or when its model is scored, goes on and ends with the scores of one that was not.
func TestStoppedPartGoesOn(t *testing.T) {
	p := small(pictures)
	want, err := runPart(t, t.Context(), p, filepath.Join(t.TempDir(), "whole"), watcher{func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	for _, stage := range []string{"training", "scoring dev", "scoring what training never showed"} {
		dir := filepath.Join(t.TempDir(), "stopped")
		ctx, cancel := context.WithCancel(t.Context())
		_, err := runPart(t, ctx, p, dir, watcher{func(name string) {
			if name == stage {
				cancel()
			}
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("stopped at %q: %v", stage, err)
		}
		got, err := runPart(t, t.Context(), p, dir, watcher{func(string) {}})
		if err != nil || !maps.Equal(got.Scores, want.Scores) {
			t.Errorf("stopped at %q, gone on with: %v, %v, want %v", stage, err, got.Scores, want.Scores)
		}
		cancel()
		if events := logged(t, filepath.Join(dir, "run")); !slices.Equal(events[len(events)-2:], []string{"trained", "done"}) || slices.Index(events, "trained") != len(events)-2 {
			t.Errorf("stopped at %q: the log has %v", stage, events)
		}
	}
}

// logged returns the events of a run's log.
func logged(t *testing.T, dir string) (events []string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(raw) {
		var event struct{ Event string }
		if err := json.Unmarshal(line, &event); err != nil {
			t.Fatal(err)
		}
		events = append(events, event.Event)
	}
	return events
}

// A run's log says that it is done when its last file is written, not when its last step is taken.
func TestDoneIsLast(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "part")
	var before []string // events, when the report was begun
	if _, err := runPart(t, t.Context(), small(pictures), dir, watcher{func(name string) {
		if name == "writing the report" {
			before = logged(t, filepath.Join(dir, "run"))
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if len(before) == 0 || before[len(before)-1] != "trained" {
		t.Errorf("when the report is begun, the log has %v", before)
	}
	log, err := os.Stat(filepath.Join(dir, "run", "log.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(filepath.Join(dir, "run"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.ModTime().After(log.ModTime()) {
			t.Errorf("%s was written after the log's last line", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A part's folder belongs to one process. What a killed one left half-written in it goes.
func TestFolderIsOwned(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "part")
	left := filepath.Join(dir, ".unimo-partial-1")
	if err := os.MkdirAll(left, 0o777); err != nil {
		t.Fatal(err)
	}
	var second error
	w := watcher{func(name string) {
		if name == "training" {
			_, second = runPart(t, t.Context(), small(opinions), dir, watcher{func(string) {}})
		}
	}}
	if _, err := runPart(t, t.Context(), small(opinions), dir, w); err != nil {
		t.Fatal(err)
	}
	if locked := (*atomicfile.LockedError)(nil); !errors.As(second, &locked) {
		t.Errorf("a second demo in the folder: %v", second)
	}
	if _, err := os.Stat(left); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", left, err)
	}
}

func TestChoose(t *testing.T) {
	names := func(parts []Part) string {
		all := Names(parts)
		return strings.Join(all[:len(all)-1], " ")
	}
	for wanted, want := range map[string]string{
		"": "ready pictures", "stories opinions": "opinions stories", "scenes scenes": "scenes", "all": names(Parts()), "stories all": names(Parts()),
	} {
		got, err := Choose(Parts(), strings.Fields(wanted))
		if err != nil || names(got) != want {
			t.Errorf("%q: %s, %v, want %s", wanted, names(got), err, want)
		}
	}
	if _, err := Choose(Parts(), []string{"scene"}); err == nil || !strings.Contains(err.Error(), "scenes") {
		t.Errorf("scene: %v, want an error that names scenes", err)
	}
}

// The model that is checked in is small, and has the scores that its README says.
func TestTheCheckedInModel(t *testing.T) {
	out, err := runPart(t, t.Context(), ready, filepath.Join(t.TempDir(), "ready"), watcher{func(string) {}})
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join(out.Model, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range compared(nil, nil) {
		_, row, _ := strings.Cut(string(readme), "\n| "+g.title+" | ")
		said, err := strconv.ParseFloat(strings.SplitN(row, " ", 2)[0], 64)
		if score := float64(out.Scores[g.key]); err != nil || math.Abs(score-said) > 0.01 { // other instruction sets round otherwise
			t.Errorf("%s: %.4f, the README says %v (%v)", g.title, score, said, err)
		}
	}
	size := int64(0)
	files, err := os.ReadDir(out.Model)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	if size > 3e6 {
		t.Errorf("the model has %d bytes", size)
	}
}

// A site is made once, and its index finds the picture that a caption is of.
func TestMakeSite(t *testing.T) {
	o := Options{Dir: filepath.Join(t.TempDir(), "ready"), Log: slog.New(slog.DiscardHandler)}
	began := time.Now()
	s, err := MakeSite(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("made in %v", time.Since(began))
	if again, err := MakeSite(t.Context(), o); err != nil || again.Model != s.Model {
		t.Errorf("again: %v, %v", again, err)
	}
	r, err := retrieve.Open(s.Model, run.Env{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	search, err := r.OpenIndex(t.Context(), s.Index)
	if err != nil {
		t.Fatal(err)
	}
	defer search.Close()
	_, _, scenes := talkScenes(ready.Sizes)
	hits, err := search.Text(t.Context(), scenes[0].Captions[0], 1, 0)
	if err != nil || len(hits) != 1 || hits[0].ID != "test-00001.png" {
		t.Errorf("%q finds %v, %v", scenes[0].Captions[0], hits, err)
	}
	for _, examples := range [][]string{s.Page.Examples.Search, s.Page.Examples.Ask, s.Page.Examples.Judge, s.Page.Examples.Match} {
		if len(examples) == 0 {
			t.Error("a form has no examples")
		}
	}
}
