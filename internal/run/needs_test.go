package run

import (
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/train"
)

// The tokens of all epochs, or of the share that max_steps leaves.
func TestTrainingTokens(t *testing.T) {
	e := Epochs{Plan: batches.Batches{Lengths: []int{10, 20, 30, 40}, Size: 1}}
	for _, c := range []struct {
		train.Config
		want int64
	}{
		{train.Config{Epochs: 3, GradientAccumulation: 1}, 300},
		{train.Config{Epochs: 3, GradientAccumulation: 1, MaxSteps: 6}, 150},
		{train.Config{Epochs: 3, GradientAccumulation: 2, MaxSteps: 3}, 150},
		{train.Config{Epochs: 1, GradientAccumulation: 1, MaxSteps: 1000}, 100},
	} {
		if got := e.Tokens(&CommonSettings{Config: c.Config}); got != c.want {
			t.Errorf("%+v: %d tokens, want %d", c.Config, got, c.want)
		}
	}
	e.Plan = batches.Batches{Size: 1}
	if got := e.Tokens(&CommonSettings{Config: train.Config{Epochs: 1}}); got != 0 {
		t.Errorf("%d tokens of no data", got)
	}
}

func TestProductSpeed(t *testing.T) {
	if got := productSpeed(cpu.New(), 16); !(got > 0) {
		t.Errorf("%v operations a second", got)
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 s", 47 * time.Second: "47 s", 9 * time.Minute: "9 min", 30 * time.Hour: "30 h", 240 * time.Hour: "10 days",
	} {
		if got := roughly(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}

func TestBetween(t *testing.T) {
	for _, c := range []struct {
		low, high time.Duration
		want      string
	}{
		{time.Millisecond, 3 * time.Millisecond, "about 1 s"},
		{40 * time.Second, 2 * time.Minute, "40 s to 2 min"},
	} {
		if got := between(c.low, c.high); got != c.want {
			t.Errorf("%v, %v: %q, want %q", c.low, c.high, got, c.want)
		}
	}
}
