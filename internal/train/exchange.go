package train

import (
	"fmt"
	"slices"
	"time"

	"github.com/unimo-go/unimo/internal/base/collective"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// # How processes exchange gradients
//
// Parameters lie in buckets of some MiB, neighbours together. A bucket is exchanged when its gradients are final, while the last of the rank's
// batches goes on backwards. All ranks exchange the same bucket at a time, whatever their batches have used:
//
//	which is next: the first rank says so, by what is final there
//	what each has of the gradients: nothing, rows, all
//	values: each to the rank that sums it, and the sums to all
//
// Tables of which a rank has some rows wait to the end: which rows, the ranks tell each other with their losses.
//
// Ranks of one process whose devices sum themselves ([engine.Joint]) exchange none of this: they tell each other what they have of the gradients,
// and the devices sum all of them behind the pass, in the order of the same tree. Each rank makes all of the update.

// layout says which gradients are exchanged together, and who sums what of them. Later parameters come first, as in a pass backwards.
type layout struct {
	buckets [][]int // of parameters
	first   [][]int // by parameter: the first row that each rank sums, and behind these the number of rows
}

// newLayout cuts parameters into buckets of so many values at least, and each bucket, at ends of rows, into a part for each rank.
func newLayout(grads []*autograd.Gradient, ranks, least int) layout {
	l := layout{first: make([][]int, len(grads))}
	values := 0
	var bucket []int
	for i, g := range slices.Backward(grads) {
		bucket = append(bucket, i)
		if values += g.Tensor().Len(); values < least && i > 0 {
			continue
		}
		begin := 0
		for _, i := range bucket {
			t := grads[i].Tensor()
			for r := range ranks {
				row := (r*values/ranks - begin + t.Cols - 1) / max(1, t.Cols)
				l.first[i] = append(l.first[i], min(max(0, row), t.Rows))
			}
			l.first[i] = append(l.first[i], t.Rows)
			begin += t.Len()
		}
		l.buckets, bucket, values = append(l.buckets, bucket), nil, 0
	}
	return l
}

// exchanger adds the gradients of all ranks, a chunk at a time: the ranks give each other their values of a block, each sums the
// block that is its own, and all get the sums. What is on its way stays in the processor's cache.
type exchanger struct {
	dev   engine.Device
	joint engine.Joint // dev, where the devices of all ranks sum themselves; nil: gradients go through the group
	group collective.Group
	grads []*autograd.Gradient
	layout
	chunk      int // values that are on their way at a time
	send, recv []float32

	divides      bool   // parameters whose gradient is dense and never was rows become divided
	divided      []bool // by parameter: a rank keeps the sums of its part to itself and steps that part; ranks exchange the values instead
	rowed        []bool // by parameter: some rank has had rows of its gradient alone
	round        bool   // values go as bfloat16
	mine, theirs []uint16

	queue chan int      // buckets whose gradients are final
	over  chan struct{} // all are exchanged
	spent []interval    // when buckets were exchanged
	met   time.Time     // when all ranks had gradients of the step's first one
	late  []int         // parameters that wait to the end
	err   error
}

// remote says whether gradients go to other ranks through the group.
func (x *exchanger) remote() bool { return x.joint == nil && x.group.Size() > 1 }

// sumJoint replaces gradients by their sums over all ranks, which the devices compute. A rank that has an error instead ends all.
func (x *exchanger) sumJoint(failed error) error {
	mine := make([]byte, len(x.grads))
	for i, g := range x.grads {
		mine[i] = byte(g.Extent())
	}
	all, err := collective.Gather(x.group, mine, failed)
	if err != nil {
		return err
	}
	x.met = time.Now()
	var sums []*engine.Tensor
	for i, g := range x.grads {
		if slices.ContainsFunc(all, func(theirs []byte) bool { return autograd.Extent(theirs[i]) != autograd.Empty }) {
			sums = append(sums, g.Fill(x.dev))
		}
	}
	if err := x.joint.SumAll(sums, x.group.Barrier); err != nil {
		return fmt.Errorf("sum gradients: %w", err)
	}
	return nil
}

// interval is a time that something took.
type interval struct{ from, to time.Time }

// A chunk has 2 MiB of values: larger ones leave the cache, smaller ones wait for messages. A bucket has 8 MiB or more: about what a matrix of
// a base model has.
const (
	chunk  = 1 << 19
	bucket = 1 << 21
)

// begin begins the exchange of a step. Until end, one goroutine alone calls the group.
func (x *exchanger) begin() {
	x.spent, x.late, x.met = x.spent[:0], x.late[:0], time.Time{}
	x.queue, x.over = make(chan int, len(x.buckets)), make(chan struct{})
	go func() {
		defer close(x.over)
		x.err = x.exchangeBuckets()
	}()
}

// exchangeBuckets exchanges all buckets. It does not call the group, which may wait with all of a processor, before there is something to exchange.
func (x *exchanger) exchangeBuckets() error {
	var final []int
	next := make([]int32, 1)
	for n := range x.buckets {
		for len(final) <= n {
			final = append(final, <-x.queue)
		}
		start := time.Now()
		next[0] = int32(final[n])
		if err := x.group.Broadcast(collective.Bytes(next), 0); err != nil {
			return fmt.Errorf("exchange gradients: %w", err)
		}
		for !slices.Contains(final, int(next[0])) {
			final = append(final, <-x.queue)
		}
		if err := x.exchangeBucket(x.buckets[next[0]]); err != nil {
			return err
		}
		x.spent = append(x.spent, interval{start, time.Now()})
	}
	return nil
}

// end waits until all buckets, which have been handed over, are exchanged. Of the time that this took, hidden went by before the rank waited for it.
func (x *exchanger) end(waiting time.Time) (hidden time.Duration, err error) {
	<-x.over
	for _, s := range x.spent {
		if s.to.After(waiting) {
			s.to = waiting
		}
		hidden += max(0, s.to.Sub(s.from))
	}
	return hidden, x.err
}

// exchangeBucket replaces gradients by their sums over all ranks, but for tables of which some rank has rows. It computes nothing on the device,
// which has other work.
func (x *exchanger) exchangeBucket(params []int) error {
	n, size := len(params), x.group.Size()
	mine, all := make([]byte, n), make([]byte, n*size)
	for k, i := range params {
		mine[k] = byte(x.grads[i].Extent())
	}
	if err := x.group.AllGather(mine, all); err != nil {
		return fmt.Errorf("exchange gradients: %w", err)
	}
	if x.met.IsZero() {
		x.met = time.Now()
	}
	var whole, divided []int // of dense gradients
	for k, i := range params {
		most, rows := autograd.Empty, false
		for r := range size {
			extent := autograd.Extent(all[r*n+k])
			most, rows = max(most, extent), rows || extent == autograd.Rows
		}
		switch {
		case rows:
			x.late, x.rowed[i] = append(x.late, i), true
		case most == autograd.Dense:
			x.grads[i].Widen(x.dev, autograd.Dense, nil)
			if x.divided[i] = x.divided[i] || x.divides && !x.rowed[i]; x.divided[i] {
				divided = append(divided, i)
			} else {
				whole = append(whole, i)
			}
		}
	}
	if err := x.sumDense(whole, true); err != nil {
		return err
	}
	return x.sumDense(divided, false)
}

// extent says which part of a gradient a rank has.
type extent struct {
	Part autograd.Extent
	Rows []int32
}

// waiting is what this rank has of the gradients that wait to the end.
func (x *exchanger) waiting() []extent {
	list := make([]extent, len(x.late))
	for k, i := range x.late {
		if list[k].Part = x.grads[i].Extent(); list[k].Part == autograd.Rows {
			list[k].Rows = x.grads[i].Rows()
		}
	}
	return list
}

// exchangeLate replaces the gradients that waited, of which each rank has these extents, by their sums.
func (x *exchanger) exchangeLate(ranks [][]extent) error {
	var whole, divided, tables []int
	for k, i := range x.late {
		most := autograd.Empty
		var rows []int32
		for _, r := range ranks {
			most = max(most, r[k].Part)
			rows = append(rows, r[k].Rows...)
		}
		slices.Sort(rows)
		x.grads[i].Widen(x.dev, most, slices.Compact(rows))
		switch {
		case most != autograd.Dense:
			tables = append(tables, i)
		case x.divided[i]:
			divided = append(divided, i)
		default:
			whole = append(whole, i)
		}
	}
	if err := x.sumDense(whole, true); err != nil {
		return err
	}
	if err := x.sumDense(divided, false); err != nil {
		return err
	}
	return x.sumRows(tables)
}

// sumDense sums gradients that all ranks have all of: each its part by the layout. All of them get all sums, or each keeps its own.
func (x *exchanger) sumDense(params []int, all bool) error {
	parts := make([]view, x.group.Size())
	return x.sum(params, parts, all, func(i int, values []float32) { x.divide(parts, i, values) })
}

// divide adds to the part of each rank its rows of a parameter.
func (x *exchanger) divide(parts []view, i int, values []float32) {
	cols := x.grads[i].Tensor().Cols
	for r := range parts {
		parts[r].add(values[x.first[i][r]*cols : x.first[i][r+1]*cols])
	}
}

// rows says which rows of a parameter are this rank's by the layout.
func (x *exchanger) rows(i int) [2]int {
	rank := x.group.Rank()
	return [2]int{x.first[i][rank], x.first[i][rank+1]}
}

// sumRows sums gradients of which all ranks have the same rows: each about as many.
func (x *exchanger) sumRows(params []int) error {
	parts := make([]view, x.group.Size())
	next := 0
	return x.sum(params, parts, true, func(i int, values []float32) {
		for _, row := range rowsOf(x.grads[i], values) {
			parts[next%len(parts)].add(row)
			next++
		}
	})
}

// sum replaces values by their sums over all ranks: on all of them, or each part on the rank that it belongs to. divide gives each rank
// its part of a gradient's values.
func (x *exchanger) sum(params []int, parts []view, all bool, divide func(i int, values []float32)) error {
	memory := make([][]float32, len(params))
	for k, i := range params {
		memory[k] = engine.Values(x.dev, x.grads[i].Tensor())
		divide(i, memory[k])
	}
	if err := x.sumParts(parts, all); err != nil {
		return fmt.Errorf("exchange gradients: %w", err)
	}
	for k, i := range params {
		x.dev.Write(x.grads[i].Tensor(), memory[k]) // nothing, if it is the memory
	}
	return nil
}

// sumParts has each rank sum its part, and may give all of them to all.
func (x *exchanger) sumParts(parts []view, all bool) error {
	size := len(parts)
	for left := longest(parts); left > 0; {
		block := min(x.chunk/size, left)
		send, recv := x.buffers(block * size)
		for r := range parts {
			parts[r].read(send[r*block:][:block])
		}
		if err := x.exchange(x.group.AllToAll, send, recv); err != nil {
			return err
		}
		for width := 1; width < size; width *= 2 {
			for r := 0; r+width < size; r += 2 * width {
				a, b := recv[r*block:][:block], recv[(r+width)*block:][:block]
				for i, value := range b {
					a[i] += value
				}
				if x.round {
					for i, value := range a {
						a[i] = widened(bfloat16(value))
					}
				}
			}
		}
		left -= block
		if !all {
			parts[x.group.Rank()].write(recv[:block])
			continue
		}
		if err := x.exchange(x.group.AllGather, recv[:block], send); err != nil {
			return err
		}
		for r := range parts {
			parts[r].write(send[r*block:][:block])
		}
	}
	return nil
}

// gather gives all ranks all of some parameters' tensors, of which each has its part by the layout.
func (x *exchanger) gather(params []int, tensor func(param int) *engine.Tensor) error {
	size, rank := x.group.Size(), x.group.Rank()
	parts, memory := make([]view, size), make([][]float32, len(params))
	for k, i := range params {
		memory[k] = engine.Values(x.dev, tensor(i))
		x.divide(parts, i, memory[k])
	}
	for left := longest(parts); left > 0; {
		block := min(x.chunk/size, left)
		all, _ := x.buffers(block * size)
		own := all[rank*block:][:block]
		parts[rank].read(own)
		if err := x.group.AllGather(collective.Bytes(own), collective.Bytes(all)); err != nil {
			return err
		}
		for r := range parts {
			if r != rank {
				parts[r].write(all[r*block:][:block])
			}
		}
		left -= block
	}
	for k, i := range params {
		x.dev.Write(tensor(i), memory[k])
	}
	return nil
}

// share is [optim.Shard.Share].
func (x *exchanger) share(sums [][]float64) error {
	var own []float64
	for i, rows := range sums {
		if of := x.rows(i); rows != nil {
			own = append(own, rows[of[0]:of[1]]...)
		}
	}
	all, err := collective.GatherAll(x.group, collective.Bytes(own))
	if err != nil {
		return fmt.Errorf("exchange the gradients' norm: %w", err)
	}
	for rank, theirs := range all {
		for i, rows := range sums {
			if rows != nil {
				theirs = theirs[copy(collective.Bytes(rows[x.first[i][rank]:x.first[i][rank+1]]), theirs):]
			}
		}
	}
	return nil
}

// buffers returns memory for n values that go and n that come.
func (x *exchanger) buffers(n int) (send, recv []float32) {
	if len(x.send) < n {
		x.send, x.recv = make([]float32, n), make([]float32, n)
	}
	return x.send[:n], x.recv[:n]
}

// exchange is an operation of the group on values. They go as bfloat16 where they are rounded to it.
func (x *exchanger) exchange(operation func(send, recv []byte) error, send, recv []float32) error {
	if !x.round {
		return operation(collective.Bytes(send), collective.Bytes(recv))
	}
	x.mine, x.theirs = slices.Grow(x.mine[:0], len(send))[:len(send)], slices.Grow(x.theirs[:0], len(recv))[:len(recv)]
	for i, v := range send {
		x.mine[i] = bfloat16(v)
	}
	if err := operation(collective.Bytes(x.mine), collective.Bytes(x.theirs)); err != nil {
		return err
	}
	for i, v := range x.theirs {
		recv[i] = widened(v)
	}
	return nil
}

// rowsOf returns the rows that a gradient of extent Rows has, of its values.
func rowsOf(g *autograd.Gradient, values []float32) (rows [][]float32) {
	cols := g.Tensor().Cols
	for _, row := range g.Rows() {
		rows = append(rows, values[int(row)*cols:][:cols])
	}
	return rows
}

// view is runs of values as one vector, which is read, and written behind that, from its beginning to its end.
type view struct {
	runs           [][]float32
	reads, written spot
}

// spot is a place in a view.
type spot struct{ run, at int }

// add puts a run to the view's end.
func (v *view) add(run []float32) {
	if len(run) > 0 {
		v.runs = append(v.runs, run)
	}
}

// longest is the length of the longest of some views.
func longest(views []view) (most int) {
	for _, v := range views {
		n := 0
		for _, run := range v.runs {
			n += len(run)
		}
		most = max(most, n)
	}
	return most
}

// read copies the next values into dst, as many as there are.
func (v *view) read(dst []float32) {
	v.each(&v.reads, dst, func(run, part []float32) { copy(part, run) })
}

// write replaces the next values, as many as there are, by those of src.
func (v *view) write(src []float32) {
	v.each(&v.written, src, func(run, part []float32) { copy(run, part) })
}

// each calls do for the runs that x covers, from s on, with their part of x.
func (v *view) each(s *spot, x []float32, do func(run, part []float32)) {
	for len(x) > 0 && s.run < len(v.runs) {
		run := v.runs[s.run][s.at:]
		n := min(len(run), len(x))
		do(run[:n], x[:n])
		if x, s.at = x[n:], s.at+n; s.at == len(v.runs[s.run]) {
			s.run, s.at = s.run+1, 0
		}
	}
}
