package tasks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/internal/train/adversarial"
)

// labelled is a small data set of two classes.
func labelledTask(t *testing.T) string {
	t.Helper()
	const table = "sentence\tlabel\na dull film\t0\nwonderful from its first minute to the very last one\t1\nbad\t0\nit is a great joy\t1\n"
	return writeFiles(t, map[string]string{"train.tsv": table, "dev.tsv": table})
}

// unfinished makes a finished run look like one that was killed before it could say so.
func unfinished(t *testing.T, out string) {
	t.Helper()
	path := filepath.Join(out, "run.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(raw, []byte(`"status": "done"`), []byte(`"status": "running"`), 1), 0o644); err != nil {
		t.Fatal(err)
	}
}

// files reads a folder, but for the README, which tells of the run's settings.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		if e.Name() == "README.md" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(raw)
	}
	return all
}

// Whatever is missing of the models when a run goes on is there at its end, as it was. Settings that
// change nothing about the result may differ.
func TestResumeMendsModels(t *testing.T) {
	o := options(t, "sst-2", labelledTask(t), "batch_size=4")
	if _, err := run.Finetune(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	best, last := filepath.Join(o.Out, "best"), filepath.Join(o.Out, "last")
	want := map[string]map[string]string{best: files(t, best), last: files(t, last)}
	if len(want[best]) < 5 {
		t.Fatalf("best/ holds %v", slices.Sorted(maps.Keys(want[best])))
	}
	o.Resume = true
	o.Set = append(o.Set, "log_steps=3", "snapshot_steps=7", "snapshot_minutes=1", "max_minutes=60")
	for _, name := range append(slices.Sorted(maps.Keys(want[best])), "") { // "": all of it
		unfinished(t, o.Out)
		for dir := range want {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := run.Finetune(t.Context(), o); err != nil {
			t.Fatalf("without %q: %v", name, err)
		}
		for dir, want := range want {
			if got := files(t, dir); !maps.Equal(got, want) {
				t.Errorf("without %q: %s holds other files: %v", name, dir, slices.Sorted(maps.Keys(got)))
			}
		}
	}
	unfinished(t, o.Out)
	o.Set = append(o.Set, "eval_steps=1")
	if _, err := run.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), "eval_steps was 0 and is 1") {
		t.Errorf("other evaluations: %v", err)
	}
}

// Nobody else writes into the folder of a run, or of a grid, meanwhile.
func TestRunIsLocked(t *testing.T) {
	o := options(t, "sst-2", labelledTask(t), "batch_size=4")
	o.Resume = true
	lock, err := atomicfile.Own(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	var locked *atomicfile.LockedError
	if _, err := run.Finetune(t.Context(), o); !errors.As(err, &locked) {
		t.Errorf("got %v", err)
	}
	if _, err := run.FinetuneGrid(t.Context(), o, []string{"seed=1,2"}, func(run.Cell, int, int) {}); !errors.As(err, &locked) {
		t.Errorf("a grid: got %v", err)
	}
	lock.Release()
	for range 2 { // it is given back
		if _, err := run.Finetune(t.Context(), o); err != nil {
			t.Error(err)
		}
	}
}

// Evaluations by vectors have their true metric, and the best model is one of those that match.
func TestBestOfRetrieval(t *testing.T) {
	o := options(t, "flickr8k", pictures(t), "batch_size=8", "contrast_batch_size=8", "epochs=3", "contrast_epochs=2", "image_size=32", "negatives=2")
	s, err := run.Finetune(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if s.Outcome.BestStep != 3 || s.Outcome.Best.How != "" || s.Outcome.Best.Metric != "recall@1" || s.Outcome.Best.Score != s.Outcome.Best.Metrics["recall@1"] {
		t.Errorf("best at step %d: %+v", s.Outcome.BestStep, s.Outcome.Best)
	}
	raw, err := os.ReadFile(s.Dir.Log())
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(raw, []byte(`"how":"by vectors"`)); n != 2 {
		t.Errorf("%d evaluations by vectors in\n%s", n, raw)
	}
	for line := range strings.Lines(string(raw)) {
		var e struct {
			Event   string
			Metrics map[string]float64
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatal(err)
		}
		if r := e.Metrics["recall@1"]; e.Event == "eval" && (r < 0 || r > 1) {
			t.Errorf("recall@1 is %v", r)
		}
	}
}

// What can be found out before training leaves no folder behind, and one that was there as it was.
func TestFailedStartLeavesNothing(t *testing.T) {
	texts := ""
	for i := range 30 {
		texts += fmt.Sprintf("text %d says some words about nothing at all\n", i)
	}
	dir := writeFiles(t, map[string]string{"texts.txt": texts})
	text := "text=[" + strconv.Quote(filepath.Join(dir, "texts.txt")) + "]"
	one := []string{"ratio_images=0", "ratio_pairs=0", "max_steps=2", "batch_size=2", text}
	huge := []string{"batch_size=4", "hidden_size=16384", "num_hidden_layers=512", "num_attention_heads=64"}
	for want, o := range map[string]run.Options{
		"is held out":       options(t, "pretrain", "", append(one, "held_out_share=0.000001")...),
		"batch_size, now 9": options(t, "pretrain", "", "ratio_images=0", "ratio_text=0", "max_steps=2", "batch_size=9", "held_out_share=0.5", "image_size=32", "pairs=["+strconv.Quote(pictures(t))+"]"),
		"of disk":           options(t, "sst-2", labelledTask(t), huge...),
	} {
		for _, there := range []bool{false, true} {
			if there {
				if err := os.Mkdir(o.Out, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := run.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q", err, want)
			}
			entries, err := os.ReadDir(o.Out)
			if len(entries) > 0 || (err == nil) != there {
				t.Errorf("%s, with a folder %v: it holds %v, %v", want, there, entries, err)
			}
		}
	}
}

// remover removes a folder after the first step.
type remover struct {
	run.Silent
	dir string
}

func (r remover) Step(train.StepEvent) { os.RemoveAll(r.dir) }

func TestFolderRemovedMeanwhile(t *testing.T) {
	o := options(t, "sst-2", labelledTask(t), "batch_size=1")
	for dir, want := range map[string]string{o.Out: "was removed or moved", filepath.Join(o.Out, "snapshots"): ""} {
		o.Observer = remover{dir: dir}
		_, err := run.Finetune(t.Context(), o)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s removed: %v, want %q", dir, err, want)
		}
		os.RemoveAll(o.Out)
	}
}

// The seeds of older versions gave other numbers, and the batches of a step other examples: such a run would silently go on with other batches.
func TestResumeRefusesOtherBatches(t *testing.T) {
	for _, c := range []struct {
		set, key, says string
		version        int
	}{
		{"gradient_accumulation=1", "random", "other random numbers", random.Version},
		{"gradient_accumulation=2", "batches", "gives the batches of a step other examples", batches.Version},
		{"adv=freelb_text", "attacks", "begins attacks (adv) with other random numbers", adversarial.Version},
	} {
		o := options(t, "sst-2", labelledTask(t), "batch_size=4", c.set)
		if _, err := run.Finetune(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		unfinished(t, o.Out)
		path := filepath.Join(o.Out, "run.json")
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		older := bytes.Replace(raw, fmt.Appendf(nil, "\n  %q: %d,", c.key, c.version), nil, 1)
		if bytes.Equal(older, raw) {
			t.Fatalf("run.json does not say its version of %s:\n%s", c.key, raw)
		}
		if err := os.WriteFile(path, older, 0o644); err != nil {
			t.Fatal(err)
		}
		before := files(t, filepath.Join(o.Out, "last"))
		o.Resume = true
		if _, err := run.Finetune(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "--init RUN") {
			t.Errorf("%s: got %v", c.set, err)
		}
		if !maps.Equal(before, files(t, filepath.Join(o.Out, "last"))) {
			t.Errorf("%s: the model was changed", c.set)
		}
	}
}

// stopper interrupts a run after a step.
type stopper struct {
	run.Silent
	step int
	stop func()
}

func (s stopper) Step(e train.StepEvent) {
	if e.Step == s.step {
		s.stop()
	}
}

// Training under attack ends in the same bits when it was interrupted, on any number of threads, and what it adds at
// first comes from the seed.
func TestResumeUnderAttack(t *testing.T) {
	about := func(head, text string, answers ...string) string { // a folder of pictures with texts
		dir, table := pictures(t), head+"\n"
		for i := range 4 {
			table += fmt.Sprintf("p%d.png,"+text+",%s\n", i, i/2, answers[i%2])
		}
		for _, name := range []string{"train.csv", "dev.csv"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(table), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for _, c := range []struct {
		task, data string
		set        []string
	}{
		{"sst-2", labelledTask(t), []string{"adv=freelb_text", "adv_step=2"}},
		{"sst-2", labelledTask(t), []string{"adv=freelb_text", "adv_step=2", "adv_norm=inf", "adv_rule=villa", "gradient_accumulation=2"}},
		{"snli-ve", about("image,hypothesis,label", "it is number %d", "entailment", "neutral"), []string{"adv=villa", "adv_step=2", "image_size=32"}},
		{"vqa", about("image,question,answer", "is it number %d?", "yes", "no"), []string{"adv=villa", "adv_step=2", "image_size=32", "answer_by=generate", "max_out_len=4"}},
		{"vqa", about("image,question,answer", "is it number %d?", "yes", "no"), []string{"adv=villa", "adv_step=2", "image_size=32"}},
		{"coco-caption", pictures(t), []string{"adv=villa", "adv_step=2", "image_size=32", "patch_size=16", "max_out_len=6", "beam_size=1", "decode_examples=1"}},
	} {
		set := append([]string{"batch_size=2", "epochs=3", "hidden_dropout_prob=0.2", "attention_probs_dropout_prob=0.2"}, c.set...)
		last := func(o run.Options) map[string]string { return files(t, filepath.Join(o.Out, "last")) }
		whole, stopped, other := options(t, c.task, c.data, set...), options(t, c.task, c.data, set...), options(t, c.task, c.data, append(set, "adv_init_mag=0.3")...)
		for _, o := range []run.Options{whole, other} {
			if _, err := run.Finetune(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		stopped.Observer = stopper{step: 2, stop: cancel}
		if _, err := run.Finetune(ctx, stopped); !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: %v", c.task, err)
		}
		stopped.Observer, stopped.Resume, stopped.Threads = nil, true, 1
		if _, err := run.Finetune(t.Context(), stopped); err != nil {
			t.Fatal(err)
		}
		if !maps.Equal(last(stopped), last(whole)) {
			t.Errorf("%s %v: another model after an interruption", c.task, c.set)
		}
		if maps.Equal(last(other), last(whole)) {
			t.Errorf("%s %v: no attack", c.task, c.set)
		}
	}
}
