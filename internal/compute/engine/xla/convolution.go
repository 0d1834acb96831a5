package xla

import "github.com/unimo-go/unimo/internal/compute/engine"

// filter is the weights of a convolution, copied.
type filter struct{ weights, bias *engine.Tensor }

// PrepareFilter implements [engine.Device].
func (d *Device) PrepareFilter(w, bias *engine.Tensor, rows, cols, groups int) engine.Filter {
	engine.CheckFilter(w, bias, rows, cols, groups)
	f := &filter{weights: d.New(w.Rows, w.Cols)}
	d.Copy(f.weights, w)
	if bias != nil {
		f.bias = d.New(1, w.Rows)
		d.Copy(f.bias, bias)
	}
	return engine.Filter{Rows: rows, Cols: cols, In: w.Cols / (rows * cols) * groups, Out: w.Rows, Groups: groups, Prepared: f}
}

// convolution says what Convolve is to do.
type convolution struct {
	engine.Window
	out, groups int
	rows        int // the device's, of the result
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
	weights := f.Prepared.(*filter)
	record(d, "convolve", convolution{w, f.Out, f.Groups, of(y).room}, lowerConvolve, []*engine.Tensor{y}, d.tensor(x), d.tensor(weights.weights), d.tensor(weights.bias))
	if e.Residual != nil || e.Activation != engine.NoActivation {
		d.Activate(y, y, e)
	}
}

func lowerConvolve(b *builder, c convolution, ins []val) []val {
	x := b.picture(ins[0], c.Height, c.Width)
	w := b.fit(ins[1], c.out)
	w = b.reshape(w, c.out, w.dims[1]/(c.Rows*c.Cols), c.Rows, c.Cols)
	y := b.rows(b.convolve(x, w, c.Window, c.groups), c.rows)
	if ins[2].ok() {
		y = b.add(y, b.row(ins[2], c.rows))
	}
	return []val{y}
}

// ConvolveChain implements [engine.Device]: the compiler knows what to keep where.
func (d *Device) ConvolveChain(y, x *engine.Tensor, steps ...engine.Step) {
	engine.CheckChain(y, x, steps)
	for i, s := range steps {
		to := y
		if i < len(steps)-1 {
			w := s.Window
			w.Rows, w.Cols = s.Filter.Rows, s.Filter.Cols
			height, width := w.Out()
			to = d.New(height*width, s.Filter.Out)
		}
		d.Convolve(to, x, s.Filter, s.Window, s.Epilogue)
		if i > 0 {
			d.Free(x)
		}
		x = to
	}
}

// picture is a tensor without the rows behind its own, as one picture: 1 x height x width x channels.
func (b *builder) picture(x val, height, width int) val {
	return b.reshape(b.fit(x, height*width), 1, height, width, x.dims[1])
}

// rows is a picture as a tensor of so many rows.
func (b *builder) rows(x val, rows int) val {
	return b.fit(b.reshape(x, x.dims[1]*x.dims[2], x.dims[3]), rows)
}

// convolve moves w, out x in/groups x rows x cols, over a picture.
func (b *builder) convolve(x, w val, at engine.Window, groups int) val {
	height, width := at.Out()
	dims := []int{1, height, width, w.dims[0]}
	accuracy, x, w := b.factors(x, w)
	return b.line(f32, dims, "stablehlo.convolution(%s, %s) dim_numbers = [b, 0, 1, f]x[o, i, 0, 1]->[b, 0, 1, f], window = {stride = [%d, %d], pad = [[%d, %d], [%d, %d]], rhs_dilate = [%d, %d]} "+
		"{batch_group_count = 1 : i64, feature_group_count = %d : i64, precision_config = [#stablehlo<precision %s>, #stablehlo<precision %s>]} : (%s, %s) -> %s",
		x.name, w.name, at.Stride, at.Stride, at.Top, at.Bottom, at.Left, at.Right, at.Dilation, at.Dilation, groups, accuracy, accuracy, x.tensor(), w.tensor(), tensorType(f32, dims))
}

// window folds what lies under each place of a window by add or maximum, which begins with init. Channels are apart.
func (b *builder) window(op string, x, init val, at engine.Window) val {
	height, width := at.Out()
	dims := []int{1, height, width, x.dims[3]}
	return b.line(f32, dims, "\"stablehlo.reduce_window\"(%s, %s) <{padding = dense<[[0, 0], [%d, %d], [%d, %d], [0, 0]]> : tensor<4x2xi64>, window_dilations = array<i64: 1, %d, %d, 1>, window_dimensions = array<i64: 1, %d, %d, 1>, window_strides = array<i64: 1, %d, %d, 1>}> "+
		"({\n    ^bb0(%%l: tensor<f32>, %%r: tensor<f32>):\n      %%s = stablehlo.%s %%l, %%r : tensor<f32>\n      stablehlo.return %%s : tensor<f32>\n    }) : (%s, tensor<f32>) -> %s",
		x.name, init.name, at.Top, at.Bottom, at.Left, at.Right, at.Dilation, at.Dilation, at.Rows, at.Cols, at.Stride, at.Stride, op, x.tensor(), tensorType(f32, dims))
}
