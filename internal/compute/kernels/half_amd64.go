package kernels

var halfAVX2 = [2]halfKernels{
	{
		widen: wholeVectors(fromBFloat16AVX2, fromBFloat16Generic, 8),
		lanes: 8,
		tiles: [][2]tileFunction{
			{tileBFloat161x8AVX2, tileBFloat161x16AVX2},
			{tileBFloat162x8AVX2, tileBFloat162x16AVX2},
			{tileBFloat163x8AVX2, tileBFloat163x16AVX2},
			{tileBFloat164x8AVX2, tileBFloat164x16AVX2},
		},
	},
	{
		widen: wholeVectors(fromFloat16AVX2, fromFloat16Generic, 8),
		lanes: 8,
		tiles: [][2]tileFunction{
			{tileFloat161x8AVX2, tileFloat161x16AVX2},
			{tileFloat162x8AVX2, tileFloat162x16AVX2},
			{tileFloat163x8AVX2, tileFloat163x16AVX2},
			{tileFloat164x8AVX2, tileFloat164x16AVX2},
		},
	},
}

var halfAVX512 = [2]halfKernels{
	{
		widen: wholeVectors(fromBFloat16AVX512, fromBFloat16Generic, 16),
		lanes: 16,
		tiles: [][2]tileFunction{
			{tileBFloat161x16AVX512, tileBFloat161x32AVX512},
			{tileBFloat162x16AVX512, tileBFloat162x32AVX512},
			{tileBFloat163x16AVX512, tileBFloat163x32AVX512},
			{tileBFloat164x16AVX512, tileBFloat164x32AVX512},
		},
	},
	{
		widen: wholeVectors(fromFloat16AVX512, fromFloat16Generic, 16),
		lanes: 16,
		tiles: [][2]tileFunction{
			{tileFloat161x16AVX512, tileFloat161x32AVX512},
			{tileFloat162x16AVX512, tileFloat162x32AVX512},
			{tileFloat163x16AVX512, tileFloat163x32AVX512},
			{tileFloat164x16AVX512, tileFloat164x32AVX512},
		},
	},
}

// bfloat16Products are the instructions of AVX-512 BF16.
var bfloat16Products = dots{
	groupedTile: groupedTile{name: "AVX-512 BF16", rows: 14, cols: panelCols, group: dotGroup, compute: func(t *groupedArgs) {
		t.inside(groupBytes, panelCols)
		dotTiles[t.rows-1](t)
	}},
	round: roundBFloat16AVX512,
	peak:  dotPeakAVX512,
}

var dotTiles = [14]groupedFunction{
	dot1x32AVX512, dot2x32AVX512, dot3x32AVX512, dot4x32AVX512, dot5x32AVX512, dot6x32AVX512, dot7x32AVX512,
	dot8x32AVX512, dot9x32AVX512, dot10x32AVX512, dot11x32AVX512, dot12x32AVX512, dot13x32AVX512, dot14x32AVX512,
}
