package kernels

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

// Depthwise computes a row of a depthwise convolution: the sum over the window of x·w, channel by channel, plus the bias, between
// bounds. x begins with the window's first row on the picture, w with that row's weights: Rows x Cols x Channels
// elements. y may not overlap x.
func Depthwise(y, x, w, bias []float32, r Row) {
	const kernel = "Depthwise"
	if min(r.Channels, r.Width, r.OutWidth, r.Rows, r.RowDistance, r.Left) < 0 || min(r.Cols, r.Stride, r.Dilation) < 1 {
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
	// Pixels from first to end have their whole window on the row.
	first := min((r.Left+r.Stride-1)/r.Stride, r.OutWidth)
	end := first
	if free := r.Width - 1 - (r.Cols-1)*r.Dilation + r.Left; free >= 0 {
		end = min(max(free/r.Stride+1, first), r.OutWidth)
	}
	inner := impl.depthwise(r.Cols, r.Stride)
	if inner == nil || r.Dilation > 1 || r.Rows == 0 {
		first, end = r.OutWidth, r.OutWidth
	}
	for o := range first {
		r.pixel(impl, y, x, w, bias, o)
	}
	if n := end - first; n > 0 {
		c := r.Channels
		inner(y[first*c:], x[(first*r.Stride-r.Left)*c:], w, bias, n, c, r.Rows, 4*r.RowDistance, 4*r.Cols*c, r.Least, r.Most)
	}
	for o := end; o < r.OutWidth; o++ {
		r.pixel(impl, y, x, w, bias, o)
	}
}

// pixel computes pixel o of the row.
func (r *Row) pixel(impl *implementation, y, x, w, bias []float32, o int) {
	left := o*r.Stride - r.Left
	lo, hi := 0, r.Cols // columns of the window on the picture
	if left < 0 {
		lo = min((-left+r.Dilation-1)/r.Dilation, hi)
	}
	if free := r.Width - 1 - left; free < (r.Cols-1)*r.Dilation {
		hi = max(free/r.Dilation+1, lo)
		if free < 0 {
			hi = lo
		}
	}
	c := r.Channels
	y = y[o*c : (o+1)*c]
	if lo == hi || r.Rows == 0 {
		impl.clamp(y, bias, r.Least, r.Most)
		return
	}
	impl.depthwisePixel(y, x[(left+lo*r.Dilation)*c:], w[lo*c:], bias, c, r.Rows, hi-lo,
		4*r.RowDistance, 4*r.Dilation*c, 4*r.Cols*c, r.Least, r.Most)
}

// depthwiseInner computes pixels whose windows lie within the rows; xRow and wRow are bytes.
type depthwiseInner func(y, x, w, bias []float32, pixels, channels, rows, xRow, wRow int, least, most float32)

// depthwise returns the function for a kernel and stride, or nil if there is none.
func (i *implementation) depthwise(cols, stride int) depthwiseInner {
	if cols != 3 && cols != 5 || stride > 2 {
		return nil
	}
	return i.depthwiseInner[cols/2-1][stride-1]
}

func depthwisePixelGeneric(y, x, w, bias []float32, channels, rows, cols, xRow, xCol, wRow int, least, most float32) {
	copy(y, bias)
	for r := range rows {
		for c := range cols {
			pixel, taps := x[(r*xRow+c*xCol)/4:], w[r*wRow/4+c*channels:]
			for i := range y {
				y[i] += pixel[i] * taps[i]
			}
		}
	}
	clampGeneric(y, y, least, most)
}
