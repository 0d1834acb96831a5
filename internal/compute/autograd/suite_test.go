package autograd

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// What the tests share: a device that watches, float64 matrices with the
// operations of a forward pass, and the comparison of gradients.

// watched is a device that knows its live tensors and the dropout masks it used.
type watched struct {
	*cpu.Device
	live  map[*engine.Tensor]bool
	most  int         // tensors that were live at a time
	masks [][]float64 // what elements were multiplied by, for every dropout
}

func watch() *watched { return &watched{Device: cpu.New(), live: map[*engine.Tensor]bool{}} }

func (w *watched) New(rows, cols int) *engine.Tensor {
	t := w.Device.New(rows, cols)
	w.live[t] = true
	w.most = max(w.most, len(w.live))
	return t
}

func (w *watched) Free(t *engine.Tensor) {
	if t != nil {
		delete(w.live, t)
	}
	w.Device.Free(t)
}

func (w *watched) Dropout(y, x *engine.Tensor, d engine.Dropout) {
	w.Device.Dropout(y, x, d)
	w.masks = append(w.masks, w.mask(x.Len(), d))
}

func (w *watched) AddNorm(y, sum, stats, x, a, scale, bias *engine.Tensor, eps float32, d engine.Dropout) {
	w.Device.AddNorm(y, sum, stats, x, a, scale, bias, eps, d)
	if d.Prob > 0 {
		w.masks = append(w.masks, w.mask(x.Len(), d))
	}
}

func (w *watched) Attention(y, stats, q, k, v *engine.Tensor, a engine.Attention) {
	w.Device.Attention(y, stats, q, k, v, a)
	if a.Dropout.Prob > 0 {
		n := 0
		for s := range len(a.Keys) - 1 {
			n += a.Heads * int(a.Queries[s+1]-a.Queries[s]) * int(a.Keys[s+1]-a.Keys[s])
		}
		w.masks = append(w.masks, w.mask(n, a.Dropout))
	}
}

// mask returns what a dropout multiplies n elements by.
func (w *watched) mask(n int, d engine.Dropout) []float64 {
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	x := w.Device.Wrap(1, n, ones)
	w.Device.Dropout(x, x, d)
	return wide(ones)
}

// values returns a copy of a tensor's elements.
func (w *watched) values(t *engine.Tensor) []float32 {
	x := make([]float32, t.Len())
	w.Read(x, t)
	return x
}

// param makes a parameter with an empty gradient, constant a leaf without.
func (w *watched) param(m matrix) *Var {
	v := Param(w.New(m.rows, m.cols), NewGradient(w.New(m.rows, m.cols)))
	w.Write(v.Value, narrow(m.x))
	for i := range m.x { // what an empty gradient holds means nothing
		w.Host(v.param.tensor)[i] = float32(math.NaN())
	}
	return v
}

// gradient returns all of a parameter's gradient.
func (w *watched) gradient(v *Var) []float32 { return w.values(v.Gradient().Fill(w)) }

func (w *watched) constant(m matrix) *Var { return Const(w.Wrap(m.rows, m.cols, narrow(m.x))) }

// matrix is a row-major matrix in float64. The operations on it are plain and
// forward only: the oracle that gradients are compared with.
type matrix struct {
	rows, cols int
	x          []float64
}

// normal returns a matrix of normal numbers that float32 holds exactly, others for
// every name.
func normal(name string, rows, cols int) matrix {
	h := fnv.New64a()
	h.Write([]byte(name))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	m := zeros(rows, cols)
	for i := range m.x {
		m.x[i] = float64(float32(r.NormFloat64()))
	}
	return m
}

func zeros(rows, cols int) matrix { return matrix{rows, cols, make([]float64, rows*cols)} }

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

func (m matrix) at(i, j int) float64 { return m.x[i*m.cols+j] }

// apply returns f of every element and its index.
func (m matrix) apply(f func(i int, x float64) float64) matrix {
	y := zeros(m.rows, m.cols)
	for i, x := range m.x {
		y.x[i] = f(i, x)
	}
	return y
}

func (m matrix) add(n matrix) matrix {
	return m.apply(func(i int, x float64) float64 { return x + n.x[i] })
}

func (m matrix) times(mask []float64) matrix {
	return m.apply(func(i int, x float64) float64 { return x * mask[i] })
}

func (m matrix) linear(w, b matrix) matrix {
	return zeros(m.rows, w.cols).apply(func(e int, _ float64) float64 {
		i, j := e/w.cols, e%w.cols
		y := b.x[j]
		for k := range m.cols {
			y += m.at(i, k) * w.at(k, j)
		}
		return y
	})
}

func (m matrix) transpose() matrix {
	return zeros(m.cols, m.rows).apply(func(e int, _ float64) float64 { return m.at(e%m.rows, e/m.rows) })
}

func (m matrix) gelu() matrix {
	return m.apply(func(_ int, x float64) float64 { return x * 0.5 * math.Erfc(-x/math.Sqrt2) })
}

// gated is x·σ(a·x).
func (m matrix) gated(a float64) matrix {
	return m.apply(func(_ int, x float64) float64 { return x / (1 + math.Exp(-a*x)) })
}

func (m matrix) tanhGELU() matrix {
	return m.apply(func(_ int, x float64) float64 {
		return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
	})
}

// columns are some of them, from lo on and before hi.
func (m matrix) columns(lo, hi int) matrix {
	return zeros(m.rows, hi-lo).apply(func(e int, _ float64) float64 { return m.at(e/(hi-lo), lo+e%(hi-lo)) })
}

func (m matrix) relu() matrix {
	return m.apply(func(_ int, x float64) float64 { return max(x, 0) })
}

// normEpsilon is the epsilon of the layer norms under test.
const normEpsilon = 1e-3

func (m matrix) layerNorm(scale, bias matrix) matrix {
	y := zeros(m.rows, m.cols)
	for i := range m.rows {
		row, n := m.x[i*m.cols:(i+1)*m.cols], float64(m.cols)
		var mean, variance float64
		for _, x := range row {
			mean += x / n
		}
		for _, x := range row {
			variance += (x - mean) * (x - mean) / n
		}
		for j, x := range row {
			y.x[i*m.cols+j] = (x-mean)/math.Sqrt(variance+normEpsilon)*scale.x[j] + bias.x[j]
		}
	}
	return y
}

func (m matrix) gather(ids []int32) matrix {
	return zeros(len(ids), m.cols).apply(func(e int, _ float64) float64 { return m.at(int(ids[e/m.cols]), e%m.cols) })
}

// normalize divides each row by its length.
func (m matrix) normalize() matrix {
	return m.apply(func(e int, x float64) float64 {
		var squares float64
		for _, v := range m.x[e/m.cols*m.cols:][:m.cols] {
			squares += v * v
		}
		return x / math.Sqrt(squares)
	})
}

// stack puts n below m.
func (m matrix) stack(n matrix) matrix {
	return matrix{m.rows + n.rows, m.cols, slices.Concat(m.x, n.x)}
}

// circleLoss is the circle loss of scores whose weights are those of fixed.
func (m matrix) circleLoss(fixed matrix, c engine.CircleLoss) matrix {
	loss := zeros(1, 1)
	for g := 0; g < m.rows; g += c.Group {
		positive := math.Exp(-c.Scale * max(0, 1+c.Margin-fixed.x[g]) * (m.x[g] - (1 - c.Margin)))
		var sums [2]float64 // over the negatives of each kind
		for i := 1; i < c.Group; i++ {
			kind := 0
			if i > c.ImageNegatives {
				kind = 1
			}
			sums[kind] += math.Exp(c.Scale * max(0, fixed.x[g+i]+c.Margin) * (m.x[g+i] - c.Margin))
		}
		for _, sum := range sums {
			loss.x[0] += math.Log(1+positive*sum) / 2 * float64(c.Group) / float64(m.rows)
		}
	}
	return loss
}

// contrastiveLoss is the contrastive loss of scores.
func (m matrix) contrastiveLoss(c engine.Contrast) matrix {
	loss, groups := zeros(1, 1), 0.0
	for g := 0; g < len(m.x); g += c.Group {
		var sums [3]float64 // by kind
		for i := g; i < g+c.Group; i++ {
			sums[c.Kinds[i]] += math.Exp(m.x[i])
		}
		if positives, negatives := sums[engine.Positive], sums[engine.Negative]; positives*negatives > 0 {
			loss.x[0] -= math.Log(positives / (positives + negatives))
			groups++
		}
	}
	loss.x[0] /= groups
	return loss
}

// klDivergence is the mean over rows of the targets' logarithms less those of the probabilities,
// weighted by the targets.
func (m matrix) klDivergence(targets []float32) matrix {
	loss := zeros(1, 1)
	for i, target := range wide(targets) {
		if target > 0 {
			_, logSum := softmax(m.x[i/m.cols*m.cols:][:m.cols])
			loss.x[0] += target * (math.Log(target) - m.x[i] + logSum) / float64(m.rows)
		}
	}
	return loss
}

// binaryCrossEntropy is the mean over rows of what the answers yes and no to each class cost.
func (m matrix) binaryCrossEntropy(targets []float32) matrix {
	loss := zeros(1, 1)
	for i, target := range wide(targets) {
		yes := 1 / (1 + math.Exp(-m.x[i]))
		loss.x[0] -= (target*math.Log(yes) + (1-target)*math.Log(1-yes)) / float64(m.rows)
	}
	return loss
}

// symmetricDivergence is the mean over rows of the divergence between what they and those of b say, in both directions.
func (m matrix) symmetricDivergence(b matrix) matrix {
	loss := zeros(1, 1)
	for lo := 0; lo < len(m.x); lo += m.cols {
		p, _ := softmax(m.x[lo:][:m.cols])
		q, _ := softmax(b.x[lo:][:m.cols])
		for c := range p {
			loss.x[0] += (p[c]*math.Log(p[c]/q[c]) + q[c]*math.Log(q[c]/p[c])) / float64(m.rows)
		}
	}
	return loss
}

// softmax returns the probabilities of scores, and the logarithm of their sum.
func softmax(scores []float64) (probs []float64, logSum float64) {
	var total float64
	for _, s := range scores {
		total += math.Exp(s)
	}
	for _, s := range scores {
		probs = append(probs, math.Exp(s)/total)
	}
	return probs, math.Log(total)
}

// attention is multi-head attention; mask (of the probabilities) may be nil.
func attention(q, k, v matrix, a engine.Attention, mask []float64) matrix {
	y, width, first := zeros(q.rows, q.cols), q.cols/a.Heads, 0
	for s := range len(a.Keys) - 1 {
		lo, hi := int(a.Keys[s]), int(a.Keys[s+1])
		for col := 0; col < q.cols; col += width {
			for i := int(a.Queries[s]); i < int(a.Queries[s+1]); i++ {
				var scores []float64
				sees := hi
				if a.Prefix != nil {
					sees = max(lo+int(a.Prefix[s]), hi-int(a.Queries[s+1])+i+1)
				}
				for j := lo; j < sees; j++ {
					var dot float64
					for l := col; l < col+width; l++ {
						dot += q.at(i, l) * k.at(j, l)
					}
					scores = append(scores, dot/math.Sqrt(float64(width)))
				}
				probs, _ := softmax(scores)
				for j, p := range probs {
					if mask != nil {
						p *= mask[first+j]
					}
					for l := col; l < col+width; l++ {
						y.x[i*q.cols+l] += p * v.at(lo+j, l)
					}
				}
				first += hi - lo
			}
		}
	}
	return y
}

func (m matrix) crossEntropy(classes []int32) matrix {
	loss := zeros(1, 1)
	for i, class := range classes {
		_, logSum := softmax(m.x[i*m.cols : (i+1)*m.cols])
		loss.x[0] += (logSum - m.at(i, int(class))) / float64(m.rows)
	}
	return loss
}

// smoothCrossEntropy is the mean over rows of minus the logarithms of the probabilities, weighted by
// 1-e for the label and e/V for every class.
func (m matrix) smoothCrossEntropy(labels []int32, e float64) matrix {
	loss := m.crossEntropy(labels)
	loss.x[0] *= 1 - e
	for i := range m.rows {
		row := m.x[i*m.cols : (i+1)*m.cols]
		_, logSum := softmax(row)
		for _, l := range row {
			loss.x[0] += e / float64(m.cols) * (logSum - l) / float64(m.rows)
		}
	}
	return loss
}

func (m matrix) squaredError(targets []float32) matrix {
	loss := zeros(1, 1)
	for i, target := range targets {
		loss.x[0] += (m.x[i] - float64(target)) * (m.x[i] - float64(target)) / float64(len(m.x))
	}
	return loss
}

// gradient returns the derivatives of loss with respect to the elements of m by
// central differences.
func gradient(m matrix, loss func() float64) []float64 {
	const step = 1e-5
	g := make([]float64, len(m.x))
	for i, x := range m.x {
		m.x[i] = x + step
		above := loss()
		m.x[i] = x - step
		below := loss()
		m.x[i] = x
		g[i] = (above - below) / (2 * step)
	}
	return g
}

// gradientTolerance is relative to a tensor's largest gradient: some dozens of
// float32 roundings, on sums of at most some dozens of terms.
const gradientTolerance = 1e-5

// near fails the test unless all of got are within gradientTolerance of want.
func near(t *testing.T, name string, got []float32, want []float64) {
	t.Helper()
	var scale float64
	for _, w := range want {
		scale = max(scale, math.Abs(w))
	}
	if len(got) != len(want) || scale == 0 {
		t.Fatalf("%s: %d values, want %d that are not all zero", name, len(got), len(want))
	}
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= gradientTolerance*scale) {
			t.Errorf("%s: element %d is %g, want %g (largest: %g)", name, i, got[i], w, scale)
			return
		}
	}
}
