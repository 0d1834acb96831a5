// Package engine says what a model computes with: float32 matrices ([Tensor]) in
// the memory of a [Device], and some sixty operations that a device offers.
//
// The model, its gradients and the optimiser use nothing else, so another device
// joins by implementing [Device] and touches no code above this package. Package
// cpu holds the one that exists today.
//
// # Packed sequences
//
// The texts of a batch stand one after another in one matrix, a row per token,
// without padding. Offsets (len B+1, first 0, last N) say where each begins.
// Only attention looks at them; every other operation treats the N tokens alike.
//
// # Shape letters
//
//	B  sequences of a batch        H  hidden size
//	N  tokens of a batch           A  attention heads, D = H/A
//	T  tokens of one sequence      V  vocabulary, C classes
//
// # Conventions
//
// Destination first. Names of gradients are d + name. Operations overwrite their
// destinations, the backward ones too, unless they are asked to accumulate. A destination
// may alias an input only where the operation says so. Shapes are the caller's
// responsibility: a mismatch is a programmer's mistake and panics with a
// [ShapeError] before anything is written.
package engine
