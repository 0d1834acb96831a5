package task

import (
	"github.com/unimo-go/unimo/internal/data"
	"github.com/unimo-go/unimo/internal/metrics"
	"github.com/unimo-go/unimo/internal/train"
)

// Scores are the metrics of a set of predictions, by the names of --json.
type Scores struct {
	Metrics   train.Numbers
	Confusion [][]int // of classification: gold by predicted
}

// score compares outputs with the records' labels.
func score(p *Preset, records []data.Record, out Outputs) Scores {
	m := train.Numbers{"examples": train.Number(len(records))}
	s := Scores{Metrics: m}
	if p.Schema.Regression {
		pred, gold := make([]float64, len(out)), make([]float64, len(out))
		var loss float64
		for i, logits := range out {
			pred[i], gold[i] = float64(logits[0]), float64(records[i].Score)
			loss += (pred[i] - gold[i]) * (pred[i] - gold[i])
		}
		m["loss"] = train.Number(loss / float64(len(out)))
		m["pearson"] = train.Number(metrics.Pearson(pred, gold))
		m["spearman"] = train.Number(metrics.Spearman(pred, gold))
		return s
	}
	pred, gold := make([]int, len(out)), make([]int, len(out))
	var loss float64
	for i, logits := range out {
		pred[i], gold[i] = argmax(logits), records[i].Class
		loss += crossEntropy(logits, gold[i])
	}
	m["loss"] = train.Number(loss / float64(len(out)))
	m["accuracy"] = train.Number(metrics.Accuracy(pred, gold))
	if p.Schema.Classes() == 2 {
		m["matthews"] = train.Number(metrics.Matthews(pred, gold))
	}
	s.Confusion = metrics.Confusion(pred, gold, p.Schema.Classes())
	return s
}
