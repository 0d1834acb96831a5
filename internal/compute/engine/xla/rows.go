package xla

import (
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// SumRows implements [engine.Device].
func (d *Device) SumRows(sum, x *engine.Tensor, accumulate bool) {
	engine.CheckShape("sum rows", "sum", sum, 1, x.Cols)
	old := absent
	if accumulate {
		old = d.tensor(sum)
	}
	record(d, "sum rows", none{}, lowerSumRows, []*engine.Tensor{sum}, d.tensor(x), d.count(x.Rows), old)
}

func lowerSumRows(b *builder, _ none, ins []val) []val {
	sum := b.sumRows(ins[0], ins[1])
	if ins[2].ok() {
		sum = b.add(ins[2], sum)
	}
	return []val{sum}
}

// sumRows is the sum of the first count rows, 1 x cols.
func (b *builder) sumRows(x, count val) val {
	return b.reshape(b.sum(b.keep(x, count), 0), 1, x.dims[1])
}

// MeanRows implements [engine.Device].
func (d *Device) MeanRows(mean, x *engine.Tensor) {
	engine.CheckShape("mean rows", "mean", mean, 1, x.Cols)
	record(d, "mean rows", none{}, lowerMeanRows, []*engine.Tensor{mean}, d.tensor(x), d.count(x.Rows))
}

func lowerMeanRows(b *builder, _ none, ins []val) []val {
	sum := b.sumRows(ins[0], ins[1])
	n := b.maximum(b.convert(ins[1], f32), b.number(1))
	return []val{b.divide(sum, b.fill(n, sum.dims...))}
}

// ScaleColumns implements [engine.Device].
func (d *Device) ScaleColumns(y, x, s *engine.Tensor) {
	engine.CheckShape("scale columns", "y", y, x.Rows, x.Cols)
	engine.CheckShape("scale columns", "s", s, 1, x.Cols)
	record(d, "scale columns", none{}, lowerScaleColumns, []*engine.Tensor{y}, d.tensor(x), d.tensor(s))
}

func lowerScaleColumns(b *builder, _ none, ins []val) []val {
	return []val{b.multiply(ins[0], b.row(ins[1], ins[0].dims[0]))}
}

// Gather implements [engine.Device]. It makes gradients, too: rows behind are zero or, with accumulate, what they were.
func (d *Device) Gather(dst, table *engine.Tensor, ids []int32, accumulate bool) {
	engine.CheckShape("gather", "dst", dst, len(ids), table.Cols)
	engine.CheckIndices("gather", ids, table.Rows)
	old := absent
	if accumulate {
		old = d.tensor(dst)
	}
	record(d, "gather", none{}, lowerGather, []*engine.Tensor{dst}, d.tensor(table), d.ints(ids), d.count(len(ids)), old)
}

func lowerGather(b *builder, _ none, ins []val) []val {
	rows := b.keep(b.take(ins[0], ins[1]), ins[2])
	if ins[3].ok() {
		rows = b.add(ins[3], rows)
	}
	return []val{rows}
}

// ScatterAdd implements [engine.Device].
func (d *Device) ScatterAdd(dtable *engine.Tensor, ids []int32, dy *engine.Tensor, first []bool) {
	engine.CheckShape("scatter add", "dy", dy, len(ids), dtable.Cols)
	engine.CheckIndices("scatter add", ids, dtable.Rows)
	if len(ids) == 0 {
		return
	}
	ins := [...]operand{d.tensor(dtable), d.ints(ids), d.count(len(ids)), d.tensor(dy), absent}
	if first != nil {
		ins[4] = d.ints(rolesOf(ids, first))
	}
	record(d, "scatter add", none{}, lowerScatterAdd, []*engine.Tensor{dtable}, ins[:]...)
}

// What becomes of rows that are added to a table some of whose rows are overwritten.
const (
	added       = iota
	overwriting // the last one of its row
	overwritten // by one that comes later
)

// rolesOf says what becomes of each row.
func rolesOf(ids []int32, first []bool) []int32 {
	roles, done := make([]int32, len(ids)), map[int32]bool{}
	for i := len(ids) - 1; i >= 0; i-- {
		switch {
		case done[ids[i]]:
			roles[i] = overwritten
		case first[i]:
			roles[i], done[ids[i]] = overwriting, true
		}
	}
	return roles
}

func lowerScatterAdd(b *builder, _ none, ins []val) []val {
	table, ids, count, dy, roles := ins[0], ins[1], ins[2], ins[3], ins[4]
	ids = b.indices(ids, count)
	if roles.ok() {
		nowhere := b.integer(pjrt.I32, -1, ids.dims...)
		is := func(role int64) val { return b.compare("EQ", roles, b.integer(pjrt.I32, role, ids.dims...)) }
		table = b.setRows(table, b.choose(is(overwriting), ids, nowhere), b.like(dy, 0))
		ids = b.choose(is(overwritten), nowhere, ids)
	}
	return []val{b.addRows(table, ids, dy)}
}

// indices makes those at count and behind -1, which addRows and setRows leave out.
func (b *builder) indices(ids, count val) val {
	return b.choose(b.below(count, 0, ids.dims...), ids, b.integer(pjrt.I32, -1, ids.dims...))
}

// GatherStack implements [engine.Device].
func (d *Device) GatherStack(dst, a, b *engine.Tensor, ids []int32) {
	engine.CheckShape("gather stack", "dst", dst, len(ids), a.Cols)
	engine.CheckShape("gather stack", "b", b, b.Rows, a.Cols)
	engine.CheckIndices("gather stack", ids, a.Rows+b.Rows)
	record(d, "gather stack", none{}, lowerGatherStack, []*engine.Tensor{dst}, d.tensor(a), d.tensor(b), d.ints(ids), d.count(a.Rows), d.count(len(ids)))
}

func lowerGatherStack(b *builder, _ none, ins []val) []val {
	first, second, ids := ins[0], ins[1], ins[2]
	rows := b.take(b.concatenate(0, first, second), b.stacked(ids, ins[3], first.dims[0]))
	return []val{b.keep(rows, ins[4])}
}

// stacked makes indices of rows of two tables, the first of which has count rows, those of both in the device's memory, where it has more.
func (b *builder) stacked(ids, count val, rows int) val {
	more := b.subtract(b.integer(pjrt.I32, int64(rows)), count)
	first := b.compare("LT", ids, b.fill(count, ids.dims...))
	return b.choose(first, ids, b.add(ids, b.fill(more, ids.dims...)))
}

// GatherStackBackward implements [engine.Device].
func (d *Device) GatherStackBackward(da, db *engine.Tensor, ids []int32, dy *engine.Tensor) {
	engine.CheckShape("gather stack backward", "dy", dy, len(ids), da.Cols)
	engine.CheckShape("gather stack backward", "db", db, db.Rows, da.Cols)
	engine.CheckIndices("gather stack backward", ids, da.Rows+db.Rows)
	record(d, "gather stack backward", stack{of(da).room, of(db).room}, lowerGatherStackBackward, []*engine.Tensor{da, db}, d.tensor(dy), d.ints(ids), d.count(da.Rows), d.count(len(ids)))
}

// stack is the device's rows of both tables.
type stack struct{ first, second int }

func lowerGatherStackBackward(b *builder, s stack, ins []val) []val {
	dy, ids := ins[0], ins[1]
	cols := dy.dims[1]
	ids = b.indices(b.stacked(ids, ins[2], s.first), ins[3])
	all := b.addRows(b.number(0, s.first+s.second, cols), ids, dy)
	return []val{b.slice(all, []int{0, 0}, []int{s.first, cols}), b.slice(all, []int{s.first, 0}, []int{s.first + s.second, cols})}
}
