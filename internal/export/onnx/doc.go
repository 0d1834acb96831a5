// Package onnx writes models as graphs of ONNX, for ONNX Runtime and others that read them.
//
//	export.go       what is written of which model; the folder
//	card.go         its README, with a program that runs
//	forms.go        the graphs: inputs, heads, outputs
//	transformer.go  what they have in common: embeddings and layers
//	graph.go        a graph that is being built
//	write.go        its file
//	proto.go        the messages that the file is made of
//
// A graph is made of the model's configuration and parameters, whose names its tensors have. Texts and pictures are padded and have
// masks, as ONNX's users know them. Files are written piece by piece: a large model is in memory once.
package onnx
