package metrics

import (
	"fmt"
	"math"
)

// f1Guard is added to precision + recall by the reference. It shifts a perfect
// score to 0.999999995; it is kept because scores must equal the reference's.
const f1Guard = 1e-8

// Accuracy is the share of examples whose class was predicted, NaN for none.
func Accuracy(pred, gold []int) float64 {
	checkLengths(len(pred), len(gold))
	return float64(Correct(pred, gold)) / float64(len(gold))
}

// Correct counts the examples whose class was predicted.
func Correct(pred, gold []int) int {
	checkLengths(len(pred), len(gold))
	n := 0
	for i, p := range pred {
		if p == gold[i] {
			n++
		}
	}
	return n
}

// Matthews is the correlation coefficient of two classes,
//
//	(tp*tn - fp*fn) / sqrt((tp+fp)(tp+fn)(tn+fp)(tn+fn)),
//
// NaN where a row or a column of the table is empty. As in the reference,
// examples with a class other than 0 and 1 on either side are not counted.
//
// Differs from the reference: the products are float64 and cannot overflow.
func Matthews(pred, gold []int) float64 {
	t := newTable(pred, gold)
	norm := math.Sqrt((t.tp + t.fp) * (t.tp + t.fn) * (t.tn + t.fp) * (t.tn + t.fn))
	return (t.tp*t.tn - t.fp*t.fn) / norm
}

// F1 is the harmonic mean of precision and recall of class 1, with the
// reference's 1e-8 in the denominator. It is NaN if class 1 was never predicted
// or does not occur.
func F1(pred, gold []int) float64 {
	t := newTable(pred, gold)
	precision := t.tp / (t.tp + t.fp)
	recall := t.tp / (t.tp + t.fn)
	return 2 * precision * recall / (precision + recall + f1Guard)
}

// AccuracyAndF1 returns both and their mean, the reference's "acc_and_f1".
func AccuracyAndF1(pred, gold []int) (accuracy, f1, mean float64) {
	accuracy, f1 = Accuracy(pred, gold), F1(pred, gold)
	return accuracy, f1, (accuracy + f1) / 2
}

// Confusion counts examples by gold class (row) and predicted class (column);
// the result is [classes][classes]. A class outside [0, classes) panics.
func Confusion(pred, gold []int, classes int) [][]int {
	checkLengths(len(pred), len(gold))
	cells := make([]int, classes*classes)
	rows := make([][]int, classes)
	for i := range rows {
		rows[i] = cells[i*classes : (i+1)*classes : (i+1)*classes]
	}
	for i, p := range pred {
		rows[gold[i]][p]++
	}
	return rows
}

// table is the two-class contingency table, as float64 so that 0/0 is NaN.
type table struct{ tp, tn, fp, fn float64 }

func newTable(pred, gold []int) (t table) {
	checkLengths(len(pred), len(gold))
	for i, p := range pred {
		switch [2]int{gold[i], p} {
		case [2]int{1, 1}:
			t.tp++
		case [2]int{0, 0}:
			t.tn++
		case [2]int{0, 1}:
			t.fp++
		case [2]int{1, 0}:
			t.fn++
		}
	}
	return t
}

func checkLengths(pred, gold int) {
	if pred != gold {
		panic(fmt.Sprintf("metrics: %d predictions for %d gold answers", pred, gold))
	}
}
