package pretrained

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/pretrain"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/train"
)

// Report implements [run.Reporter]: a curve for each objective, and how long this process waited for data.
func (l *learner) Report(history train.History, newest train.Numbers) ([]report.Curve, []report.Item) {
	waited := report.Item{Key: "waited for data", Value: fmt.Sprintf("%.1f s", l.feed.Waited().Seconds())}
	var curves []report.Curve
	shown := append(l.recipe.Objectives(l.config.RegionClasses > 0),
		pretrain.Objective{Name: maskedAccuracy, Title: "Masked accuracy, held out"}, pretrain.Objective{Name: "recall@1", Title: "Recall@1, held out"})
	for _, o := range shown {
		name := o.Name
		if (Kind{}).Hides(newest, name) {
			continue
		}
		var x, y, evalX, evalY []float64
		for _, s := range history.Steps {
			if value, ok := s.Parts[name]; ok {
				x, y = append(x, float64(s.Step)), append(y, float64(value))
			}
		}
		for _, e := range history.Evals {
			if value, ok := e.Metrics[name]; ok {
				evalX, evalY = append(evalX, float64(e.Step)), append(evalY, float64(value))
			}
		}
		if len(x)+len(evalX) == 0 {
			continue
		}
		curve := report.Curve{Title: o.Title, XLabel: "step", YLabel: "loss"}
		if len(x) > 0 {
			curve.Series = report.Smoothed("training", x, y, float64(len(x))/40)
		} else {
			curve.YLabel = name
		}
		curve.Series = append(curve.Series, report.Series{Name: "held out", X: evalX, Y: evalY, Points: true})
		curves = append(curves, l.job.task.Bounded(curve.YLabel, curve))
	}
	return curves, []report.Item{waited}
}
