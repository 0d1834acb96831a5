package kernels

import (
	"fmt"
	"sync"

	"github.com/unimo-go/unimo/internal/parallel"
)

// GemmFlags modify a product.
type GemmFlags uint8

// The flags may be combined.
const (
	TransA     GemmFlags = 1 << iota // A is stored transposed, k×m
	TransB                           // B is stored transposed, n×k
	Accumulate                       // the product is added to C, which else is overwritten
)

// Gemm computes C = op(A)·op(B), or C += op(A)·op(B) with [Accumulate], on all
// threads of the package parallel. op(A) is m×k, op(B) is k×n, C is m×n; see
// [GemmFlags] for how they are stored. The leading dimensions ldc, lda and ldb
// are the distances between rows as stored. C overlaps neither A nor B.
//
// Every element of C is summed over k in one fixed order: blocks of k that
// depend on k alone, in each of which the products are added in turn from zero
// (fused multiply-adds on AVX2 and AVX-512, which therefore agree), and
// the blocks' sums added to C one after the other. So the result is the same
// for any number of threads, and an element does not change when its row or
// column is computed as part of another product.
//
// Without Accumulate the old values of C do not matter; for k = 0 the product
// is zero. Gemm panics with an [ArgumentError], before it writes, if a size
// is negative, a leading dimension shorter than its row, or a slice too short.
func Gemm(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
	gemm("Gemm", c, ldc, a, lda, b, ldb, nil, m, n, k, flags, Epilogue{}, true)
}

// GemmSerial is [Gemm] on the calling goroutine alone, with the same result bit
// for bit. It is for products within the body of a parallel loop, and may be called
// concurrently.
func GemmSerial(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
	gemm("GemmSerial", c, ldc, a, lda, b, ldb, nil, m, n, k, flags, Epilogue{}, false)
}

// Epilogue is what happens to C when its elements are final.
type Epilogue struct {
	// Bias has n elements that are added to every row of C, together with the sum of
	// the first block of k; it does not go with Accumulate. nil is none.
	Bias []float32

	// Apply is called once for each block of C whose elements are final, rows
	// i0 to i1 and columns j0 to j1, by the goroutine that computed it, while it is in that
	// core's cache. Blocks are computed side by side: Apply must be safe for
	// concurrent calls. It may overwrite the block's elements of C. How C is
	// cut into blocks is not determined, but columns are cut at multiples of 4. nil is none.
	Apply func(i0, i1, j0, j1 int)
}

// GemmWith is [Gemm] followed by e. It panics with an [ArgumentError] also if there
// is a bias whose length is not n, or one together with Accumulate.
func GemmWith(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags, e Epilogue) {
	gemm("GemmWith", c, ldc, a, lda, b, ldb, nil, m, n, k, flags, e, true)
}

// PackedB is a matrix B stored in the order in which products read it, for one that
// is used many times. It serves every instruction set.
type PackedB struct {
	n, k int
	data []float32
}

// PackB packs op(B), which is k×n; flags are 0 or [TransB]. It takes k·n elements of memory, n
// rounded up to a multiple of 32.
func PackB(b []float32, ldb, n, k int, flags GemmFlags) *PackedB {
	const kernel = "PackB"
	if min(n, k) < 0 {
		panic(&ArgumentError{kernel, fmt.Sprintf("negative size: n=%d, k=%d", n, k)})
	}
	check(flags&^TransB == 0, kernel, "flags %#x: only TransB is possible", flags)
	if flags&TransB != 0 {
		checkMatrix(kernel, "B", len(b), ldb, n, k)
	} else {
		checkMatrix(kernel, "B", len(b), ldb, k, n)
	}
	packed := &PackedB{n: n, k: k}
	if n == 0 || k == 0 {
		return packed
	}
	panels, kc := (n-1)/panelCols+1, blockLength(k)
	packed.data = make([]float32, panels*panelCols*k)
	tile := &active().gemm
	parallel.For(panels, func(j int) {
		left := j * panelCols
		cols := min(panelCols, n-left)
		for k0 := 0; k0 < k; k0 += kc {
			rows := min(kc, k-k0)
			for j := left; j < left+cols; j += tile.cols {
				dst, width := packed.at(j, k0, rows), min(tile.cols, left+cols-j)
				if flags&TransB != 0 {
					tile.transpose(dst, panelCols, b[j*ldb+k0:], ldb, width, rows)
				} else {
					tile.copyRows(dst, panelCols, b[k0*ldb+j:], ldb, rows, width)
				}
			}
		}
	})
	return packed
}

// at returns B from row k0, where a block of kc rows begins, and column j on, to
// the end of j's panel: rows are panelCols apart. For each block of K the panels
// lie one after the other.
func (b *PackedB) at(j, k0, kc int) []float32 {
	panels := (b.n-1)/panelCols + 1
	return b.data[k0*panels*panelCols+j/panelCols*panelCols*kc+j%panelCols:]
}

// GemmPacked is [GemmWith] for a packed B, with the same result bit for bit; flags are
// those of the product without [TransB].
func GemmPacked(c []float32, ldc int, a []float32, lda int, b *PackedB, m int, flags GemmFlags, e Epilogue) {
	check(flags&TransB == 0, "GemmPacked", "TransB belongs to PackB")
	gemm("GemmPacked", c, ldc, a, lda, nil, 0, b, m, b.n, b.k, flags, e, true)
}

func gemm(kernel string, c []float32, ldc int, a []float32, lda int, b []float32, ldb int, packed *PackedB, m, n, k int, flags GemmFlags, e Epilogue, threads bool) {
	if min(m, n, k) < 0 {
		panic(&ArgumentError{kernel, fmt.Sprintf("negative size: m=%d, n=%d, k=%d", m, n, k)})
	}
	aRows, aCols, bRows, bCols := m, k, k, n
	if flags&TransA != 0 {
		aRows, aCols = aCols, aRows
	}
	if flags&TransB != 0 {
		bRows, bCols = bCols, bRows
	}
	checkMatrix(kernel, "C", len(c), ldc, m, n)
	checkMatrix(kernel, "A", len(a), lda, aRows, aCols)
	if packed == nil {
		checkMatrix(kernel, "B", len(b), ldb, bRows, bCols)
	}
	if e.Bias != nil && (len(e.Bias) != n || flags&Accumulate != 0) {
		panic(&ArgumentError{kernel, fmt.Sprintf("a bias of %d elements for %d columns, flags %#x", len(e.Bias), n, flags)})
	}
	switch {
	case m == 0 || n == 0:
	case k == 0:
		for i := range m {
			if row := c[i*ldc : i*ldc+n]; e.Bias != nil {
				copy(row, e.Bias)
			} else if flags&Accumulate == 0 {
				clear(row)
			}
		}
		if e.Apply != nil {
			e.Apply(0, m, 0, n)
		}
	default:
		p := products.Get().(*product)
		p.packed, p.epilogue = packed, e
		p.run(c, ldc, a, lda, b, ldb, m, n, k, flags, threads)
		products.Put(p)
	}
}

// checkMatrix panics unless a slice of the given length holds a matrix.
func checkMatrix(kernel, name string, length, ld, rows, cols int) {
	if rows == 0 || cols == 0 {
		return
	}
	if ld < cols {
		panic(&ArgumentError{kernel, fmt.Sprintf("%s: leading dimension %d is less than its %d columns", name, ld, cols)})
	}
	// rows-1 rows of ld and one of cols elements, without overflow.
	if length < cols || (length-cols)/ld < rows-1 {
		panic(&ArgumentError{kernel, fmt.Sprintf("%s: %d elements do not hold %d×%d with leading dimension %d", name, length, rows, cols, ld)})
	}
}

// gemmTile is the part of a product that depends on the instruction set.
type gemmTile struct {
	rows, cols int // the size of the largest tile

	// balanced: rows are shared out evenly among the tiles, so that the
	// last one is not much lower than the others (a tile of one row has too few
	// independent sums to keep the units busy).
	balanced bool

	// directRows and directCols: for up to so many rows, B is read where it
	// is instead of being copied into panels, and for up to so many columns, A.
	directRows, directCols int

	// compute does one tile of C = A·B + add, or C = A·B if add is nil. Element
	// (i, p) of A is a[i*aRow+p*aCol], the rows of B are bRow apart, those of add addRow.
	compute func(a []float32, aRow, aCol int, b []float32, bRow int, c []float32, ldc, rows, cols, k int, add []float32, addRow int)

	// copyRows does dst[r*dstStride+c] = src[r*srcStride+c], transpose
	// dst[c*dstStride+r] = src[r*srcStride+c]; for up to gemmTile.rows or
	// gemmTile.cols elements along a row of dst.
	copyRows, transpose func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int)
}

// Blocking, by measurement on a Zen 4 core (1 MiB of second-level cache); the
// sizes of the base model were within 3 % of these for half and twice as much.
//
//   - A tile runs over kBlock steps while its sums stay in registers, then it
//     touches C, which takes 3 % of the time. A panel of B (384×32 floats, 48 KiB)
//     and a group of rows of A (96×384 floats, 144 KiB) stay in the second-level
//     cache together.
//   - Two blocks of K and some 256 columns of B (768 KiB) are packed at a time:
//     packing all of a large B first wrote it to memory and read it back, which
//     cost 8 % for 416×3072×768.
//   - A, which is read once for every such part of B, is packed for up to 16 MiB, so
//     that it comes from the third-level cache.
const (
	kBlock      = 384
	kPackBlocks = 2
	packLimitA  = 4 << 20   // floats
	packLimitB  = 192 << 10 // floats
	groupRows   = 96
	groupCols   = 512
	panelCols   = 32 // columns of a panel of PackedB, those of the widest tile
	packChunk   = 32 // rows of a matrix that are copied into all panels together
)

// Below this number of multiply-adds one thread is faster: waking another
// takes a few microseconds, in which a core does some 2·10⁵.
const parallelWork = 1 << 18

// product is one call of Gemm: its arguments, what follows from them and the
// memory for the packed panels. It is pooled, so that a call allocates
// nothing; the methods that parallel.For calls are bound once for that reason.
type product struct {
	tile  *gemmTile
	a, b  []float32
	c     []float32
	ldc   int
	lda   int
	ldb   int
	flags GemmFlags

	packed   *PackedB // instead of b
	epilogue Epilogue

	kc int // length of a block of K

	// The part of the product that is being computed.
	i0, j0, k0 int
	m, n, k    int  // its size
	first      bool // nothing has been added to C
	last       bool // C is final
	rowPanels  int
	colPanels  int
	directA    bool
	directB    bool

	packedA, packedB []float32
	packA, packB     int  // items of packing to do before the tasks
	packLate         bool // the tasks pack B

	groupM, groupN int // panels of a task
	tasksN         int // tasks along a row of tasks

	packPanel   func(i int)
	computeTask func(i int)
}

var products = sync.Pool{New: func() any {
	p := &product{}
	p.packPanel = p.pack
	p.computeTask = p.compute
	return p
}}

// run computes the product, which is not empty, part by part.
func (p *product) run(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags, threads bool) {
	p.tile = &active().gemm
	p.a, p.b, p.c, p.lda, p.ldb, p.ldc, p.flags = a, b, c, lda, ldb, ldc, flags
	p.kc = blockLength(k)
	p.directA = n <= direct(p.tile.directCols, lda)
	p.directB = p.packed != nil || flags&TransB == 0 && m <= direct(p.tile.directRows, ldb)
	threads = threads && parallel.Threads() > 1 && m*n >= (parallelWork-1)/k+1

	kPart := min(k, p.kc*kPackBlocks)
	mPart := partLength(m, kPart, p.tile.rows, packLimitA, p.directA)
	nPart := partLength(n, kPart, p.tile.cols, packLimitB, p.directB)
	for p.k0 = 0; p.k0 < k; p.k0 += kPart {
		p.k = min(kPart, k-p.k0)
		p.first = p.k0 == 0 && flags&Accumulate == 0
		p.last = p.k0+p.k == k
		for p.j0 = 0; p.j0 < n; p.j0 += nPart {
			p.n = min(nPart, n-p.j0)
			for p.i0 = 0; p.i0 < m; p.i0 += mPart {
				p.m = min(mPart, m-p.i0)
				p.part(threads, p.j0 == 0 || mPart < m, p.i0 == 0)
			}
		}
	}
	p.a, p.b, p.c, p.packed, p.epilogue = nil, nil, nil, nil, Epilogue{} // the pool must not keep them alive
}

// direct returns the limit up to which a matrix with leading dimension ld is
// read where it is. Rows a multiple of 4 KiB apart fall into the same set of the
// first-level cache, which holds no more than 8 or 12 of them; then packing pays earlier.
func direct(limit, ld int) int {
	if ld%1024 == 0 {
		return limit / 4
	}
	return limit
}

// blockLength returns the length of the blocks of K: equal ones, and therefore
// a function of k alone.
func blockLength(k int) int {
	blocks := (k-1)/kBlock + 1
	return (k-1)/blocks + 1
}

// partLength returns how much of m (or n) is packed at a time.
func partLength(m, k, panel, limit int, direct bool) int {
	if direct {
		return m
	}
	return min(m, max(limit/k/panel, 1)*panel)
}

// part computes a part of the product. newA and newB say whether the panels have
// to be packed, or are those of the part before.
func (p *product) part(threads, newA, newB bool) {
	p.rowPanels = (p.m-1)/p.tile.rows + 1
	p.colPanels = (p.n-1)/p.tile.cols + 1
	p.groupM = min(groupRows/p.tile.rows, p.rowPanels)
	p.groupN = min(groupCols/p.tile.cols, p.colPanels)
	if threads {
		p.shrinkGroups(4 * parallel.Threads())
	}
	p.packA, p.packB, p.packLate = 0, 0, false
	if newA && !p.directA {
		p.packA = p.packItems(p.rowPanels, p.flags&TransA == 0)
		p.packedA = grow(p.packedA, p.m*p.k)
	}
	if newB && !p.directB {
		// If one task uses a panel it packs it itself, and has it in its cache.
		p.packLate = p.flags&TransB != 0 && p.groupM == p.rowPanels
		if !p.packLate {
			p.packB = p.packItems(p.colPanels, p.flags&TransB != 0)
		}
		p.packedB = grow(p.packedB, p.colPanels*p.tile.cols*p.k)
	}
	p.tasksN = (p.colPanels-1)/p.groupN + 1
	tasks := ((p.rowPanels-1)/p.groupM + 1) * p.tasksN
	if threads {
		parallel.For(p.packA+p.packB, p.packPanel) // none is fine
		parallel.For(tasks, p.computeTask)
		return
	}
	for i := range p.packA + p.packB {
		p.pack(i)
	}
	for i := range tasks {
		p.compute(i)
	}
}

// shrinkGroups makes the groups smaller until there are enough tasks for the
// threads to end at about the same time.
func (p *product) shrinkGroups(want int) {
	for {
		tasks := ((p.rowPanels-1)/p.groupM + 1) * ((p.colPanels-1)/p.groupN + 1)
		switch {
		case tasks >= want || p.groupM*p.groupN == 1:
			return
		case p.groupN > 1 && p.groupN >= p.groupM/2: // a group's rows are reused from a nearer cache
			p.groupN = (p.groupN + 1) / 2
		default:
			p.groupM = (p.groupM + 1) / 2
		}
	}
}

// grow returns a slice of n elements, x itself if it is large enough. The
// contents do not matter.
func grow(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}

// rowPanel returns the range of the rows of panel i of the part.
func (p *product) rowPanel(i int) (lo, hi int) {
	if !p.tile.balanced {
		lo = i * p.tile.rows
		return lo, min(lo+p.tile.rows, p.m)
	}
	size, larger := p.m/p.rowPanels, p.m%p.rowPanels // the first panels have a row more
	lo = i*size + min(i, larger)
	hi = lo + size
	if i < larger {
		hi++
	}
	return lo, hi
}

// packItems returns into how many items the packing of A or B is divided. A matrix
// that has to be transposed is packed panel by panel, along its rows. One that
// is copied has rows as wide as all panels together; several of those at a
// time are copied into every panel, so that memory is read in long stretches.
func (p *product) packItems(panels int, transpose bool) int {
	if transpose {
		return panels
	}
	return ((p.k-1)/p.kc + 1) * p.chunks()
}

// chunks returns the number of chunks of rows of one block of K.
func (p *product) chunks() int { return (p.kc-1)/packChunk + 1 }

// chunk returns item i of such a copy: the block of K it belongs to, and
// the range of the block's rows, which may be empty in the last block.
func (p *product) chunk(i int) (k0, kc, lo, hi int) {
	k0 = i / p.chunks() * p.kc
	kc = min(p.kc, p.k-k0)
	lo = min(i%p.chunks()*packChunk, kc)
	return k0, kc, lo, min(lo+packChunk, kc)
}

// pack does item i of the packing: first come those of A, then those of B.
func (p *product) pack(i int) {
	copyA, copyB := p.flags&TransA != 0, p.flags&TransB == 0
	switch {
	case i < p.packA && copyA:
		p.copyChunkA(i)
	case i < p.packA:
		p.transposePanelA(i)
	case copyB:
		p.copyChunkB(i - p.packA)
	default:
		for k0 := 0; k0 < p.k; k0 += p.kc {
			p.transposePanelB(i-p.packA, k0)
		}
	}
}

// panelA returns where the panel of A from row top on, of the given number of
// rows, is packed for the block of K at k0. For each block the panels lie
// one after the other; a panel holds its elements of one column of A together.
func (p *product) panelA(top, k0, kc int) []float32 { return p.packedA[k0*p.m+top*kc:] }

// panelB does the same for the panel of B from column left on. It holds the
// elements of one row of B together, and has the full width also at the edge.
func (p *product) panelB(left, k0, kc int) []float32 {
	return p.packedB[k0*p.colPanels*p.tile.cols+left*kc:]
}

func (p *product) transposePanelA(i int) {
	top, bottom := p.rowPanel(i)
	rows := bottom - top
	for k0 := 0; k0 < p.k; k0 += p.kc {
		kc := min(p.kc, p.k-k0)
		src := p.a[(p.i0+top)*p.lda+p.k0+k0:]
		p.tile.transpose(p.panelA(top, k0, kc), rows, src, p.lda, rows, kc)
	}
}

// transposePanelB packs a block of panel j.
func (p *product) transposePanelB(j, k0 int) {
	left := j * p.tile.cols
	cols := min(p.tile.cols, p.n-left)
	kc := min(p.kc, p.k-k0)
	src := p.b[(p.j0+left)*p.ldb+p.k0+k0:]
	p.tile.transpose(p.panelB(left, k0, kc), p.tile.cols, src, p.ldb, cols, kc)
}

func (p *product) copyChunkA(item int) {
	k0, kc, lo, hi := p.chunk(item)
	if lo == hi {
		return
	}
	for i := range p.rowPanels {
		top, bottom := p.rowPanel(i)
		rows := bottom - top
		src := p.a[(p.k0+k0+lo)*p.lda+p.i0+top:]
		p.tile.copyRows(p.panelA(top, k0, kc)[lo*rows:], rows, src, p.lda, hi-lo, rows)
	}
}

func (p *product) copyChunkB(item int) {
	k0, kc, lo, hi := p.chunk(item)
	if lo == hi {
		return
	}
	width := p.tile.cols
	for left := 0; left < p.n; left += width {
		src := p.b[(p.k0+k0+lo)*p.ldb+p.j0+left:]
		p.tile.copyRows(p.panelB(left, k0, kc)[lo*width:], width, src, p.ldb, hi-lo, min(width, p.n-left))
	}
}

// compute computes the tiles of one task. The innermost loop goes down the
// rows, so that a panel of B is fetched once and then stays near.
func (p *product) compute(task int) {
	i0, j0 := task/p.tasksN*p.groupM, task%p.tasksN*p.groupN
	i1, j1 := min(i0+p.groupM, p.rowPanels), min(j0+p.groupN, p.colPanels)
	for k0 := 0; k0 < p.k; k0 += p.kc {
		kc := min(p.kc, p.k-k0)
		for j := j0; j < j1; j++ {
			left := j * p.tile.cols
			cols := min(p.tile.cols, p.n-left)
			if p.packLate {
				p.transposePanelB(j, k0)
			}
			b, bRow := p.colsAt(left, k0, kc)
			for i := i0; i < i1; i++ {
				top, bottom := p.rowPanel(i)
				a, aRow, aCol := p.rowsAt(top, bottom-top, k0, kc)
				c := p.c[(p.i0+top)*p.ldc+p.j0+left:]
				add, addRow := c, p.ldc
				if p.first && k0 == 0 {
					add, addRow = nil, 0
					if p.epilogue.Bias != nil {
						add = p.epilogue.Bias[p.j0+left:]
					}
				}
				p.tile.compute(a, aRow, aCol, b, bRow, c, p.ldc, bottom-top, cols, kc, add, addRow)
			}
		}
	}
	if p.last && p.epilogue.Apply != nil {
		top, _ := p.rowPanel(i0)
		_, bottom := p.rowPanel(i1 - 1)
		p.epilogue.Apply(p.i0+top, p.i0+bottom, p.j0+j0*p.tile.cols, p.j0+min(j1*p.tile.cols, p.n))
	}
}

// rowsAt returns the panel of A that begins at row top, and its strides.
func (p *product) rowsAt(top, rows, k0, kc int) (a []float32, aRow, aCol int) {
	switch {
	case !p.directA:
		return p.panelA(top, k0, kc), 1, rows
	case p.flags&TransA != 0:
		return p.a[(p.k0+k0)*p.lda+p.i0+top:], 1, p.lda
	default:
		return p.a[(p.i0+top)*p.lda+p.k0+k0:], p.lda, 1
	}
}

// colsAt returns the panel of B that begins at column left, and its stride.
func (p *product) colsAt(left, k0, kc int) (b []float32, bRow int) {
	if p.packed != nil {
		return p.packed.at(p.j0+left, p.k0+k0, kc), panelCols
	}
	if !p.directB {
		return p.panelB(left, k0, kc), p.tile.cols
	}
	return p.b[(p.k0+k0)*p.ldb+p.j0+left:], p.ldb
}
