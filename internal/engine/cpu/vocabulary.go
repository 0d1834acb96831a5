package cpu

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/engine"
	"github.com/unimo-go/unimo/internal/kernels"
)

// VocabularyLoss implements [engine.Device].
func (d *Device) VocabularyLoss(loss, stats, x, w, bias *engine.Tensor, op engine.Transpose, labels []int32, smoothing float32) {
	vocab, flags := checkVocabulary("vocabulary loss", stats, x, w, bias, op, labels)
	engine.CheckShape("vocabulary loss", "loss", loss, 1, 1)
	logits := d.New(1, vocab)
	var sum float64
	for i, label := range labels {
		row := data(logits)
		kernels.GemmWith(row, vocab, rowOf(data(x), i, x.Cols), x.Cols, data(w), w.Cols, 1, vocab, x.Cols, flags, kernels.Epilogue{Bias: data(bias)})
		logSum := logSumExp(row)
		data(stats)[i] = float32(logSum)
		var mean float64
		for _, l := range row {
			mean += float64(l) / float64(vocab)
		}
		e := float64(smoothing)
		sum += logSum - (1-e)*float64(row[label]) - e*mean
	}
	d.Free(logits)
	data(loss)[0] = float32(sum / float64(len(labels)))
}

// VocabularyLossBackward implements [engine.Device].
func (d *Device) VocabularyLossBackward(dx, dw, db, dloss, stats, x, w, bias *engine.Tensor, op engine.Transpose, labels []int32, smoothing float32, addW, addB bool) {
	const name = "vocabulary loss backward"
	vocab, flags := checkVocabulary(name, stats, x, w, bias, op, labels)
	engine.CheckShape(name, "dloss", dloss, 1, 1)
	engine.CheckShape(name, "dx", dx, x.Rows, x.Cols)
	if dw != nil {
		engine.CheckShape(name, "dw", dw, w.Rows, w.Cols)
	}
	if db != nil {
		engine.CheckShape(name, "db", db, 1, vocab)
	}
	slopes := d.New(x.Rows, vocab)
	kernels.GemmWith(data(slopes), vocab, data(x), x.Cols, data(w), w.Cols, x.Rows, vocab, x.Cols, flags, kernels.Epilogue{Bias: data(bias)})
	scale := float64(data(dloss)[0]) / float64(len(labels))
	for i, label := range labels {
		row, logSum := rowOf(data(slopes), i, vocab), float64(data(stats)[i])
		for j, l := range row {
			row[j] = float32(scale * (math.Exp(float64(l)-logSum) - float64(smoothing)/float64(vocab)))
		}
		row[label] -= float32(scale * (1 - float64(smoothing)))
	}
	if op == engine.NT {
		d.MatMul(dx, slopes, w, engine.NN, false)
		if dw != nil {
			d.MatMul(dw, slopes, x, engine.TN, addW)
		}
	} else {
		d.MatMul(dx, slopes, w, engine.NT, false)
		if dw != nil {
			d.MatMul(dw, x, slopes, engine.TN, addW)
		}
	}
	if db != nil {
		d.SumRows(db, slopes, addB)
	}
	d.Free(slopes)
}

func checkVocabulary(name string, stats, x, w, bias *engine.Tensor, op engine.Transpose, labels []int32) (vocab int, flags kernels.GemmFlags) {
	switch op {
	case engine.NN:
		vocab = w.Cols
		engine.CheckShape(name, "w", w, x.Cols, vocab)
	case engine.NT:
		vocab, flags = w.Rows, kernels.TransB
		engine.CheckShape(name, "w", w, vocab, x.Cols)
	default:
		panic(engine.ShapeError{Op: name, Detail: fmt.Sprintf("product %d, want NN or NT", op)})
	}
	engine.CheckShape(name, "x", x, len(labels), x.Cols)
	engine.CheckShape(name, "stats", stats, len(labels), 1)
	engine.CheckShape(name, "bias", bias, 1, vocab)
	engine.CheckIndices(name, labels, vocab)
	return vocab, flags
}
