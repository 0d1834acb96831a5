package main

import (
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateAdam writes the kernels of adam.go.
func generateAdam(g *generator) {
	g.adam()
	g.adamIdle()
	g.adamBfloat16()
}

// adamConstants are what does not change from step to step.
type adamConstants struct {
	beta1, rest1, beta2, rest2, epsilon reg.VecVirtual
	least, magnitude                    operand.Op
}

func (g *generator) adamConstants() *adamConstants {
	return &adamConstants{
		beta1: g.scalar("beta1"), rest1: g.scalar("rest1"), beta2: g.scalar("beta2"), rest2: g.scalar("rest2"),
		epsilon: g.scalar("epsilon"),
		least:   g.constant(1.0 / (1 << 50) / (1 << 50)), magnitude: g.broadcastBits(0x7fffffff),
	}
}

// update writes one step; grad, which it uses up, has been scaled.
func (c *adamConstants) update(g *generator, p, m, v, grad reg.VecVirtual, stepSize, decay operand.Op) {
	g.VMULPS(c.beta1, m, m)
	g.VFMADD231PS(grad, c.rest1, m)
	c.dropTiny(g, m)
	step := g.vec()
	g.VMULPS(stepSize, m, step)

	g.VMULPS(grad, grad, grad)
	g.VMULPS(c.beta2, v, v)
	g.VFMADD231PS(grad, c.rest2, v)
	c.dropTiny(g, v)
	root := g.vec()
	g.VSQRTPS(v, root)
	g.VADDPS(c.epsilon, root, root)
	g.VDIVPS(root, step, step)

	g.VFMADD231PS(decay, p, step)
	g.VSUBPS(step, p, p)
}

// dropTiny sets the lanes whose magnitude is below the least to zero, not those that are NaN.
func (c *adamConstants) dropTiny(g *generator, x reg.VecVirtual) {
	const notLess = 5 // NLT, true for NaN
	size := g.vec()
	if g.wide() {
		keep := g.K()
		g.VPANDD(c.magnitude, x, size)
		g.VCMPPS(operand.U8(notLess), c.least, size, keep)
		g.VMOVAPS_Z(x, keep, x)
		return
	}
	g.VANDPS(c.magnitude, x, size)
	g.VCMPPS(operand.U8(notLess), c.least, size, size)
	g.VANDPS(size, x, x)
}

func (g *generator) adam() {
	g.function("adam",
		"func(p, m, v, g []float32, beta1, rest1, beta2, rest2, stepSize, epsilon, gradScale, decay float32)",
		"makes one step of Adam; rest1 and rest2 are 1-beta1 and 1-beta2.")
	ptr, n := g.slices("p", "m", "v", "g"), g.length("p")
	c := g.adamConstants()
	stepSize, gradScale, decay := g.scalar("stepSize"), g.scalar("gradScale"), g.scalar("decay")
	g.eachVector(n, ptr, 1, func(j int, k *mask) {
		p, m, v, grad := g.vec(), g.vec(), g.vec(), g.vec()
		if k == nil {
			// Four streams from memory: the processor's own prefetching stops at the end of each page.
			for _, stream := range ptr {
				g.PREFETCHT0(operand.Mem{Base: stream, Disp: 1024})
			}
		}
		g.load(g.at(ptr[3], j), k, grad)
		g.VMULPS(gradScale, grad, grad)
		for i, x := range []reg.VecVirtual{p, m, v} {
			g.load(g.at(ptr[i], j), k, x)
		}
		c.update(g, p, m, v, grad, stepSize, decay)
		for i, x := range []reg.VecVirtual{p, m, v} {
			g.store(x, k, g.at(ptr[i], j))
		}
	})
	g.ret()
}

// adamIdle keeps parameters and moments in registers while it runs through the steps.
func (g *generator) adamIdle() {
	// A step is the Go type AdamStep: Beta1, Beta2, StepSize, Epsilon, GradScale, Decay.
	const stepBytes, stepSizeAt, decayAt = 24, 8, 20
	g.function("adamIdle",
		"func(p, m, v []float32, steps *float32, count int, beta1, rest1, beta2, rest2, epsilon float32)",
		"makes count steps of Adam with a gradient of zero; steps is the first field of the first.")
	ptr, n := g.slices("p", "m", "v"), g.length("p")
	c := g.adamConstants()
	g.eachVector(n, ptr, 1, func(j int, k *mask) {
		p, m, v := g.vec(), g.vec(), g.vec()
		for i, x := range []reg.VecVirtual{p, m, v} {
			g.load(g.at(ptr[i], j), k, x)
		}
		step, left, loop := g.param("steps"), g.param("count"), g.label("step")
		g.Label(loop)
		stepSize, decay, grad := g.vec(), g.vec(), g.vec()
		g.VBROADCASTSS(operand.Mem{Base: step, Disp: stepSizeAt}, stepSize)
		g.VBROADCASTSS(operand.Mem{Base: step, Disp: decayAt}, decay)
		g.zero(grad)
		c.update(g, p, m, v, grad, stepSize, decay)
		g.ADDQ(operand.U8(stepBytes), step)
		g.DECQ(left)
		g.JNZ(operand.LabelRef(loop))
		for i, x := range []reg.VecVirtual{p, m, v} {
			g.store(x, k, g.at(ptr[i], j))
		}
	})
	g.ret()
}

// adamBfloat16 has both moments of an element in one word, the first in the upper half.
func (g *generator) adamBfloat16() {
	const half, upper, lower = 16, 0xffff0000, 0x0000ffff
	g.function("adamBfloat16",
		"func(p, moments, g []float32, words []uint32, beta1, rest1, beta2, rest2, stepSize, epsilon, gradScale, decay float32)",
		"makes one step of Adam with moments of 16 bits each, which it rounds by the halves of words.")
	ptr, n := g.slices("p", "moments", "g", "words"), g.length("p")
	c := g.adamConstants()
	stepSize, gradScale, decay := g.scalar("stepSize"), g.scalar("gradScale"), g.scalar("decay")
	g.eachVector(n, ptr, 1, func(j int, k *mask) {
		p, m, v, grad := g.vec(), g.vec(), g.vec(), g.vec()
		if k == nil {
			for _, stream := range ptr[:3] {
				g.PREFETCHT0(operand.Mem{Base: stream, Disp: 1024})
			}
		}
		g.load(g.at(ptr[2], j), k, grad)
		g.VMULPS(gradScale, grad, grad)
		g.load(g.at(ptr[0], j), k, p)
		g.load(g.at(ptr[1], j), k, m)
		g.VPSLLD(operand.U8(half), m, v)
		g.VANDPS(g.broadcastBits(upper), m, m)
		c.update(g, p, m, v, grad, stepSize, decay)
		g.store(p, k, g.at(ptr[0], j))

		forM, forV := g.vec(), g.vec()
		g.load(g.at(ptr[3], j), k, forM)
		g.VPSRLD(operand.U8(half), forM, forV)
		g.VANDPS(g.broadcastBits(lower), forM, forM)
		g.VPADDD(forM, m, m)
		g.VPADDD(forV, v, v)
		g.VANDPS(g.broadcastBits(upper), m, m)
		g.VPSRLD(operand.U8(half), v, v)
		g.VORPS(v, m, m)
		g.store(m, k, g.at(ptr[1], j))
	})
	g.ret()
}
