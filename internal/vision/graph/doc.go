// Package graph runs the graphs of TensorFlow.js: convolution networks over one picture, as its converter writes them.
//
//	definition.go  Parse: the nodes of a model.json
//	array.go       values that are known before a picture is: constants, and what follows from them
//	builder.go     from nodes to vertices: the few operations that run, on matrices of pixels x channels
//	ops.go         what each operation of TensorFlow becomes
//	simplify.go    what convolutions take over from the operations around them
//	program.go     Run
//
// # Layout
//
// A tensor of one picture, N x H x W x C with N = 1, is an engine tensor of H·W rows and C columns. A graph that came from
// PyTorch transposes to N x C x H x W and back around every convolution. Here a transposition moves no number: a tensor
// has axes, the order in which its dimensions lie, and operations look at those. Only where an operation needs another
// order, numbers are moved.
//
// # What is supported
//
// [Supported] lists the operations. Every shape must be known when the graph is opened, so loops and conditions do not occur.
package graph
