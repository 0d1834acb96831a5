package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// lite0 lists the convolutions of EfficientNet-Lite0 for a picture of 224 x 224: kernel, stride, channels in and out; a
// depthwise one has 0 in. The 385 million multiply-adds are those of the network without its classifier.
func lite0() (layers []layer) {
	size, in := 224, 3
	add := func(kernel, stride, groups, out int, a engine.Activation) {
		w := engine.Square(size, size, kernel, stride, 0).Same()
		layers = append(layers, layer{window: w, groups: groups, in: in, out: out, activation: a})
		size, _ = w.Out()
		in = out
	}
	add(3, 2, 1, 32, engine.ReLU6)
	for _, stage := range [][5]int{ // repeats, kernel, stride, expansion, channels
		{1, 3, 1, 1, 16}, {2, 3, 2, 6, 24}, {2, 5, 2, 6, 40}, {3, 3, 2, 6, 80}, {3, 5, 1, 6, 112}, {4, 5, 2, 6, 192}, {1, 3, 1, 6, 320},
	} {
		for i := range stage[0] {
			stride, from := stage[2], in
			if i > 0 {
				stride = 1
			}
			if stage[3] > 1 {
				add(1, 1, 1, in*stage[3], engine.ReLU6)
			}
			add(stage[1], stride, in, in, engine.ReLU6)
			add(1, 1, 1, stage[4], engine.NoActivation)
			layers[len(layers)-1].residual = i > 0 && from == in
		}
	}
	add(1, 1, 1, 1280, engine.ReLU6)
	return layers
}

// work is the multiply-adds of a layer.
func (l layer) work() int {
	height, width := l.window.Out()
	return height * width * l.out * l.in / l.groups * l.window.Rows * l.window.Cols
}

// fastest runs a benchmark and reports and returns the time of its fastest run, which other work on the machine changes little.
func fastest(b *testing.B, run func()) time.Duration {
	least := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := time.Now()
		run()
		least = min(least, time.Since(start))
	}
	b.ReportMetric(float64(least.Microseconds()), "best-µs")
	return least
}

// BenchmarkLayers measures each convolution of EfficientNet-Lite0 by itself.
func BenchmarkLayers(b *testing.B) {
	d := NewLimited(1)
	seen := map[string]bool{}
	for _, l := range lite0() {
		name := fmt.Sprintf("%dx%d_%d_to_%d_k%d_s%d_g%d", l.window.Height, l.window.Width, l.in, l.out, l.window.Rows, l.window.Stride, l.groups)
		if seen[name] {
			continue
		}
		seen[name] = true
		b.Run(name, func(b *testing.B) {
			w := d.Wrap(l.out, l.in/l.groups*l.window.Rows*l.window.Cols, random(l.out*l.in/l.groups*l.window.Rows*l.window.Cols, "w"))
			f := d.PrepareFilter(w, nil, l.window.Rows, l.window.Cols, l.groups)
			height, width := l.window.Out()
			x := d.Wrap(l.window.Height*l.window.Width, l.in, random(l.window.Height*l.window.Width*l.in, "x"))
			y := d.New(height*width, l.out)
			least := fastest(b, func() { d.Convolve(y, x, f, l.window, engine.Epilogue{Activation: l.activation}) })
			b.ReportMetric(2*float64(l.work())/float64(least.Nanoseconds()), "GFLOP/s")
			d.Free(y)
		})
	}
}

// BenchmarkLite0 is the whole of EfficientNet-Lite0 but for its classifier, with random weights, a picture on each of 1 and
// 2 devices of one thread.
func BenchmarkLite0(b *testing.B) {
	run, work := lite0Runner()
	for _, devices := range []int{1, 2} {
		b.Run(fmt.Sprint("devices=", devices), func(b *testing.B) {
			list := []*Device{NewLimited(1), NewLimited(1)}[:devices]
			least := fastest(b, func() {
				done := make(chan bool)
				for _, d := range list {
					go func() { run(d); done <- true }()
				}
				for range list {
					<-done
				}
			})
			pictures := float64(devices) / least.Seconds()
			b.ReportMetric(pictures, "pictures/s")
			b.ReportMetric(2e-9*float64(work)*pictures, "GFLOP/s")
		})
	}
}

// lite0Runner returns what runs the network on a device, and its multiply-adds. The first three convolutions are a chain, and
// those of each block.
func lite0Runner() (run func(d *Device), work int) {
	maker := New()
	var chains [][]engine.Step
	var steps []engine.Step
	for i, l := range lite0() {
		n := l.in / l.groups * l.window.Rows * l.window.Cols
		w := random(l.out*n, fmt.Sprint(i))
		for j := range w {
			w[j] *= float32(1.4 / math.Sqrt(float64(n))) // keeps the activations' size
		}
		f := maker.PrepareFilter(maker.Wrap(l.out, n, w), nil, l.window.Rows, l.window.Cols, l.groups)
		e := engine.Epilogue{Activation: l.activation}
		if l.residual {
			e.Residual = new(engine.Tensor) // set by run
		}
		steps = append(steps, engine.Step{Filter: f, Window: l.window, Epilogue: e})
		if l.activation == engine.NoActivation || l.out == 1280 {
			chains = append(chains, steps)
			steps = nil
		}
		work += l.work()
	}
	picture := random(224*224*3, "picture")
	return func(d *Device) {
		x := d.Wrap(224*224, 3, picture)
		for _, steps := range chains {
			steps = slices.Clone(steps)
			last := &steps[len(steps)-1]
			if last.Epilogue.Residual != nil {
				last.Epilogue.Residual = x
			}
			height, width := last.Window.Out()
			y := d.New(height*width, last.Filter.Out)
			d.ConvolveChain(y, x, steps...)
			d.Free(x)
			x = y
		}
		d.Free(x)
	}, work
}
