// Package metrics scores predictions against gold answers in float64.
//
// The definitions are those of the reference's GLUE evaluation
// (NLP/UNIMO/src/eval/glue_eval.py), including what it does where a quotient is
// 0/0: the score is NaN, which says "undefined", and never a 0 that would look
// like a measurement. Callers that choose a best model must treat NaN as worse
// than every number.
//
// Letters: n examples, k classes, tp/tn/fp/fn the cells of the two-class table
// in which class 1 is "positive".
//
//	classes.go      Accuracy, Matthews, F1, AccuracyAndF1, Confusion
//	correlation.go  Pearson, Spearman
//	ranking.go      MRR, MAP over ranked answers
//	interval.go     WilsonInterval: how much an accuracy may be believed
//
// Slices of different lengths are a programmer's mistake and panic. All
// functions are pure and keep no reference to their arguments.
package metrics
