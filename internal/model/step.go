package model

import (
	"github.com/unimo-go/unimo/internal/compute/autograd"
)

// StepRow is a row of the vectors of one of a step's batches.
type StepRow struct{ Batch, Row int }

// StackStep returns rows of the vectors of a step's batches, for a loss over all of them that each batch computes, on whichever process it is. Those of
// the batch own are vectors, variables of the tape. Those of the others are constants, of which values has the numbers, as these are constants
// there: the gradients of all batches together are that of one loss.
func StackStep(t *autograd.Tape, own int, vectors *autograd.Var, values func(batch int) []float32, rows []StepRow) *autograd.Var {
	size := vectors.Value.Cols
	var others []float32
	ids := make([]int32, len(rows))
	for i, r := range rows {
		if r.Batch == own {
			ids[i] = int32(r.Row)
			continue
		}
		ids[i] = int32(vectors.Value.Rows + len(others)/size)
		others = append(others, values(r.Batch)[r.Row*size:][:size]...)
	}
	if others == nil {
		return t.Rows(vectors, ids)
	}
	return t.StackRows(vectors, t.Input(len(others)/size, size, others), ids)
}

// LossOfStep is a loss over all of a step's batches as each of them has it. Of their losses the mean is taken, to which each passes on the gradient
// of its own vectors alone. So that counts as many times as there are batches.
func LossOfStep(t *autograd.Tape, loss *autograd.Var, batches int) *autograd.Var {
	return t.Counted(loss, float32(batches))
}
