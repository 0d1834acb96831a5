package synth

import "math/rand/v2"

// stream is a seeded source of choices. Two streams of one seed with different
// purposes are independent, so that asking for more of one set of examples
// leaves the other as it was.
type stream struct{ rand *rand.Rand }

// newStream returns the stream of a seed and a purpose.
func newStream(seed, purpose uint64) *stream {
	return &stream{rand.New(rand.NewPCG(seed, purpose))}
}

// chance is true with probability p.
func (s *stream) chance(p float64) bool { return s.rand.Float64() < p }

// pick returns one of the options, all equally likely. There must be one.
func pick[T any](s *stream, options []T) T { return options[s.rand.IntN(len(options))] }
