package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateHalf writes the kernels of half.go in the package above.
func generateHalf(g *generator) {
	g.widen("fromBFloat16", "computes dst = x, the upper halves of float32, in whole vectors.", func(at operand.Mem, v reg.VecVirtual) {
		g.VPMOVZXWD(at, v)
		g.VPSLLD(operand.U8(16), v, v)
	})
	g.widen("fromFloat16", "computes dst = x, numbers of half precision, in whole vectors.", func(at operand.Mem, v reg.VecVirtual) {
		g.VCVTPH2PS(at, v)
	})
}

// widen writes a function that makes 32 bits of 16, four vectors at a time; what is less than one is left.
func (g *generator) widen(name, doc string, load func(at operand.Mem, v reg.VecVirtual)) {
	g.function(name, "func(dst []float32, x []uint16)", doc)
	p, n := g.slices("dst", "x"), g.length("x")
	for _, vectors := range []int{4, 1} {
		loop, done := g.label("vectors"), g.label("end")
		g.Label(loop)
		g.SUBQ(operand.U8(uint8(vectors*g.isa.lanes)), n)
		g.JL(operand.LabelRef(done))
		for j := range vectors {
			v := g.vec()
			load(operand.Mem{Base: p[1], Disp: j * g.bytes() / 2}, v)
			g.store(v, nil, g.at(p[0], j))
		}
		g.ADDQ(operand.U32(uint32(vectors*g.bytes())), p[0])
		g.ADDQ(operand.U32(uint32(vectors*g.bytes()/2)), p[1])
		g.JMP(operand.LabelRef(loop))
		g.Label(done)
		g.ADDQ(operand.U8(uint8(vectors*g.isa.lanes)), n)
	}
	g.ret()
}
