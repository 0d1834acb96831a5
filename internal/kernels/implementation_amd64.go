package kernels

//go:generate go -C asm run .

// What an instruction set lacks it takes from plain Go.
var (
	avx2 = func() implementation {
		t := generic
		t.isa = AVX2
		t.gemm = gemmAVX2
		return t
	}()
	avx512 = func() implementation {
		t := generic
		t.isa = AVX512
		t.gemm = gemmAVX512
		return t
	}()
)
