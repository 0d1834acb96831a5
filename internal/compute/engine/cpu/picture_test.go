package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"pgregory.net/rapid"
)

// pools returns the pools of one window.
func pools(w engine.Window, channels int) []operation {
	height, width := w.Out()
	pool := func(name string, run func(d *Device, y, x *engine.Tensor), value func(x []float64, pixel, c int) exact) operation {
		return operation{
			name:     fmt.Sprintf("%s %+v, %d channels", name, w, channels),
			operands: []operand{overwritten("y", height*width, channels), in("x", w.Height*w.Width, channels)},
			run:      func(d *Device, t tensors) { run(d, t["y"], t["x"]) },
			oracle: func(x numbers) results {
				return results{"y": each(height*width*channels, func(i int) exact { return value(x["x"], i/channels, i%channels) })}
			},
		}
	}
	mean := func(countPadding bool) func(x []float64, pixel, c int) exact {
		return func(x []float64, pixel, c int) exact {
			var s sum
			eachPlace(w, pixel/width, pixel%width, func(_, at int) { s.add(x[at*channels+c]) })
			n := s.terms
			if countPadding {
				n = w.Rows * w.Cols
			}
			return exact{s.value / float64(max(n, 1)), s.error() + epsilon*math.Abs(s.value)}
		}
	}
	return []operation{
		pool("maximum", func(d *Device, y, x *engine.Tensor) { d.MaxPool(y, x, w) }, func(x []float64, pixel, c int) exact {
			largest := math.Inf(-1)
			eachPlace(w, pixel/width, pixel%width, func(_, at int) { largest = max(largest, x[at*channels+c]) })
			if math.IsInf(largest, -1) { // the comparator wants a difference: TestMaxPoolOfNothingAndOfNaN
				return exact{0, math.Inf(1)}
			}
			return exact{value: largest}
		}),
		pool("mean", func(d *Device, y, x *engine.Tensor) { d.AveragePool(y, x, w, false) }, mean(false)),
		pool("mean with padding", func(d *Device, y, x *engine.Tensor) { d.AveragePool(y, x, w, true) }, mean(true)),
	}
}

func TestPool(t *testing.T) {
	check(t, pools(engine.Square(112, 20, 3, 2, 1), 40)...)
	check(t, pools(engine.Square(7, 7, 7, 1, 0), 130)...)
	eachISA(t, func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			for _, op := range pools(pictureWindow(t), rapid.IntRange(1, 40).Draw(t, "channels")) {
				checkOnce(t, op)
			}
		})
	})
}

func TestMaxPoolOfNothingAndOfNaN(t *testing.T) {
	d := New()
	y := d.New(4, 1)
	d.MaxPool(y, d.Wrap(1, 1, []float32{float32(math.NaN())}), engine.Window{Height: 1, Width: 1, Rows: 1, Cols: 1, Top: 1, Left: 1})
	if got := data(y); !math.IsInf(float64(got[0]), -1) || got[3] == got[3] {
		t.Errorf("%v, want -Inf first and NaN last", got)
	}
}

func TestMeanRowsAndScaleColumns(t *testing.T) {
	var operations []operation
	for _, shape := range rowShapes {
		rows, cols := shape[0], shape[1]
		operations = append(operations, operation{
			name:     named("mean rows", shape),
			operands: []operand{overwritten("mean", 1, cols), in("x", rows, cols).ofAnyLength()},
			run:      func(d *Device, t tensors) { d.MeanRows(t["mean"], t["x"]) },
			oracle: func(x numbers) results {
				return results{"mean": each(cols, func(c int) exact {
					var s sum
					for r := range rows {
						s.add(x["x"][r*cols+c])
					}
					n := float64(max(rows, 1))
					return exact{s.value / n, s.error()/n + 2*epsilon*math.Abs(s.value)/n}
				})}
			},
		}, operation{
			name:     named("scale columns", shape),
			operands: []operand{overwritten("y", rows, cols), in("x", rows, cols), in("s", 1, cols)},
			run:      func(d *Device, t tensors) { d.ScaleColumns(t["y"], t["x"], t["s"]) },
			oracle: func(x numbers) results {
				return results{"y": each(rows*cols, func(i int) exact {
					v := x["x"][i] * x["s"][i%cols]
					return exact{v, epsilon * math.Abs(v)}
				})}
			},
		})
	}
	check(t, operations...)
}

func TestResize(t *testing.T) {
	var operations []operation
	for _, size := range [][4]int{{1, 1, 3, 2}, {2, 3, 4, 6}, {5, 4, 3, 3}, {7, 7, 14, 14}, {3, 8, 1, 1}, {13, 9, 70, 61}} {
		for _, grid := range []engine.Grid{engine.HalfPixel, engine.Corner, engine.AlignCorners} {
			const channels = 5
			r := engine.Resize{Height: size[0], Width: size[1], ToHeight: size[2], ToWidth: size[3], Grid: grid}
			operations = append(operations, operation{
				name:     fmt.Sprintf("resize %+v", r),
				operands: []operand{overwritten("y", size[2]*size[3], channels), in("x", size[0]*size[1], channels)},
				run:      func(d *Device, t tensors) { d.Resize(t["y"], t["x"], r) },
				oracle: func(x numbers) results {
					return results{"y": each(size[2]*size[3]*channels, func(i int) exact {
						pixel, c := i/channels, i%channels
						y := linePlace(pixel/size[3], size[0], size[2], grid)
						x0 := linePlace(pixel%size[3], size[1], size[3], grid)
						var s sum // each pixel counts as much as it is close
						for row := range size[0] {
							for col := range size[1] {
								weight := max(0, 1-math.Abs(y-float64(row))) * max(0, 1-math.Abs(x0-float64(col)))
								if weight > 0 {
									s.add(weight * x["x"][(row*size[1]+col)*channels+c])
								}
							}
						}
						// The place itself has a rounding error that grows with the picture.
						return exact{s.value, 8*s.error() + 100*epsilon*float64(size[2]+size[3])}
					})}
				},
			})
		}
	}
	check(t, operations...)
}

// linePlace is where pixel i lies, within the picture.
func linePlace(i, from, to int, grid engine.Grid) float64 {
	at := float64(i) * float64(from) / float64(to)
	switch {
	case grid == engine.HalfPixel:
		at = (float64(i)+0.5)*float64(from)/float64(to) - 0.5
	case grid == engine.AlignCorners && to > 1:
		at = float64(i) * float64(from-1) / float64(to-1)
	}
	return min(max(at, 0), float64(from-1))
}

// What TensorFlow 2 and PyTorch give for a line of pixels 0, 1, 2, ...
func TestResizeNearest(t *testing.T) {
	for _, c := range []struct {
		from, to int
		grid     engine.Grid
		want     []float32
	}{
		{2, 4, engine.HalfPixel, []float32{0, 0, 1, 1}},
		{4, 2, engine.HalfPixel, []float32{1, 3}},
		{4, 2, engine.Corner, []float32{0, 2}},
		{3, 5, engine.Corner, []float32{0, 0, 1, 1, 2}},
		{3, 5, engine.HalfPixel, []float32{0, 0, 1, 2, 2}},
		{3, 5, engine.AlignCorners, []float32{0, 1, 1, 2, 2}},
		{5, 3, engine.AlignCorners, []float32{0, 2, 4}},
		{4, 1, engine.AlignCorners, []float32{0}},
	} {
		d := New()
		line := make([]float32, c.from)
		for i := range line {
			line[i] = float32(i)
		}
		y := d.New(c.to, 1)
		d.Resize(y, d.Wrap(c.from, 1, line), engine.Resize{Height: 1, Width: c.from, ToHeight: 1, ToWidth: c.to, Nearest: true, Grid: c.grid})
		if !sameBits(data(y), c.want) {
			t.Errorf("%d to %d, grid %d: %v, want %v", c.from, c.to, c.grid, data(y), c.want)
		}
		down := d.New(c.to, 1)
		d.Resize(down, d.Wrap(c.from, 1, line), engine.Resize{Height: c.from, Width: 1, ToHeight: c.to, ToWidth: 1, Nearest: true, Grid: c.grid})
		if !sameBits(data(down), c.want) {
			t.Errorf("%d down to %d, grid %d: %v, want %v", c.from, c.to, c.grid, data(down), c.want)
		}
	}
	d := New()
	mustPanicWithShape(t, "an empty picture", func() { d.Resize(d.New(1, 1), d.New(0, 1), engine.Resize{ToHeight: 1, ToWidth: 1}) })
}

func TestConcatenateAndSlice(t *testing.T) {
	check(t, operation{
		name:     "concatenate and slice",
		operands: []operand{overwritten("y", 3, 6), overwritten("z", 3, 2), in("a", 3, 1), in("b", 3, 0), in("c", 3, 5)},
		run: func(d *Device, t tensors) {
			engine.CheckShape("test", "z", t["z"], 3, 2)
			d.Concatenate(t["y"], t["a"], t["b"], t["c"])
			d.Slice(t["z"], t["c"], 3)
		},
		oracle: func(x numbers) results {
			return results{
				"y": each(18, func(i int) exact {
					if i%6 == 0 {
						return exact{value: x["a"][i/6]}
					}
					return exact{value: x["c"][i/6*5+i%6-1]}
				}),
				"z": each(6, func(i int) exact { return exact{value: x["c"][i/2*5+3+i%2]} }),
			}
		},
	})
	d := New()
	mustPanicWithShape(t, "a slice beyond", func() { d.Slice(d.New(2, 3), d.New(2, 4), 2) })
	mustPanicWithShape(t, "a slice before", func() { d.Slice(d.New(2, 3), d.New(2, 4), -1) })
}
