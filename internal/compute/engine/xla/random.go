package xla

import (
	"slices"
	"strconv"
	"sync"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// stream is the key and the stream of a generator as inputs: they change from step to step.
func (d *Device) stream(key, stream uint64) operand {
	return d.words(uint32(key), uint32(key>>32), uint32(stream), uint32(stream>>32))
}

// words are the random words of elements 0 to n-1: the project's Philox4x32-10 (see kernels.Dropout) with what [Device.stream] sent.
func (b *builder) words(stream val, n int) val {
	if n == 0 {
		return b.integer(pjrt.U32, 0, 0)
	}
	if !b.philox() {
		return b.wordsAt(stream, b.iota(pjrt.U32, 0, n))
	}
	half := func(i int) val { return b.slice(stream, []int{i}, []int{i + 1}) }
	long := func(i int) val {
		upper := b.binary("shift_left", b.convert(half(i+1), pjrt.U64), b.integer(pjrt.U64, 32, 1))
		return b.binary("or", b.convert(half(i), pjrt.U64), upper)
	}
	return b.generate(b.concatenate(0, long(0), b.integer(pjrt.U64, 0, 1), long(2)), n)
}

// generate makes words of the state of the plugin's generator: the key, the first counter, the stream.
func (b *builder) generate(state val, n int) val {
	b.n++
	v := val{"%v" + strconv.Itoa(b.n) + "#1", pjrt.U32, []int{n}}
	b.text.WriteString("    %v" + strconv.Itoa(b.n) + ":2 = \"stablehlo.rng_bit_generator\"(" + state.name +
		") <{rng_algorithm = #stablehlo<rng_algorithm PHILOX>}> : (" + state.tensor() + ") -> (" + state.tensor() + ", " + v.tensor() + ")\n")
	return v
}

// wordsAt are the words of the elements with these indices, which are u32 or u64 of any shape. Each makes a block of four words of which
// it needs one; so it is for elements that lie in another order than their indices.
func (b *builder) wordsAt(stream, at val) val {
	number := func(x int64) val { return b.integer(pjrt.U32, x, at.dims...) }
	words := b.blocks(stream, b.binary("shift_right_logical", at, b.integer(at.typ, 2, at.dims...)))
	place := b.binary("and", b.convert(at, pjrt.U32), number(3))
	word := words[3]
	for i := range 3 {
		word = b.choose(b.compare("EQ", place, number(int64(i))), words[i], word)
	}
	return word
}

// blocks are the words of elements 4n to 4n+3 for each of these n, which are u32 or u64 of any shape.
func (b *builder) blocks(stream, n val) [4]val {
	dims := n.dims
	number := func(x uint32) val { return b.integer(pjrt.U32, int64(x), dims...) }
	wide := func(x val) val { return b.convert(x, pjrt.U64) }
	upper := func(x val) val {
		return b.convert(b.binary("shift_right_logical", x, b.integer(pjrt.U64, 32, dims...)), pjrt.U32)
	}
	part := func(i int) val { return b.fill(b.slice(stream, []int{i}, []int{i + 1}), dims...) }
	multiply := func(x val, factor int64) (hi, lo val) {
		p := b.multiply(wide(x), b.integer(pjrt.U64, factor, dims...))
		return upper(p), b.convert(p, pjrt.U32)
	}
	xor := func(x, y, z val) val { return b.binary("xor", b.binary("xor", x, y), z) }

	c := [4]val{b.convert(n, pjrt.U32), number(0), part(2), part(3)}
	if n.typ == pjrt.U64 {
		c[1] = upper(n)
	}
	k := [2]val{part(0), part(1)}
	for round := range 10 {
		if round > 0 {
			k[0], k[1] = b.add(k[0], number(0x9E3779B9)), b.add(k[1], number(0xBB67AE85))
		}
		hi0, lo0 := multiply(c[0], 0xD2511F53)
		hi1, lo1 := multiply(c[2], 0xCD9E8D57)
		c = [4]val{xor(hi1, c[1], k[0]), lo1, xor(hi0, c[3], k[1]), lo0}
	}
	return c
}

// drop keeps the elements of x, and multiplies them, whose words say so, as kernels.Dropout does.
func (b *builder) drop(x, words val, prob float32) val {
	if prob == 1 {
		return b.like(x, 0)
	}
	threshold, scale := kernels.DropThreshold(prob)
	kept := b.compare("GE", words, b.integer(pjrt.U32, int64(threshold), x.dims...))
	return b.choose(kept, b.times(x, float64(scale)), b.like(x, 0))
}

// dropRows is drop of a tensor's rows: element i, row by row, has word i. A probability of 0 needs no stream.
func (b *builder) dropRows(x, stream val, prob float32) val {
	if prob == 0 {
		return x
	}
	return b.drop(x, b.reshape(b.words(stream, x.dims[0]*x.dims[1]), x.dims...), prob)
}

// dropout sends what a dropout needs.
func (d *Device) dropout(o engine.Dropout) operand {
	if o.Prob == 0 {
		return absent
	}
	return d.stream(o.Key, o.Stream)
}

// generator says whether a plugin's generator is the project's, which the language leaves open. It is found out once.
type generator struct {
	once sync.Once
	same bool
}

func (s *shared) philox() bool {
	s.generator.once.Do(func() { s.generator.same = s.tryPhilox() })
	return s.generator.same
}

// tryPhilox compares the first words.
func (s *shared) tryPhilox() bool {
	const n = 1025
	state := []uint64{0x0123456789abcdef, 0, 0xfedcba9876543210}
	b := newBuilder(builderOptions{})
	argument := val{"%state", pjrt.U64, []int{len(state)}}
	words := b.generate(argument, n)
	text := "module @unimo {\n  func.func public @main(" + argument.name + ": " + argument.tensor() + ") -> (" + words.tensor() + ") {\n" +
		b.text.String() + "    return " + words.name + " : " + words.tensor() + "\n  }\n}\n"
	check, err := s.options.compile(s.client, []byte(text), pjrt.CompileOptions{Device: s.first, Replicas: 1, Name: "the program that checks random numbers"})
	if err != nil {
		return false
	}
	in, out := s.client.NewBuffer(), s.client.NewBuffer()
	must(s.client.Upload(in, s.first, pjrt.U64, argument.dims, bytesOf(state)))
	must(s.client.Execute(check.executable, [][]pjrt.Buffer{{in}}, [][]pjrt.Buffer{{out}}))
	got, buffer := make([]uint32, n), []uint32(nil)
	must(s.client.Download(out, bytesOf(got)))
	must(s.client.Free(in, out))
	must(s.client.FreeExecutable(check.executable))
	return slices.Equal(got, kernels.Words(&buffer, n, state[0], state[2], 0))
}
