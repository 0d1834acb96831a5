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
	advance := func(steps int) {
		for _, p := range pointers {
			g.ADDQ(operand.U8(uint8(4*steps)), p)
		}
		g.ADDQ(operand.I32(int32(4*steps*rows)), a)
	}
	loop, few, done := g.label("loop"), g.label("few"), g.label("done")
	// Meanwhile the rows of the next panel are fetched, half of each vector's with a block: in each line of theirs, of two blocks, down
	// and up again. One row or two leave no time for it.
	fetch, fetched, turnBack := func(v, step int) {}, func(v int) {}, func() {}
	if g.wide() && rows > 2 {
		next, there, back := []reg.GPVirtual{g.base(args, "nextB")}, g.GP64(), g.GP64()
		g.MOVQ(bRow, there)
		g.SHLQ(operand.U8(3), there)
		g.MOVQ(operand.I32(64), back)
		g.SUBQ(there, back)
		for len(next) < vectors {
			p := g.GP64()
			g.LEAQ(operand.Mem{Base: next[len(next)-1], Index: there, Scale: 2}, p)
			next = append(next, p)
		}
		fetch = func(v, step int) {
			m := eight(step)
			m.Base = next[v]
			g.PREFETCHT1(m)
		}
		fetched = func(v int) { g.ADDQ(there, next[v]) }
		turnBack = func() { g.XCHGQ(there, back) }
	}
	if g.wide() {
		// Rows that are a multiple of 4 KiB apart fall into the same set of the first-level cache, which holds half of them: whole
		// lines are read at once, the columns of two blocks.
		g.TESTQ(operand.U32(1<<12-1), bRow)
		g.JNZ(operand.LabelRef(loop))
		lines, rest := g.label("lines"), g.label("rest")
		g.SUBQ(operand.U8(2*turnedSteps), k)
		g.JL(operand.LabelRef(rest))
		g.Label(lines)
		for v := range vectors {
			vector := [2][]reg.VecVirtual{g.vecs(turnedSteps), g.vecs(turnedSteps)}
			blocks := [2]turnedStages{load(v, 0, vector[0]), load(v, turnedSteps, vector[1])}
			for i := range blocks[0].loads {
				blocks[0].loads[i]()
				blocks[1].loads[i]()
			}
			for i, block := range blocks {
				for _, turn := range block.turns {
					turn()
				}
				for step, b := range vector[i] {
					if vectors == 1 {
						fetch(v, step)
					}
					multiply(v, i*turnedSteps+step, b)
				}
				if vectors == 1 {
					fetched(v)
					turnBack()
				}
			}
		}
		advance(2 * turnedSteps)
		g.SUBQ(operand.U8(2*turnedSteps), k)
		g.JGE(operand.LabelRef(lines))
		g.Label(rest)
		g.ADDQ(operand.U8(2*turnedSteps), k)
		g.CMPQ(k, operand.U8(turnedSteps))
		g.JL(operand.LabelRef(few))
		g.Label(loop)
		loop = g.label("loop")
	}
	if g.wide() && vectors == 2 {
		// While a vector of a block is multiplied the next is loaded and turned. Else the multiplications, which wait for each
		// other, would fill the processor's queue.
		both := [2][]reg.VecVirtual{g.vecs(turnedSteps), g.vecs(turnedSteps)}
		meanwhile := func(v int, stages []func()) {
			step := 0
			for i, stage := range stages {
				stage()
				for ; step < turnedSteps*(i+1)/len(stages); step++ {
					fetch(v, step)
					multiply(v, step, both[v][step])
				}
			}
			fetched(v)
		}
		last := g.label("last")
		for _, stage := range load(0, 0, both[0]).inOrder() {
			stage()
		}
		g.SUBQ(operand.U8(2*turnedSteps), k)
		g.JL(operand.LabelRef(last))
		g.Label(loop)
		meanwhile(0, load(1, 0, both[1]).inOrder())
		meanwhile(1, load(0, turnedSteps, both[0]).inOrder())
		turnBack()
		advance(turnedSteps)
		g.SUBQ(operand.U8(turnedSteps), k)
		g.JGE(operand.LabelRef(loop))
		g.Label(last)
		meanwhile(0, load(1, 0, both[1]).inOrder())
		meanwhile(1, []func(){func() {}})
		advance(turnedSteps)
	} else {
		g.SUBQ(operand.U8(turnedSteps), k)
		g.Label(loop)
		for v := range vectors {
			for step, b := range g.turn(load, v) {
				fetch(v, step)
				multiply(v, step, b)
			}
			fetched(v)
		}
		turnBack()
		advance(turnedSteps)
		g.SUBQ(operand.U8(turnedSteps), k)
		g.JGE(operand.LabelRef(loop))
	}

	g.ADDQ(operand.U8(turnedSteps), k)
	g.Label(few)
	// The last steps, fewer than a block: those before them are read again and left out.
	g.TESTQ(k, k)
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

// blockLoader returns what loads turnedSteps columns, from one on, of vector v of rows, and turns them.
type blockLoader func(v, column int, to []reg.VecVirtual) turnedStages

// turnedStages are to be called in their order; the turn with the number of a load comes after it.
type turnedStages struct{ loads, turns []func() }

// inOrder returns the stages with as few registers in use as can be.
func (s turnedStages) inOrder() (stages []func()) {
	for i, turn := range s.turns {
		if i < len(s.loads) {
			stages = append(stages, s.loads[i])
		}
		stages = append(stages, turn)
	}
	return stages
}

// turn loads and turns a block.
func (g *generator) turn(load blockLoader, v int) []reg.VecVirtual {
	to := g.vecs(turnedSteps)
	for _, stage := range load(v, 0, to).inOrder() {
		stage()
	}
	return to
}

// turnedBlock returns the loader for rows of B. With AVX-512 each register is loaded from two rows, so that after interleave4 one
// exchange of parts is left.
func (g *generator) turnedBlock(row func(i int) operand.Mem) blockLoader {
	if !g.wide() {
		return func(v, column int, to []reg.VecVirtual) turnedStages {
			block := g.vecs(turnedSteps)
			return turnedStages{
				loads: []func(){func() {
					for j := range block {
						g.load(row(v*g.isa.lanes+j).Offset(4*column), nil, block[j])
					}
				}},
				turns: []func(){func() { copy(to, g.transposeBlock8(block)) }},
			}
		}
	}
	bits, upper := g.GP32(), g.K()
	g.MOVL(operand.U32(0xf0), bits)
	g.KMOVW(bits, upper)
	return func(v, column int, to []reg.VecVirtual) (s turnedStages) {
		block := g.vecs(turnedSteps)
		for half := 0; half < turnedSteps; half += 4 {
			part := block[half : half+4]
			s.loads = append(s.loads, func() {
				for j := range part {
					i := v*g.isa.lanes + 2*half + j
					g.lowerHalf(row(i).Offset(4*column), part[j])
					g.VBROADCASTF64X4(row(i+4).Offset(4*column), upper, part[j])
				}
			})
			s.turns = append(s.turns, func() { copy(part, g.interleave4(part)) })
		}
		s.turns = append(s.turns, func() {
			for c := range 4 {
				g.VSHUFF32X4(operand.U8(0x88), block[4+c], block[c], to[c])
				g.VSHUFF32X4(operand.U8(0xdd), block[4+c], block[c], to[4+c])
			}
		})
		return s
	}
}

// lowerHalf loads half a vector and clears the rest. avo does not know that the whole register is written.
func (g *generator) lowerHalf(m operand.Mem, v reg.VecVirtual) {
	g.Instruction(&ir.Instruction{Opcode: "VMOVUPS", Operands: []operand.Op{m, v.AsY()}, Inputs: []operand.Op{m}, Outputs: []operand.Op{v}})
}
