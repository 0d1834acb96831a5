package run

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/train"
)

// shownMistakes is how many wrong answers the report shows.
const shownMistakes = 20

// writePage writes report.html.
func (r *run) writePage(s *Summary, l learner) error {
	history, err := train.ReadHistory(r.dir)
	if err != nil {
		return err
	}
	if history.Unread > 0 {
		r.Log.Warn(fmt.Sprintf("%d lines of log.jsonl cannot be read; the curves lack them", history.Unread))
	}
	page := report.Run{
		Title:    fmt.Sprintf("%s, %s", r.Preset.Title, r.Size),
		Subtitle: fmt.Sprintf("unimo %s, %d steps, best at step %d", r.Version["unimo"], s.Outcome.Steps, s.Outcome.BestStep),
		Notice:   r.Notice,
		Curves:   curves(history, r.Preset.Metric),
	}
	page.Notes = s.Notes
	first := s.Results[0]
	page.Metrics = first.tiles(r.Preset)
	for _, other := range s.Results[1:] {
		key := r.Preset.Metric
		page.Metrics = append(page.Metrics, report.Metric{Name: key + " " + other.Split, Value: float64(other.Metrics[key]), Note: fmt.Sprintf("%.0f examples", float64(other.Metrics["examples"]))})
	}
	page.Summary = r.facts(l)
	page.Summary = slices.Insert(page.Summary, 2,
		report.Item{Key: "training speed", Value: fmt.Sprintf("%.0f tokens/s", float64(s.Outcome.TokensRate))},
		report.Item{Key: "time", Value: fmt.Sprintf("%.0f s", float64(s.Outcome.Seconds))})
	l.show(&page, first, history)
	page.Config = r.settingItems()
	return atomicfile.Write(r.dir.Report(), func(w io.Writer) error { return report.Write(w, page) })
}

// facts are what the page says of the run besides scores.
func (r *run) facts(l learner) []report.Item {
	items := []report.Item{{Key: "model", Value: r.config.String()}, {Key: "parameters", Value: fmt.Sprint(l.base().params.Count())}}
	if n := l.base().examples; n > 0 { // a stream has no end
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
func (r *run) writeUnfinished(l learner, state string) {
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
		Title:    fmt.Sprintf("%s, %s: unfinished", r.Preset.Title, r.Size),
		Subtitle: fmt.Sprintf("unimo %s, %s after step %d", r.Version["unimo"], state, step),
		Notice:   strings.TrimSpace(r.Notice + " This run is not done: the numbers are those of its newest evaluation, not of its best model."),
		Summary:  r.facts(l), Curves: curves(history, r.Preset.Metric), Config: r.settingItems(),
	}
	if n := len(history.Evals); n > 0 {
		newest := history.Evals[n-1]
		for _, key := range MetricKeys(r.Preset, newest.Metrics) {
			page.Metrics = append(page.Metrics, report.Metric{Name: key, Value: float64(newest.Metrics[key]), Note: fmt.Sprintf("at step %d", newest.Step)})
		}
	}
	if r.Preset.Pretraining { // a curve for each objective
		l.show(&page, Result{}, history)
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

// tiles are the metrics as a page shows them, with what they are to be compared with.
func (r Result) tiles(p *Preset) []report.Metric {
	var tiles []report.Metric
	for _, key := range MetricKeys(p, r.Metrics) {
		if strings.HasPrefix(key, "compared_") {
			continue // a table of its own
		}
		tiles = append(tiles, report.Metric{Name: key, Value: float64(r.Metrics[key]), Note: r.metricNote(key)})
	}
	return tiles
}

func (r Result) metricNote(key string) string {
	on, baseline := "on "+r.Split, r.Baseline()
	few := int(r.Metrics["examples"]) < FewExamples
	if few {
		on += ", " + count(int(r.Metrics["examples"]), "example") + " only"
	}
	switch {
	case key == "accuracy":
		lo, hi := r.Interval()
		note := fmt.Sprintf("95 %% interval %.3f to %.3f", lo, hi)
		if few {
			note = on + "; " + note
		}
		if baseline != "" {
			note += "; " + baseline
		}
		return note
	case key == "rmse" && baseline != "":
		return baseline
	}
	if r.Retrieved != nil {
		if chance, ok := r.Retrieved.Chance(key); ok {
			return fmt.Sprintf("%s, by chance %.4f", on, chance)
		}
	}
	return on
}

// MetricKeys lists the names of metrics in the order people want them: the task's
// own first, loss and the number of examples last. Recall that says nothing is not among them (Summary.Notes has why).
func MetricKeys(p *Preset, m train.Numbers) []string {
	rank := map[string]int{p.Metric: -1, "loss": 1, "images": 2, "compared_images": -1, "examples": 3}
	// recall@5 comes before recall@10.
	number := func(key string) (name string, n int) {
		name, digits, _ := strings.Cut(key, "@")
		n, _ = strconv.Atoi(digits)
		return name, n
	}
	compared := func(key string) int {
		if strings.HasPrefix(key, "compared_") {
			return 1 // a section of its own
		}
		return 0
	}
	keys := slices.Collect(maps.Keys(m))
	keys = slices.DeleteFunc(keys, func(key string) bool { return saysNothing(p, m, key) })
	slices.SortFunc(keys, func(a, b string) int {
		nameA, nA := number(a)
		nameB, nB := number(b)
		return cmp.Or(cmp.Compare(compared(a), compared(b)), cmp.Compare(rank[a], rank[b]), cmp.Compare(nameA, nameB), cmp.Compare(nA, nB), cmp.Compare(a, b))
	})
	return keys
}

func curves(h train.History, metric string) []report.Curve {
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
	return []report.Curve{
		{Title: "Loss", XLabel: "step", YLabel: "loss", Series: lossSeries},
		bounded(report.Curve{Title: metric + " on dev", XLabel: "step", YLabel: metric, Series: []report.Series{{Name: metric, X: evalX, Y: score, Points: true}}}),
		{Title: "Learning rate", XLabel: "step", YLabel: "learning rate", Series: []report.Series{{Name: "learning rate", X: x, Y: rate}}},
	}
}

// bounded gives the curve of a metric the bounds of its values.
func bounded(c report.Curve) report.Curve {
	name, _, _ := strings.Cut(c.YLabel, "@")
	switch {
	case slices.Contains([]string{"matthews", "pearson", "spearman"}, name):
		c.Low, c.High = -1, 1
	case slices.Contains([]string{"accuracy", "macro_f1", "masked_accuracy", "f1", "em", "meteor"}, name),
		strings.HasSuffix(name, "recall"), strings.HasPrefix(name, "rouge-"), strings.HasPrefix(name, "bleu-"):
		c.Low, c.High = 0, 1
	}
	return c
}

func scatter(r Result) *report.Scatter {
	s := new(report.Scatter)
	for i, x := range r.Examples {
		s.Gold = append(s.Gold, x.Score)
		s.Predicted = append(s.Predicted, float64(r.Outputs[i][0]))
	}
	return s
}

// mistakes returns the wrong answers the model was surest of, and says of how many.
func mistakes(p *Preset, r Result) (shown []report.Mistake, note string) {
	var wrong []report.Mistake
	for i, x := range r.Examples {
		class := argmax(r.Outputs[i])
		if class == x.Class {
			continue
		}
		text := strings.Join(slices.Collect(x.Texts), " / ")
		wrong = append(wrong, report.Mistake{
			Text: text, Gold: p.Schema.Labels[x.Class], Predicted: p.Schema.Labels[class], Probability: softmax(r.Outputs[i])[class],
		})
	}
	slices.SortStableFunc(wrong, func(a, b report.Mistake) int { return cmp.Compare(b.Probability, a.Probability) })
	shown = wrong[:min(shownMistakes, len(wrong))]
	if len(shown) < len(wrong) {
		return shown, fmt.Sprintf("The %d most confident mistakes of %d, among %d examples.", len(shown), len(wrong), len(r.Examples))
	}
	return shown, fmt.Sprintf("All %d mistakes among %d examples, the most confident first.", len(wrong), len(r.Examples))
}
