// Package rewrite makes wrong captions out of right ones: the hard negatives of UNIMO's
// cross-modal contrastive learning at the level of words and phrases.
//
// A [Parser] finds what a caption says: objects ("dog", "soccer ball"), their attributes
// ("brown", "two") and relations (verbs and places: "holding", "in front of"). A [Lexicon]
// counts what occurs in a corpus. A [Rewriter] replaces a part by another of the same kind
// that the corpus has in the same grammatical form, never by a synonym and never by what
// a caption of the image says.
//
// Parts of speech come from an averaged perceptron for English; all else is rules, which
// expect the short sentences that describe pictures. What they do not understand has no
// objects and is not rewritten.
//
// [ReadParaphrases] reads what a user brings as positives: other wordings of captions,
// for example back-translations.
package rewrite
