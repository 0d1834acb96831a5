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
func resultJSON(t *run.Task, m train.Numbers, notes []string, about map[string]string) map[string]any {
	all := map[string]any{"task": t.Name}
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

// printResults prints the metrics of every split, and what they are to be compared with.
func (a *app) printResults(t *run.Task, results []run.Result) {
	for _, r := range results {
		if len(results) > 1 {
			printable.Fprintf(a.stdout, "%s (%s)\n", r.Split, r.File)
		}
		printMetrics(a.stdout, t, r.Metrics)
		c, ok := r.Detail.(run.Commenter)
		if !ok {
			continue
		}
		remarks, table := c.Remarks()
		for _, line := range remarks {
			printable.Fprintf(a.stdout, "  (%s)\n", line)
		}
		if table == nil {
			continue
		}
		w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
		for _, row := range append([][]string{table.Header}, table.Rows...) {
			printable.Fprintf(w, "  %s", row[0])
			fmt.Fprintf(w, "\t%s\n", strings.Join(row[1:], "\t")) // numbers
		}
		w.Flush()
	}
}

func printMetrics(w io.Writer, t *run.Task, m train.Numbers) {
	keys := t.Shown(m)
	width := 12
	for _, key := range keys {
		width = max(width, len(key))
	}
	group := ""
	for _, name := range keys {
		key := printable.String(name) // that of a finished run comes from its run.json
		shown := t.Describe(name)
		if group != shown.Group {
			group = shown.Group
			fmt.Fprintln(w, group+":")
		}
		value := float64(m[name])
		switch {
		case shown.Count:
			fmt.Fprintf(w, "  %-*s %.0f\n", width, key, value)
		case math.IsNaN(value):
			fmt.Fprintf(w, "  %-*s undefined (0/0)\n", width, key)
		default:
			fmt.Fprintf(w, "  %-*s %.4f\n", width, key, value)
		}
	}
}
