package main

import (
	"math"

	"github.com/mmcloughlin/avo/reg"
)

// generateActivation writes the kernels of activation.go in the package above.
func generateActivation(g *generator) {
	g.elementwise("clamp", "func(dst, x []float32, least, most float32)", "computes dst = min(max(x, least), most).", func() func(v reg.VecVirtual) {
		least, most := g.scalar("least"), g.scalar("most")
		return func(v reg.VecVirtual) { g.clampBetween(least, most, v) }
	})
	g.elementwise("leakyReLU", "func(dst, x []float32, slope float32)", "computes dst = x, or slope·x where x is negative.", func() func(v reg.VecVirtual) {
		slope, zero := g.scalar("slope"), g.zeros(1)[0]
		return func(v reg.VecVirtual) {
			positive := g.vec()
			g.VMOVAPS(v, positive)
			g.atLeast(zero, positive)
			g.atMost(zero, v)
			g.VFMADD213PS(positive, slope, v) // negative·slope + positive
		}
	})
	g.elementwise("sigmoid", "func(dst, x []float32)", "computes dst = 1/(1+exp(-x)).", g.sigmoid)
	g.elementwise("hardSigmoid", "func(dst, x []float32)", "computes dst = min(max(x+3, 0), 6)/6.", g.hardSigmoid)
	g.elementwise("hardSwish", "func(dst, x []float32)", "computes dst = x·min(max(x+3, 0), 6)/6.", func() func(v reg.VecVirtual) {
		sigmoid := g.hardSigmoid()
		return func(v reg.VecVirtual) { g.timesItself(v, sigmoid) }
	})
}

// elementwise writes a function of one element: begin loads its constants and returns what replaces a vector by its values.
func (g *generator) elementwise(name, signature, doc string, begin func() func(v reg.VecVirtual)) {
	g.function(name, signature, doc)
	p, n := g.slices("dst", "x"), g.length("dst")
	apply := begin()
	g.eachVector(n, p, 2, func(j int, k *mask) {
		v := g.vec()
		g.load(g.at(p[1], j), k, v)
		apply(v)
		g.store(v, k, g.at(p[0], j))
	})
	g.ret()
}

// timesItself replaces v by v·f(v).
func (g *generator) timesItself(v reg.VecVirtual, f func(v reg.VecVirtual)) {
	x := g.vec()
	g.VMOVAPS(v, x)
	f(v)
	g.VMULPS(x, v, v)
}

func (g *generator) sigmoid() func(v reg.VecVirtual) {
	power, slope, most := g.newPowerOf2(), g.constant(-math.Log2E), g.constant(126)
	return func(v reg.VecVirtual) {
		g.VMULPS(slope, v, v)
		g.atMost(most, v)
		power.of(v)
		one := g.inRegister(power.one)
		g.VADDPS(one, v, v)
		g.VDIVPS(v, one, v)
	}
}

func (g *generator) hardSigmoid() func(v reg.VecVirtual) {
	three, six, sixth := g.constant(3), g.constant(6), g.constant(1.0/6)
	zero := g.zeros(1)[0]
	return func(v reg.VecVirtual) {
		g.VADDPS(three, v, v)
		g.atLeast(zero, v)
		g.atMost(six, v)
		g.VMULPS(sixth, v, v)
	}
}
