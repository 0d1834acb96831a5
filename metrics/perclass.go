package metrics

// ClassScore is how well one class is told from the others. Precision, Recall and F1 are fractions
// of 1.
type ClassScore struct {
	Gold, Predicted       int // how many examples are of the class, and how many were taken for it
	Precision, Recall, F1 float64
}

// PerClass returns the scores of every class of a matrix of [Confusion]. A share of nothing is 0, as
// in scikit-learn.
func PerClass(confusion [][]int) []ClassScore {
	scores := make([]ClassScore, len(confusion))
	for gold, row := range confusion {
		for pred, n := range row {
			scores[gold].Gold += n
			scores[pred].Predicted += n
		}
	}
	for i := range scores {
		s, right := &scores[i], float64(confusion[i][i])
		if s.Predicted > 0 {
			s.Precision = right / float64(s.Predicted)
		}
		if s.Gold > 0 {
			s.Recall = right / float64(s.Gold)
		}
		if all := s.Gold + s.Predicted; all > 0 {
			s.F1 = 2 * right / float64(all)
		}
	}
	return scores
}

// MacroF1 is the mean of F1 over the classes of a matrix of [Confusion] that occur among the examples
// or the predictions, as scikit-learn's f1_score with average="macro". It is NaN where none does.
func MacroF1(confusion [][]int) float64 {
	sum, n := 0.0, 0
	for _, s := range PerClass(confusion) {
		if s.Gold+s.Predicted > 0 {
			sum += s.F1
			n++
		}
	}
	return sum / float64(n)
}
