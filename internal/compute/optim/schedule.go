package optim

import (
	"math"

	"github.com/unimo-go/unimo/internal/base/names"
)

// Schedule gives the learning rate of each optimiser step, counted from 0.
type Schedule interface {
	Rate(step int) float64
}

// LinearWarmupDecay rises from 0 over Warmup steps to Peak and falls linearly to 0
// at Total. As in the reference the first step has rate 0, and the fall counts
// from step 0, not from the end of the warm-up, so the rate drops a little there.
type LinearWarmupDecay struct {
	Peak          float64
	Warmup, Total int
}

// Rate implements [Schedule].
func (s LinearWarmupDecay) Rate(step int) float64 {
	if step < s.Warmup {
		return s.Peak * float64(step) / float64(s.Warmup)
	}
	if step >= s.Total {
		return 0
	}
	return s.Peak * (1 - float64(step)/float64(s.Total))
}

// NoamDecay rises linearly over Warmup steps to Peak and falls with the inverse
// square root. Its counter starts at 1, as in the reference.
type NoamDecay struct {
	Peak   float64
	Warmup int
}

// Rate implements [Schedule].
func (s NoamDecay) Rate(step int) float64 {
	n, w := float64(step+1), float64(max(1, s.Warmup))
	return s.Peak * min(math.Sqrt(w/n), n/w)
}

// Piecewise is constant: Values[i] below Boundaries[i], the last value after the
// last boundary. The reference's scale_by_epoch_decay has boundaries at epochs 24
// and 32 and a tenth of the rate after each.
type Piecewise struct {
	Boundaries []int     // steps, increasing
	Values     []float64 // one more than boundaries
}

// Rate implements [Schedule].
func (s Piecewise) Rate(step int) float64 {
	for i, b := range s.Boundaries {
		if step < b {
			return s.Values[i]
		}
	}
	return s.Values[len(s.Values)-1]
}

// Constant is always the same rate.
type Constant float64

// Rate implements [Schedule].
func (s Constant) Rate(int) float64 { return float64(s) }

// Names of the schedules in configurations.
const (
	ScheduleLinear   = "linear_warmup_decay"
	ScheduleNoam     = "noam_decay"
	ScheduleEpochs   = "scale_by_epoch_decay"
	ScheduleConstant = "constant"
)

// NewSchedule returns the schedule of that name for a run of total steps.
func NewSchedule(name string, peak float64, warmup, total, stepsPerEpoch int) (Schedule, error) {
	switch name {
	case ScheduleLinear:
		return LinearWarmupDecay{peak, warmup, total}, nil
	case ScheduleNoam:
		return NoamDecay{peak, warmup}, nil
	case ScheduleEpochs:
		return Piecewise{[]int{24 * stepsPerEpoch, 32 * stepsPerEpoch}, []float64{peak, peak / 10, peak / 100}}, nil
	case ScheduleConstant:
		return Constant(peak), nil
	}
	return nil, names.Unknown("schedule", name, []string{ScheduleLinear, ScheduleNoam, ScheduleEpochs, ScheduleConstant})
}
