// Package model is UNIMO itself: its configuration, its parameters by the
// reference's names, the encoder of texts and images, and the heads on top.
//
// The constructors declare every parameter (name, shape, how it starts) as they
// build; the same code therefore lists what an architecture needs ([Specs]), makes
// a fresh model ([New]), and opens a checkpoint ([Open]). Weights are [in, out], y = x·W + b.
//
//	model.go       what all kinds of models have in common, and the constructors
//	table.go       the forms of UNIMO: a new head is a row here
//	config.go      config.json with the reference's field names
//	params.go      declaring, initialising and loading parameters
//	huggingface.go RoBERTa's and BERT's checkpoints of transformers as ours
//	encoder.go     embeddings and Transformer layers over packed sequences
//	classifier.go  pooled text, classification and regression heads
//	images.go      regions of images and their embedding
//	multimodal.go  sequences of an image, objects' names and a text
//	retriever.go   scores of images with texts, vectors of each alone, their losses
//	pretrainer.go  all heads together, and losses of what is hidden
//	generator.go   language head, loss, and decoding with cached keys and values
//
// # Retrieval
//
// A [Retriever] computes what depends on an image or a text alone once, as a [Part], and then scores any
// pairs of a part of images with a part of texts. In training both parts and the pairs of a batch's groups are made on one tape. In
// evaluation [Part.Keep] takes parts out of the pass, so that they serve the blocks of a large matrix of scores.
//
// # Pre-training
//
// A [Pretrainer] takes a batch of [Hidden] through the encoder once, for all that is predicted in it: in the last layer
// only these rows are computed. Contrastive learning goes through the parts of its [Retriever], so that pairs that
// share an image share its input work.
//
// Shape letters are those of package engine; R regions of a batch of images, E features of each, P pairs. Source: Li et al. 2021, section 2;
// PaddlePaddle/Research, NLP/UNIMO/src/model.
package model
