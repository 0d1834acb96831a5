// Package model is UNIMO itself: its configuration, its parameters by the
// reference's names, the encoder of texts and images, and the heads on top.
//
// The constructors declare every parameter (name, shape, how it starts) as they
// build; the same code therefore lists what an architecture needs ([Specs]), makes
// a fresh model ([New]), and opens a checkpoint ([Open]). Weights are [in, out], y = x·W + b.
//
//	model.go       what all models have in common, and the constructors
//	table.go       the forms of UNIMO: a new head is a row here
//	config.go      config.json with the reference's field names
//	params.go      declaring, initialising and loading parameters
//	huggingface.go models of transformers and of PaddleNLP as ours
//	input.go       what is read: regions, objects' names and words; packing and checking it
//	encoder.go     embeddings and Transformer layers over packed sequences: every head stands on it
//	images.go      embedding of regions
//	classifier.go  classification and regression of texts, classification of images with texts
//	retriever.go   scores of images with texts, vectors of each alone, their losses
//	pretrainer.go  all heads together, and losses of what is hidden
//	generator.go   language head, loss, and decoding with cached keys and values
//
// # Input
//
// There is one type of input for all heads. An [Input] is a batch of sequences of up to three parts: the regions of an
// image, the names of the objects in it, and a text.
//
//	var in model.Input
//	in.Text.Append(tokens)                   // a text to classify
//	in.Text.AppendTarget(source, target)     // a text to learn to write
//	in.Images.Append(image)                  // with a text: a pair; alone: what a caption is written for
//
// # Retrieval
//
// A [Retriever] computes what depends on an image or a text alone once, as a [Side], and then scores any
// pairs of images with texts. In training both sides and the pairs of a batch's groups are made on one tape. In
// evaluation [Side.Keep] takes sides out of the pass, so that they serve the blocks of a large matrix of scores.
//
// # Pre-training
//
// A [Pretrainer] takes a batch of [Hidden] through the encoder once, for all that is predicted in it: in the last layer
// only these rows are computed. Contrastive learning goes through the sides of its [Retriever], so that pairs that
// share an image share its input work.
//
// Shape letters are those of package engine; R regions of a batch of images, E features of each, P pairs. Source: Li et al. 2021, section 2;
// PaddlePaddle/Research, NLP/UNIMO/src/model.
package model
