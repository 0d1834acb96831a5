package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/train"
)

// Cell is one run of a grid.
type Cell struct {
	Name  string        `json:"name"`
	Set   []string      `json:"set"`
	Score train.Number  `json:"score"` // the task's metric of the best model on dev
	All   train.Numbers `json:"metrics"`
}

// Grid is the result of all runs of a grid.
type Grid struct {
	Metric    string       `json:"metric"`
	Cells     []Cell       `json:"cells"`
	Best      int          `json:"best_cell"` // index into Cells
	BestScore train.Number `json:"best"`
	Median    train.Number `json:"median"`
	Mean      train.Number `json:"mean"`
	Deviation train.Number `json:"deviation"` // sample deviation; 0 of one run

	task *Task
}

// FinetuneGrid trains with every combination of the axes' values, each
// "key=V1,V2,...", in OUT/grid/, and copies the best model to OUT/best. A grid that
// was interrupted goes on with Options.Resume: complete runs are not repeated.
// started is told about each run before it begins.
func FinetuneGrid(ctx context.Context, o Options, axes []string, started func(cell Cell, i, n int)) (*Grid, error) {
	if o.group().Size() > 1 {
		return nil, &SettingError{errors.New("--grid trains in one process; start its runs one by one over the ranks, or without mpirun")}
	}
	if err := o.inherit(); err != nil {
		return nil, err
	}
	if o.Resume && o.inherited != nil { // cells that have not begun need them
		o.Set, o.ConfigFile = append(slices.Clone(o.inherited.Set), o.Set...), cmp.Or(o.ConfigFile, o.inherited.Config)
		o.inherited = nil // the runs have their own
	}
	cells, err := combinations(axes)
	if err != nil {
		return nil, &SettingError{err}
	}
	for _, cell := range cells { // before anything is written or trained
		run := o
		run.Set = append(slices.Clone(o.Set), cell.Set...)
		if err := run.check(); err != nil {
			return nil, fmt.Errorf("grid run %s: %w", cell.Name, err)
		}
	}
	info := train.Info{Task: o.Task.Name, Status: train.Running, Command: o.Command, Version: o.Version, Random: random.Version, Config: map[string]any{"grid": axes}}
	if info.From, err = o.source(); err != nil {
		return nil, err
	}
	dir, err := gridDir(o, info)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	g := &Grid{Metric: o.Task.Metric, Cells: cells, task: o.Task}
	if err := g.run(ctx, o, dir, started); err != nil {
		info.Status, info.Error = train.Failed, err.Error()
		if errors.Is(err, context.Canceled) && ctx.Err() != nil || errors.Is(err, train.ErrTimeUp) {
			info.Status, info.Error = train.Interrupted, ""
		}
		return nil, errors.Join(err, dir.WriteInfo(info))
	}
	info.Status, info.Grid = train.Done, g
	return g, dir.WriteInfo(info)
}

func (g *Grid) run(ctx context.Context, o Options, dir *train.Dir, started func(cell Cell, i, n int)) error {
	for i := range g.Cells {
		cell := &g.Cells[i]
		started(*cell, i, len(g.Cells))
		run := o
		run.Out = filepath.Join(o.Out, "grid", cell.Name)
		run.Set = append(slices.Clone(o.Set), cell.Set...)
		summary, err := Finetune(ctx, run)
		if err != nil {
			return fmt.Errorf("grid run %s: %w", cell.Name, err)
		}
		cell.All, cell.Score = summary.Metrics, summary.Metrics[o.Task.Metric]
	}
	g.summarise()
	if err := copyFolder(filepath.Join(o.Out, "grid", g.Cells[g.Best].Name, "best"), dir.Best()); err != nil {
		return err
	}
	page := g.page(o)
	var err error
	if page.Curves, err = g.curves(o.Out); err != nil {
		return err
	}
	return atomicfile.Write(dir.Report(), func(w io.Writer) error { return report.Write(w, page) })
}

// gridDir makes the grid's folder, or opens it to go on with the same grid.
func gridDir(o Options, info train.Info) (*train.Dir, error) {
	if !o.Resume {
		dir, err := train.NewDir(o.Out)
		if err != nil {
			return nil, err
		}
		return opened(dir, dir.WriteInfo(info))
	}
	dir, fresh, err := train.OpenDir(o.Out)
	if err != nil {
		return nil, err
	}
	if !fresh {
		old, err := dir.ReadInfo()
		if err == nil {
			err = old.CheckSame(info)
		}
		if err != nil {
			return opened(dir, err)
		}
		info.Command = old.Command
	}
	return opened(dir, dir.WriteInfo(info))
}

// opened returns dir, or closes it after an error.
func opened(dir *train.Dir, err error) (*train.Dir, error) {
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// maxCells bounds a grid against slips of the keyboard.
const maxCells = 10000

// combinations returns the cells of the axes' product, the last axis fastest.
func combinations(axes []string) ([]Cell, error) {
	cells := []Cell{{}}
	seen := map[string]bool{}
	for _, axis := range axes {
		key, list, ok := strings.Cut(axis, "=")
		if !ok || key == "" || list == "" {
			return nil, fmt.Errorf("grid axis %q is not of the form key=V1,V2", axis)
		}
		if seen[key] {
			return nil, fmt.Errorf("grid key %q is given twice; put all its values into one --grid", key)
		}
		seen[key] = true
		for value := range strings.SplitSeq(list, ",") {
			value = strings.TrimSpace(value)
			if value == "" || seen[key+"="+value] {
				return nil, fmt.Errorf("grid axis %q has an empty value, or one twice", axis)
			}
			seen[key+"="+value] = true
		}
		var next []Cell
		for _, c := range cells {
			for value := range strings.SplitSeq(list, ",") {
				value = strings.TrimSpace(value)
				name := strings.TrimPrefix(c.Name+"_"+key+"-"+value, "_")
				if filepath.Base(name) != name || strings.ContainsAny(name, `\:`) {
					return nil, fmt.Errorf("grid value %q cannot be part of a folder's name", value)
				}
				next = append(next, Cell{Name: name, Set: append(slices.Clone(c.Set), key+"="+value)})
			}
		}
		if cells = next; len(cells) > maxCells {
			return nil, fmt.Errorf("the grid has more than %d runs", maxCells)
		}
	}
	return cells, nil
}

// compare orders values of the task's metric from bad to good; an undefined one (0/0) is worst.
func (t *Task) compare(a, b train.Number) int {
	nan := func(x train.Number) int {
		if math.IsNaN(float64(x)) {
			return 0
		}
		return 1
	}
	if t.Lower {
		a, b = b, a
		return cmp.Or(cmp.Compare(nan(b), nan(a)), cmp.Compare(a, b))
	}
	return cmp.Or(cmp.Compare(nan(a), nan(b)), cmp.Compare(a, b))
}

// better says whether a is a better value of the task's metric than b.
func (t *Task) better(a, b train.Number) bool { return t.compare(a, b) > 0 }

// summarise fills in the statistics over the cells' scores. Undefined scores (0/0)
// are worse than all others and make the mean undefined.
func (g *Grid) summarise() {
	scores := make([]float64, len(g.Cells))
	for i, c := range g.Cells {
		scores[i] = float64(c.Score)
		if g.task.better(c.Score, g.Cells[g.Best].Score) {
			g.Best = i
		}
	}
	g.BestScore = g.Cells[g.Best].Score
	mean, deviation := stat.MeanStdDev(scores, nil)
	if len(scores) == 1 {
		deviation = 0
	}
	g.Mean, g.Deviation = train.Number(mean), train.Number(deviation)
	slices.Sort(scores) // NaN first
	n := len(scores)
	g.Median = train.Number((scores[(n-1)/2] + scores[n/2]) / 2)
}

func (g *Grid) page(o Options) report.Run {
	table := report.Table{
		Title: "Runs", Header: []string{"run", g.Metric, "loss"}, Best: []int{g.Best},
		Note: "The best of many runs on dev is better than the same model on new data.",
	}
	for _, c := range g.Cells {
		table.Rows = append(table.Rows, []string{c.Name, fmt.Sprintf("%.4f", float64(c.Score)), fmt.Sprintf("%.4f", float64(c.All["loss"]))})
		table.Links = append(table.Links, "grid/"+url.PathEscape(c.Name)+"/report.html")
	}
	return report.Run{
		Title: fmt.Sprintf("%s, %s, %d runs", o.Task.Title, o.Size, len(g.Cells)), Subtitle: "unimo " + o.Version["unimo"], Notice: o.Notice, Notes: o.Task.Doubts(g.Cells[g.Best].All),
		Metrics: []report.Metric{
			{Name: "best " + g.Metric, Value: float64(g.BestScore)}, {Name: "median", Value: float64(g.Median)},
			{Name: "mean", Value: float64(g.Mean)}, {Name: "deviation", Value: float64(g.Deviation)},
		},
		Tables: []report.Table{table},
	}
}

// shownRuns is how many runs of a grid have a line in its page's plot: as many as there are colours.
const shownRuns = 6

// curves is a plot of the best runs' scores on dev.
func (g *Grid) curves(out string) ([]report.Curve, error) {
	order := batches.Sequence(len(g.Cells))
	slices.SortStableFunc(order, func(a, b int) int { return g.task.compare(g.Cells[b].Score, g.Cells[a].Score) })
	best := order[:min(shownRuns, len(order))]
	c := report.Curve{Title: g.Metric + " on dev", XLabel: "step", YLabel: g.Metric}
	if len(best) < len(order) {
		c.Note = fmt.Sprintf("The best %d of %d runs.", len(best), len(order))
	}
	for _, i := range best {
		history, err := train.ReadHistory(train.ReadOnly(filepath.Join(out, "grid", g.Cells[i].Name)))
		if err != nil {
			return nil, err
		}
		s := report.Series{Name: g.Cells[i].Name, Points: true}
		for _, e := range history.Evals {
			s.X, s.Y = append(s.X, float64(e.Step)), append(s.Y, float64(e.Metrics[g.Metric]))
		}
		c.Series = append(c.Series, s)
	}
	return []report.Curve{g.task.Bounded(g.Metric, c)}, nil
}

// copyFolder copies the files of a model folder, each whole.
func copyFolder(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("copy model: %w", err)
	}
	if err := atomicfile.Mkdir(to); err != nil {
		return fmt.Errorf("copy model: %w", err)
	}
	for _, e := range entries {
		f, err := infile.Open(filepath.Join(from, e.Name()))
		if err != nil {
			return fmt.Errorf("copy model: %w", err)
		}
		err = atomicfile.Write(filepath.Join(to, e.Name()), func(w io.Writer) error {
			_, err := io.Copy(w, f)
			return err
		})
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
