// Package metrics scores predictions, texts and rankings against what was right.
//
//	pred, gold := []int{1, 1, 0, 1, 0}, []int{1, 1, 0, 0, 1}
//	metrics.Accuracy(pred, gold) // 0.6
//	metrics.WilsonInterval(3, 5) // 0.23, 0.88: what three of five is worth
//
//	metrics.ROUGE([]string{"the cat sat"}, [][]string{{"a cat sat down"}}, metrics.ROUGEOptions{})
//
// # What is where
//
//   - Classes: [Accuracy], [Matthews], [MacroF1], [PerClass], [Confusion].
//   - Numbers: [Pearson], [Spearman].
//   - Texts: [ROUGE], [BLEU], [METEOR], [CaptionROUGEL], [CIDErD], [CIDEr], [CoQA], [VQA], [Distinct];
//     words: [PTBTokenize] for captions, [BasicTokens].
//   - Rankings of images and texts: [Ranking], [Recall].
//   - How much a score may be believed: [WilsonInterval], [Bootstrap]; whether two differ:
//     [McNemar], [Permutation]. How much a probability may be: [ExpectedCalibrationError], [Reliability].
//
// # Rules
//
// Scores are float64 fractions of 1, where papers print percentages; those of CIDEr go to 10. A score that is undefined
// (0/0) is NaN and never a 0 that would look like a measurement. Who picks the best of several
// takes NaN for worse than every number.
//
// Scores of texts take N hypotheses and N lists of references. They are those of the official
// programs, to the last digit that these print: [ROUGE] of ROUGE-1.5.5, [METEOR] of METEOR 1.5,
// [BLEU], [CaptionROUGEL] and [CIDErD] of coco-caption, [CoQA] of evaluate-v1.0.py, [VQA] of
// vqaEval.py. A text may be empty, and may hold any bytes. A text without references is compared
// with the empty text.
// Scores of classes and numbers are those of the GLUE evaluation of UNIMO. docs/reference/metrics.md
// of the module says what each score counts.
//
// Functions of two lists panic where these differ in length: that is a mistake in the program.
// Only [OpenWordNet] and [OpenMETEOR] read files and return errors. Nothing here keeps its arguments or has
// state; all functions may be called from several goroutines at once. A [Ranking] may not.
package metrics
