package run

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/train"
)

// writePage writes report.html.
func (r *run) writePage(s *Summary, l Learner) error {
	history, err := train.ReadHistory(r.dir)
	if err != nil {
		return err
	}
	if history.Unread > 0 {
		r.Log.Warn(fmt.Sprintf("%d lines of log.jsonl cannot be read; the curves lack them", history.Unread))
	}
	page := report.Run{
		Title:    fmt.Sprintf("%s, %s", r.Task.Title, r.Size),
		Subtitle: fmt.Sprintf("unimo %s, %d steps, best at step %d", r.Version["unimo"], s.Outcome.Steps, s.Outcome.BestStep),
		Notice:   r.Notice,
		Notes:    s.Notes,
	}
	first := s.Results[0]
	page.Metrics = r.Task.tiles(first)
	for _, other := range s.Results[1:] {
		key := r.Task.Metric
		page.Metrics = append(page.Metrics, report.Metric{Name: key + " " + other.Split, Value: float64(other.Metrics[key]), Note: fmt.Sprintf("%.0f examples", float64(other.Metrics["examples"]))})
	}
	page.Summary = slices.Insert(r.facts(l), 2,
		report.Item{Key: "training speed", Value: fmt.Sprintf("%.0f tokens/s", float64(s.Outcome.TokensRate))},
		report.Item{Key: "time", Value: fmt.Sprintf("%.0f s", float64(s.Outcome.Seconds))})
	if ranks := r.Group.Size(); ranks > 1 {
		page.Summary = append(page.Summary, report.Item{Key: "exchange", Value: fmt.Sprintf("%.1f s between %d ranks, waiting included; another %.1f s while batches were computed", float64(s.Outcome.Exchange), ranks, float64(s.Outcome.Hidden))})
	}
	if r.accelerated() {
		page.Summary = append(page.Summary, report.Item{Key: "accelerator", Value: r.opened.Report()})
	}
	r.addCurves(&page, l, history, first.Metrics)
	page.Curves = append(page.Curves, first.diagrams()...)
	if first.Detail != nil {
		first.Detail.Section(&page)
	}
	page.Config = r.settingItems()
	return atomicfile.Write(r.dir.Report(), func(w io.Writer) error { return report.Write(w, page) })
}

// facts are what the page says of the run besides scores.
func (r *run) facts(l Learner) []report.Item {
	items := []report.Item{{Key: "model", Value: r.config.String()}, {Key: "parameters", Value: fmt.Sprint(l.Model().Params.Count())}}
	if n := l.About().Examples; n > 0 { // a stream has no end
		items = append(items, report.Item{Key: "training examples", Value: fmt.Sprint(n)})
	}
	for _, key := range slices.Sorted(maps.Keys(r.Version)) {
		items = append(items, report.Item{Key: key, Value: r.Version[key]})
	}
	return items
}

func (r *run) settingItems() []report.Item {
	var items []report.Item
	for _, setting := range settings.List(r.settings) {
		items = append(items, report.Item{Key: setting.Key, Value: fmt.Sprint(setting.Value)})
	}
	return items
}

// writeUnfinished writes report.html of a run that is not done: the curves so far and the newest scores. That it fails
// does not end the run.
func (r *run) writeUnfinished(l Learner, state string) {
	history, err := train.ReadHistory(r.dir)
	if err != nil {
		r.Log.Warn(fmt.Sprintf("no report of the run so far: %v", err))
		return
	}
	step := 0
	if n := len(history.Steps); n > 0 {
		step = history.Steps[n-1].Step
	}
	page := report.Run{
		Title:    fmt.Sprintf("%s, %s: unfinished", r.Task.Title, r.Size),
		Subtitle: fmt.Sprintf("unimo %s, %s after step %d", r.Version["unimo"], state, step),
		Notice:   strings.TrimSpace(r.Notice + " This run is not done: the numbers are those of its newest evaluation, not of its best model."),
		Summary:  r.facts(l), Config: r.settingItems(),
	}
	r.addCurves(&page, l, history, nil)
	if n := len(history.Evals); n > 0 {
		newest := history.Evals[n-1]
		for _, key := range r.Task.Shown(newest.Metrics) {
			page.Metrics = append(page.Metrics, report.Metric{Name: key, Value: float64(newest.Metrics[key]), Note: fmt.Sprintf("at step %d", newest.Step)})
		}
	}
	if err := atomicfile.Write(r.dir.Report(), func(w io.Writer) error { return report.Write(w, page) }); err != nil {
		r.Log.Warn(fmt.Sprintf("no report of the run so far: %v", err))
	}
}

// reporter writes the report whenever something was evaluated.
type reporter struct {
	Observer
	write func()
}

func (o reporter) Evaluated(step int, e train.Evaluation, best bool) {
	o.Observer.Evaluated(step, e, best)
	o.write()
}

// addCurves adds the curves of a run and the facts of its learner.
func (r *run) addCurves(page *report.Run, l Learner, h train.History, m train.Numbers) {
	c := r.Task.curves(h)
	page.Curves = []report.Curve{c.loss, c.metric, c.rate}
	if reporter, ok := l.(Reporter); ok {
		own, facts := reporter.Report(h, m)
		page.Curves = append(own, c.rate)
		page.Summary = append(page.Summary, facts...)
	}
}

// runCurves are the curves that every run has.
type runCurves struct{ loss, metric, rate report.Curve }

func (t *Task) curves(h train.History) runCurves {
	metric := t.Metric
	var x, loss, rate, evalX, score, lossX, devLoss []float64
	for _, s := range h.Steps {
		x, loss, rate = append(x, float64(s.Step)), append(loss, s.Loss), append(rate, s.Rate)
	}
	for _, e := range h.Evals {
		evalX = append(evalX, float64(e.Step))
		score = append(score, float64(e.Metrics[metric]))
		if value, ok := e.Metrics["loss"]; ok { // retrieval has none
			lossX, devLoss = append(lossX, float64(e.Step)), append(devLoss, float64(value))
		}
	}
	// An average over a tenth of the run shows the trend without hiding bends.
	lossSeries := report.Smoothed("training", x, loss, float64(len(x))/40)
	if len(devLoss) > 0 {
		lossSeries = append(lossSeries, report.Series{Name: "dev", X: lossX, Y: devLoss, Points: true})
	}
	return runCurves{
		loss:   report.Curve{Title: "Loss", XLabel: "step", YLabel: "loss", Series: lossSeries},
		metric: t.Bounded(metric, report.Curve{Title: metric + " on dev", XLabel: "step", YLabel: metric, Series: []report.Series{{Name: metric, X: evalX, Y: score, Points: true}}}),
		rate:   report.Curve{Title: "Learning rate", XLabel: "step", YLabel: "learning rate", Series: []report.Series{{Name: "learning rate", X: x, Y: rate}}},
	}
}

// Page is a page with the metrics of a result and what people look at.
func (t *Task) Page(r Result, about []report.Item) report.Run {
	page := report.Run{Title: t.Title, Subtitle: "what the model said of " + r.Split, Summary: about, Notes: r.Notes, Metrics: t.tiles(r), Curves: r.diagrams()}
	if r.Detail != nil {
		r.Detail.Section(&page)
	}
	return page
}

// WritePage writes the page of a result.
func WritePage(path string, t *Task, r Result, about []report.Item) error {
	return atomicfile.Write(path, func(w io.Writer) error { return report.Write(w, t.Page(r, about)) })
}
