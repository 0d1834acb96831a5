// Package pretrain makes the batches of UNIMO's pre-training and their losses.
//
// Three kinds of collections are mixed in a set ratio of tokens: texts, images, and pairs of both.
// A batch is of one kind:
//
//	texts   masked language modelling, or (half of the time) seq2seq generation of fragments
//	images  masked region features and classes
//	pairs   all of these on the joint sequence, and cross-modal contrastive learning (CMCL)
//
// CMCL has two parts. Each pair's image is scored, read jointly, with its caption and
// paraphrases (positives) and with rewritten captions (hard negatives). And each image and each
// caption is encoded alone, beside images and texts that were retrieved for the pair from collections
// of one kind: these are weak positives, and whatever belongs to the other pairs of the batch is a
// negative. Both parts have the loss
//
//	-log( Σ_positives exp(d/t) / Σ_positives+negatives exp(d/t) )
//
// A [Feed] draws samples from streams, prepares batches ahead of the model, and knows
// its place to the sample. What a batch holds is a function of the seed, its number and its
// samples.
//
//	recipe.go    what can be set
//	prepare.go   a sample becomes tokens and regions, some of them hidden
//	contrast.go  what is compared with what
//	feed.go      order of kinds, prefetching, state
//	resources.go what CMCL looks up: the lexicon of rewriting and the index of related samples
//	loss.go      the objectives
//	step.go      comparison with all batches of a step
//
// Source: section 3 of the paper (arXiv 2012.15409), whose code was never released; docs/design/pretraining.md
// says what it leaves open and what was chosen here.
package pretrain
