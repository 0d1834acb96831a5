package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateRandom writes the kernels of philox.go and dropout.go.
func generateRandom(g *generator) {
	g.philox()
	g.dropout(false)
	g.dropout(true)
}

// The constants of Philox4x32, as in philox.go.
const (
	philoxRounds = 10
	philoxMul0   = 0xD2511F53
	philoxMul1   = 0xCD9E8D57
	philoxKey0   = 0x9E3779B9
	philoxKey1   = 0xBB67AE85
)

// philox writes the generator. Each word of a block is the lower half of a
// 64-bit lane, where the multiplication wants it; the upper halves hold what
// is left over from the products and are ignored.
func (g *generator) philox() {
	blocks := g.isa.lanes / 2 // of one vector
	groups := 2               // vectors at a time, which hide each other's latency: as many as there are registers for
	if g.wide() {
		groups = 4
	}
	g.function("philox", "func(dst []uint32, key, stream, first uint64)",
		"fills dst, whose length is a multiple of 128, with the blocks of Philox4x32-10",
		"for the counters (first, stream), (first+1, stream), ...")
	dst, n := g.slices("dst")[0], g.length("dst")
	if g.onARM() {
		g.philoxNEON(dst, n)
		g.ret()
		return
	}
	quad := func(name string) reg.VecVirtual { // a 64-bit parameter in all lanes
		v := g.vec()
		address, err := g.Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		g.VPBROADCASTQ(address.Addr, v)
		return v
	}
	upper := func(v reg.VecVirtual) reg.VecVirtual {
		u := g.vec()
		g.VPSRLQ(operand.U8(32), v, u)
		return u
	}
	first := quad("first")
	// Unpacking takes the even lanes before the odd ones; so the even lanes
	// have the lower half of the counters.
	g.VPADDQ(g.table("blocks", func() {
		for i := range blocks {
			g.AppendDatum(operand.U64(uint64(i/2 + i%2*blocks/2)))
		}
	}), first, first)
	step := g.table("step", func() {
		for range blocks {
			g.AppendDatum(operand.U64(uint64(blocks)))
		}
	})
	mul0, mul1 := g.broadcastBits(philoxMul0), g.broadcastBits(philoxMul1)
	add0, add1 := g.broadcastBits(philoxKey0), g.broadcastBits(philoxKey1)

	loop, done := g.label("loop"), g.label("done")
	g.Label(loop)
	g.TESTQ(n, n)
	g.JLE(operand.LabelRef(done))
	key0 := quad("key")
	key1 := upper(key0)
	stream := quad("stream")
	c := make([][4]reg.VecVirtual, groups)
	for i := range c {
		for w := range c[i] {
			c[i][w] = g.vec()
		}
		g.VMOVUPS(first, c[i][0])
		g.VPSRLQ(operand.U8(32), first, c[i][1])
		g.VMOVUPS(stream, c[i][2])
		g.VPSRLQ(operand.U8(32), stream, c[i][3])
		g.VPADDQ(step, first, first)
	}
	for round := range philoxRounds {
		for i := range c {
			product0, product1 := g.vec(), g.vec()
			g.VPMULUDQ(mul0, c[i][0], product0)
			g.VPMULUDQ(mul1, c[i][2], product1)
			g.xor3(upper(product1), key0, c[i][1])
			g.xor3(upper(product0), key1, c[i][3])
			c[i] = [4]reg.VecVirtual{c[i][1], product1, c[i][3], product0}
		}
		if round < philoxRounds-1 {
			g.VPADDD(add0, key0, key0)
			g.VPADDD(add1, key1, key1)
		}
	}
	for i := range c {
		words01, words23 := g.joinWords(c[i][0], c[i][1]), g.joinWords(c[i][2], c[i][3])
		low, high := g.vec(), g.vec()
		g.VPUNPCKLQDQ(words23, words01, low)
		g.VPUNPCKHQDQ(words23, words01, high)
		g.VMOVUPS(low, g.at(dst, 2*i))
		g.VMOVUPS(high, g.at(dst, 2*i+1))
	}
	g.ADDQ(operand.U32(uint32(2*groups*g.bytes())), dst)
	g.SUBQ(operand.U32(uint32(2*groups*g.isa.lanes)), n)
	g.JMP(operand.LabelRef(loop))
	g.Label(done)
	g.ret()
}

// xor3 computes to ^= a ^ b.
func (g *generator) xor3(a, b, to reg.VecVirtual) {
	if g.wide() {
		g.VPTERNLOGD(operand.U8(0x96), a, b, to) // the truth table of the exclusive or
		return
	}
	g.VPXOR(a, to, to)
	g.VPXOR(b, to, to)
}

// joinWords returns lanes whose lower half is that of low and whose upper half
// is the lower half of high, which it changes.
func (g *generator) joinWords(low, high reg.VecVirtual) reg.VecVirtual {
	g.VPSLLQ(operand.U8(32), high, high)
	if !g.wide() {
		g.VPBLENDD(operand.U8(0b01010101), low, high, high)
		return high
	}
	even, bits := g.K(), g.GP32()
	g.MOVL(operand.U32(0x5555), bits)
	g.KMOVW(bits, even)
	g.VMOVDQA32(low, even, high)
	return high
}

func (g *generator) dropout(add bool) {
	name, doc := "dropout", "writes x·scale where bits >= threshold and zero elsewhere."
	if add {
		name, doc = "dropoutAdd", "adds x·scale to dst where bits >= threshold."
	}
	g.function(name, "func(dst, x []float32, bits []uint32, threshold uint32, scale float32)", doc)
	p, n := g.slices("dst", "x", "bits"), g.length("dst")
	scale, limit := g.scalar("scale"), g.scalar("threshold")
	g.eachVector(n, p, 2, func(j int, k *mask) {
		v, bits := g.vec(), g.vec()
		g.load(g.at(p[1], j), k, v)
		g.load(g.at(p[2], j), k, bits)
		g.VMULPS(scale, v, v)
		kept := g.notLess(bits, limit)
		if !add {
			g.keep(&kept, v)
			g.store(v, k, g.at(p[0], j))
			return
		}
		old := g.vec()
		g.load(g.at(p[0], j), k, old)
		if g.wide() {
			g.VADDPS(v, old, kept.k, old)
		} else {
			g.VADDPS(v, old, v)
			g.VBLENDVPS(kept.v, v, old, old)
		}
		g.store(old, k, g.at(p[0], j))
	})
	g.ret()
}

// notLess returns the mask of the lanes where words, as unsigned numbers, are at
// least limit.
func (g *generator) notLess(words, limit reg.VecVirtual) mask {
	if g.wide() {
		k := g.K()
		g.VPCMPUD(operand.U8(5), limit, words, k)
		return mask{k: k}
	}
	largest := g.vec()
	g.VPMAXUD(limit, words, largest)
	g.VPCMPEQD(words, largest, largest)
	return mask{v: largest}
}
