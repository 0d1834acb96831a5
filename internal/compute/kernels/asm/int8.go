package main

import (
	"fmt"
	"go/token"
	"go/types"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/gotypes"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateInt8 writes the kernels of int8.go in the package above.
func generateInt8(g *generator) {
	g.span()
	if g.wide() {
		g.quantise("Bytes")
		g.groupedTiles("int8VNNI", g.vnni)
	}
	g.quantise("Words")
	g.groupedTiles("int8Words", g.words)
}

// span writes what finds the range of a row.
func (g *generator) span() {
	g.function("span", "func(x []float32) (least, most, poison float32)",
		"returns the least and the largest element, zero among them, and a NaN if one is not finite, else 0.")
	least, most, poison, zero := g.zeros(2), g.zeros(2), g.zeros(2), g.zeros(1)[0]
	p, n := g.again("x")
	g.eachVector(n, p, 2, func(j int, k *mask) {
		v := g.vec()
		g.load(g.at(p[0], j), k, v)
		g.VMINPS(v, least[j], least[j])
		g.VMAXPS(v, most[j], most[j])
		g.VFMADD231PS(v, zero, poison[j]) // NaN and the infinities times zero are NaN, which stays
	})
	g.Store(g.reduce(least, g.minimum).AsX(), g.Return("least"))
	g.Store(g.reduce(most, g.maximum).AsX(), g.Return("most"))
	g.Store(g.reduce(poison, g.add).AsX(), g.Return("poison"))
	g.ret()
}

func (g *generator) minimum(ops ...operand.Op) { g.VMINPS(ops[0], ops[1], ops[2]) }

// quantise writes the rounding of a row to bytes, or to the same numbers in words.
func (g *generator) quantise(size string) {
	g.function("quantise"+size, "func(dst *byte, x []float32, inverse float32, zero int32)",
		"computes dst = min(max(round(x·inverse) + zero, 0), 255), in whole vectors.")
	dst, p, n := g.param("dst"), g.slices("x"), g.length("x")
	inverse, offset := g.scalar("inverse"), g.scalar("zero") // whose bits count
	low, high := g.zeros(1)[0], g.inRegister(g.broadcastBits(255))
	bytes := g.isa.lanes
	if size == "Words" {
		bytes *= 2
	}
	pointers := []reg.GPVirtual{p[0]}
	g.eachVector(n, pointers, 1, func(j int, k *mask) {
		v := g.vec()
		g.load(g.at(p[0], j), k, v)
		g.VMULPS(inverse, v, v)
		g.VCVTPS2DQ(v, v)
		g.VPADDD(offset, v, v)
		g.VPMAXSD(low, v, v)
		g.VPMINSD(high, v, v)
		to := operand.Mem{Base: dst}
		switch {
		case !g.wide():
			g.VPACKUSDW(v, v, v)
			g.VPERMQ(operand.U8(0b1000), v, v)
			g.VMOVDQU(v.AsX(), to)
		case size == "Words":
			g.VPMOVDW(v, to)
		default:
			g.VPMOVDB(v, to)
		}
		g.ADDQ(operand.U8(uint8(bytes)), dst)
	})
	g.ret()
}

// spreadInt returns a register whose lanes are all the int32 at an address.
func (g *generator) spreadInt(at operand.Mem) reg.VecVirtual {
	v := g.vec()
	g.VPBROADCASTD(at, v)
	return v
}

// groupedArgs is the type of the same name in the package kernels.
var groupedArgs = named("groupedArgs", `struct {
	a      []byte
	aRow   int
	b      []int8
	groups int
	c      []float32
	ldc    int
	rows   int
	cols   int
	scale  []float32
	zero   []int32
	scales []float32
	sums   []int32
	bias   []float32
}`)

var groupedSignature = gotypes.NewSignature(nil, types.NewSignatureType(nil, nil, nil,
	types.NewTuple(types.NewParam(token.NoPos, nil, "t", types.NewPointer(groupedArgs))), nil, false))

// grouped is a way to multiply: what one group of steps of K adds to the sums of one row, and how sums become one of each column.
type grouped struct {
	rows, columns int // of the largest tile
	perRow        int // registers of sums
	groupBytes    int // of A
	load          func(at func(i int) operand.Mem) []reg.VecVirtual
	element       func(at operand.Mem) reg.VecVirtual
	multiply      func(element reg.VecVirtual, b, sums []reg.VecVirtual)
	join          func(sums []reg.VecVirtual) []reg.VecVirtual
	scaled        bool // sums are integers, with scales
}

// vnni multiplies four bytes by four in each lane and adds all to it.
func (g *generator) vnni() grouped {
	return grouped{
		rows: 14, columns: 32, perRow: 2, groupBytes: 4, scaled: true,
		load:    g.groupsOf32,
		element: g.spreadInt,
		multiply: func(element reg.VecVirtual, b, sums []reg.VecVirtual) {
			for j := range sums {
				g.VPDPBUSD(b[j], element, sums[j])
			}
		},
		join: func(sums []reg.VecVirtual) []reg.VecVirtual { return sums },
	}
}

// groupsOf32 loads a group of 32 columns.
func (g *generator) groupsOf32(at func(i int) operand.Mem) []reg.VecVirtual {
	b := []reg.VecVirtual{g.vec(), g.vec()}
	g.VMOVDQU32(at(0), b[0])
	g.VMOVDQU32(at(64), b[1])
	return b
}

// words multiplies 16-bit numbers, in which no sum of two products saturates, and leaves two sums for each column.
func (g *generator) words() grouped {
	w := grouped{
		rows: 6, columns: 8, perRow: 2, groupBytes: 8, scaled: true,
		load: func(at func(i int) operand.Mem) []reg.VecVirtual {
			b := []reg.VecVirtual{g.vec(), g.vec()}
			for j := range b {
				g.VPMOVSXBW(at(j*g.bytes()/2), b[j])
			}
			return b
		},
		element: func(at operand.Mem) reg.VecVirtual {
			v := g.vec()
			g.VPBROADCASTQ(at, v)
			return v
		},
		multiply: func(element reg.VecVirtual, b, sums []reg.VecVirtual) {
			product := g.vec()
			g.VPMADDWD(b[0], element, product)
			g.VPADDD(product, sums[0], sums[0])
			g.VPMADDWD(b[1], element, element)
			g.VPADDD(element, sums[1], sums[1])
		},
		join: func(sums []reg.VecVirtual) []reg.VecVirtual {
			g.VPHADDD(sums[1], sums[0], sums[0])
			g.VPERMQ(operand.U8(0xd8), sums[0], sums[0])
			return sums[:1]
		},
	}
	if g.wide() {
		w.rows, w.columns = 14, 16
		w.join = func(sums []reg.VecVirtual) []reg.VecVirtual {
			odd := g.inRegister(g.everySecond(1))
			g.VPERMI2D(sums[1], sums[0], odd)
			even := g.inRegister(g.everySecond(0))
			g.VPERMI2D(sums[1], sums[0], even)
			g.VPADDD(odd, even, sums[0])
			return sums[:1]
		}
	}
	return w
}

// everySecond returns the address of lanes first, first+2, ... of a pair of vectors.
func (g *generator) everySecond(first int) operand.Mem {
	return g.table(fmt.Sprintf("second_%d", first), func() {
		for i := range g.isa.lanes {
			g.AppendDatum(operand.U32(uint32(2*i + first)))
		}
	})
}

// groupedTiles writes a function for every height of a tile.
func (g *generator) groupedTiles(name string, way func() grouped) {
	for rows := 1; rows <= way().rows; rows++ {
		g.groupedTile(name, rows, way())
	}
}

// groupedTile writes a micro-kernel: it runs down all of K with the sums of the tile in registers, and ends with
// ((sum - zero·sums)·scale)·scales + bias, rounded after each step, where there are scales, else with sum + bias.
func (g *generator) groupedTile(name string, rows int, w grouped) {
	name = fmt.Sprintf("%s%dx%d%s", name, rows, w.columns, g.isa.name)
	g.Function(name)
	g.Attributes(attr.NOSPLIT)
	g.Signature(groupedSignature)
	g.Doc(fmt.Sprintf("%s computes %d rows of t, and up to %d columns.", name, rows, w.columns))
	g.Pragma("noescape")

	args := g.Dereference(g.Param("t"))
	a, b := g.base(args, "a"), g.base(args, "b")
	aRow, groups := g.field(args, "aRow"), g.field(args, "groups")
	row := g.strided(a, aRow, rows)
	acc := make([][]reg.VecVirtual, rows)
	for i := range acc {
		acc[i] = g.zeros(w.perRow)
	}
	loop := g.label("loop")
	g.Label(loop)
	columns := w.load(func(i int) operand.Mem { return operand.Mem{Base: b, Disp: i} })
	for i := range rows {
		w.multiply(w.element(row(i)), columns, acc[i])
	}
	g.ADDQ(operand.U8(uint8(w.groupBytes)), a)
	g.ADDQ(operand.U32(4*panelColumns), b)
	g.DECQ(groups)
	g.JNZ(operand.LabelRef(loop))

	for i := range acc {
		acc[i] = w.join(acc[i])
	}
	if w.scaled {
		g.applyScales(args, acc)
	}
	bias := g.base(args, "bias")
	c, ldc, cols := g.base(args, "c"), g.stride(args, "ldc"), g.field(args, "cols")
	full, done := g.label("full"), g.label("done")
	finish := func(masks []*mask) {
		free := g.label("free")
		g.TESTQ(bias, bias)
		g.JZ(operand.LabelRef(free))
		for j, k := range masks {
			add := g.vec()
			g.load(g.at(bias, j), k, add)
			for i := range acc {
				g.VADDPS(add, acc[i][j], acc[i][j])
			}
		}
		g.Label(free)
		if !g.wide() && masks[0] != nil {
			r := g.YMM()
			g.VMOVUPS(masks[0].v, r)
			masks[0] = &mask{v: r}
		}
		for i := range acc {
			for j, v := range acc[i] {
				g.store(v, masks[j], g.at(c, j))
			}
			g.ADDQ(ldc, c)
		}
	}
	vectors := len(acc[0])
	if g.wide() { // masks cost nothing
		bits := g.GP64()
		g.MOVQ(operand.I32(-1), bits)
		g.BZHIQ(cols, bits, bits)
		masks := make([]*mask, vectors)
		for j := range masks {
			masks[j] = &mask{k: g.K()}
			g.KMOVW(bits.As32(), masks[j].k)
			g.SHRQ(operand.U8(16), bits)
		}
		finish(masks)
	} else {
		g.CMPQ(cols, operand.U8(uint8(w.columns)))
		g.JE(operand.LabelRef(full))
		finish([]*mask{g.edgeMask(cols, vectors)})
		g.JMP(operand.LabelRef(done))
		g.Label(full)
		finish(make([]*mask, vectors))
		g.Label(done)
	}
	g.ret()
}

// applyScales makes numbers of sums of integers.
func (g *generator) applyScales(args gotypes.Component, acc [][]reg.VecVirtual) {
	sums, scales := g.base(args, "sums"), g.base(args, "scales")
	scale, zero := g.base(args, "scale"), g.base(args, "zero")
	for i := range acc {
		for j, v := range acc[i] {
			correction := g.spreadInt(operand.Mem{Base: zero, Disp: 4 * i})
			g.VPMULLD(g.at(sums, j), correction, correction)
			g.VPSUBD(correction, v, v)
			g.VCVTDQ2PS(v, v)
			factor := g.vec()
			g.VBROADCASTSS(operand.Mem{Base: scale, Disp: 4 * i}, factor)
			g.VMULPS(factor, v, v)
			g.VMULPS(g.at(scales, j), v, v)
		}
	}
}

// panelColumns is panelCols of the package kernels.
const panelColumns = 32
