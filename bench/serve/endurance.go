package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// endured is what the server went through, and how it was after.
type endured struct {
	Ends  ends     `json:"ends"`
	Rough rough    `json:"rough"`
	Exits []string `json:"exits,omitempty"` // how servers ended that did not end well
}

// ends are SIGTERMs under load.
type ends struct {
	Signals  int            `json:"signals"`
	Ready    []float64      `json:"ready_ms"` // from the start of each process to the line that says so
	Requests int            `json:"requests"`
	Statuses map[string]int `json:"statuses"`
	Refused  int            `json:"refused"`            // no connection was made
	Unheard  int            `json:"unheard"`            // a new connection was reset before the server saw the request
	Lost     []string       `json:"lost,omitempty"`     // an accepted request without its answer: the id, and what the client saw
	Unlogged int            `json:"unlogged,omitempty"` // answers that are in no log, without which nothing is known of what was lost
}

func (b *bench) endurance(ctx context.Context) error {
	var x endured
	x.Ends = ends{Statuses: map[string]int{}}
	for n := range b.signals {
		if err := b.terminate(ctx, n, &x); err != nil {
			return err
		}
		if (n+1)%10 == 0 || n+1 == b.signals {
			b.say("%d SIGTERMs: %d requests, %v, %d refused, %d not seen by the server, %d lost", n+1, x.Ends.Requests, x.Ends.Statuses, x.Ends.Refused, x.Ends.Unheard, len(x.Ends.Lost))
		}
	}
	if err := b.roughly(ctx, &x); err != nil {
		return err
	}
	b.results.Endurance = &x
	return nil
}

// How SIGTERM meets the server: clients with kept connections, and clients with a new connection for each request.
const (
	keptClients  = 12
	freshClients = 4
	beforeSignal = 400 * time.Millisecond
	drainDelay   = 200 * time.Millisecond
)

// outcome is how a request ended for its client.
type outcome struct {
	id        string
	status    int // 0: no whole answer
	connected bool
	reused    bool // the connection had brought an answer before
	err       error
}

// terminate starts a server, asks it, sends SIGTERM meanwhile, and goes on asking until it is gone.
func (b *bench) terminate(ctx context.Context, n int, x *endured) error {
	log := filepath.Join(b.work, "signals.log")
	s, err := b.startOurs(ctx, log, "--log", "json", "--drain-delay", fmt.Sprint(drainDelay.Milliseconds()))
	if err != nil {
		return err
	}
	w := b.workloads[0]
	var all []outcome
	var mu sync.Mutex
	var wg sync.WaitGroup
	var count atomic.Int64
	for c := range keptClients + freshClients {
		wg.Go(func() {
			t := &http.Transport{DisableKeepAlives: c >= keptClients}
			defer t.CloseIdleConnections()
			for {
				k := int(count.Add(1))
				o := ask(ctx, t, s.embeddings(), fmt.Sprintf("end-%d-%d", n, k), w.bodies[k%len(w.bodies)])
				mu.Lock()
				all = append(all, o)
				mu.Unlock()
				if o.status == 0 {
					return // the server is gone; whether it may be is decided below
				}
			}
		})
	}
	time.Sleep(beforeSignal)
	if err := s.stop(); err != nil {
		x.Exits = append(x.Exits, err.Error())
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	seen, err := loggedIDs(log)
	if err != nil {
		return err
	}
	x.Ends.Signals++
	x.Ends.Ready = append(x.Ends.Ready, milliseconds(s.ready))
	x.Ends.add(all, seen)
	return nil
}

// add counts the requests of a server's life. seen are those that it logged. One is lost if the server saw it, or if its connection was one that the
// server had answered on: such a connection was accepted. A new connection may have waited in the system's queue when the listener was closed.
func (e *ends) add(all []outcome, seen map[string]bool) {
	for _, o := range all {
		e.Requests++
		known := seen[o.id]
		switch {
		case o.status != 0:
			e.Statuses[strconv.Itoa(o.status)]++
			if !known && o.status == http.StatusOK { // what a full queue refuses is in no log
				e.Unlogged++
			}
		case !o.connected:
			e.Refused++
		case known || o.reused:
			e.Lost = append(e.Lost, fmt.Sprintf("%s: %v", o.id, o.err))
		default:
			e.Unheard++
		}
	}
}

// ask sends a request and says how it ended.
func ask(ctx context.Context, t *http.Transport, url, id string, body []byte) outcome {
	o := outcome{id: id}
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { o.connected, o.reused = true, i.Reused }})
	q, err := http.NewRequestWithContext(ctx, "POST", url, bytes.NewReader(body))
	if err != nil {
		o.err = err
		return o
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("X-Request-Id", id)
	r, err := t.RoundTrip(q)
	if err != nil {
		o.err = err
		return o
	}
	defer r.Body.Close()
	if _, o.err = io.Copy(io.Discard, r.Body); o.err == nil {
		o.status = r.StatusCode
	}
	return o
}

// loggedIDs are the ids of requests in a log of JSON lines.
func loggedIDs(path string) (map[string]bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	ids := map[string]bool{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var line struct {
			ID   string `json:"request_id"`
			Text string `json:"msg"`
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Text == "request" && line.ID != "" {
			ids[line.ID] = true
		}
	}
	return ids, nil
}

// rough are clients that leave, are slow, or send nonsense.
type rough struct {
	Left     int            `json:"left"` // clients that left half-way
	Slow     int            `json:"slow"` // bodies that came byte by byte
	Nonsense int            `json:"nonsense"`
	Statuses map[string]int `json:"statuses"`         // of nonsense and slow bodies; "closed": without an answer
	Failed   []string       `json:"failed,omitempty"` // what was answered with 500, 502 or 504
	Before   vitals         `json:"before"`
	First    vitals         `json:"after_once"`
	Second   vitals         `json:"after_twice"`
	Same     bool           `json:"same"` // the vectors of before, to the last bit
}

// vitals are what a process holds, by its own metrics, after an ordinary load.
type vitals struct {
	Goroutines int   `json:"goroutines"`
	Files      int   `json:"files"`
	Resident   int64 `json:"resident"`
	Heap       int64 `json:"heap"` // in use
}

// roughly sends everything twice: what is held after the second time and not after the first is a leak.
func (b *bench) roughly(ctx context.Context, x *endured) error {
	args := []string{}
	if b.pictures != "" {
		args = append(args, "--model", "pictures="+b.pictures)
	}
	s, err := b.startOurs(ctx, filepath.Join(b.work, "rough.log"), args...)
	if err != nil {
		return err
	}
	err = b.roughWith(ctx, s, &x.Rough)
	if end := s.stop(); end != nil {
		x.Exits = append(x.Exits, end.Error())
	}
	return err
}

func (b *bench) roughWith(ctx context.Context, s *server, r *rough) error {
	r.Statuses = map[string]int{}
	texts := b.sentences[:32]
	was, err := s.vectors(ctx, texts, "float")
	if err != nil {
		return err
	}
	for _, v := range []*vitals{&r.Before, &r.First, &r.Second} {
		if v != &r.Before {
			if err := b.beRough(ctx, s, r); err != nil {
				return err
			}
		}
		for _, w := range b.workloads {
			if _, err := closed(ctx, w, s.embeddings(), 8, b.duration); err != nil {
				return err
			}
		}
		if *v, err = s.settled(ctx); err != nil {
			return err
		}
		b.say("%d goroutines, %d files, %d MB resident, %d MB of heap", v.Goroutines, v.Files, v.Resident/1e6, v.Heap/1e6)
	}
	is, err := s.vectors(ctx, texts, "float")
	if err != nil {
		return err
	}
	r.Same = fmt.Sprint(was) == fmt.Sprint(is)
	return nil
}

// beRough sends everything once: half of the clients that leave, all nonsense, slow bodies beside.
func (b *bench) beRough(ctx context.Context, s *server, r *rough) error {
	address := strings.TrimPrefix(s.base, "http://")
	var mu sync.Mutex
	count := func(name, what string, raw []byte) {
		mu.Lock()
		defer mu.Unlock()
		r.Statuses[what]++
		if slices.Contains([]string{"500", "502", "504"}, what) {
			r.Failed = append(r.Failed, fmt.Sprintf("%s: %.200s", name, raw))
		}
	}
	var slow, wg sync.WaitGroup
	for i := range slowBodies {
		slow.Go(func() { count("slow body", dribble(address, b.workloads[0].bodies[i]), nil) })
	}
	r.Slow += slowBodies
	leave := make(chan int)
	for range 32 {
		wg.Go(func() {
			for i := range leave {
				leaveHalfWay(address, b.workloads[i%len(b.workloads)].bodies[i%requests], i)
			}
		})
	}
	for i := range b.leavers / 2 {
		leave <- i
	}
	close(leave)
	wg.Wait()
	r.Left += b.leavers / 2
	list, err := nonsense(ctx, s)
	if err != nil {
		return err
	}
	work := make(chan raw)
	for range 4 {
		wg.Go(func() {
			for q := range work {
				status, answer := q.send(address)
				count(q.name, status, answer)
			}
		})
	}
	for _, q := range list {
		select {
		case work <- q:
		case <-ctx.Done():
		}
	}
	close(work)
	wg.Wait()
	slow.Wait()
	r.Nonsense += len(list)
	b.say("%d clients left, %d slow bodies, %d requests of nonsense: %v", r.Left, r.Slow, r.Nonsense, r.Statuses)
	return ctx.Err()
}

// slowBodies are clients at a time whose bodies come byte by byte.
const slowBodies = 50

// dribble sends a body in pieces over some seconds; every second one then leaves.
func dribble(address string, body []byte) string {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return "not connected"
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(c, "POST /v1/embeddings HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", address, len(body))
	for i := range body {
		if _, err := c.Write(body[i : i+1]); err != nil {
			return "closed"
		}
		time.Sleep(3 * time.Second / time.Duration(len(body)))
	}
	return status(c)
}

// leaveHalfWay ends a connection at one of four points of a request, with or without a reset.
func leaveHalfWay(address string, body []byte, i int) {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer c.Close()
	head := fmt.Sprintf("POST /v1/embeddings HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", address, len(body))
	if i%2 == 0 {
		c.(*net.TCPConn).SetLinger(0)
	}
	switch i / 2 % 4 {
	case 0:
		io.WriteString(c, head[:len(head)/2])
	case 1:
		io.WriteString(c, head+string(body[:len(body)/2]))
	case 2:
		io.WriteString(c, head+string(body))
	case 3: // while the answer is made, or comes
		io.WriteString(c, head+string(body))
		time.Sleep(time.Duration(i%10) * time.Millisecond)
		c.SetReadDeadline(time.Now().Add(time.Second))
		c.Read(make([]byte, 10))
	}
}

// status reads an answer's status, "closed" if there is none.
func status(c net.Conn) string {
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "closed"
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	return strconv.Itoa(r.StatusCode)
}

// settled returns what the server holds once that changes no more, which must be within a minute.
func (s *server) settled(ctx context.Context) (vitals, error) {
	http.DefaultClient.CloseIdleConnections()
	var last vitals
	same := 0
	for range 60 {
		v, err := s.vitals(ctx)
		if err != nil {
			return v, err
		}
		if same++; v.Goroutines != last.Goroutines || v.Files != last.Files {
			same = 0
		}
		if last = v; same == 3 {
			break
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
	return last, nil
}

// vitals reads them from the server's metrics.
func (s *server) vitals(ctx context.Context) (vitals, error) {
	q, err := http.NewRequestWithContext(ctx, "GET", s.base+"/metrics", nil)
	if err != nil {
		return vitals{}, err
	}
	q.Close = true
	r, err := http.DefaultClient.Do(q)
	if err != nil {
		return vitals{}, err
	}
	defer r.Body.Close()
	values := map[string]float64{}
	for lines := bufio.NewScanner(r.Body); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), " "); ok {
			values[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	v := vitals{Goroutines: int(values["go_goroutines"]), Files: int(values["process_open_fds"]), Resident: int64(values["process_resident_memory_bytes"]), Heap: int64(values["go_memstats_heap_inuse_bytes"])}
	if v.Goroutines == 0 || v.Files == 0 {
		return v, fmt.Errorf("%s/metrics has no go_goroutines or process_open_fds", s.base)
	}
	return v, nil
}
