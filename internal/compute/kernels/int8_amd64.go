package kernels

import "golang.org/x/sys/cpu"

// int8AVX2 multiplies 16-bit numbers: the instruction for bytes would saturate.
var int8AVX2 = int8Tile{
	groupedTile: groupedTile{name: "AVX2", rows: 6, cols: 8, group: int8Group, words: true, compute: func(t *groupedArgs) {
		t.inside(2*int8Group, 8)
		int8TilesAVX2[t.rows-1](t)
	}},
	span: spanAVX2,
	quantise: func(dst []byte, x []float32, inverse float32, zero int32) {
		inWholeVectors(dst, len(x), 16, 8)
		quantiseWordsAVX2(&dst[0], x, inverse, zero)
	},
}

// int8AVX512 does so in vectors of 512 bits.
var int8AVX512 = int8Tile{
	groupedTile: groupedTile{name: "AVX-512 BW", rows: 14, cols: 16, group: int8Group, words: true, compute: func(t *groupedArgs) {
		t.inside(2*int8Group, 16)
		int8TilesAVX512[t.rows-1](t)
	}},
	span: spanAVX512,
	quantise: func(dst []byte, x []float32, inverse float32, zero int32) {
		inWholeVectors(dst, len(x), 32, 16)
		quantiseWordsAVX512(&dst[0], x, inverse, zero)
	},
}

// int8VNNI multiplies bytes and adds up four products at once.
var int8VNNI = int8Tile{
	groupedTile: groupedTile{name: "AVX-512 VNNI", rows: 14, cols: 32, group: int8Group, compute: func(t *groupedArgs) {
		t.inside(int8Group, 32)
		int8TilesVNNI[t.rows-1](t)
	}},
	span: spanAVX512,
	quantise: func(dst []byte, x []float32, inverse float32, zero int32) {
		inWholeVectors(dst, len(x), 16, 16)
		quantiseBytesAVX512(&dst[0], x, inverse, zero)
	},
}

// groupedFunction is a micro-kernel in assembly; there is one for each height.
type groupedFunction func(t *groupedArgs)

var (
	int8TilesAVX2 = [6]groupedFunction{
		int8Words1x8AVX2, int8Words2x8AVX2, int8Words3x8AVX2, int8Words4x8AVX2, int8Words5x8AVX2, int8Words6x8AVX2,
	}
	int8TilesAVX512 = [14]groupedFunction{
		int8Words1x16AVX512, int8Words2x16AVX512, int8Words3x16AVX512, int8Words4x16AVX512, int8Words5x16AVX512,
		int8Words6x16AVX512, int8Words7x16AVX512, int8Words8x16AVX512, int8Words9x16AVX512, int8Words10x16AVX512,
		int8Words11x16AVX512, int8Words12x16AVX512, int8Words13x16AVX512, int8Words14x16AVX512,
	}
	int8TilesVNNI = [14]groupedFunction{
		int8VNNI1x32AVX512, int8VNNI2x32AVX512, int8VNNI3x32AVX512, int8VNNI4x32AVX512, int8VNNI5x32AVX512,
		int8VNNI6x32AVX512, int8VNNI7x32AVX512, int8VNNI8x32AVX512, int8VNNI9x32AVX512, int8VNNI10x32AVX512,
		int8VNNI11x32AVX512, int8VNNI12x32AVX512, int8VNNI13x32AVX512, int8VNNI14x32AVX512,
	}
)

// int8Tiles returns the ways of an instruction set to multiply bytes that this processor has, the fastest last.
func int8Tiles(isa ISA) []*int8Tile {
	switch isa {
	case AVX2:
		return []*int8Tile{&int8AVX2}
	case AVX512:
		if cpu.X86.HasAVX512VNNI {
			return []*int8Tile{&int8AVX512, &int8VNNI}
		}
		return []*int8Tile{&int8AVX512}
	}
	return []*int8Tile{&int8Generic}
}
