package kernels

import (
	"math"
	"sync"
)

// Dropout keeps each element of x with probability 1-prob, scaled by
// 1/(1-prob), and replaces the others by zero (Srivastava et al., JMLR 15,
// 2014, in the inverted form):
//
//	dst[i] = keep(offset+i) ? x[i]·1/(1-prob) : 0      (+ dst[i], if accumulate)
//
// The element with index e = offset+i is kept if and only if word e mod 4 of
// Philox4x32-10, with the counter (e/4, stream) and the key, is at least
// prob·2³² (rounded). So the choice is a function of (key, stream, e): the
// backward pass repeats it by calling Dropout on the gradient with the same
// numbers, and a tensor may be cut anywhere. The result is the same on every
// instruction set, bit for bit.
//
// Both slices have the same length; dst may be x unless accumulate is set.
// A dropped element is zero even where x is NaN. Dropout panics with an
// [ArgumentError] unless 0 <= prob <= 1.
func Dropout(dst, x []float32, prob float32, key, stream, offset uint64, accumulate bool) {
	sameLen("Dropout", "dst", len(dst), "x", len(x))
	checkProb("Dropout", prob)
	if prob == 1 {
		if !accumulate {
			clear(dst)
		}
		return
	}
	impl := active()
	apply := impl.dropout
	if accumulate {
		apply = impl.dropoutAdd
	}
	threshold, scale := DropThreshold(prob)
	buffer := bitsBuffers.Get().(*[bitsChunk]uint32)
	defer bitsBuffers.Put(buffer)
	for lo := 0; lo < len(dst); {
		element := offset + uint64(lo)
		skip := int(element % 4) // words of the first block that belong to earlier elements
		count := min(len(dst)-lo, bitsChunk-skip)
		if left := -element; left != 0 && uint64(count) > left {
			count = int(left) // the index starts again from zero
		}
		words := buffer[:(skip+count+philoxWords-1)/philoxWords*philoxWords]
		impl.philox(words, key, stream, element/4)
		apply(dst[lo:lo+count], x[lo:lo+count], words[skip:skip+count], threshold, scale)
		lo += count
	}
}

func checkProb(kernel string, prob float32) {
	if !(prob >= 0 && prob <= 1) {
		check(false, kernel, "probability %v is not in [0, 1]", prob)
	}
}

// DropThreshold returns the least word that keeps an element and what is kept is
// multiplied by. Below 1 prob is at most 1-2⁻²⁴, so the threshold fits its type.
func DropThreshold(prob float32) (threshold uint32, scale float32) {
	return uint32(math.Round(float64(prob) * (1 << 32))), 1 / (1 - prob)
}

func dropoutGeneric(dst, x []float32, bits []uint32, threshold uint32, scale float32) {
	for i, v := range x {
		kept := float32(0)
		if bits[i] >= threshold {
			kept = v * scale
		}
		dst[i] = kept
	}
}

func dropoutAddGeneric(dst, x []float32, bits []uint32, threshold uint32, scale float32) {
	for i, v := range x {
		if bits[i] >= threshold {
			dst[i] += float32(v * scale) // rounded here: no fused addition, on any processor
		}
	}
}

// bitsChunk is how many random words are made at a time: 4 KiB of them stay in
// the first-level cache beside the chunk's operands.
const bitsChunk = 1024

var bitsBuffers = sync.Pool{New: func() any { return new([bitsChunk]uint32) }}

// philoxWords is what implementation.philox makes at a time.
const philoxWords = 128

// Words returns the random words that [Dropout] uses for n elements from offset
// on, which must not pass 2⁶⁴. They stand in the buffer, which is made larger if need be.
func Words(buffer *[]uint32, n int, key, stream, offset uint64) []uint32 {
	skip := int(offset % 4)
	size := (skip + n + philoxWords - 1) / philoxWords * philoxWords
	if cap(*buffer) < size {
		*buffer = make([]uint32, size)
	}
	words := (*buffer)[:size]
	active().philox(words, key, stream, offset/4)
	return words[skip : skip+n]
}

// DropWords is [Dropout] with words that [Words] has made.
func DropWords(dst, x []float32, words []uint32, prob float32) {
	sameLen("DropWords", "dst", len(dst), "x", len(x))
	sameLen("DropWords", "dst", len(dst), "words", len(words))
	checkProb("DropWords", prob)
	if prob == 1 {
		clear(dst)
		return
	}
	threshold, scale := DropThreshold(prob)
	active().dropout(dst, x, words, threshold, scale)
}

// Uniform draws numbers evenly from -bound to bound. Element i is the word of [Dropout]'s element offset+i, as a signed number over 2³¹, times
// bound. The result is the same on every instruction set, bit for bit.
func Uniform(dst []float32, bound float32, key, stream, offset uint64) {
	buffer := bitsBuffers.Get().(*[bitsChunk]uint32)
	defer bitsBuffers.Put(buffer)
	memory := buffer[:]
	for len(dst) > 0 {
		part := dst[:min(len(dst), bitsChunk-3)]
		for i, word := range Words(&memory, len(part), key, stream, offset) {
			part[i] = float32(int32(word)) * (1.0 / (1 << 31)) * bound
		}
		dst, offset = dst[len(part):], offset+uint64(len(part))
	}
}
