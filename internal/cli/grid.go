package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/run"
)

// finetuneGrid runs a grid and prints its table.
func (a *app) finetuneGrid(ctx context.Context, o run.Options, axes []string) error {
	if i := slices.Index(axes, "reference"); i >= 0 {
		axes = slices.Replace(slices.Clone(axes), i, i+1, o.Task.ReferenceGrid()...)
	}
	g, err := run.FinetuneGrid(ctx, o, axes, func(c run.Cell, i, n int) {
		a.log.Info(fmt.Sprintf("run %d of %d: %s", i+1, n, c.Name))
	})
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(g)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "run\t%s\tloss\n", g.Metric)
	for i, c := range g.Cells {
		mark := ""
		if i == g.Best {
			mark = "\tbest"
		}
		fmt.Fprintf(w, "%s\t%.4f\t%.4f%s\n", printable.String(c.Name), float64(c.Score), float64(c.All["loss"]), mark)
	}
	fmt.Fprintf(w, "\nbest\t%.4f\nmedian\t%.4f\nmean\t%.4f\ndeviation\t%.4f\n", float64(g.BestScore), float64(g.Median), float64(g.Mean), float64(g.Deviation))
	if err := w.Flush(); err != nil {
		return err
	}
	best := filepath.Join(o.Out, "best")
	printable.Fprintf(a.stdout, "\nmodel   %s\nreport  %s\n\n", best, filepath.Join(o.Out, "report.html"))
	_, err = fmt.Fprintln(a.stdout, o.Task.Kind.Use(shellQuote(best)))
	return err
}
