// Package decode writes texts: beam search, greedy decoding and sampling with a
// [model.Generator].
//
// A source is a text, or an image, with the names of its objects and a text or without. It is read once. The keys and
// values of its regions and tokens are kept and looked at by all
// of its hypotheses; those of a token that was written are kept once and shared by every
// hypothesis that continues it, so that nothing is copied when hypotheses are reordered. Hypotheses
// that have ended and sources that are done are not computed any more. Sources of different
// lengths are decoded together, without padding, as many at a time as Options.MaxMemory allows.
//
// # Beam search
//
// A target starts with [CLS] and ends with [MASK], unless [Decoder] has another End. Each step, every hypothesis that has not ended
// offers its BeamSize likeliest next tokens; one that has ended offers itself. Of the offers of a source the
// BeamSize best live on. A source is done when all of them have ended, or at MaxLength. With t tokens written,
// the end included,
//
//	sum   = Σ log p(token) - 65000 for each trigram that was repeated
//	score = sum / ((5+t)/6)^LengthPenalty
//
// and the score of a hypothesis that has ended stays as it is. [MASK] is forbidden, before the
// softmax, for the first MinLength tokens. A trigram is three full words; a token starts
// one if its text starts with a space. Sums are float64, of float32 logits.
//
// Greedy decoding is beam search with BeamSize 1.
//
// # Sampling
//
// The next token is drawn from softmax(logits/Temperature), of the TopK likeliest tokens only, and of these of
// the fewest likeliest ones whose probability reaches TopP. Every source has a random stream of its own, made
// from Seed and the source's number: what is drawn does not depend on the other sources.
//
// # Files
//
//	options.go   what can be set
//	decoder.go   sources in, results out, batch by batch
//	memory.go    what a batch takes, and how batches are cut
//	batch.go     the steps of one batch
//	beam.go      the hypotheses of one source
//	sample.go    drawing a token
//	trigram.go   repeated trigrams
//	text.go      ids into text, all at once or as they come
//
// Source: PaddlePaddle/Research, NLP/UNIMO/src/finetune/seq2seq.py and trigram_blocking.py, and the
// operators beam_search and beam_search_decode of PaddlePaddle 1.8. Of equal scores the first
// found counts here; there it is the last of the later hypothesis.
package decode
