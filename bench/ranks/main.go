package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options say what is measured.
type options struct {
	unimo     string // unimo-mpi; built from the tree if not named
	mpirun    string
	init      string
	data      string
	work      string
	workloads []string
	settings  list
	rounds    int
	bind      bool
}

// given is the flags that were given and say what is measured, without this machine's folders.
func given() string {
	var words []string
	flag.Visit(func(f *flag.Flag) {
		switch value := f.Value.String(); f.Name {
		case "json", "data", "work", "unimo":
		case "init", "mpirun":
			words = append(words, "-"+f.Name, filepath.Base(value))
		default:
			words = append(words, "-"+f.Name, value)
		}
	})
	return strings.Join(words, " ")
}

// list is a flag that is given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "ranks:", err)
		os.Exit(1)
	}
}

func run() error {
	var o options
	data := os.Getenv("UNIMO_DATA")
	if data == "" {
		data = "../shared/data"
	}
	flag.StringVar(&o.unimo, "unimo", "", "the program with MPI (default: built from the tree)")
	flag.StringVar(&o.mpirun, "mpirun", "mpirun", "launcher: of Open MPI or MPICH")
	flag.StringVar(&o.init, "init", "", "folder of a starting point of the base size (default: random weights)")
	flag.StringVar(&o.data, "data", data, "folder with sst2 and coqa")
	flag.StringVar(&o.work, "work", "", "folder for runs, with 6 GB free (default: a temporary one)")
	names := flag.String("workloads", strings.Join(names(), ","), "what to measure")
	flag.Var(&o.settings, "set", "setting of both sides, KEY=VALUE; may be given several times")
	flag.IntVar(&o.rounds, "rounds", 2, "how often")
	flag.BoolVar(&o.bind, "bind", true, "bind each process to a processor")
	quick := flag.Bool("quick", false, "one step that counts, after one: to try it out")
	out := flag.String("json", "", "file that keeps all numbers")
	arithmetic := flag.Bool("arithmetic", false, "print what to expect of other links with -ranks, and measure nothing")
	ranks := flag.Float64("ranks", 4, "of -arithmetic")
	flag.Parse()
	if *arithmetic {
		printArithmetic(os.Stdout, *ranks)
		return nil
	}
	o.workloads = strings.Split(*names, ",")
	var chosen []workload
	for _, name := range o.workloads {
		i := slices.IndexFunc(workloads, func(w workload) bool { return w.Name == name })
		if i < 0 {
			return fmt.Errorf("no workload %q; there are %s", name, *names)
		}
		if *quick {
			workloads[i].steps, workloads[i].warm = 2, 1
		}
		chosen = append(chosen, workloads[i])
	}
	b, err := newBench(o)
	if err != nil {
		return err
	}
	defer b.close()
	for _, w := range chosen {
		if err := b.prepare(w); err != nil {
			return err
		}
	}
	var expected time.Duration
	for _, w := range chosen {
		expected += w.expected()
	}
	fmt.Fprintf(os.Stderr, "about %v for %d rounds of %s, on two cores that do nothing else\n", (time.Duration(o.rounds) * expected).Round(time.Minute), o.rounds, *names)
	for round := range o.rounds {
		for _, w := range chosen {
			if err := b.measure(w, round); err != nil {
				return fmt.Errorf("%s: %w", w.Name, err)
			}
			if *out == "" {
				continue
			}
			raw, err := json.MarshalIndent(b.results, "", "\t")
			if err == nil {
				err = os.WriteFile(*out, append(raw, '\n'), 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	b.results.print(os.Stdout)
	return nil
}

// results are all numbers.
type results struct {
	Date     string            `json:"date"`
	Machine  string            `json:"machine"`
	Versions map[string]string `json:"versions"`
	Options  string            `json:"options"`
	Missing  map[string]string `json:"not_run,omitempty"` // workloads, and why
	Rounds   []comparison      `json:"rounds"`
}

// comparison is a round of a workload.
type comparison struct {
	Workload string   `json:"workload"`
	Round    int      `json:"round"`
	Alone    measured `json:"alone"`
	Ranks    measured `json:"ranks"`
	Speedup  float64  `json:"speedup"` // the median over the same steps
	Memory   float64  `json:"memory"`  // a rank's peak over that of one process
}

// print writes a table of the medians.
func (r *results) print(w io.Writer) {
	fmt.Fprintf(w, "%s, %s\n\n", r.Date, r.Machine)
	r.printParts(w)
	fmt.Fprintln(w, "| workload | one process, tokens/s | two ranks | ratio | at least | exchange, s a step | memory of a rank: GB | ratio | at most | sent by a rank and step, MB |")
	fmt.Fprintln(w, "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
	for _, l := range workloads {
		if why := r.Missing[l.Name]; why != "" {
			fmt.Fprintf(w, "| %s | not run: %s |\n", l.Name, why)
		}
		of := func(value func(c comparison) float64) float64 {
			var values []float64
			for _, c := range r.Rounds {
				if c.Workload == l.Name {
					values = append(values, value(c))
				}
			}
			return median(values)
		}
		if !slices.ContainsFunc(r.Rounds, func(c comparison) bool { return c.Workload == l.Name }) {
			continue
		}
		fmt.Fprintf(w, "| %s | %.0f | %.0f | %.2f | %.2f | %.2f | %.2f | %.2f | %.2f | %.0f |\n", l.Name,
			of(func(c comparison) float64 { return median(c.Alone.Speeds) }), of(func(c comparison) float64 { return median(c.Ranks.Speeds) }),
			of(func(c comparison) float64 { return c.Speedup }), l.target, of(func(c comparison) float64 { return median(c.Ranks.Exchange) }),
			of(func(c comparison) float64 { return float64(c.Ranks.Peak) / 1e9 }), of(func(c comparison) float64 { return c.Memory }), l.memory,
			of(func(c comparison) float64 { return float64(c.Ranks.Sent) / 1e6 }))
	}
}

// printParts writes what the steps' seconds went by for: medians of each. A batch is what is left of a step for one.
func (r *results) printParts(w io.Writer) {
	fmt.Fprintln(w, "| workload | side | step, s | a batch | update | exchange | wait |\n|---|---|---:|---:|---:|---:|---:|")
	for _, l := range workloads {
		for _, side := range []string{"one process", "two ranks"} {
			var step, batch, update, exchange, wait []float64
			each := float64(l.accumulation)
			if side == "two ranks" {
				each /= 2
			}
			for _, c := range r.Rounds {
				if c.Workload != l.Name {
					continue
				}
				m := c.Alone
				if side == "two ranks" {
					m = c.Ranks
				}
				for i, s := range m.Seconds {
					step, update, exchange, wait = append(step, s), append(update, m.Update[i]), append(exchange, m.Exchange[i]-m.Wait[i]), append(wait, m.Wait[i])
					batch = append(batch, (s-m.Update[i]-m.Exchange[i])/each)
				}
			}
			if step != nil {
				fmt.Fprintf(w, "| %s | %s | %.2f | %.2f | %.2f | %.2f | %.2f |\n", l.Name, side, median(step), median(batch), median(update), median(exchange), median(wait))
			}
		}
	}
	fmt.Fprintln(w)
}

// median is that of some numbers; 0 of none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

// bench is a run.
type bench struct {
	options
	openMPI bool
	hosts   string // the script that makes two hosts, where it is allowed; else why not, in missing
	missing string
	results results
	made    bool // work is ours to remove
}

func newBench(o options) (*bench, error) {
	b := &bench{options: o, results: results{Date: time.Now().Format(time.DateOnly), Machine: machine(), Options: given(),
		Versions: map[string]string{"go": runtime.Version()}, Missing: map[string]string{}}}
	version, err := exec.Command(o.mpirun, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("not run: %s: %w; install Open MPI or MPICH, or name its launcher with -mpirun", o.mpirun, err)
	}
	b.openMPI = strings.Contains(string(version), "Open MPI")
	for line := range strings.Lines(string(version)) {
		if strings.Contains(line, "Open MPI") || strings.Contains(line, "Version:") {
			b.results.Versions["mpi"] = strings.Join(strings.Fields(line), " ")
			break
		}
	}
	if o.work == "" {
		b.made = true
		if b.work, err = os.MkdirTemp("", "unimo-ranks-"); err != nil {
			return nil, err
		}
	}
	if b.work, err = filepath.Abs(b.work); err != nil {
		return nil, err
	}
	if b.unimo == "" {
		b.unimo = filepath.Join(b.work, "unimo-mpi")
		build := exec.Command("go", "build", "-trimpath", "-tags", "mpi", "-o", b.unimo, "./cmd/unimo")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build unimo-mpi: %w: %s", err, out)
		}
	}
	if b.unimo, err = filepath.Abs(b.unimo); err != nil {
		return nil, err
	}
	unimo, err := exec.Command(b.unimo, "version", "--json").Output()
	if err != nil {
		return nil, fmt.Errorf("%s version: %w", b.unimo, err)
	}
	b.results.Versions["unimo"] = strings.TrimSpace(string(unimo))
	return b, nil
}

func (b *bench) close() {
	if b.hosts != "" {
		exec.Command(b.hosts, "down").Run()
	}
	if b.made {
		os.RemoveAll(b.work)
	}
}

// cable makes the two hosts, with a cable of a rate, and says whether it could.
func (b *bench) cable(rate string) error {
	if b.missing == "" && b.hosts == "" {
		script, err := filepath.Abs("internal/test/ranks/hosts.sh")
		if err != nil {
			return err
		}
		if out, err := exec.Command(script, "up").CombinedOutput(); err != nil {
			b.missing = fmt.Sprintf("two network namespaces cannot be made: %v: %s", err, strings.TrimSpace(string(out)))
		} else {
			b.hosts = script
		}
	}
	if b.hosts == "" {
		return errors.New(b.missing)
	}
	if out, err := exec.Command(b.hosts, "rate", rate).CombinedOutput(); err != nil {
		return fmt.Errorf("the cable cannot be made slow: %w: %s", err, out)
	}
	return nil
}
