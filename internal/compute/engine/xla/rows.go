package xla

import (
	"slices"

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
	l := landingOf(ids, first)
	ins := [...]operand{d.tensor(dtable), d.tensor(dy), host(pjrt.I32, l.from, of(dy).room), host(pjrt.I32, l.to, of(dy).room), d.count(len(l.to)), absent}
	if first != nil {
		ins[5] = host(pjrt.I32, l.over, of(dy).room)
	}
	record(d, "scatter add", l.sums, lowerScatterAdd, []*engine.Tensor{dtable}, ins[:]...)
}

// landing is where rows go that are added to those of a table. It is sorted, so that rows of one place lie one after the other, and those of a
// place that is overwritten later are not in it.
type landing struct {
	from, to []int32 // row from[i] is added to row to[i] of the table
	over     []int32 // 1: the table's row is overwritten
	sums     sums
}

// sums says whether several rows go to one place. It is an attribute, as most operations have either always: tokens repeat; what
// fills a cache, or is taken out of a batch, does not, and needs no sums.
type sums bool

func landingOf(ids []int32, first []bool) landing {
	begins := make(map[int32]int, len(first)) // by place: the last row that overwrites it
	for i, over := range first {
		if over {
			begins[ids[i]] = i
		}
	}
	order := make([]int64, 0, len(ids)) // a place, and below it a row
	for i, id := range ids {
		if i >= begins[id] {
			order = append(order, int64(id)<<32|int64(i))
		}
	}
	slices.Sort(order)
	l := landing{from: make([]int32, len(order)), to: make([]int32, len(order))}
	for i, at := range order {
		l.from[i], l.to[i] = int32(at), int32(at>>32)
		l.sums = l.sums || i > 0 && l.to[i-1] == l.to[i]
	}
	if first != nil {
		l.over = make([]int32, len(order))
		for i, place := range l.to {
			if _, ok := begins[place]; ok {
				l.over[i] = 1
			}
		}
	}
	return l
}

func lowerScatterAdd(b *builder, several sums, ins []val) []val {
	table, dy, from, to, count, over := ins[0], ins[1], ins[2], ins[3], ins[4], ins[5]
	old := b.take(table, to)
	if over.ok() {
		kept := b.compare("EQ", over, b.integer(pjrt.I32, 0, over.dims...))
		old = b.choose(b.column(kept, old.dims[1]), old, b.like(old, 0))
	}
	return []val{b.land(table, old, b.take(dy, from), to, count, several)}
}

// land sets rows of the table: for each place in to, the first count of which are sorted, to its old row, which lies beside it, and the sum of
// its new ones. An addition where it lies, which XLA has an operation for, has an order that changes from run to run, or all numbers sorted.
func (b *builder) land(table, old, rows, to, count val, several sums) val {
	n := rows.dims[0]
	kept := b.below(count, 0, n)
	if several {
		to = b.choose(kept, to, b.integer(pjrt.I32, -1, n))
		// Each row is the sum of those of its place among the last 1, 2, 4 ... before it.
		for by := 1; by < n; by *= 2 {
			same := b.compare("EQ", to, b.pad(b.slice(to, []int{0}, []int{n - by}), b.integer(pjrt.I32, -2), []int{by}, []int{0}))
			before := b.pad(b.slice(rows, []int{0, 0}, []int{n - by, rows.dims[1]}), b.number(0), []int{by, 0}, []int{0, 0})
			rows = b.add(rows, b.choose(b.column(same, rows.dims[1]), before, b.like(rows, 0)))
		}
		if n > 1 {
			next := b.pad(b.slice(to, []int{1}, []int{n}), b.integer(pjrt.I32, -2), []int{0}, []int{1})
			kept = b.binary("and", kept, b.compare("NE", to, next))
		}
	}
	return b.setRows(table, b.places(to, kept, table.dims[0]), b.add(old, rows))
}

// places are indices of a table's rows. Those that are not kept lie behind it, each elsewhere: setRows leaves them out.
func (b *builder) places(ids, kept val, rows int) val {
	behind := b.add(b.iota(pjrt.I32, 0, ids.dims...), b.integer(pjrt.I32, int64(rows), ids.dims...))
	return b.choose(kept, ids, behind)
}

// GatherStack implements [engine.Device].
func (d *Device) GatherStack(dst, a, b *engine.Tensor, ids []int32) {
	engine.CheckShape("gather stack", "dst", dst, len(ids), a.Cols)
	engine.CheckShape("gather stack", "b", b, b.Rows, a.Cols)
	engine.CheckIndices("gather stack", ids, a.Rows+b.Rows)
	record(d, "gather stack", none{}, lowerGatherStack, []*engine.Tensor{dst}, d.tensor(a), d.tensor(b), d.ints(stacked(ids, a)), d.count(len(ids)))
}

func lowerGatherStack(b *builder, _ none, ins []val) []val {
	return []val{b.keep(b.take(b.concatenate(0, ins[0], ins[1]), ins[2]), ins[3])}
}

// stacked makes indices of rows of two tables, of which a is the first, those of both in the device's memory, where it has more rows.
func stacked(ids []int32, a *engine.Tensor) []int32 {
	at := slices.Clone(ids)
	for i := range at {
		if int(at[i]) >= a.Rows {
			at[i] += int32(of(a).room - a.Rows)
		}
	}
	return at
}

// GatherStackBackward implements [engine.Device].
func (d *Device) GatherStackBackward(da, db *engine.Tensor, ids []int32, dy *engine.Tensor) {
	engine.CheckShape("gather stack backward", "dy", dy, len(ids), da.Cols)
	engine.CheckShape("gather stack backward", "db", db, db.Rows, da.Cols)
	engine.CheckIndices("gather stack backward", ids, da.Rows+db.Rows)
	if len(ids) == 0 {
		d.Zero(da)
		d.Zero(db)
		return
	}
	l, n := landingOf(stacked(ids, da), nil), of(dy).room
	record(d, "gather stack backward", stack{of(da).room, of(db).room, l.sums}, lowerGatherStackBackward, []*engine.Tensor{da, db}, d.tensor(dy), host(pjrt.I32, l.from, n), host(pjrt.I32, l.to, n), d.count(len(l.to)))
}

// stack is the device's rows of both tables, and whether a row of them is named more than once.
type stack struct {
	first, second int
	sums          sums
}

func lowerGatherStackBackward(b *builder, s stack, ins []val) []val {
	dy, from, to, count := ins[0], ins[1], ins[2], ins[3]
	cols := dy.dims[1]
	all := b.land(b.number(0, s.first+s.second, cols), b.like(dy, 0), b.take(dy, from), to, count, s.sums)
	return []val{b.slice(all, []int{0, 0}, []int{s.first, cols}), b.slice(all, []int{s.first, 0}, []int{s.first + s.second, cols})}
}
