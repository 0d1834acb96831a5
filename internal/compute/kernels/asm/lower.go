package main

import (
	"fmt"
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The kernels are written once, in the instructions of AVX. For NEON [generator.lower] turns those on vectors into NEON's before
// avo gives out registers, and the printer those on other registers when it writes them (arm64.go). Where one vector set needs
// another way than the other, the kernel says so itself, with instructions that [neonOps] lists.

// vectorOp is an instruction of NEON between vector registers.
type vectorOp struct {
	name   string // in Go's assembler, with the arrangement of its registers; empty if it lacks the instruction
	arrang string
	word   uint32 // the encoding where Go has no name: registers go to bits 0, 5 and 16
	shift  uint32 // is added to the word for a shift by an immediate, which is taken from it
	reads  bool   // also reads its destination
}

// neonOps has the instructions that are used, by the names of the architecture's manual. As in Go's assembly the
// destination is the last operand, and the others stand in reverse.
var neonOps = map[string]vectorOp{
	"FADD.4S":   {word: 0x4e20d400},
	"FSUB.4S":   {word: 0x4ea0d400},
	"FMUL.4S":   {word: 0x6e20dc00},
	"FDIV.4S":   {word: 0x6e20fc00},
	"FMAX.4S":   {word: 0x4e20f400},
	"FMIN.4S":   {word: 0x4ea0f400},
	"FCMGT.4S":  {word: 0x6ea0e400},
	"FCMEQ.4S":  {word: 0x4e20e400},
	"FADD.2D":   {word: 0x4e60d400},
	"BIC.16B":   {word: 0x4e601c00},
	"UMULL.2D":  {word: 0x2ea0c000},
	"UMULL2.2D": {word: 0x6ea0c000},
	"FCVTL.4S":  {word: 0x0e217800},
	"UXTL.4S":   {word: 0x2f10a400},
	"FSQRT.4S":  {word: 0x6ea1f800},
	"FNEG.4S":   {word: 0x6ea0f800},
	"FRINTN.4S": {word: 0x4e218800},
	"FRINTM.4S": {word: 0x4e219800},
	"FCVTNS.4S": {word: 0x4e21a800},
	"NOT.16B":   {word: 0x6e205800},
	"FCVTL.2D":  {word: 0x0e617800},
	"FCVTL2.2D": {word: 0x4e617800},
	"SSHR.4S":   {word: 0x4f000400, shift: 64 << 16},

	"FMLA.4S":  {name: "VFMLA", arrang: "S4", reads: true},
	"FMLS.4S":  {name: "VFMLS", arrang: "S4", reads: true},
	"FMLA.2D":  {name: "VFMLA", arrang: "D2", reads: true},
	"BSL.16B":  {name: "VBSL", arrang: "B16", reads: true},
	"AND.16B":  {name: "VAND", arrang: "B16"},
	"ORR.16B":  {name: "VORR", arrang: "B16"},
	"EOR.16B":  {name: "VEOR", arrang: "B16"},
	"MOV.16B":  {name: "VMOV", arrang: "B16"},
	"ADD.4S":   {name: "VADD", arrang: "S4"},
	"SUB.4S":   {name: "VSUB", arrang: "S4"},
	"ADD.2D":   {name: "VADD", arrang: "D2"},
	"UMAX.4S":  {name: "VUMAX", arrang: "S4"},
	"CMEQ.4S":  {name: "VCMEQ", arrang: "S4"},
	"ZIP1.4S":  {name: "VZIP1", arrang: "S4"},
	"ZIP2.4S":  {name: "VZIP2", arrang: "S4"},
	"ZIP1.2D":  {name: "VZIP1", arrang: "D2"},
	"ZIP2.2D":  {name: "VZIP2", arrang: "D2"},
	"UZP1.4S":  {name: "VUZP1", arrang: "S4"},
	"UZP2.4S":  {name: "VUZP2", arrang: "S4"},
	"SHL.4S":   {name: "VSHL", arrang: "S4"},
	"USHR.4S":  {name: "VUSHR", arrang: "S4"},
	"EXT.16B":  {name: "VEXT", arrang: "B16"},
	"FADD.S":   {name: "FADDS"},
	"FDIV.S":   {name: "FDIVS"},
	"FSQRT.S":  {name: "FSQRTS"},
	"FADD.D":   {name: "FADDD"},
	"SCVTF.S":  {name: "SCVTFS"},
	"DUP.S[0]": {}, // the printer knows the rest
	"DUP.S[1]": {},
	"DUP.D[1]": {},
	"DUP.W":    {},
	"DUP.X":    {},
	"LD1R.S":   {},
	"LD1.S[2]": {reads: true}, // lane 2 alone
	"ST1.S[2]": {},
	"LDR":      {}, // of as many bytes as the suffix says, the rest of the register becomes zero
	"STR":      {},
	"FMLA.S[]": {reads: true}, // by the lane that the first operand says
}

// neonInstruction returns an instruction of the table.
func neonInstruction(name string, ops ...operand.Op) *ir.Instruction {
	base, suffix, _ := strings.Cut(name, ":")
	op, ok := neonOps[base]
	if !ok {
		panic(name + " is not in the table")
	}
	last := len(ops) - 1
	i := &ir.Instruction{Opcode: base, Operands: ops, Outputs: ops[last:]}
	if suffix != "" {
		i.Suffixes = []string{suffix}
	}
	for j, o := range ops {
		if _, memory := o.(operand.Mem); memory || isRegister(o) {
			if j < last || op.reads {
				i.Inputs = append(i.Inputs, o)
			}
		}
	}
	// What a register is cleared with does not matter.
	i.CancellingInputs = base == "EOR.16B" && ops[0] == ops[1]
	return i
}

func isRegister(o operand.Op) bool {
	_, ok := o.(reg.Register)
	return ok
}

// neon adds an instruction of the table to the function.
func (g *generator) neon(name string, ops ...operand.Op) {
	g.Instruction(neonInstruction(name, ops...))
}

// branchOnBit adds a jump to the label if the bit of the register is zero. It changes no flags.
func (g *generator) branchOnBit(bit uint8, r reg.GPVirtual, label string) {
	g.Instruction(&ir.Instruction{
		Opcode: "TBZ", Operands: []operand.Op{operand.LabelRef(label), operand.U8(bit), r},
		Inputs: []operand.Op{r}, IsBranch: true, IsConditional: true,
	})
}

// lower replaces AVX's instructions on vectors.
func (g *generator) lower(file *ir.File) error {
	for _, f := range file.Functions() {
		l := &lowering{f: f, g: g}
		nodes := f.Nodes
		f.Nodes = nil
		for _, n := range nodes {
			i, ok := n.(*ir.Instruction)
			if !ok || !strings.HasPrefix(i.Opcode, "V") {
				f.AddNode(n)
				continue
			}
			if !l.instruction(i) {
				return fmt.Errorf("%s: no NEON for %s", f.Name, i.Opcode)
			}
		}
	}
	return nil
}

type lowering struct {
	f *ir.Function
	g *generator
}

func (l *lowering) emit(name string, ops ...operand.Op) {
	l.f.AddInstruction(neonInstruction(name, ops...))
}

// register returns op, or a new register with what is at the address.
func (l *lowering) register(op operand.Op) operand.Op {
	if isRegister(op) {
		return op
	}
	v := l.g.XMM()
	l.emit("LDR:Q", op, v)
	return v
}

// copied returns a new register with the value of op.
func (l *lowering) copied(op operand.Op) operand.Op {
	if !isRegister(op) {
		return l.register(op)
	}
	v := l.g.XMM()
	l.emit("MOV.16B", op, v)
	return v
}

// negated returns a new register with -op.
func (l *lowering) negated(op operand.Op) operand.Op {
	v := l.g.XMM()
	l.emit("FNEG.4S", l.register(op), v)
	return v
}

// inOrder are instructions whose operands stand in the same order.
var inOrder = map[string]string{
	"VADDPS": "FADD.4S", "VSUBPS": "FSUB.4S", "VMULPS": "FMUL.4S", "VDIVPS": "FDIV.4S",
	"VMAXPS": "FMAX.4S", "VMINPS": "FMIN.4S", // unlike AVX's these return NaN if one of both is
	"VANDPS": "AND.16B", "VORPS": "ORR.16B", "VXORPS": "EOR.16B", "VPXOR": "EOR.16B",
	"VPADDD": "ADD.4S", "VPSUBD": "SUB.4S", "VPMAXUD": "UMAX.4S", "VPCMPEQD": "CMEQ.4S",
	"VUNPCKLPS": "ZIP1.4S", "VUNPCKHPS": "ZIP2.4S", "VUNPCKLPD": "ZIP1.2D", "VUNPCKHPD": "ZIP2.2D",
	"VADDPD": "FADD.2D", "VFMADD231PD": "FMLA.2D",
	"VFMADD231PS": "FMLA.4S", "VFNMADD231PS": "FMLS.4S",
	"VADDSS": "FADD.S", "VDIVSS": "FDIV.S", "VADDSD": "FADD.D",
	"VSQRTPS": "FSQRT.4S", "VCVTPS2DQ": "FCVTNS.4S",
}

func (l *lowering) instruction(i *ir.Instruction) bool {
	ops := i.Operands
	if name, ok := inOrder[i.Opcode]; ok {
		l.emit(name, append([]operand.Op{l.register(ops[0])}, ops[1:]...)...)
		return true
	}
	switch i.Opcode {
	case "VMOVUPS", "VMOVAPS":
		switch {
		case !isRegister(ops[0]):
			l.emit("LDR:Q", ops...)
		case !isRegister(ops[1]):
			l.emit("STR:Q", ops...)
		default:
			l.emit("MOV.16B", ops...)
		}
	case "VBROADCASTSS":
		if isRegister(ops[0]) {
			l.emit("DUP.S[0]", ops...)
		} else {
			l.emit("LD1R.S", ops...)
		}
	case "VPMOVZXWD", "VCVTPH2PS": // of half a vector
		l.emit("LDR:D", ops...)
		l.emit(map[string]string{"VPMOVZXWD": "UXTL.4S", "VCVTPH2PS": "FCVTL.4S"}[i.Opcode], ops[1], ops[1])
	case "VANDNPS":
		l.emit("BIC.16B", ops[1], l.register(ops[0]), ops[2])
	case "VPSRAD":
		l.emit("SSHR.4S", ops...)
	case "VPSRLD":
		l.emit("USHR.4S", ops...)
	case "VPSLLD":
		l.emit("SHL.4S", ops...)
	case "VROUNDPS":
		l.emit(map[operand.Op]string{operand.U8(8): "FRINTN.4S", operand.U8(9): "FRINTM.4S"}[ops[0]], ops[1:]...)
	case "VFMADD213PS": // a·b + c replaces a
		sum := l.copied(ops[0])
		l.emit("FMLA.4S", ops[1], ops[2], sum)
		l.emit("MOV.16B", sum, ops[2])
	case "VFMSUB213PS":
		sum := l.negated(ops[0])
		l.emit("FMLA.4S", ops[1], ops[2], sum)
		l.emit("MOV.16B", sum, ops[2])
	case "VFMSUB231PS": // a·b - c replaces c
		sum := l.negated(ops[2])
		l.emit("FMLA.4S", l.register(ops[0]), ops[1], sum)
		l.emit("MOV.16B", sum, ops[2])
	case "VCMPPS":
		b, a, to := l.register(ops[1]), ops[2], ops[3]
		switch ops[0] {
		case operand.U8(3): // one of both is NaN; here they are the same
			l.emit("FCMEQ.4S", b, a, to)
		case operand.U8(5): // not a < b
			l.emit("FCMGT.4S", a, b, to)
		default:
			return false
		}
		l.emit("NOT.16B", to, to)
	case "VBLENDVPS": // by the signs of the first
		choice := l.g.XMM()
		l.emit("SSHR.4S", operand.U8(31), ops[0], choice)
		l.emit("BSL.16B", ops[2], l.register(ops[1]), choice)
		l.emit("MOV.16B", choice, ops[3])
	case "VSQRTSS":
		l.emit("FSQRT.S", ops[0], ops[2])
	case "VCVTSI2SSQ":
		l.emit("SCVTF.S", ops[0], ops[2])
	default:
		return false
	}
	return true
}
