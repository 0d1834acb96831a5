package kernels

import (
	"fmt"
	"math"
	"unsafe"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// FromBFloat16 computes dst = x, whose elements are the upper halves of float32.
func FromBFloat16(dst []float32, x []uint16) {
	sameLen("FromBFloat16", "dst", len(dst), "x", len(x))
	active().fromBFloat16(dst, x)
}

// FromFloat16 computes dst = x, whose elements are of IEEE 754 half precision, which is exact.
func FromFloat16(dst []float32, x []uint16) {
	sameLen("FromFloat16", "dst", len(dst), "x", len(x))
	active().fromFloat16(dst, x)
}

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
	n, k  int
	data  []uint16
	float func(dst []float32, x []uint16)
}

// HalfLen is the 16-bit elements of a prepared k×n matrix.
func HalfLen(n, k int) int { return PackedLen(n, k) }

// NewHalfMatrix prepares op(B), which is k×n; flags are 0 or [TransB]. float is [FromBFloat16] or [FromFloat16]. data of [HalfLen]
// elements is kept, and threads limited.
func NewHalfMatrix(data, b []uint16, float func(dst []float32, x []uint16), ldb, n, k int, flags GemmFlags, limit parallel.Limit) *HalfMatrix {
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
	m := &HalfMatrix{n: n, k: k, data: data, float: float}
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

// lines returns these rows as what is to be fetched of memory: rows of two cache lines.
func (m *HalfMatrix) lines(column, k0, rows int) []float32 {
	x := m.at(column, k0, rows/2*2)
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(x))), len(x)/2)
}

// Columns returns columns lo to hi of the matrix, in its memory. lo is a multiple of 32.
func (m *HalfMatrix) Columns(lo, hi int) *HalfMatrix {
	if lo%panelCols != 0 || lo < 0 || hi < lo || hi > m.n {
		panic(&ArgumentError{"Columns", fmt.Sprintf("%d to %d of %d", lo, hi, m.n)})
	}
	return &HalfMatrix{hi - lo, m.k, m.data[lo*m.k:], m.float}
}

// GemmHalf is [GemmWith] for a matrix B of 16-bit numbers, with the result, bit for bit, that it has with them in float32. flags are those
// of the product without [TransB].
func GemmHalf(c []float32, ldc int, a []float32, lda int, b *HalfMatrix, m int, flags GemmFlags, o Options) {
	check(flags&TransB == 0, "GemmHalf", "TransB belongs to NewHalfMatrix")
	gemm("GemmHalf", c, ldc, a, lda, nil, 0, prepared{half: b}, m, b.n, b.k, flags, o)
}
