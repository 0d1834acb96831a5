package kernels

import (
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// GemmFlags modify a product.
type GemmFlags uint8

// The flags may be combined.
const (
	TransA     GemmFlags = 1 << iota // A is stored transposed, k×m
	TransB                           // B is stored transposed, n×k
	Accumulate                       // the product is added to C, which else is overwritten
)

// Gemm computes C = op(A)·op(B), or C += op(A)·op(B) with [Accumulate], on the
// threads of the package parallel. op(A) is m×k, op(B) is k×n, C is m×n; see
// [GemmFlags] for how they are stored. The leading dimensions ldc, lda and ldb
// are the distances between rows as stored. C overlaps neither A nor B.
//
// Every element of C is summed over k in one fixed order: blocks of k that
// depend on k alone, in each of which the products are added in turn from zero
// (fused multiply-adds on AVX2, AVX-512 and NEON, which therefore agree), and
// the blocks' sums added to C one after the other. So the result is the same
// for any number of threads, and an element does not change when its row or
// column is computed as part of another product.
//
// Without Accumulate the old values of C do not matter; for k = 0 the product
// is zero. Gemm panics with an [ArgumentError], before it writes, if a size
// is negative, a leading dimension shorter than its row, or a slice too short.
func Gemm(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
	gemm("Gemm", c, ldc, a, lda, b, ldb, prepared{}, m, n, k, flags, Options{})
}

// GemmSerial is [Gemm] on the calling goroutine alone, with the same result bit
// for bit. It is for products within the body of a parallel loop, and may be called
// concurrently.
func GemmSerial(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
	gemm("GemmSerial", c, ldc, a, lda, b, ldb, prepared{}, m, n, k, flags, Options{Limit: 1})
}

// Options of a product.
type Options struct {
	Limit parallel.Limit // of its threads

	// Bias has n elements that are added to every row of C, together with the sum of
	// the first block of k; it does not go with Accumulate. nil is none.
	Bias []float32

	// With Clamp every element c of the finished C becomes min(max(c, Least), Most).
	Clamp       bool
	Least, Most float32

	// Apply is called once for each block of C whose elements are final, rows
	// i0 to i1 and columns j0 to j1, by the goroutine that computed it, while it is in that
	// core's cache. Blocks are computed side by side: Apply must be safe for
	// concurrent calls. It may overwrite the block's elements of C. How C is
	// cut into blocks is not determined, but columns are cut at multiples of 4. nil is none.
	Apply func(i0, i1, j0, j1 int)
}

// GemmWith is [Gemm] with options. It panics with an [ArgumentError] also if there
// is a bias whose length is not n, or one together with Accumulate.
func GemmWith(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags, o Options) {
	gemm("GemmWith", c, ldc, a, lda, b, ldb, prepared{}, m, n, k, flags, o)
}

// PackedB is a matrix B stored in the order in which products read it, for one that
// is used many times. It serves every instruction set.
type PackedB struct {
	n, k int
	data []float32
}

// PackedLen is the elements of a packed k×n matrix: n is rounded up to a multiple of 32.
func PackedLen(n, k int) int { return (n + panelCols - 1) / panelCols * panelCols * k }

// PackB packs op(B), which is k×n; flags are 0 or [TransB].
func PackB(b []float32, ldb, n, k int, flags GemmFlags) *PackedB {
	return PackBInto(make([]float32, PackedLen(max(n, 0), max(k, 0))), b, ldb, n, k, flags, 0)
}

// PackBInto is [PackB] with memory of [PackedLen] elements, which it keeps, and a limit of its threads.
func PackBInto(data, b []float32, ldb, n, k int, flags GemmFlags, limit parallel.Limit) *PackedB {
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
	check(len(data) == PackedLen(n, k), kernel, "%d elements of memory, want %d", len(data), PackedLen(n, k))
	packed := &PackedB{n: n, k: k, data: data}
	if n == 0 || k == 0 {
		return packed
	}
	panels, kc := (n-1)/panelCols+1, blockLength(k)
	tile := &active().gemm
	limit.For(panels, func(j int) {
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
func GemmPacked(c []float32, ldc int, a []float32, lda int, b *PackedB, m int, flags GemmFlags, o Options) {
	check(flags&TransB == 0, "GemmPacked", "TransB belongs to PackB")
	gemm("GemmPacked", c, ldc, a, lda, nil, 0, prepared{packed: b}, m, b.n, b.k, flags, o)
}

// prepared is a matrix B that is read instead of the one that lies row by row, if it is either.
type prepared struct {
	packed *PackedB
	half   *HalfMatrix
}

func gemm(kernel string, c []float32, ldc int, a []float32, lda int, b []float32, ldb int, other prepared, m, n, k int, flags GemmFlags, o Options) {
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
	if other == (prepared{}) {
		checkMatrix(kernel, "B", len(b), ldb, bRows, bCols)
	}
	if o.Bias != nil && (len(o.Bias) != n || flags&Accumulate != 0) {
		panic(&ArgumentError{kernel, fmt.Sprintf("a bias of %d elements for %d columns, flags %#x", len(o.Bias), n, flags)})
	}
	switch {
	case m == 0 || n == 0:
	case k == 0:
		for i := range m {
			if row := c[i*ldc : i*ldc+n]; o.Bias != nil {
				copy(row, o.Bias)
			} else if flags&Accumulate == 0 {
				clear(row)
			}
		}
		if o.Clamp {
			for i := range m {
				clampGeneric(c[i*ldc:i*ldc+n], c[i*ldc:i*ldc+n], o.Least, o.Most)
			}
		}
		if o.Apply != nil {
			o.Apply(0, m, 0, n)
		}
	default:
		p := products.Get().(*product)
		p.prepared, p.options = other, o
		p.run(c, ldc, a, lda, b, ldb, m, n, k, flags)
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
	lanes      int // a tile reads so many columns of B, or a multiple, whatever its width
	wideRows   int // up to this height there are tiles of twice the width, for whole ones that B is not copied for

	// balanced: rows are shared out evenly among the tiles, so that the
	// last one is not much lower than the others (a tile of one row has too few
	// independent sums to keep the units busy).
	balanced bool

	// readsRows: a tile reads along the rows of A, whose elements lie beside each other (aCol is 1). So packed panels of A hold
	// rows too, and A is packed if it is stored transposed.
	readsRows bool

	compute func(t *tileArgs)

	// turned are the tiles that read B stored transposed, by rows-1; those of more rows copy it. With readsLines they read whole cache
	// lines of rows that fall into the same set of the first-level cache.
	turned     []turnedTile
	readsLines bool

	// copyRows does dst[r*dstStride+c] = src[r*srcStride+c], transpose
	// dst[c*dstStride+r] = src[r*srcStride+c]; for up to gemmTile.rows or
	// gemmTile.cols elements along a row of dst, or any number for tiles that read rows.
	copyRows, transpose func(dst []float32, dstStride int, src []float32, srcStride, rows, cols int)
}

// turnedTile is a tile of that many columns, all of which there must be, and at least turnedSteps of K; A is packed.
type turnedTile struct {
	cols    int
	compute tileFunction
}

const turnedSteps = 8

// tileArgs is one tile of C = A·B + add, or several below each other, of the same height and with the same columns. The assembly knows the order of the fields.
type tileArgs struct {
	a          []float32 // element (i, p) is a[i*aRow+p*aCol]
	aRow, aCol int
	b          []float32 // rows bRow apart
	bRow       int
	bHalf      int       // from b to the second half of the columns of a wide tile
	c          []float32 // rows ldc apart
	ldc        int
	add        []float32 // rows addRow apart; nil is nothing
	addRow     int
	nextC      []float32 // where the tile of C after the last begins, to be prefetched
	nextB      []float32 // what to prefetch of the next panel of B: rows so far apart,
	nextBRow   int
	nextBSteps int // one in every two of so many steps, with fewRows at most one in each; a multiple of 4
	rows, cols int
	k          int
	aStep      int  // from a tile's rows of A to those of the tile below
	repeat     int  // tiles
	clamp      bool // C becomes min(max(C, least), most)
	least      float32
	most       float32
}

// Blocking, by measurement on Xeons (Sapphire Rapids, 48 KiB of first-level and 2 MiB of
// second-level cache):
//
//   - A tile runs over kBlock steps while its sums stay in registers, then it
//     touches C.
//   - A task multiplies a group of rows of A, at most blockA elements in one block of K,
//     which stay in the second-level cache, by one panel of B after the other.
const (
	kBlock     = 384
	blockA     = 192 << 10
	groupCols  = 256     // columns of a task
	panelCols  = 32      // columns of a panel of PackedB, those of the widest tile
	turnedRows = 96      // rows up to which a large transposed B is read where it is
	largeB     = 1 << 18 // elements of a B that the second-level cache does not hold
	packChunk  = 8       // rows of a matrix that are copied into all panels together: as many as a set of the first-level cache holds lines
	manyPanels = 8       // row panels for each thread from which on it has rows of its own
	fewRows    = 4       // the height up to which a tile waits for memory
)

// Below this number of multiply-adds one thread is faster: waking another
// takes a few microseconds, in which a core does some 2·10⁵.
const parallelWork = 1 << 18

// taskWork is the most multiply-adds of a task, on several threads, unless one panel of B has more: some 70 µs.
const taskWork = 1 << 22

// product is one call of Gemm: its arguments, and what follows from them. It is pooled, so that a call allocates
// nothing; the method that the loop calls is bound once for that reason.
type product struct {
	tile     *gemmTile
	a, b     []float32
	c        []float32
	ldc      int
	lda      int
	ldb      int
	m, n     int
	flags    GemmFlags
	options  Options
	prepared // instead of b

	kc               int  // length of a block of K
	width            int  // of the widest tile
	directA, directB bool // read where it is
	fuses            bool // widens a half B as it multiplies
	turns            bool // reads whole panels of a transposed B where they are
	threads          int  // that take tasks in turn

	rowPanels int
	// Balanced panels have so many rows, the first of them one more.
	panelRows, largerPanels int
	groupM, groupN          int // panels of a task
	tasksN                  int // tasks along a row of tasks
	tasks                   int // of a part, one for each block of C

	parts  []part         // in the order in which they are computed
	stages []atomic.Int32 // by block of C: how many parts have been added to it
	taken  []atomic.Int32 // by part and run of tasks: how many tasks of it have been taken

	serial uint64       // of the call, among all
	joined atomic.Int32 // workers

	doItem func(i int)
}

// part is what of a product is computed together: blocks of K for which a group of A stays in the cache. Its items are its tasks,
// one for each block of C.
//
// All parts' items are one loop. No thread waits at the end of a part until the others have ended: a task awaits the same block
// of C in the part before, which is nearly always done.
//
// Tasks are cut into as many runs as there are threads, and each thread takes those of its own run, and then what is left of
// others. So threads write far apart: side by side, one's prefetches would take lines of C from the other. And each packs the rows of A
// that it needs for itself: those that another thread has packed would be in the other's cache, and to write over what the other has read
// takes several times as long.
type part struct {
	*product
	index int // in parts
	k0, k int
	first bool // nothing has been added to C
	last  bool // C is final after it
}

var products = sync.Pool{New: func() any {
	p := &product{}
	p.doItem = p.item
	return p
}}

var serials atomic.Uint64

// worker is what a task needs for itself.
type worker struct {
	args tileArgs
	a    []float32 // packed panels of A: rows from top on
	top  int
	rows int
	of   struct { // of which they are
		serial      uint64
		part, group int
	}
	run  int       // of the product's tasks
	b    []float32 // a packed panel of B
	half []uint16  // of which it was made, if it was
}

var workers = sync.Pool{New: func() any { return &worker{} }}

// run computes the product, which is not empty, part by part: blocks of K for which a group of A stays in the cache.
func (p *product) run(c []float32, ldc int, a []float32, lda int, b []float32, ldb int, m, n, k int, flags GemmFlags) {
	p.tile = &active().gemm
	p.a, p.b, p.c, p.lda, p.ldb, p.ldc, p.m, p.n, p.flags = a, b, c, lda, ldb, ldc, m, n, flags
	p.serial = serials.Add(1)
	p.joined.Store(0)
	p.kc = blockLength(k)
	p.turns = flags&TransB != 0 && p.readsTurned(m, k)
	p.directA = !p.turns && p.readsDirectA(m)
	p.directB = flags&TransB == 0 && (m <= 128 || m <= 512 && ldb%1024 != 0)
	p.width = p.tile.cols
	if m <= p.tile.wideRows && p.half == nil && (p.packed != nil || p.directB) {
		p.width *= 2
	}
	if p.turns {
		p.width = p.tile.turned[tallest(m, p.tile.rows)-1].cols
	}
	p.fuses = p.half != nil && m <= len(active().half[p.half.format].tiles)
	p.threads = p.options.Limit.Threads()
	if m*n < (parallelWork-1)/k+1 {
		p.threads = 1
	}

	// Equal groups of row panels, and as many blocks of K as fit.
	panels := (m-1)/p.tile.rows + 1
	most := max(blockA/p.kc/p.tile.rows, 1)
	groups := (panels-1)/most + 1
	group := (panels-1)/groups + 1 // in panels
	kPart := min(k, max(blockA/(group*p.tile.rows*p.kc), 1)*p.kc)
	p.plan(group, kPart)
	p.divide(k, kPart)
	p.compute()
	p.a, p.b, p.c, p.prepared, p.options = nil, nil, nil, prepared{}, Options{} // the pool must not keep them alive
}

// readsDirectA reports whether A is read where it is. Stored transposed, it is read by
// few rows of a tile from far apart addresses, which pays for no more than a few tiles.
// Else the tiles read along its rows, which only suffers if they are a multiple of
// 4 KiB apart: then they fall into the same set of the first-level cache, which holds
// 8 to 12 of them.
func (p *product) readsDirectA(m int) bool {
	if p.flags&TransA != 0 {
		return m <= 64 && !p.tile.readsRows
	}
	return p.lda%1024 != 0 || p.n <= 128
}

// readsTurned reports whether a transposed B is read where it is. It is not if so many rows share the work of copying it, which is less for a B in
// the second-level cache, if much would be left beside whole panels, or if the many rows of a wide panel fall into the same set of the
// first-level cache.
func (p *product) readsTurned(m, k int) bool {
	rows := tallest(m, p.tile.rows)
	if rows > len(p.tile.turned) || k < turnedSteps {
		return false
	}
	cols := p.tile.turned[rows-1].cols
	fits := p.n >= 4*cols
	switch {
	case m <= p.tile.rows:
		fits = fits || p.n%cols == 0
	case m > 2*p.tile.rows:
		fits = fits && m <= turnedRows && p.n*k >= largeB
	}
	return fits && (cols <= 16 || p.ldb%1024 != 0 || p.tile.readsLines)
}

// tallest returns the rows of the tallest of the fewest panels of at most so many rows that hold m.
func tallest(m, rows int) int { return (m-1)/((m-1)/rows+1) + 1 }

// blockLength returns the length of the blocks of K: equal ones, and therefore
// a function of k alone.
func blockLength(k int) int {
	blocks := (k-1)/kBlock + 1
	return (k-1)/blocks + 1
}

// divide cuts the product into parts of so many steps of K.
func (p *product) divide(k, kPart int) {
	p.parts = p.parts[:0]
	for k0 := 0; k0 < k; k0 += kPart {
		q := part{product: p, index: len(p.parts), k0: k0, k: min(kPart, k-k0)}
		q.first, q.last = k0 == 0 && p.flags&Accumulate == 0, k0+q.k == k
		p.parts = append(p.parts, q)
	}
}

// plan cuts C into the blocks of the tasks.
func (p *product) plan(group, kPart int) {
	p.rowPanels = (p.m-1)/p.tile.rows + 1
	p.panelRows, p.largerPanels = p.m/p.rowPanels, p.m%p.rowPanels
	colPanels := (p.n-1)/p.tile.cols + 1
	p.groupM = min(group, p.rowPanels)
	p.groupN = min(groupCols/p.tile.cols, colPanels)
	tasks := func() int { return ((p.rowPanels-1)/p.groupM + 1) * ((colPanels-1)/p.groupN + 1) }
	if p.threads > 1 {
		// Each thread packs A for itself, so it should have rows of its own, unless to pack B twice would take longer.
		if !p.directA && (p.directB || p.packed != nil || p.m > p.n) && p.rowPanels >= manyPanels*p.threads {
			p.groupM = min(p.groupM, (p.rowPanels-1)/p.threads+1)
		}
		// Enough tasks for the threads to end at about the same time. Every group of rows packs B
		// for itself, so the columns are divided first.
		want := 4 * p.threads
		for tasks() < want && p.groupN > 1 {
			p.groupN = (p.groupN + 1) / 2
		}
		for tasks() < want && p.groupM > 1 {
			p.groupM = (p.groupM + 1) / 2
		}
		// And short ones, for the threads end within a task of each other.
		for least := max(p.width/p.tile.cols, 1); p.groupN > least && p.groupM*p.panelRows*p.groupN*p.tile.cols > taskWork/kPart; {
			p.groupN = max((p.groupN+1)/2, least)
		}
	}
	p.tasksN = (colPanels-1)/p.groupN + 1
	p.tasks = ((p.rowPanels-1)/p.groupM + 1) * p.tasksN
}

// compute does all tasks. On one thread none has to wait.
func (p *product) compute() {
	if p.threads > 1 {
		p.stages = grow(p.stages, p.tasks)
		clear(p.stages)
		p.taken = grow(p.taken, len(p.parts)*p.threads)
		clear(p.taken)
		parallel.Limit(p.threads).For(len(p.parts)*p.tasks, p.doItem)
		return
	}
	w := p.join()
	for i := range p.parts {
		for task := range p.tasks {
			p.parts[i].compute(w, task)
		}
	}
	workers.Put(w)
}

// join returns a worker; one that has computed other tasks of the product goes on with its run.
func (p *product) join() *worker {
	w := workers.Get().(*worker)
	if w.of.serial != p.serial {
		w.run = int(p.joined.Add(1)-1) % p.threads
		w.of.serial, w.of.part = p.serial, -1
	}
	return w
}

// item does a task of the i-th item's part.
func (p *product) item(i int) {
	q := &p.parts[i/p.tasks]
	w := p.join()
	task := q.take(w.run)
	stage := &p.stages[task]
	parallel.Await(stage, int32(q.index))
	defer stage.Add(1) // also when it panics: nobody must wait for ever
	q.compute(w, task)
	workers.Put(w)
}

// take returns the next task of a run, or of another one after it. There is one: the part has as many items as tasks.
func (p *part) take(run int) int {
	length, longer := p.tasks/p.threads, p.tasks%p.threads // so many runs have a task more
	for {
		tasks := length
		if run < longer {
			tasks++
		}
		if i := int(p.taken[p.index*p.threads+run].Add(1)) - 1; i < tasks {
			return run*length + min(run, longer) + i
		}
		run = (run + 1) % p.threads
	}
}

// grow returns a slice of n elements, x itself if it is large enough. The
// contents do not matter.
func grow[E any](x []E, n int) []E {
	if cap(x) < n {
		return make([]E, n)
	}
	return x[:n]
}

// rowPanel returns the range of the rows of panel i.
func (p *product) rowPanel(i int) (lo, hi int) {
	if !p.tile.balanced {
		lo = i * p.tile.rows
		return lo, min(lo+p.tile.rows, p.m)
	}
	lo = i*p.panelRows + min(i, p.largerPanels)
	hi = lo + p.panelRows
	if i < p.largerPanels {
		hi++
	}
	return lo, hi
}

// alike returns how many panels from i on have the same number of rows.
func (p *product) alike(i int) int {
	switch {
	case p.tile.balanced && i < p.largerPanels:
		return p.largerPanels - i
	case p.tile.balanced || i == p.rowPanels-1:
		return p.rowPanels - i
	default:
		return p.rowPanels - 1 - i
	}
}

// pack packs the row panels [i0, i1) of A, unless the worker has them from the task before. If they have to be transposed
// they are packed one after the other, along the rows of A. If they are copied the rows of A are as wide as all panels together; several of
// those at a time are copied into every panel, so that memory is read in long stretches.
func (p *part) pack(w *worker, i0, i1 int) {
	if w.of.part == p.index && w.of.group == i0 {
		return
	}
	top, _ := p.rowPanel(i0)
	_, bottom := p.rowPanel(i1 - 1)
	w.of.part, w.of.group, w.top, w.rows = p.index, i0, top, bottom-top
	w.a = grow(w.a, w.rows*p.k)
	for k0 := 0; k0 < p.k; k0 += p.kc {
		kc, chunk := min(p.kc, p.k-k0), p.kc
		if p.flags&TransA != 0 && !p.tile.readsRows {
			chunk = packChunk
		}
		for lo := 0; lo < kc; lo += chunk {
			for i := i0; i < i1; i++ {
				p.packPanel(w, i, k0, kc, lo, min(lo+chunk, kc))
			}
		}
	}
}

// packPanel packs steps lo to hi of the block of K at k0, all of them unless they are copied.
func (p *part) packPanel(w *worker, i, k0, kc, lo, hi int) {
	top, bottom := p.rowPanel(i)
	rows, dst := bottom-top, w.panelA(top, k0, kc)
	transposed := p.flags&TransA != 0
	from := (p.k0+k0)*p.lda + top
	if !transposed {
		from = top*p.lda + p.k0 + k0
	}
	switch src := p.a[from:]; {
	case p.tile.readsRows && transposed:
		p.tile.transpose(dst, kc, src, p.lda, kc, rows)
	case p.tile.readsRows:
		p.tile.copyRows(dst, kc, src, p.lda, rows, kc)
	case transposed:
		p.tile.copyRows(dst[lo*rows:], rows, src[lo*p.lda:], p.lda, hi-lo, rows)
	default:
		p.tile.transpose(dst, rows, src, p.lda, rows, kc)
	}
}

// panelA returns where the panel of A from row top on is packed for the block of K
// at k0. For each block the panels lie one after the other; a panel holds its
// elements of one column of A together, or of one row for tiles that read rows.
func (w *worker) panelA(top, k0, kc int) []float32 { return w.a[k0*w.rows+(top-w.top)*kc:] }

// compute computes the tiles of one task. The innermost loop goes down the
// rows, so that a panel of B is fetched once and then stays near.
func (p *part) compute(w *worker, task int) {
	i0, j0 := task/p.tasksN*p.groupM, task%p.tasksN*p.groupN
	i1, left0, right := min(i0+p.groupM, p.rowPanels), j0*p.tile.cols, min((j0+p.groupN)*p.tile.cols, p.n)
	first, _ := p.rowPanel(i0)
	if !p.directA {
		p.pack(w, i0, i1)
	}
	t := &w.args
	t.ldc, t.least, t.most = p.ldc, p.options.Least, p.options.Most
	for k0 := 0; k0 < p.k; k0 += p.kc {
		t.k = min(p.kc, p.k-k0)
		t.clamp = p.options.Clamp && p.last && k0+t.k == p.k
		for left := left0; left < right; left += t.cols {
			if t.cols = p.width; t.cols > right-left {
				t.cols = min(p.tile.cols, right-left)
			}
			turned := p.turns && t.cols == p.width && t.k >= turnedSteps
			p.colsAt(w, left, k0, turned)
			nextB, nextRows, nextBRow := p.nextPanel(left+t.cols, left0, right, k0)
			fetched := 0 // of its rows
			for i := i0; i < i1; i += t.repeat {
				top, bottom := p.rowPanel(i)
				t.rows = bottom - top
				t.repeat = min(p.alike(i), i1-i)
				if turned { // one at a time
					t.repeat = 1
				}
				p.rowsAt(w, top, k0)
				// A share of the rows that are left, but no more than leaves time to fetch C.
				share, steps := (nextRows-fetched+i1-i-1)/(i1-i), 2 // steps for each
				if t.rows <= fewRows {
					steps = 1
				}
				share = min(share, (t.k-2*t.rows)/steps) / 4 * 4
				t.nextB, t.nextBRow, t.nextBSteps = nil, nextBRow, 0
				switch {
				case turned:
					t.nextB = nextB
				case share > 0:
					t.nextB, t.nextBSteps = nextB[fetched*nextBRow:], steps*share
					fetched += share * t.repeat
				}
				switch bottom += (t.repeat - 1) * t.rows; {
				case i+t.repeat < i1:
					t.nextC = p.c[bottom*p.ldc+left:]
				case left+t.cols < right:
					t.nextC = p.c[first*p.ldc+left+t.cols:]
				}
				t.c = p.c[top*p.ldc+left:]
				switch {
				case !p.first || k0 > 0:
					t.add, t.addRow = t.c, p.ldc
				case p.options.Bias != nil:
					t.add, t.addRow = p.options.Bias[left:], 0
				default:
					t.add, t.addRow = nil, 0
				}
				switch {
				case p.fuses:
					p.fused(t)
				case turned:
					p.turned(t)
				default:
					p.tile.compute(t)
				}
			}
		}
	}
	*t, w.half = tileArgs{}, nil
	if p.last && p.options.Apply != nil {
		_, bottom := p.rowPanel(i1 - 1)
		p.options.Apply(first, bottom, left0, right)
	}
}

// rowsAt sets the panel of A that begins at row top.
func (p *part) rowsAt(w *worker, top, k0 int) {
	t := &w.args
	switch {
	case !p.directA && p.tile.readsRows:
		t.a, t.aRow, t.aCol, t.aStep = w.panelA(top, k0, t.k), t.k, 1, t.rows*t.k
	case !p.directA:
		t.a, t.aRow, t.aCol, t.aStep = w.panelA(top, k0, t.k), 1, t.rows, t.rows*t.k
	case p.flags&TransA != 0:
		t.a, t.aRow, t.aCol, t.aStep = p.a[(p.k0+k0)*p.lda+top:], 1, p.lda, t.rows
	default:
		t.a, t.aRow, t.aCol, t.aStep = p.a[top*p.lda+p.k0+k0:], p.lda, 1, t.rows*p.lda
	}
}

// turned computes a tile whose columns are rows of B.
func (p *part) turned(t *tileArgs) {
	_ = t.a[t.rows*t.k-1]
	inside(t.b, t.bRow, t.cols, t.k)
	if t.nextB == nil {
		t.nextB = t.b
	}
	inside(t.c, t.ldc, t.rows, t.cols)
	if t.add != nil {
		inside(t.add, t.addRow, t.rows, t.cols)
	}
	p.tile.turned[t.rows-1].compute(t)
}

// colsAt sets the panel of B that begins at column left, after packing it if
// need be.
func (p *part) colsAt(w *worker, left, k0 int, turned bool) {
	t := &w.args
	if turned {
		t.b, t.bRow = p.b[left*p.ldb+p.k0+k0:], p.ldb
		return
	}
	if p.packed != nil {
		t.b, t.bRow, t.bHalf = p.packed.at(left, p.k0+k0, t.k), panelCols, p.tile.cols
		if (left+p.tile.cols)%panelCols == 0 { // the second half is in the next panel
			t.bHalf = panelCols*t.k - left%panelCols
		}
		return
	}
	if p.fuses {
		t.b, t.bRow = p.half.lines(left, p.k0+k0, t.k), panelCols/2
		return
	}
	if p.half != nil {
		half := p.half.at(left, p.k0+k0, t.k)
		if unsafe.SliceData(half) != unsafe.SliceData(w.half) { // narrower tiles read a panel several times
			w.b, w.half = grow(w.b, len(half)), half
			p.half.format.Widen(w.b, half)
		}
		t.b, t.bRow = w.b[left%panelCols:], panelCols
		return
	}
	if p.directB && t.cols%p.tile.lanes == 0 {
		t.b, t.bRow, t.bHalf = p.b[(p.k0+k0)*p.ldb+left:], p.ldb, p.tile.cols
		return
	}
	w.b = grow(w.b, t.k*p.tile.cols)
	t.b, t.bRow = w.b, p.tile.cols
	if p.flags&TransB != 0 {
		p.tile.transpose(w.b, t.bRow, p.b[left*p.ldb+p.k0+k0:], p.ldb, t.cols, t.k)
	} else {
		p.tile.copyRows(w.b, t.bRow, p.b[(p.k0+k0)*p.ldb+left:], p.ldb, t.k, t.cols)
	}
}

// nextPanel returns the panel of B at column left, which comes after another of a task's
// columns [left0, right), to be prefetched: its rows, how many there are, and their distance. After a
// task's last panel it is the first one of the task that the thread will probably take.
func (p *part) nextPanel(left, left0, right, k0 int) (b []float32, rows, distance int) {
	if left >= right {
		left, k0 = left0, k0+p.kc
	}
	if k0 >= p.k {
		left, k0 = left0+p.groupN*p.tile.cols, 0
	}
	rows = min(p.kc, p.k-k0)
	switch {
	case p.turns && left < p.n:
		return p.b[left*p.ldb+p.k0+k0:], 0, 0
	case left >= p.n || p.flags&TransB != 0:
		return nil, 0, 0
	case p.packed != nil && p.width > p.tile.cols: // two long streams, which the processor fetches by itself
		return nil, 0, 0
	case p.packed != nil:
		return p.packed.at(left, p.k0+k0, rows), rows, panelCols
	case p.half != nil: // two rows at a time, a cache line each
		return p.half.lines(left/panelCols*panelCols, p.k0+k0, rows), rows / 2, panelCols
	default:
		return p.b[(p.k0+k0)*p.ldb+left:], rows, p.ldb
	}
}

// CopyRows copies a matrix of rows x cols into another; the distances between rows, dstStride and srcStride, may be less than a row
// in the source, whose rows then overlap.
func CopyRows(dst []float32, dstStride int, src []float32, srcStride, rows, cols int) {
	checkMatrix("CopyRows", "dst", len(dst), dstStride, rows, cols)
	if rows > 0 && cols > 0 && (srcStride < 0 || len(src) < cols || (rows-1)*srcStride > len(src)-cols) {
		check(false, "CopyRows", "%d elements do not hold %d rows of %d, %d apart", len(src), rows, cols, srcStride)
	}
	if impl := active(); impl.isa == AVX512 && cols <= panelCols && rows > 0 && cols > 0 {
		impl.gemm.copyRows(dst, dstStride, src, srcStride, rows, cols)
		return
	}
	copyRowsGeneric(dst, dstStride, src, srcStride, rows, cols)
}
