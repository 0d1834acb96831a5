package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateHalf writes the kernels of half.go in the package above.
func generateHalf(g *generator) {
	for _, f := range []struct {
		name, doc string
		load      func(at operand.Mem, v reg.VecVirtual)
	}{
		{"BFloat16", "the upper halves of float32", func(at operand.Mem, v reg.VecVirtual) {
			g.VPMOVZXWD(at, v)
			g.VPSLLD(operand.U8(16), v, v)
		}},
		{"Float16", "numbers of half precision", func(at operand.Mem, v reg.VecVirtual) { g.VCVTPH2PS(at, v) }},
	} {
		g.widen("from"+f.name, "computes dst = x, "+f.doc+", in whole vectors.", f.load)
		if g.onARM() { // whose tiles are wider
			continue
		}
		for rows := 1; rows <= fewRows; rows++ {
			g.halfTile(f.name, rows, 1, f.load)
			g.halfTile(f.name, rows, 2, f.load)
		}
	}
	if g.wide() {
		g.groupedTiles("dot", g.dots)
		g.round()
		g.dotPeak()
	}
}

// dots multiplies two bfloat16 by two in each lane and adds both to it.
func (g *generator) dots() grouped {
	w := g.vnni()
	w.scaled = false
	w.multiply = func(element reg.VecVirtual, b, sums []reg.VecVirtual) {
		for j := range sums {
			g.pairs(b[j], element, sums[j])
		}
	}
	return w
}

// round writes the rounding of a row to bfloat16.
func (g *generator) round() {
	g.function("roundBFloat16", "func(dst *byte, x []float32)", "rounds x to bfloat16, to the nearest and of two to the even one, in whole vectors.")
	dst, p, n := g.param("dst"), g.slices("x"), g.length("x")
	g.eachVector(n, []reg.GPVirtual{p[0]}, 1, func(j int, k *mask) {
		v := g.vec()
		g.load(g.at(p[0], j), k, v)
		g.evex("VCVTNEPS2BF16", v, v.AsY())
		g.VMOVDQU(v.AsY(), operand.Mem{Base: dst})
		g.ADDQ(operand.U8(uint8(g.bytes()/2)), dst)
	})
	g.ret()
}

// dotPeak writes what peak does for products of bfloat16.
func (g *generator) dotPeak() {
	g.function("dotPeak", "func(n int)", "does n times 24 products of 32 pairs of bfloat16.")
	n, factor := g.param("n"), g.vec()
	g.zero(factor)
	list := g.zeros(24)
	loop := g.label("loop")
	g.Label(loop)
	for _, v := range list {
		g.pairs(factor, factor, v)
	}
	g.DECQ(n)
	g.JG(operand.LabelRef(loop))
	g.ret()
}

// pairs adds to sums the products of pairs of bfloat16.
func (g *generator) pairs(x, y, sums reg.VecVirtual) { g.evex("VDPBF16PS", x, y, sums) }

// halfTile writes a tile of few rows, which wait for memory: it widens B as it multiplies, and fetches a cache line of the next panel in
// every step. The order of sums is that of other tiles.
func (g *generator) halfTile(name string, rows, vectors int, load func(at operand.Mem, v reg.VecVirtual)) {
	g.function(fmt.Sprintf("tile%s%dx%d", name, rows, vectors*g.isa.lanes), "func()",
		fmt.Sprintf("computes %d rows of t with %d columns of a panel of 16-bit numbers.", rows, vectors*g.isa.lanes))
	g.Signature(tileSignature)
	args := g.Dereference(g.Param("t"))
	at := tilePlace{g.AllocLocal(8), g.AllocLocal(8), g.AllocLocal(8)}
	g.MOVQ(g.base(args, "c"), at.c)
	g.MOVQ(g.base(args, "add"), at.add)
	a, b, next, k := g.base(args, "a"), g.base(args, "b"), g.base(args, "nextB"), g.field(args, "k")
	aRow, aCol := g.stride(args, "aRow"), g.stride(args, "aCol")
	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		acc[i] = g.zeros(vectors)
	}
	aElement := g.strided(a, aRow, rows)
	loop := g.label("loop")
	g.Label(loop)
	g.PREFETCHT1(operand.Mem{Base: next})
	g.ADDQ(operand.U8(2*panelColumns), next)
	row := make([]reg.VecVirtual, vectors)
	for j := range row {
		row[j] = g.vec()
		load(operand.Mem{Base: b, Disp: j * g.bytes() / 2}, row[j])
	}
	g.ADDQ(operand.U8(2*panelColumns), b)
	for i := range rows {
		element := g.vec()
		g.VBROADCASTSS(aElement(i), element)
		for j := range row {
			g.VFMADD231PS(element, row[j], acc[i][j])
		}
	}
	g.ADDQ(aCol, a)
	g.DECQ(k)
	g.JNZ(operand.LabelRef(loop))
	args = g.Dereference(g.Param("t"))
	g.storeTile(args, at, acc)
	g.ret()
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
