package classify

import (
	"math"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/tasks/classes"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// score compares outputs of a model with the records' labels. The loss is the one that the model is trained with.
func score(schema labelled.Schema, cfg model.Config, records []labelled.Record, out outputRows) classes.Score {
	if schema.Regression {
		m := train.Numbers{"examples": train.Number(len(records))}
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
		return classes.Score{Metrics: m}
	}
	gold := make([]int, len(out))
	for i := range gold {
		gold[i] = records[i].Class
	}
	s := classes.NewScore(out, gold, schema.Classes())
	if schema.Classes() == 2 {
		pred := make([]int, len(out))
		for i, logits := range out {
			pred[i] = classes.Best(logits)
		}
		s.Metrics["matthews"] = train.Number(metrics.Matthews(pred, gold))
	}
	if schema.Open {
		s.Metrics["macro_f1"] = train.Number(metrics.MacroF1(s.Confusion))
	}
	return s
}
