package kernels

import "sync"

// Row describes how one row of a picture comes out of a depthwise convolution. A row of x has Width pixels, one of y
// OutWidth, each of so many channels. Of the window, which has Cols columns, Rows rows lie on the picture.
type Row struct {
	Channels        int
	Width, OutWidth int
	Rows, Cols      int
	RowDistance     int // between two rows of the window, in elements of x
	Stride          int
	Dilation        int // of the columns
	Left            int // padding

	// Every element of y is at least Least and at most Most, which may be infinite.
	Least, Most float32
}

// edge is a pixel of y with the columns of its window that lie on the row: where it begins in a row of y, where the first
// of the columns does in x and in the weights, in bytes, and how many there are.
type edge struct{ y, x, w, cols int }

// edgeLists are lists of edges, used again.
var edgeLists = sync.Pool{New: func() any { return new([]edge) }}

// depthwiseRow computes the pixels in edges, and so many others from yFirst and xFirst on, whose windows lie on the row. yFirst,
// xFirst, xRow, xCol and wRow are bytes.
type depthwiseRow func(y, x, w, bias []float32, edges []edge, yFirst, xFirst, pixels, channels, rows, xRow, xCol, wRow int, least, most float32)

// Depthwise computes a row of a depthwise convolution: the sum over the window of x·w, channel by channel, plus the
// bias, between bounds. x begins with the window's first row on the picture, w with that row's weights: Rows x Cols x
// Channels elements. y may not overlap x.
func Depthwise(y, x, w, bias []float32, r Row) {
	const kernel = "Depthwise"
	if min(r.Channels, r.Width, r.OutWidth, r.Rows, r.RowDistance, r.Left) < 0 ||
		min(r.Cols, r.Stride, r.Dilation) < 1 {
		check(false, kernel, "row %+v", r)
	}
	if len(y) != r.OutWidth*r.Channels || len(bias) != r.Channels || len(w) < r.Rows*r.Cols*r.Channels ||
		r.Rows > 0 && len(x) < (r.Rows-1)*r.RowDistance+r.Width*r.Channels {
		check(false, kernel, "y has %d elements, x %d, w %d, bias %d: too few or many for %+v", len(y), len(x), len(w), len(bias), r)
	}
	if len(y) == 0 {
		return
	}
	impl := active()
	if r.Rows == 0 {
		for o := range r.OutWidth {
			impl.clamp(y[o*r.Channels:(o+1)*r.Channels], bias, r.Least, r.Most)
		}
		return
	}
	compute := impl.depthwiseEdges
	// Pixels from first to end have their whole window on the row.
	first, end := r.OutWidth, r.OutWidth
	if r.Cols == 3 || r.Cols == 5 {
		if f := impl.depthwise[r.Cols/2-1][(r.Stride-1)%2]; f != nil && r.Stride <= 2 && r.Dilation == 1 {
			compute = f
			first = min((r.Left+r.Stride-1)/r.Stride, r.OutWidth)
			end = first
			if free := r.Width - r.Cols + r.Left; free >= 0 {
				end = min(max(free/r.Stride+1, first), r.OutWidth)
			}
		}
	}
	list := edgeLists.Get().(*[]edge)
	edges := (*list)[:0]
	for o := range first {
		edges = append(edges, r.edge(o))
	}
	for o := end; o < r.OutWidth; o++ {
		edges = append(edges, r.edge(o))
	}
	size := 4 * r.Channels
	compute(y, x, w, bias, edges, first*size, (first*r.Stride-r.Left)*size, end-first,
		r.Channels, r.Rows, 4*r.RowDistance, r.Dilation*size, r.Cols*size, r.Least, r.Most)
	*list = edges
	edgeLists.Put(list)
}

// edge returns pixel o of the row.
func (r *Row) edge(o int) edge {
	left := o*r.Stride - r.Left
	lo, hi := 0, r.Cols
	if left < 0 {
		lo = min((-left+r.Dilation-1)/r.Dilation, hi)
	}
	switch free := r.Width - 1 - left; {
	case free < 0:
		hi = lo
	case free < (r.Cols-1)*r.Dilation:
		hi = max(free/r.Dilation+1, lo)
	}
	size := 4 * r.Channels
	e := edge{y: o * size, cols: hi - lo}
	if e.cols > 0 {
		e.x, e.w = (left+lo*r.Dilation)*size, lo*size
	}
	return e
}

func depthwiseEdgesGeneric(y, x, w, bias []float32, edges []edge, _, _, _, channels, rows, xRow, xCol, wRow int, least, most float32) {
	for _, e := range edges {
		sum := y[e.y/4:][:channels]
		copy(sum, bias)
		for r := range rows {
			for c := range e.cols {
				pixel, taps := x[(e.x+r*xRow+c*xCol)/4:], w[(e.w+r*wRow)/4+c*channels:]
				for i := range sum {
					sum[i] += pixel[i] * taps[i]
				}
			}
		}
		clampGeneric(sum, sum, least, most)
	}
}
