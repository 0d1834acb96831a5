package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// HalfFormat says what numbers of 16 bits are.
type HalfFormat int

// The formats.
const (
	BFloat16 HalfFormat = iota // the upper half of a float32
	Float16                    // IEEE 754 half precision
)

// Widen computes dst = x, which is exact.
func (f HalfFormat) Widen(dst []float32, x []uint16) {
	sameLen("Widen", "dst", len(dst), "x", len(x))
	active().half[f].widen(dst, x)
}

// halfKernels are those of one format.
type halfKernels struct {
	widen func(dst []float32, x []uint16)
	tiles [][2]tileFunction // by rows-1 and vectors-1; those of more rows widen a panel first
	lanes int
}

// tileFunction is a micro-kernel in assembly for one height and width.
type tileFunction func(t *tileArgs)

func fromBFloat16Generic(dst []float32, x []uint16) {
	for i, v := range x {
		dst[i] = math.Float32frombits(uint32(v) << 16)
	}
}

// fromFloat16Generic moves the bits to where a float32 has them and multiplies by the difference of the exponents, which also makes
// subnormal numbers normal.
func fromFloat16Generic(dst []float32, x []uint16) {
	const difference = 0x1p112 // 2^(127-15)
	for i, v := range x {
		bits := math.Float32bits(math.Float32frombits(uint32(v&0x7fff)<<13) * difference)
		if v&0x7c00 == 0x7c00 { // NaN, or an infinity
			bits |= 0x7f800000
		}
		dst[i] = math.Float32frombits(bits | uint32(v&0x8000)<<16)
	}
}

// HalfMatrix is a matrix B of 16-bit numbers in the order in which products read it: panel by panel of panelCols columns, in each row
// by row. It serves every instruction set.
type HalfMatrix struct {
	n, k   int
	data   []uint16
	format HalfFormat
}

// HalfLen is the 16-bit elements of a prepared k×n matrix.
func HalfLen(n, k int) int { return PackedLen(n, k) }

// NewHalfMatrix prepares op(B), which is k×n; flags are 0 or [TransB]. data of [HalfLen] elements is kept, and threads limited.
func NewHalfMatrix(data, b []uint16, format HalfFormat, ldb, n, k int, flags GemmFlags, limit parallel.Limit) *HalfMatrix {
	const kernel = "NewHalfMatrix"
	if min(n, k) < 0 {
		panic(&ArgumentError{kernel, fmt.Sprintf("negative size: n=%d, k=%d", n, k)})
	}
	check(flags&^TransB == 0, kernel, "flags %#x: only TransB is possible", flags)
	if flags&TransB != 0 {
		checkMatrix(kernel, "B", len(b), ldb, n, k)
	} else {
		checkMatrix(kernel, "B", len(b), ldb, k, n)
	}
	check(len(data) == HalfLen(n, k), kernel, "%d elements of memory, want %d", len(data), HalfLen(n, k))
	m := &HalfMatrix{n: n, k: k, data: data, format: format}
	limit.For((n+panelCols-1)/panelCols, func(i int) {
		left := i * panelCols
		panel, cols := m.at(left, 0, k), min(panelCols, n-left)
		if cols < panelCols {
			clear(panel)
		}
		for p := range k {
			row := panel[p*panelCols:][:cols]
			if flags&TransB == 0 {
				copy(row, b[p*ldb+left:])
				continue
			}
			for c := range row {
				row[c] = b[(left+c)*ldb+p]
			}
		}
	})
	return m
}

// at returns rows [k0, k0+rows) of the panel of a column.
func (m *HalfMatrix) at(column, k0, rows int) []uint16 {
	return m.data[column/panelCols*panelCols*m.k+k0*panelCols:][:rows*panelCols]
}

// lines returns these rows, from that column on, as memory of rows of a cache line.
func (m *HalfMatrix) lines(column, k0, rows int) []float32 {
	x := m.at(column, k0, rows)[column%panelCols:]
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/2)
}

// fused computes a tile whose B is lines of a panel.
func (p *product) fused(t *tileArgs) {
	h := &active().half[p.half.format]
	vectors := (t.cols-1)/h.lanes + 1
	_ = t.a[(t.rows-1)*t.aRow+(t.k-1)*t.aCol]
	inside(t.b, panelCols/2, t.k, vectors*h.lanes/2)
	inside(t.c, t.ldc, t.rows, t.cols)
	if t.add != nil {
		inside(t.add, t.addRow, t.rows, t.cols)
	}
	if t.nextB == nil {
		t.nextB = t.b
	}
	h.tiles[t.rows-1][vectors-1](t)
}

// Columns returns columns lo to hi of the matrix, in its memory. lo is a multiple of 32.
func (m *HalfMatrix) Columns(lo, hi int) *HalfMatrix {
	if lo%panelCols != 0 || lo < 0 || hi < lo || hi > m.n {
		panic(&ArgumentError{"Columns", fmt.Sprintf("%d to %d of %d", lo, hi, m.n)})
	}
	return &HalfMatrix{hi - lo, m.k, m.data[lo*m.k:], m.format}
}

// GemmHalf is [GemmWith] for a matrix B of 16-bit numbers, with the result, bit for bit, that it has with them in float32. flags are those
// of the product without [TransB].
func GemmHalf(c []float32, ldc int, a []float32, lda int, b *HalfMatrix, m int, flags GemmFlags, o Options) {
	check(flags&TransB == 0, "GemmHalf", "TransB belongs to NewHalfMatrix")
	gemm("GemmHalf", c, ldc, a, lda, nil, 0, prepared{half: b}, m, b.n, b.k, flags, o)
}
