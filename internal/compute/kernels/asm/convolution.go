package main

import (
	"fmt"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// generateConvolution writes the kernels of depthwise.go in the package above.
func generateConvolution(g *generator) {
	for _, kernel := range []int{3, 5} {
		for _, stride := range []int{1, 2} {
			g.depthwiseRow(kernel, stride)
		}
	}
	g.depthwisePixel()
}

// memory returns the address of a parameter, for what is used too rarely for a register.
func (g *generator) memory(name string) operand.Mem {
	address, err := g.Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return address.Addr
}

// slice returns the address of a slice parameter's own address.
func (g *generator) slice(name string) operand.Mem {
	address, err := g.Param(name).Base().Resolve()
	if err != nil {
		panic(err)
	}
	return address.Addr
}

// pixels returns the address of pixel j < 5 beyond a pointer.
func pixels(pointer, size, size3 reg.GPVirtual, j int) operand.Mem {
	switch j {
	case 0:
		return operand.Mem{Base: pointer}
	case 3:
		return operand.Mem{Base: pointer, Index: size3, Scale: 1}
	}
	return operand.Mem{Base: pointer, Index: size, Scale: uint8(j)}
}

// depthwiseRow writes the kernel for pixels whose windows lie within the picture's columns. It takes a vector of channels at a
// time, of which it computes eight pixels together: each pixel of x is loaded once for all the windows that it
// lies in, and a row of the weights once for the eight.
func (g *generator) depthwiseRow(kernel, stride int) {
	g.function(fmt.Sprintf("depthwise%dStride%d", kernel, stride),
		"func(y, x, w, bias []float32, pixels, channels, rows, xRow, wRow int, least, most float32)",
		"computes pixels, of whose windows so many rows lie on the picture; xRow and wRow are bytes.")
	n, offset, size, size3 := g.param("channels"), g.GP64(), g.elements("channels"), g.GP64()
	g.XORQ(offset, offset)
	g.LEAQ(operand.Mem{Base: size, Index: size, Scale: 2}, size3)

	g.eachVector(n, []reg.GPVirtual{offset}, 1, func(_ int, k *mask) {
		x, y, left := g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(g.slice("x"), x)
		g.ADDQ(offset, x)
		g.MOVQ(g.slice("y"), y)
		g.ADDQ(offset, y)
		g.MOVQ(g.memory("pixels"), left)

		block := func(pixelCount int) {
			acc := make([]reg.VecVirtual, pixelCount)
			from := g.GP64()
			g.MOVQ(g.slice("bias"), from)
			for i := range acc {
				acc[i] = g.vec()
				if i == 0 {
					g.load(operand.Mem{Base: from, Index: offset, Scale: 1}, k, acc[0])
				} else {
					g.VMOVAPS(acc[0], acc[i])
				}
			}
			taps, row, rows := g.GP64(), g.GP64(), g.GP64()
			g.MOVQ(g.slice("w"), taps)
			g.ADDQ(offset, taps)
			g.MOVQ(x, row)
			g.MOVQ(g.memory("rows"), rows)
			loop := g.label("rows")
			g.Label(loop)
			weights := make([]reg.VecVirtual, kernel)
			for c := range weights {
				weights[c] = g.vec()
				g.load(pixels(taps, size, size3, c), k, weights[c])
			}
			at, last := g.GP64(), (pixelCount-1)*stride+kernel-1
			g.MOVQ(row, at)
			for j := 0; j <= last; j++ {
				v := g.vec()
				g.load(pixels(at, size, size3, j%4), k, v)
				if j%4 == 3 && j < last {
					g.LEAQ(operand.Mem{Base: at, Index: size, Scale: 4}, at)
				}
				for c := range weights {
					if i := j - c; i >= 0 && i%stride == 0 && i/stride < pixelCount {
						g.VFMADD231PS(weights[c], v, acc[i/stride])
					}
				}
			}
			g.ADDQ(g.memory("wRow"), taps)
			g.ADDQ(g.memory("xRow"), row)
			g.DECQ(rows)
			g.JNZ(operand.LabelRef(loop))

			g.clampBetween(g.scalar("least"), g.scalar("most"), acc...)
			for i, v := range acc {
				g.store(v, k, pixels(y, size, size3, i%4))
				if i%4 == 3 {
					g.LEAQ(operand.Mem{Base: y, Index: size, Scale: 4}, y)
				}
			}
			if pixelCount < 4 {
				g.LEAQ(pixels(y, size, size3, pixelCount), y)
			}
			for step := pixelCount * stride; step > 0; step -= min(step, 8) {
				g.LEAQ(operand.Mem{Base: x, Index: size, Scale: uint8(min(step, 8))}, x)
			}
		}
		loop, end := g.label("pixels"), g.label("few")
		g.Label(loop)
		g.CMPQ(left, operand.U8(8))
		g.JL(operand.LabelRef(end))
		block(8)
		g.SUBQ(operand.U8(8), left)
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
		for _, count := range []int{4, 2, 1} {
			skip := g.label("skip")
			g.TESTQ(operand.U32(uint32(count)), left)
			g.JZ(operand.LabelRef(skip))
			block(count)
			g.Label(skip)
		}
	})
	g.ret()
}

// clampBetween bounds the registers; NaN stays.
func (g *generator) clampBetween(least, most reg.VecVirtual, list ...reg.VecVirtual) {
	for _, v := range list {
		g.atLeast(least, v)
		g.atMost(most, v)
	}
}

// depthwisePixel writes the kernel for one pixel and any window. Four vectors of channels at a time are as many chains of
// additions.
func (g *generator) depthwisePixel() {
	g.function("depthwisePixel",
		"func(y, x, w, bias []float32, channels, rows, cols, xRow, xCol, wRow int, least, most float32)",
		"computes one pixel, of whose window rows x cols places lie on the picture; xRow, xCol and wRow are bytes.")
	n, offset, size := g.param("channels"), g.GP64(), g.elements("channels")
	xCol := g.param("xCol")
	g.XORQ(offset, offset)
	chunk := func(vectors int, k *mask) {
		acc := make([]reg.VecVirtual, vectors)
		from := g.GP64()
		g.MOVQ(g.slice("bias"), from)
		g.ADDQ(offset, from)
		for v := range acc {
			acc[v] = g.vec()
			g.load(g.at(from, v), k, acc[v])
		}
		xFrom, wFrom, rows := g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(g.slice("x"), xFrom)
		g.ADDQ(offset, xFrom)
		g.MOVQ(g.slice("w"), wFrom)
		g.ADDQ(offset, wFrom)
		g.MOVQ(g.memory("rows"), rows)
		eachRow, eachCol := g.label("row"), g.label("col")
		g.Label(eachRow)
		x, w, cols := g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(xFrom, x)
		g.MOVQ(wFrom, w)
		g.MOVQ(g.memory("cols"), cols)
		g.Label(eachCol)
		for v := range acc {
			weight := g.vec()
			g.load(g.at(w, v), k, weight)
			if k == nil {
				g.VFMADD231PS(g.at(x, v), weight, acc[v])
			} else {
				pixel := g.vec()
				g.load(g.at(x, v), k, pixel)
				g.VFMADD231PS(pixel, weight, acc[v])
			}
		}
		g.ADDQ(size, w)
		g.ADDQ(xCol, x)
		g.DECQ(cols)
		g.JNZ(operand.LabelRef(eachCol))
		g.ADDQ(g.memory("xRow"), xFrom)
		g.ADDQ(g.memory("wRow"), wFrom)
		g.DECQ(rows)
		g.JNZ(operand.LabelRef(eachRow))
		g.clampBetween(g.scalar("least"), g.scalar("most"), acc...)
		to := g.GP64()
		g.MOVQ(g.slice("y"), to)
		g.ADDQ(offset, to)
		for v := range acc {
			g.store(acc[v], k, g.at(to, v))
		}
		g.ADDQ(operand.U32(uint32(vectors*g.bytes())), offset)
	}
	for _, vectors := range []int{4, 1} {
		loop, end := g.label("vectors"), g.label("end")
		g.Label(loop)
		g.CMPQ(n, operand.U8(uint8(vectors*g.isa.lanes)))
		g.JL(operand.LabelRef(end))
		chunk(vectors, nil)
		g.SUBQ(operand.U8(uint8(vectors*g.isa.lanes)), n)
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
	}
	end := g.label("end")
	g.TESTQ(n, n)
	g.JZ(operand.LabelRef(end))
	k := g.firstLanes(n)
	chunk(1, &k)
	g.Label(end)
	g.ret()
}
