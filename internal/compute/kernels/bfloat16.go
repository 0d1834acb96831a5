package kernels

import (
	"fmt"
	"sync"
	"time"
	"unsafe"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// Products of bfloat16 by the processor's own instruction, which multiplies two pairs and adds them to a sum in float32. Rows of A are
// rounded to bfloat16 when they come:
//
//	c = Σ bfloat16(x)·w + bias, each product exact, each sum rounded to float32, the odd one of a pair first; subnormal numbers count as zero

// dotGroup is the steps of K that one instruction adds up.
const dotGroup = 2

// dots are what the products need.
type dots struct {
	groupedTile
	round func(dst *byte, x []float32)
	peak  func(n int) // as that of float32 does, n times as many instructions
}

// dotsPay is how many times as fast as those of float32 such products must be to be used.
const dotsPay = 1.5

// HasBFloat16Products reports whether the processor multiplies bfloat16 at well above the rate of float32, which is measured the first time.
func HasBFloat16Products() bool { return active().dots != nil && measureDots() }

var measureDots = sync.OnceValue(func() bool {
	own, other := active().dots, active()
	const n = 2000 // some 13 microseconds; of fifty the best, for others use the machine as well
	var best [2]time.Duration
	for range 50 {
		for i, peak := range []func(n int){own.peak, other.peak} {
			start := time.Now()
			peak(n)
			if took := time.Since(start); best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	return float64(best[1])*2 >= dotsPay*float64(best[0]) // an instruction does twice as much
})

// BFloat16Matrix is a matrix B for such products.
type BFloat16Matrix struct{ groupedMatrix }

// BFloat16Len is the 16-bit elements of a prepared k×n matrix.
func BFloat16Len(n, k int) int {
	return (n + panelCols - 1) / panelCols * panelCols * dotGroups(k) * dotGroup
}

func dotGroups(k int) int { return (k + dotGroup - 1) / dotGroup }

// NewBFloat16Matrix prepares op(B), which is k×n; flags are 0 or [TransB]. data of [BFloat16Len] elements, which begins at a
// multiple of 4 bytes, is kept, and threads limited.
func NewBFloat16Matrix(data, b []uint16, ldb, n, k int, flags GemmFlags, limit parallel.Limit) *BFloat16Matrix {
	const kernel = "NewBFloat16Matrix"
	if min(n, k) < 0 {
		panic(&ArgumentError{kernel, fmt.Sprintf("negative size: n=%d, k=%d", n, k)})
	}
	check(flags&^TransB == 0, kernel, "flags %#x: only TransB is possible", flags)
	down, along := ldb, 1 // from a step of K, and from a column, to the next
	if flags&TransB != 0 {
		checkMatrix(kernel, "B", len(b), ldb, n, k)
		down, along = 1, ldb
	} else {
		checkMatrix(kernel, "B", len(b), ldb, k, n)
	}
	check(len(data) == BFloat16Len(n, k), kernel, "%d elements of memory, want %d", len(data), BFloat16Len(n, k))
	m := &BFloat16Matrix{groupedMatrix{n: n, k: k, groups: dotGroups(k)}}
	m.data = unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(data))), 2*len(data))
	limit.For((n+panelCols-1)/panelCols, func(i int) {
		left := i * panelCols
		panel, cols := data[left*m.groups*dotGroup:][:panelCols*m.groups*dotGroup], min(panelCols, n-left)
		if cols < panelCols || k%dotGroup != 0 {
			clear(panel)
		}
		for p := range k {
			row := panel[p/dotGroup*panelCols*dotGroup+p%dotGroup:]
			for c := range cols {
				row[c*dotGroup] = b[p*down+(left+c)*along]
			}
		}
	})
	return m
}

// Columns returns columns lo to hi of the matrix, in its memory. lo is a multiple of 32.
func (m *BFloat16Matrix) Columns(lo, hi int) *BFloat16Matrix {
	return &BFloat16Matrix{m.columns(lo, hi)}
}

// BFloat16Rows are rows of numbers rounded to bfloat16.
type BFloat16Rows struct {
	groupedRows
	x    []float32 // what Set reads, rows ldx apart
	ldx  int
	some func(lo, hi int) // round, bound once so that Set allocates nothing
}

// Set makes r the rows of x, which is m×k with rows ldx apart; it uses r's memory again. It panics with an [ArgumentError] where
// the processor has no products of bfloat16.
func (r *BFloat16Rows) Set(x []float32, ldx, m, k int, limit parallel.Limit) {
	const kernel = "BFloat16Rows"
	if min(m, k) < 0 {
		panic(&ArgumentError{kernel, fmt.Sprintf("negative size: m=%d, k=%d", m, k)})
	}
	checkMatrix(kernel, "x", len(x), ldx, m, k)
	own := active().dots
	check(own != nil, kernel, "%v has no products of bfloat16", active().isa)
	r.set(&own.groupedTile, m, k)
	if r.some == nil {
		r.some = r.round
	}
	r.x, r.ldx = x, ldx
	if m*k <= int8Work || limit.Threads() == 1 {
		r.round(0, m)
	} else {
		limit.ForBlocks(m, max(1, int8Work/2/k), r.some)
	}
	r.x = nil
}

func (r *BFloat16Rows) round(lo, hi int) {
	if r.k == 0 {
		return
	}
	round := active().dots.round
	for i := lo; i < hi; i++ {
		to := r.data[i*r.stride : (i+1)*r.stride]
		inWholeVectors(to, r.k, 32, 16)
		round(&to[0], r.x[i*r.ldx:i*r.ldx+r.k])
	}
}

// GemmBFloat16 computes C = A·B + bias, with the rows ldc apart. Of the options Clamp is none. The result depends on no other row, and
// not on the number of threads. It panics with an [ArgumentError] as [Gemm] does.
func GemmBFloat16(c []float32, ldc int, a *BFloat16Rows, b *BFloat16Matrix, o Options) {
	checkGrouped("GemmBFloat16", c, ldc, &a.groupedRows, &b.groupedMatrix, o)
	multiplyGroups(c, ldc, &a.groupedRows, &b.groupedMatrix, o)
}
