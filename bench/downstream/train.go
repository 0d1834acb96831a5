package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/internal/vision/extractor"
)

// What models see. The empty word of unimo's setting pictures has a name here.
const (
	asTheyAre = "seen"
	shuffled  = "shuffled"
	hidden    = "hidden"
)

var controls = []string{asTheyAre, shuffled, hidden}

// outcome is what a run has come to: a file in its folder.
type outcome struct {
	Set      string
	Pictures string // what it was trained on
	Seed     int
	Command  string
	Seconds  float64
	Load     string // average of the machine, when it ended
	Dev      train.Numbers
	Test     train.Numbers
	Values   []float64 // of each example of the test split: right or not, or how good a caption is

	Misled       train.Numbers `json:",omitempty"` // the test split with shuffled pictures, of a model that was trained on those that fit
	MisledValues []float64     `json:",omitempty"`
}

func (o options) runDir(s set, control string, seed int) string {
	return filepath.Join(o.work, "runs", fmt.Sprintf("%s-%s-%d", s.name, control, seed))
}

const outcomeFile = "test.json"

// train trains a model and tests it, unless that is done.
func (o options) train(ctx context.Context, s set, control string, seed int) error {
	dir := o.runDir(s, control, seed)
	if _, err := os.Stat(filepath.Join(dir, outcomeFile)); err == nil {
		return nil
	}
	t, err := tasks.All.Find(s.task)
	if err != nil {
		return err
	}
	began := time.Now()
	say("%s, %s, seed %d", s.name, control, seed)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	settings := slices.Concat(s.recipe, o.settings, []string{fmt.Sprintf("seed=%d", seed)})
	if o.init == "" && o.size == "mini" {
		settings = slices.Concat(small, settings)
	}
	var see []string // what the test sees, too
	if i := slices.IndexFunc(o.settings, func(x string) bool { return strings.HasPrefix(x, "features=") }); i >= 0 {
		see = o.settings[i : i+1 : i+1]
	} else if s.statistics || o.extractor != "" {
		store, err := o.features(ctx, s)
		if err != nil {
			return err
		}
		see = append(see, "features="+store)
	}
	settings = append(settings, see...)
	if control != asTheyAre {
		settings = append(settings, "pictures="+control)
	}
	_, err = os.Stat(dir)
	trained, err := run.Finetune(ctx, run.Options{
		Env: run.Env{Out: dir, Log: log, Threads: o.threads}, Task: t, Size: o.size, Data: o.folder(s), Init: o.init, Vocab: o.vocab, Set: settings,
		Resume: err == nil,
	})
	if err != nil {
		return err
	}
	r := outcome{Set: s.name, Pictures: control, Seed: seed, Command: o.command(s, settings), Dev: trained.Metrics}
	if r.Test, r.Values, err = o.test(ctx, t, s, dir, control, see); err != nil {
		return err
	}
	if control == asTheyAre {
		if r.Misled, r.MisledValues, err = o.test(ctx, t, s, dir, shuffled, see); err != nil {
			return err
		}
	}
	r.Seconds, r.Load = time.Since(began).Seconds(), load()
	shown := cmp.Or(s.metric, t.Metric)
	if _, ok := r.Test[shown]; !ok {
		return fmt.Errorf("%s: no %s among the scores", s.name, shown)
	}
	say("%s %.4f (dev %.4f), %.0f s, load %s", shown, float64(r.Test[shown]), float64(r.Dev[shown]), r.Seconds, r.Load)
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, outcomeFile), raw, 0o644)
}

// test scores the best model of a run on the test split.
func (o options) test(ctx context.Context, t *run.Task, s set, dir, control string, flags []string) (train.Numbers, []float64, error) {
	if control != asTheyAre {
		flags = append(flags[:len(flags):len(flags)], "pictures="+control)
	}
	flags = slices.Concat(flags, s.test)
	results, err := run.Evaluate(ctx, run.EvaluateOptions{
		Env: run.Env{Threads: o.threads}, Task: t, Model: dir, Data: o.folder(s), Split: "test", Set: flags,
	})
	if err != nil {
		return nil, nil, err
	}
	if s.search {
		return results[0].Metrics, nil, nil
	}
	var values []float64
	for _, a := range results[0].Detail.Answers() {
		values = append(values, a.Value)
	}
	return results[0].Metrics, values, nil
}

// features computes the features of a set's pictures, unless they are there.
func (o options) features(ctx context.Context, s set) (string, error) {
	spec := regions.Spec{Extractor: o.extractor}
	if o.extractor == "" {
		spec = regions.Spec{Extractor: regions.Statistics, ImageSize: 64, Grid: 4}
	}
	x, err := extractor.Open(spec)
	if err != nil {
		return "", err
	}
	store := o.store(s)
	_, err = regions.Extraction{
		Dir: filepath.Join(o.folder(s), "images"), Extractor: x, Limits: picture.DefaultLimits,
		Keep: func(dir string) error { return extractor.Keep(dir, x) },
	}.WriteStore(ctx, store)
	return store, err
}

// store is the folder of a set's features.
func (o options) store(s set) string {
	name := filepath.Base(o.extractor)
	if o.extractor == "" {
		name = regions.Statistics
	}
	return o.folder(s) + "-" + strings.TrimSuffix(name, filepath.Ext(name))
}

// command is how people do the same.
func (o options) command(s set, settings []string) string {
	words := []string{"unimo finetune", s.task, "--data", filepath.Join("data", s.name), "--preset", o.size}
	if o.init != "" {
		words = append(words, "--init", filepath.Base(o.init))
	}
	for _, x := range settings {
		words = append(words, "--set", strings.ReplaceAll(x, o.work+string(filepath.Separator), ""))
	}
	return strings.Join(words, " ")
}

// load is the average load of the machine in the last minutes.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(raw))[:2], ", ")
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
