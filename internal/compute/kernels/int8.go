package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// Products of bytes. A weight w of a column is w8·scale with w8 from -127 to 127, prepared once; an element x of a row of A is
// (x8 - zero)·scale with x8 from 0 to 255, found each time: the row's range, with zero in it, is cut into 255 steps. Integer sums
// are exact, so that every instruction set gives the same bits, and a row's result depends on nothing but the row:
//
//	c = (Σ x8·w8 - zero·Σ w8)·(the row's scale)·(the column's scale) + bias, rounded after each step

// Int8MaxK is the largest K whose sums fit into 32 bits.
const Int8MaxK = math.MaxInt32 / (255 * 127)

// int8Group is how many steps of K lie together: those that one instruction adds up.
const int8Group = 4

// Int8Matrix is a matrix B of bytes in the order in which products read it, with a scale for each column. It serves every
// instruction set.
type Int8Matrix struct{ groupedMatrix }

// Int8Len is the bytes of a prepared k×n matrix.
func Int8Len(n, k int) int {
	panels := (n + panelCols - 1) / panelCols
	return panels * panelCols * (groupsOf(k)*int8Group + 8)
}

// groupsOf returns the groups of K.
func groupsOf(k int) int { return (k + int8Group - 1) / int8Group }

// NewInt8Matrix prepares op(B), which is k×n; flags are 0 or [TransB]. scales has one for each column of op(B). memory of
// [Int8Len] bytes or more, which begins at a multiple of 4, is kept, and threads limited.
func NewInt8Matrix(memory []byte, b []int8, ldb int, scales []float32, n, k int, flags GemmFlags, limit parallel.Limit) *Int8Matrix {
	const kernel = "NewInt8Matrix"
	if min(n, k) < 0 || k > Int8MaxK {
		panic(&ArgumentError{kernel, fmt.Sprintf("sizes: n=%d, k=%d (at most %d)", n, k, Int8MaxK)})
	}
	check(flags&^TransB == 0, kernel, "flags %#x: only TransB is possible", flags)
	if flags&TransB != 0 {
		checkMatrix(kernel, "B", len(b), ldb, n, k)
	} else {
		checkMatrix(kernel, "B", len(b), ldb, k, n)
	}
	check(len(scales) == n, kernel, "%d scales for %d columns", len(scales), n)
	check(len(memory) >= Int8Len(n, k), kernel, "%d bytes of memory, want %d", len(memory), Int8Len(n, k))
	m := &Int8Matrix{groupedMatrix{n: n, k: k, groups: groupsOf(k)}}
	if n == 0 {
		return m
	}
	panels, groups := (n-1)/panelCols+1, groupsOf(k)
	size := panels * panelCols
	start := unsafe.Pointer(unsafe.SliceData(memory))
	m.data = unsafe.Slice((*int8)(start), size*groups*int8Group)
	m.scales = unsafe.Slice((*float32)(unsafe.Add(start, len(m.data))), size)
	m.sums = unsafe.Slice((*int32)(unsafe.Add(start, len(m.data)+4*size)), size)
	copy(m.scales, scales)
	clear(m.scales[n:])
	limit.For(panels, func(i int) { m.fill(i, b, ldb, flags) })
	return m
}

// fill prepares a panel.
func (m *Int8Matrix) fill(panel int, b []int8, ldb int, flags GemmFlags) {
	groups, left := groupsOf(m.k), panel*panelCols
	data := m.data[left*groups*int8Group:][:panelCols*groups*int8Group]
	sums := m.sums[left:][:panelCols]
	clear(sums)
	cols := min(panelCols, m.n-left)
	if cols < panelCols || m.k%int8Group != 0 {
		clear(data)
	}
	if flags&TransB != 0 {
		for c := range cols {
			row := b[(left+c)*ldb:][:m.k]
			for p := 0; p < m.k; p += int8Group {
				group := row[p:min(p+int8Group, m.k)]
				copy(data[p*panelCols+c*int8Group:], group)
				for _, v := range group {
					sums[c] += int32(v)
				}
			}
		}
		return
	}
	p := 0
	for ; p+int8Group <= m.k; p += int8Group {
		to := unsafe.Slice((*byte)(unsafe.Pointer(&data[p*panelCols])), int8Group*panelCols)
		r0, r1 := b[p*ldb+left:][:cols], b[(p+1)*ldb+left:][:cols]
		r2, r3 := b[(p+2)*ldb+left:][:cols], b[(p+3)*ldb+left:][:cols]
		for c, v0 := range r0 {
			v1, v2, v3 := r1[c], r2[c], r3[c]
			four := uint32(uint8(v0)) | uint32(uint8(v1))<<8 | uint32(uint8(v2))<<16 | uint32(uint8(v3))<<24
			binary.LittleEndian.PutUint32(to[c*int8Group:], four)
			sums[c] += int32(v0) + int32(v1) + int32(v2) + int32(v3)
		}
	}
	for ; p < m.k; p++ { // the last group is shorter
		for c, v := range b[p*ldb+left:][:cols] {
			data[p/int8Group*int8Group*panelCols+c*int8Group+p%int8Group] = v
			sums[c] += int32(v)
		}
	}
}

// Columns returns columns lo to hi of the matrix, in its memory. lo is a multiple of 32.
func (m *Int8Matrix) Columns(lo, hi int) *Int8Matrix {
	return &Int8Matrix{m.columns(lo, hi)}
}

// Int8Rows are rows of numbers as bytes, or of the same numbers in 16 bits where the instruction set wants them so.
type Int8Rows struct {
	groupedRows
	tile *int8Tile

	x    []float32 // what Set reads, rows ldx apart
	ldx  int
	some func(lo, hi int) // quantise, bound once so that Set allocates nothing
}

// int8Work is the elements that one thread turns into bytes in the time that it takes to wake another.
const int8Work = 32 << 10

// Set makes r the rows of x, which is m×k with rows ldx apart; it uses r's memory again.
func (r *Int8Rows) Set(x []float32, ldx, m, k int, limit parallel.Limit) {
	const kernel = "Int8Rows"
	if min(m, k) < 0 || k > Int8MaxK {
		panic(&ArgumentError{kernel, fmt.Sprintf("sizes: m=%d, k=%d (at most %d)", m, k, Int8MaxK)})
	}
	checkMatrix(kernel, "x", len(x), ldx, m, k)
	r.tile = active().int8
	r.set(&r.tile.groupedTile, m, k)
	r.scale = grow(r.scale, m)
	if cap(r.zero) < m {
		r.zero = make([]int32, m)
	}
	r.zero = r.zero[:m]
	if r.some == nil {
		r.some = r.quantise
	}
	r.x, r.ldx = x, ldx
	if m*k <= int8Work || limit.Threads() == 1 {
		r.quantise(0, m)
	} else {
		limit.ForBlocks(m, max(1, int8Work/2/k), r.some)
	}
	r.x = nil
}

// quantise turns rows into bytes. A row that holds NaN or an infinity becomes NaN.
func (r *Int8Rows) quantise(lo, hi int) {
	for i := lo; i < hi; i++ {
		row := r.x[i*r.ldx : i*r.ldx+r.k]
		least, most, poison := r.tile.span(row)
		width := float64(most) - float64(least)
		if poison != 0 || width < 255*0x1p-126 { // NaN, or nothing that a product would show
			r.scale[i], r.zero[i] = poison, 0
			clear(r.data[i*r.stride : (i+1)*r.stride])
			continue
		}
		inverse := 255 / width
		r.scale[i], r.zero[i] = float32(width/255), int32(math.RoundToEven(float64(-least)*inverse))
		r.tile.quantise(r.data[i*r.stride:(i+1)*r.stride], row, float32(inverse), r.zero[i])
	}
}

// int8Tile is the part of a product of bytes that depends on the instruction set.
type int8Tile struct {
	groupedTile
	span     func(x []float32) (least, most, poison float32)
	quantise func(dst []byte, x []float32, inverse float32, zero int32) // dst has room for whole vectors
}

// GemmInt8 computes C = A·B + bias, with the rows ldc apart. Of the options Clamp is none. The result depends on no other row,
// and not on the number of threads or the instruction set. It panics with an [ArgumentError] as [Gemm] does.
func GemmInt8(c []float32, ldc int, a *Int8Rows, b *Int8Matrix, o Options) {
	checkGrouped("GemmInt8", c, ldc, &a.groupedRows, &b.groupedMatrix, o)
	multiplyGroups(c, ldc, &a.groupedRows, &b.groupedMatrix, o)
}

// int8Generic is the product in plain Go.
var int8Generic = int8Tile{
	groupedTile: groupedTile{name: "plain Go", rows: 4, cols: panelCols, group: int8Group, compute: int8TileGeneric},
	span:        spanGeneric,
	quantise:    quantiseGeneric,
}

func spanGeneric(x []float32) (least, most, poison float32) {
	for _, v := range x {
		least, most = min(least, v), max(most, v)
		poison += v - v
	}
	return least, most, poison
}

func quantiseGeneric(dst []byte, x []float32, inverse float32, zero int32) {
	for i, v := range x {
		q := int32(math.RoundToEven(float64(v*inverse))) + zero
		dst[i] = byte(min(max(q, 0), 255))
	}
	clear(dst[len(x):])
}

func int8TileGeneric(t *groupedArgs) {
	for i := range t.rows {
		var sums [panelCols]int32
		a := t.a[i*t.aRow:]
		for g := range t.groups {
			b := t.b[g*int8Group*panelCols:][:int8Group*t.cols]
			a0, a1, a2, a3 := int32(a[4*g]), int32(a[4*g+1]), int32(a[4*g+2]), int32(a[4*g+3])
			for j := 0; j+3 < len(b); j += 4 {
				sums[j/4] += a0*int32(b[j]) + a1*int32(b[j+1]) + a2*int32(b[j+2]) + a3*int32(b[j+3])
			}
		}
		row := t.c[i*t.ldc : i*t.ldc+t.cols]
		for j := range row {
			v := float32(float32(sums[j]-t.zero[i]*t.sums[j]) * t.scale[i])
			v = float32(v * t.scales[j])
			if t.bias != nil {
				v += t.bias[j]
			}
			row[j] = v
		}
	}
}
