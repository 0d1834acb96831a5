package kernels

import "math/bits"

// Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011) turns a 128-bit counter and a 64-bit key into
// four random 32-bit words. There is no state: the number of an element is
// computed from its index, in any order and on any thread.
const (
	philoxRounds = 10
	philoxMul0   = 0xD2511F53 // multipliers, of the paper
	philoxMul1   = 0xCD9E8D57
	philoxKey0   = 0x9E3779B9 // added to the key each round: the golden ratio
	philoxKey1   = 0xBB67AE85 // and √3-1
)

// philoxBlock returns the four words of a counter and a key, least significant
// words first.
func philoxBlock(counter [4]uint32, key [2]uint32) [4]uint32 {
	c, k := counter, key
	for range philoxRounds {
		hi0, lo0 := bits.Mul32(philoxMul0, c[0])
		hi1, lo1 := bits.Mul32(philoxMul1, c[2])
		c = [4]uint32{hi1 ^ c[1] ^ k[0], lo1, hi0 ^ c[3] ^ k[1], lo0}
		k[0] += philoxKey0
		k[1] += philoxKey1
	}
	return c
}

// philoxGeneric writes the blocks with the counters (first, stream),
// (first+1, stream), ... to dst.
func philoxGeneric(dst []uint32, key, stream, first uint64) {
	k := [2]uint32{uint32(key), uint32(key >> 32)}
	for i := 0; i < len(dst); i += 4 {
		block := first + uint64(i/4)
		words := philoxBlock([4]uint32{uint32(block), uint32(block >> 32), uint32(stream), uint32(stream >> 32)}, k)
		copy(dst[i:i+4], words[:])
	}
}
