// Package autograd records operations on a tape and runs it backwards.
//
// A [Var] is a tensor that may need a gradient. Each method of [Tape] computes
// its result at once and, on a recording tape, remembers how to pass the result's
// gradient to its inputs. [Tape.Backward] replays these in reverse order and frees
// every intermediate tensor as soon as nothing later needs it. Gradients of
// parameters accumulate over calls until they are cleared; see [Gradient].
//
// On a tape that does not record (evaluation, prediction) nothing is remembered,
// dropout does nothing, and [Tape.Block] frees what a block of operations leaves
// behind.
//
// Source: reverse-mode differentiation as in any framework; formulas beside the
// operations in ops.go, and in losses.go those of losses that belong to one recipe.
package autograd
