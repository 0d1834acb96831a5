// Package cpu is the engine's device on this machine's processor.
//
// It splits every operation into tasks for the worker pool and calls the loops
// of package kernels on each. How the work is split depends on shapes only and no
// sum is ever divided by thread, so results are the same bits for any number of
// threads. [NewLimited] bounds their number.
//
//	memory.go     tensors over recycled float32 slices
//	loop.go       parallel loops that allocate nothing
//	dense.go      products, elementwise operations, rows by index
//	norm.go       layer norm, alone and with residual and dropout; rows to length 1
//	attention.go  attention over packed sequences, all of them or causal behind a prefix
//	attention_cached.go  attention of a step of decoding
//	loss.go       losses
//	vocabulary.go the loss over a vocabulary, fused with its product
//	topk.go       the largest elements of rows
//	convolution.go  convolutions and activations of pictures
//	chain.go      convolutions one after the other, a few rows at a time
//	picture.go    pools, resizing, columns beside each other
//	optimiser.go  sums of squares and Adam, on all rows or on some
//	ascent.go     steps of attacks
//	factored.go   Adam with the second moment of Adafactor
package cpu
