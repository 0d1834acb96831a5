package synth

import "github.com/unimo-go/unimo/internal/base/random"

// chance is true with probability p.
func chance(s *random.Stream, p float64) bool { return s.Float64() < p }

// pick returns one of the options, all equally likely. There must be one.
func pick[T any](s *random.Stream, options []T) T { return options[s.IntN(len(options))] }
