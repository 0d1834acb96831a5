package main

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/kernels"
	"github.com/unimo-go/unimo/internal/model"
)

// workerOptions say what one of our workers does.
type workerOptions struct {
	name    string // of a workload
	file    string // of batches
	model   string // folder
	threads int
}

// newRound returns the function that works on a round.
func newRound(o workerOptions) (func(round int) (reply, error), error) {
	if o.name == "products" {
		measure := newProducts(o.threads)
		return func(int) (reply, error) { return reply{Values: measure()}, nil }, nil
	}
	var run step
	var err error
	switch o.name {
	case "train":
		run, err = newTraining()
	case "train-text":
		run, err = newTextTraining()
	case "train-pairs":
		run, err = newPairTraining()
	case "score", "score-int8":
		run, err = newScoring(o.name == "score-int8")
	case "write":
		run, err = newWriting(model.Generation)
	case "caption":
		run, err = newWriting(model.Captioning)
	case "train-entailment":
		run, err = newEntailmentTraining(false)
	case "train-adversarial":
		run, err = newEntailmentTraining(true)
	case "ask":
		run, err = newAsking()
	case "predict":
		run, err = newPrediction(o.model)
	case "predict-int8", "predict-bfloat16", "predict-float16":
		run, err = newPrediction(filepath.Join(o.model, strings.TrimPrefix(o.name, "predict-")))
	case "encode":
		run, err = newEncoding(o.model)
	case "see":
		run, err = newSeeing(o)
	default:
		return nil, fmt.Errorf("no worker %q", o.name)
	}
	if err != nil {
		return nil, err
	}
	work, err := readWorkFile(o.file)
	if err != nil {
		return nil, err
	}
	return func(round int) (reply, error) { return timed(work.Rounds[round%len(work.Rounds)], run) }, nil
}

// timed runs a round and measures time and heap allocations.
func timed(round []batch, run step) (reply, error) {
	var r reply
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, b := range round {
		start := time.Now()
		if err := run(b); err != nil {
			return r, err
		}
		r.Seconds = append(r.Seconds, time.Since(start).Seconds())
		r.Tokens = append(r.Tokens, b.size())
	}
	runtime.ReadMemStats(&after)
	r.Objects, r.Bytes = after.Mallocs-before.Mallocs, after.TotalAlloc-before.TotalAlloc
	return r, nil
}

// runWorker serves the driver.
func runWorker(o workerOptions) error {
	parallel.SetThreads(o.threads)
	run, err := newRound(o)
	if err != nil {
		return err
	}
	return serve(os.Stdin, os.Stdout, aboutUnimo(o.threads), run)
}

func aboutUnimo(threads int) string {
	return fmt.Sprintf("unimo (%v, %d threads), %s", kernels.Active(), threads, runtime.Version())
}

// profile runs rounds of one of our workloads under the profiler, without a driver.
func profile(w workload, rounds, threads int, path string) error {
	dir, err := os.MkdirTemp("", "unimo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	o := workerOptions{name: cmp.Or(w.variants()[0].worker, w.worker), threads: threads}
	parallel.SetThreads(threads)
	if w.worker != "products" {
		c, err := readCorpus(dataDir())
		if err != nil {
			return err
		}
		if o.file, err = writeBatches(c, dir, w.batches, rounds); err != nil {
			return err
		}
		if slices.Contains(withModel, w.worker) {
			o.model = filepath.Join(dir, "model")
			if err := writeModel(o.model, c.tok); err != nil {
				return err
			}
		}
		if w.worker == "see" {
			return fmt.Errorf("%s has no profile of its own: the peers' Python writes its networks", w.name)
		}
	}
	run, err := newRound(o)
	if err != nil {
		return err
	}
	if _, err := run(0); err != nil {
		return err
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	var replies []reply
	for i := range rounds {
		r, err := run(i + 1)
		if err != nil {
			return err
		}
		replies = append(replies, r)
	}
	pprof.StopCPUProfile()
	if w.worker != "products" {
		fmt.Println(w.metric.format(w.metric.of(replies)), w.metric.unit)
	}
	return f.Close()
}
