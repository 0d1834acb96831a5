package cpu

import (
	"math"
	"sync"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// filter is what PrepareFilter makes of the weights of a convolution.
type filter struct {
	bias  []float32          // Out
	packs []*kernels.PackedB // of each group, (rows·cols·In/groups) x (Out/groups); nil if depthwise
	taps  []float32          // of a depthwise convolution: rows·cols x channels
}

// PrepareFilter implements [engine.Device]. What it makes stays for the life of the device.
func (d *Device) PrepareFilter(w, bias *engine.Tensor, rows, cols, groups int) engine.Filter {
	engine.CheckFilter(w, bias, rows, cols, groups)
	window := rows * cols
	perGroup := w.Cols / window
	f := &filter{bias: Floats(w.Rows)}
	if bias != nil {
		copy(f.bias, data(bias))
	}
	weights := data(w)
	if perGroup == 1 && w.Rows == groups {
		f.taps = Floats(window * groups)
		for c := range groups {
			for p := range window {
				f.taps[p*groups+c] = weights[c*window+p]
			}
		}
	} else {
		// A product's K runs over the window first and the channels last, as the pixels lie.
		out := w.Rows / groups
		turned := make([]float32, out*w.Cols)
		for g := range groups {
			for o := range out {
				row := weights[(g*out+o)*w.Cols:]
				for c := range perGroup {
					for p := range window {
						turned[o*w.Cols+p*perGroup+c] = row[c*window+p]
					}
				}
			}
			memory := data(d.New(1, kernels.PackedLen(out, w.Cols)))
			f.packs = append(f.packs, kernels.PackBInto(memory, turned, w.Cols, out, w.Cols, kernels.TransB, d.limit))
		}
	}
	return engine.Filter{Rows: rows, Cols: cols, In: perGroup * groups, Out: w.Rows, Groups: groups, Prepared: f}
}

// convolution is the arguments of a convolution. Of the pictures it may hold only some rows: x and y begin with rows xFirst
// and yFirst.
type convolution struct {
	y, x, residual []float32
	yFirst, xFirst int
	engine.Window
	in, out             int // channels
	groups              int
	outHeight, outWidth int
	filter              *filter
	epilogue            engine.Epilogue

	// The activation as bounds, if it is one and nothing comes before it. Then it is applied to what is still in
	// registers, else finish applies it.
	least, most float32
	bounds      bool
}

// newConvolution returns the arguments but for the pictures. The window is checked.
func newConvolution(f engine.Filter, w engine.Window, e engine.Epilogue) convolution {
	a := convolution{Window: w, in: f.In, out: f.Out, groups: f.Groups, filter: f.Prepared.(*filter), epilogue: e}
	a.outHeight, a.outWidth = w.Out()
	a.least, a.most, a.bounds = kernels.Activation(e.Activation).Bounds()
	if e.Residual != nil {
		a.residual = data(e.Residual)
		a.least, a.most, a.bounds = float32(math.Inf(-1)), float32(math.Inf(1)), false
	}
	return a
}

// patchBlock is the elements of x that are brought together for one product: they and what they are copied from stay in the
// second-level cache.
const patchBlock = 64 << 10

// borrowed is memory for the time of a task.
var borrowed = sync.Pool{New: func() any { return new([]float32) }}

// borrow returns n elements of any content, and what to give back.
func borrow(n int) ([]float32, *[]float32) {
	memory := borrowed.Get().(*[]float32)
	if cap(*memory) < n {
		*memory = Floats(n)
	}
	return (*memory)[:n], memory
}

// Convolve implements [engine.Device].
func (d *Device) Convolve(y, x *engine.Tensor, f engine.Filter, w engine.Window, e engine.Epilogue) {
	w.Rows, w.Cols = f.Rows, f.Cols
	w = w.Check("convolve", y, x, f.Out, f.In)
	if e.Residual != nil {
		engine.CheckShape("convolve", "residual", e.Residual, y.Rows, y.Cols)
	}
	if y.Rows == 0 {
		return
	}
	args := newConvolution(f, w, e)
	args.y, args.x = data(y), data(x)
	loop := &d.loops.convolve
	if args.pointwise() {
		loop.run(d.limit, y.Rows, max(1, 4*elementBlock/f.Out), args, (*convolution).product)
		return
	}
	block := max(1, elementBlock/(args.outWidth*f.Out))
	if args.filter.packs != nil {
		block = max(1, patchBlock/(args.outWidth*f.Rows*f.Cols*f.In/f.Groups))
	}
	loop.run(d.limit, args.outHeight, block, args, (*convolution).rows)
}

// pointwise says that the rows of x are those of the product.
func (a *convolution) pointwise() bool {
	return a.filter.packs != nil && a.groups == 1 && a.Rows*a.Cols*a.Stride == 1 && a.Top+a.Left+a.Bottom+a.Right == 0
}

// rows computes rows lo to hi of the picture.
func (a *convolution) rows(lo, hi int) {
	switch {
	case a.filter.packs == nil:
		a.depthwise(lo, hi)
	case a.pointwise():
		a.product(lo*a.outWidth, hi*a.outWidth)
	default:
		a.dense(lo, hi)
	}
}

// output returns y from a pixel on.
func (a *convolution) output(pixel int) []float32 { return a.y[(pixel-a.yFirst*a.outWidth)*a.out:] }

// input returns x from a row of the picture on.
func (a *convolution) input(row int) []float32 { return a.x[(row-a.xFirst)*a.Width*a.in:] }

// options returns those of a product with a bias.
func (a *convolution) options(bias []float32) kernels.Options {
	return kernels.Options{Limit: 1, Bias: bias, Clamp: a.bounds, Least: a.least, Most: a.most}
}

// product computes the pixels lo to hi of a pointwise convolution.
func (a *convolution) product(lo, hi int) {
	x := a.x[(lo-a.xFirst*a.Width)*a.in:]
	kernels.GemmPacked(a.output(lo), a.out, x, a.in, a.filter.packs[0], hi-lo, 0, a.options(a.filter.bias))
	a.finish(lo, hi)
}

// dense computes the rows lo to hi of the picture, as products of what lies under each window.
func (a *convolution) dense(lo, hi int) {
	in, out := a.in/a.groups, a.out/a.groups
	k, pixels := a.Rows*a.Cols*in, (hi-lo)*a.outWidth
	patch, memory := borrow(pixels * k)
	defer borrowed.Put(memory)
	for g := range a.groups {
		for oy := lo; oy < hi; oy++ {
			a.gather(patch[(oy-lo)*a.outWidth*k:], oy, g*in, in)
		}
		kernels.GemmPacked(a.output(lo * a.outWidth)[g*out:], a.out, patch, k, a.filter.packs[g], pixels, 0,
			a.options(a.filter.bias[g*out:(g+1)*out]))
	}
	a.finish(lo*a.outWidth, hi*a.outWidth)
}

// gather copies n channels from first on of all windows of row oy of y, one after the other.
func (a *convolution) gather(patch []float32, oy, first, n int) {
	k := a.Rows * a.Cols * n
	// Windows from begin to end lie within the columns of the picture and are one piece of each row.
	begin, end := a.outWidth, a.outWidth
	if n == a.in && a.Dilation == 1 && a.Width+a.Left >= a.Cols {
		begin = min((a.Left+a.Stride-1)/a.Stride, a.outWidth)
		end = min(max((a.Width+a.Left-a.Cols)/a.Stride+1, begin), a.outWidth)
	}
	for r := range a.Rows {
		iy := a.pictureRow(oy, r)
		if iy < 0 || iy >= a.Height {
			for o := range a.outWidth {
				clear(patch[o*k+r*a.Cols*n : o*k+(r+1)*a.Cols*n])
			}
			continue
		}
		x := a.input(iy)
		if begin < end {
			kernels.CopyRows(patch[begin*k+r*a.Cols*n:], k, x[(begin*a.Stride-a.Left)*n:], a.Stride*n, end-begin, a.Cols*n)
		}
		for i := range a.outWidth - (end - begin) {
			o := i
			if i >= begin {
				o += end - begin
			}
			for c := range a.Cols {
				pixel := patch[o*k+(r*a.Cols+c)*n:][:n]
				if ix := o*a.Stride - a.Left + c*a.Dilation; ix >= 0 && ix < a.Width {
					copy(pixel, x[ix*a.in+first:])
				} else {
					clear(pixel)
				}
			}
		}
	}
}

// depthwise computes the rows lo to hi of the picture.
func (a *convolution) depthwise(lo, hi int) {
	row := kernels.Row{
		Channels: a.in, Width: a.Width, OutWidth: a.outWidth, Cols: a.Cols, RowDistance: a.Dilation * a.Width * a.in,
		Stride: a.Stride, Dilation: a.Dilation, Left: a.Left, Least: a.least, Most: a.most,
	}
	for oy := lo; oy < hi; oy++ {
		first, end := a.onPicture(oy)
		row.Rows = end - first
		var x, taps []float32
		if row.Rows > 0 {
			x, taps = a.input(a.pictureRow(oy, first)), a.filter.taps[first*a.Cols*a.in:]
		}
		kernels.Depthwise(a.output(oy * a.outWidth)[:a.outWidth*a.out], x, taps, a.filter.bias, row)
	}
	a.finish(lo*a.outWidth, hi*a.outWidth)
}

// pictureRow returns the row of x that row r of the window lies on for row oy of y.
func (a *convolution) pictureRow(oy, r int) int { return oy*a.Stride - a.Top + r*a.Dilation }

// onPicture returns the rows of the window that lie on the picture for row oy of y.
func (a *convolution) onPicture(oy int) (first, end int) {
	for first < a.Rows && a.pictureRow(oy, first) < 0 {
		first++
	}
	end = a.Rows
	for end > first && a.pictureRow(oy, end-1) >= a.Height {
		end--
	}
	return first, end
}

// needs returns the rows of x that rows lo to hi of y come from.
func (a *convolution) needs(lo, hi int) (first, end int) {
	first = max(a.pictureRow(lo, 0), 0)
	return first, max(min(a.pictureRow(hi-1, a.Rows-1)+1, a.Height), first)
}

// finish applies what is left of the epilogue to the pixels lo to hi.
func (a *convolution) finish(lo, hi int) {
	if a.bounds {
		return
	}
	y := a.output(lo)[:(hi-lo)*a.out]
	var residual []float32
	if a.residual != nil {
		residual = a.residual[lo*a.out : hi*a.out]
	}
	activate(y, y, residual, a.epilogue)
}

// activate computes y = activation(x + residual).
func activate(y, x, residual []float32, e engine.Epilogue) {
	if residual != nil {
		kernels.Add(y, x, residual)
		x = y
	}
	kernels.Activate(y, x, kernels.Activation(e.Activation), e.Slope)
}

// Activate implements [engine.Device].
func (d *Device) Activate(y, x *engine.Tensor, e engine.Epilogue) {
	engine.CheckShape("activate", "y", y, x.Rows, x.Cols)
	args := activating{y: data(y), x: data(x), epilogue: e}
	if e.Residual != nil {
		engine.CheckShape("activate", "residual", e.Residual, x.Rows, x.Cols)
		args.residual = data(e.Residual)
	}
	d.loops.activate.run(d.limit, x.Len(), elementBlock, args, (*activating).elements)
}

type activating struct {
	y, x, residual []float32
	epilogue       engine.Epilogue
}

func (a *activating) elements(lo, hi int) {
	var residual []float32
	if a.residual != nil {
		residual = a.residual[lo:hi]
	}
	activate(a.y[lo:hi], a.x[lo:hi], residual, a.epilogue)
}
