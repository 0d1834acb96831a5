package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tileRows is the largest number of rows of a tile. The tile of AVX-512 is
// 12×32: 24 accumulators, 2 vectors of B and up to 6 broadcast elements of A
// are the 32 registers, and 14 loads serve 24 FMAs. That of AVX2 is 6×16:
// 12 accumulators, 2 vectors of B and 2 elements of A are the 16 registers.
func (g *generator) tileRows() int {
	if g.wide() {
		return 12
	}
	return 6
}

// generateGemm writes a function for every height of a tile and widths of one
// and two vectors, so that an edge of a matrix costs no useless rows.
func generateGemm(g *generator) {
	for rows := 1; rows <= g.tileRows(); rows++ {
		g.tile(rows, 1, true)
		if g.wide() {
			g.tile(rows, 2, true) // masks cost nothing
		} else {
			g.tile(rows, 2, false)
			g.tile(rows, 2, true)
		}
	}
	g.peak()
}

// peak writes the loop that benchmarks measure the processor's speed with:
// independent multiply-adds, as many as a tile has, and nothing else.
func (g *generator) peak() {
	g.function("fmaPeak", "func(n int)",
		fmt.Sprintf("does n times %d fused multiply-adds of %d elements each.", 2*g.tileRows(), g.isa.lanes))
	n, factor := g.param("n"), g.vec()
	g.zero(factor)
	var sums []reg.VecVirtual
	for range 2 * g.tileRows() {
		v := g.vec()
		g.zero(v)
		sums = append(sums, v)
	}
	loop := g.label("loop")
	g.Label(loop)
	for _, v := range sums {
		g.VFMADD231PS(factor, factor, v)
	}
	g.DECQ(n)
	g.JG(operand.LabelRef(loop))
	g.ret()
}

// tile writes one micro-kernel. It keeps the tile of C in registers while it
// runs down K: per step it loads a row of B, and for each row of the tile
// multiplies it by an element of A and adds.
func (g *generator) tile(rows, vectors int, masked bool) {
	name := fmt.Sprintf("gemmTile%dx%d", rows, vectors*g.isa.lanes)
	columns := "cols columns"
	if !g.wide() && masked {
		name += "Edge"
	} else if !masked {
		columns = "all columns"
	}
	g.function(name,
		"func(a *float32, aRow, aCol int, b *float32, bRow int, c *float32, ldc, cols, k int, add *float32, addRow int)",
		fmt.Sprintf("computes %d rows and %s of C = A·B + add, or A·B if add is nil.", rows, columns),
		"Element (i, p) of A is a[i*aRow+p*aCol], rows of B are bRow apart, those of C ldc, of add addRow.",
		"Each element of C is one chain of fused multiply-adds from p = 0 up.")
	a, b := g.param("a"), g.param("b")
	aRow, aCol, bRow := g.elements("aRow"), g.elements("aCol"), g.elements("bRow")
	masks := make([]*mask, vectors)
	if masked {
		g.columnMasks(masks)
	}

	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		for range vectors {
			v := g.vec()
			g.zero(v)
			acc[i] = append(acc[i], v)
		}
	}
	aElement := g.strided(a, aRow, rows)
	k := g.param("k")
	if g.wide() {
		g.prefetchTile(rows, vectors)
	}

	loop, done := g.label("loop"), g.label("done")
	g.TESTQ(k, k)
	g.JZ(operand.LabelRef(done))
	g.Label(loop)
	row := make([]reg.VecVirtual, vectors)
	for j := range row {
		row[j] = g.vec()
		g.load(operand.Mem{Base: b, Disp: j * g.bytes()}, masks[j], row[j])
	}
	for i := range rows {
		element := g.vec()
		g.VBROADCASTSS(aElement(i), element)
		for j := range row {
			g.VFMADD231PS(element, row[j], acc[i][j])
		}
	}
	g.ADDQ(aCol, a)
	g.ADDQ(bRow, b)
	g.DECQ(k)
	g.JNZ(operand.LabelRef(loop))
	g.Label(done)

	g.storeTile(acc, masks)
	g.ret()
}

// prefetchTile fetches the tile of C, whose rows lie on as many pages, while the
// sums are computed.
func (g *generator) prefetchTile(rows, vectors int) {
	c, ldc := g.param("c"), g.elements("ldc")
	for i := range rows {
		for j := range vectors {
			g.PREFETCHT0(operand.Mem{Base: c, Disp: j * g.bytes()})
		}
		if i < rows-1 {
			g.ADDQ(ldc, c)
		}
	}
}

// columnMasks makes the masks for cols columns. With AVX2 only the last vector
// has one, which stays in memory when there are two, for want of registers.
func (g *generator) columnMasks(masks []*mask) {
	rest := g.param("cols")
	for j := range masks {
		if !g.wide() && j < len(masks)-1 {
			g.SUBQ(operand.U8(uint8(g.isa.lanes)), rest)
			continue
		}
		count := g.GP64()
		g.MOVQ(operand.U32(uint32(g.isa.lanes)), count)
		g.CMPQ(rest, count)
		g.CMOVQLT(rest, count)
		if !g.wide() && len(masks) > 1 {
			masks[j] = &mask{v: g.laneTable(count)}
		} else {
			k := g.firstLanes(count)
			masks[j] = &k
		}
		if j < len(masks)-1 {
			g.SUBQ(count, rest)
		}
	}
}

// storeTile writes the accumulators to C after adding what is to be added.
func (g *generator) storeTile(acc [][]reg.VecVirtual, masks []*mask) {
	c, ldc := g.param("c"), g.elements("ldc")
	add, addRow := g.param("add"), g.elements("addRow")
	overwrite := g.label("overwrite")
	g.TESTQ(add, add)
	g.JZ(operand.LabelRef(overwrite))
	for i := range acc {
		for j, v := range acc[i] {
			m := operand.Mem{Base: add, Disp: j * g.bytes()}
			if masks[j] == nil {
				g.VADDPS(m, v, v)
			} else {
				old := g.vec()
				g.load(m, masks[j], old)
				g.VADDPS(old, v, v)
			}
		}
		if i < len(acc)-1 {
			g.ADDQ(addRow, add)
		}
	}
	g.Label(overwrite)
	for i := range acc {
		for j, v := range acc[i] {
			m := operand.Mem{Base: c, Disp: j * g.bytes()}
			k := masks[j]
			if k != nil && !g.wide() {
				if in, ok := k.v.(operand.Mem); ok {
					r := g.YMM()
					g.VMOVUPS(in, r)
					k = &mask{v: r}
				}
			}
			g.store(v, k, m)
		}
		if i < len(acc)-1 {
			g.ADDQ(ldc, c)
		}
	}
}

// strided returns a function that gives the address base + i·stride for i below
// n <= 12. With the odd multiples of the stride in registers, scaled indices
// give all others, and only base has to move.
func (g *generator) strided(base, stride reg.GPVirtual, n int) func(i int) operand.Mem {
	odd := map[int]reg.GPVirtual{1: stride}
	for _, f := range []struct{ factor, from, scale int }{{3, 1, 2}, {5, 1, 4}, {7, 3, 4}, {9, 1, 8}, {11, 3, 8}} {
		if f.factor < n {
			r := g.GP64()
			g.LEAQ(operand.Mem{Base: odd[f.from], Index: stride, Scale: uint8(f.scale)}, r)
			odd[f.factor] = r
		}
	}
	return func(i int) operand.Mem {
		if i == 0 {
			return operand.Mem{Base: base}
		}
		scale := 1
		for i%2 == 0 {
			i /= 2
			scale *= 2
		}
		return operand.Mem{Base: base, Index: odd[i], Scale: uint8(scale)}
	}
}
