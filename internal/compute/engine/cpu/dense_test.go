package cpu

import (
	"fmt"
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// flatShapes are for operations that cut the elements into blocks.
var flatShapes = [][2]int{
	{0, 5}, {1, 1}, {3, 7}, {1, elementBlock - 1}, {2, elementBlock / 2}, {1, elementBlock + 1}, {3, elementBlock - 100},
}

// rowShapes are for operations that see rows and columns.
var rowShapes = [][2]int{
	{0, 8}, {1, 1}, {2, 3}, {normRows - 1, 5}, {normRows, 64}, {normRows + 1, columnBlock - 1},
	{3*normRows + 1, columnBlock + 1}, {5, 2 * columnBlock}, {2, elementBlock + 1}, {elementBlock/64 + 3, 64},
}

// named is the name of a case.
func named(op string, shape ...any) string { return fmt.Sprint(append([]any{op, " "}, shape...)...) }

func TestMatMul(t *testing.T) {
	var operations []operation
	for _, size := range [][3]int{{0, 3, 4}, {1, 1, 1}, {3, 5, 7}, {4, 0, 3}, {65, 33, 129}, {130, 200, 97}} {
		m, k, n := size[0], size[1], size[2]
		for _, c := range []struct {
			op   engine.Transpose
			a, b operand
			at   func(a, b []float64, i, j, l int) float64 // the l-th product of element i, j
		}{
			{engine.NN, in("a", m, k), in("b", k, n), func(a, b []float64, i, j, l int) float64 { return a[i*k+l] * b[l*n+j] }},
			{engine.NT, in("a", m, k), in("b", n, k), func(a, b []float64, i, j, l int) float64 { return a[i*k+l] * b[j*k+l] }},
			{engine.TN, in("a", k, m), in("b", k, n), func(a, b []float64, i, j, l int) float64 { return a[l*m+i] * b[l*n+j] }},
		} {
			for _, dst := range []operand{overwritten("dst", m, n), accumulated("dst", m, n)} {
				accumulate := !math.IsNaN(float64(append(dst.start, 0)[0]))
				operations = append(operations, operation{
					name:     named("matmul", size, " ", c.op, " ", accumulate),
					operands: []operand{dst, c.a, c.b},
					run:      func(d *Device, t tensors) { d.MatMul(t["dst"], t["a"], t["b"], c.op, accumulate) },
					oracle: func(x numbers) results {
						return results{"dst": each(m*n, func(e int) exact {
							var s sum
							if accumulate {
								s.add(x["dst"][e])
							}
							for l := range k {
								s.add(c.at(x["a"], x["b"], e/n, e%n, l))
							}
							return s.exact()
						})}
					},
				})
			}
		}
	}
	check(t, operations...)
}

func TestLinear(t *testing.T) {
	var operations []operation
	for _, size := range [][3]int{{0, 3, 4}, {1, 1, 1}, {3, 5, 7}, {65, 33, 129}, {130, 200, 97}} {
		m, k, n := size[0], size[1], size[2]
		product := func(x numbers) []exact {
			return each(m*n, func(e int) exact {
				s := start(x["bias"][e%n])
				for l := range k {
					s.add(x["x"][e/n*k+l] * x["w"][l*n+e%n])
				}
				return s.exact()
			})
		}
		operations = append(operations, operation{
			name:     named("linear without bias", size),
			operands: []operand{overwritten("y", m, n), in("x", m, k), in("w", k, n)},
			run:      func(d *Device, t tensors) { d.Linear(t["y"], t["x"], engine.Plain(t["w"], engine.NN), nil) },
			oracle: func(x numbers) results {
				return results{"y": each(m*n, func(e int) exact {
					var s sum
					for l := range k {
						s.add(x["x"][e/n*k+l] * x["w"][l*n+e%n])
					}
					return s.exact()
				})}
			},
		}, operation{
			name:     named("linear", size),
			operands: []operand{overwritten("y", m, n), in("x", m, k), in("w", k, n), in("bias", 1, n)},
			run:      func(d *Device, t tensors) { d.Linear(t["y"], t["x"], engine.Plain(t["w"], engine.NN), t["bias"]) },
			oracle:   func(x numbers) results { return results{"y": product(x)} },
		}, operation{
			name:     named("linear nt", size),
			operands: []operand{overwritten("y", m, n), in("x", m, k), in("w", n, k), in("bias", 1, n)},
			run:      func(d *Device, t tensors) { d.Linear(t["y"], t["x"], engine.Plain(t["w"], engine.NT), t["bias"]) },
			oracle: func(x numbers) results {
				return results{"y": each(m*n, func(e int) exact {
					s := start(x["bias"][e%n])
					for l := range k {
						s.add(x["x"][e/n*k+l] * x["w"][e%n*k+l])
					}
					return s.exact()
				})}
			},
		}, operation{
			name:     named("linear gelu", size),
			operands: []operand{overwritten("y", m, n), overwritten("h", m, n), in("x", m, k), in("w", k, n), in("bias", 1, n)},
			run: func(d *Device, t tensors) {
				d.LinearActivate(t["y"], t["h"], t["x"], engine.Plain(t["w"], engine.NN), t["bias"], engine.GELU)
			},
			oracle: func(x numbers) results {
				h := product(x)
				return results{"h": h, "y": each(m*n, func(e int) exact {
					y := h[e].value * normalCDF(h[e].value)
					return exact{y, errorGELU*math.Abs(y) + 1.2*h[e].tolerance}
				})}
			},
		})
	}
	check(t, operations...)
}

// One square matrix multiplies from either side, again and again and in any order. A device that
// kept one prepared form for the tensor would multiply by its transpose from some call on.
func TestOneMatrixFromBothSides(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const m, k = 5, 67
		d := New()
		x, w, bias := d.Wrap(m, k, random(m*k, "x")), d.Wrap(k, k, random(k*k, "w")), d.Wrap(1, k, random(k, "bias"))
		want := map[engine.Transpose][]exact{}
		for op, at := range map[engine.Transpose]func(l, j int) int{
			engine.NN: func(l, j int) int { return l*k + j },
			engine.NT: func(l, j int) int { return j*k + l },
		} {
			want[op] = each(m*k, func(e int) exact {
				s := start(float64(data(bias)[e%k]))
				for l := range k {
					s.add(float64(data(x)[e/k*k+l]) * float64(data(w)[at(l, e%k)]))
				}
				return s.exact()
			})
		}
		y := d.New(m, k)
		compare := func(name string, weight engine.Weight) {
			d.Linear(y, x, weight, bias)
			for e, got := range data(y) {
				if want := want[weight.Op][e]; math.Abs(float64(got)-want.value) > want.tolerance {
					t.Fatalf("%s: element %d is %g, want %g", name, e, got, want.value)
				}
			}
		}
		prepared := map[engine.Transpose]engine.Weight{engine.NT: d.Prepare(w, engine.NT), engine.NN: d.Prepare(w, engine.NN)}
		for round := range 3 {
			for i, op := range []engine.Transpose{engine.NT, engine.NN, engine.NT, engine.NT, engine.NN} {
				compare(named("plain", round, i), engine.Plain(w, op))
				compare(named("prepared", round, i), prepared[op])
			}
		}
	})
}

// A prepared weight gives the bits of a plain one, on every device.
func TestPreparedWeights(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		const m, in, out = 13, 40, 70
		one, two := New(), New()
		x, bias, h := one.Wrap(m, in, random(m*in, "x")), one.Wrap(1, out, random(out, "bias")), one.New(m, out)
		for op, w := range map[engine.Transpose]*engine.Tensor{
			engine.NN: one.Wrap(in, out, random(in*out, "w")),
			engine.NT: one.Wrap(out, in, random(in*out, "w")),
		} {
			plain, prepared := engine.Plain(w, op), one.Prepare(w, op)
			if plain.Prepared != nil || prepared.Prepared == nil || prepared.In() != in || prepared.Out() != out {
				t.Errorf("%v: prepared %v, %d x %d", op, prepared.Prepared != nil, prepared.In(), prepared.Out())
			}
			for name, product := range map[string]func(d *Device, y *engine.Tensor, w engine.Weight){
				"linear":      func(d *Device, y *engine.Tensor, w engine.Weight) { d.Linear(y, x, w, bias) },
				"linear gelu": func(d *Device, y *engine.Tensor, w engine.Weight) { d.LinearActivate(y, h, x, w, bias, engine.GELU) },
			} {
				want := one.New(m, out)
				product(one, want, plain)
				for _, d := range []*Device{one, two, one} {
					got := d.New(m, out)
					product(d, got, prepared)
					if !sameBits(data(got), data(want)) {
						t.Errorf("%v: %s differs", op, name)
					}
				}
			}
		}
		mustPanicWithShape(t, "a transposed left factor", func() { one.Prepare(x, engine.TN) })
	})
}

func TestSumRows(t *testing.T) {
	var operations []operation
	for _, shape := range rowShapes {
		rows, cols := shape[0], shape[1]
		for _, dst := range []operand{overwritten("sum", 1, cols), accumulated("sum", 1, cols)} {
			accumulate := !math.IsNaN(float64(dst.start[0]))
			operations = append(operations, operation{
				name:     named("sum rows", shape, " ", accumulate),
				operands: []operand{dst, in("x", rows, cols).ofAnyLength()},
				run:      func(d *Device, t tensors) { d.SumRows(t["sum"], t["x"], accumulate) },
				oracle: func(x numbers) results {
					return results{"sum": each(cols, func(j int) exact {
						var s sum
						if accumulate {
							s.add(x["sum"][j])
						}
						for i := range rows {
							s.add(x["x"][i*cols+j])
						}
						return s.exact()
					})}
				},
			})
		}
	}
	check(t, operations...)
}

// start is a sum that has one term.
func start(x float64) (s sum) {
	s.add(x)
	return s
}

// plus is a sum of two.
func plus(a, b float64) exact {
	s := start(a)
	s.add(b)
	return s.exact()
}

// What the kernels' tests allow x·Φ(x), relative to itself, and its slope, which
// is at most 1.2.
const (
	errorGELU  = 10 * epsilon
	errorSlope = 8 * 1.2 * epsilon
)

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func normalCDF(x float64) float64 { return 0.5 * math.Erfc(-x/math.Sqrt2) }

func TestElementwise(t *testing.T) {
	cdf := normalCDF
	var operations []operation
	for _, shape := range flatShapes {
		rows, cols := shape[0], shape[1]
		n := rows * cols
		operations = append(operations, operation{
			name:     named("add", shape),
			operands: []operand{overwritten("dst", rows, cols), in("a", rows, cols), in("b", rows, cols)},
			run:      func(d *Device, t tensors) { d.Add(t["dst"], t["a"], t["b"]) },
			oracle: func(x numbers) results {
				return results{"dst": each(n, func(i int) exact { return plus(x["a"][i], x["b"][i]) })}
			},
		}, operation{
			name:     named("multiply", shape),
			operands: []operand{overwritten("dst", rows, cols), in("a", rows, cols), in("b", rows, cols)},
			run:      func(d *Device, t tensors) { d.Multiply(t["dst"], t["a"], t["b"]) },
			oracle: func(x numbers) results {
				return results{"dst": each(n, func(i int) exact { return start(x["a"][i] * x["b"][i]).exact() })}
			},
		}, operation{
			name:     named("scale", shape),
			operands: []operand{overwritten("dst", rows, cols), in("x", rows, cols)},
			run:      func(d *Device, t tensors) { d.Scale(t["dst"], t["x"], -1.5) },
			oracle: func(x numbers) results {
				return results{"dst": each(n, func(i int) exact { return start(-1.5 * x["x"][i]).exact() })}
			},
		}, operation{
			name:     named("scale by", shape),
			operands: []operand{overwritten("dst", rows, cols), in("x", rows, cols), given("c", 1, 1, []float32{-1.5})},
			run:      func(d *Device, t tensors) { d.ScaleBy(t["dst"], t["x"], t["c"]) },
			oracle: func(x numbers) results {
				return results{"dst": each(n, func(i int) exact { return start(-1.5 * x["x"][i]).exact() })}
			},
		}, operation{
			name:     named("sigmoid", shape),
			operands: []operand{overwritten("y", rows, cols), in("x", rows, cols)},
			run:      func(d *Device, t tensors) { d.Sigmoid(t["y"], t["x"]) },
			oracle: func(x numbers) results {
				return results{"y": each(n, func(i int) exact { return start(1 / (1 + math.Exp(-x["x"][i]))).exact() })}
			},
		}, operation{
			name:     named("sigmoid backward", shape),
			operands: []operand{overwritten("dx", rows, cols), in("dy", rows, cols), in("y", rows, cols)},
			run:      func(d *Device, t tensors) { d.SigmoidBackward(t["dx"], t["dy"], t["y"]) },
			oracle: func(x numbers) results {
				return results{"dx": each(n, func(i int) exact {
					y := x["y"][i]
					return exact{x["dy"][i] * y * (1 - y), 4 * epsilon * math.Abs(x["dy"][i]*y) * (1 + math.Abs(y))}
				})}
			},
		}, operation{
			name:     named("copy", shape),
			operands: []operand{overwritten("dst", rows, cols), in("x", rows, cols)},
			run:      func(d *Device, t tensors) { d.Copy(t["dst"], t["x"]) },
			oracle: func(x numbers) results {
				return results{"dst": each(n, func(i int) exact { return exact{value: x["x"][i]} })}
			},
		}, operation{
			name:     named("zero", shape),
			operands: []operand{overwritten("x", rows, cols).ofAnyShape()},
			run:      func(d *Device, t tensors) { d.Zero(t["x"]) },
			oracle:   func(numbers) results { return results{"x": make([]exact, n)} },
		}, operation{
			name:     named("gelu", shape),
			operands: []operand{overwritten("y", rows, cols), in("x", rows, cols)},
			run:      func(d *Device, t tensors) { d.Activate(t["y"], t["x"], engine.Epilogue{Activation: engine.GELU}) },
			oracle: func(x numbers) results {
				return results{"y": each(n, func(i int) exact {
					y := x["x"][i] * cdf(x["x"][i])
					return exact{y, errorGELU * math.Abs(y)}
				})}
			},
		}, operation{
			name: named("gelu backward", shape),
			operands: []operand{
				overwritten("dx", rows, cols), overwritten("y", rows, cols), in("dy", rows, cols), in("x", rows, cols),
			},
			run: func(d *Device, t tensors) { d.ActivateBackward(t["dx"], t["y"], t["dy"], t["x"], engine.GELU) },
			oracle: func(x numbers) results {
				return results{
					"dx": each(n, func(i int) exact {
						v := x["x"][i]
						slope := cdf(v) + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi)
						return exact{x["dy"][i] * slope, math.Abs(x["dy"][i]) * errorSlope}
					}),
					"y": each(n, func(i int) exact {
						y := x["x"][i] * cdf(x["x"][i])
						return exact{y, errorGELU * math.Abs(y)}
					}),
				}
			},
		}, operation{
			name: named("activate backward", shape),
			operands: []operand{
				overwritten("dx", rows, cols), overwritten("y", rows, cols), in("dy", rows, cols), in("x", rows, cols),
			},
			run: func(d *Device, t tensors) {
				d.ActivateBackward(t["dx"], t["y"], t["dy"], t["x"], engine.QuickGELU)
			},
			oracle: func(x numbers) results {
				return results{
					"dx": each(n, func(i int) exact {
						v := 1.702 * x["x"][i]
						slope := sigmoid(v) + v*sigmoid(v)*sigmoid(-v)
						return exact{x["dy"][i] * slope, math.Abs(x["dy"][i]) * 2 * errorSlope}
					}),
					"y": each(n, func(i int) exact {
						y := x["x"][i] * sigmoid(1.702*x["x"][i])
						return exact{y, errorGELU * 2 * math.Abs(y)}
					}),
				}
			},
		}, operation{
			name:     named("swiglu", shape),
			operands: []operand{overwritten("y", rows, cols), in("h", rows, 2*cols)},
			run:      func(d *Device, t tensors) { d.SwiGLU(t["y"], t["h"]) },
			oracle: func(x numbers) results {
				return results{"y": each(n, func(i int) exact {
					a, b := x["h"][i/cols*2*cols+i%cols], x["h"][i/cols*2*cols+cols+i%cols]
					y := a * sigmoid(a) * b
					return exact{y, errorGELU * 2 * math.Abs(y)}
				})}
			},
		}, operation{
			name:     named("swiglu backward", shape),
			operands: []operand{overwritten("dh", rows, 2*cols), in("dy", rows, cols), in("h", rows, 2*cols)},
			run:      func(d *Device, t tensors) { d.SwiGLUBackward(t["dh"], t["dy"], t["h"]) },
			oracle: func(x numbers) results {
				return results{"dh": each(2*n, func(e int) exact {
					i, first := e/(2*cols), e/(2*cols)*2*cols
					j := e % cols
					a, b, dy := x["h"][first+j], x["h"][first+cols+j], x["dy"][i*cols+j]
					if e-first >= cols {
						return exact{dy * a * sigmoid(a), errorGELU * 2 * math.Abs(dy*a)}
					}
					return exact{dy * b * (sigmoid(a) + a*sigmoid(a)*sigmoid(-a)), errorSlope * 2 * math.Abs(dy*b)}
				})}
			},
		}, operation{
			name:     named("tanh", shape),
			operands: []operand{overwritten("y", rows, cols), in("x", rows, cols)},
			run:      func(d *Device, t tensors) { d.Tanh(t["y"], t["x"]) },
			oracle: func(x numbers) results {
				return results{"y": each(n, func(i int) exact { return start(math.Tanh(x["x"][i])).exact() })}
			},
		}, operation{
			name:     named("tanh backward", shape),
			operands: []operand{overwritten("dx", rows, cols), in("dy", rows, cols), in("y", rows, cols)},
			run:      func(d *Device, t tensors) { d.TanhBackward(t["dx"], t["dy"], t["y"]) },
			oracle: func(x numbers) results {
				return results{"dx": each(n, func(i int) exact {
					y := x["y"][i]
					return exact{x["dy"][i] * (1 - y*y), 4 * epsilon * math.Abs(x["dy"][i]) * (1 + y*y)}
				})}
			},
		}, operation{
			name:     named("relu", shape),
			operands: []operand{overwritten("y", rows, cols), in("x", rows, cols)},
			run:      func(d *Device, t tensors) { d.ReLU(t["y"], t["x"]) },
			oracle: func(x numbers) results {
				return results{"y": each(n, func(i int) exact { return exact{value: max(0, x["x"][i])} })}
			},
		}, operation{
			name:     named("relu backward", shape),
			operands: []operand{overwritten("dx", rows, cols), in("dy", rows, cols), in("y", rows, cols)},
			run:      func(d *Device, t tensors) { d.ReLUBackward(t["dx"], t["dy"], t["y"]) },
			oracle: func(x numbers) results {
				return results{"dx": each(n, func(i int) exact {
					if x["y"][i] > 0 {
						return exact{value: x["dy"][i]}
					}
					return exact{}
				})}
			},
		})
	}
	check(t, operations...)
}

func TestReLUKeepsNaNAndHasNoSlopeAtZero(t *testing.T) {
	d := New()
	nan := float32(math.NaN())
	x, y := d.Wrap(1, 3, []float32{nan, 0, -1}), d.New(1, 3)
	d.ReLU(y, x)
	if got := data(y); got[0] == got[0] || got[1] != 0 || got[2] != 0 {
		t.Errorf("relu is %v", got)
	}
	dx := d.Wrap(1, 2, []float32{1, 1})
	d.ReLUBackward(dx, d.Wrap(1, 2, []float32{5, 5}), d.Wrap(1, 2, []float32{0, 2}))
	if got := data(dx); got[0] != 0 || got[1] != 5 {
		t.Errorf("gradient is %v", got)
	}
}

// The destination may be an input where the interface says so.
func TestAliasing(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := New()
		drop := engine.Dropout{Prob: 0.4, Key: 5, Stream: 6}
		for _, n := range []int{1, 77, elementBlock + 3} {
			for name, run := range map[string]func(dst, a, b *engine.Tensor){
				"add":      d.Add,
				"multiply": d.Multiply,
				"scale":    func(dst, a, _ *engine.Tensor) { d.Scale(dst, a, 3) },
				"scale by": func(dst, a, _ *engine.Tensor) { d.ScaleBy(dst, a, d.Wrap(1, 1, []float32{3})) },
				"sigmoid":  func(dst, a, _ *engine.Tensor) { d.Sigmoid(dst, a) },
				"dropout":  func(dst, a, _ *engine.Tensor) { d.Dropout(dst, a, drop) },
			} {
				fresh := func() (a, b *engine.Tensor) {
					return d.Wrap(1, n, random(n, "a")), d.Wrap(1, n, random(n, "b"))
				}
				a, b := fresh()
				want := d.New(1, n)
				run(want, a, b)
				run(a, a, b)
				if !sameBits(data(a), data(want)) {
					t.Errorf("%s of %d onto its first input differs", name, n)
				}
				if name == "add" || name == "multiply" {
					a, b = fresh()
					run(b, a, b)
					if !sameBits(data(b), data(want)) {
						t.Errorf("%s of %d onto its second input differs", name, n)
					}
				}
			}
		}
	})
}

// dropMask returns what each of n elements is multiplied by: package kernels
// defines it as a function of key, stream and index.
func dropMask(n int, drop engine.Dropout) []float64 {
	mask := make([]float32, n)
	for i := range mask {
		mask[i] = 1
	}
	if drop.Prob > 0 {
		kernels.Dropout(mask, mask, drop.Prob, drop.Key, drop.Stream, 0, false)
	}
	return wide(mask)
}

func TestDropout(t *testing.T) {
	var operations []operation
	for _, shape := range flatShapes {
		rows, cols := shape[0], shape[1]
		n := rows * cols
		for _, prob := range []float32{0, 0.1, 0.5, 1} {
			drop := engine.Dropout{Prob: prob, Key: 12, Stream: 34}
			operations = append(operations, operation{
				name:     named("dropout", shape, " ", prob),
				operands: []operand{overwritten("y", rows, cols), in("x", rows, cols)},
				run:      func(d *Device, t tensors) { d.Dropout(t["y"], t["x"], drop) },
				oracle: func(x numbers) results {
					mask := dropMask(n, drop)
					return results{"y": each(n, func(i int) exact { return plus(0, mask[i]*x["x"][i]) })}
				},
			})
		}
	}
	check(t, operations...)
}

// normEpsilon is the epsilon of the layer norms under test.
const normEpsilon = 1e-3

// moments returns the mean and the inverse deviation of each row, and the mean
// magnitude.
func moments(x []float64, cols int) (mean, inverse, size []float64) {
	for len(x) > 0 {
		row := x[:cols]
		x = x[cols:]
		var sum, abs, squares float64
		for _, v := range row {
			sum += v
			abs += math.Abs(v)
		}
		m := sum / float64(cols)
		for _, v := range row {
			squares += (v - m) * (v - m)
		}
		mean = append(mean, m)
		inverse = append(inverse, 1/math.Sqrt(squares/float64(cols)+normEpsilon))
		size = append(size, abs/float64(cols))
	}
	return mean, inverse, size
}

func TestLayerNorm(t *testing.T) {
	var operations []operation
	for _, shape := range rowShapes {
		rows, cols := shape[0], shape[1]
		if cols < 2 {
			continue // the inverse deviation of one element is all epsilon; see the kernels' tests
		}
		operations = append(operations, operation{
			name: named("layer norm", shape),
			operands: []operand{
				overwritten("y", rows, cols), overwritten("stats", rows, 2),
				in("x", rows, cols), in("scale", 1, cols), in("bias", 1, cols),
			},
			run: func(d *Device, t tensors) {
				d.LayerNorm(t["y"], t["stats"], t["x"], t["scale"], t["bias"], normEpsilon)
			},
			oracle: func(x numbers) results {
				mean, inverse, size := moments(x["x"], cols)
				// The mean is a sum of cols terms, the variance has its error and one more such sum.
				sums := float64(cols+4) * epsilon
				meanError := func(i int) float64 { return sums * size[i] }
				inverseError := func(i int) float64 { return inverse[i] * (sums + 2*meanError(i)*inverse[i]) }
				return results{
					"stats": each(2*rows, func(e int) exact {
						if e%2 == 0 {
							return exact{mean[e/2], meanError(e / 2)}
						}
						return exact{inverse[e/2], inverseError(e / 2)}
					}),
					"y": each(rows*cols, func(e int) exact {
						i, scale, centred := e/cols, x["scale"][e%cols], x["x"][e]-mean[e/cols]
						y := plus(centred*inverse[i]*scale, x["bias"][e%cols])
						y.tolerance += math.Abs(scale) * (math.Abs(centred)*(inverseError(i)+4*epsilon*inverse[i]) +
							inverse[i]*(meanError(i)+epsilon*math.Abs(centred)))
						return y
					}),
				}
			},
		})
	}
	check(t, operations...)
}

func TestLayerNormBackward(t *testing.T) {
	var operations []operation
	for _, shape := range rowShapes {
		rows, cols := shape[0], shape[1]
		x := in("x", rows, cols)
		mean, inverse, _ := moments(wide(x.start), cols)
		var stats []float32
		for i := range rows {
			stats = append(stats, float32(mean[i]), float32(inverse[i]))
		}
		operations = append(operations, operation{
			name: named("layer norm backward", shape),
			operands: []operand{
				overwritten("dx", rows, cols), overwritten("dscale", 1, cols), overwritten("dbias", 1, cols),
				in("dy", rows, cols), x, in("scale", 1, cols), given("stats", rows, 2, stats),
			},
			run: func(d *Device, t tensors) {
				d.LayerNormBackward(t["dx"], t["dscale"], t["dbias"], t["dy"], t["x"], t["scale"], t["stats"])
			},
			oracle: func(x numbers) results { return layerNormGradients(x, rows, cols) },
		})
	}
	check(t, operations...)
}

// layerNormGradients is the oracle of the layer norm's backward pass. The
// statistics are inputs, so that their own error does not count.
func layerNormGradients(x numbers, rows, cols int) results {
	dx := make([]exact, rows*cols)
	dscale, dbias := make([]sum, cols), make([]sum, cols)
	xhatError := make([]float64, cols) // in dscale
	for j := range cols {
		dscale[j], dbias[j] = start(0), start(0)
	}
	for i := range rows {
		mean, inverse := x["stats"][2*i], x["stats"][2*i+1]
		// normalised is an element and the error of computing it.
		normalised := func(j int) exact {
			v := x["x"][i*cols+j]
			return exact{(v - mean) * inverse, 3 * epsilon * inverse * (math.Abs(v) + math.Abs(mean))}
		}
		var s1, s2 sum
		var s2Error float64
		for j := range cols {
			dy, xhat := x["dy"][i*cols+j], normalised(j)
			s1.add(dy * x["scale"][j])
			s2.add(dy * x["scale"][j] * xhat.value)
			s2Error += math.Abs(dy*x["scale"][j]) * xhat.tolerance
			dscale[j].add(dy * xhat.value)
			xhatError[j] += math.Abs(dy) * xhat.tolerance
			dbias[j].add(dy)
		}
		n := float64(cols)
		for j := range cols {
			e := i*cols + j
			xhat := normalised(j)
			all := start(0)
			all.add(inverse * x["dy"][e] * x["scale"][j])
			all.add(-inverse * s1.value / n)
			all.add(-inverse * xhat.value * s2.value / n)
			dx[e] = all.exact()
			dx[e].tolerance += inverse / n * (2*s1.error() + math.Abs(xhat.value)*(2*s2.error()+s2Error) + xhat.tolerance*math.Abs(s2.value))
		}
	}
	return results{
		"dx": dx,
		"dscale": each(cols, func(j int) exact {
			e := dscale[j].exact()
			e.tolerance += xhatError[j]
			return e
		}),
		"dbias": each(cols, func(j int) exact { return dbias[j].exact() }),
	}
}

// AddNorm is what its parts are, the dropout, the sum and the norm, to the bit; with
// nothing to keep it gives the same y.
func TestAddNorm(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, shape := range [][2]int{{0, 8}, {1, 5}, {normRows + 1, columnBlock - 1}, {70, 768}} {
			rows, cols := shape[0], shape[1]
			for _, prob := range []float32{0, 0.3} {
				var single []float32
				for _, threads := range []int{1, 2, 3} {
					setThreads(t, threads)
					all := addNormParts(t, rows, cols, engine.Dropout{Prob: prob, Key: 3, Stream: 4})
					if single == nil {
						single = all
					} else if !sameBits(all, single) {
						t.Errorf("%v with %d threads differs", shape, threads)
					}
				}
			}
		}
	})
}

// addNormParts compares AddNorm and its backward form with their parts and returns all they computed.
func addNormParts(t *testing.T, rows, cols int, drop engine.Dropout) (all []float32) {
	t.Helper()
	d := New()
	matrix := func(name string) *engine.Tensor { return d.Wrap(rows, cols, random(rows*cols, name)) }
	vector := func(name string) *engine.Tensor { return d.Wrap(1, cols, random(cols, name)) }
	x, a, scale, bias, dy := matrix("x"), matrix("a"), vector("scale"), vector("bias"), matrix("dy")
	same := func(what string, got, want *engine.Tensor) {
		t.Helper()
		if !sameBits(data(got), data(want)) {
			t.Errorf("%d x %d, dropout %v: %s differs", rows, cols, drop.Prob, what)
		}
		all = append(all, data(got)...)
	}
	dropped, sum, y, stats := d.New(rows, cols), d.New(rows, cols), d.New(rows, cols), d.New(rows, 2)
	d.Dropout(dropped, a, drop)
	d.Add(sum, x, dropped)
	d.LayerNorm(y, stats, sum, scale, bias, normEpsilon)
	gotY, gotSum, gotStats := d.New(rows, cols), d.New(rows, cols), d.New(rows, 2)
	d.AddNorm(gotY, gotSum, gotStats, x, a, scale, bias, normEpsilon, drop)
	same("y", gotY, y)
	same("sum", gotSum, sum)
	same("stats", gotStats, stats)
	d.AddNorm(gotY, nil, nil, x, a, scale, bias, normEpsilon, drop)
	same("y with nothing kept", gotY, y)

	dx, da, dscale, dbias := d.New(rows, cols), d.New(rows, cols), d.New(1, cols), d.New(1, cols)
	d.LayerNormBackward(dx, dscale, dbias, dy, sum, scale, stats)
	d.Dropout(da, dx, drop)
	gotX, gotA, gotScale, gotBias := d.New(rows, cols), d.New(rows, cols), d.New(1, cols), d.New(1, cols)
	d.AddNormBackward(gotX, gotA, gotScale, gotBias, dy, sum, scale, stats, drop)
	same("dx", gotX, dx)
	same("da", gotA, da)
	same("dscale", gotScale, dscale)
	same("dbias", gotBias, dbias)
	return all
}

func TestRowsByIndex(t *testing.T) {
	var operations []operation
	for _, shape := range rowShapes {
		rows, cols := shape[0], shape[1]
		const entries = 11
		ids := randomRows(rows, entries)
		for _, dst := range []operand{overwritten("dst", rows, cols), accumulated("dst", rows, cols)} {
			accumulate := !math.IsNaN(float64(append(dst.start, 0)[0]))
			operations = append(operations, operation{
				name:     named("gather", shape, " ", accumulate),
				operands: []operand{dst, in("table", entries, cols).ofAnyLength()},
				run:      func(d *Device, t tensors) { d.Gather(t["dst"], t["table"], ids, accumulate) },
				oracle: func(x numbers) results {
					return results{"dst": each(rows*cols, func(e int) exact {
						from := x["table"][int(ids[e/cols])*cols+e%cols]
						if accumulate {
							return plus(x["dst"][e], from)
						}
						return exact{value: from}
					})}
				},
			})
		}
		first, seen := make([]bool, rows), map[int32]bool{}
		for i, id := range ids {
			first[i] = !seen[id]
			seen[id] = true
		}
		for _, first := range [][]bool{nil, first} {
			operations = append(operations, operation{
				name:     named("scatter add", shape, " ", first != nil),
				operands: []operand{accumulated("dtable", entries, cols).ofAnyLength(), in("dy", rows, cols)},
				run:      func(d *Device, t tensors) { d.ScatterAdd(t["dtable"], ids, t["dy"], first) },
				oracle: func(x numbers) results {
					sums := make([]sum, entries*cols)
					for i, v := range x["dtable"] {
						if first == nil || !seen[int32(i/cols)] {
							sums[i] = start(v)
						}
					}
					for i, id := range ids {
						for j := range cols {
							sums[int(id)*cols+j].add(x["dy"][i*cols+j])
						}
					}
					return results{"dtable": each(len(sums), func(i int) exact { return sums[i].exact() })}
				},
			})
		}
	}
	check(t, operations...)
}

func TestStackedRowsByIndex(t *testing.T) {
	var operations []operation
	for _, shape := range rowShapes {
		rows, cols := shape[0], shape[1]
		const first, second = 7, 5
		ids := randomRows(rows, first+second)
		operations = append(operations, operation{
			name:     named("gather stack", shape),
			operands: []operand{overwritten("dst", rows, cols), in("a", first, cols).ofAnyLength(), in("b", second, cols).ofAnyLength()},
			run:      func(d *Device, t tensors) { d.GatherStack(t["dst"], t["a"], t["b"], ids) },
			oracle: func(x numbers) results {
				table := append(x["a"], x["b"]...)
				return results{"dst": each(rows*cols, func(e int) exact { return exact{value: table[int(ids[e/cols])*cols+e%cols]} })}
			},
		}, operation{
			name:     named("gather stack backward", shape),
			operands: []operand{overwritten("da", first, cols).ofAnyLength(), overwritten("db", second, cols).ofAnyLength(), in("dy", rows, cols)},
			run:      func(d *Device, t tensors) { d.GatherStackBackward(t["da"], t["db"], ids, t["dy"]) },
			oracle: func(x numbers) results {
				sums := make([]sum, (first+second)*cols)
				for i, id := range ids {
					for j := range cols {
						sums[int(id)*cols+j].add(x["dy"][i*cols+j])
					}
				}
				all := each(len(sums), func(i int) exact { return sums[i].exact() })
				return results{"da": all[:first*cols], "db": all[first*cols:]}
			},
		})
	}
	check(t, operations...)
}

func TestNormalize(t *testing.T) {
	var operations []operation
	for _, shape := range rowShapes {
		rows, cols := shape[0], shape[1]
		x := in("x", rows, cols)
		if rows > 2 {
			clear(x.start[cols : 2*cols])
		}
		// A sum of squares in float64, its root, the quotient and the product.
		const tolerance = 4 * epsilon
		operations = append(operations, operation{
			name:     named("normalize", shape),
			operands: []operand{overwritten("y", rows, cols), overwritten("inverse", rows, 1), x},
			run:      func(d *Device, t tensors) { d.Normalize(t["y"], t["inverse"], t["x"]) },
			oracle: func(x numbers) results {
				inverse := each(rows, func(i int) exact {
					var squares float64
					for _, v := range x["x"][i*cols : (i+1)*cols] {
						squares += v * v
					}
					if squares == 0 {
						return exact{}
					}
					return exact{1 / math.Sqrt(squares), tolerance / math.Sqrt(squares)}
				})
				return results{"inverse": inverse, "y": each(rows*cols, func(e int) exact {
					y := x["x"][e] * inverse[e/cols].value
					return exact{y, tolerance * math.Abs(y)}
				})}
			},
		}, operation{
			name:     named("normalize backward", shape),
			operands: []operand{overwritten("dx", rows, cols), in("dy", rows, cols), in("y", rows, cols), in("inverse", rows, 1)},
			run:      func(d *Device, t tensors) { d.NormalizeBackward(t["dx"], t["dy"], t["y"], t["inverse"]) },
			oracle: func(x numbers) results {
				dots := make([]sum, rows)
				for e, y := range x["y"] {
					dots[e/cols].add(y * x["dy"][e])
				}
				return results{"dx": each(rows*cols, func(e int) exact {
					dot, y, inverse := dots[e/cols], x["y"][e], x["inverse"][e/cols]
					dx := plus(x["dy"][e]*inverse, -y*dot.value*inverse)
					dx.tolerance += math.Abs(y*inverse) * (dot.error() + 2*epsilon*math.Abs(dot.value))
					return dx
				})}
			},
		})
	}
	check(t, operations...)
}

func TestNormalizeKeepsNaN(t *testing.T) {
	d := New()
	y := d.New(1, 2)
	d.Normalize(y, d.New(1, 1), d.Wrap(1, 2, []float32{float32(math.NaN()), 1}))
	if got := data(y); got[0] == got[0] || got[1] == got[1] {
		t.Errorf("a row with NaN became %v", got)
	}
}

func TestIndicesOutOfRangePanicBeforeAnyWrite(t *testing.T) {
	d := New()
	for _, bad := range []int32{-1, 4} {
		ids := []int32{0, 3, bad}
		dst, table := d.New(3, 2), d.New(4, 2)
		for name, run := range map[string]func(){
			"gather":                 func() { d.Gather(dst, table, ids, true) },
			"scatter add":            func() { d.ScatterAdd(table, ids, dst, nil) },
			"gather stack":           func() { d.GatherStack(dst, d.New(1, 2), d.New(3, 2), ids) },
			"gather stack backward":  func() { d.GatherStackBackward(table, d.New(0, 2), ids, dst) },
			"cross entropy":          func() { d.CrossEntropy(d.New(1, 1), d.New(3, 4), ids, 0) },
			"cross entropy backward": func() { d.CrossEntropyBackward(d.New(3, 4), d.New(1, 1), d.New(3, 4), ids, 0, false) },
		} {
			d.Zero(dst)
			d.Zero(table)
			copy(data(table), []float32{1, 1})
			copy(data(dst), []float32{2, 2})
			mustPanicWithShape(t, fmt.Sprint(name, " ", bad), run)
			if data(dst)[0] != 2 || data(table)[0] != 1 {
				t.Errorf("%s: something was written", name)
			}
		}
	}
}
