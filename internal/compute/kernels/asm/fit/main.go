// Command fit computes the coefficients of the polynomials in exponential.go
// and gelu.go of the generator, and their errors. Run it from the folder above:
//
//	go run ./fit
//
// The polynomials interpolate at Chebyshev nodes, which comes within a small
// factor of the best possible; the equations are solved with 200 bits.
package main

import (
	"fmt"
	"math"
	"math/big"
)

const precision = 200

func main() {
	// exp(r) = 1 + r + r²·q(r) for |r| <= ln(2)/2.
	q := func(r float64) float64 {
		sum, term := 0.0, 0.5
		for n := 3.0; n < 25; n++ { // the series: the formula cancels near 0
			sum += term
			term *= r / n
		}
		return sum
	}
	c := interpolate(q, -math.Ln2/2, math.Ln2/2, 4)
	report("exp", c, -math.Ln2/2, math.Ln2/2, func(r float64) float64 {
		return (1 + r + r*r*evaluate(c, r)) / math.Exp(r)
	})

	// 2^f = 1 + f·q(f) for 0 <= f <= 1.
	q = func(f float64) float64 {
		sum, term := 0.0, math.Ln2
		for n := 2.0; n < 30; n++ {
			sum += term
			term *= f * math.Ln2 / n
		}
		return sum
	}
	c = interpolate(q, 0, 1, 5)
	report("power of 2", c, 0, 1, func(f float64) float64 { return (1 + f*evaluate(c, f)) / math.Exp2(f) })

	// Φ(-z)·exp(z²/2) = t·h(t) with t = 1/(1+z·slope) for 0 <= z <= limit. Slopes
	// and degrees were tried; these are the first to stay below float32's rounding.
	ratio := func(z float64) float64 { return 0.5 * math.Erfc(z/math.Sqrt2) * math.Exp(z*z/2) }
	const slope, limit = 0.3, 14.5
	z := func(t float64) float64 { return (1/t - 1) / slope }
	const least = 1 / (1 + limit*slope)
	h := interpolate(func(t float64) float64 { return ratio(z(t)) / t }, least, 1, 9)
	report("normal tail", h, least, 1, func(t float64) float64 { return t * evaluate(h, t) / ratio(z(t)) })
}

// report prints a polynomial, rounded to float32, and how far quotient, which should be 1,
// strays between lo and hi.
func report(name string, c []float32, lo, hi float64, quotient func(x float64) float64) {
	worst := 0.0
	for i := range 100001 {
		x := lo + (hi-lo)*float64(i)/100000
		worst = max(worst, math.Abs(quotient(x)-1))
	}
	fmt.Printf("%s: relative error %.2g\n", name, worst)
	for i, v := range c {
		fmt.Printf("\t%v, // %d\n", v, i)
	}
}

func evaluate(c []float32, x float64) float64 {
	y := 0.0
	for i := len(c) - 1; i >= 0; i-- {
		y = y*x + float64(c[i])
	}
	return y
}

// interpolate returns the coefficients, the constant first, of the polynomial
// that equals f at the Chebyshev nodes of [lo, hi].
func interpolate(f func(x float64) float64, lo, hi float64, degree int) []float32 {
	n := degree + 1
	rows := make([][]*big.Float, n) // Vandermonde matrix with the right-hand side
	for i := range rows {
		x := (lo+hi)/2 + (hi-lo)/2*math.Cos(math.Pi*(float64(i)+0.5)/float64(n))
		power := number(1)
		for range n {
			rows[i] = append(rows[i], power)
			power = number(0).Mul(power, number(x))
		}
		rows[i] = append(rows[i], number(f(x)))
	}
	return solve(rows)
}

func number(x float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(x) }

// solve solves the linear equations by elimination; with distinct nodes in this order
// no pivot is zero.
func solve(rows [][]*big.Float) []float32 {
	n := len(rows)
	for p := range n {
		for i := range n {
			if i == p {
				continue
			}
			factor := number(0).Quo(rows[i][p], rows[p][p])
			for j := p; j <= n; j++ {
				rows[i][j] = number(0).Sub(rows[i][j], number(0).Mul(factor, rows[p][j]))
			}
		}
	}
	c := make([]float32, n)
	for i := range c {
		c[i], _ = number(0).Quo(rows[i][n], rows[i][i]).Float32()
	}
	return c
}
