package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// What NEON does in another way than AVX.

// loadLanes reads the first count lanes, from 0 to 4, and sets the others to zero. NEON has no masks: the bits of count choose
// what is read.
func (g *generator) loadLanes(m operand.Mem, count reg.GPVirtual, v reg.VecVirtual) {
	g.zero(v)
	g.eachSize(count, func(size string) {
		switch size {
		case "Q", "D", "S":
			g.neon("LDR:"+size, m, v)
		default:
			g.neon("LD1.S[2]", m.Offset(8), v)
		}
	})
}

// storeLanes writes the first count lanes.
func (g *generator) storeLanes(v reg.VecVirtual, count reg.GPVirtual, m operand.Mem) {
	g.eachSize(count, func(size string) {
		switch size {
		case "Q", "D", "S":
			g.neon("STR:"+size, v, m)
		default:
			g.neon("ST1.S[2]", v, m.Offset(8))
		}
	})
}

// eachSize writes the choice of what makes up count lanes: all four (Q), or two (D) and the one after them (third), or one (S).
func (g *generator) eachSize(count reg.GPVirtual, access func(size string)) {
	few, one, end := g.label("few"), g.label("one"), g.label("end")
	g.branchOnBit(2, count, few)
	access("Q")
	g.JMP(operand.LabelRef(end))
	g.Label(few)
	g.branchOnBit(1, count, one)
	access("D")
	g.branchOnBit(0, count, end)
	access("third")
	g.JMP(operand.LabelRef(end))
	g.Label(one)
	g.branchOnBit(0, count, end)
	access("S")
	g.Label(end)
}

// reduceLanes combines the lanes of v, as the last steps of reduce do.
func (g *generator) reduceLanes(v reg.VecVirtual, op func(ops ...operand.Op)) {
	part := g.vec()
	g.neon("EXT.16B", operand.U8(8), v, v, part) // lanes 2 and 3
	op(part, v, v)
	g.neon("DUP.S[1]", v, part)
	op(part, v, v)
}

// lengthened returns half of v as float64.
func (g *generator) lengthened(v reg.VecVirtual, upper uint8) reg.VecVirtual {
	wide := g.vec()
	g.neon([]string{"FCVTL.2D", "FCVTL2.2D"}[upper], v, wide)
	return wide
}

// philoxNEON writes the loop of philox: vectors of the same word of four blocks each.
func (g *generator) philoxNEON(dst, n reg.GPVirtual) {
	word := func(name string, upper bool) reg.VecVirtual { // a half of a 64-bit parameter in all lanes
		r, v := g.param(name), g.vec()
		if upper {
			high := g.vec()
			g.neon("DUP.X", r, high)
			g.neon("UZP2.4S", high, high, v)
			return v
		}
		g.neon("DUP.W", r, v)
		return v
	}
	constant := func(bits uint32) reg.VecVirtual { return g.inRegister(g.broadcastBits(bits)) }
	mul0, mul1 := constant(philoxMul0), constant(philoxMul1)
	add0, add1 := constant(philoxKey0), constant(philoxKey1)
	first, low, high := g.param("first"), g.vec(), g.vec()
	g.neon("DUP.X", first, low)
	pair := func(name string, a, b uint64) reg.VecVirtual {
		return g.inRegister(g.table(name, func() {
			g.AppendDatum(operand.U64(a))
			g.AppendDatum(operand.U64(b))
		}))
	}
	g.neon("ADD.2D", pair("higher", 2, 3), low, high)
	g.neon("ADD.2D", pair("lower", 0, 1), low, low)
	step := pair("step", 4, 4)
	const groups = 2 // which hide each other's latency
	loop, done := g.label("loop"), g.label("done")
	g.Label(loop)
	g.TESTQ(n, n)
	g.JLE(operand.LabelRef(done))
	key0, key1 := word("key", false), word("key", true)
	c := make([][4]reg.VecVirtual, groups)
	for i := range c {
		c[i] = [4]reg.VecVirtual{g.vec(), g.vec(), word("stream", false), word("stream", true)}
		g.neon("UZP1.4S", high, low, c[i][0])
		g.neon("UZP2.4S", high, low, c[i][1])
		g.neon("ADD.2D", step, low, low)
		g.neon("ADD.2D", step, high, high)
	}
	// product returns the halves of the products.
	product := func(factor, v reg.VecVirtual) (hi, lo reg.VecVirtual) {
		even, odd := g.vec(), g.vec()
		hi, lo = g.vec(), g.vec()
		g.neon("UMULL.2D", factor, v, even)
		g.neon("UMULL2.2D", factor, v, odd)
		g.neon("UZP1.4S", odd, even, lo)
		g.neon("UZP2.4S", odd, even, hi)
		return hi, lo
	}
	for round := range philoxRounds {
		for i := range c {
			hi0, lo0 := product(mul0, c[i][0])
			hi1, lo1 := product(mul1, c[i][2])
			g.xor3(hi1, key0, c[i][1])
			g.xor3(hi0, key1, c[i][3])
			c[i] = [4]reg.VecVirtual{c[i][1], lo1, c[i][3], lo0}
		}
		if round < philoxRounds-1 {
			g.neon("ADD.4S", add0, key0, key0)
			g.neon("ADD.4S", add1, key1, key1)
		}
	}
	for i := range c {
		for j, v := range g.interleave4(c[i][:]) {
			g.VMOVUPS(v, g.at(dst, 4*i+j))
		}
	}
	g.ADDQ(operand.U32(uint32(4*groups*g.bytes())), dst)
	g.SUBQ(operand.U32(uint32(4*groups*g.isa.lanes)), n)
	g.JMP(operand.LabelRef(loop))
	g.Label(done)
}

// stepsNEON returns the parts of a tile's loop. The elements of a row of A lie beside each other. ahead loads those of one step
// or of four, and each step multiplies by a lane, without a broadcast.
func (g *generator) stepsNEON(a, b, bRow reg.GPVirtual, aElement func(i int) operand.Mem, acc [][]reg.VecVirtual) (ahead, step func(n int)) {
	elements := make([]reg.VecVirtual, len(acc))
	ahead = func(steps int) {
		for i := range elements {
			elements[i] = g.vec()
			g.neon("LDR:"+map[int]string{1: "S", tileSteps: "Q"}[steps], aElement(i), elements[i])
		}
		g.ADDQ(operand.U8(uint8(4*steps)), a)
	}
	step = func(s int) {
		for left := 0; left < len(acc[0]); left += 2 {
			row := make([]reg.VecVirtual, min(2, len(acc[0])-left)) // which one instruction loads
			for j := range row {
				row[j] = g.vec()
				g.load(g.at(b, left+j), nil, row[j])
			}
			for i := range acc {
				for j := range row {
					g.neon("FMLA.S[]", operand.U8(uint8(s)), elements[i], row[j], acc[i][left+j])
				}
			}
		}
		g.ADDQ(bRow, b)
	}
	return ahead, step
}
