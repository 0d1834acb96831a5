package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateGELU writes the kernels of gelu.go in the package above.
func generateGELU(g *generator) {
	g.gelu()
	g.geluBackward()
}

// normal computes the normal distribution's Φ and the exponential in its
// density from one exponential, by Φ(-z) = exp(-z²/2)·R(z) for z >= 0. R, the Mills
// ratio but for a factor, is smooth; in t = 1/(1+0.3·z) it is t times a
// polynomial of degree 9. So Φ has a small relative error in the lower tail as well,
// where (1+erf)/2 cancels.
type normal struct {
	g                     *generator
	exp                   *exponential
	limit, slope, one     operand.Op
	minusHalf, sign, zero operand.Op
	h                     []operand.Op
}

// normalLimit is where exp(-z²/2) vanishes in float32.
const normalLimit = 14.5

func (g *generator) newNormal() *normal {
	n := &normal{
		g:         g,
		exp:       g.newExponential(),
		limit:     g.constant(normalLimit),
		slope:     g.constant(0.3),
		minusHalf: g.constant(-0.5),
		sign:      g.constant(float32(math.Copysign(0, -1))),
	}
	n.one = n.exp.one
	for _, c := range []float32{
		0.11968775, 0.11955043, 0.11041841, 0.077517904, 0.09871139,
		-0.08421348, 0.19755058, -0.23252441, 0.114257455, -0.020956025,
	} { // see fit
		n.h = append(n.h, g.constant(c))
	}
	return n
}

// of returns Φ(x) and exp(-x²/2). It replaces x by the nearest number within the limits,
// outside of which Φ(x), x·Φ(x) and the density are what they are at the limit or at infinity;
// if clampAbove is not set, large numbers stay.
func (n *normal) of(x reg.VecVirtual, clampAbove bool) (cdf, e reg.VecVirtual) {
	g := n.g
	z := g.vec()
	g.VANDNPS(x, g.inRegister(n.sign), z) // |x|
	g.atMost(n.limit, z)
	// x to within the limit: z with the sign of x, or the greater of x and -limit.
	if clampAbove {
		s := g.vec()
		g.VANDPS(n.sign, x, s)
		g.VORPS(s, z, x)
	} else {
		n.raise(x, x)
	}
	t := g.vec()
	one := g.inRegister(n.one)
	g.VMOVAPS(one, t)
	g.VFMADD231PS(n.slope, z, t)
	g.VDIVPS(t, one, t)

	half := g.vec()
	e = g.vec()
	g.VMULPS(n.minusHalf, z, half)
	g.VMULPS(z, half, e)
	n.exp.ofProduct(e, half, z)

	tail := g.vec()
	g.VMOVUPS(n.h[len(n.h)-1], tail)
	for i := len(n.h) - 2; i >= 0; i-- {
		g.VFMADD213PS(n.h[i], t, tail)
	}
	g.VMULPS(t, tail, tail)
	g.VMULPS(e, tail, tail) // Φ(-z)

	// Φ(x) is the tail for negative x, else 1 - tail.
	cdf = g.vec()
	g.VSUBPS(tail, g.inRegister(n.one), cdf)
	if g.wide() {
		negative := g.K()
		g.VPMOVD2M(x, negative)
		g.VMOVAPS(tail, negative, cdf)
	} else {
		g.VBLENDVPS(x, tail, cdf, cdf) // by the sign of x
	}
	return cdf, e
}

// raise sets to the greater of x and -limit.
func (n *normal) raise(x, to reg.VecVirtual) {
	lower := n.g.vec()
	n.g.VXORPS(n.sign, n.g.inRegister(n.limit), lower)
	n.g.VMAXPS(x, lower, to)
}

func (g *generator) gelu() {
	g.function("gelu", "func(dst, x []float32)", "computes dst = x·Φ(x).")
	p, n := g.slices("dst", "x"), g.length("dst")
	phi := g.newNormal()
	g.eachVector(n, p, 1, func(j int, k *mask) {
		x := g.vec()
		g.load(g.at(p[1], j), k, x)
		cdf, _ := phi.of(x, false)
		g.VMULPS(cdf, x, x)
		g.store(x, k, g.at(p[0], j))
	})
	g.ret()
}

func (g *generator) geluBackward() {
	g.function("geluBackward", "func(dx, y, x, dy []float32)", "computes dx = dy·(Φ(x) + x·φ(x)) and y = x·Φ(x).")
	p, n := g.slices("dx", "y", "x", "dy"), g.length("dx")
	phi := g.newNormal()
	rsqrt2Pi := g.constant(float32(1 / math.Sqrt(2*math.Pi)))
	g.eachVector(n, p, 1, func(j int, k *mask) {
		x, y := g.vec(), g.vec()
		g.load(g.at(p[2], j), k, x)
		phi.raise(x, y)
		slope, e := phi.of(x, true)
		g.VMULPS(slope, y, y)
		g.VMULPS(rsqrt2Pi, e, e)
		g.VFMADD231PS(e, x, slope)
		dy := g.vec()
		g.load(g.at(p[3], j), k, dy)
		g.VMULPS(dy, slope, slope)
		g.store(slope, k, g.at(p[0], j))
		g.store(y, k, g.at(p[1], j))
	})
	g.ret()
}
