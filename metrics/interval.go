package metrics

import (
	"fmt"
	"math"
)

// z95 is the 0.975 quantile of the standard normal distribution: 95 % lie within
// that many standard deviations of the mean.
const z95 = 1.959963984540054

// WilsonInterval returns the 95 % confidence interval of an accuracy of correct/total: the true
// accuracies that a test of this size cannot tell from the measured one. It stays within 0 and 1 and
// holds at 0 % and 100 %, too. With total = 0 nothing is known: 0, 1. It panics unless 0 <= correct <=
// total.
//
// Source: E. B. Wilson, "Probable inference, the law of succession, and
// statistical inference", JASA 22 (1927).
func WilsonInterval(correct, total int) (lo, hi float64) {
	if correct < 0 || total < 0 || correct > total {
		panic(fmt.Sprintf("metrics: interval of %d correct of %d", correct, total))
	}
	if total == 0 {
		return 0, 1
	}
	n := float64(total)
	p := float64(correct) / n
	centre := (p + z95*z95/(2*n)) / (1 + z95*z95/n)
	half := z95 / (1 + z95*z95/n) * math.Sqrt(p*(1-p)/n+z95*z95/(4*n*n))
	// At the ends the interval touches 0 or 1 exactly; rounding must not pass it.
	return max(0, centre-half), min(1, centre+half)
}
