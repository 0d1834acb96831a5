package model

import (
	"syscall"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/test/accelerator"
)

// BenchmarkHostOfAStep measures what a training step with as many operations as a base model has costs this process: to record them, to find the
// programs and to send what is new. It has narrow layers, as an accelerator would have done its part.
func BenchmarkHostOfAStep(b *testing.B) {
	d := accelerator.Open(b)
	cfg := Base
	cfg.HiddenSize, cfg.VocabSize, cfg.ProblemType, cfg.NumLabels = 48, 500, Classification, 2
	m := newModel(b, d, cfg, 1)
	text, classes := benchText(cfg, 13, 5, 22, 9), make([]int32, 4)
	s := newStepper(d, trained{m.Params, func(tape *autograd.Tape, _ int) *autograd.Var {
		return m.Loss(tape, m.Logits(tape, Input{Text: text}), Targets{Classes: classes})
	}})
	spent := func() time.Duration {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			b.Fatal(err)
		}
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	for n := range 3 { // programs are compiled
		s.step(b, n)
	}
	b.ReportAllocs()
	before, downloads := spent(), d.Stats().Downloads
	for n := 0; b.Loop(); n++ {
		if n%10 == 9 { // as with log_steps=10
			s.step(b, n)
		} else {
			s.take(b, n)
		}
	}
	b.ReportMetric(float64(spent()-before)/float64(b.N)/1e6, "ms-of-host/op")
	b.ReportMetric(float64(d.Stats().Downloads-downloads)/float64(b.N), "downloads/op")
}
