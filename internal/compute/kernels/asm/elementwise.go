package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateElementwise writes the kernels of elementwise.go. Four vectors at a
// time keep as many cache lines under way, and give the sums four chains.
func generateElementwise(g *generator) {
	g.binary("add", "computes dst = a + b.", func(a, b operand.Op, v reg.VecVirtual) { g.VADDPS(b, a, v) })
	g.binary("mul", "computes dst = a·b.", func(a, b operand.Op, v reg.VecVirtual) { g.VMULPS(b, a, v) })
	g.binary("max", "computes dst = max(a, b).", g.maximumOrNaN)
	g.axpy()
	g.scale()
	g.dot()
	g.sum()
	g.sumSquares()
}

const unroll = 4

func (g *generator) binary(name, doc string, op func(a, b operand.Op, v reg.VecVirtual)) {
	g.function(name, "func(dst, a, b []float32)", doc)
	p, n := g.slices("dst", "a", "b"), g.length("dst")
	g.eachVector(n, p, unroll, func(j int, k *mask) {
		a, b := g.vec(), g.vec()
		g.load(g.at(p[1], j), k, a)
		g.load(g.at(p[2], j), k, b)
		op(a, b, a)
		g.store(a, k, g.at(p[0], j))
	})
	g.ret()
}

// maximumOrNaN replaces v, which is a, by the maximum of a and b. The instruction returns b if one is NaN, so a has to be
// put back if it is.
func (g *generator) maximumOrNaN(a, b operand.Op, v reg.VecVirtual) {
	if g.onARM() { // returns NaN if one is
		g.VMAXPS(b, a, v)
		return
	}
	first := g.vec()
	g.VMOVAPS(a, first)
	g.VMAXPS(b, first, v)
	if g.wide() {
		nan := g.K()
		g.VCMPPS(operand.U8(3), first, first, nan)
		g.VMOVAPS(first, nan, v)
	} else {
		nan := g.vec()
		g.VCMPPS(operand.U8(3), first, first, nan)
		g.VBLENDVPS(nan, first, v, v)
	}
}

func (g *generator) axpy() {
	g.function("axpy", "func(dst []float32, alpha float32, x []float32)", "computes dst += alpha·x.")
	p, n, alpha := g.slices("dst", "x"), g.length("dst"), g.scalar("alpha")
	g.eachVector(n, p, unroll, func(j int, k *mask) {
		sum, x := g.vec(), g.vec()
		g.load(g.at(p[0], j), k, sum)
		g.load(g.at(p[1], j), k, x)
		g.VFMADD231PS(x, alpha, sum)
		g.store(sum, k, g.at(p[0], j))
	})
	g.ret()
}

func (g *generator) scale() {
	g.function("scale", "func(dst []float32, alpha float32, x []float32)", "computes dst = alpha·x.")
	p, n, alpha := g.slices("dst", "x"), g.length("dst"), g.scalar("alpha")
	g.eachVector(n, p, unroll, func(j int, k *mask) {
		x := g.vec()
		g.load(g.at(p[1], j), k, x)
		g.VMULPS(x, alpha, x)
		g.store(x, k, g.at(p[0], j))
	})
	g.ret()
}

func (g *generator) dot() {
	g.function("dot", "func(a, b []float32) float32", "returns the sum of a·b.")
	p, n := g.slices("a", "b"), g.length("a")
	g.Store(g.dotProduct(n, p).AsX(), g.ReturnIndex(0))
	g.ret()
}

// dotProduct writes the sum of products of two vectors of n elements.
func (g *generator) dotProduct(n reg.GPVirtual, p []reg.GPVirtual) reg.VecVirtual {
	sums := g.zeros(unroll)
	g.eachVector(n, p, unroll, func(j int, k *mask) {
		a, b := g.vec(), g.vec()
		g.load(g.at(p[0], j), k, a)
		g.load(g.at(p[1], j), k, b)
		g.VFMADD231PS(a, b, sums[j])
	})
	return g.reduce(sums, g.add)
}

func (g *generator) sum() {
	g.function("sum", "func(x []float32) float32", "returns the sum of x.")
	p, n := g.slices("x"), g.length("x")
	g.Store(g.total(n, p[0]).AsX(), g.ReturnIndex(0))
	g.ret()
}

// total writes the sum of n elements.
func (g *generator) total(n, x reg.GPVirtual) reg.VecVirtual {
	sums := g.zeros(unroll)
	g.eachVector(n, []reg.GPVirtual{x}, unroll, func(j int, k *mask) {
		v := g.vec()
		g.load(g.at(x, j), k, v)
		g.VADDPS(v, sums[j], sums[j])
	})
	return g.reduce(sums, g.add)
}

func (g *generator) sumSquares() {
	g.function("sumSquares", "func(x []float32) float64", "returns the sum of x² in float64.")
	p, n := g.slices("x"), g.length("x")
	sums := g.zeros(unroll)
	half := func(v reg.VecVirtual, upper uint8) reg.VecVirtual { // half of v as float64
		if g.onARM() {
			return g.lengthened(v, upper)
		}
		wide := g.vec()
		if g.wide() {
			part := g.YMM()
			g.VEXTRACTF64X4(operand.U8(upper), v, part)
			g.VCVTPS2PD(part, wide)
		} else {
			part := g.XMM()
			g.VEXTRACTF128(operand.U8(upper), v, part)
			g.VCVTPS2PD(part, wide)
		}
		return wide
	}
	g.eachVector(n, p, unroll/2, func(j int, k *mask) {
		v := g.vec()
		g.load(g.at(p[0], j), k, v)
		for i := range 2 {
			d := half(v, uint8(i))
			g.VFMADD231PD(d, d, sums[2*j+i])
		}
	})
	g.VADDPD(sums[2], sums[0], sums[0])
	g.VADDPD(sums[3], sums[1], sums[1])
	g.VADDPD(sums[1], sums[0], sums[0])
	v := sums[0]
	part, low := g.XMM(), v.AsX()
	if g.onARM() {
		g.neon("DUP.D[1]", low, part)
	} else {
		if g.wide() {
			upper := g.YMM()
			g.VEXTRACTF64X4(operand.U8(1), v, upper)
			g.VADDPD(upper, v.AsY(), v.AsY())
		}
		g.VEXTRACTF128(operand.U8(1), v.AsY(), part)
		g.VADDPD(part, low, low)
		g.VPERMILPD(operand.U8(1), low, part)
	}
	g.VADDSD(part, low, low)
	g.Store(low, g.ReturnIndex(0))
	g.ret()
}
