// Package rank finds pictures for texts and texts for pictures with a
// [model.Retriever].
//
// A retriever has two opinions on an image and a text. The cheap one is the inner product
// of two vectors, each made from one of them alone. The full one is the match score, for which
// both go through the model together. From these follow
//
//   - [Scorer.Exhaustive]: the match score of every image with every text, the reference's
//     protocol; with a [ScoreFolder] it can be interrupted and goes on where it stopped;
//   - [Scorer.TwoStage]: the N best by vectors, put in order by their match scores;
//   - [Index] and [Searcher]: the vectors and regions of a folder of pictures on disk, and
//     two-stage search in it. The index is exact: every vector is looked at.
//
// Work that depends on one image or one text alone (its embedding and the first layer's
// query, key and value) is done once for a block of images and a block of texts; the pairs take
// it from there. Scores go straight to the ranking: no matrix of all pairs is kept.
//
// # Files
//
//	scorer.go      batches of images, texts and pairs through the model
//	exhaustive.go  every pair
//	scorefolder.go the scores of an evaluation on disk
//	twostage.go    candidates by vectors, order by match scores
//	nearest.go     the nearest vectors
//	index.go       vectors and regions of pictures on disk
//	search.go      queries
//
// Source of the protocol: PaddlePaddle/Research, NLP/UNIMO/src/eval/img_eval.py.
package rank
