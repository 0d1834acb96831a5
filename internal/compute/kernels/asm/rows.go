package main

import (
	"math"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateRows writes the kernels of softmax.go and layernorm.go, which go over a
// row several times.
func generateRows(g *generator) {
	g.exponentials()
	g.softmaxBackward(false)
	g.softmaxBackward(true)
	g.layerNorm()
	g.layerNormBackward()
}

// again loads the addresses and the length of slices for another pass.
func (g *generator) again(names ...string) ([]reg.GPVirtual, reg.GPVirtual) {
	return g.slices(names...), g.length(names[0])
}

func (g *generator) exponentials() {
	g.function("exponentials", "func(dst, x []float32, scale float32) (largest, sum float32)",
		"computes dst = exp(scale·x - largest) and the sum.")
	minusInf := g.broadcast(float32(math.Inf(-1)))
	peaks := make([]reg.VecVirtual, 4)
	for i := range peaks {
		peaks[i] = g.vec()
		g.VMOVUPS(minusInf, peaks[i])
	}
	// A NaN may get lost here, but not its own power.
	p, n := g.again("x")
	g.eachVector(n, p, len(peaks), func(j int, k *mask) {
		if k == nil {
			g.VMAXPS(g.at(p[0], j), peaks[j], peaks[j])
			return
		}
		v := g.vec()
		g.load(g.at(p[0], j), k, v)
		g.orElse(k, minusInf, v) // lanes outside of the row do not count
		g.VMAXPS(v, peaks[j], peaks[j])
	})
	peak := g.spread(g.reduce(peaks, g.maximum))
	scale, largest := g.scalar("scale"), g.vec()
	g.VMULPS(scale, peak, largest)
	g.Store(largest.AsX(), g.Return("largest"))
	g.VMULPS(g.broadcast(math.Log2E), scale, scale)

	power := g.newPowerOf2()
	sums := g.zeros(2)
	p, n = g.again("dst", "x")
	g.eachVector(n, p, len(sums), func(j int, k *mask) {
		v := g.vec()
		g.load(g.at(p[1], j), k, v)
		g.VSUBPS(peak, v, v)
		g.VMULPS(scale, v, v)
		power.of(v)
		g.keep(k, v)
		g.VADDPS(v, sums[j], sums[j])
		g.store(v, k, g.at(p[0], j))
	})
	g.Store(g.reduce(sums, g.add).AsX(), g.Return("sum"))
	g.ret()
}

// orElse sets the lanes outside the mask to those of the constant.
func (g *generator) orElse(k *mask, constant operand.Mem, v reg.VecVirtual) {
	other := g.vec()
	g.VMOVUPS(constant, other)
	if g.wide() {
		g.VMOVAPS(v, k.k, other)
		g.VMOVAPS(other, v)
	} else {
		g.VBLENDVPS(g.inRegister(k.selected(g)), v, other, v)
	}
}

// softmaxBackward writes two kernels: with dropout and without.
func (g *generator) softmaxBackward(drop bool) {
	name, signature := "softmaxBackward", "func(x, d []float32, scale, logSum float32)"
	doc := []string{"computes x = exp(scale·x - logSum) and d = scale·x·(d - dot(x, d))."}
	if drop {
		name, signature = "softmaxDropoutBackward", "func(x, d []float32, scale, logSum float32, words []uint32, threshold uint32, keep float32)"
		doc = []string{
			"computes p = exp(scale·x - logSum), x = p·m and d = scale·p·(d·m - dot(p·m, d)),",
			"where m is keep if the word is at least threshold, else 0.",
		}
	}
	g.function(name, signature, doc...)
	log2e := g.broadcast(math.Log2E)
	scale, logSum := g.scalar("scale"), g.scalar("logSum")
	g.VMULPS(log2e, scale, scale)
	g.VMULPS(log2e, logSum, logSum)
	slices := []string{"x", "d"}
	var threshold, keep reg.VecVirtual
	if drop {
		slices = append(slices, "words")
		threshold, keep = g.scalar("threshold"), g.scalar("keep")
	}
	// kept loads the mask of vector j.
	kept := func(p []reg.GPVirtual, j int, k *mask) *mask {
		if !drop {
			return nil
		}
		words := g.vec()
		g.load(g.at(p[2], j), k, words)
		m := g.notLess(words, threshold)
		return &m
	}

	power := g.newPowerOf2()
	dots := g.zeros(2)
	p, n := g.again(slices...)
	g.eachVector(n, p, len(dots), func(j int, k *mask) {
		v, d := g.vec(), g.vec()
		g.load(g.at(p[0], j), k, v)
		g.VFMSUB213PS(logSum, scale, v)
		power.of(v)
		g.store(v, k, g.at(p[0], j))
		g.load(g.at(p[1], j), k, d)
		if k != nil {
			g.keep(k, v) // an infinite power must not meet the zeros of d
		}
		g.keep(kept(p, j, k), d)
		g.VFMADD231PS(v, d, dots[j])
	})
	dot := g.spread(g.reduce(dots, g.add))
	if drop {
		g.VMULPS(keep, dot, dot)
	}

	scale = g.scalar("scale")
	p, n = g.again(slices...)
	g.eachVector(n, p, 2, func(j int, k *mask) {
		v, d := g.vec(), g.vec()
		g.load(g.at(p[0], j), k, v)
		g.load(g.at(p[1], j), k, d)
		slope := g.vec()
		g.VMULPS(scale, v, slope)
		if m := kept(p, j, k); m != nil {
			g.VMULPS(keep, v, v)
			g.keep(m, v)
			g.store(v, k, g.at(p[0], j))
			g.keep(m, d)
			g.VFMSUB213PS(dot, keep, d)
		} else {
			g.VSUBPS(dot, d, d)
		}
		g.VMULPS(slope, d, d)
		g.store(d, k, g.at(p[1], j))
	})
	g.ret()
}

// perElement divides the lowest lane of v by the length of a slice.
func (g *generator) perElement(v reg.VecVirtual, name string) {
	count := g.XMM()
	g.VXORPS(count, count, count)
	g.VCVTSI2SSQ(g.length(name), count, count)
	g.VDIVSS(count, v.AsX(), v.AsX())
}

func (g *generator) layerNorm() {
	g.function("layerNorm", "func(dst, x, gamma, beta []float32, eps float32) (mean, rstd float32)",
		"normalises a row and returns its statistics.")
	p, n := g.again("x")
	average := g.total(n, p[0])
	g.perElement(average, "x")
	g.Store(average.AsX(), g.Return("mean"))
	mean := g.spread(average)

	sums := g.zeros(unroll)
	p, n = g.again("x")
	g.eachVector(n, p, unroll, func(j int, k *mask) {
		d := g.vec()
		g.load(g.at(p[0], j), k, d)
		g.VSUBPS(mean, d, d)
		g.keep(k, d)
		g.VFMADD231PS(d, d, sums[j])
	})
	variance := g.reduce(sums, g.add)
	g.perElement(variance, "x")
	eps, one := g.scalar("eps"), g.vec()
	g.VADDSS(eps.AsX(), variance.AsX(), variance.AsX())
	g.VSQRTSS(variance.AsX(), variance.AsX(), variance.AsX())
	g.VMOVUPS(g.broadcast(1), one)
	g.VDIVSS(variance.AsX(), one.AsX(), one.AsX())
	g.Store(one.AsX(), g.Return("rstd"))
	rstd := g.spread(one)

	p, n = g.again("dst", "x", "gamma", "beta")
	g.eachVector(n, p, 2, func(j int, k *mask) {
		v, gamma, beta := g.vec(), g.vec(), g.vec()
		g.load(g.at(p[1], j), k, v)
		g.load(g.at(p[2], j), k, gamma)
		g.load(g.at(p[3], j), k, beta)
		g.VSUBPS(mean, v, v)
		g.VMULPS(rstd, v, v)
		g.VFMADD213PS(beta, gamma, v)
		g.store(v, k, g.at(p[0], j))
	})
	g.ret()
}

func (g *generator) layerNormBackward() {
	g.function("layerNormBackward", "func(dx, dgamma, dbeta, dy, x, gamma []float32, mean, rstd float32)",
		"accumulates the gradients of one row.")
	mean, rstd := g.scalar("mean"), g.scalar("rstd")
	// normalised loads vector j of x and normalises it; lanes outside the mask are zero.
	normalised := func(x reg.GPVirtual, j int, k *mask) reg.VecVirtual {
		v := g.vec()
		g.load(g.at(x, j), k, v)
		g.VSUBPS(mean, v, v)
		g.VMULPS(rstd, v, v)
		return v
	}
	s := g.zeros(2)
	p, n := g.again("dgamma", "dbeta", "dy", "x", "gamma")
	g.eachVector(n, p, 2, func(j int, k *mask) {
		dy, sum := g.vec(), g.vec()
		g.load(g.at(p[2], j), k, dy)
		g.load(g.at(p[1], j), k, sum)
		g.VADDPS(dy, sum, sum)
		g.store(sum, k, g.at(p[1], j))
		xhat := normalised(p[3], j, k)
		g.load(g.at(p[0], j), k, sum)
		g.VFMADD231PS(xhat, dy, sum)
		g.store(sum, k, g.at(p[0], j))
		gamma := g.vec()
		g.load(g.at(p[4], j), k, gamma)
		g.VMULPS(gamma, dy, dy) // zero outside the mask
		g.VADDPS(dy, s[0], s[0])
		if k != nil {
			g.keep(k, xhat) // an infinite mean or rstd must not meet those zeros
		}
		g.VFMADD231PS(xhat, dy, s[1])
	})
	mean1, mean2 := g.reduce(s[:1], g.add), g.reduce(s[1:], g.add)
	g.perElement(mean1, "x")
	g.perElement(mean2, "x")
	s1, s2 := g.spread(mean1), g.spread(mean2)

	p, n = g.again("dx", "dy", "x", "gamma")
	g.eachVector(n, p, 2, func(j int, k *mask) {
		dx, dy, gamma := g.vec(), g.vec(), g.vec()
		g.load(g.at(p[1], j), k, dy)
		g.load(g.at(p[3], j), k, gamma)
		g.VFMSUB213PS(s1, gamma, dy) // dy·gamma - s1
		xhat := normalised(p[2], j, k)
		g.VFNMADD231PS(s2, xhat, dy)
		g.load(g.at(p[0], j), k, dx)
		g.VFMADD231PS(rstd, dy, dx)
		g.store(dx, k, g.at(p[0], j))
	})
	g.ret()
}
