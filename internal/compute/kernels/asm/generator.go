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
	arch  string // the processors that have it
}

var (
	avx2   = isa{"AVX2", 8, "amd64"}
	avx512 = isa{"AVX512", 16, "amd64"}
	neon   = isa{"NEON", 4, "arm64"}
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

func (g *generator) wide() bool { return g.isa == avx512 }

func (g *generator) onARM() bool { return g.isa == neon }

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
	if !g.onARM() {
		g.VZEROUPPER()
	}
	g.RET()
}

// label returns a label's name that is not in use.
func (g *generator) label(name string) string {
	g.labels++
	return fmt.Sprintf("%s_%d", name, g.labels)
}

// vec returns a new vector register.
func (g *generator) vec() reg.VecVirtual {
	switch g.isa {
	case avx512:
		return g.ZMM()
	case avx2:
		return g.YMM()
	}
	return g.XMM()
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
	k     reg.OpmaskVirtual // AVX-512
	v     operand.Op        // a vector register or memory, all ones where selected; not for the first lanes of NEON,
	count reg.GPVirtual     // which have their number
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
	if g.onARM() {
		return mask{count: count}
	}
	v := g.YMM()
	g.VMOVUPS(g.laneTable(count), v)
	return mask{v: v}
}

// laneTable returns the address of a vector whose first count lanes are all ones:
// a window into a table of a vector's lanes of ones and as many of zeros.
func (g *generator) laneTable(count reg.GPVirtual) operand.Mem {
	table := g.table("lanes", func() {
		for i := range 2 * g.isa.lanes {
			g.AppendDatum(operand.U32([]uint32{0xffffffff, 0}[i/g.isa.lanes]))
		}
	})
	address, offset := g.GP64(), g.GP64()
	g.LEAQ(table.Offset(g.bytes()), address)
	g.MOVQ(count, offset)
	g.SHLQ(operand.U8(2), offset)
	g.SUBQ(offset, address)
	return operand.Mem{Base: address}
}

// selected returns a vector or an address of one that is all ones in the lanes of the mask, which is not
// AVX-512's.
func (k *mask) selected(g *generator) operand.Op {
	if k.v != nil {
		return k.v
	}
	return g.laneTable(k.count)
}

// load reads the lanes of the mask and sets the others to zero. A nil mask is
// all lanes.
func (g *generator) load(m operand.Mem, k *mask, v reg.VecVirtual) {
	switch {
	case k == nil:
		g.VMOVUPS(m, v)
	case g.wide():
		g.VMOVUPS_Z(m, k.k, v)
	case g.onARM():
		g.loadLanes(m, k.count, v)
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
	case g.onARM():
		g.storeLanes(v, k.count, m)
	default:
		g.VMASKMOVPS(v, k.v, m)
	}
}

// keep sets the lanes outside the mask to zero.
func (g *generator) keep(k *mask, v reg.VecVirtual) {
	switch {
	case k == nil:
	case g.wide():
		g.VMOVUPS_Z(v, k.k, v)
	default:
		g.VANDPS(k.selected(g), v, v)
	}
}

// constant returns an operand whose lanes are all v. It is a register
// that is loaded here, so call it before the loop; AVX2 has too few and reads it
// from memory each time.
func (g *generator) constant(v float32) operand.Op {
	m := g.broadcast(v)
	if g.isa == avx2 {
		return m
	}
	r := g.vec()
	g.VMOVUPS(m, r)
	return r
}

// inRegister returns op itself if it is a register, or a new one with its value.
func (g *generator) inRegister(op operand.Op) reg.VecVirtual {
	if r, ok := op.(reg.VecVirtual); ok {
		return r
	}
	r := g.vec()
	g.VMOVUPS(op, r)
	return r
}

// scalar returns a register whose lanes are all the float32 parameter.
func (g *generator) scalar(name string) reg.VecVirtual {
	address, err := g.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	v := g.vec()
	g.VBROADCASTSS(address.Addr, v)
	return v
}

// slices loads the addresses of slice parameters.
func (g *generator) slices(names ...string) []reg.GPVirtual {
	var list []reg.GPVirtual
	for _, name := range names {
		r := g.GP64()
		g.Load(g.Param(name).Base(), r)
		list = append(list, r)
	}
	return list
}

// length loads the length of a slice parameter.
func (g *generator) length(name string) reg.GPVirtual {
	r := g.GP64()
	g.Load(g.Param(name).Len(), r)
	return r
}

// eachVector writes a loop over n elements, which it uses up. It takes unroll
// vectors at a time while there are as many, then single ones, and then the rest under a
// mask. body(j, k) handles the vector j·bytes beyond the pointers, which the
// loop moves; k is nil for a whole vector. j counts from 0 to unroll-1.
func (g *generator) eachVector(n reg.GPVirtual, pointers []reg.GPVirtual, unroll int, body func(j int, k *mask)) {
	for _, vectors := range []int{unroll, 1} {
		loop, done := g.label("vectors"), g.label("end")
		g.Label(loop)
		g.CMPQ(n, operand.U32(uint32(vectors*g.isa.lanes)))
		g.JL(operand.LabelRef(done))
		for j := range vectors {
			body(j, nil)
		}
		for _, p := range pointers {
			g.ADDQ(operand.U32(uint32(vectors*g.bytes())), p)
		}
		g.SUBQ(operand.U32(uint32(vectors*g.isa.lanes)), n)
		g.JMP(operand.LabelRef(loop))
		g.Label(done)
		if unroll == 1 {
			break
		}
	}
	end := g.label("end")
	g.TESTQ(n, n)
	g.JZ(operand.LabelRef(end))
	k := g.firstLanes(n)
	body(0, &k)
	g.Label(end)
}

// at is the address of vector j beyond a pointer.
func (g *generator) at(pointer reg.GPVirtual, j int) operand.Mem {
	return operand.Mem{Base: pointer, Disp: j * g.bytes()}
}

// vecs returns n registers.
func (g *generator) vecs(n int) []reg.VecVirtual {
	list := make([]reg.VecVirtual, n)
	for i := range list {
		list[i] = g.vec()
	}
	return list
}

// zeros returns n cleared registers.
func (g *generator) zeros(n int) []reg.VecVirtual {
	list := make([]reg.VecVirtual, n)
	for i := range list {
		list[i] = g.vec()
		g.zero(list[i])
	}
	return list
}

// reduce combines the registers pairwise and then the lanes of the result, by
// op(x, y, to), and returns the register whose lowest lane is the result.
func (g *generator) reduce(list []reg.VecVirtual, op func(ops ...operand.Op)) reg.VecVirtual {
	for len(list) > 1 {
		half := len(list) / 2
		for i := range half {
			op(list[half+i], list[i], list[i])
		}
		list = list[:half]
	}
	v := list[0]
	if g.onARM() {
		g.reduceLanes(v, op)
		return v
	}
	if g.wide() {
		upper := g.YMM()
		g.VEXTRACTF64X4(operand.U8(1), v, upper)
		op(upper, v.AsY(), v.AsY())
	}
	part, low := g.XMM(), v.AsX()
	g.VEXTRACTF128(operand.U8(1), v.AsY(), part)
	op(part, low, low)
	g.VPERMILPS(operand.U8(0b1110), low, part) // lanes 2 and 3
	op(part, low, low)
	g.VPERMILPS(operand.U8(0b01), low, part) // lane 1
	op(part, low, low)
	return v
}

// spread copies the lowest lane of v into all lanes of a new register.
func (g *generator) spread(v reg.VecVirtual) reg.VecVirtual {
	all := g.vec()
	g.VBROADCASTSS(v.AsX(), all)
	return all
}

// add and maximum are operations for reduce.
func (g *generator) add(ops ...operand.Op) { g.VADDPS(ops[0], ops[1], ops[2]) }

func (g *generator) maximum(ops ...operand.Op) { g.VMAXPS(ops[0], ops[1], ops[2]) }
