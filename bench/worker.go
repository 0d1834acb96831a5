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

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/kernels"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/tokenizer"
)

// workerOptions say what one of our workers does.
type workerOptions struct {
	name    string // of a workload
	file    string // of batches
	model   string // folder
	threads int

	device, precision, size string // of workloads for accelerators
}

// newRound returns the function that works on a round.
func newRound(o workerOptions) (func(round int) (reply, error), error) {
	if o.name == "products" {
		measure := newProducts(o.threads)
		return func(int) (reply, error) { return reply{Values: measure()}, nil }, nil
	}
	var run step
	var err error
	p := processor()
	switch o.name {
	case "train":
		run, err = newTraining(p)
	case "train-text":
		run, err = newTextTraining(p)
	case "train-pairs":
		run, err = newPairTraining(p)
	case "score", "score-int8":
		run, err = newScoring(p, o.name == "score-int8")
	case "write", "caption":
		var tok *tokenizer.Tokenizer
		if tok, err = tokenizer.Load(filepath.Join(dataDir(), "unimo-dict")); err != nil {
			return nil, err
		}
		run, err = newWriting(p, map[string]string{"write": model.Generation, "caption": model.Captioning}[o.name], tok)
	case "train-entailment":
		run, err = newEntailmentTraining(p, false)
	case "train-adversarial":
		run, err = newEntailmentTraining(p, true)
	case "ask":
		run, err = newAsking(p)
	case "predict":
		run, err = newPrediction(o.model)
	case "predict-int8", "predict-bfloat16", "predict-float16":
		run, err = newPrediction(filepath.Join(o.model, strings.TrimPrefix(o.name, "predict-")))
	case "predict-bf16":
		run, err = newPrediction(filepath.Join(o.model, "bfloat16"), unimo.Precision("bf16"))
	case "embed":
		run, err = newEmbedding(filepath.Join(o.model, "float32"))
	case "embed-int8":
		run, err = newEmbedding(filepath.Join(o.model, "int8"))
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
	if o.device != "" {
		return runAccelerated(o)
	}
	run, err := newRound(o)
	if err != nil {
		return err
	}
	return serve(os.Stdin, os.Stdout, aboutUnimo(o.threads), run, peakBytes)
}

// runAccelerated is runWorker on an accelerator. The peak of memory is that of the chip's.
func runAccelerated(o workerOptions) error {
	x, err := o.open()
	if err != nil {
		return err
	}
	defer x.device.Close()
	makers := map[string]func(place) (step, error){"train": newTraining, "train-pairs": newPairTraining}
	make := makers[o.name]
	if make == nil {
		return fmt.Errorf("no worker %q for accelerators", o.name)
	}
	run, err := make(x.place)
	if err != nil {
		return err
	}
	work, err := readWorkFile(o.file)
	if err != nil {
		return err
	}
	return serve(os.Stdin, os.Stdout, x.about(o.threads), func(round int) (reply, error) {
		return x.timed(work.Rounds[round%len(work.Rounds)], run)
	}, x.device.Memory)
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
