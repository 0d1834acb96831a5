package kernels

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// Products of numbers of 8 or 16 bits, of which one instruction multiplies a group along K, four bytes of a column of B, and adds it to a sum
// of 32 bits.

// groupBytes is the size of a group of B.
const groupBytes = 4

// groupedMatrix is a matrix B in the order in which such products read it. It serves every instruction set.
type groupedMatrix struct {
	n, k, groups int
	data         []int8    // panel by panel of panelCols columns, in each group by group of K, in each column by column
	scales       []float32 // of bytes: of all columns, those that fill the last panel too
	sums         []int32   // of bytes: Σ w8 of the column
}

// columns returns columns lo to hi.
func (m *groupedMatrix) columns(lo, hi int) groupedMatrix {
	if lo%panelCols != 0 || lo < 0 || hi < lo || hi > m.n {
		panic(&ArgumentError{"Columns", fmt.Sprintf("%d to %d of %d", lo, hi, m.n)})
	}
	part := groupedMatrix{n: hi - lo, k: m.k, groups: m.groups}
	if lo < hi {
		part.data = m.data[lo*m.groups*groupBytes:]
		if m.scales != nil {
			part.scales, part.sums = m.scales[lo:], m.sums[lo:]
		}
	}
	return part
}

// groupedRows is rows of A.
type groupedRows struct {
	tile   *groupedTile
	m, k   int
	stride int // bytes of a row
	data   []byte
	scale  []float32 // of bytes
	zero   []int32
}

// set makes room for the rows.
func (r *groupedRows) set(tile *groupedTile, m, k int) {
	r.tile, r.m, r.k = tile, m, k
	// Whole cache lines, of which the rows of a tile must not all fall into the same set of the first-level cache.
	lines := (k*tile.size()+63)/64 | 1
	r.stride = 64 * lines
	if n := m * r.stride; cap(r.data) < n {
		memory := make([]byte, n+63)
		skip := -int(uintptr(unsafe.Pointer(unsafe.SliceData(memory)))) & 63
		r.data = memory[skip:]
	}
	r.data = r.data[:m*r.stride]
}

// groupedTile is the part of a product that depends on the instruction set.
type groupedTile struct {
	name       string
	rows, cols int  // the size of the largest tile
	group      int  // steps of K in a group
	words      bool // elements of A have 16 bits, though those of B have 8
	compute    func(t *groupedArgs)
}

// size returns the bytes of an element of A.
func (t *groupedTile) size() int {
	if t.words {
		return 2
	}
	return groupBytes / t.group
}

// groupedArgs is one tile. The assembly knows the order of the fields.
type groupedArgs struct {
	a      []byte // rows aRow bytes apart
	aRow   int
	b      []int8 // groups of K 128 bytes apart
	groups int
	c      []float32 // rows ldc apart
	ldc    int
	rows   int
	cols   int
	scale  []float32 // of the rows of A
	zero   []int32
	scales []float32 // of the columns of B
	sums   []int32
	bias   []float32 // of the columns; nil is none
}

var groupedWorkers = sync.Pool{New: func() any { return &groupedArgs{} }}

// groupedBlock is the bytes of A that stay in the second-level cache while all panels of B pass by.
const groupedBlock = 256 << 10

// groupedProduct is one call.
type groupedProduct struct {
	a   *groupedRows
	b   *groupedMatrix
	c   []float32
	ldc int
	o   Options

	panels, largerPanels, panelRows int // of rows, the first of them one higher
	groupM, groupN                  int // panels of rows and of columns of a task
	tasksN                          int

	computeTask func(i int)
}

var groupedProducts = sync.Pool{New: func() any {
	p := &groupedProduct{}
	p.computeTask = p.compute
	return p
}}

// checkGrouped panics unless the operands fit each other.
func checkGrouped(kernel string, c []float32, ldc int, a *groupedRows, b *groupedMatrix, o Options) {
	checkMatrix(kernel, "C", len(c), ldc, a.m, b.n)
	if a.k != b.k || o.Bias != nil && len(o.Bias) != b.n || o.Clamp {
		panic(&ArgumentError{kernel, fmt.Sprintf("K is %d in A and %d in B, a bias of %d elements for %d columns, clamp %v", a.k, b.k, len(o.Bias), b.n, o.Clamp)})
	}
}

// multiplyGroups computes C = A·B + bias.
func multiplyGroups(c []float32, ldc int, a *groupedRows, b *groupedMatrix, o Options) {
	if a.m == 0 || b.n == 0 {
		return
	}
	p := groupedProducts.Get().(*groupedProduct)
	p.a, p.b, p.c, p.ldc, p.o = a, b, c, ldc, o
	p.run()
	p.a, p.b, p.c, p.o = nil, nil, nil, Options{} // the pool must not keep them alive
	groupedProducts.Put(p)
}

func (p *groupedProduct) run() {
	tile := p.a.tile
	m, k := p.a.m, max(p.a.k, 1)
	p.panels = (m-1)/tile.rows + 1
	p.panelRows, p.largerPanels = m/p.panels, m%p.panels
	columns := (p.b.n-1)/panelCols + 1
	most := max(groupedBlock/p.a.stride/tile.rows, 1)
	groups := (p.panels-1)/most + 1
	p.groupM, p.groupN = (p.panels-1)/groups+1, min(8, columns)
	threads := p.o.Limit.Threads()
	if m*p.b.n < tile.group*parallelWork/k {
		threads = 1
	}
	tasks := func() int { return ((p.panels-1)/p.groupM + 1) * ((columns-1)/p.groupN + 1) }
	if threads > 1 {
		for tasks() < 4*threads && p.groupN > 1 {
			p.groupN = (p.groupN + 1) / 2
		}
		for tasks() < 4*threads && p.groupM > 1 {
			p.groupM = (p.groupM + 1) / 2
		}
	}
	p.tasksN = (columns-1)/p.groupN + 1
	parallel.Limit(threads).For(tasks(), p.computeTask)
}

// row returns where panel i begins.
func (p *groupedProduct) row(i int) int { return i*p.panelRows + min(i, p.largerPanels) }

// compute computes the tiles of one task: for each panel of B, which is read once, all rows.
func (p *groupedProduct) compute(task int) {
	tile, a, b := p.a.tile, p.a, p.b
	i0, left0 := task/p.tasksN*p.groupM, task%p.tasksN*p.groupN*panelCols
	i1, right := min(i0+p.groupM, p.panels), min(left0+p.groupN*panelCols, b.n)
	t := groupedWorkers.Get().(*groupedArgs)
	*t = groupedArgs{aRow: a.stride, groups: b.groups, ldc: p.ldc}
	for left := left0; left < right; left += tile.cols {
		t.cols = min(tile.cols, right-left)
		if t.groups > 0 {
			t.b = b.data[left/panelCols*panelCols*t.groups*groupBytes+left%panelCols*groupBytes:]
		}
		if b.scales != nil {
			t.scales, t.sums = b.scales[left:], b.sums[left:]
		}
		if p.o.Bias != nil {
			t.bias = p.o.Bias[left:]
		}
		for i := i0; i < i1; i++ {
			top := p.row(i)
			t.rows = p.row(i+1) - top
			t.a, t.c = a.data[top*a.stride:], p.c[top*p.ldc+left:]
			if b.scales != nil {
				t.scale, t.zero = a.scale[top:], a.zero[top:]
			}
			if t.groups == 0 {
				t.none()
				continue
			}
			tile.compute(t)
		}
	}
	*t = groupedArgs{}
	groupedWorkers.Put(t)
	if p.o.Apply != nil {
		p.o.Apply(p.row(i0), p.row(i1), left0, right)
	}
}

// none computes a tile whose K is 0.
func (t *groupedArgs) none() {
	for i := range t.rows {
		if row := t.c[i*t.ldc : i*t.ldc+t.cols]; t.bias != nil {
			copy(row, t.bias)
		} else {
			clear(row)
		}
	}
}

// inside touches the last elements that a tile of so many columns reads and writes; an element of A has so many bytes.
func (t *groupedArgs) inside(groupOfA, columns int) {
	_ = t.a[(t.rows-1)*t.aRow+t.groups*groupOfA-1]
	_ = t.b[(t.groups-1)*groupBytes*panelCols+columns*groupBytes-1]
	if t.scales != nil {
		_, _, _, _ = t.scale[t.rows-1], t.zero[t.rows-1], t.scales[columns-1], t.sums[columns-1]
	}
	inside(t.c, t.ldc, t.rows, t.cols)
	if t.bias != nil {
		_ = t.bias[t.cols-1]
	}
}

// inWholeVectors touches the last byte that is written of n elements, size bytes for so many lanes.
func inWholeVectors(dst []byte, n, size, lanes int) { _ = dst[(n+lanes-1)/lanes*size-1] }
