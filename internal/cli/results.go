package cli

import (
	"fmt"
	"io"
	"math"

	"github.com/unimo-go/unimo/internal/task"
	"github.com/unimo-go/unimo/internal/train"
)

// printResults prints the metrics of every split, accuracy with its interval.
func (a *app) printResults(p *task.Preset, results []task.Result) {
	for _, r := range results {
		if len(results) > 1 {
			fmt.Fprintf(a.stdout, "%s (%s)\n", r.Split, r.File)
		}
		printMetrics(a.stdout, p, r.Metrics)
		if _, ok := r.Metrics["accuracy"]; ok {
			lo, hi := r.Interval()
			fmt.Fprintf(a.stdout, "  (95 %% interval of the accuracy: %.4f to %.4f)\n", lo, hi)
		}
	}
}

func printMetrics(w io.Writer, p *task.Preset, m train.Numbers) {
	for _, key := range task.MetricKeys(p, m) {
		value := float64(m[key])
		switch {
		case key == "examples":
			fmt.Fprintf(w, "  %-12s %.0f\n", key, value)
		case math.IsNaN(value):
			fmt.Fprintf(w, "  %-12s undefined (0/0)\n", key)
		default:
			fmt.Fprintf(w, "  %-12s %.4f\n", key, value)
		}
	}
}
