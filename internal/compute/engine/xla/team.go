package xla

import (
	"fmt"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt"
)

// team is the chips of a process that compute together.
type team struct {
	size   int
	offers [][]*memory // by chip, from the first that is used: what it has to sum
}

var _ engine.Joint = (*Device)(nil)

// Joined implements [engine.Joint].
func (d *Device) Joined() int {
	if d.team == nil {
		return 1
	}
	return d.team.size
}

// SumAll implements [engine.Joint]: one program of all chips sums all tensors, which stay where they are.
func (d *Device) SumAll(ts []*engine.Tensor, meet func() error) error {
	offer := make([]*memory, len(ts))
	for i, t := range ts {
		m := of(t)
		d.heap.mu.Lock()
		if m.trace != nil {
			m.trace.flush(false)
		}
		d.heap.mu.Unlock()
		if m.whole != nil || m.buffer == 0 {
			panic(engine.ShapeError{Op: "sum all", Detail: fmt.Sprintf("tensor %d is a part of another, or nothing was written to it", i)})
		}
		offer[i] = m
	}
	d.team.offers[d.chip-d.first] = offer
	if err := meet(); err != nil || len(ts) == 0 {
		return err
	}
	if d.chip == d.first { // the others wait
		d.sumOffers()
	}
	return meet()
}

// sumOffers runs the program that sums what all chips offer.
func (d *Device) sumOffers() {
	var key trace
	noteAny(&key, "sum all")
	var sizes [][]int
	for _, m := range d.team.offers[0] {
		sizes = append(sizes, []int{m.room, m.cols})
		key.note(m.room)
		key.note(m.cols)
	}
	p := d.take(key.hash, pjrt.CompileOptions{Device: d.first, Replicas: d.team.size}, d.chip, func() []byte { return d.team.text(sizes) })
	defer d.release(p)
	d.ran()
	args, sums, spent := make([][]pjrt.Buffer, d.team.size), make([][]pjrt.Buffer, d.team.size), []pjrt.Buffer(nil)
	for chip, offer := range d.team.offers {
		for _, m := range offer {
			args[chip], sums[chip] = append(args[chip], m.buffer), append(sums[chip], d.client.NewBuffer())
		}
		spent = append(spent, args[chip]...)
	}
	must(d.client.Execute(p.executable, args, sums))
	must(d.client.Free(spent...))
	for chip, offer := range d.team.offers {
		for i, m := range offer {
			m.buffer, m.host = sums[chip][i], nil
		}
	}
}

// mostSummed bounds the values that are summed together: pieces need memory besides, and wait for messages.
const mostSummed = 1 << 24

// text writes the program. As between processes, each chip gets a block of everyone's values, sums it in the order of a tree, and all get
// the sums. So the bits depend neither on a library's order nor on where the chips are, and as little is sent as for any sum.
func (t *team) text(sizes [][]int) []byte {
	b := newBuilder(builderOptions{})
	values, args, types := make([]val, len(sizes)), make([]string, len(sizes)), make([]string, len(sizes))
	for i, dims := range sizes {
		values[i] = val{fmt.Sprintf("%%a%d", i), f32, dims}
		types[i] = values[i].tensor()
		args[i] = fmt.Sprintf("%s: %s {tf.aliasing_output = %d : i32}", values[i].name, types[i], i)
	}
	for from := 0; from < len(values); {
		to, n := from, 0
		for to < len(values) && (to == from || n+product(sizes[to]) <= mostSummed) {
			n += product(sizes[to])
			to++
		}
		copy(values[from:], t.sum(b, values[from:to], n))
		from = to
	}
	names := make([]string, len(values))
	for i, v := range values {
		names[i] = v.name
	}
	all := strings.Join(types, ", ")
	return fmt.Appendf(nil, "module @unimo attributes {mhlo.num_replicas = %d : i32, mhlo.num_partitions = 1 : i32} {\n  func.func public @main(%s) -> (%s) {\n%s    return %s : %s\n  }\n}\n",
		t.size, strings.Join(args, ", "), all, b.text.String(), strings.Join(names, ", "), all)
}

// sum is that of values, n together.
func (t *team) sum(b *builder, values []val, n int) []val {
	flat := make([]val, len(values))
	for i, v := range values {
		flat[i] = b.reshape(v, product(v.dims))
	}
	block := (n + t.size - 1) / t.size
	x := b.reshape(b.fit(b.concatenate(0, flat...), block*t.size), t.size, block)
	x = b.collective("all_to_all", x, x.dims, t.size, fmt.Sprintf("split_dimension = 0 : i64, concat_dimension = 0 : i64, split_count = %d : i64", t.size))
	blocks := make([]val, t.size)
	for r := range blocks {
		blocks[r] = b.slice(x, []int{r, 0}, []int{r + 1, block})
	}
	for width := 1; width < t.size; width *= 2 {
		for r := 0; r+width < t.size; r += 2 * width {
			blocks[r] = b.add(blocks[r], blocks[r+width])
		}
	}
	all := b.reshape(b.collective("all_gather", blocks[0], x.dims, t.size, "all_gather_dim = 0 : i64"), block*t.size)
	sums, at := make([]val, len(values)), 0
	for i, v := range values {
		next := at + product(v.dims)
		sums[i] = b.reshape(b.slice(all, []int{at}, []int{next}), v.dims...)
		at = next
	}
	return sums
}

// collective is an operation of all chips.
func (b *builder) collective(op string, x val, dims []int, chips int, attributes string) val {
	return b.line(x.typ, slices.Clone(dims), "\"stablehlo.%s\"(%s) {%s, replica_groups = dense<%s> : tensor<1x%dxi64>} : (%s) -> %s",
		op, x.name, attributes, "["+list(numbered(chips))+"]", chips, x.tensor(), tensorType(x.typ, dims))
}

// numbered are the numbers from 0 to n-1.
func numbered(n int) (list []int) {
	for i := range n {
		list = append(list, i)
	}
	return list
}

// product is that of a shape's dimensions.
func product(dims []int) int {
	n := 1
	for _, d := range dims {
		n *= d
	}
	return n
}
