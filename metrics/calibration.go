package metrics

import "math"

// ExpectedCalibrationError returns how far probabilities are from how often what they are of was right: the mean, over bins of equal
// width between 0 and 1, of the distance between a bin's mean probability and its mean of right, weighted with how many fall into it
// (Guo et al. 2017, section 2). right[i] is 1 or 0, or how right the answer was. Of nothing it is NaN.
//
// For labels the probabilities are those of the likeliest class. bins is 15 in most papers. Lengths that differ, or no bins, panic.
func ExpectedCalibrationError(probabilities, right []float64, bins int) float64 {
	var sum float64
	for _, b := range Reliability(probabilities, right, bins) {
		sum += float64(b.Count) * math.Abs(b.Probability-b.Right)
	}
	return sum / float64(len(probabilities))
}

// ReliabilityBin is what falls into one bin.
type ReliabilityBin struct {
	Count       int
	Probability float64 // the mean
	Right       float64 // the mean
}

// Reliability returns what [ExpectedCalibrationError] is of, bin by bin from 0 up: a probability on a bound belongs to the bin above. The
// means of an empty bin are 0.
func Reliability(probabilities, right []float64, bins int) []ReliabilityBin {
	if len(probabilities) != len(right) || bins < 1 {
		panic("metrics: probabilities and answers of different numbers, or no bins")
	}
	list := make([]ReliabilityBin, bins)
	for i, p := range probabilities {
		b := &list[max(0, min(int(p*float64(bins)), bins-1))]
		b.Count++
		b.Probability += p
		b.Right += right[i]
	}
	for i := range list {
		if n := float64(list[i].Count); n > 0 {
			list[i].Probability /= n
			list[i].Right /= n
		}
	}
	return list
}
