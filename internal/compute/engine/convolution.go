package engine

import "fmt"

// Window is how the kernel of a convolution, or a pool, moves over a picture. The picture has Height x Width pixels; around it
// lie so many rows and columns of padding: zeros for convolutions, nothing at all for maxima.
type Window struct {
	Height, Width            int // of the picture that is read
	Rows, Cols               int // of the window
	Stride, Dilation         int // down and across; 0 counts as 1
	Top, Left, Bottom, Right int // padding
}

// Square returns a window of size x size with the same padding on all sides, as PyTorch has it.
func Square(height, width, size, stride, padding int) Window {
	return Window{
		Height: height, Width: width, Rows: size, Cols: size, Stride: stride,
		Top: padding, Left: padding, Bottom: padding, Right: padding,
	}
}

// Same returns the window with the padding that TensorFlow calls SAME: the output has the size of the picture divided
// by the stride, rounded up. Where the padding is odd, the bottom and the right have one more.
func (w Window) Same() Window {
	same := func(size, window int) (before, after int) {
		out := (size + w.stride() - 1) / w.stride()
		total := max((out-1)*w.stride()+(window-1)*w.dilation()+1-size, 0)
		return total / 2, total - total/2
	}
	w.Top, w.Bottom = same(w.Height, w.Rows)
	w.Left, w.Right = same(w.Width, w.Cols)
	return w
}

func (w Window) stride() int   { return max(w.Stride, 1) }
func (w Window) dilation() int { return max(w.Dilation, 1) }

// Out returns the size of the picture that comes out; 0 where the window is larger than the picture with its padding.
func (w Window) Out() (height, width int) {
	out := func(size, window int) int {
		free := size - ((window-1)*w.dilation() + 1)
		if free < 0 {
			return 0
		}
		return free/w.stride() + 1
	}
	return out(w.Top+w.Height+w.Bottom, w.Rows), out(w.Left+w.Width+w.Right, w.Cols)
}

// Check panics with a [ShapeError] unless the window is possible, x is the picture that it reads and y the one that comes out, with
// so many channels each. It returns the window with stride and dilation set.
func (w Window) Check(op string, y, x *Tensor, out, in int) Window {
	w.Stride, w.Dilation = w.stride(), w.dilation()
	if min(w.Height, w.Width, w.Rows, w.Cols) < 1 || min(w.Top, w.Left, w.Bottom, w.Right) < 0 {
		panic(ShapeError{op, fmt.Sprintf("window %+v", w)})
	}
	height, width := w.Out()
	CheckShape(op, "x", x, w.Height*w.Width, in)
	CheckShape(op, "y", y, height*width, out)
	return w
}

// Filter is the weights of a convolution, prepared. It never changes, so devices of one kind may share it.
type Filter struct {
	Rows, Cols      int // of the kernel
	In, Out, Groups int // channels; each of the groups joins In/Groups to Out/Groups
	Prepared        any // of PrepareFilter, the device's own; no other package looks into it
}

// CheckFilter panics with a [ShapeError] unless w and bias are the weights of a convolution; see [Convolutions].
func CheckFilter(w, bias *Tensor, rows, cols, groups int) {
	const op = "prepare filter"
	if min(rows, cols, groups) < 1 || w.Rows%groups != 0 || w.Cols%(rows*cols) != 0 || w.Len() == 0 {
		panic(ShapeError{op, fmt.Sprintf("weights of %d x %d for a kernel of %d x %d in %d groups", w.Rows, w.Cols, rows, cols, groups)})
	}
	if bias != nil {
		CheckShape(op, "bias", bias, 1, w.Rows)
	}
}

// Activation is a function of one element.
type Activation int

// The activations.
const (
	NoActivation Activation = iota
	ReLU                    // max(x, 0)
	ReLU6                   // min(max(x, 0), 6)
	LeakyReLU               // x, or Slope·x where x is negative
	Sigmoid                 // 1/(1+exp(-x))
	SiLU                    // x·sigmoid(x), also called swish
	HardSigmoid             // min(max(x+3, 0), 6)/6
	HardSwish               // x·HardSigmoid(x)
	GELU                    // x·Φ(x), the exact form
	TanhGELU                // x·(1+tanh(√(2/π)·(x+0.044715·x³)))/2
	QuickGELU               // x·sigmoid(1.702·x)
)

// Epilogue is what a convolution does last, with what it has computed.
type Epilogue struct {
	Residual   *Tensor // added before the activation; not y; nil: nothing
	Activation Activation
	Slope      float32 // of LeakyReLU
}

// Step is one convolution of a chain.
type Step struct {
	Filter   Filter
	Window   Window
	Epilogue Epilogue
}

// CheckChain panics with a [ShapeError] unless the steps fit each other and the tensors; see [Convolutions].
func CheckChain(y, x *Tensor, steps []Step) {
	const op = "convolve chain"
	if len(steps) == 0 {
		panic(ShapeError{op, "no steps"})
	}
	picture := *x
	for i, s := range steps {
		w := s.Window
		w.Rows, w.Cols = s.Filter.Rows, s.Filter.Cols
		height, width := w.Out()
		result := Tensor{Rows: height * width, Cols: s.Filter.Out}
		w.Check(op, &result, &picture, s.Filter.Out, s.Filter.In)
		switch r := s.Epilogue.Residual; {
		case r == nil:
		case i < len(steps)-1:
			panic(ShapeError{op, "a residual before the last step"})
		default:
			CheckShape(op, "residual", r, y.Rows, y.Cols)
		}
		picture = result
	}
	CheckShape(op, "y", y, picture.Rows, picture.Cols)
}

// Resize describes how a picture of Height x Width pixels becomes one of ToHeight x ToWidth.
type Resize struct {
	Height, Width     int
	ToHeight, ToWidth int
	Nearest           bool // else bilinear
	Grid              Grid
}

// Grid says where the pixels of a resized picture lie on the one that is read. Scale is the old size divided by the new one.
type Grid int

// The grids. Pixel i of a resized picture lies at:
const (
	HalfPixel    Grid = iota // (i+0.5)·scale-0.5: PyTorch; TensorFlow with half_pixel_centers
	Corner                   // i·scale: TensorFlow with neither flag, and PyTorch's "nearest"
	AlignCorners             // i·(old-1)/(new-1), so that the outer pixels fall on each other
)

// Check panics with a [ShapeError] unless x is the picture that is resized and y the one that comes out.
func (r Resize) Check(y, x *Tensor) {
	if min(r.Height, r.Width, r.ToHeight, r.ToWidth) < 1 {
		panic(ShapeError{"resize", fmt.Sprintf("%+v", r)})
	}
	CheckShape("resize", "x", x, r.Height*r.Width, x.Cols)
	CheckShape("resize", "y", y, r.ToHeight*r.ToWidth, x.Cols)
}

// place returns where pixel i of a line resized from `from` to `to` pixels lies.
func (r Resize) place(i, from, to int) float32 {
	scale := float32(from) / float32(to)
	switch r.Grid {
	case HalfPixel:
		return (float32(i)+0.5)*scale - 0.5
	case AlignCorners:
		if to > 1 {
			scale = float32(from-1) / float32(to-1)
		}
	}
	return float32(i) * scale
}

// Closest returns the pixel whose area holds the place or, between corners, the closer one; of two equally close the
// further.
func (r Resize) Closest(i, from, to int) int {
	var at float32
	switch r.Grid {
	case HalfPixel:
		at = (float32(i) + 0.5) * (float32(from) / float32(to))
	case AlignCorners:
		at = r.place(i, from, to) + 0.5
	default:
		at = r.place(i, from, to)
	}
	return min(max(int(at), 0), from-1)
}

// Between returns the two pixels that a place lies between, and its share of the way from the first to the second.
func (r Resize) Between(i, from, to int) (first, second int, share float32) {
	place := min(max(r.place(i, from, to), 0), float32(from-1))
	first = int(place)
	return first, min(first+1, from-1), place - float32(first)
}
