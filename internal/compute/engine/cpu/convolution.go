package cpu

import (
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
			memory := Floats(kernels.PackedLen(out, w.Cols))
			f.packs = append(f.packs, kernels.PackBInto(memory, turned, w.Cols, out, w.Cols, kernels.TransB, d.limit))
		}
	}
	return engine.Filter{Rows: rows, Cols: cols, In: perGroup * groups, Out: w.Rows, Groups: groups, Prepared: f}
}

// convolution is the arguments of a convolution, over rows of the picture that comes out.
type convolution struct {
	y, x, residual []float32
	engine.Window
	in, out  int // channels
	groups   int
	outWidth int
	filter   *filter
	epilogue engine.Epilogue

	// The activation as bounds, if it is one and nothing comes before it. Then it is applied to what is still in
	// registers, else finish applies it.
	least, most float32
	bounds      bool
}

// patchBlock is the elements of x that are brought together for one product: they and what they are copied from stay in the
// second-level cache.
const patchBlock = 64 << 10

// patches is memory for [patchBlock] elements, or a row of the picture if that is more.
var patches = sync.Pool{New: func() any { return new([]float32) }}

// Convolve implements [engine.Device].
func (d *Device) Convolve(y, x *engine.Tensor, f engine.Filter, w engine.Window, e engine.Epilogue) {
	w.Rows, w.Cols = f.Rows, f.Cols
	w = w.Check("convolve", y, x, f.Out, f.In)
	args := convolution{
		y: data(y), x: data(x), Window: w, in: f.In, out: f.Out, groups: f.Groups,
		filter: f.Prepared.(*filter), epilogue: e,
	}
	if e.Residual != nil {
		engine.CheckShape("convolve", "residual", e.Residual, y.Rows, y.Cols)
		args.residual = data(e.Residual)
	}
	args.least, args.most, args.bounds = kernels.Activation(e.Activation).Bounds()
	if e.Residual != nil {
		args.least, args.most, args.bounds = kernels.NoActivation.Bounds()
		args.bounds = false
	}
	if y.Rows == 0 {
		return
	}
	height, width := w.Out()
	args.outWidth = width
	loop, block := &d.loops.convolve, max(1, elementBlock/(width*f.Out))
	switch {
	case args.filter.packs == nil:
		loop.run(d.limit, height, block, args, (*convolution).depthwise)
	case args.pointwise():
		loop.run(d.limit, y.Rows, max(1, elementBlock*4/f.Out), args, (*convolution).product)
	default:
		block = max(1, patchBlock/(width*w.Rows*w.Cols*f.In/f.Groups))
		loop.run(d.limit, height, block, args, (*convolution).dense)
	}
}

// pointwise says that the rows of x are those of the product.
func (a *convolution) pointwise() bool {
	return a.groups == 1 && a.Rows*a.Cols*a.Stride == 1 && a.Top+a.Left+a.Bottom+a.Right == 0
}

// product computes the pixels lo to hi of a pointwise convolution.
func (a *convolution) product(lo, hi int) {
	kernels.GemmPacked(a.y[lo*a.out:], a.out, a.x[lo*a.in:], a.in, a.filter.packs[0], hi-lo, 0, a.options(a.filter.bias))
	a.finish(lo, hi)
}

// options returns those of a product with a bias.
func (a *convolution) options(bias []float32) kernels.Options {
	return kernels.Options{Limit: 1, Bias: bias, Clamp: a.bounds, Least: a.least, Most: a.most}
}

// dense computes the rows lo to hi of the picture, as products of what lies under each window.
func (a *convolution) dense(lo, hi int) {
	in, out := a.in/a.groups, a.out/a.groups
	k, pixels := a.Rows*a.Cols*in, (hi-lo)*a.outWidth
	memory := patches.Get().(*[]float32)
	defer patches.Put(memory)
	if cap(*memory) < pixels*k {
		*memory = Floats(pixels * k)
	}
	patch := (*memory)[:pixels*k]
	for g := range a.groups {
		a.gather(patch, lo, hi, g*in, in)
		kernels.GemmPacked(a.y[lo*a.outWidth*a.out+g*out:], a.out, patch, k, a.filter.packs[g], pixels, 0,
			a.options(a.filter.bias[g*out:(g+1)*out]))
	}
	a.finish(lo*a.outWidth, hi*a.outWidth)
}

// gather copies n channels from first on of all windows of rows lo to hi, one after the other.
func (a *convolution) gather(patch []float32, lo, hi, first, n int) {
	for oy := lo; oy < hi; oy++ {
		for ox := range a.outWidth {
			left := ox*a.Stride - a.Left
			for r := range a.Rows {
				row := patch[:a.Cols*n]
				patch = patch[a.Cols*n:]
				iy := oy*a.Stride - a.Top + r*a.Dilation
				if iy < 0 || iy >= a.Height {
					clear(row)
					continue
				}
				if n == a.in && a.Dilation == 1 && left >= 0 && left+a.Cols <= a.Width {
					copy(row, a.x[(iy*a.Width+left)*n:])
					continue
				}
				for c := range a.Cols {
					pixel := row[c*n : (c+1)*n]
					if ix := left + c*a.Dilation; ix >= 0 && ix < a.Width {
						copy(pixel, a.x[(iy*a.Width+ix)*a.in+first:])
					} else {
						clear(pixel)
					}
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
		y := a.y[oy*a.outWidth*a.out : (oy+1)*a.outWidth*a.out]
		first, end := a.onPicture(oy)
		row.Rows = end - first
		var x, taps []float32
		if row.Rows > 0 {
			x, taps = a.x[a.pictureRow(oy, first)*a.Width*a.in:], a.filter.taps[first*a.Cols*a.in:]
		}
		kernels.Depthwise(y, x, taps, a.filter.bias, row)
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

// finish applies what is left of the epilogue to the pixels lo to hi.
func (a *convolution) finish(lo, hi int) {
	if a.bounds {
		return
	}
	y := a.y[lo*a.out : hi*a.out]
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
