package metrics_test

import (
	"fmt"

	"github.com/unimo-go/unimo/metrics"
)

func Example() {
	pred := []int{1, 1, 0, 1, 0}
	gold := []int{1, 1, 0, 0, 1}
	lo, hi := metrics.WilsonInterval(metrics.Correct(pred, gold), len(gold))
	fmt.Printf("accuracy %.2f, 95 %% interval %.2f to %.2f\n", metrics.Accuracy(pred, gold), lo, hi)
	fmt.Printf("matthews %.3f\n", metrics.Matthews(pred, gold))
	fmt.Println("gold x predicted", metrics.Confusion(pred, gold, 2))
	// Output:
	// accuracy 0.60, 95 % interval 0.23 to 0.88
	// matthews 0.167
	// gold x predicted [[1 1] [1 2]]
}
