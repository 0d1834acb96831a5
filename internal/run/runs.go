package run

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// RunLine is a run in a list of runs.
type RunLine struct {
	Run     string       `json:"run"` // its folder
	Task    string       `json:"task"`
	Preset  string       `json:"preset,omitempty"`
	Data    string       `json:"data,omitempty"`
	Metric  string       `json:"metric,omitempty"`
	Best    train.Number `json:"best"` // of the metric on dev so far
	Steps   int          `json:"steps"`
	Seconds float64      `json:"seconds"` // of training in the newest process
	Status  string       `json:"status"`

	task *Task // nil if it is not known
}

// Killed is the status of a run that no process works on, though its run.json says so.
const Killed = "killed"

// ListRuns finds the runs in the folder dir and its folders, those of grids included: by task, the best first.
func (ts Tasks) ListRuns(ctx context.Context, dir string) ([]RunLine, error) {
	if err := infile.Folder(dir); err != nil {
		return nil, fmt.Errorf("look for runs: %w", err)
	}
	var runs []RunLine
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			if path == dir || ctx.Err() != nil {
				return err
			}
			return nil // a folder that may not be read has no run for us
		}
		if !d.IsDir() {
			return nil
		}
		if path != dir && infile.Hidden(d.Name()) {
			return fs.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "run.json")); err != nil {
			return nil
		}
		runs = append(runs, ts.runLine(path))
		return ts.skipRun(path, &runs)
	})
	if err != nil {
		return nil, fmt.Errorf("look for runs: %w", err)
	}
	slices.SortStableFunc(runs, func(a, b RunLine) int {
		better := 0
		if a.task != nil && a.task == b.task {
			better = a.task.compare(b.Best, a.Best)
		}
		return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.Metric, b.Metric), better, cmp.Compare(a.Run, b.Run))
	})
	return runs, nil
}

// skipRun adds the runs of a grid at path, and leaves the rest of a run's folder out.
func (ts Tasks) skipRun(path string, runs *[]RunLine) error {
	cells, err := os.ReadDir(filepath.Join(path, "grid"))
	if err != nil {
		return fs.SkipDir // no grid
	}
	for _, c := range cells {
		cell := filepath.Join(path, "grid", c.Name())
		if _, err := os.Stat(filepath.Join(cell, "run.json")); err == nil {
			*runs = append(*runs, ts.runLine(cell))
		}
	}
	return fs.SkipDir
}

func (ts Tasks) runLine(path string) RunLine {
	line := RunLine{Run: path, Best: train.Number(math.NaN())}
	info, err := train.OpenInfo(path)
	if err != nil {
		line.Status = "run.json cannot be read"
		return line
	}
	line.Task, line.Status = info.Task, info.Status
	if info.Status == train.Running && !atomicfile.Held(path) {
		line.Status = Killed
	}
	if from := info.From; from != nil {
		line.Preset, line.Data = from.Preset, filepath.Base(from.Data)
		if from.Data == "" {
			line.Data = ""
		}
	}
	t, err := ts.Find(info.Task)
	if err != nil {
		return line
	}
	line.task, line.Metric = t, t.Metric
	if info.Outcome != nil {
		line.Best, line.Steps, line.Seconds = info.Metrics[t.Metric], info.Outcome.Steps, float64(info.Outcome.Seconds)
		return line
	}
	if raw, err := json.Marshal(info.Grid); err == nil && info.Grid != nil {
		var g Grid
		if json.Unmarshal(raw, &g) == nil {
			line.Best = g.BestScore
		}
		return line
	}
	history, err := train.ReadHistory(train.ReadOnly(path))
	if err != nil {
		return line
	}
	if n := len(history.Steps); n > 0 {
		line.Steps = history.Steps[n-1].Step
	}
	for _, e := range history.Evals {
		if t.better(e.Metrics[t.Metric], line.Best) {
			line.Best = e.Metrics[t.Metric]
		}
	}
	return line
}

// Compared is a run in a comparison.
type Compared struct {
	RunLine
	Interval *[2]float64   `json:"interval,omitempty"` // 95 %, of the metric
	Metrics  train.Numbers `json:"metrics,omitempty"`

	info    train.Info
	answers []Answer
	history train.History
}

// Difference is a setting that two runs do not share.
type Difference struct {
	Key string `json:"key"`
	A   any    `json:"a"`
	B   any    `json:"b"`
}

// Comparison is what two runs differ in.
type Comparison struct {
	A           Compared     `json:"a"`
	B           Compared     `json:"b"`
	Differences []Difference `json:"differences"`
	Test        *PairedTest  `json:"test,omitempty"`
	NoTest      string       `json:"no_test,omitempty"` // why there is none
}

// PairedTest says how likely a difference as large as that of two runs is by chance, on the same examples.
type PairedTest struct {
	Name     string  `json:"name"`
	Metric   string  `json:"metric"`
	Examples int     `json:"examples"`
	OnlyA    int     `json:"only_a"` // of answers that are right or wrong: right in A alone
	OnlyB    int     `json:"only_b"`
	P        float64 `json:"p"`
}

// How much is drawn for tests and intervals, with a fixed seed.
const (
	testDraws      = 2000
	bootstrapDraws = 1000
	drawSeed       = 1
)

// CompareRuns compares the runs in two folders. Runs of different tasks are an error; where they were scored on different
// dev sets, or one keeps no predictions, there is no test and the comparison says why.
func (ts Tasks) CompareRuns(ctx context.Context, a, b string) (*Comparison, error) {
	c := new(Comparison)
	for _, side := range []struct {
		to  *Compared
		dir string
	}{{&c.A, a}, {&c.B, b}} {
		info, err := train.OpenInfo(side.dir)
		if err != nil {
			return nil, err
		}
		*side.to = Compared{RunLine: ts.runLine(side.dir), Metrics: info.Metrics, info: info}
		if side.to.history, err = train.ReadHistory(train.ReadOnly(side.dir)); err != nil {
			return nil, err
		}
	}
	if c.A.Task != c.B.Task {
		return nil, fmt.Errorf("%s is a run of %s and %s of %s: only runs of one task can be compared", a, c.A.Task, b, c.B.Task)
	}
	c.Differences = differences(c.A.info, c.B.info)
	t, err := ts.Find(c.A.Task)
	if err != nil {
		return nil, err
	}
	if _, ok := t.Kind.(Evaluator); !ok {
		c.NoTest = "no predictions are compared of " + t.Title
		return c, nil
	}
	for _, side := range []*Compared{&c.A, &c.B} {
		if side.answers, err = readAnswers(answersFile(side.Run, t.Dev[0].Name)); err != nil {
			c.NoTest = fmt.Sprintf("%s keeps no predictions of its dev set (it is not done, or of an older version): %v", side.Run, err)
			return c, nil
		}
	}
	for _, side := range []*Compared{&c.A, &c.B} {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		lo, hi := t.interval(side.answers)
		if !math.IsNaN(lo) {
			side.Interval = &[2]float64{lo, hi}
		}
	}
	if !sameExamples(c.A.answers, c.B.answers) {
		c.NoTest = "the runs were scored on different dev sets: their scores cannot be compared example by example"
		return c, nil
	}
	if c.Test = t.pairedTest(c.A.answers, c.B.answers); math.IsNaN(c.Test.P) {
		c.Test, c.NoTest = nil, t.Metric+" is undefined (0/0) for one of the runs: there is no difference to test"
	}
	return c, nil
}

func sameExamples(a, b []Answer) bool {
	return slices.EqualFunc(a, b, func(x, y Answer) bool { return x.ID == y.ID && x.Text == y.Text && x.Gold == y.Gold })
}

// interval is the 95 % interval of the metric: Wilson's where it is a share of right answers, else by bootstrap.
func (t *Task) interval(list []Answer) (lo, hi float64) {
	if t.isShare(list) {
		n := 0
		for _, a := range list {
			n += int(a.Value)
		}
		return metrics.WilsonInterval(n, len(list))
	}
	measure := t.measure()
	return metrics.Bootstrap(len(list), bootstrapDraws, drawSeed, func(sample []int) float64 {
		return measure(list, func(i int) Answer { return list[sample[i]] })
	})
}

// ownMeasure computes the metric where that is no mean over the answers, else it is nil.
func (t *Task) ownMeasure() func(list []Answer, of func(i int) Answer) float64 {
	if m, ok := t.Kind.(Measurer); ok {
		return m.Measure(t.Metric)
	}
	return nil
}

// measure computes the metric of the task over some answers.
func (t *Task) measure() func(list []Answer, of func(i int) Answer) float64 {
	if own := t.ownMeasure(); own != nil {
		return own
	}
	return func(list []Answer, of func(i int) Answer) float64 {
		var sum float64
		for i := range list {
			sum += of(i).Value
		}
		return sum / float64(len(list))
	}
}

// isShare says whether the metric is the share of answers that are right.
func (t *Task) isShare(lists ...[]Answer) bool {
	if t.ownMeasure() != nil {
		return false
	}
	for _, list := range lists {
		if slices.ContainsFunc(list, func(a Answer) bool { return a.Value != 0 && a.Value != 1 }) {
			return false
		}
	}
	return true
}

func (t *Task) pairedTest(a, b []Answer) *PairedTest {
	p := &PairedTest{Metric: t.Metric, Examples: len(a)}
	for i := range a {
		if a[i].Value > b[i].Value {
			p.OnlyA++
		} else if a[i].Value < b[i].Value {
			p.OnlyB++
		}
	}
	if t.isShare(a, b) {
		p.Name, p.P = "McNemar's exact test", metrics.McNemar(p.OnlyA, p.OnlyB)
		return p
	}
	p.Name = "paired permutation test"
	measure := t.measure()
	p.P = metrics.Permutation(len(a), testDraws, drawSeed, func(swapped []bool) float64 {
		pick := func(x, y []Answer) func(i int) Answer {
			return func(i int) Answer {
				if swapped[i] {
					return y[i]
				}
				return x[i]
			}
		}
		return measure(a, pick(a, b)) - measure(b, pick(b, a))
	})
	return p
}

// differences lists what two runs were given differently.
func differences(a, b train.Info) []Difference {
	flat := func(i train.Info) map[string]any {
		all := map[string]any{}
		if config, ok := i.Config.(map[string]any); ok {
			maps.Copy(all, config)
		}
		if from := i.From; from != nil {
			all["preset"], all["init"], all["vocabulary"] = from.Preset, from.Init, from.Vocab
		}
		for name, digest := range i.Data {
			all["content of "+name] = digest[:min(12, len(digest))]
		}
		for _, key := range []string{"unimo", "commit"} {
			if v := i.Version[key]; v != "" {
				all[key] = v
			}
		}
		return all
	}
	was, is := flat(a), flat(b)
	keys := map[string]bool{}
	for _, m := range []map[string]any{was, is} {
		for key := range m {
			keys[key] = true
		}
	}
	list := []Difference{}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		if fmt.Sprint(was[key]) != fmt.Sprint(is[key]) {
			list = append(list, Difference{key, was[key], is[key]})
		}
	}
	return list
}

// Verdict says in a sentence what the test found.
func (t *PairedTest) Verdict() string {
	conclusion := "the difference may be chance"
	if t.P < 0.05 {
		conclusion = "the difference is more than chance"
	}
	count := fmt.Sprintf("A is better on %d, B on %d", t.OnlyA, t.OnlyB)
	if t.Name == "McNemar's exact test" {
		count = fmt.Sprintf("A alone is right on %d, B alone on %d", t.OnlyA, t.OnlyB)
	}
	return fmt.Sprintf("Of the same %d dev examples %s. %s: p = %.3g, %s.", t.Examples, count, strings.ToUpper(t.Name[:1])+t.Name[1:], t.P, conclusion)
}

// WriteComparison writes the comparison with the curves of both runs as one page.
func WriteComparison(path string, c *Comparison, version string) error {
	t := c.A.task
	page := report.Run{Title: t.Title + ": two runs compared", Subtitle: "unimo " + version, Summary: []report.Item{{Key: "A", Value: c.A.Run}, {Key: "B", Value: c.B.Run}}}
	for _, side := range []struct {
		name string
		c    Compared
	}{{"A", c.A}, {"B", c.B}} {
		note := "on dev"
		if i := side.c.Interval; i != nil {
			note = fmt.Sprintf("95 %% interval %.3f to %.3f", i[0], i[1])
		}
		page.Metrics = append(page.Metrics, report.Metric{Name: side.name + ": " + t.Metric, Value: float64(side.c.Best), Note: note})
	}
	if c.Test != nil {
		page.Metrics = append(page.Metrics, report.Metric{Name: "p", Value: c.Test.P, Note: c.Test.Name})
		page.Summary = append(page.Summary, report.Item{Key: "test", Value: c.Test.Verdict()})
	} else if c.NoTest != "" {
		page.Summary = append(page.Summary, report.Item{Key: "no test", Value: c.NoTest})
	}
	one, two := t.curves(c.A.history), t.curves(c.B.history)
	for _, pair := range [][2]report.Curve{{one.loss, two.loss}, {one.metric, two.metric}, {one.rate, two.rate}} {
		curve := pair[0]
		named := func(name string, list []report.Series) (out []report.Series) {
			for _, s := range list {
				if !s.Faint {
					s.Name = name + " " + s.Name
					out = append(out, s)
				}
			}
			return out
		}
		curve.Series = append(named("A", curve.Series), named("B", pair[1].Series)...)
		page.Curves = append(page.Curves, curve)
	}
	table := &report.Table{Title: "What differs", Header: []string{"setting", "A", "B"}}
	for _, d := range c.Differences {
		table.Rows = append(table.Rows, []string{d.Key, fmt.Sprint(d.A), fmt.Sprint(d.B)})
	}
	if len(table.Rows) > 0 {
		page.Tables = append(page.Tables, *table)
	}
	return atomicfile.Write(path, func(w io.Writer) error { return report.Write(w, page) })
}
