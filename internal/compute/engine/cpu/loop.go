package cpu

import (
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// loop runs a parallel loop over arguments of type A. The closure that the pool of
// workers calls is made once and the arguments change, so that an operation allocates
// nothing: a closure of its own would live on the heap.
type loop[A any] struct {
	args   A
	body   func(args *A, lo, hi int)
	blocks func(lo, hi int)
}

// run calls body for every block of [0, n), as [parallel.Limit.ForBlocks] does. body
// should capture nothing.
func (l *loop[A]) run(limit parallel.Limit, n, block int, args A, body func(args *A, lo, hi int)) {
	if l.blocks == nil {
		l.blocks = func(lo, hi int) { l.body(&l.args, lo, hi) }
	}
	l.args, l.body = args, body
	limit.ForBlocks(n, block, l.blocks)
}

// rowBlock is the rows of one task over a matrix: about [elementBlock] elements.
func rowBlock(cols int) int { return max(1, elementBlock/max(1, cols)) }

// loops are the device's loops, one for each shape of arguments.
type loops struct {
	unary    loop[unary]
	binary   loop[binary]
	scale    loop[scaling]
	slope    loop[slope]
	drop     loop[dropping]
	sumRows  loop[summing]
	norm     loop[norm]
	normBack loop[normBack]
	gather   loop[gathering]
	scatter  loop[scattering]
	stack    loop[stacked]
	halves   loop[halves]
	lengths  loop[lengths]
	squares  loop[squares]
	adam     loop[adam]
	idle     loop[idle]
	rounded  loop[rounded]
	decoding loop[decoding]
	topK     loop[topK]
	compare  loop[comparison]
	entropy  loop[entropy]

	vocabulary loop[vocabulary]
	convolve   loop[convolution]
	chain      loop[chaining]
	activate   loop[activating]
	pool       loop[pooling]
	columns    loop[binary]
	resize     loop[resizing]

	activation  activation
	rowsSquares []float64
	history     []kernels.AdamStep
	zeros       []float32
	pieces      []piece
	targets     []float32
	losses      []float64
	turned      []float32
	bytes       kernels.Int8Rows
	halfRows    kernels.BFloat16Rows
}
