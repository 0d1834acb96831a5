package classify

import (
	"math"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// scores are the metrics of a set of predictions, by the names of --json.
type scores struct {
	metrics   train.Numbers
	confusion [][]int // of classification: gold by predicted
}

// score compares outputs of a model with the records' labels. The loss is the one that the model is trained with.
func score(schema labelled.Schema, cfg model.Config, records []labelled.Record, out outputRows) scores {
	m := train.Numbers{"examples": train.Number(len(records))}
	s := scores{metrics: m}
	if schema.Regression {
		pred, gold := make([]float64, len(out)), make([]float64, len(out))
		var loss float64
		for i, logits := range out {
			pred[i], gold[i] = float64(logits[0]), float64(records[i].Score)
			loss += (pred[i] - gold[i]) * (pred[i] - gold[i])
		}
		loss /= float64(len(out))
		if schema.Open {
			var sum float64
			for i := range pred {
				sum += math.Abs(pred[i] - gold[i])
			}
			m["rmse"], m["mae"] = train.Number(math.Sqrt(loss)), train.Number(sum/float64(len(out)))
		}
		if cfg.ScoreScale != 0 {
			loss /= cfg.ScoreScale * cfg.ScoreScale
		}
		m["loss"] = train.Number(loss)
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
	if schema.Classes() == 2 {
		m["matthews"] = train.Number(metrics.Matthews(pred, gold))
	}
	s.confusion = metrics.Confusion(pred, gold, schema.Classes())
	if schema.Open {
		m["macro_f1"] = train.Number(metrics.MacroF1(s.confusion))
	}
	return s
}
