package main

// generateAdam writes the kernel of adam.go.
func generateAdam(g *generator) {
	g.function("adam",
		"func(p, m, v, g []float32, beta1, rest1, beta2, rest2, stepSize, epsilon, gradScale, decay float32)",
		"makes one step of Adam; rest1 and rest2 are 1-beta1 and 1-beta2.")
	ptr, n := g.slices("p", "m", "v", "g"), g.length("p")
	beta1, rest1 := g.scalar("beta1"), g.scalar("rest1")
	beta2, rest2 := g.scalar("beta2"), g.scalar("rest2")
	stepSize, epsilon := g.scalar("stepSize"), g.scalar("epsilon")
	gradScale, decay := g.scalar("gradScale"), g.scalar("decay")
	g.eachVector(n, ptr, 1, func(j int, k *mask) {
		p, m, v, grad := g.vec(), g.vec(), g.vec(), g.vec()
		g.load(g.at(ptr[3], j), k, grad)
		g.VMULPS(gradScale, grad, grad)

		step := g.vec()
		g.load(g.at(ptr[1], j), k, m)
		g.VMULPS(beta1, m, m)
		g.VFMADD231PS(grad, rest1, m)
		g.store(m, k, g.at(ptr[1], j))
		g.VMULPS(stepSize, m, step)

		g.load(g.at(ptr[2], j), k, v)
		g.VMULPS(grad, grad, grad)
		g.VMULPS(beta2, v, v)
		g.VFMADD231PS(grad, rest2, v)
		g.store(v, k, g.at(ptr[2], j))
		g.VSQRTPS(v, v)
		g.VADDPS(epsilon, v, v)
		g.VDIVPS(v, step, step)

		g.load(g.at(ptr[0], j), k, p)
		g.VFMADD231PS(decay, p, step)
		g.VSUBPS(step, p, p)
		g.store(p, k, g.at(ptr[0], j))
	})
	g.ret()
}
