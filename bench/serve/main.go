package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"
)

// options say what is measured, and how long.
type options struct {
	here         string // the folder of this program
	unimo        string // the program; built from the tree if not named
	model        string
	pictures     string // a second model, for nonsense
	infinity     string // Python
	onnx         string // Python
	servers      []string
	work         string
	threads      int
	format       string
	rounds       int
	duration     time.Duration
	overloadTime time.Duration
	signals      int
	leavers      int
	limit        int // MB
}

// bench is a run.
type bench struct {
	options
	sentences []string
	workloads []workload
	results   *results
	begin     time.Time
	end       time.Time // about
}

// part is one of the things that are measured.
type part struct {
	name string
	run  func(b *bench, ctx context.Context) error
	time func(o options) time.Duration // about
}

var parts = []part{
	{"throughput", (*bench).throughput, func(o options) time.Duration {
		return time.Minute + time.Duration(8*len(o.servers))*(time.Second+time.Duration(o.rounds)*5*o.duration/4)
	}},
	{"latency", (*bench).latency, func(o options) time.Duration {
		return time.Minute + time.Duration(2*len(o.servers))*(5*time.Second+time.Duration(o.rounds)*5*o.duration)
	}},
	{"overload", (*bench).overload, func(o options) time.Duration { return o.overloadTime + 2*o.peakTime() + 10*time.Second }},
	{"endurance", (*bench).endurance, func(o options) time.Duration {
		return time.Duration(o.signals)*1500*time.Millisecond + 6*o.duration + time.Minute
	}},
}

func main() {
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		os.Exit(1)
	}
}

func partNames() []string {
	var names []string
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

func measure() error {
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	o := options{here: here}
	flag.StringVar(&o.model, "model", "", "folder of the weights: sentence-transformers' all-MiniLM-L6-v2 (needed)")
	flag.StringVar(&o.pictures, "pictures", filepath.Join(here, "..", "..", "internal", "demo", "model"), "folder of a model for pictures, which gets nonsense, too; empty: none")
	flag.StringVar(&o.unimo, "unimo", "", "the program that is measured; empty: built from this tree")
	flag.StringVar(&o.infinity, "infinity", "", "Python that has infinity-emb; empty: not run")
	flag.StringVar(&o.onnx, "onnx", "", "Python that has ONNX Runtime, uvicorn and what exports the graph; empty: not run")
	flag.StringVar(&o.work, "work", filepath.Join(os.TempDir(), "unimo-bench-serve"), "folder for logs, the built program and the exported graph")
	flag.IntVar(&o.threads, "threads", min(2, runtime.NumCPU()), "threads of every server")
	flag.StringVar(&o.format, "format", "float", "encoding_format of the requests: float or base64")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of throughput and latency, after one that warms up")
	flag.DurationVar(&o.duration, "duration", 3*time.Second, "of a measurement; twice as long at 80 %")
	flag.DurationVar(&o.overloadTime, "overload", 10*time.Minute, "of the overload")
	flag.IntVar(&o.signals, "signals", 100, "times SIGTERM is sent")
	flag.IntVar(&o.leavers, "leavers", 1000, "clients that leave half-way")
	flag.IntVar(&o.limit, "limit", 1024, "MB that the server may have under overload")
	var (
		sentences = flag.String("sentences", filepath.Join(dataDir(here), "stsb", "stsb-en-dev.csv"), "file of STS-B; its folder is in $UNIMO_DATA")
		chosen    = flag.String("parts", strings.Join(partNames(), ","), "parts, comma-separated")
		list      = flag.String("servers", strings.Join([]string{ours, infinity, onnx}, ","), "servers of throughput and latency")
		workloads = flag.String("workloads", "1,2", "1: single sentences, 2: batches of 32")
		file      = flag.String("json", "", "file that keeps all numbers (needed)")
		again     = flag.Bool("again", false, "measure parts that the file has, too")
		table     = flag.Bool("table", false, "measure nothing: the tables of the file")
	)
	flag.Parse()
	if flag.NArg() > 0 || *file == "" {
		return fmt.Errorf("want -json FILE and only flags, not %q", flag.Args())
	}
	r, err := readResults(*file)
	if err != nil || *table {
		return errors.Join(err, r.markdown(os.Stdout))
	}
	if o.model == "" || o.format != "float" && o.format != "base64" || o.rounds < 1 || o.duration < time.Second/2 || o.overloadTime < time.Second {
		return errors.New("want -model DIR, -format float or base64, -rounds 1 or more, -duration 500ms or more, -overload 1s or more")
	}
	for _, path := range []*string{&o.model, &o.work, &o.pictures, &o.unimo} {
		if *path != "" {
			if *path, err = filepath.Abs(*path); err != nil {
				return err
			}
		}
	}
	for _, name := range strings.Split(*list, ",") {
		if name != ours && wanted[name] == 0 {
			return fmt.Errorf("-servers: %q is none of %s, %s, %s", name, ours, infinity, onnx)
		}
		o.servers = append(o.servers, name)
	}
	if o.servers[0] != ours {
		return fmt.Errorf("-servers begins with %s, with which the others are compared", ours)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := &bench{options: o, results: r, begin: time.Now()}
	if b.sentences, err = readSentences(*sentences); err != nil {
		return err
	}
	all, err := newWorkloads(b.sentences, o.format)
	if err != nil {
		return err
	}
	for i, w := range all {
		if slices.Contains(strings.Split(*workloads, ","), fmt.Sprint(i+1)) {
			b.workloads = append(b.workloads, w)
		}
	}
	if len(b.workloads) == 0 {
		return fmt.Errorf("-workloads %s: want of 1 and 2", *workloads)
	}
	if err := os.MkdirAll(o.work, 0o755); err != nil {
		return err
	}
	if b.unimo == "" {
		if err := b.build(ctx); err != nil {
			return err
		}
	}
	return b.all(ctx, strings.Split(*chosen, ","), *file, *again)
}

// all measures the chosen parts that the file does not have, and prints the tables.
func (b *bench) all(ctx context.Context, chosen []string, file string, again bool) error {
	var todo []part
	for _, name := range chosen {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == name })
		if i < 0 {
			return fmt.Errorf("-parts: %q is none of %s", name, strings.Join(partNames(), ", "))
		}
		if b.results.has(name) && !again {
			b.say("%s: %s has it", name, file)
			continue
		}
		todo = append(todo, parts[i])
	}
	left := time.Duration(0)
	for _, p := range todo {
		left += p.time(b.options)
	}
	b.end = time.Now().Add(left)
	for _, p := range todo {
		b.say("%s: about %v", p.name, p.time(b.options).Round(time.Second))
		quiet := load()
		if err := p.run(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		left -= p.time(b.options)
		b.end = time.Now().Add(left)
		b.results.note(machine(b.threads))
		for _, c := range b.contenders() {
			if c.name == ours || b.results.Memory[c.name] > 0 {
				b.results.note(c.name + ": " + c.about)
			}
		}
		b.results.note(fmt.Sprintf("%s: %d rounds of %v, encoding_format %s, overload of %v; load of the machine before: %s", p.name, b.rounds, b.duration, b.format, b.overloadTime, quiet))
		if err := b.results.write(file); err != nil {
			return err
		}
	}
	return b.results.markdown(os.Stdout)
}

// say writes a line of progress.
func (b *bench) say(format string, args ...any) {
	clock := time.Since(b.begin).Round(time.Second).String()
	if left := time.Until(b.end); left > 0 {
		clock += fmt.Sprintf(", about %v left", left.Round(time.Second))
	}
	fmt.Fprintf(os.Stderr, "[%s] %s\n", clock, fmt.Sprintf(format, args...))
}

// tell says every half minute that something goes on, until it is stopped.
func (b *bench) tell(what string) (stop func()) {
	tick, done := time.NewTicker(30*time.Second), make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				b.say("%s goes on", what)
			case <-done:
				return
			}
		}
	}()
	return func() { tick.Stop(); close(done) }
}

// build makes the program of this tree.
func (b *bench) build(ctx context.Context) error {
	b.say("building unimo")
	b.unimo = filepath.Join(b.work, "unimo")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.unimo, "./cmd/unimo")
	cmd.Dir = filepath.Join(b.here, "..", "..")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build unimo: %w\n%s", err, out)
	}
	return nil
}

// about says what is measured.
func (o options) about() string {
	out, err := exec.Command(o.unimo, "version").Output()
	if err != nil {
		return "version unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// machine describes where and when this runs.
func machine(threads int) string {
	cpu := runtime.GOARCH
	raw, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(raw)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			cpu = strings.TrimSpace(value)
			break
		}
	}
	generator := "vegeta"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/tsenart/vegeta/v12" {
				generator += " " + m.Version
			}
		}
	}
	return fmt.Sprintf("%s: %s, %d cores, %s; %d threads each; %s on the same machine", time.Now().Format("2 January 2006"), cpu, runtime.NumCPU(), runtime.GOOS, threads, generator)
}

// load is what the machine has to do, as its averages say.
func load() string {
	raw, _ := os.ReadFile("/proc/loadavg")
	return strings.Join(strings.Fields(string(raw))[:min(3, len(strings.Fields(string(raw))))], " ")
}

// dataDir is the folder of real data.
func dataDir(here string) string {
	if dir := os.Getenv("UNIMO_DATA"); dir != "" {
		return dir
	}
	return filepath.Join(here, "..", "..", "..", "shared", "data")
}
