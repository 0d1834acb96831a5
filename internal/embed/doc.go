// Package embed makes vectors of texts and of pictures: numbers in which what means the same lies close together.
//
//	embed.go      Open: which vectors a folder's model has; the vectors of texts and pictures
//	sentence.go   what a sentence-transformers folder says of how its vectors are made
//	tokens.go     the rows of a sequence themselves
//	pooling.go    one vector of the rows of a sequence
//	dense.go      affine maps behind the pooling
//	write.go      files of vectors: NumPy, safetensors
//
// A model for retrieval has vectors of its own, of texts and of pictures in one space. Of any other model that reads texts the last
// layer's rows are pooled:
//
//	[CLS] a b c [SEP] --encoder--> 5 x H --pooling--> 1 x P --dense, ...--> 1 x D --normalize--> 1 x D
//
// Everything behind the encoder is what sentence-transformers 6.2 does with the same folder; the numbers agree within 1e-5.
package embed
