package train

import (
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// # Losses over all batches of a step
//
// A loss that compares all batches of a step needs the vectors of all, whichever ranks they are on. They are computed in a pass before, batch by batch,
// and each rank's device gets a table of them. Where the ranks are processes, the numbers go through the group. Else nobody reads a number: the
// vectors are put into the table where they are, and devices of one process sum theirs, in which the places of the others' batches are zero.

// Surveyor is a [Task], or what one is made of, with a loss that depends on all batches of a step at a time, whichever ranks they
// are on: on what is found out about each of them in a pass before.
type Surveyor interface {
	// Surveys says whether there is such a loss.
	Surveys() bool
	// Survey finds out about a batch: what all ranks are told, nothing of a batch that has no such loss, and vectors. The tape is reset, with
	// the seed that it has again when Loss computes the batch: what begins in the same way has the same dropout masks.
	Survey(tape *autograd.Tape, epoch, batch int) (about []byte, vectors []*autograd.Var, err error)
	// Surveyed gives what was found out about the batches of the step, in their order, before Loss computes the first.
	Surveyed(batches []Surveyed) error
}

// Surveyed is what was found out about a batch of a step.
type Surveyed struct {
	About   []byte
	Vectors []StepVectors // as Survey returned them
}

// StepVectors are vectors of a batch of a step: rows of a table, from First on. All vectors of the step that are as long have one table, until its
// batches are computed.
type StepVectors struct {
	Table *engine.Tensor
	First int
}

// StepRow is a row of the vectors of one of a step's batches.
type StepRow struct{ Batch, Row int }

// StackStep returns rows of the vectors of a step's batches, for a loss over all of them that each batch computes, on whichever rank it is. Those of
// the batch own are vectors, variables of the tape. Those of the others are constants, which of gives, as these are constants there: the gradients
// of all batches together are that of one loss.
func StackStep(t *autograd.Tape, own int, vectors *autograd.Var, of func(batch int) StepVectors, rows []StepRow) *autograd.Var {
	var table *engine.Tensor
	ids := make([]int32, len(rows))
	for i, r := range rows {
		if r.Batch == own {
			ids[i] = int32(r.Row)
			continue
		}
		v := of(r.Batch)
		ids[i], table = int32(vectors.Value.Rows+v.First+r.Row), v.Table
	}
	if table == nil {
		return t.Rows(vectors, ids)
	}
	return t.StackRows(vectors, autograd.Const(table), ids)
}

// LossOfStep is a loss over all of a step's batches as each of them has it. Of their losses the mean is taken, to which each passes on the gradient
// of its own vectors alone. So that counts as many times as there are batches.
func LossOfStep(t *autograd.Tape, loss *autograd.Var, batches int) *autograd.Var {
	return t.Counted(loss, float32(batches))
}

// found is what a rank tells of a batch that it has surveyed.
type found struct {
	About  []byte
	Sizes  [][2]int    // rows and columns of the vectors
	Values [][]float32 // theirs, where they go through the group

	here []*engine.Tensor // the vectors; nil on other ranks
}

// survey finds out about the step's batches what the task's losses need of all of them.
func (t *Trainer) survey(places []place, first, end int) error {
	s, ok := t.Task.(Surveyor)
	if !ok || !s.Surveys() {
		return nil
	}
	var own []found
	var err error
	for i := first; i < end && err == nil; i++ {
		var f found
		f, err = t.surveyBatch(s, places[i], t.seed(i))
		own = append(own, f)
	}
	each, err := collective.Gather(t.Group, own, err)
	if err != nil {
		return err
	}
	each[t.Group.Rank()] = own // with the vectors that are here
	batches, err := t.tabulate(slices.Concat(each...))
	if err != nil {
		return err
	}
	if err := s.Surveyed(batches); err != nil { // on all ranks, which have found out the same
		return t.agree(err)
	}
	return nil
}

// surveyBatch takes a batch through the pass before the step's own. It is a program of its own, on a device that records.
func (t *Trainer) surveyBatch(s Surveyor, at place, seed autograd.Seed) (f found, err error) {
	t.tape.Reset(seed)
	defer func() {
		t.tape.Release()
		engine.Start(t.Device)
	}()
	about, vectors, err := s.Survey(t.tape, at.epoch, at.batch)
	if err != nil {
		return f, err
	}
	f.About = about
	for _, v := range vectors {
		x := v.Value
		f.Sizes = append(f.Sizes, [2]int{x.Rows, x.Cols})
		if t.exchange.remote() {
			f.Values = append(f.Values, slices.Clone(engine.Values(t.Device, x)))
			continue
		}
		kept := t.Device.New(x.Rows, x.Cols)
		t.Device.Copy(kept, x)
		f.here = append(f.here, kept)
	}
	return f, nil
}

// tabulate puts the vectors of a step's batches into tables, the first batch's first. They are there until [Trainer.clearTables].
func (t *Trainer) tabulate(batches []found) ([]Surveyed, error) {
	rows := map[int]int{} // of the table of vectors with so many columns
	list := make([]Surveyed, len(batches))
	for i, f := range batches {
		list[i] = Surveyed{f.About, make([]StepVectors, len(f.Sizes))}
		for k, size := range f.Sizes {
			list[i].Vectors[k].First = rows[size[1]]
			rows[size[1]] += size[0]
		}
	}
	tables := map[int]*engine.Tensor{}
	for _, cols := range slices.Sorted(maps.Keys(rows)) {
		table := t.Device.New(rows[cols], cols)
		t.Device.Zero(table)
		tables[cols], t.tables = table, append(t.tables, table)
	}
	for i, f := range batches {
		for k, size := range f.Sizes {
			v := &list[i].Vectors[k]
			v.Table = tables[size[1]]
			switch {
			case f.Values != nil:
				t.Device.Write(t.Device.Part(v.Table, v.First, v.First+size[0]), f.Values[k])
			case f.here != nil:
				t.put(*v, f.here[k])
			}
		}
	}
	if joint := t.exchange.joint; joint != nil {
		return list, joint.SumAll(t.tables, t.Group.Barrier)
	}
	engine.Start(t.Device)
	return list, nil
}

// put moves vectors to their place in a table. It is not [engine.Memory]'s Part: a device that records would have a program for each place.
func (t *Trainer) put(at StepVectors, vectors *engine.Tensor) {
	rows, first := make([]int32, vectors.Rows), make([]bool, vectors.Rows)
	for i := range rows {
		rows[i], first[i] = int32(at.First+i), true
	}
	t.Device.ScatterAdd(at.Table, rows, vectors, first)
	t.Device.Free(vectors)
}

// clearTables gives back what the step's batches needed of each other.
func (t *Trainer) clearTables() {
	for _, table := range t.tables {
		t.Device.Free(table)
	}
	t.tables = nil
}
