package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// turnedVectors is the width of the tiles that read B stored transposed, by rows-1: few rows leave registers for more columns, whose sums
// do not wait for each other.
func (g *generator) turnedVectors() []int {
	if g.wide() {
		return []int{2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	}
	return []int{4, 2, 2}
}

// turnedSteps is how many steps of K such a tile does at a time.
const turnedSteps = 8

// turnedTile writes a tile of C = A·Bᵀ + add, whose columns are rows of B as they lie, and whose A is packed. It turns blocks of
// B in registers. The order of sums is that of other tiles.
func (g *generator) turnedTile(rows, vectors int) {
	columns := vectors * g.isa.lanes
	g.function(fmt.Sprintf("gemmTurned%dx%d", rows, columns), "func()",
		fmt.Sprintf("computes %d rows and %d columns of t, which are rows of B.", rows, columns))
	g.Signature(tileSignature)
	args := g.Dereference(g.Param("t"))
	at := tilePlace{g.AllocLocal(8), g.AllocLocal(8), g.AllocLocal(8)}
	g.MOVQ(g.base(args, "c"), at.c)
	g.MOVQ(g.base(args, "add"), at.add)
	a, bRow, k := g.base(args, "a"), g.stride(args, "bRow"), g.field(args, "k")
	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		acc[i] = g.zeros(vectors)
	}

	// Rows of B, eight from each pointer.
	const each = 8
	pointers := []reg.GPVirtual{g.base(args, "b")}
	for len(pointers) < (columns-1)/each+1 {
		p := g.GP64()
		g.LEAQ(operand.Mem{Base: pointers[len(pointers)-1], Index: bRow, Scale: each}, p)
		pointers = append(pointers, p)
	}
	eight := g.strided(pointers[0], bRow, each)
	row := func(i int) operand.Mem {
		m := eight(i % each)
		m.Base = pointers[i/each]
		return m
	}
	load := g.turnedBlock(row)
	// multiply does a step of a vector of columns.
	multiply := func(v, step int, b reg.VecVirtual) {
		for i := range rows {
			m := operand.Mem{Base: a, Disp: 4 * (step*rows + i)}
			if g.wide() {
				g.VFMADD231PS_BCST(m, b, acc[i][v])
				continue
			}
			element := g.vec()
			g.VBROADCASTSS(m, element)
			g.VFMADD231PS(element, b, acc[i][v])
		}
	}
	advance := func() {
		for _, p := range pointers {
			g.ADDQ(operand.U8(4*turnedSteps), p)
		}
		g.ADDQ(operand.I32(int32(4*turnedSteps*rows)), a)
	}
	loop, done := g.label("loop"), g.label("done")
	if g.wide() && vectors == 2 {
		// While a vector of a block is multiplied the next is loaded and turned. Else the multiplications, which wait for each
		// other, would fill the processor's queue.
		both := [2][]reg.VecVirtual{make([]reg.VecVirtual, turnedSteps), make([]reg.VecVirtual, turnedSteps)}
		for v := range both {
			for step := range both[v] {
				both[v][step] = g.vec()
			}
		}
		meanwhile := func(v int, stages []func()) {
			step := 0
			for i, stage := range stages {
				stage()
				for ; step < turnedSteps*(i+1)/len(stages); step++ {
					multiply(v, step, both[v][step])
				}
			}
		}
		last := g.label("last")
		for _, stage := range load(0, 0, both[0]) {
			stage()
		}
		g.SUBQ(operand.U8(2*turnedSteps), k)
		g.JL(operand.LabelRef(last))
		g.Label(loop)
		meanwhile(0, load(1, 0, both[1]))
		meanwhile(1, load(0, turnedSteps, both[0]))
		advance()
		g.SUBQ(operand.U8(turnedSteps), k)
		g.JGE(operand.LabelRef(loop))
		g.Label(last)
		meanwhile(0, load(1, 0, both[1]))
		meanwhile(1, []func(){func() {}})
		advance()
	} else {
		g.SUBQ(operand.U8(turnedSteps), k)
		g.Label(loop)
		for v := range vectors {
			for step, b := range g.turn(load, v) {
				multiply(v, step, b)
			}
		}
		advance()
		g.SUBQ(operand.U8(turnedSteps), k)
		g.JGE(operand.LabelRef(loop))
	}

	// The last steps, fewer than a block: those before them are read again and left out.
	g.ADDQ(operand.U8(turnedSteps), k)
	g.JZ(operand.LabelRef(done))
	back := g.GP64()
	g.LEAQ(operand.Mem{Base: k, Disp: -turnedSteps}, back)
	g.SHLQ(operand.U8(2), back)
	for _, p := range pointers {
		g.ADDQ(back, p)
	}
	g.IMUL3Q(operand.U8(uint8(rows)), back, back)
	g.ADDQ(back, a)
	for v := range vectors {
		for step, b := range g.turn(load, v) {
			after := g.label("after")
			if step < turnedSteps-1 {
				g.CMPQ(k, operand.U8(uint8(turnedSteps-step)))
				g.JL(operand.LabelRef(after))
			}
			multiply(v, step, b)
			g.Label(after)
		}
	}
	g.Label(done)
	args = g.Dereference(g.Param("t"))
	g.storeRows(args, at, acc, nil)
	g.ret()
}

// blockLoader returns what loads turnedSteps columns, from one on, of vector v of rows, and turns them: stages, to be called in turn.
type blockLoader func(v, column int, to []reg.VecVirtual) (stages []func())

// turn calls the stages.
func (g *generator) turn(load blockLoader, v int) []reg.VecVirtual {
	to := make([]reg.VecVirtual, turnedSteps)
	for i := range to {
		to[i] = g.vec()
	}
	for _, stage := range load(v, 0, to) {
		stage()
	}
	return to
}

// turnedBlock returns the loader for rows of B. With AVX-512 each register is loaded from two rows, so that after interleave4 one
// exchange of parts is left.
func (g *generator) turnedBlock(row func(i int) operand.Mem) blockLoader {
	if !g.wide() {
		return func(v, column int, to []reg.VecVirtual) []func() {
			return []func(){func() {
				block := make([]reg.VecVirtual, turnedSteps)
				for j := range block {
					block[j] = g.vec()
					g.load(row(v*g.isa.lanes+j).Offset(4*column), nil, block[j])
				}
				copy(to, g.transposeBlock8(block))
			}}
		}
	}
	bits, upper := g.GP32(), g.K()
	g.MOVL(operand.U32(0xf0), bits)
	g.KMOVW(bits, upper)
	return func(v, column int, to []reg.VecVirtual) (stages []func()) {
		block := make([]reg.VecVirtual, turnedSteps)
		for half := 0; half < turnedSteps; half += 4 {
			part := block[half : half+4]
			stages = append(stages, func() {
				for j := range part {
					i := v*g.isa.lanes + 2*half + j
					part[j] = g.vec()
					g.lowerHalf(row(i).Offset(4*column), part[j])
					g.VBROADCASTF64X4(row(i+4).Offset(4*column), upper, part[j])
				}
			}, func() { copy(part, g.interleave4(part)) })
		}
		return append(stages, func() {
			for c := range 4 {
				g.VSHUFF32X4(operand.U8(0x88), block[4+c], block[c], to[c])
				g.VSHUFF32X4(operand.U8(0xdd), block[4+c], block[c], to[4+c])
			}
		})
	}
}

// lowerHalf loads half a vector and clears the rest. avo does not know that the whole register is written.
func (g *generator) lowerHalf(m operand.Mem, v reg.VecVirtual) {
	g.Instruction(&ir.Instruction{Opcode: "VMOVUPS", Operands: []operand.Op{m, v.AsY()}, Inputs: []operand.Op{m}, Outputs: []operand.Op{v}})
}
