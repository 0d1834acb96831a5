package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// modelName is what requests call the model.
const modelName = "minilm"

// contender is a server that is measured.
type contender struct {
	name  string
	about string // versions and settings
	start func(ctx context.Context) (*server, error)
}

// The contenders' names.
const (
	ours     = "unimo"
	infinity = "infinity-emb"
	onnx     = "ONNX Runtime"
)

// server is a running server. No method but stop may be called once it has ended.
type server struct {
	base  string // its URL
	cmd   *exec.Cmd
	ready time.Duration // from the start of the process to the first answer
	ended chan struct{}
	err   error // of the process, once it has ended
}

func (s *server) embeddings() string { return s.base + "/v1/embeddings" }

// startOurs starts unimo serve with further arguments; its log goes to a file.
func (o options) startOurs(ctx context.Context, log string, args ...string) (*server, error) {
	args = append([]string{"serve", "--json", "--listen", "127.0.0.1:0", "--threads", fmt.Sprint(o.threads), "--model", modelName + "=" + o.model}, args...)
	s, out, begin, err := launch(ctx, log, exec.Command(o.unimo, args...))
	if err != nil {
		return nil, err
	}
	var hello struct {
		URL string `json:"url"`
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &hello)
	}
	if err == nil && hello.URL == "" {
		err = fmt.Errorf("it says %.300s", line)
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("unimo serve did not start (%w); see %s", err, log)
	}
	s.base, s.ready = hello.URL, time.Since(begin)
	return s, nil
}

// startPeer starts a server that listens on a port which is told to it by command, and waits for its first answer.
func startPeer(ctx context.Context, log string, limit time.Duration, command func(port string) *exec.Cmd) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(address)
	s, out, begin, err := launch(ctx, log, command(port))
	if err != nil {
		return nil, err
	}
	go io.Copy(io.Discard, out)
	s.base = "http://" + address
	for {
		if _, err = s.vectors(ctx, []string{"a dog runs"}, "float"); err == nil {
			s.ready = time.Since(begin)
			return s, nil
		}
		select {
		case <-s.ended:
			return nil, fmt.Errorf("the server ended (%v); see %s", s.err, log)
		case <-ctx.Done():
			s.stop()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
		if time.Since(begin) > limit {
			s.stop()
			return nil, fmt.Errorf("no answer within %v (%w); see %s", limit, err, log)
		}
	}
}

// launch starts a process, and kills it when ctx ends.
func launch(ctx context.Context, log string, cmd *exec.Cmd) (*server, io.Reader, time.Time, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	defer f.Close()
	cmd.Stderr = f
	out, in, err := os.Pipe()
	if err != nil {
		return nil, nil, time.Time{}, err
	}
	cmd.Stdout = in
	s := &server{cmd: cmd, ended: make(chan struct{})}
	begin := time.Now()
	err = cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return nil, nil, begin, err
	}
	go func() {
		s.err = cmd.Wait()
		close(s.ended)
	}()
	context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	return s, out, begin, nil
}

// freeze stops the process until thaw, so that it takes nothing from the one that is measured.
func (s *server) freeze() { s.cmd.Process.Signal(syscall.SIGSTOP) }
func (s *server) thaw()   { s.cmd.Process.Signal(syscall.SIGCONT) }

// stop ends the process and returns how it ended.
func (s *server) stop() error {
	s.thaw()
	s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(45 * time.Second):
		s.cmd.Process.Kill()
		<-s.ended
		return errors.New("the server did not end within 45 s of SIGTERM")
	}
	return s.err
}

// peak is the most memory that the process has had resident, in bytes.
func (s *server) peak() (int64, error) {
	raw, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(s.cmd.Process.Pid), "status"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10, nil
		}
	}
	return 0, errors.New("the system does not tell the peak of memory (VmHWM)")
}

// vectors asks for those of texts.
func (s *server) vectors(ctx context.Context, texts []string, format string) ([][]float32, error) {
	body, err := json.Marshal(embeddings{Model: modelName, Input: texts, Format: format})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, "POST", s.embeddings(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	q.Header.Set("Content-Type", "application/json")
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if r.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %.200s", r.Status, raw)
	}
	return parseVectors(raw, len(texts))
}

// parseVectors reads an answer of n vectors, as numbers or in base64.
func parseVectors(raw []byte, n int) ([][]float32, error) {
	var answer struct {
		Data []struct {
			Index     int             `json:"index"`
			Embedding json.RawMessage `json:"embedding"`
		} `json:"data"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, err
	}
	if len(answer.Data) != n {
		return nil, fmt.Errorf("%d vectors of %d texts", len(answer.Data), n)
	}
	out := make([][]float32, n)
	for _, d := range answer.Data {
		if d.Index < 0 || d.Index >= n || out[d.Index] != nil {
			return nil, fmt.Errorf("vector %d of %d is there twice, or is none", d.Index, n)
		}
		v, err := parseVector(d.Embedding)
		if err != nil {
			return nil, err
		}
		out[d.Index] = v
	}
	return out, nil
}
