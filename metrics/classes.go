package metrics

import (
	"fmt"
	"math"
)

// Accuracy is the share of N examples whose class was predicted, from 0 to 1; NaN for none. pred and
// gold have the N classes.
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

// Matthews is the correlation of two classes, 0 and 1, from -1 to 1:
//
//	(tp*tn - fp*fn) / sqrt((tp+fp)(tp+fn)(tn+fp)(tn+fn)),
//
// where tp counts the examples of class 1 that were taken for it, fn those taken for 0, and so on. It
// is NaN where a row or a column of this table is empty. As in the reference, an example with
// another class on either side is not counted.
//
// Differs from the reference: the products are float64 and cannot overflow.
//
// Source: B. W. Matthews, "Comparison of the predicted and observed secondary structure of T4 phage
// lysozyme", 1975.
func Matthews(pred, gold []int) float64 {
	t := newTable(pred, gold)
	norm := math.Sqrt((t.tp + t.fp) * (t.tp + t.fn) * (t.tn + t.fp) * (t.tn + t.fn))
	return (t.tp*t.tn - t.fp*t.fn) / norm
}

// Confusion counts examples by gold class (row) and predicted class (column). The result has classes
// rows of classes counts. It panics at a class that is not from 0 to classes-1.
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
