package report

import (
	"math"
	"strconv"

	"gonum.org/v1/plot"
)

// extent is a range of values along an axis.
type extent struct{ min, max float64 }

// empty is the extent of no values.
var empty = extent{math.Inf(1), math.Inf(-1)}

// include widens the extent to hold v.
func (e extent) include(v float64) extent { return extent{math.Min(e.min, v), math.Max(e.max, v)} }

// padded returns the extent with a margin of a fraction of its width. An extent
// without width, or with one that rounding would swallow, gets a tenth of its value on both sides.
func (e extent) padded(fraction float64) extent {
	if e.min > e.max {
		return extent{0, 1}
	}
	width := e.max - e.min
	if least := math.Max(math.Abs(e.min), math.Abs(e.max)); width <= 1e-6*least {
		if least == 0 {
			least = 10
		}
		return extent{e.min - 0.1*least, e.max + 0.1*least}
	}
	return extent{e.min - fraction*width, e.max + fraction*width}
}

// within returns the extent cut to bounds, which are none if both are 0.
func (e extent) within(low, high float64) extent {
	if low == 0 && high == 0 {
		return e
	}
	return extent{math.Max(e.min, low), math.Min(e.max, high)}
}

// maxTicks is the number of labels that fit an axis of a plot on a phone.
const maxTicks = 6

// linearTicks marks multiples of 1, 2 or 5 times a power of ten.
func linearTicks(lo, hi float64) []plot.Tick {
	step := niceStep((hi - lo) / (maxTicks - 1))
	var ticks []plot.Tick
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+1e-9*step && len(ticks) < 2*maxTicks; i++ {
		ticks = append(ticks, plot.Tick{Value: i * step, Label: tickLabel(i*step, step)})
	}
	return ticks
}

// integerTicks marks whole numbers, as of steps.
func integerTicks(lo, hi float64) []plot.Tick {
	if hi-lo >= maxTicks-1 {
		return linearTicks(lo, hi)
	}
	var ticks []plot.Tick
	for v := math.Ceil(lo); v <= hi; v++ {
		ticks = append(ticks, plot.Tick{Value: v, Label: tickLabel(v, 1)})
	}
	return ticks
}

// niceStep is the smallest of 1, 2 and 5 times a power of ten that is at least
// as wide as asked for.
func niceStep(width float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(width)))
	for _, m := range []float64{1, 2, 5} {
		if m*power >= width*(1-1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// tickLabel writes v with the digits that tell multiples of step apart.
func tickLabel(v, step float64) string {
	if math.Abs(v) < step/2 {
		return "0"
	}
	if magnitude := math.Abs(v); magnitude >= 1e6 || step < 1e-5 {
		digits := max(1, int(math.Ceil(math.Log10(magnitude/step)))+1)
		return strconv.FormatFloat(v, 'g', min(digits, 9), 64)
	}
	decimals := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	return strconv.FormatFloat(v, 'f', decimals, 64)
}
