package main

import (
	"strings"

	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// evexOps are instructions of AVX-512 that Go's assembler lacks, between registers of 512 bits.
var evexOps = map[string]struct {
	opcode uint32
	reads  bool // also reads its destination
}{
	"VDPBF16PS":     {opcode: 0x52, reads: true},
	"VCVTNEPS2BF16": {opcode: 0x72},
}

// evex writes such an instruction: the destination is the last operand, as everywhere, and the others stand in reverse.
func (g *generator) evex(name string, ops ...reg.Register) {
	i := &ir.Instruction{Opcode: name}
	for _, v := range ops {
		i.Operands, i.Inputs = append(i.Operands, v), append(i.Inputs, v)
	}
	last := len(ops) - 1
	i.Outputs = i.Operands[last:]
	if !evexOps[name].reads {
		i.Inputs = i.Inputs[:last]
	}
	g.Instruction(i)
}

// encodeEVEX replaces these instructions by their bytes, once registers have been given out.
func encodeEVEX(f *ir.Function) error {
	var nodes []ir.Node
	for _, node := range f.Nodes {
		i, ok := node.(*ir.Instruction)
		op, mine := evexOps[""], false
		if ok {
			op, mine = evexOps[i.Opcode]
		}
		if !mine {
			nodes = append(nodes, node)
			continue
		}
		var text []string
		var numbers []uint32
		for _, o := range i.Operands {
			text = append(text, o.Asm())
			numbers = append(numbers, uint32(o.(reg.Physical).PhysicalIndex()))
		}
		from, second, to := numbers[0], uint32(0), numbers[len(numbers)-1]
		if len(numbers) == 3 {
			second = numbers[1]
		}
		// 62, then RXBR'0mmm, Wvvvv1pp and zLLbV'aaa, the opcode, and ModRM; map 0F38, prefix F3, W0, 512 bits. The bits of registers
		// outside ModRM are inverted.
		not := func(n, bit uint32) uint32 { return ^n >> bit & 1 }
		prefix := not(to, 3)<<7 | not(from, 4)<<6 | not(from, 3)<<5 | not(to, 4)<<4 | 0b010
		prefix |= ((^second&15)<<3 | 0b110) << 8
		prefix |= (0b10<<5 | not(second, 4)<<3) << 16
		rest := op.opcode | (0b11<<6|to&7<<3|from&7)<<8
		nodes = append(nodes,
			&ir.Comment{Lines: []string{i.Opcode + " " + strings.Join(text, ", ")}},
			&ir.Instruction{Opcode: "LONG", Operands: []operand.Op{operand.U32(0x62 | prefix<<8)}},
			&ir.Instruction{Opcode: "WORD", Operands: []operand.Op{operand.U16(rest)}})
	}
	f.Nodes = nodes
	return nil
}
