package main

import (
	"bufio"
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

//go:embed peers/*.py
var peerScripts embed.FS

// pause lets the threads of the contender before fall asleep: OpenMP's spin on for a
// while after their work.
const pause = 500 * time.Millisecond

// patience bounds the wait for one answer: compilers of graphs take minutes.
const patience = 10 * time.Minute

// driver runs workloads.
type driver struct {
	dir     string // temporary, for scripts, batches and models
	python  string
	threads int
	rounds  int
	log     io.Writer // what the contenders write to standard error

	device, precision, size string // of accelerators' workloads

	miniLM, miniLMInt8 string // a folder of sentence-transformers, and another's ONNX file of it

	status io.Writer // progress

	corpus      *corpus
	corpusError error // why there is none
	modelError  error
	hasModel    bool
	hasEncoders bool
	hasMiniLM   bool
}

func newDriver(dir, python string, threads, rounds int, log, status io.Writer) (*driver, error) {
	d := &driver{dir: dir, python: python, threads: threads, rounds: rounds, log: log, status: status}
	scripts, err := peerScripts.ReadDir("peers")
	if err != nil {
		return nil, err
	}
	for _, s := range scripts {
		raw, err := peerScripts.ReadFile("peers/" + s.Name())
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, s.Name()), raw, 0o644); err != nil {
			return nil, err
		}
	}
	d.corpus, d.corpusError = readCorpus(dataDir())
	return d, nil
}

// side is a contender as the driver runs it, and what it measured.
type side struct {
	title  string
	rounds int // takes part in so many; 0: in all
	fresh  func() *exec.Cmd

	about   string
	replies []reply // of the rounds after the first
	peak    int64
	err     error // why it was not run, or not to its end
}

// measure runs a workload with all its contenders: first come ours, as in
// workload.variants, then the peers.
func (d *driver) measure(ctx context.Context, w workload) ([]*side, error) {
	sides := make([]*side, 0, len(w.variants())+len(w.peers))
	fail := func(err error) []*side { // nobody can run
		for range cap(sides) {
			sides = append(sides, &side{err: err})
		}
		return sides
	}
	rounds := d.rounds
	if w.rounds > 0 {
		rounds = min(rounds, w.rounds)
	}
	if w.chip {
		if d.device == "" {
			return fail(errors.New("-device names no accelerator")), nil
		}
	} else if w.worker != "products" && d.corpusError != nil {
		return fail(d.corpusError), nil
	}
	if _, err := d.batches(w.batches, rounds); err != nil {
		return fail(err), nil
	}
	if slices.Contains(withModel, w.worker) {
		if err := d.models(ctx); err != nil {
			return fail(err), nil
		}
	}
	if w.worker == "see" {
		d.encoders(ctx)
	}
	if w.worker == "embed" {
		if err := d.embedders(ctx); err != nil {
			return fail(err), nil
		}
	}
	for _, v := range w.variants() {
		s, err := d.ours(w, v, rounds)
		if err != nil {
			return nil, err
		}
		sides = append(sides, s)
	}
	for _, p := range w.peers {
		s, err := d.peer(w, p, rounds)
		if err != nil {
			return nil, err
		}
		sides = append(sides, s)
	}
	if w.worker == "first" {
		d.startProcesses(ctx, w, sides, rounds)
	} else {
		d.interleave(ctx, w, sides, rounds)
	}
	return sides, ctx.Err()
}

// ours is the side of this program.
func (d *driver) ours(w workload, v variant, rounds int) (*side, error) {
	file, err := d.batches(w.batches, rounds)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{self, "-serve", cmp.Or(v.worker, w.worker), "-file", file, "-model", d.modelDir(w.worker), "-threads", strconv.Itoa(d.threads)}
	if w.chip {
		args = append(args, "-device", d.device, "-precision", d.precision, "-size", d.size)
	}
	if w.worker == "first" {
		program, err := d.program()
		if err != nil {
			return nil, err
		}
		args = []string{program, "predict", "--model", d.modelDir(w.worker), d.corpus.devText[0]}
	}
	return &side{title: "unimo", about: aboutUnimo(d.threads), fresh: func() *exec.Cmd { return d.command(args) }}, nil
}

// peer is the side of a script, or another one of ours.
func (d *driver) peer(w workload, p contender, rounds int) (*side, error) {
	if p.module != "" {
		return d.goPeer(w, p, rounds)
	}
	if p.script == "" {
		return d.ours(w, variant{worker: p.worker}, rounds)
	}
	batches := w.batches
	if p.batches != "" {
		batches = p.batches
	}
	file, err := d.batches(batches, rounds)
	if err != nil {
		return nil, err
	}
	args := d.script(p.script, w.worker)
	args = append(args, "--variant", p.variant, "--file", file)
	if w.chip {
		args = append(args, "--size", d.size)
	}
	return &side{title: p.name, rounds: p.rounds, fresh: func() *exec.Cmd { return d.command(args) }}, nil
}

// goPeer is the side of a Go module, which may need a newer Go than ours, fetched by go itself, and its experiments.
func (d *driver) goPeer(w workload, p contender, rounds int) (*side, error) {
	file, err := d.batches(w.batches, rounds)
	if err != nil {
		return nil, err
	}
	s := &side{title: p.name, rounds: p.rounds}
	dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/unimo-go/unimo/bench").Output()
	if err != nil {
		s.err = fmt.Errorf("the folder of %s: %w", p.name, err)
		return s, nil
	}
	program := filepath.Join(d.dir, p.module+".exe")
	build := exec.Command("go", "build", "-trimpath", "-o", program, ".")
	build.Dir = filepath.Join(strings.TrimSpace(string(dir)), "peers", p.module)
	build.Env = append(os.Environ(), "GOTOOLCHAIN=auto", "GOEXPERIMENT=simd")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(d.log, "%s", out)
		s.err = fmt.Errorf("build %s: %w", p.name, err)
		return s, nil
	}
	s.fresh = func() *exec.Cmd {
		return d.command([]string{program, "-file", file, "-threads", strconv.Itoa(d.threads)})
	}
	return s, nil
}

func (d *driver) script(name, workload string) []string {
	return []string{d.python, filepath.Join(d.dir, name), "--workload", workload, "--model", d.modelDir(workload), "--threads", strconv.Itoa(d.threads)}
}

// modelDir is the folder of the models of a worker.
func (d *driver) modelDir(worker string) string {
	if worker == "embed" {
		return filepath.Join(d.dir, "minilm")
	}
	return filepath.Join(d.dir, "model")
}

// program builds unimo.
func (d *driver) program() (string, error) {
	program := filepath.Join(d.dir, "unimo.exe") // the ending matters on Windows only
	if out, err := exec.Command("go", "build", "-trimpath", "-o", program, "github.com/unimo-go/unimo/cmd/unimo").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build unimo: %w\n%s", err, out)
	}
	return program, nil
}

// command makes a command whose libraries use the threads of the comparison.
func (d *driver) command(args []string) *exec.Cmd {
	n := strconv.Itoa(d.threads)
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+n, "OMP_NUM_THREADS="+n, "MKL_NUM_THREADS="+n, "HF_HUB_OFFLINE=1", "PYTHONWARNINGS=ignore")
	return cmd
}

// batches returns the path of a file of batches, which is written at its first use.
func (d *driver) batches(name string, rounds int) (string, error) {
	cfg, err := sizeOf(cmp.Or(d.size, "base"))
	if err != nil {
		return "", err
	}
	if w, ok := drawnFile(name, cfg, rounds); ok {
		path := filepath.Join(d.dir, name+".json")
		return path, writeJSON(path, w)
	}
	return writeBatches(d.corpus, d.dir, name, rounds)
}

func writeBatches(c *corpus, dir, name string, rounds int) (string, error) {
	path := filepath.Join(dir, name+".json")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if name == "products" {
		var cases [][]int
		for _, s := range productShapes() {
			cases = append(cases, []int{s.rows, s.cols, s.inner})
		}
		return path, writeJSON(path, map[string]any{"rounds": cases})
	}
	w, err := c.files(rounds)[name]()
	if err != nil {
		return "", fmt.Errorf("batches %s: %w", name, err)
	}
	return path, writeJSON(path, w)
}

// models writes the models for inference, each contender's in its own form.
func (d *driver) models(ctx context.Context) error {
	if d.hasModel {
		return d.modelError
	}
	d.hasModel = true
	d.say("writing models")
	if d.modelError = writeModel(d.modelDir(""), d.corpus.tok); d.modelError != nil {
		return d.modelError
	}
	d.export(ctx, "torch_peer.py", "paddle_peer.py")
	return nil
}

// encoders writes the picture encoders, for all contenders in the same files.
func (d *driver) encoders(ctx context.Context) {
	if d.hasEncoders {
		return
	}
	d.hasEncoders = true
	d.say("writing picture encoders")
	d.export(ctx, "vision_peer.py")
}

// embedders brings the forms of MiniLM into a folder: ours in float32 and int8, and the peer's file with the tokenizer.
func (d *driver) embedders(ctx context.Context) error {
	if d.hasMiniLM {
		return nil
	}
	if d.miniLM == "" || d.miniLMInt8 == "" {
		return errors.New("-minilm and -minilm-int8 name no models")
	}
	dir := d.modelDir("embed")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for name, path := range map[string]string{"float32": d.miniLM, "int8.onnx": d.miniLMInt8, "tokenizer.json": filepath.Join(d.miniLM, "tokenizer.json")} {
		whole, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		if err := os.Symlink(whole, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	program, err := d.program()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, "quantize", d.miniLM, filepath.Join(dir, "int8"))
	cmd.Stdout, cmd.Stderr = d.log, d.log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("quantize %s: %w", d.miniLM, err)
	}
	d.hasMiniLM = true
	return nil
}

// export has peers write their models.
func (d *driver) export(ctx context.Context, scripts ...string) {
	for _, script := range scripts {
		cmd := exec.CommandContext(ctx, d.python, d.script(script, "export")[1:]...)
		cmd.Stdout, cmd.Stderr = d.log, d.log
		if err := cmd.Run(); err != nil { // the peer will not find its model, and say so
			d.say("%s: no model: %v", script, err)
		}
	}
}

// interleave starts the workers and takes them in turn, round by round.
func (d *driver) interleave(ctx context.Context, w workload, sides []*side, rounds int) {
	workers := make([]*worker, len(sides))
	drop := func(i int, err error) {
		d.say("%s: %s: %v", w.name, sides[i].title, err)
		sides[i].err = err
		if workers[i] != nil {
			workers[i].kill()
			workers[i] = nil
		}
	}
	for round := range rounds + 1 { // round 0 warms up
		for i, s := range sides {
			if s.err != nil || ctx.Err() != nil || s.rounds > 0 && round > s.rounds {
				continue
			}
			start := time.Now()
			if round == 0 {
				var err error
				if workers[i], s.about, err = startWorker(ctx, s.fresh(), d.log, patience); err != nil {
					drop(i, err)
					continue
				}
			}
			r, err := workers[i].ask(ctx, request{Run: round})
			if err != nil {
				drop(i, err)
				continue
			}
			if round > 0 {
				s.replies = append(s.replies, r)
			}
			d.say("%s: round %d of %d, %s: %.2f s", w.name, round, rounds, s.title, time.Since(start).Seconds())
			time.Sleep(pause)
		}
	}
	for i, s := range sides {
		if workers[i] == nil {
			continue
		}
		if peak, err := workers[i].quit(ctx); err == nil {
			s.peak = peak
		}
	}
}

// startProcesses measures whole processes, up to their first line.
func (d *driver) startProcesses(ctx context.Context, w workload, sides []*side, rounds int) {
	for round := range rounds + 1 { // round 0 brings the files into memory
		for _, s := range sides {
			if s.err != nil || ctx.Err() != nil {
				continue
			}
			t, line, err := firstLine(s.fresh(), d.log)
			if err != nil {
				d.say("%s: %s: %v", w.name, s.title, err)
				s.err = err
				continue
			}
			var said reply
			if json.Unmarshal([]byte(line), &said) == nil { // a peer's
				s.about = said.About
			}
			if round > 0 {
				s.replies = append(s.replies, reply{Seconds: []float64{t}})
			}
			d.say("%s: round %d of %d, %s: %.2f s", w.name, round, rounds, s.title, t)
			time.Sleep(pause)
		}
	}
}

// firstLine runs a command to its end and returns how long its first line took.
func firstLine(cmd *exec.Cmd, log io.Writer) (seconds float64, line string, err error) {
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return 0, "", err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, "", err
	}
	in := bufio.NewReader(out)
	line, readErr := in.ReadString('\n')
	seconds = time.Since(start).Seconds()
	io.Copy(io.Discard, in)
	if err := cmd.Wait(); err != nil {
		var said reply
		if json.Unmarshal([]byte(line), &said) == nil && said.Error != "" {
			return 0, "", errors.New(said.Error)
		}
		return 0, "", err
	}
	if readErr != nil {
		return 0, "", errors.New("the process printed nothing")
	}
	return seconds, line, nil
}

// say prints a line of progress.
func (d *driver) say(format string, args ...any) {
	fmt.Fprintf(d.status, "%s %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}
