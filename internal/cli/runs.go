package cli

import (
	"encoding/csv"
	"fmt"
	"math"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

func (a *app) runsCommand() *cobra.Command {
	var asCSV bool
	c := &cobra.Command{
		Use:   "runs [DIR]",
		Short: "List the runs in a folder",
		Long: `List the runs in a folder and its folders, grids included: by task, the best
first. Of a run that is not done, best is what it reached so far. A run whose
process was ended without saving is "killed"; 'unimo resume RUN' goes on.

--csv prints the curves of one run: a line for each value of log.jsonl.`,
		Example: "  unimo runs\n  unimo runs runs --json\n  unimo runs RUN --csv > curves.csv",
		Args: func(c *cobra.Command, args []string) error {
			return noArgs(c, args[min(1, len(args)):])
		},
		RunE: func(c *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			if asCSV {
				return a.printCurves(dir)
			}
			runs, err := a.tasks.ListRuns(c.Context(), dir)
			if err != nil {
				return err
			}
			if a.json {
				if runs == nil {
					runs = []run.RunLine{} // an empty list rather than null
				}
				return a.printJSON(runs)
			}
			if len(runs) == 0 {
				_, err := printable.Fprintf(a.stdout, "no runs in %s\n", dir)
				return err
			}
			w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "run\ttask\tpreset\tdata\tbest\tsteps\ttime\tstatus")
			for _, r := range runs {
				best, took := "", ""
				if v := float64(r.Best); !math.IsNaN(v) {
					best = fmt.Sprintf("%s %.4f", r.Metric, v)
				}
				if r.Seconds > 0 {
					took = span(time.Duration(r.Seconds * float64(time.Second)))
				}
				printable.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", r.Run, r.Task, r.Preset, r.Data, best, r.Steps, took, r.Status)
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asCSV, "csv", false, "print the curves of the run DIR as CSV: step, series, value")
	return c
}

// printCurves prints the values of a run's log.
func (a *app) printCurves(dir string) error {
	if _, err := train.OpenInfo(dir); err != nil {
		return err
	}
	history, err := train.ReadHistory(train.ReadOnly(dir))
	if err != nil {
		return err
	}
	w := csv.NewWriter(a.stdout)
	w.Write([]string{"step", "series", "value"})
	history.Each(func(step int, series string, value float64) {
		w.Write([]string{strconv.Itoa(step), printable.String(series), strconv.FormatFloat(value, 'g', -1, 64)})
	})
	w.Flush()
	return w.Error()
}

func (a *app) compareCommand() *cobra.Command {
	var page string
	c := &cobra.Command{
		Use:   "compare RUN RUN",
		Short: "Say what two runs differ in, and whether more than by chance",
		Long: `Compare two runs of a task: settings and inputs that differ, the scores of the
best models with 95 % intervals, and a paired test over the dev examples, which
must be the same: McNemar's exact test where answers are right or wrong, else a
permutation test. With --report the curves of both are on one page.`,
		Example: "  unimo compare RUN OTHER\n  unimo compare RUN OTHER --report compared.html",
		Args:    needs("RUN", "another RUN"),
		RunE: func(c *cobra.Command, args []string) error {
			result, err := a.tasks.CompareRuns(c.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			if page != "" {
				if err := run.WriteComparison(page, result, currentVersion().Version); err != nil {
					return err
				}
			}
			if a.json {
				return a.printJSON(result)
			}
			return a.printComparison(result)
		},
	}
	c.Flags().StringVar(&page, "report", "", "HTML page to write")
	return c
}

func (a *app) printComparison(c *run.Comparison) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	printable.Fprintf(w, "\tA\tB\nrun\t%s\t%s\n", c.A.Run, c.B.Run)
	for _, d := range c.Differences {
		printable.Fprintf(w, "%s\t%s\t%s\n", d.Key, fmt.Sprint(d.A), fmt.Sprint(d.B))
	}
	fmt.Fprintf(w, "%s\t%s\t%s\n", c.A.Metric, defined(c.A.Best), defined(c.B.Best))
	if c.A.Interval != nil && c.B.Interval != nil {
		fmt.Fprintf(w, "95 %% interval\t%.4f to %.4f\t%.4f to %.4f\n", c.A.Interval[0], c.A.Interval[1], c.B.Interval[0], c.B.Interval[1])
	}
	if err := w.Flush(); err != nil {
		return err
	}
	text := c.NoTest
	if c.Test != nil {
		text = c.Test.Verdict()
	}
	_, err := printable.Fprintf(a.stdout, "\n%s\n", text)
	return err
}

// defined writes a metric that may be undefined.
func defined(n train.Number) string {
	if math.IsNaN(float64(n)) {
		return "undefined"
	}
	return fmt.Sprintf("%.4f", float64(n))
}
