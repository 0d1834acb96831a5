package main

import (
	"fmt"
	"go/token"
	"go/types"

	"github.com/mmcloughlin/avo/gotypes"
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
	g.depthwiseRow(0, 0)
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

// depthwiseRow writes a kernel for a row. First come the edges, for four vectors of channels together: pixels that have their own columns
// of the window. Of the others, whose windows lie on the row, it computes eight together, a vector of channels at a time: each
// pixel of x is loaded once for all the windows that it lies in, and a row of the weights once for the
// eight. A kernel of 0 columns takes edges of any window and no others.
func (g *generator) depthwiseRow(kernel, stride int) {
	name, doc := "depthwiseEdges", "computes pixels"
	if kernel > 0 {
		name = fmt.Sprintf("depthwise%dStride%d", kernel, stride)
		doc = fmt.Sprintf("computes pixels, and between them others of %d columns and a stride of %d", kernel, stride)
	}
	g.function(name, "func()", doc+".", "So many rows of their windows lie on the picture; yFirst, xFirst, xRow, xCol and wRow are bytes.")
	g.Signature(depthwiseSignature)
	n, offset, size, size3 := g.param("channels"), g.GP64(), g.elements("channels"), g.GP64()
	g.XORQ(offset, offset)
	g.LEAQ(operand.Mem{Base: size, Index: size, Scale: 2}, size3)

	vectorsLeft := g.AllocLocal(8)
	g.eachGroup(n, 4, func(vectors int, k *mask) {
		g.edges(offset, size, vectors, k)
		if kernel == 0 {
			g.ADDQ(operand.U32(uint32(vectors*g.bytes())), offset)
			return
		}
		again := g.label("vector")
		g.MOVQ(operand.I32(int32(vectors)), vectorsLeft)
		g.Label(again)
		x, y, left := g.GP64(), g.GP64(), g.GP64()
		g.MOVQ(g.slice("x"), x)
		g.ADDQ(offset, x)
		g.ADDQ(g.memory("xFirst"), x)
		g.MOVQ(g.slice("y"), y)
		g.ADDQ(offset, y)
		g.ADDQ(g.memory("yFirst"), y)
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
		g.ADDQ(operand.U32(uint32(g.bytes())), offset)
		g.DECQ(vectorsLeft)
		g.JNZ(operand.LabelRef(again))
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

// edge is the type of the same name in the package kernels.
var edge = named("edge", `struct{ y, x, w, cols int }`)

// depthwiseSignature has a slice of edges.
var depthwiseSignature = func() *gotypes.Signature {
	var params []*types.Var
	add := func(t types.Type, names ...string) {
		for _, name := range names {
			params = append(params, types.NewParam(token.NoPos, nil, name, t))
		}
	}
	add(types.NewSlice(types.Typ[types.Float32]), "y", "x", "w", "bias")
	add(types.NewSlice(edge), "edges")
	add(types.Typ[types.Int], "yFirst", "xFirst", "pixels", "channels", "rows", "xRow", "xCol", "wRow")
	add(types.Typ[types.Float32], "least", "most")
	return gotypes.NewSignature(nil, types.NewSignatureType(nil, nil, nil, types.NewTuple(params...), nil, false))
}()

// eachGroup writes a loop over n elements, which it uses up: most vectors together while there are as many, then single ones, and the
// rest under a mask.
func (g *generator) eachGroup(n reg.GPVirtual, most int, body func(vectors int, k *mask)) {
	for _, vectors := range []int{most, 1} {
		loop, end := g.label("group"), g.label("end")
		g.Label(loop)
		g.CMPQ(n, operand.U8(uint8(vectors*g.isa.lanes)))
		g.JL(operand.LabelRef(end))
		body(vectors, nil)
		g.SUBQ(operand.U8(uint8(vectors*g.isa.lanes)), n)
		g.JMP(operand.LabelRef(loop))
		g.Label(end)
	}
	end := g.label("end")
	g.TESTQ(n, n)
	g.JZ(operand.LabelRef(end))
	k := g.firstLanes(n)
	body(1, &k)
	g.Label(end)
}

// edges writes the loop over the edges, for some vectors of channels: as many chains of additions.
func (g *generator) edges(offset, size reg.GPVirtual, vectors int, k *mask) {
	table, count := g.GP64(), g.GP64()
	g.MOVQ(g.slice("edges"), table)
	g.Load(g.Param("edges").Len(), count)
	each, none := g.label("edge"), g.label("none")
	g.TESTQ(count, count)
	g.JZ(operand.LabelRef(none))
	g.Label(each)
	sums, from := make([]reg.VecVirtual, vectors), g.GP64()
	g.MOVQ(g.slice("bias"), from)
	g.ADDQ(offset, from)
	for v := range sums {
		sums[v] = g.vec()
		g.load(g.at(from, v), k, sums[v])
	}
	row, taps, rows := g.GP64(), g.GP64(), g.GP64()
	for _, r := range []struct {
		name string
		at   int
		to   reg.GPVirtual
	}{{"x", 8, row}, {"w", 16, taps}} {
		g.MOVQ(g.slice(r.name), r.to)
		g.ADDQ(offset, r.to)
		g.ADDQ(operand.Mem{Base: table, Disp: r.at}, r.to)
	}
	store := g.label("store")
	g.CMPQ(operand.Mem{Base: table, Disp: 24}, operand.U8(0))
	g.JE(operand.LabelRef(store))
	g.MOVQ(g.memory("rows"), rows)
	eachRow, eachCol := g.label("row"), g.label("col")
	g.Label(eachRow)
	x, w, cols := g.GP64(), g.GP64(), g.GP64()
	g.MOVQ(row, x)
	g.MOVQ(taps, w)
	g.MOVQ(operand.Mem{Base: table, Disp: 24}, cols)
	g.Label(eachCol)
	for v, sum := range sums {
		weight := g.vec()
		g.load(g.at(w, v), k, weight)
		if k == nil {
			g.VFMADD231PS(g.at(x, v), weight, sum)
		} else {
			pixel := g.vec()
			g.load(g.at(x, v), k, pixel)
			g.VFMADD231PS(pixel, weight, sum)
		}
	}
	g.ADDQ(size, w)
	g.ADDQ(g.memory("xCol"), x)
	g.DECQ(cols)
	g.JNZ(operand.LabelRef(eachCol))
	g.ADDQ(g.memory("xRow"), row)
	g.ADDQ(g.memory("wRow"), taps)
	g.DECQ(rows)
	g.JNZ(operand.LabelRef(eachRow))
	g.Label(store)
	g.clampBetween(g.scalar("least"), g.scalar("most"), sums...)
	to := g.GP64()
	g.MOVQ(g.slice("y"), to)
	g.ADDQ(operand.Mem{Base: table}, to)
	g.ADDQ(offset, to)
	for v, sum := range sums {
		g.store(sum, k, g.at(to, v))
	}
	g.ADDQ(operand.U8(32), table)
	g.DECQ(count)
	g.JNZ(operand.LabelRef(each))
	g.Label(none)
}
