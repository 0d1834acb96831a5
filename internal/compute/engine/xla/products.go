package xla

import "github.com/unimo-go/unimo/internal/compute/engine"

// product says what MatMul is to do.
type product struct {
	op         engine.Transpose
	k, n, rows int // of the sum, of the columns and of the device's rows of the result
	accumulate bool
}

// MatMul implements [engine.Device].
func (d *Device) MatMul(dst, a, b *engine.Tensor, op engine.Transpose, accumulate bool) {
	p := product{op: op, k: a.Cols, n: b.Cols, rows: grid(dst.Rows), accumulate: accumulate}
	m, k := a.Rows, b.Rows
	switch op {
	case engine.NT:
		k, p.n = b.Cols, b.Rows
	case engine.TN:
		m, p.k = a.Cols, 0
		engine.CheckShape("matmul", "a", a, b.Rows, a.Cols)
		k = p.k
	}
	if k != p.k {
		engine.CheckShape("matmul", "b", b, p.k, p.n)
	}
	engine.CheckShape("matmul", "dst", dst, m, p.n)
	ins := []operand{d.tensor(a), d.tensor(b), absent, absent}
	if accumulate {
		ins[2] = d.tensor(dst)
	}
	if op == engine.TN { // sums over rows: those behind must not count
		ins[3] = d.count(a.Rows)
	}
	record(d, "matmul", p, lowerMatMul, []*engine.Tensor{dst}, ins...)
}

func lowerMatMul(b *builder, p product, ins []val) []val {
	x, y := ins[0], ins[1]
	var r val
	switch p.op {
	case engine.NN:
		r = b.product(x, b.fit(y, p.k), 0, 1, 0)
	case engine.NT:
		r = b.product(x, b.fit(y, p.n), 0, 1, 1)
	case engine.TN:
		r = b.fit(b.product(b.keep(x, ins[3]), b.keep(y, ins[3]), 0, 0, 0), p.rows)
	}
	if p.accumulate {
		r = b.add(ins[2], r)
	}
	return []val{r}
}
