package kernels

//go:generate go -C asm run .

var avx2 = implementation{
	isa:                    AVX2,
	gemm:                   gemmAVX2,
	int8:                   &int8AVX2,
	add:                    addAVX2,
	mul:                    mulAVX2,
	max:                    maxAVX2,
	axpy:                   axpyAVX2,
	scale:                  scaleAVX2,
	dot:                    dotAVX2,
	sum:                    sumAVX2,
	sumSquares:             sumSquaresAVX2,
	gelu:                   geluAVX2,
	geluBackward:           geluBackwardAVX2,
	gate:                   gateAVX2,
	gateBackward:           gateBackwardAVX2,
	exponentials:           exponentialsAVX2,
	softmaxBackward:        softmaxBackwardAVX2,
	softmaxDropoutBackward: softmaxDropoutBackwardAVX2,
	layerNorm:              layerNormAVX2,
	layerNormBackward:      layerNormBackwardAVX2,
	adam: func(p, m, v, g []float32, s AdamStep) {
		adamAVX2(p, m, v, g, s.Beta1, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.StepSize, s.Epsilon, s.GradScale, s.Decay)
	},
	adamIdle: func(p, m, v []float32, steps []AdamStep) {
		s := &steps[0]
		adamIdleAVX2(p, m, v, &s.Beta1, len(steps), s.Beta1, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.Epsilon)
	},
	adamBfloat16: func(p, moments, g []float32, words []uint32, s AdamStep) {
		adamBfloat16AVX2(p, moments, g, words, s.Beta1, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.StepSize, s.Epsilon, s.GradScale, s.Decay)
	},
	philox:         philoxAVX2,
	dropout:        dropoutAVX2,
	dropoutAdd:     dropoutAddAVX2,
	clamp:          clampAVX2,
	leakyReLU:      leakyReLUAVX2,
	sigmoid:        sigmoidAVX2,
	hardSigmoid:    hardSigmoidAVX2,
	hardSwish:      hardSwishAVX2,
	depthwiseEdges: depthwiseEdgesAVX2,
	half:           halfAVX2,
	depthwise:      [2][2]depthwiseRow{{depthwise3Stride1AVX2, depthwise3Stride2AVX2}, {depthwise5Stride1AVX2, depthwise5Stride2AVX2}},
	peak:           fmaPeakAVX2,
	peakWork:       12 * 8 * 2,
}

var avx512 = implementation{
	isa:                    AVX512,
	gemm:                   gemmAVX512,
	int8:                   &int8AVX512,
	add:                    addAVX512,
	mul:                    mulAVX512,
	max:                    maxAVX512,
	axpy:                   axpyAVX512,
	scale:                  scaleAVX512,
	dot:                    dotAVX512,
	sum:                    sumAVX512,
	sumSquares:             sumSquaresAVX512,
	gelu:                   geluAVX512,
	geluBackward:           geluBackwardAVX512,
	gate:                   gateAVX512,
	gateBackward:           gateBackwardAVX512,
	exponentials:           exponentialsAVX512,
	softmaxBackward:        softmaxBackwardAVX512,
	softmaxDropoutBackward: softmaxDropoutBackwardAVX512,
	layerNorm:              layerNormAVX512,
	layerNormBackward:      layerNormBackwardAVX512,
	adam: func(p, m, v, g []float32, s AdamStep) {
		adamAVX512(p, m, v, g, s.Beta1, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.StepSize, s.Epsilon, s.GradScale, s.Decay)
	},
	adamIdle: func(p, m, v []float32, steps []AdamStep) {
		s := &steps[0]
		adamIdleAVX512(p, m, v, &s.Beta1, len(steps), s.Beta1, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.Epsilon)
	},
	adamBfloat16: func(p, moments, g []float32, words []uint32, s AdamStep) {
		adamBfloat16AVX512(p, moments, g, words, s.Beta1, 1-s.Beta1, s.Beta2, 1-s.Beta2, s.StepSize, s.Epsilon, s.GradScale, s.Decay)
	},
	philox:         philoxAVX512,
	dropout:        dropoutAVX512,
	dropoutAdd:     dropoutAddAVX512,
	clamp:          clampAVX512,
	leakyReLU:      leakyReLUAVX512,
	sigmoid:        sigmoidAVX512,
	hardSigmoid:    hardSigmoidAVX512,
	hardSwish:      hardSwishAVX512,
	depthwiseEdges: depthwiseEdgesAVX512,
	half:           halfAVX512,
	depthwise:      [2][2]depthwiseRow{{depthwise3Stride1AVX512, depthwise3Stride2AVX512}, {depthwise5Stride1AVX512, depthwise5Stride2AVX512}},
	peak:           fmaPeakAVX512,
	peakWork:       24 * 16 * 2,
}
