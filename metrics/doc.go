// Package metrics scores predictions against gold answers in float64.
//
// The definitions of the scores of classes are those of the reference's GLUE evaluation
// (NLP/UNIMO/src/eval/glue_eval.py), including what it does where a quotient is
// 0/0: the score is NaN, which says "undefined", and never a 0 that would look
// like a measurement. Callers that choose a best model must treat NaN as worse
// than every number.
//
// Letters: n examples, k classes, tp/tn/fp/fn the cells of the two-class table
// in which class 1 is "positive".
//
//	classes.go      Accuracy, Matthews, F1, AccuracyAndF1, Confusion
//	perclass.go     PerClass, MacroF1
//	correlation.go  Pearson, Spearman
//	ranking.go      MRR, MAP over ranked answers
//	recall.go       Recall of retrieval: Ranking, over a matrix of scores
//	interval.go     WilsonInterval: how much an accuracy may be believed
//	bleu.go         BLEU and ROUGE-L of captions and questions; the reference's BLEU
//	rouge.go        ROUGE-1.5.5 with its bootstrap; its stemmer is in porter.go
//	meteor.go       METEOR 1.5; its words are in meteorwords.go, WordNet in wordnet.go
//	coqa.go         CoQA's F1 and exact match
//	words.go        words and n-grams; Distinct, AverageLength, BasicTokens
//
// # Texts
//
// The scores of texts are those of the official programs, to the last digit that these
// print; testdata has what they said. They take N hypotheses and N lists of references
// and are fractions of 1. Hypotheses and references may be empty, and any bytes: what
// is not UTF-8 is a character that nothing writes. A text without references is
// compared with the empty text. docs/reference/metrics.md says what each score counts.
//
// Slices of different lengths are a programmer's mistake and panic. All
// functions are pure and keep no reference to their arguments.
package metrics
