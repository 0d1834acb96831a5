package kernels

import "maps"

// implementation is the kernels of one instruction set. The lengths have been
// checked when they are called.
type implementation struct {
	isa ISA

	gemm gemmTile
	int8 *int8Tile

	add, mul, max func(dst, a, b []float32)
	axpy          func(dst []float32, alpha float32, x []float32)
	scale         func(dst []float32, alpha float32, x []float32)
	dot           func(a, b []float32) float32
	sum           func(x []float32) float32
	sumSquares    func(x []float32) float64

	gelu         func(dst, x []float32)
	geluBackward func(dx, y, x, dy []float32)
	gate         func(dst, x []float32, a, b, lowest float32)
	gateBackward func(dx, y, x, dy []float32, a, b, lowest float32)

	exponentials           func(dst, x []float32, scale float32) (largest, sum float32)
	softmaxBackward        func(x, d []float32, scale, logSum float32)
	softmaxDropoutBackward func(x, d []float32, scale, logSum float32, words []uint32, threshold uint32, keep float32)

	layerNorm         func(dst, x, gamma, beta []float32, eps float32) (mean, rstd float32)
	layerNormBackward func(dx, dgamma, dbeta, dy, x, gamma []float32, mean, rstd float32)

	adam     func(p, m, v, g []float32, s AdamStep)
	adamIdle func(p, m, v []float32, steps []AdamStep)

	adamBfloat16 func(p, moments, g []float32, words []uint32, s AdamStep)

	// philox fills dst, whose length is a multiple of philoxWords, with the generator's
	// output for the blocks from first on.
	philox func(dst []uint32, key, stream, first uint64)
	// dropout writes x*scale where bits >= threshold, else 0; dropoutAdd adds it.
	dropout, dropoutAdd func(dst, x []float32, bits []uint32, threshold uint32, scale float32)

	half [2]halfKernels // by format
	dots *dots          // nil: the processor has no products of bfloat16

	clamp                  func(dst, x []float32, least, most float32)
	leakyReLU              func(dst, x []float32, slope float32)
	sigmoid                func(dst, x []float32)
	hardSigmoid, hardSwish func(dst, x []float32)

	depthwise      [2][2]depthwiseRow // of 3 and 5 columns, strides of 1 and 2; nil: edges takes all
	depthwiseEdges depthwiseRow

	// peak does n times peakWork multiplications and additions as fast as the processor can; nil: there is no such loop.
	peak     func(n int)
	peakWork float64
}

var generic = implementation{
	isa:                    Generic,
	gemm:                   gemmGeneric,
	int8:                   &int8Generic,
	add:                    addGeneric,
	mul:                    mulGeneric,
	max:                    maxGeneric,
	axpy:                   axpyGeneric,
	scale:                  scaleGeneric,
	dot:                    dotGeneric,
	sum:                    sumGeneric,
	sumSquares:             sumSquaresGeneric,
	gelu:                   geluGeneric,
	geluBackward:           geluBackwardGeneric,
	gate:                   gateGeneric,
	gateBackward:           gateBackwardGeneric,
	exponentials:           exponentialsGeneric,
	softmaxBackward:        softmaxBackwardGeneric,
	softmaxDropoutBackward: softmaxDropoutBackwardGeneric,
	layerNorm:              layerNormGeneric,
	layerNormBackward:      layerNormBackwardGeneric,
	adam:                   adamGeneric,
	adamIdle:               adamIdleGeneric,
	adamBfloat16:           adamBfloat16Generic,
	philox:                 philoxGeneric,
	dropout:                dropoutGeneric,
	dropoutAdd:             dropoutAddGeneric,
	clamp:                  clampGeneric,
	leakyReLU:              leakyReLUGeneric,
	sigmoid:                sigmoidGeneric,
	hardSigmoid:            hardSigmoidGeneric,
	hardSwish:              hardSwishGeneric,
	depthwiseEdges:         depthwiseEdgesGeneric,
	half:                   [2]halfKernels{{widen: fromBFloat16Generic}, {widen: fromFloat16Generic}},
}

// implementations returns those that this processor can run.
func implementations() map[ISA]*implementation {
	all := map[ISA]*implementation{Generic: &generic}
	maps.Copy(all, assembly)
	return all
}
