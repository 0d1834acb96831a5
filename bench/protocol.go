package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// request is a line to a worker.
type request struct {
	Run  int  `json:"run"`            // the round to work on
	Quit bool `json:"quit,omitempty"` // report the peak of memory and end
}

// reply is a worker's line: first Ready or Error, then one for every request.
type reply struct {
	Ready bool   `json:"ready,omitempty"`
	About string `json:"about,omitempty"` // versions and settings
	Error string `json:"error,omitempty"`

	Seconds []float64 `json:"seconds,omitempty"` // of every batch of the round
	Tokens  []int     `json:"tokens,omitempty"`  // of every batch: see batch.size
	Objects uint64    `json:"objects,omitempty"` // heap allocations of the round, where known
	Bytes   uint64    `json:"bytes,omitempty"`   // and their size

	Values map[string]float64 `json:"values,omitempty"` // of products

	PeakBytes int64 `json:"peak_bytes,omitempty"`
}

// batch is what a contender works on at once.
type batch struct {
	Sequences [][]int32 `json:"sequences"`
	Labels    []int32   `json:"labels,omitempty"`
	Texts     []string  `json:"texts,omitempty"` // what the sequences are the tokens of

	Targets [][]int32 `json:"targets,omitempty"` // to learn to write behind the sequences, each with its end
	Beams   int       `json:"beams,omitempty"`   // to search with for targets
	Length  int       `json:"length,omitempty"`  // of exactly so many tokens

	Images  int      `json:"images,omitempty"`  // to compare with the sequences, of random features
	Regions int      `json:"regions,omitempty"` // of each of them, the global one among them
	Pairs   [][2]int `json:"pairs,omitempty"`   // an image and a sequence
	Group   int      `json:"group,omitempty"`   // so many pairs are learnt from together: see corpus.groups
	Steps   int      `json:"steps,omitempty"`   // of adversarial training

	Network  string   `json:"network,omitempty"`  // a picture encoder
	Pictures []string `json:"pictures,omitempty"` // files for it
	Decode   bool     `json:"decode,omitempty"`   // reading them counts
}

// size returns the number of real tokens; of sources where targets are searched for; of
// groups where images are learnt with texts, and of pairs where they are scored; of pictures.
func (b batch) size() int {
	switch {
	case b.Network != "":
		return len(b.Pictures)
	case b.Beams > 0:
		return max(len(b.Sequences), b.Images)
	case b.Group > 0:
		return len(b.Pairs) / b.Group
	case b.Images > 0:
		return len(b.Pairs)
	}
	n := 0
	for _, s := range slices.Concat(b.Sequences, b.Targets) {
		n += len(s)
	}
	return n
}

// workFile is the file of batches that all contenders read. Round 0 warms up.
type workFile struct {
	Rounds [][]batch `json:"rounds"`
}

func writeJSON(path string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, raw, 0o644)
}

func readWorkFile(path string) (workFile, error) {
	var w workFile
	raw, err := os.ReadFile(path)
	if err != nil {
		return w, err
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return w, fmt.Errorf("%s: %w", path, err)
	}
	if len(w.Rounds) == 0 {
		return w, fmt.Errorf("%s: no rounds", path)
	}
	return w, nil
}

// serve is a worker's side of the protocol.
func serve(in io.Reader, out io.Writer, about string, run func(round int) (reply, error), peak func() int64) error {
	enc := json.NewEncoder(out)
	if err := enc.Encode(reply{Ready: true, About: about}); err != nil {
		return err
	}
	for dec := json.NewDecoder(in); ; {
		var q request
		if err := dec.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if q.Quit {
			return enc.Encode(reply{PeakBytes: peak()})
		}
		r, err := run(q.Run)
		if err != nil {
			return err
		}
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
}

// peakBytes returns the most memory this process has had resident, 0 where the
// system does not tell.
func peakBytes() int64 {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}

// worker is the driver's view of a process that speaks the protocol.
type worker struct {
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	replies chan reply // closed when the process ends
	limit   time.Duration
}

// startWorker starts a process and waits until it is ready. What it writes to
// standard error goes to log.
func startWorker(ctx context.Context, cmd *exec.Cmd, log io.Writer, limit time.Duration) (*worker, string, error) {
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	w := &worker{cmd: cmd, stdin: stdin, replies: make(chan reply), limit: limit}
	go func() {
		defer close(w.replies)
		lines := bufio.NewScanner(stdout)
		lines.Buffer(nil, 16<<20)
		for lines.Scan() {
			var r reply
			if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
				r = reply{Error: fmt.Sprintf("not a reply: %.80q", lines.Text())}
			}
			w.replies <- r
		}
	}()
	hello, err := w.receive(ctx)
	if err == nil && !hello.Ready {
		err = errors.New("the first line does not say ready")
	}
	if err != nil {
		w.kill()
		return nil, "", err
	}
	return w, hello.About, nil
}

func (w *worker) receive(ctx context.Context) (reply, error) {
	timeout := time.NewTimer(w.limit)
	defer timeout.Stop()
	select {
	case r, ok := <-w.replies:
		if !ok {
			return reply{}, errors.New("the process ended")
		}
		if r.Error != "" {
			return reply{}, errors.New(r.Error)
		}
		return r, nil
	case <-timeout.C:
		return reply{}, fmt.Errorf("no answer within %v", w.limit)
	case <-ctx.Done():
		return reply{}, ctx.Err()
	}
}

func (w *worker) ask(ctx context.Context, q request) (reply, error) {
	if err := json.NewEncoder(w.stdin).Encode(q); err != nil {
		if r, late := w.receive(ctx); late != nil {
			return r, late // why it ended says more than the broken pipe
		}
		return reply{}, err
	}
	return w.receive(ctx)
}

// quit ends the worker and returns its peak of memory.
func (w *worker) quit(ctx context.Context) (int64, error) {
	r, err := w.ask(ctx, request{Quit: true})
	if err != nil {
		w.kill()
		return 0, err
	}
	w.stdin.Close()
	w.drain()
	return r.PeakBytes, w.cmd.Wait()
}

func (w *worker) kill() {
	w.cmd.Process.Kill()
	w.stdin.Close()
	w.drain()
	w.cmd.Wait() // the error is that it was killed
}

// drain lets the reader end.
func (w *worker) drain() {
	for range w.replies {
	}
}
