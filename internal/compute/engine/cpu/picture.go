package cpu

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// pooling is the arguments of pools, over rows of the picture that comes out.
type pooling struct {
	y, x []float32
	engine.Window
	channels, outWidth int
	countPadding       bool
}

// MaxPool implements [engine.Device].
func (d *Device) MaxPool(y, x *engine.Tensor, w engine.Window) {
	d.pool("max pool", y, x, w, false, (*pooling).maximum)
}

// AveragePool implements [engine.Device].
func (d *Device) AveragePool(y, x *engine.Tensor, w engine.Window, countPadding bool) {
	d.pool("average pool", y, x, w, countPadding, (*pooling).mean)
}

func (d *Device) pool(op string, y, x *engine.Tensor, w engine.Window, countPadding bool, rows func(a *pooling, lo, hi int)) {
	w = w.Check(op, y, x, x.Cols, x.Cols)
	height, width := w.Out()
	block := max(1, elementBlock/max(1, width*x.Cols*w.Rows*w.Cols))
	d.loops.pool.run(d.limit, height, block, pooling{data(y), data(x), w, x.Cols, width, countPadding}, rows)
}

// eachPixel calls body for every pixel of the window that output pixel (oy, ox) comes from.
func (a *pooling) eachPixel(oy, ox int, body func(pixel []float32)) {
	for r := range a.Rows {
		iy := oy*a.Stride - a.Top + r*a.Dilation
		if iy < 0 || iy >= a.Height {
			continue
		}
		for c := range a.Cols {
			if ix := ox*a.Stride - a.Left + c*a.Dilation; ix >= 0 && ix < a.Width {
				body(rowOf(a.x, iy*a.Width+ix, a.channels))
			}
		}
	}
}

func (a *pooling) maximum(lo, hi int) {
	for i := lo * a.outWidth; i < hi*a.outWidth; i++ {
		largest := rowOf(a.y, i, a.channels)
		for c := range largest {
			largest[c] = float32(math.Inf(-1))
		}
		a.eachPixel(i/a.outWidth, i%a.outWidth, func(pixel []float32) {
			kernels.Max(largest, largest, pixel)
		})
	}
}

func (a *pooling) mean(lo, hi int) {
	for i := lo * a.outWidth; i < hi*a.outWidth; i++ {
		sum, n := rowOf(a.y, i, a.channels), 0
		clear(sum)
		a.eachPixel(i/a.outWidth, i%a.outWidth, func(pixel []float32) {
			kernels.Add(sum, sum, pixel)
			n++
		})
		if a.countPadding {
			n = a.Rows * a.Cols
		}
		kernels.Scale(sum, 1/float32(max(n, 1)), sum)
	}
}

// MeanRows implements [engine.Device].
func (d *Device) MeanRows(mean, x *engine.Tensor) {
	engine.CheckShape("mean rows", "mean", mean, 1, x.Cols)
	d.SumRows(mean, x, false)
	d.Scale(mean, mean, 1/float32(max(x.Rows, 1)))
}

// ScaleColumns implements [engine.Device].
func (d *Device) ScaleColumns(y, x, s *engine.Tensor) {
	engine.CheckShape("scale columns", "y", y, x.Rows, x.Cols)
	engine.CheckShape("scale columns", "s", s, 1, x.Cols)
	d.loops.columns.run(d.limit, x.Rows, rowBlock(x.Cols), binary{data(y), data(x), data(s)}, func(a *binary, lo, hi int) {
		cols := len(a.y)
		for i := lo; i < hi; i++ {
			kernels.Mul(rowOf(a.z, i, cols), rowOf(a.x, i, cols), a.y)
		}
	})
}

// resizing is the arguments of Resize, over rows of the picture that comes out.
type resizing struct {
	y, x     []float32
	channels int
	engine.Resize
}

// Resize implements [engine.Device].
func (d *Device) Resize(y, x *engine.Tensor, r engine.Resize) {
	r.Check(y, x)
	d.loops.resize.run(d.limit, r.ToHeight, max(1, elementBlock/max(1, r.ToWidth*x.Cols)), resizing{data(y), data(x), x.Cols, r}, (*resizing).rows)
}

func (a *resizing) rows(lo, hi int) {
	n := a.channels
	for i := lo; i < hi; i++ {
		line := a.y[i*a.ToWidth*n : (i+1)*a.ToWidth*n]
		if a.Nearest {
			row := a.Closest(i, a.Height, a.ToHeight) * a.Width
			for j := range a.ToWidth {
				copy(rowOf(line, j, n), rowOf(a.x, row+a.Closest(j, a.Width, a.ToWidth), n))
			}
			continue
		}
		above, below, down := a.Between(i, a.Height, a.ToHeight)
		for j := range a.ToWidth {
			left, right, across := a.Between(j, a.Width, a.ToWidth)
			pixel := rowOf(line, j, n)
			kernels.Scale(pixel, (1-down)*(1-across), rowOf(a.x, above*a.Width+left, n))
			kernels.Axpy(pixel, (1-down)*across, rowOf(a.x, above*a.Width+right, n))
			kernels.Axpy(pixel, down*(1-across), rowOf(a.x, below*a.Width+left, n))
			kernels.Axpy(pixel, down*across, rowOf(a.x, below*a.Width+right, n))
		}
	}
}

// Concatenate implements [engine.Device].
func (d *Device) Concatenate(y *engine.Tensor, xs ...*engine.Tensor) {
	cols := 0
	for _, x := range xs {
		engine.CheckShape("concatenate", "x", x, y.Rows, x.Cols)
		cols += x.Cols
	}
	engine.CheckShape("concatenate", "y", y, y.Rows, cols)
	left := 0
	for _, x := range xs {
		copyColumns(data(y), y.Cols, left, data(x), x.Cols, 0, x.Rows, x.Cols)
		left += x.Cols
	}
}

// Slice implements [engine.Device].
func (d *Device) Slice(y, x *engine.Tensor, first int) {
	engine.CheckShape("slice", "y", y, x.Rows, y.Cols)
	if first < 0 || first+y.Cols > x.Cols {
		panic(engine.ShapeError{Op: "slice", Detail: fmt.Sprintf("columns %d to %d of %d", first, first+y.Cols, x.Cols)})
	}
	copyColumns(data(y), y.Cols, 0, data(x), x.Cols, first, x.Rows, y.Cols)
}

// copyColumns copies columns of one matrix to columns of another.
func copyColumns(y []float32, yCols, yLeft int, x []float32, xCols, xLeft, rows, cols int) {
	for i := range rows {
		copy(y[i*yCols+yLeft:i*yCols+yLeft+cols], x[i*xCols+xLeft:])
	}
}
