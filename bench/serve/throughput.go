package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// startTime is what a peer may take until its first answer: Python imports, and a graph is exported the first time.
const startTime = 5 * time.Minute

// contenders are the servers that are compared.
func (o options) contenders() []contender {
	peer := func(name, python, about string, args func(port string) []string, env ...string) contender {
		return contender{name: name, about: about, start: func(ctx context.Context) (*server, error) {
			if python == "" {
				return nil, errors.New("no Python with it was named")
			}
			return startPeer(ctx, filepath.Join(o.work, strings.ReplaceAll(name, " ", "-")+".log"), startTime, func(port string) *exec.Cmd {
				cmd := exec.Command(python, args(port)...)
				cmd.Env = append(cmd.Environ(), append(env, "HF_HUB_OFFLINE=1", "TOKENIZERS_PARALLELISM=false", fmt.Sprint("OMP_NUM_THREADS=", o.threads))...)
				return cmd
			})
		}}
	}
	list := []contender{
		{name: ours, about: o.about(), start: func(ctx context.Context) (*server, error) {
			return o.startOurs(ctx, filepath.Join(o.work, "unimo.log"))
		}},
		peer(infinity, o.infinity, versions(o.infinity, "infinity_emb", "torch", "transformers", "sentence-transformers", "uvicorn")+"; float32, torch on the CPU", func(port string) []string {
			return []string{"-m", "infinity_emb.cli", "v2", "--model-id", o.model, "--served-model-name", modelName, "--engine", "torch", "--device", "cpu", "--dtype", "float32",
				"--host", "127.0.0.1", "--port", port, "--url-prefix", "/v1", "--log-level", "error"}
		}, "INFINITY_ANONYMOUS_USAGE_STATS=0", "DO_NOT_TRACK=1"),
		peer(onnx, o.onnx, versions(o.onnx, "onnxruntime", "tokenizers", "uvicorn")+"; float32, graph of the transformer optimiser, behind peers/onnx_server.py", func(port string) []string {
			return []string{filepath.Join(o.here, "peers", "onnx_server.py"), "--model", o.model, "--graph", filepath.Join(o.work, "model.onnx"), "--port", port, "--threads", fmt.Sprint(o.threads)}
		}),
	}
	return slices.DeleteFunc(list, func(c contender) bool { return !slices.Contains(o.servers, c.name) })
}

// versions are those of packages, as a Python has them.
func versions(python string, packages ...string) string {
	if python == "" {
		return ""
	}
	script := "import importlib.metadata as m, sys\nprint('Python ' + sys.version.split()[0] + ', ' + ', '.join(p + ' ' + m.version(p) for p in sys.argv[1:]))"
	out, err := exec.Command(python, append([]string{"-c", script}, packages...)...).Output()
	if err != nil {
		return "versions unknown"
	}
	return strings.TrimSpace(string(out))
}

// running are contenders that were started, and why others were not.
type running struct {
	contender
	*server
	missing string
}

// start starts all contenders, one after another, and leaves them frozen.
func (b *bench) start(ctx context.Context) ([]running, error) {
	var list []running
	for _, c := range b.contenders() {
		b.say("starting %s", c.name)
		s, err := c.start(ctx)
		if ctx.Err() != nil {
			return list, ctx.Err()
		}
		r := running{contender: c, server: s}
		if err != nil {
			if c.name == ours {
				return list, err
			}
			r.missing = err.Error()
			b.say("%s: not run: %v", c.name, err)
		} else {
			s.freeze()
		}
		list = append(list, r)
	}
	return list, nil
}

func stopAll(list []running) {
	for _, r := range list {
		if r.server != nil {
			r.server.stop()
		}
	}
}

// alone runs f with one contender awake.
func (r running) alone(f func() (figures, error)) (figures, error) {
	r.thaw()
	defer r.freeze()
	return f()
}

// compare checks that all servers do the same work.
func (b *bench) compare(ctx context.Context, list []running) error {
	for _, r := range list[1:] {
		if r.server == nil {
			continue
		}
		list[0].thaw()
		r.thaw()
		d, err := agreement(ctx, list[0].server, r.server, b.sentences, b.format)
		list[0].freeze()
		r.freeze()
		if err != nil {
			return fmt.Errorf("compare %s with %s: %w", ours, r.name, err)
		}
		if b.results.Distance == nil {
			b.results.Distance = map[string]float64{}
		}
		b.results.Distance[r.name] = d
		if math.IsNaN(d) || d > 1e-5 {
			return fmt.Errorf("vectors of %s and %s differ: 1 - cosine is up to %g; what is timed is not the same work", ours, r.name, d)
		}
		b.say("vectors of %s and %s agree: 1 - cosine is at most %.1e for %d sentences", ours, r.name, d, sampleSize)
	}
	return nil
}

// throughput measures every contender at every number of connections, round by round.
func (b *bench) throughput(ctx context.Context) error {
	list, err := b.start(ctx)
	defer func() { stopAll(list) }()
	if err != nil {
		return err
	}
	if err := b.compare(ctx, list); err != nil {
		return err
	}
	b.results.Throughput = nil
	for round := range b.rounds + 1 {
		for _, w := range b.workloads {
			for _, n := range w.connections {
				for _, r := range list {
					if r.server == nil {
						continue
					}
					d := b.duration
					if round == 0 { // warms up
						d = min(d, time.Second)
					}
					f, err := r.alone(func() (figures, error) { return closed(ctx, w, r.embeddings(), n, d) })
					if err != nil {
						return err
					}
					if !f.only("200") {
						return fmt.Errorf("%s, %s, %d connections: answers %v", r.name, w.name, n, f.Statuses)
					}
					b.say("round %d, %s, %d connections, %s: %.1f requests/s, median %.1f ms, p99 %.1f ms", round, w.name, n, r.name, f.PerSecond, f.P50, f.P99)
					if round > 0 {
						b.results.Throughput = append(b.results.Throughput, measurement{Workload: w.name, Sentences: w.sentences, Server: r.name, Round: round, figures: f})
					}
				}
			}
		}
	}
	return b.finish(list)
}

// latency measures every contender at 80 % of its own peak. A round has the peak, the unloaded server and the load right after each other, so that all
// three have the same machine.
func (b *bench) latency(ctx context.Context) error {
	list, err := b.start(ctx)
	defer func() { stopAll(list) }()
	if err != nil {
		return err
	}
	b.results.Latency = nil
	for round := range b.rounds + 1 {
		for _, w := range b.workloads {
			for _, r := range list {
				if r.server == nil {
					continue
				}
				d := b.duration
				if round == 0 { // warms up
					d = min(d, time.Second)
				}
				x, err := b.steady(ctx, r, w, d)
				if err != nil {
					return err
				}
				b.say("round %d, %s at 80 %% of %.1f/s, %s: unloaded median %.1f ms; median %.1f ms, p99 %.1f ms", round, w.name, x.Peak.PerSecond, r.name, x.Unloaded.P50, x.Load.P50, x.Load.P99)
				if x.Round = round; round > 0 {
					b.results.Latency = append(b.results.Latency, x)
				}
			}
		}
	}
	return b.finish(list)
}

// steady measures one contender.
func (b *bench) steady(ctx context.Context, r running, w workload, d time.Duration) (x loaded, err error) {
	r.thaw()
	defer r.freeze()
	x = loaded{Workload: w.name, Server: r.name}
	_, connections := b.results.peak(w.name, r.name)
	if connections == 0 {
		connections = w.connections[len(w.connections)-1]
	}
	if x.Peak, err = closed(ctx, w, r.embeddings(), connections, d); err != nil {
		return x, err
	}
	if x.Unloaded, err = closed(ctx, w, r.embeddings(), 1, d); err != nil {
		return x, err
	}
	if x.Peak.Answered == 0 || !x.Peak.only("200") {
		return x, fmt.Errorf("%s, %s: the peak cannot be measured within %v: answers %v", r.name, w.name, d, x.Peak.Statuses)
	}
	x.Load, err = open(ctx, w, r.embeddings(), 0.8*x.Peak.PerSecond, 2*d)
	return x, err
}

// finish keeps the peaks of memory and what was not run.
func (b *bench) finish(list []running) error {
	if b.results.Memory == nil {
		b.results.Memory, b.results.Missing = map[string]int64{}, map[string]string{}
	}
	for _, r := range list {
		if r.server == nil {
			b.results.Missing[r.name] = r.missing
			continue
		}
		delete(b.results.Missing, r.name)
		peak, err := r.server.peak()
		if err != nil {
			return err
		}
		b.results.Memory[r.name] = max(b.results.Memory[r.name], peak)
	}
	return nil
}
