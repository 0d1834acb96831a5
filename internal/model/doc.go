// Package model is UNIMO itself: its configuration, its parameters by the
// reference's names, the text encoder and the heads on top.
//
// The constructors declare every parameter (name, shape, how it starts) as they
// build; the same code therefore lists what an architecture needs ([Specs]), makes
// a fresh model, and loads a checkpoint. Weights are [in, out], y = x·W + b.
//
//	config.go      config.json with the reference's field names
//	params.go      declaring, initialising and loading parameters
//	encoder.go     embeddings and Transformer layers over packed sequences
//	classifier.go  pooled text, classification and regression heads
//	generator.go   language head, loss, and decoding with cached keys and values
//	table.go       architectures by name, for inspecting checkpoints
//
// Shape letters are those of package engine. Source: Li et al. 2021, section 2;
// PaddlePaddle/Research, NLP/UNIMO/src/model.
package model
