package report

import "math"

// Smoothed returns two series: the values as they are, faint, and over them an
// exponential moving average in which a value counts half after halfLife further
// values. The average weighs only values seen so far, so that it starts at the
// first one and not at zero; where a value is not finite it stays as it was.
// A halfLife of 0 or less returns one series without smoothing.
func Smoothed(name string, x, y []float64, halfLife float64) []Series {
	if !(halfLife > 0) {
		return []Series{{Name: name, X: x, Y: y}}
	}
	decay := math.Exp2(-1 / halfLife)
	smooth := make([]float64, len(y))
	var sum, weight float64
	for i, v := range y {
		if drawable(v) {
			sum = decay*sum + (1-decay)*v
			weight = decay*weight + (1 - decay)
		}
		smooth[i] = sum / weight // NaN until there is a value
	}
	return []Series{{Name: name, X: x, Y: y, Faint: true}, {Name: name, X: x, Y: smooth}}
}

// largest bounds what is drawn: differences of larger values could overflow.
const largest = 1e100

// drawable says whether a coordinate can be drawn.
func drawable(v float64) bool { return math.Abs(v) <= largest } // false for NaN

// point is a point of a plot, y already a logarithm on a logarithmic axis.
type point struct{ x, y float64 }

// points returns what of a series can be drawn and how many points cannot.
func points(s Series) (out []point, skipped int) {
	for i, x := range s.X {
		if y := s.Y[i]; drawable(x) && drawable(y) {
			out = append(out, point{x, y})
		} else {
			skipped++
		}
	}
	return out, skipped
}

// maxPoints bounds the points of a line. A plot is some 400 pixels wide, so that
// two points for each leave nothing visible out.
const maxPoints = 800

// thin keeps the lowest and the highest point of each of maxPoints/2 stretches,
// in their order, with the first and the last point.
func thin(p []point) []point {
	if len(p) <= maxPoints {
		return p
	}
	out := []point{p[0]}
	inner, stretches := p[1:len(p)-1], maxPoints/2-1
	for i := range stretches {
		part := inner[i*len(inner)/stretches : (i+1)*len(inner)/stretches]
		low, high := 0, 0
		for j, q := range part {
			if q.y < part[low].y {
				low = j
			}
			if q.y > part[high].y {
				high = j
			}
		}
		out = append(out, part[min(low, high)])
		if low != high {
			out = append(out, part[max(low, high)])
		}
	}
	return append(out, p[len(p)-1])
}
