package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// exponential is what exp needs: its constants, loaded before the loop.
type exponential struct {
	g                   *generator
	log2e, ln2hi, ln2lo operand.Op
	one                 operand.Op
	q                   []operand.Op // exp(r) = 1 + r + r²·q(r)
}

// newExponential loads the constants. ln2hi has 10 significant bits, so that its product
// with an integer of 8 bits is exact.
func (g *generator) newExponential() *exponential {
	const ln2hi = 355.0 / 512
	e := &exponential{
		g:     g,
		log2e: g.constant(math.Log2E),
		ln2hi: g.constant(ln2hi),
		ln2lo: g.constant(math.Ln2 - ln2hi),
		one:   g.constant(1),
	}
	for _, c := range []float32{0.5, 0.16666578, 0.041666556, 0.008363173, 0.0013926176} { // see fit
		e.q = append(e.q, g.constant(c))
	}
	return e
}

// ofProduct replaces y by exp(a·b), where y is the rounded product, from -105 to 0
// or NaN, with a relative error of about an ulp above the denormal numbers. Of a
// and b it avoids the rounding error of the product, which exp would enlarge by its size.
func (e *exponential) ofProduct(y, a, b reg.VecVirtual) {
	g := e.g
	n, whole := g.vec(), g.vec()
	g.VMULPS(e.log2e, y, n)
	if g.wide() {
		g.VRNDSCALEPS(operand.U8(8), n, n) // to the nearest integer
	} else {
		g.VROUNDPS(operand.U8(8), n, n)
	}
	g.VMULPS(e.ln2hi, n, whole)
	r := y
	g.VFMSUB231PS(a, b, whole) // a·b - n·ln2hi
	g.VMOVAPS(whole, r)
	g.VFNMADD231PS(e.ln2lo, n, r)

	p := g.vec()
	g.VMOVUPS(e.q[len(e.q)-1], p)
	for i := len(e.q) - 2; i >= 0; i-- {
		g.VFMADD213PS(e.q[i], r, p)
	}
	square := g.vec()
	g.VMULPS(r, r, square)
	g.VFMADD213PS(r, square, p) // r + r²·q
	g.VADDPS(e.one, p, r)
	g.timesPower(r, n)
}

// powerOf2 is what 2^t needs: its constants, loaded before the loop. It is cheaper
// than [exponential], and exact enough where t comes from one multiply-add.
type powerOf2 struct {
	g     *generator
	least operand.Op
	one   operand.Op
	q     []operand.Op // 2^f = 1 + f·q(f) for 0 <= f < 1
}

func (g *generator) newPowerOf2() *powerOf2 {
	p := &powerOf2{g: g, one: g.constant(1)}
	if !g.wide() {
		p.least = g.constant(-160) // the power is 0
	}
	for _, c := range []float32{0.6931472, 0.24022721, 0.055496022, 0.0096521955, 0.0012692166, 0.00020817915} { // see fit
		p.q = append(p.q, g.constant(c))
	}
	return p
}

// of replaces t, at most 127 or NaN, by 2^t, with a relative error of about an ulp above the
// denormal numbers.
func (p *powerOf2) of(t reg.VecVirtual) {
	g := p.g
	f, y, n := g.vec(), g.vec(), t
	if g.wide() {
		g.VREDUCEPS(operand.U8(9), t, f) // t - floor(t); 0 for an infinite t
	} else {
		g.atLeast(p.least, t)
		n = g.vec()
		g.VROUNDPS(operand.U8(9), t, n) // floor(t)
		g.VSUBPS(n, t, f)
	}
	g.VMOVUPS(p.q[len(p.q)-1], y)
	for i := len(p.q) - 2; i >= 0; i-- {
		g.VFMADD213PS(p.q[i], f, y)
	}
	g.VFMADD213PS(p.one, f, y)
	g.timesPower(y, n)
	g.VMOVAPS(y, t)
}

// timesPower multiplies v by 2^floor(n). With AVX2 n is an integer of at least -160.
func (g *generator) timesPower(v, n reg.VecVirtual) {
	if g.wide() {
		g.VSCALEFPS(n, v, v)
		return
	}
	// In two steps, for the exponent of a float32 does not reach so low.
	first, second, bias := g.vec(), g.vec(), g.broadcastBits(127)
	g.VCVTPS2DQ(n, second)
	g.VPSRAD(operand.U8(1), second, first)
	g.VPSUBD(first, second, second)
	for _, half := range []reg.VecVirtual{first, second} {
		g.VPADDD(bias, half, half)
		g.VPSLLD(operand.U8(23), half, half)
		g.VMULPS(half, v, v)
	}
}

// atLeast replaces v by the greater of v and the limit; NaN stays. (The instruction
// returns its second source, Go's first, if one is NaN.)
func (g *generator) atLeast(limit operand.Op, v reg.VecVirtual) {
	g.VMAXPS(v, g.inRegister(limit), v)
}

// atMost replaces v by the lesser of v and the limit; NaN stays.
func (g *generator) atMost(limit operand.Op, v reg.VecVirtual) {
	g.VMINPS(v, g.inRegister(limit), v)
}
