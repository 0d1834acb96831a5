// Command bow is the trivial baseline of SST-2: logistic regression on a bag of
// words, against which a neural model has to justify its cost.
//
//	go run ./bench/bow --data ../shared/data/sst2
//
// A text is the set of its words (unigrams), or of its words and pairs of
// neighbouring words (bigrams), white space apart and lower-cased; the weights
// minimise
//
//	mean log loss + lambda/2 * |weights|^2
//
// by L-BFGS. The run is deterministic.
//
// Nothing of dev is looked at before the last line: the vocabulary is that of
// train, and lambda is chosen on a part of train that is held out. SST-2's training lines
// are phrases cut from the same sentences, so a random part would be met again
// in the rest; lines that share text with the held-out ones are left out of
// the fit that is judged by them (see split.go). The final fit uses all of train.
package main
