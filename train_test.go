package unimo_test

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo"
)

// small are settings of a model that is trained within a blink.
func small(more unimo.Settings) unimo.Settings {
	s := unimo.Settings{"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 264, "batch_size": 4, "max_steps": 6}
	for key, value := range more {
		s[key] = value
	}
	return s
}

// What is asked for wrongly is ErrSetting, or says what is missing, and leaves nothing behind.
func TestTrainingAskedForWrongly(t *testing.T) {
	dir := t.TempDir()
	right := func() unimo.FinetuneOptions {
		return unimo.FinetuneOptions{Task: "classify", Data: "testdata/films", Out: filepath.Join(dir, "run"), TrainOptions: unimo.TrainOptions{Settings: small(nil)}}
	}
	for name, change := range map[string]func(o *unimo.FinetuneOptions){
		"no task":         func(o *unimo.FinetuneOptions) { o.Task = "" },
		"unknown task":    func(o *unimo.FinetuneOptions) { o.Task = "translate" },
		"pre-training":    func(o *unimo.FinetuneOptions) { o.Task = "pretrain" },
		"no data":         func(o *unimo.FinetuneOptions) { o.Data = "" },
		"no folder":       func(o *unimo.FinetuneOptions) { o.Out = "" },
		"unknown size":    func(o *unimo.FinetuneOptions) { o.Size = "huge" },
		"threads":         func(o *unimo.FinetuneOptions) { o.Threads = -1 },
		"unknown setting": func(o *unimo.FinetuneOptions) { o.Settings["epoch"] = 3 },
		"bad value":       func(o *unimo.FinetuneOptions) { o.Settings["epochs"] = -1 },
		"text for number": func(o *unimo.FinetuneOptions) { o.Settings["epochs"] = "3" },
		"not a number":    func(o *unimo.FinetuneOptions) { o.Settings["learning_rate"] = math.NaN() },
		"no name":         func(o *unimo.FinetuneOptions) { o.Settings[""] = 3 },
		"name and value":  func(o *unimo.FinetuneOptions) { o.Settings["epochs=3"] = 3 },
		"a function":      func(o *unimo.FinetuneOptions) { o.Settings["epochs"] = func() {} },
	} {
		o := right()
		change(&o)
		if _, err := unimo.Finetune(t.Context(), o); !errors.Is(err, unimo.ErrSetting) {
			t.Errorf("%s: %v", name, err)
		}
	}
	o := right()
	o.Data = filepath.Join(dir, "missing")
	if _, err := unimo.Finetune(t.Context(), o); !errors.Is(err, fs.ErrNotExist) || errors.Is(err, unimo.ErrSetting) {
		t.Errorf("missing data: %v", err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := unimo.Finetune(over, right()); !errors.Is(err, context.Canceled) || strings.Contains(err.Error(), ";") {
		t.Errorf("a context that is over, and what to do about it: %v", err)
	}
	//lint:ignore SA1012 what is tested
	if _, err := unimo.Finetune(nil, right()); err == nil {
		t.Error("nil for a context was accepted")
	}
	if _, err := unimo.Pretrain(t.Context(), unimo.PretrainOptions{Out: filepath.Join(dir, "run"), TrainOptions: unimo.TrainOptions{Settings: small(nil)}}); err == nil {
		t.Error("nothing was pre-trained on")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

// A run whose context ends is saved; gone on with, it ends in the weights of one that was not interrupted. Events tell of
// all of it.
func TestFinetuneGoesOn(t *testing.T) {
	dir := t.TempDir()
	train := func(ctx context.Context, out string, resume bool, tell func(unimo.Event)) (*unimo.Run, error) {
		return unimo.Finetune(ctx, unimo.FinetuneOptions{
			Task: "classify", Data: "testdata/films", Out: filepath.Join(dir, out),
			TrainOptions: unimo.TrainOptions{Resume: resume, Settings: small(nil), Work: unimo.Work{Progress: tell, Threads: 1}},
		})
	}
	kinds := map[unimo.EventKind]int{}
	whole, err := train(t.Context(), "whole", false, func(e unimo.Event) { kinds[e.Kind]++ })
	if err != nil {
		t.Fatal(err)
	}
	if kinds[unimo.Step] != 6 || kinds[unimo.Evaluated] == 0 || kinds[unimo.Saved] == 0 || kinds[unimo.NewStage] == 0 || kinds[0] != 0 {
		t.Errorf("events %v", kinds)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := train(ctx, "parts", false, func(e unimo.Event) {
		if e.Kind == unimo.Step && e.Step == 3 {
			cancel()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	parts, err := train(t.Context(), "parts", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	weights := func(r *unimo.Run) []byte {
		raw, err := os.ReadFile(filepath.Join(r.Best, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	if !slices.Equal(weights(whole), weights(parts)) || whole.BestStep != parts.BestStep || whole.Metrics["accuracy"] != parts.Metrics["accuracy"] {
		t.Errorf("interrupted %+v, not interrupted %+v", parts, whole)
	}
	again, err := train(t.Context(), "parts", true, nil)
	if err != nil || again.Metrics["loss"] != parts.Metrics["loss"] {
		t.Errorf("a complete run gone on with: %+v, %v", again, err)
	}
}

func TestEvaluate(t *testing.T) {
	out := filepath.Join(t.TempDir(), "predictions")
	right := unimo.EvaluateOptions{Model: "testdata/films.model", Data: "testdata/films", Predictions: out}
	scores, err := unimo.Evaluate(t.Context(), right)
	if err != nil || len(scores) != 1 || scores[0].Split != "dev" || scores[0].Metrics["examples"] != 4 || len(scores[0].Notes) == 0 {
		t.Errorf("%+v, %v", scores, err)
	}
	if files, err := os.ReadDir(out); err != nil || len(files) == 0 {
		t.Errorf("predictions: %v, %v", files, err)
	}
	right.Predictions = ""
	for name, change := range map[string]func(o *unimo.EvaluateOptions){
		"unknown task":    func(o *unimo.EvaluateOptions) { o.Task = "translate" },
		"no model":        func(o *unimo.EvaluateOptions) { o.Model = "" },
		"only a task":     func(o *unimo.EvaluateOptions) { o.Model, o.Task = "", "classify" },
		"no data":         func(o *unimo.EvaluateOptions) { o.Data = "" },
		"unknown split":   func(o *unimo.EvaluateOptions) { o.Split = "training" },
		"unknown setting": func(o *unimo.EvaluateOptions) { o.Settings = unimo.Settings{"beam_size": 3} },
		"threads":         func(o *unimo.EvaluateOptions) { o.Threads = -1 },
	} {
		o := right
		change(&o)
		if _, err := unimo.Evaluate(t.Context(), o); !errors.Is(err, unimo.ErrSetting) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := right
	other.Task = "gigaword"
	if _, err := unimo.Evaluate(t.Context(), other); !errors.Is(err, unimo.ErrWrongTask) {
		t.Errorf("a classifier writes headlines: %v", err)
	}
}
