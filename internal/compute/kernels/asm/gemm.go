package main

import (
	"fmt"
	"go/token"
	"go/types"

	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tileRows is the largest number of rows of a tile. The tile of AVX-512 is
// 14×32: 28 accumulators, 2 vectors of B and 2 broadcast elements of A are the
// 32 registers, and 16 loads serve 28 FMAs. That of AVX2 is 6×16: 12
// accumulators, 2 vectors of B and 2 elements of A are the 16 registers. That of NEON is 6×16 as well: 24
// accumulators, 2 vectors of B and one of A for each row, whose lanes are the elements of four steps, are the 32 registers.
func (g *generator) tileRows() int {
	if g.wide() {
		return 14
	}
	return 6
}

// tileVectors is the largest width of a tile.
func (g *generator) tileVectors() int {
	if g.onARM() {
		return 4
	}
	return 2
}

// generateGemm writes a function for every height of a tile and every number of
// vectors, so that an edge of a matrix costs few useless multiplications.
func generateGemm(g *generator) {
	for rows := 1; rows <= g.tileRows(); rows++ {
		for vectors := 1; vectors <= g.tileVectors(); vectors++ {
			g.tile(rows, vectors)
		}
	}
	if !g.onARM() { // whose tiles are wide enough, and whose B is copied
		for rows := 1; rows <= wideRows; rows++ {
			g.tile(rows, 2*g.tileVectors())
		}
		for i, vectors := range g.turnedVectors() {
			g.turnedTile(i+1, vectors)
		}
	}
	g.peak()
}

// peak writes the loop that benchmarks measure the processor's speed with:
// independent multiply-adds and nothing else.
func (g *generator) peak() {
	sums := g.isa.lanes * 3 / 2 // as implementation.peakWork knows
	if g.onARM() {
		sums = 24
	}
	g.function("fmaPeak", "func(n int)",
		fmt.Sprintf("does n times %d fused multiply-adds of %d elements each.", sums, g.isa.lanes))
	n, factor := g.param("n"), g.vec()
	g.zero(factor)
	list := g.zeros(sums)
	loop := g.label("loop")
	g.Label(loop)
	for _, v := range list {
		g.VFMADD231PS(factor, factor, v)
	}
	g.DECQ(n)
	g.JG(operand.LabelRef(loop))
	g.ret()
}

// tileArgs is the type of the same name in the package kernels.
var tileArgs = named("tileArgs", `struct {
	a          []float32
	aRow, aCol int
	b          []float32
	bRow       int
	bHalf      int
	c          []float32
	ldc        int
	add        []float32
	addRow     int
	nextC      []float32
	nextB      []float32
	nextBRow   int
	nextBSteps int
	rows, cols int
	k          int
	aStep      int
	repeat     int
	clamp      bool
	least      float32
	most       float32
}`)

// named returns a type of the package kernels.
func named(name, underlying string) types.Type {
	t, err := types.Eval(token.NewFileSet(), nil, token.NoPos, underlying)
	if err != nil {
		panic(err)
	}
	return types.NewNamed(types.NewTypeName(token.NoPos, nil, name, nil), t.Type, nil)
}

// tileSignature is func(t *tileArgs).
var tileSignature = gotypes.NewSignature(nil, types.NewSignatureType(nil, nil, nil,
	types.NewTuple(types.NewParam(token.NoPos, nil, "t", types.NewPointer(tileArgs))), nil, false))

// field loads a number of t, which args points to.
func (g *generator) field(args gotypes.Component, name string) reg.GPVirtual {
	r := g.GP64()
	g.Load(args.Field(name), r)
	return r
}

// stride loads a field that counts elements, as a number of bytes.
func (g *generator) stride(args gotypes.Component, name string) reg.GPVirtual {
	r := g.field(args, name)
	g.SHLQ(operand.U8(2), r)
	return r
}

// base loads the address of a slice of t.
func (g *generator) base(args gotypes.Component, name string) reg.GPVirtual {
	r := g.GP64()
	g.Load(args.Field(name).Base(), r)
	return r
}

// spreadField returns a register whose lanes are all the float32 field of t.
func (g *generator) spreadField(args gotypes.Component, name string) reg.VecVirtual {
	address, err := args.Field(name).Resolve()
	if err != nil {
		panic(err)
	}
	v := g.vec()
	g.VBROADCASTSS(address.Addr, v)
	return v
}

const tileSteps = 4

// fewRows is the height up to which a tile fetches a row of the next panel in every step, as the package kernels knows: it
// waits for memory, not for its multiplications.
const fewRows = 4

// wideRows is the height up to which there are tiles of twice the width, as the package kernels knows. Each sum waits for the one
// before it, four cycles, in which a lower tile would have nothing else to do.
const wideRows = 2

// tile writes one micro-kernel. It keeps the tile of C in registers while it
// runs down K: per step it loads a row of B, and for each row of the tile
// multiplies it by an element of A and adds.
//
// It does so for as many tiles below each other as t says: what precedes the loop and follows it is a third of the work of a short one.
//
// While it runs it fetches rows of the next panel of B, and then the next tile of C, a row in every two steps:
// a core has only some 12 to 16 reads under way, and a burst of prefetches would stop the loop's own. With AVX-512 rows for which a
// short loop has no steps are fetched behind it: there is another tile's time before they are needed.
//
// The loop has no masks, because a masked load of AVX-512 takes the units that
// multiply on Intel's processors (18 % with two in a step). It does four steps at a
// time, also because every addition to a counter may be given to one of those units.
func (g *generator) tile(rows, vectors int) {
	g.function(fmt.Sprintf("gemmTile%dx%d", rows, vectors*g.isa.lanes), "func()",
		fmt.Sprintf("computes %d rows of t. It reads all %d columns of B.", rows, vectors*g.isa.lanes))
	g.Signature(tileSignature)
	args := g.Dereference(g.Param("t"))
	// What moves from tile to tile.
	at := tilePlace{g.AllocLocal(8), g.AllocLocal(8), g.AllocLocal(8)}
	fetchedTo, left := g.AllocLocal(8), g.AllocLocal(8)
	for _, f := range []struct {
		name string
		to   operand.Mem
	}{{"a", at.a}, {"c", at.c}, {"add", at.add}, {"nextB", fetchedTo}} {
		g.MOVQ(g.base(args, f.name), f.to)
	}
	g.MOVQ(g.field(args, "repeat"), left)
	again := g.label("tile")
	g.Label(again)
	args = g.Dereference(g.Param("t"))
	a, b := g.GP64(), g.base(args, "b")
	g.MOVQ(at.a, a)
	aRow, aCol, bRow := g.stride(args, "aRow"), g.stride(args, "aCol"), g.stride(args, "bRow")

	column := func(j int) operand.Mem { return g.at(b, j) }
	if vectors > g.tileVectors() {
		half := g.stride(args, "bHalf")
		column = func(j int) operand.Mem {
			if j < g.tileVectors() {
				return g.at(b, j)
			}
			return operand.Mem{Base: b, Index: half, Scale: 1, Disp: (j - g.tileVectors()) * g.bytes()}
		}
	}

	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		acc[i] = g.zeros(vectors)
	}
	aElement := g.strided(a, aRow, rows)
	next, nextRow := g.GP64(), g.stride(args, "nextBRow")
	g.MOVQ(fetchedTo, next)
	k, switchAt := g.field(args, "k"), g.AllocLocal(8)

	// ahead loads what several steps read together of A.
	ahead := func(steps int) {}
	step := func(s int) {
		row := make([]reg.VecVirtual, vectors)
		for j := range row {
			row[j] = g.vec()
			g.load(column(j), nil, row[j])
		}
		g.ADDQ(bRow, b)
		for i := range rows {
			element := g.vec()
			g.VBROADCASTSS(aElement(i), element)
			for j := range row {
				g.VFMADD231PS(element, row[j], acc[i][j])
			}
		}
		g.ADDQ(aCol, a)
	}
	if g.onARM() {
		ahead, step = g.stepsNEON(a, b, bRow, aElement, acc)
	}
	// steps writes the loop that does tileSteps steps at a time, until k is switchAt; prefetch
	// is called before each step.
	steps := func(prefetch func(step int)) {
		loop, none := g.label("loop"), g.label("none")
		g.CMPQ(k, switchAt)
		g.JLE(operand.LabelRef(none))
		g.Label(loop)
		ahead(tileSteps)
		for s := range tileSteps {
			prefetch(s)
			step(s)
		}
		g.SUBQ(operand.U8(tileSteps), k)
		g.CMPQ(k, switchAt)
		g.JG(operand.LabelRef(loop))
		g.Label(none)
	}
	lines := (vectors*g.bytes()-1)/64 + 1
	fetched := g.field(args, "nextBSteps")
	g.NEGQ(fetched)
	g.ADDQ(k, fetched)
	g.MOVQ(fetched, switchAt)
	steps(func(s int) {
		for line := range lines {
			if rows <= fewRows || s%2 == line {
				g.PREFETCHT1(operand.Mem{Base: next, Disp: line * 64})
			}
		}
		if rows <= fewRows || s%2 == 1 {
			g.ADDQ(nextRow, next)
		}
	})

	g.MOVQ(next, fetchedTo)
	args = g.Dereference(g.Param("t"))
	g.Load(args.Field("ldc"), nextRow)
	g.SHLQ(operand.U8(2), nextRow)
	below := g.label("below")
	g.IMUL3Q(operand.U8(uint8(rows)), nextRow, next)
	g.ADDQ(at.c, next)
	g.CMPQ(left, operand.U8(1))
	g.JNE(operand.LabelRef(below))
	g.Load(args.Field("nextC").Base(), next)
	g.Label(below)
	g.MOVQ(operand.I32(tileSteps-1), switchAt)
	end, lastRow := g.GP64(), g.AllocLocal(8)
	g.LEAQ(operand.Mem{Base: k, Disp: -tileSteps * ((rows - 1) / 2)}, end)
	g.MOVQ(end, lastRow)
	steps(func(s int) {
		if s%2 < lines {
			line := operand.Mem{Base: next, Disp: s % 2 * 64}
			if g.wide() {
				g.PREFETCHT0(line)
			} else { // whose smaller tiles it made slower
				g.PREFETCHT1(line)
			}
		}
		if s%2 == 1 {
			g.ADDQ(nextRow, next)
		}
		if s == tileSteps-1 {
			more := g.label("more")
			g.CMPQ(k, lastRow)
			g.JG(operand.LabelRef(more))
			g.XORQ(nextRow, nextRow) // all rows of C have been fetched
			g.Label(more)
		}
	})
	if g.wide() {
		rest, fetched := g.label("rest"), g.label("fetched")
		g.MOVQ(k, end)
		g.Label(rest)
		g.CMPQ(end, lastRow)
		g.JL(operand.LabelRef(fetched))
		for range 2 {
			for line := range lines {
				g.PREFETCHT0(operand.Mem{Base: next, Disp: line * 64})
			}
			g.ADDQ(nextRow, next)
		}
		g.SUBQ(operand.U8(tileSteps), end)
		g.JMP(operand.LabelRef(rest))
		g.Label(fetched)
	}

	last, done := g.label("last"), g.label("done")
	g.TESTQ(k, k)
	g.JZ(operand.LabelRef(done))
	g.Label(last)
	ahead(1)
	step(0)
	g.DECQ(k)
	g.JNZ(operand.LabelRef(last))
	g.Label(done)

	args = g.Dereference(g.Param("t"))
	g.storeTile(args, at, acc)
	g.ADDQ(g.stride(args, "aStep"), at.a)
	g.DECQ(left)
	g.JNZ(operand.LabelRef(again))
	g.ret()
}

// tilePlace is where a tile lies.
type tilePlace struct{ a, c, add operand.Mem }

// storeTile writes the accumulators to C after adding what is to be added, and moves the place to the tile below.
func (g *generator) storeTile(args gotypes.Component, at tilePlace, acc [][]reg.VecVirtual) {
	vectors := len(acc[0])
	if vectors > g.tileVectors() { // never an edge
		g.storeRows(args, at, acc, nil)
		return
	}
	full, done := g.label("full"), g.label("done")
	cols := g.field(args, "cols")
	g.CMPQ(cols, operand.U8(uint8(vectors*g.isa.lanes)))
	g.JE(operand.LabelRef(full))
	k := g.edgeMask(cols, vectors)
	g.storeRows(args, at, acc, k)
	g.JMP(operand.LabelRef(done))
	g.Label(full)
	g.storeRows(args, at, acc, nil)
	g.Label(done)
}

// edgeMask returns the mask of the last vector of an edge. With AVX2 it stays in
// memory, for want of registers.
func (g *generator) edgeMask(cols reg.GPVirtual, vectors int) *mask {
	g.SUBQ(operand.U8(uint8((vectors-1)*g.isa.lanes)), cols)
	if g.isa == avx2 {
		return &mask{v: g.laneTable(cols)}
	}
	k := g.firstLanes(cols)
	return &k
}

// storeRows does so for rows whose last vector has the mask.
func (g *generator) storeRows(args gotypes.Component, at tilePlace, acc [][]reg.VecVirtual, edge *mask) {
	overwrite := g.label("overwrite")
	masks := make([]*mask, len(acc[0]))
	masks[len(masks)-1] = edge
	add, addRow := g.GP64(), g.stride(args, "addRow")
	g.MOVQ(at.add, add)
	g.TESTQ(add, add)
	g.JZ(operand.LabelRef(overwrite))
	for i := range acc {
		for j, v := range acc[i] {
			if masks[j] == nil {
				g.VADDPS(g.at(add, j), v, v)
			} else {
				old := g.vec()
				g.load(g.at(add, j), masks[j], old)
				g.VADDPS(old, v, v)
			}
		}
		g.ADDQ(addRow, add)
	}
	g.MOVQ(add, at.add)
	g.Label(overwrite)
	free, clamp := g.label("free"), g.GP8()
	g.Load(args.Field("clamp"), clamp)
	g.TESTB(clamp, clamp)
	g.JZ(operand.LabelRef(free))
	least, most := g.spreadField(args, "least"), g.spreadField(args, "most")
	for i := range acc {
		g.clampBetween(least, most, acc[i]...)
	}
	g.Label(free)
	c, ldc := g.GP64(), g.stride(args, "ldc")
	g.MOVQ(at.c, c)
	if edge != nil && g.isa == avx2 {
		r := g.YMM()
		g.VMOVUPS(edge.v, r)
		masks[len(masks)-1] = &mask{v: r}
	}
	for i := range acc {
		for j, v := range acc[i] {
			g.store(v, masks[j], g.at(c, j))
		}
		g.ADDQ(ldc, c)
	}
	g.MOVQ(c, at.c)
}

// strided returns a function that gives the address base + i·stride for i below
// n <= 14. With the odd multiples of the stride in registers, scaled indices
// give all others, and only base has to move.
func (g *generator) strided(base, stride reg.GPVirtual, n int) func(i int) operand.Mem {
	odd := map[int]reg.GPVirtual{1: stride}
	for _, f := range []struct{ factor, from, scale int }{{3, 1, 2}, {5, 1, 4}, {7, 3, 4}, {9, 1, 8}, {11, 3, 8}, {13, 5, 8}} {
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
