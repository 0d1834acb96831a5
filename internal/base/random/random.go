// Package random gives each purpose a stream of random numbers of its own.
//
//	random.New(seed, "order", epoch).Perm(n) // the order of the examples in an epoch
//
// A key is a seed, a purpose in words, and numbers such as an epoch and an example. Streams of
// different keys have nothing in common, so one more draw for one purpose changes no other, and
// what an example gets does not depend on which came before it.
//
// A key gives the same numbers for ever: runs are resumed and repeated across versions by it.
// The numbers are those of ChaCha8 (math/rand/v2, C2SP's chacha8rand). Its key is the SHA-256 of
// the purpose in UTF-8, a zero byte, the seed and the numbers, each in 8 bytes, the lowest first.
package random

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
)

// Version says which numbers keys give. A run keeps it: one begun with another cannot go on.
// Before 2 every package had a scheme of its own, and runs said nothing.
const Version = 2

// Stream gives the numbers of a key. It is used by one goroutine.
type Stream struct{ source rand.ChaCha8 }

// New returns the stream of a key. The purpose is a text without a zero byte.
func New(seed uint64, purpose string, numbers ...int) *Stream {
	var memory [128]byte
	key := append(append(memory[:0], purpose...), 0)
	key = binary.LittleEndian.AppendUint64(key, seed)
	for _, n := range numbers {
		key = binary.LittleEndian.AppendUint64(key, uint64(n))
	}
	s := new(Stream)
	s.source.Seed(sha256.Sum256(key))
	return s
}

// Uint64 returns the next number of the generator.
func (s *Stream) Uint64() uint64 { return s.source.Uint64() }

// IntN returns a number from 0 to n-1: floor(u*n/2^64) of the next number u.
func (s *Stream) IntN(n int) int {
	at, _ := bits.Mul64(s.Uint64(), uint64(n))
	return int(at)
}

// Float64 returns a number from 0 up to but not 1: the upper 53 bits of the next number, over 2^53.
func (s *Stream) Float64() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// Perm returns 0..n-1 in an order of chance. It is Fisher and Yates' shuffle, from the last place
// down: place i changes with place IntN(i+1).
func (s *Stream) Perm(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := s.IntN(i + 1)
		order[i], order[j] = order[j], order[i]
	}
	return order
}

// Normal returns a number of the standard normal distribution, by the ziggurat of math/rand/v2.
func (s *Stream) Normal() float64 {
	r := rand.New(s)
	return r.NormFloat64()
}
