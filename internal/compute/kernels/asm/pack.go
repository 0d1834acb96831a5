package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

const packSignature = "func(dst *float32, dstStride int, src *float32, srcStride, rows, cols int)"

// generatePack writes the functions that copy a part of a matrix into a panel.
func generatePack(g *generator) {
	if !g.onARM() { // Go's copy does
		g.copyRows()
	}
	g.transpose()
}

// Masked stores of AVX2 are slow on some processors (tens of cycles on Zen).
// So with AVX2 the rows of a panel are stored as full vectors, which spill into
// the row that follows and is stored next; only the last row is stored under the mask.
// For that dstStride must be at least half a vector, which the callers see to.
// With AVX-512 masks cost nothing, and NEON, which has none, stores parts of vectors.

// spills reports whether all rows but the last are stored as full vectors.
func (g *generator) spills() bool { return g.isa == avx2 }

// copyRows writes the copy of a panel whose rows are rows of the matrix.
func (g *generator) copyRows() {
	g.function("copyRows", packSignature,
		"copies rows of cols elements, at most two vectors: dst[r*dstStride+c] = src[r*srcStride+c].")
	dst, src := g.param("dst"), g.param("src")
	dstStride, srcStride := g.elements("dstStride"), g.elements("srcStride")
	rows, cols := g.param("rows"), g.param("cols")
	two, done := g.label("two"), g.label("done")
	lanes := operand.U8(uint8(g.isa.lanes))
	g.CMPQ(cols, lanes)
	g.JG(operand.LabelRef(two))
	for _, vectors := range []int{1, 2} {
		if vectors == 2 {
			g.Label(two)
			g.SUBQ(lanes, cols)
		}
		masks := make([]*mask, vectors)
		k := g.firstLanes(cols)
		masks[vectors-1] = &k
		copyRow := func(last bool) {
			for j := range masks {
				v, to := g.vec(), operand.Mem{Base: dst, Disp: j * g.bytes()}
				g.load(operand.Mem{Base: src, Disp: j * g.bytes()}, masks[j], v)
				if last || !g.spills() {
					g.store(v, masks[j], to)
				} else {
					g.store(v, nil, to)
				}
			}
		}
		loop, end := g.label("loop"), g.label("last")
		g.Label(loop)
		g.DECQ(rows)
		g.JLE(operand.LabelRef(end))
		copyRow(false)
		g.ADDQ(srcStride, src)
		g.ADDQ(dstStride, dst)
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
		g.JL(operand.LabelRef(done)) // there was no row
		copyRow(true)
		if vectors == 1 {
			g.JMP(operand.LabelRef(done))
		}
	}
	g.Label(done)
	g.ret()
}

// transpose writes the copy of a panel whose rows are columns of the matrix:
// square blocks of as many rows and columns as a vector has lanes.
func (g *generator) transpose() {
	g.function("transpose", packSignature,
		"copies 1 to a vector's lanes of rows into columns: dst[c*dstStride+r] = src[r*srcStride+c].")
	n := g.isa.lanes
	dst, src := g.param("dst"), g.param("src")
	dstStride, srcStride := g.elements("dstStride"), g.elements("srcStride")
	rows, cols := g.param("rows"), g.param("cols")
	rowMask := g.firstLanes(rows)
	lanes := g.GP64()
	g.MOVQ(operand.U32(uint32(n)), lanes)

	loop, done := g.label("loop"), g.label("done")
	g.Label(loop)
	g.TESTQ(cols, cols)
	g.JLE(operand.LabelRef(done))
	count := g.GP64()
	g.MOVQ(cols, count)
	g.CMPQ(lanes, count)
	g.CMOVQLT(lanes, count)
	colMask := g.firstLanes(count)

	// The rows past the last repeat it; their lanes are not stored.
	block := make([]reg.VecVirtual, n)
	row := g.GP64()
	g.MOVQ(src, row)
	for r := range block {
		block[r] = g.vec()
		g.load(operand.Mem{Base: row}, &colMask, block[r])
		if r < n-1 {
			following := g.GP64()
			g.LEAQ(operand.Mem{Base: row, Index: srcStride, Scale: 1}, following)
			g.CMPQ(rows, operand.U8(uint8(r+1)))
			g.CMOVQGT(following, row)
		}
	}
	switch g.isa {
	case avx512:
		block = g.transposeBlock16(block)
	case avx2:
		block = g.transposeBlock8(block)
	default:
		block = g.interleave4(block)
	}
	last := make([]string, n)
	for c := range block {
		last[c] = g.label("last")
		g.CMPQ(cols, operand.U8(uint8(c+1)))
		g.JE(operand.LabelRef(last[c]))
		if g.spills() {
			g.store(block[c], nil, operand.Mem{Base: dst})
		} else {
			g.store(block[c], &rowMask, operand.Mem{Base: dst})
		}
		g.ADDQ(dstStride, dst)
	}
	g.ADDQ(operand.U8(uint8(g.bytes())), src)
	g.SUBQ(lanes, cols)
	g.JMP(operand.LabelRef(loop))
	for c := range block {
		g.Label(last[c])
		g.store(block[c], &rowMask, operand.Mem{Base: dst})
		if c < n-1 {
			g.JMP(operand.LabelRef(done))
		}
	}
	g.Label(done)
	g.ret()
}

// interleave4 transposes, within each 128-bit part, each four rows: row 4i+c of
// the result holds in part p column 4p+c of rows 4i to 4i+3.
func (g *generator) interleave4(x []reg.VecVirtual) []reg.VecVirtual {
	out := make([]reg.VecVirtual, 0, len(x))
	for i := 0; i < len(x); i += 4 {
		lo0, hi0, lo1, hi1 := g.vec(), g.vec(), g.vec(), g.vec()
		g.VUNPCKLPS(x[i+1], x[i], lo0)
		g.VUNPCKHPS(x[i+1], x[i], hi0)
		g.VUNPCKLPS(x[i+3], x[i+2], lo1)
		g.VUNPCKHPS(x[i+3], x[i+2], hi1)
		c0, c1, c2, c3 := g.vec(), g.vec(), g.vec(), g.vec()
		g.VUNPCKLPD(lo1, lo0, c0)
		g.VUNPCKHPD(lo1, lo0, c1)
		g.VUNPCKLPD(hi1, hi0, c2)
		g.VUNPCKHPD(hi1, hi0, c3)
		out = append(out, c0, c1, c2, c3)
	}
	return out
}

// transposeBlock8 transposes 8×8 elements.
func (g *generator) transposeBlock8(x []reg.VecVirtual) []reg.VecVirtual {
	x = g.interleave4(x)
	out := make([]reg.VecVirtual, 8)
	for c := range 4 {
		out[c], out[4+c] = g.vec(), g.vec()
		g.VPERM2F128(operand.U8(0x20), x[4+c], x[c], out[c])
		g.VPERM2F128(operand.U8(0x31), x[4+c], x[c], out[4+c])
	}
	return out
}

// transposeBlock16 transposes 16×16 elements. After interleave4, x[4i+c] holds
// in part p column 4p+c of rows 4i..4i+3; what is left is, for each c, to
// transpose the 4×4 parts.
func (g *generator) transposeBlock16(x []reg.VecVirtual) []reg.VecVirtual {
	x = g.interleave4(x)
	out := make([]reg.VecVirtual, 16)
	for c := range 4 {
		// Parts of rows i=0,1 and i=2,3, those of even and of odd p.
		even01, odd01, even23, odd23 := g.vec(), g.vec(), g.vec(), g.vec()
		g.VSHUFF32X4(operand.U8(0x88), x[4+c], x[c], even01) // parts 0,2 of both
		g.VSHUFF32X4(operand.U8(0xdd), x[4+c], x[c], odd01)  // parts 1,3 of both
		g.VSHUFF32X4(operand.U8(0x88), x[12+c], x[8+c], even23)
		g.VSHUFF32X4(operand.U8(0xdd), x[12+c], x[8+c], odd23)
		for p, pair := range [4][2]reg.VecVirtual{{even01, even23}, {odd01, odd23}, {even01, even23}, {odd01, odd23}} {
			out[4*p+c] = g.vec()
			select4 := uint8(0x88) // the first of each pair of parts
			if p >= 2 {
				select4 = 0xdd // the second
			}
			g.VSHUFF32X4(operand.U8(select4), pair[1], pair[0], out[4*p+c])
		}
	}
	return out
}
