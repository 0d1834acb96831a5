package kernels

import "golang.org/x/sys/cpu"

// assembly is the kernels written in assembly that this processor can run.
var assembly = detect()

func detect() map[ISA]*implementation {
	found := map[ISA]*implementation{}
	x := &cpu.X86
	if x.HasAVX2 && x.HasFMA && x.HasBMI2 && x.HasF16C {
		found[AVX2] = &avx2
		if x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL {
			if x.HasAVX512VNNI {
				avx512.int8 = &int8VNNI
			}
			if x.HasAVX512BF16 {
				avx512.dots = &bfloat16Products
			}
			found[AVX512] = &avx512
		}
	}
	return found
}
