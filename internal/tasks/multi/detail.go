package multi

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// scored is how good the model is at one of the tasks.
type scored struct {
	task       *run.Task
	value      float64 // of the task's own metric
	normalised float64
}

func score(t *run.Task, m train.Numbers) scored {
	value := float64(m[t.Metric])
	return scored{t, value, t.Describe(t.Metric).Normalised(value, t.Lower)}
}

// mean is the score of the model.
func mean(list []scored) train.Number {
	var sum float64
	for _, s := range list {
		sum += s.normalised
	}
	return train.Number(sum / float64(len(list)))
}

// add adds the metrics of a task to those of all, and its examples to all of them.
func add(all train.Numbers, t *run.Task, m train.Numbers) {
	for metric, value := range m {
		all[t.Name+"/"+metric] = value
	}
	all["examples"] += m["examples"]
}

// detail is what is known of the scores of all tasks.
type detail struct{ tasks []scoredTask }

type scoredTask struct {
	scored
	result run.Result // on its first dev set
}

var _ run.Commenter = (*detail)(nil)

func (d *detail) mean() train.Number {
	var list []scored
	for _, t := range d.tasks {
		list = append(list, t.scored)
	}
	return mean(list)
}

// Answers implements [run.Detail]: those of all tasks.
func (d *detail) Answers() []run.Answer {
	var all []run.Answer
	for _, t := range d.tasks {
		if t.result.Detail == nil {
			continue
		}
		for _, a := range t.result.Detail.Answers() {
			a.Task = t.task.Name
			all = append(all, a)
		}
	}
	return all
}

// WritePredictions implements [run.Detail]. No command asks for them: it asks one of the tasks.
func (d *detail) WritePredictions(string, string) error { return nil }

// Comment implements [run.Commenter].
func (d *detail) Comment(metric, on string) string {
	if metric == Score {
		return "mean of the tasks' normalised metrics, " + on
	}
	return on
}

// Remarks implements [run.Commenter].
func (d *detail) Remarks() ([]string, *report.Table) {
	t := d.table()
	return []string{t.Note}, &t
}

func (d *detail) table() report.Table {
	t := report.Table{
		Title: "Scores of the tasks", Header: []string{"task", "metric", "value", "normalised"},
		Note: "score is the mean of the normalised values; the best model is that of all tasks together, not of each",
	}
	for _, s := range d.tasks {
		t.Rows = append(t.Rows, []string{s.task.Name, s.task.Metric, fmt.Sprintf("%.4f", s.value), fmt.Sprintf("%.4f", s.normalised)})
	}
	return t
}

// Section implements [run.Detail]: the table, and a part of the page for each task.
func (d *detail) Section(page *report.Run) {
	page.Tables = append(page.Tables, d.table())
	for _, t := range d.tasks {
		page.Parts = append(page.Parts, t.task.Page(t.result, nil))
	}
}

// Report implements [run.Reporter]: a curve of the score, and of each task those of its losses and its metric.
func (l *learner) Report(h train.History, _ train.Numbers) ([]report.Curve, []report.Item) {
	curves := []report.Curve{l.metricCurve(h, "Score on dev", Score)}
	for _, t := range l.parts {
		name := t.task.Name
		curves = append(curves, lossCurve(h, name), l.metricCurve(h, name+": "+t.task.Metric+" on dev", name+"/"+t.task.Metric))
	}
	return curves, nil
}

func (l *learner) metricCurve(h train.History, title, metric string) report.Curve {
	s := report.Series{Name: metric, Points: true}
	for _, e := range h.Evals {
		if value, ok := e.Metrics[metric]; ok {
			s.X, s.Y = append(s.X, float64(e.Step)), append(s.Y, float64(value))
		}
	}
	return l.job.task.Bounded(metric, report.Curve{Title: title, XLabel: "step", YLabel: metric, Series: []report.Series{s}})
}

// lossCurve has the parts of a task's loss while it trains.
func lossCurve(h train.History, task string) report.Curve {
	c := report.Curve{Title: task + ": loss", XLabel: "step", YLabel: "loss"}
	var x, y = map[string][]float64{}, map[string][]float64{}
	for _, step := range h.Steps {
		for part, value := range step.Parts {
			if part == task || strings.HasPrefix(part, task+"/") {
				x[part], y[part] = append(x[part], float64(step.Step)), append(y[part], float64(value))
			}
		}
	}
	for _, part := range slices.Sorted(maps.Keys(x)) {
		c.Series = append(c.Series, report.Smoothed(part, x[part], y[part], float64(len(x[part]))/40)...)
	}
	return c
}
