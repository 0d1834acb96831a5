package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// workload is what both sides do.
type workload struct {
	Name         string
	texts        string // "sentences" or "passages"
	batch        int
	accumulation int
	steps, warm  int    // in all, and how many of them do not count
	rate         string // of the cable; "": one host
	set          string // a setting of both sides; "": none
	target       float64
	memory       float64 // of a rank by that of one process, at most
}

var workloads = []workload{
	{"sst-2", "sentences", 32, 2, 5, 1, "", "", 1.85, 1.05},
	{"eight", "sentences", 32, 8, 2, 1, "", "", 1.85, 1.05},
	{"passages", "passages", 8, 2, 2, 1, "", "", 1.9, 1.05},
	{"fast", "sentences", 32, 2, 5, 1, "10gbit", "", 1.6, 1.05},
	{"fast-eight", "sentences", 32, 8, 2, 1, "10gbit", "", 1.6, 1.05},
	{"slow", "sentences", 32, 8, 2, 1, "1gbit", "", 1.5, 1.05},
	{"sharded", "sentences", 32, 2, 5, 1, "", "shard_optimizer=true", 0, 0.8},
}

// A batch of 32 sentences takes one thread some 2.2 s, one of 8 passages 15 s (docs/results/2026-11-29-ranks.md). Around its steps a run takes some 8 s: it loads
// the model, scores it and saves it.
const (
	sentencesTake = 2.2
	passagesTake  = 15
	runTakes      = 8
)

// expected is about how long a round takes: one process, and two ranks in half of the time and a quarter more.
func (w workload) expected() time.Duration {
	batch := float64(sentencesTake)
	if w.texts == "passages" {
		batch = passagesTake
	}
	seconds := 2*runTakes + float64(w.steps*w.accumulation)*batch*(1+1.25/2)
	return time.Duration(seconds * float64(time.Second)).Round(time.Second)
}

func names() (list []string) {
	for _, w := range workloads {
		list = append(list, w.Name)
	}
	return list
}

// measured is a run.
type measured struct {
	Speeds   []float64 `json:"tokens_per_second"`  // of each step that counts
	Seconds  []float64 `json:"seconds"`            // of each
	Update   []float64 `json:"update"`             // of these, in the optimiser's step
	Exchange []float64 `json:"exchange,omitempty"` // of these, in the exchange, the wait for the other rank included
	Wait     []float64 `json:"wait,omitempty"`     // this wait
	Peak     int64     `json:"peak"`               // bytes of memory, of the rank with more
	Sent     int64     `json:"sent,omitempty"`     // bytes over the cable in a step
}

// Words of a passage, which are 400 to 480 tokens or a few more, and the most tokens that count.
const (
	leastWords, mostWords = 330, 400
	maxTokens             = 480
)

// passages makes one of each story: with the stories behind it, as most are shorter, up to a length.
func passages(stories []string) (texts []string) {
	words := strings.Fields(strings.Join(slices.Concat(stories, stories), " "))
	at := 0
	for i, story := range stories {
		n := leastWords + i*37%(mostWords-leastWords)
		if at+n > len(words) {
			break
		}
		texts = append(texts, fmt.Sprintf("%s\t%d", strings.Join(words[at:at+n], " "), i%2))
		at += len(strings.Fields(story))
	}
	return texts
}

// prepare writes the data of a workload: as many texts as its steps take.
func (b *bench) prepare(w workload) error {
	want := w.steps * w.accumulation * w.batch
	var texts []string
	switch w.texts {
	case "sentences":
		raw, err := os.ReadFile(filepath.Join(b.data, "sst2", "train.tsv"))
		if err != nil {
			return fmt.Errorf("not run: %w; -data names a folder with sst2/train.tsv", err)
		}
		texts = strings.Split(strings.TrimSpace(string(raw)), "\n")[1:]
	case "passages":
		raw, err := os.ReadFile(filepath.Join(b.data, "coqa", "dev_full_stories.json"))
		if err != nil {
			return fmt.Errorf("not run: %w; -data names a folder with coqa/dev_full_stories.json", err)
		}
		var file struct {
			Data []struct{ Story string }
		}
		if err := json.Unmarshal(raw, &file); err != nil {
			return err
		}
		var stories []string
		for _, d := range file.Data {
			stories = append(stories, d.Story)
		}
		texts = passages(stories)
	}
	if len(texts) == 0 {
		return fmt.Errorf("%s: no texts", w.Name)
	}
	var train strings.Builder
	train.WriteString("sentence\tlabel\n")
	for i := range want { // from all over the file, and again from its beginning
		train.WriteString(strings.TrimSuffix(texts[i*7919%len(texts)], "\r") + "\n")
	}
	dir := filepath.Join(b.work, w.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	dev := "sentence\tlabel\n" + strings.Join(texts[:2], "\n") + "\n"
	return errors.Join(os.WriteFile(filepath.Join(dir, "train.tsv"), []byte(train.String()), 0o644), os.WriteFile(filepath.Join(dir, "dev.tsv"), []byte(dev), 0o644))
}

// measure runs both sides of a workload, the first one first in rounds of an even number.
func (b *bench) measure(w workload, round int) error {
	if w.rate != "" {
		if err := b.cable(w.rate); err != nil {
			b.results.Missing[w.Name] = err.Error()
			fmt.Fprintf(os.Stderr, "%s: not run: %v\n", w.Name, err)
			return nil
		}
	}
	c := comparison{Workload: w.Name, Round: round}
	sides := []func() error{
		func() (err error) { c.Alone, err = b.train(w, 1); return err },
		func() (err error) { c.Ranks, err = b.train(w, 2); return err },
	}
	if round%2 == 1 {
		slices.Reverse(sides)
	}
	for _, side := range sides {
		if err := side(); err != nil {
			return err
		}
	}
	var ratios []float64
	for i, speed := range c.Ranks.Speeds {
		ratios = append(ratios, speed/c.Alone.Speeds[i])
	}
	c.Speedup, c.Memory = median(ratios), float64(c.Ranks.Peak)/float64(c.Alone.Peak)
	b.results.Rounds = append(b.results.Rounds, c)
	fmt.Fprintf(os.Stderr, "%s, round %d: %.0f and %.0f tokens/s, %.2f times; memory %.2f times\n", w.Name, round+1, median(c.Alone.Speeds), median(c.Ranks.Speeds), c.Speedup, c.Memory)
	return nil
}

// train runs a workload with one process or two ranks.
func (b *bench) train(w workload, ranks int) (m measured, err error) {
	out := filepath.Join(b.work, "run")
	if err := os.RemoveAll(out); err != nil {
		return m, err
	}
	defer os.RemoveAll(out)
	args := []string{b.unimo, "finetune", "sst-2", "--threads", "1", "--data", filepath.Join(b.work, w.Name), "--preset", "base", "--out", out}
	if b.init != "" {
		init, err := filepath.Abs(b.init)
		if err != nil {
			return m, err
		}
		args = append(args, "--init", init)
	}
	for _, s := range append([]string{"epochs=1", fmt.Sprintf("batch_size=%d", w.batch), fmt.Sprintf("gradient_accumulation=%d", w.accumulation),
		fmt.Sprintf("max_seq_len=%d", maxTokens), "log_steps=1", "snapshot_minutes=0"}, append(strings.Fields(w.set), b.settings...)...) {
		args = append(args, "--set", s)
	}
	if b.bind { // a launcher would bind the ranks of two hosts to the same processor
		args = append([]string{"sh", "-c", `exec taskset -c "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}" "$@"`, "sh"}, args...)
	}
	if ranks > 1 {
		args = slices.Concat(b.launcher(w), args)
	}
	command := exec.Command(args[0], args[1:]...)
	command.Env = append(os.Environ(), "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	if w.rate != "" {
		command.Env = append(command.Env, "UCX_TLS=tcp,self") // UCX would see that the hosts are one, and take its memory
	}
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	before := b.sent(w, ranks)
	if err := command.Start(); err != nil {
		return m, err
	}
	done := make(chan error, 1)
	go func() { done <- command.Wait() }()
	for running := true; running; {
		select {
		case err = <-done:
			running = false
		case <-time.After(500 * time.Millisecond):
			m.Peak = max(m.Peak, b.peak())
		}
	}
	if err != nil {
		return m, fmt.Errorf("%s: %w\n%s", strings.Join(args, " "), err, said.String())
	}
	m.Sent = (b.sent(w, ranks) - before) / int64(w.steps)
	log, err := os.ReadFile(filepath.Join(out, "log.jsonl"))
	if err != nil {
		return m, err
	}
	return m, m.read(log, w)
}

// launcher is the command that starts a rank on each host, or both on this one.
func (b *bench) launcher(w workload) []string {
	const addresses = "10.231.77.1,10.231.77.2"
	args := []string{b.mpirun, "-n", "2"}
	if b.openMPI {
		args = append(args, "--bind-to", "none")
	}
	if w.rate == "" {
		return args
	}
	if b.openMPI {
		args = append(args, "--host", addresses, "--mca", "plm_rsh_agent", b.hosts)
	} else {
		args = append(args, "-hosts", addresses, "-iface", "unimo", "-launcher", "rsh", "-launcher-exec", b.hosts)
	}
	return append([]string{b.hosts, "on", "a"}, args...)
}

// read takes the figures of a log.
func (m *measured) read(log []byte, w workload) error {
	lines := bufio.NewScanner(bytes.NewReader(log))
	for lines.Scan() {
		var line struct {
			Event    string  `json:"event"`
			Step     int     `json:"step"`
			Speed    float64 `json:"tokens_per_second"`
			Seconds  float64 `json:"seconds"`
			Update   float64 `json:"update_seconds"`
			Exchange float64 `json:"exchange_seconds"`
			Wait     float64 `json:"exchange_wait_seconds"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return fmt.Errorf("log.jsonl: %w", err)
		}
		if line.Event == "step" && line.Step > w.warm {
			m.Speeds = append(m.Speeds, line.Speed)
			m.Seconds, m.Update = append(m.Seconds, line.Seconds), append(m.Update, line.Update)
			m.Exchange, m.Wait = append(m.Exchange, line.Exchange), append(m.Wait, line.Wait)
		}
	}
	if len(m.Speeds) != w.steps-w.warm {
		return fmt.Errorf("log.jsonl has %d steps after the first %d, want %d", len(m.Speeds), w.warm, w.steps-w.warm)
	}
	return lines.Err()
}

// peak is the most memory that a process of the program has had, of those that run.
func (b *bench) peak() (bytes int64) {
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, p := range processes {
		if exe, err := os.Readlink(filepath.Join(p, "exe")); err != nil || exe != b.unimo {
			continue
		}
		var kib int64
		fmt.Sscanf(field(filepath.Join(p, "status"), "VmHWM"), "%d kB", &kib)
		bytes = max(bytes, kib*1024)
	}
	return bytes
}

// sent is how many bytes have left the first host.
func (b *bench) sent(w workload, ranks int) int64 {
	if w.rate == "" || ranks == 1 {
		return 0
	}
	raw, err := exec.Command(b.hosts, "on", "a", "cat", "/sys/class/net/unimo/statistics/tx_bytes").Output()
	if err != nil {
		return 0
	}
	var n int64
	fmt.Sscan(string(raw), &n)
	return n
}

// machine describes where this runs.
func machine() string {
	line := fmt.Sprintf("%s, %d cores, %s", field("/proc/cpuinfo", "model name"), runtime.NumCPU(), runtime.GOOS)
	load, err := os.ReadFile("/proc/loadavg")
	if err == nil {
		line += ", load " + strings.Join(strings.Fields(string(load))[:3], " ") + " at the start"
	}
	return line
}

// field returns the first value of a name in a file of "name: value" lines.
func field(path, name string) string {
	raw, _ := os.ReadFile(path)
	for line := range strings.Lines(string(raw)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
