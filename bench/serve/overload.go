package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// overloaded is what several times the peak did to the server.
type overloaded struct {
	Workload string  `json:"workload"`
	Peak     figures `json:"peak"` // measured just before
	Load     figures `json:"load"`
	Before   int64   `json:"memory_at_peak"` // the most until then, in bytes
	Memory   int64   `json:"memory"`         // the most in all
	Limit    int64   `json:"limit"`
	Exit     string  `json:"exit,omitempty"` // how the server ended, if not well
}

// factor is how many times the peak an overload is.
const factor = 4

// overload asks for more than the server can do, for a long time.
func (b *bench) overload(ctx context.Context) error {
	b.results.Overload = nil
	for _, w := range b.workloads {
		s, err := b.startOurs(ctx, filepath.Join(b.work, "overload.log"))
		if err != nil {
			return err
		}
		x, err := b.overloadWith(ctx, s, w)
		if end := s.stop(); end != nil {
			x.Exit = end.Error()
		}
		if err != nil {
			return err
		}
		b.results.Overload = append(b.results.Overload, x)
	}
	return nil
}

func (b *bench) overloadWith(ctx context.Context, s *server, w workload) (overloaded, error) {
	x := overloaded{Workload: w.name, Limit: int64(b.limit) << 20}
	_, connections := b.results.peak(w.name, ours)
	if connections == 0 {
		connections = w.connections[len(w.connections)-1]
	}
	var err error
	if x.Peak, err = closed(ctx, w, s.embeddings(), connections, b.peakTime()); err != nil {
		return x, err
	}
	if x.Peak.Answered == 0 || !x.Peak.only("200") {
		return x, fmt.Errorf("%s: the peak cannot be measured within %v: answers %v", w.name, b.peakTime(), x.Peak.Statuses)
	}
	if x.Before, err = s.peak(); err != nil {
		return x, err
	}
	rate, d := factor*x.Peak.PerSecond, b.overloadTime/time.Duration(len(b.workloads))
	b.say("%s: the peak is %.1f requests/s; now %.1f/s for %v", w.name, x.Peak.PerSecond, rate, d)
	stop := b.tell(w.name)
	x.Load, err = open(ctx, w, s.embeddings(), rate, d)
	stop()
	if err != nil {
		return x, err
	}
	x.Memory, err = s.peak()
	b.say("%s: %.1f requests/s answered (%.0f %% of the peak), statuses %v, peak of memory %d MB", w.name, x.Load.PerSecond, 100*x.Load.PerSecond/x.Peak.PerSecond, x.Load.Statuses, x.Memory/1e6)
	return x, err
}

// peakTime is how long the peak before an overload is measured.
func (o options) peakTime() time.Duration { return max(o.overloadTime/60, o.duration) }
