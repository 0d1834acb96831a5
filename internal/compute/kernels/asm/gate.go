package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateGate writes the kernels of gate.go in the package above.
func generateGate(g *generator) {
	g.gate()
	g.gateBackward()
}

// logistic computes σ(u) = 1/(1+2^t) with t = -u·log2(e).
type logistic struct {
	g             *generator
	power         *powerOf2
	factor, most  operand.Op
	a, b          reg.VecVirtual
	lower, higher reg.VecVirtual
}

func (g *generator) newLogistic() *logistic {
	l := &logistic{
		g:      g,
		power:  g.newPowerOf2(),
		factor: g.constant(-math.Log2E),
		most:   g.constant(126), // of t: σ is a normal number still
		a:      g.scalar("a"),
		b:      g.scalar("b"),
		lower:  g.scalar("lowest"),
		higher: g.vec(),
	}
	g.zero(l.higher)
	g.VSUBPS(l.lower, l.higher, l.higher)
	return l
}

// of raises x to the limit and returns it within both limits, its square, u/x, 2^t and σ.
func (l *logistic) of(x reg.VecVirtual) (z, square, p, e, sigma reg.VecVirtual) {
	g := l.g
	z, square, p, e, sigma = g.vec(), g.vec(), g.vec(), g.vec(), g.vec()
	g.VMAXPS(x, l.lower, x)  // NaN stays
	g.VMINPS(x, l.higher, z) // NaN stays
	g.VMULPS(z, z, square)
	g.VMOVAPS(square, p)
	g.VFMADD213PS(l.a, l.b, p)
	g.VMULPS(z, p, e)
	g.VMULPS(l.factor, e, e)
	g.atMost(l.most, e)
	l.power.of(e)
	one := g.inRegister(l.power.one)
	g.VADDPS(one, e, sigma)
	g.VDIVPS(sigma, one, sigma)
	return z, square, p, e, sigma
}

func (g *generator) gate() {
	g.function("gate", "func(dst, x []float32, a, b, lowest float32)", "computes dst = x·σ(x·(a + b·x²)).")
	p, n := g.slices("dst", "x"), g.length("dst")
	l := g.newLogistic()
	g.eachVector(n, p, 1, func(j int, k *mask) {
		x := g.vec()
		g.load(g.at(p[1], j), k, x)
		_, _, _, _, sigma := l.of(x)
		g.VMULPS(sigma, x, x)
		g.store(x, k, g.at(p[0], j))
	})
	g.ret()
}

func (g *generator) gateBackward() {
	g.function("gateBackward", "func(dx, y, x, dy []float32, a, b, lowest float32)", "computes dx = dy·f'(x) and y = f(x) for f of gate.")
	p, n := g.slices("dx", "y", "x", "dy"), g.length("dx")
	l := g.newLogistic()
	twice := g.vec()
	g.VADDPS(l.b, l.b, twice)
	g.eachVector(n, p, 1, func(j int, k *mask) {
		x := g.vec()
		g.load(g.at(p[2], j), k, x)
		z, square, slope, e, sigma := l.of(x)
		g.VMULPS(sigma, x, x) // y
		g.VFMADD231PS(twice, square, slope)
		g.VMULPS(z, slope, slope)
		g.VMULPS(sigma, e, e) // 1-σ
		g.VMULPS(e, slope, slope)
		g.VFMADD213PS(sigma, sigma, slope) // σ + σ·(z·u'·(1-σ))
		dy := g.vec()
		g.load(g.at(p[3], j), k, dy)
		g.VMULPS(dy, slope, slope)
		g.store(slope, k, g.at(p[0], j))
		g.store(x, k, g.at(p[1], j))
	})
	g.ret()
}
