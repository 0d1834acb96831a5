// Package cpu is the engine's device on this machine's processor.
//
// It splits every operation into tasks for the worker pool and calls the loops
// of package kernels on each. How the work is split depends on shapes only and no
// sum is ever divided by thread, so results are the same bits for any number of
// threads.
//
//	memory.go     tensors over recycled float32 slices
//	dense.go      products, bias, elementwise operations, norm, rows by index
//	attention.go  attention over packed sequences
//	loss.go       losses and the optimiser
package cpu
