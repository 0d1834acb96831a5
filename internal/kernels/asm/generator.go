package main

import (
	"fmt"
	"math"

	"github.com/mmcloughlin/avo/attr"
	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// isa is an instruction set to generate for.
type isa struct {
	name  string // as it stands in the names of the functions
	lanes int    // float32 elements of a vector
}

var (
	avx2   = isa{"AVX2", 8}
	avx512 = isa{"AVX512", 16}
)

// generator writes the functions of one file for one instruction set. Its
// methods are the operations that differ between the sets; whatever is the
// same is called directly. As everywhere in Go assembly the destination is
// the last operand.
type generator struct {
	*build.Context
	isa isa

	constants map[string]operand.Mem
	labels    int
}

func (g *generator) wide() bool { return g.isa.lanes == 16 }

// bytes is the size of a vector.
func (g *generator) bytes() int { return 4 * g.isa.lanes }

// function begins the function name+ISA. It touches no stack and keeps no pointers.
func (g *generator) function(name, signature string, doc ...string) {
	name += g.isa.name
	g.Function(name)
	g.Attributes(attr.NOSPLIT)
	g.SignatureExpr(signature)
	doc[0] = name + " " + doc[0]
	g.Doc(doc...)
	g.Pragma("noescape")
}

// ret ends a function.
func (g *generator) ret() {
	g.VZEROUPPER()
	g.RET()
}

// label returns a label's name that is not in use.
func (g *generator) label(name string) string {
	g.labels++
	return fmt.Sprintf("%s_%d", name, g.labels)
}

// vec returns a new vector register.
func (g *generator) vec() reg.VecVirtual {
	if g.wide() {
		return g.ZMM()
	}
	return g.YMM()
}

// zero clears v.
func (g *generator) zero(v reg.VecVirtual) {
	if g.wide() {
		g.VPXORD(v, v, v)
	} else {
		g.VXORPS(v, v, v)
	}
}

// param loads a parameter into a new 64-bit register.
func (g *generator) param(name string) reg.GPVirtual {
	r := g.GP64()
	g.Load(g.Param(name), r)
	return r
}

// elements loads a parameter that counts float32 elements, as a number of bytes.
func (g *generator) elements(name string) reg.GPVirtual {
	r := g.param(name)
	g.SHLQ(operand.U8(2), r)
	return r
}

// broadcast returns the address of a constant vector whose lanes are all v.
func (g *generator) broadcast(v float32) operand.Mem {
	return g.broadcastBits(math.Float32bits(v))
}

func (g *generator) broadcastBits(bits uint32) operand.Mem {
	return g.table(fmt.Sprintf("const_%08x", bits), func() {
		for range g.isa.lanes {
			g.AppendDatum(operand.U32(bits))
		}
	})
}

// table returns the address of read-only data that fill appends when the name
// is new in this file.
func (g *generator) table(name string, fill func()) operand.Mem {
	name += "_" + g.isa.name
	if m, ok := g.constants[name]; ok {
		return m
	}
	if g.constants == nil {
		g.constants = map[string]operand.Mem{}
	}
	m := g.StaticGlobal(name)
	g.DataAttributes(attr.RODATA | attr.NOPTR)
	fill()
	g.constants[name] = m
	return m
}

// mask selects the first lanes of a vector.
type mask struct {
	k reg.OpmaskVirtual // AVX-512
	v operand.Op        // AVX2: a vector register or memory, all ones where selected
}

// firstLanes returns the mask of the first count lanes; count, in a register
// that is kept, is from 0 to the number of lanes. It takes a register of its own.
func (g *generator) firstLanes(count reg.GPVirtual) mask {
	if g.wide() {
		bits, k := g.GP64(), g.K()
		g.MOVQ(operand.I32(-1), bits)
		g.BZHIQ(count, bits, bits)
		g.KMOVW(bits.As32(), k)
		return mask{k: k}
	}
	v := g.YMM()
	g.VMOVUPS(g.laneTable(count), v)
	return mask{v: v}
}

// laneTable returns the address, for AVX2, of a vector whose first count lanes
// are all ones: a window into a table of 8 lanes of ones and 8 of zeros.
func (g *generator) laneTable(count reg.GPVirtual) operand.Mem {
	table := g.table("lanes", func() {
		for i := range 16 {
			g.AppendDatum(operand.U32([]uint32{0xffffffff, 0}[i/8]))
		}
	})
	address, offset := g.GP64(), g.GP64()
	g.LEAQ(table.Offset(32), address)
	g.MOVQ(count, offset)
	g.SHLQ(operand.U8(2), offset)
	g.SUBQ(offset, address)
	return operand.Mem{Base: address}
}

// load reads the lanes of the mask and sets the others to zero. A nil mask is
// all lanes.
func (g *generator) load(m operand.Mem, k *mask, v reg.VecVirtual) {
	switch {
	case k == nil:
		g.VMOVUPS(m, v)
	case g.wide():
		g.VMOVUPS_Z(m, k.k, v)
	default:
		if in, ok := k.v.(operand.Mem); ok {
			g.VMOVUPS(in, v)
			g.VMASKMOVPS(m, v, v)
			return
		}
		g.VMASKMOVPS(m, k.v, v)
	}
}

// store writes the lanes of the mask and touches no others. For AVX2 the mask
// must be in a register.
func (g *generator) store(v reg.VecVirtual, k *mask, m operand.Mem) {
	switch {
	case k == nil:
		g.VMOVUPS(v, m)
	case g.wide():
		g.VMOVUPS(v, k.k, m)
	default:
		g.VMASKMOVPS(v, k.v, m)
	}
}
