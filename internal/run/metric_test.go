package run_test

import (
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/run"
)

func TestNormalised(t *testing.T) {
	correlation := run.Metric{Low: -1, High: 1}
	for _, c := range []struct {
		m     run.Metric
		x     float64
		lower bool
		want  float64
	}{
		{run.Share, 0.83, false, 0.83},
		{run.Metric{Low: 0, High: 100}, 25, false, 0.25},
		{correlation, 0.5, false, 0.5},
		{correlation, -0.5, false, 0},
		{run.Metric{}, 3, false, 0.75},
		{run.Metric{}, -3, false, 0},
		{run.Metric{}, 3, true, 0.25},
		{run.Share, 1, true, 0.5},
		{run.Metric{}, math.Inf(1), false, 1},
		{run.Metric{}, math.Inf(1), true, 0},
		{run.Share, math.NaN(), false, 0},
		{run.Metric{}, math.NaN(), true, 0},
	} {
		if got := c.m.Normalised(c.x, c.lower); got != c.want {
			t.Errorf("%+v of %v, lower %v: %v, want %v", c.m, c.x, c.lower, got, c.want)
		}
	}
}
