package kernels

var neon = implementation{
	isa:                    NEON,
	gemm:                   gemmNEON,
	int8:                   &int8Generic,
	add:                    addNEON,
	mul:                    mulNEON,
	max:                    maxNEON,
	axpy:                   axpyNEON,
	scale:                  scaleNEON,
	dot:                    dotNEON,
	sum:                    sumNEON,
	sumSquares:             sumSquaresNEON,
	gelu:                   geluNEON,
	geluBackward:           geluBackwardNEON,
	gate:                   gateNEON,
	gateBackward:           gateBackwardNEON,
	exponentials:           exponentialsNEON,
	softmaxBackward:        softmaxBackwardNEON,
	softmaxDropoutBackward: softmaxDropoutBackwardNEON,
	layerNorm:              layerNormNEON,
	layerNormBackward:      layerNormBackwardNEON,
	adam: func(p, m, v, g []float32, s AdamStep) {
		adamNEON(p, m, v, g, s.Beta1, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.StepSize, s.Epsilon, s.GradScale, s.Decay)
	},
	adamIdle: func(p, m, v []float32, steps []AdamStep) {
		s := &steps[0]
		adamIdleNEON(p, m, v, &s.Beta1, len(steps), s.Beta1, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.Epsilon)
	},
	adamBfloat16: func(p, moments, g []float32, words []uint32, s AdamStep) {
		adamBfloat16NEON(p, moments, g, words, s.Beta1, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.StepSize, s.Epsilon, s.GradScale, s.Decay)
	},
	philox:         philoxNEON,
	dropout:        dropoutNEON,
	dropoutAdd:     dropoutAddNEON,
	clamp:          clampNEON,
	leakyReLU:      leakyReLUNEON,
	sigmoid:        sigmoidNEON,
	hardSigmoid:    hardSigmoidNEON,
	hardSwish:      hardSwishNEON,
	depthwiseEdges: depthwiseEdgesNEON,
	half: [2]halfKernels{
		{widen: wholeVectors(fromBFloat16NEON, fromBFloat16Generic, 4)},
		{widen: wholeVectors(fromFloat16NEON, fromFloat16Generic, 4)},
	},
	depthwise: [2][2]depthwiseRow{{depthwise3Stride1NEON, depthwise3Stride2NEON}, {depthwise5Stride1NEON, depthwise5Stride2NEON}},
	peak:      fmaPeakNEON,
	peakWork:  24 * 4 * 2,
}
