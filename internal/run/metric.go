package run

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/train"
)

// Metric says how the value of a metric is shown. The zero value is a number without bounds.
type Metric struct {
	Count     bool    // a number of things
	Low, High float64 // bounds of its values; equal ones are none
	Order     int     // of its place: 0 is among most others, in the order of their names
	Group     string  // heading of the metrics that it stands with, behind all others; "" for most
}

// Share is a metric between 0 and 1.
var Share = Metric{Low: 0, High: 1}

// Normalised is a value of the metric as a number from 0, worst, to 1, so that values of different metrics can be averaged:
// of a metric with bounds its share of the upper one, which is 0 below 0, as of a correlation that is negative; without
// bounds x / (1 + x), as of CIDEr; and where less is better 1 / (1 + x), as of a loss. What is undefined is 0.
func (m Metric) Normalised(x float64, lower bool) float64 {
	switch {
	case math.IsNaN(x):
		return 0
	case lower:
		return 1 / (1 + max(0, x))
	case m.Low < m.High:
		return min(max(0, x/m.High), 1)
	case math.IsInf(x, 1):
		return 1
	}
	return max(0, x) / (1 + max(0, x))
}

// The places of metrics that all kinds have.
const (
	placeFirst    = -1 // the task's own
	placeLoss     = 1
	PlaceCount    = 2 // of numbers of things other than examples
	placeExamples = 3
)

// Describe says how a metric is shown.
func (t *Task) Describe(metric string) Metric {
	var m Metric
	if d, ok := t.Kind.(Describer); ok {
		m = d.Describe(metric)
	}
	switch metric {
	case "loss":
		m.Order = placeLoss
	case "examples":
		m.Count, m.Order = true, placeExamples
	}
	if isCalibration(metric) {
		m = Metric{Low: 0, High: 1, Group: "probabilities"}
	}
	if metric == t.Metric {
		m.Order = placeFirst
	}
	return m
}

// Shown lists the names of metrics in the order people want them: the task's own first, loss and the number of
// examples last. Metrics that say nothing are not among them (Summary.Notes has why).
func (t *Task) Shown(m train.Numbers) []string {
	// recall@5 comes before recall@10.
	number := func(key string) (name string, n int) {
		name, digits, _ := strings.Cut(key, "@")
		n, _ = strconv.Atoi(digits)
		return name, n
	}
	keys := slices.Collect(maps.Keys(m))
	if d, ok := t.Kind.(Doubter); ok {
		keys = slices.DeleteFunc(keys, func(key string) bool { return d.Hides(m, key) })
	}
	slices.SortFunc(keys, func(a, b string) int {
		metricA, metricB := t.Describe(a), t.Describe(b)
		nameA, nA := number(a)
		nameB, nB := number(b)
		return cmp.Or(cmp.Compare(metricA.Group, metricB.Group), cmp.Compare(metricA.Order, metricB.Order), cmp.Compare(nameA, nameB), cmp.Compare(nA, nB), cmp.Compare(a, b))
	})
	return keys
}

// Metrics returns the metrics of all results by the names of --json: those of the
// first split as they are, the others with the split's name behind.
func Metrics(results []Result) train.Numbers {
	all := train.Numbers{}
	for i, r := range results {
		for key, value := range r.Metrics {
			if i > 0 {
				key += "_" + r.Split
			}
			all[key] = value
		}
	}
	return all
}

// tiles are the metrics as a page shows them, with what they are to be compared with.
func (t *Task) tiles(r Result) []report.Metric {
	on := "on " + r.Split
	if n := int(r.Metrics["examples"]); n < FewExamples {
		on += ", " + Count(n, "example") + " only"
	}
	var tiles []report.Metric
	for _, key := range t.Shown(r.Metrics) {
		if t.Describe(key).Group != "" {
			continue // a table of its own
		}
		note := on
		if c, ok := r.Detail.(Commenter); ok {
			note = c.Comment(key, on)
		}
		tiles = append(tiles, report.Metric{Name: key, Value: float64(r.Metrics[key]), Note: note})
	}
	return tiles
}

// Bounded gives the curve of a metric the bounds of its values.
func (t *Task) Bounded(metric string, c report.Curve) report.Curve {
	m := t.Describe(metric)
	c.Low, c.High = m.Low, m.High
	return c
}
