package cli

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// resultJSON is what --json prints of scores: the metrics by their names, and beside them what
// they are of, with notes if there are any.
func resultJSON(p *run.Preset, m train.Numbers, notes []string, about map[string]string) map[string]any {
	all := map[string]any{"task": p.Name}
	for key, value := range about {
		all[key] = value
	}
	for key, value := range m {
		all[key] = value
	}
	if len(notes) > 0 {
		all["notes"] = notes
	}
	return all
}

// printResults prints the metrics of every split, accuracy with its interval.
func (a *app) printResults(p *run.Preset, results []run.Result) {
	for _, r := range results {
		if len(results) > 1 {
			printable.Fprintf(a.stdout, "%s (%s)\n", r.Split, r.File)
		}
		printMetrics(a.stdout, p, r.Metrics)
		if _, ok := r.Metrics["accuracy"]; ok {
			lo, hi := r.Interval()
			fmt.Fprintf(a.stdout, "  (95 %% interval of the accuracy: %.4f to %.4f)\n", lo, hi)
		}
		if baseline := r.Baseline(); baseline != "" {
			printable.Fprintf(a.stdout, "  (%s)\n", baseline)
		}
		if t := r.ByClass(); t != nil {
			w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			for _, row := range append([][]string{t.Header}, t.Rows...) {
				printable.Fprintf(w, "  %s", row[0])
				fmt.Fprintf(w, "\t%s\n", strings.Join(row[1:], "\t")) // numbers
			}
			w.Flush()
		}
		if r.Retrieved != nil {
			var chance [3]float64
			for i, key := range []string{"recall@1", "recall@5", "recall@10"} {
				chance[i], _ = r.Retrieved.Chance(key)
			}
			fmt.Fprintf(a.stdout, "  (by chance recall@1, 5 and 10 are %.4f, %.4f and %.4f, the means of both ways)\n", chance[0], chance[1], chance[2])
		}
	}
}

func printMetrics(w io.Writer, p *run.Preset, m train.Numbers) {
	keys := run.MetricKeys(p, m)
	width := 12
	for _, key := range keys {
		width = max(width, len(key))
	}
	compared := false
	for _, name := range keys {
		key := printable.String(name) // that of a finished run comes from its run.json
		if !compared && strings.HasPrefix(key, "compared_") {
			compared = true
			fmt.Fprintln(w, "two stages against scoring every pair:")
		}
		value := float64(m[name])
		switch {
		case key == "examples" || key == "images" || key == "compared_images":
			fmt.Fprintf(w, "  %-*s %.0f\n", width, key, value)
		case math.IsNaN(value):
			fmt.Fprintf(w, "  %-*s undefined (0/0)\n", width, key)
		default:
			fmt.Fprintf(w, "  %-*s %.4f\n", width, key, value)
		}
	}
}
