package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// figures are what a generator saw within a stretch of time.
type figures struct {
	Connections int            `json:"connections,omitempty"` // of a closed loop
	Rate        float64        `json:"rate,omitempty"`        // requests a second that were sent, of an open one
	Seconds     float64        `json:"seconds"`
	Answered    int            `json:"answered"`   // with 200
	PerSecond   float64        `json:"per_second"` // of these
	Statuses    map[string]int `json:"statuses"`   // also of errors without a status
	P50         float64        `json:"p50_ms"`     // of the answered ones
	P99         float64        `json:"p99_ms"`
	Behind      float64        `json:"behind_ms,omitempty"` // of an open loop: how late the generator sent a request, 99th percentile
	NoRetry     int            `json:"no_retry,omitempty"`  // 429 without Retry-After
	Generator   float64        `json:"generator,omitempty"` // processors that the generator took
}

// maxClients bounds the requests that wait for an answer at a time, and so the connections.
const maxClients = 8192

// settle is how long a load runs before it counts.
func settle(d time.Duration) time.Duration { return min(d/4, 2*time.Second) }

// closed asks on each connection as soon as the answer before is there.
func closed(ctx context.Context, w workload, url string, connections int, d time.Duration) (figures, error) {
	n := uint64(connections)
	f, err := attack(ctx, w, url, vegeta.Rate{}, settle(d), d, 0, vegeta.Workers(n), vegeta.MaxWorkers(n))
	f.Connections = connections
	return f, err
}

// open asks at a constant rate, whatever comes back.
func open(ctx context.Context, w workload, url string, rate float64, d time.Duration) (figures, error) {
	every := time.Duration(float64(time.Second) / rate)
	f, err := attack(ctx, w, url, pace(every), settle(d), d, every, vegeta.Workers(64), vegeta.MaxWorkers(maxClients))
	f.Rate = rate
	return f, err
}

// pace is the time between two requests.
type pace time.Duration

// Pace implements [vegeta.Pacer].
func (p pace) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	return time.Duration(hits)*time.Duration(p) - elapsed, false
}

// Rate implements [vegeta.Pacer].
func (p pace) Rate(time.Duration) float64 { return float64(time.Second) / float64(p) }

// attack counts the answers that come between warm and warm + d.
func attack(ctx context.Context, w workload, url string, pacer vegeta.Pacer, warm, d, every time.Duration, options ...func(*vegeta.Attacker)) (figures, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: maxClients}
	defer transport.CloseIdleConnections()
	a := vegeta.NewAttacker(append(options, vegeta.Client(&http.Client{Transport: transport, Timeout: time.Minute}))...)
	stop := context.AfterFunc(ctx, func() { a.Stop() })
	defer stop()
	f := figures{Seconds: d.Seconds(), Statuses: map[string]int{}}
	var times, late []float64
	start, used := time.Now(), processorTime()
	from, to := start.Add(warm), start.Add(warm+d)
	for r := range a.Attack(w.targets(url), pacer, warm+d, "") {
		if every > 0 && r.Timestamp.After(from) && r.Timestamp.Before(to) {
			late = append(late, milliseconds(r.Timestamp.Sub(start.Add(time.Duration(r.Seq)*every))))
		}
		if end := r.End(); end.Before(from) || end.After(to) {
			continue
		}
		status := fmt.Sprint(r.Code)
		if r.Code == 0 {
			status = "error: " + r.Error
		}
		f.Statuses[status]++
		switch r.Code {
		case http.StatusOK:
			f.Answered++
			times = append(times, milliseconds(r.Latency))
		case http.StatusTooManyRequests:
			if r.Headers.Get("Retry-After") == "" {
				f.NoRetry++
			}
		}
	}
	f.Generator = float64(processorTime()-used) / float64(time.Since(start))
	f.PerSecond = float64(f.Answered) / d.Seconds()
	f.P50, f.P99 = percentile(times, 0.5), percentile(times, 0.99)
	f.Behind = percentile(late, 0.99)
	return f, ctx.Err()
}

// processorTime is what this process has taken of the processors.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// percentile is the smallest value that a part p of all does not exceed; 0 of none.
func percentile(values []float64, p float64) float64 {
	if len(values) == 0 {
		return 0
	}
	values = slices.Sorted(slices.Values(values))
	return values[min(int(p*float64(len(values))), len(values)-1)]
}

func median(values []float64) float64 { return percentile(values, 0.5) }

// only says whether there are no other statuses.
func (f figures) only(statuses ...string) bool {
	for s := range f.Statuses {
		if !slices.Contains(statuses, s) {
			return false
		}
	}
	return true
}
