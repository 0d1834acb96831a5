package main

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

const (
	// gradientTolerance ends the search. It is a fifteenth of what one line of SST-2
	// adds to a mean gradient. A tenth of it changed no prediction on dev; ten times
	// as much changed one.
	gradientTolerance = 1e-6
	// mostIterations bounds the time; the weakest regularisation needed 458.
	mostIterations = 1000
	// memory is the number of steps the curvature is estimated from; 10 is usual.
	memory = 10
	// sufficientDecrease is Armijo's constant, the usual one.
	sufficientDecrease = 1e-4
)

// step is a past step of the search and the change of the gradient over it.
type step struct{ s, y []float64 }

// minimise returns the minimum of a smooth convex function by L-BFGS with
// backtracking. It does not change start.
//
// Source: Nocedal and Wright, "Numerical Optimization", algorithms 7.4 and 3.1.
func minimise(start []float64, value func(x []float64) float64, gradient func(grad, x []float64)) []float64 {
	x := slices.Clone(start)
	grad := make([]float64, len(x))
	gradient(grad, x)
	f := value(x)
	var past []step
	for range mostIterations {
		if floats.Norm(grad, math.Inf(1)) <= gradientTolerance {
			break
		}
		direction := descent(grad, past)
		slope := floats.Dot(grad, direction)
		next := make([]float64, len(x))
		length, fNext := 1.0, 0.0
		for {
			floats.AddScaledTo(next, x, length, direction)
			if fNext = value(next); fNext <= f+sufficientDecrease*length*slope {
				break
			}
			if length /= 2; length < 1e-10 {
				return x // no representable step lowers the value
			}
		}
		nextGrad := make([]float64, len(x))
		gradient(nextGrad, next)
		last := step{s: floats.SubTo(make([]float64, len(x)), next, x), y: floats.SubTo(make([]float64, len(x)), nextGrad, grad)}
		if floats.Dot(last.s, last.y) > 0 { // otherwise the estimate would not be positive
			past = append(past, last)
			past = past[max(0, len(past)-memory):]
		}
		x, grad, f = next, nextGrad, fNext
	}
	return x
}

// descent is minus the estimated inverse curvature times the gradient.
func descent(grad []float64, past []step) []float64 {
	d := slices.Clone(grad)
	weights := make([]float64, len(past))
	for i, p := range slices.Backward(past) {
		weights[i] = floats.Dot(p.s, d) / floats.Dot(p.s, p.y)
		floats.AddScaled(d, -weights[i], p.y)
	}
	scale := 1.0
	if n := len(past); n > 0 {
		scale = floats.Dot(past[n-1].s, past[n-1].y) / floats.Dot(past[n-1].y, past[n-1].y)
	}
	floats.Scale(scale, d)
	for i, p := range past {
		floats.AddScaled(d, weights[i]-floats.Dot(p.y, d)/floats.Dot(p.s, p.y), p.s)
	}
	floats.Scale(-1, d)
	return d
}
