package autograd

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// gradientCase is a function of some matrices, as operations of a tape and in
// float64. Its value is a matrix, or a loss (1 x 1).
type gradientCase struct {
	name   string
	inputs []matrix
	tape   func(t *Tape, v []*Var) *Var
	oracle func(m []matrix, masks [][]float64) matrix
}

var (
	ragged = engine.Attention{Heads: 2, Queries: []int32{0, 1, 3, 3, 10}, Keys: []int32{0, 1, 3, 3, 10}}
	fewer  = engine.Attention{Heads: 2, Queries: []int32{0, 1, 1, 2, 5}, Keys: []int32{0, 1, 3, 3, 10}}
	causal = engine.Attention{Heads: 2, Queries: []int32{0, 1, 3, 3, 10}, Keys: []int32{0, 1, 3, 3, 10}, Prefix: []int32{1, 0, 0, 4}}
	target = engine.Attention{Heads: 2, Queries: []int32{0, 1, 2, 2, 5}, Keys: []int32{0, 1, 3, 3, 10}, Prefix: []int32{0, 1, 0, 4}}
	groups = engine.CircleLoss{Group: 6, ImageNegatives: 3, Margin: 0.2, Scale: 2}
	pairs  = engine.Contrast{Group: 5, Kinds: []int8{1, 0, 0, 2, 1, 0, 0, 0, 2, 0, 0, 1, 0, 1, 2}} // the second group has no positive
	ids    = []int32{3, 0, 3, 1, 3, 4}
	others = []int32{0, 1, 0, 1, 0, 1}
	shares = []float32{0.25, 0.5, 0, 0.25, 0, 0, 1, 0, 0.125, 0.625, 0.125, 0.125}
)

func dropping(a engine.Attention, prob float32) engine.Attention {
	a.Dropout.Prob = prob
	return a
}

// nn and nt return v as a weight, from either side.
func nn(v *Var) *Weight { return NewWeight(v, engine.NN) }
func nt(v *Var) *Weight { return NewWeight(v, engine.NT) }

var gradientCases = []gradientCase{
	{
		name:   "linear",
		inputs: []matrix{normal("x", 5, 3), normal("w", 3, 4), normal("b", 1, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Linear(v[0], nn(v[1]), v[2]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].linear(m[1], m[2]) },
	}, {
		name:   "linear twice with the same weights",
		inputs: []matrix{normal("x", 5, 4), normal("w", 4, 4), normal("b", 1, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Linear(t.Linear(v[0], nn(v[1]), v[2]), nn(v[1]), v[2]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].linear(m[1], m[2]).linear(m[1], m[2]) },
	}, {
		name:   "one input of two linear maps",
		inputs: []matrix{normal("x", 5, 3), normal("w", 3, 4), normal("b", 1, 4)},
		tape: func(t *Tape, v []*Var) *Var {
			x := t.GELU(v[0]) // its gradient starts with one map's, and the other's is added
			return t.Add(t.Linear(x, nn(v[1]), v[2]), t.Linear(x, nn(v[1]), v[2]))
		},
		oracle: func(m []matrix, _ [][]float64) matrix {
			y := m[0].gelu().linear(m[1], m[2])
			return y.add(y)
		},
	}, {
		name:   "add",
		inputs: []matrix{normal("a", 3, 4), normal("b", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Add(v[0], v[1]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].add(m[1]) },
	}, {
		name:   "add to itself",
		inputs: []matrix{normal("a", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Add(v[0], v[0]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].add(m[0]) },
	}, {
		name:   "gelu",
		inputs: []matrix{normal("x", 7, 9)},
		tape:   func(t *Tape, v []*Var) *Var { return t.GELU(v[0]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].gelu() },
	}, {
		name:   "tanh gelu",
		inputs: []matrix{normal("x", 7, 9)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Activate(v[0], engine.TanhGELU) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].tanhGELU() },
	}, {
		name:   "quick gelu",
		inputs: []matrix{normal("x", 7, 9)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Activate(v[0], engine.QuickGELU) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].gated(1.702) },
	}, {
		name:   "silu",
		inputs: []matrix{normal("x", 7, 9)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Activate(v[0], engine.SiLU) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].gated(1) },
	}, {
		name:   "swiglu",
		inputs: []matrix{normal("h", 5, 8)},
		tape:   func(t *Tape, v []*Var) *Var { return t.SwiGLU(v[0]) },
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].columns(0, 4).gated(1).times(m[0].columns(4, 8).x)
		},
	}, {
		name:   "tanh",
		inputs: []matrix{normal("x", 7, 9)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Tanh(v[0]) },
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].apply(func(_ int, x float64) float64 { return math.Tanh(x) })
		},
	}, {
		name:   "scaled columns",
		inputs: []matrix{normal("x", 7, 9), normal("s", 1, 9)},
		tape:   func(t *Tape, v []*Var) *Var { return t.ScaleColumns(t.ScaleColumns(v[0], v[1]), v[1]) },
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].apply(func(e int, x float64) float64 { return x * m[1].x[e%9] * m[1].x[e%9] })
		},
	}, {
		name:   "slices",
		inputs: []matrix{normal("x", 5, 8)},
		tape: func(t *Tape, v []*Var) *Var {
			return t.Add(t.Slice(v[0], 2, 3), t.Multiply(t.Slice(v[0], 0, 3), t.Slice(v[0], 5, 3)))
		},
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].columns(2, 5).add(m[0].columns(0, 3).times(m[0].columns(5, 8).x))
		},
	}, {
		name:   "linear without bias",
		inputs: []matrix{normal("x", 5, 3), normal("w", 4, 3)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Linear(v[0], nt(v[1]), nil) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].linear(m[1].transpose(), zeros(1, 4)) },
	}, {
		name:   "relu",
		inputs: []matrix{normal("x", 7, 9)},
		tape:   func(t *Tape, v []*Var) *Var { return t.ReLU(v[0]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].relu() },
	}, {
		name:   "residual",
		inputs: []matrix{normal("x", 7, 9)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Add(v[0], t.ReLU(t.GELU(v[0]))) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].add(m[0].gelu().relu()) },
	}, {
		name:   "dropout",
		inputs: []matrix{normal("x", 7, 9)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Dropout(t.Dropout(v[0], 0.4), 0.2) },
		oracle: func(m []matrix, masks [][]float64) matrix { return m[0].times(masks[0]).times(masks[1]) },
	}, {
		name:   "layer norm",
		inputs: []matrix{normal("x", 6, 16), normal("scale", 1, 16), normal("bias", 1, 16)},
		tape:   func(t *Tape, v []*Var) *Var { return t.LayerNorm(v[0], v[1], v[2], normEpsilon) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].layerNorm(m[1], m[2]) },
	}, {
		name:   "add norm",
		inputs: []matrix{normal("x", 6, 16), normal("a", 6, 16), normal("scale", 1, 16), normal("bias", 1, 16)},
		tape:   func(t *Tape, v []*Var) *Var { return t.AddNorm(v[0], v[1], v[2], v[3], normEpsilon, 0) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].add(m[1]).layerNorm(m[2], m[3]) },
	}, {
		name:   "add norm with dropout",
		inputs: []matrix{normal("x", 35, 16), normal("a", 35, 16), normal("scale", 1, 16), normal("bias", 1, 16)},
		tape:   func(t *Tape, v []*Var) *Var { return t.AddNorm(v[0], v[1], v[2], v[3], normEpsilon, 0.3) },
		oracle: func(m []matrix, masks [][]float64) matrix {
			return m[0].add(m[1].times(masks[0])).layerNorm(m[2], m[3])
		},
	}, {
		name:   "add norm of one matrix twice",
		inputs: []matrix{normal("x", 6, 16), normal("scale", 1, 16)},
		tape:   func(t *Tape, v []*Var) *Var { return t.AddNorm(v[0], v[0], v[1], v[1], normEpsilon, 0) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].add(m[0]).layerNorm(m[1], m[1]) },
	}, {
		name: "feed forward",
		inputs: []matrix{
			normal("x", 5, 3), normal("w1", 3, 8), normal("b1", 1, 8), normal("w2", 8, 4), normal("b2", 1, 4),
		},
		tape: func(t *Tape, v []*Var) *Var { return t.FeedForward(v[0], nn(v[1]), v[2], nn(v[3]), v[4], engine.GELU) },
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].linear(m[1], m[2]).gelu().linear(m[3], m[4])
		},
	}, {
		name: "feed forward with tanh gelu",
		inputs: []matrix{
			normal("x", 5, 3), normal("w1", 8, 3), normal("b1", 1, 8), normal("w2", 4, 8), normal("b2", 1, 4),
		},
		tape: func(t *Tape, v []*Var) *Var {
			return t.FeedForward(v[0], nt(v[1]), v[2], nt(v[3]), v[4], engine.TanhGELU)
		},
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].linear(m[1].transpose(), m[2]).tanhGELU().linear(m[3].transpose(), m[4])
		},
	}, {
		name:   "embed",
		inputs: []matrix{normal("words", 5, 7), normal("positions", 2, 7)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Embed(Lookup{v[0], ids}, Lookup{v[1], others}) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].gather(ids).add(m[1].gather(others)) },
	}, {
		name:   "embed with one table twice",
		inputs: []matrix{normal("words", 5, 7)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Embed(Lookup{v[0], ids}, Lookup{v[0], others}) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].gather(ids).add(m[0].gather(others)) },
	}, {
		name:   "a table that is looked up and multiplied",
		inputs: []matrix{normal("words", 5, 4), normal("w", 4, 4), normal("b", 1, 4)},
		tape: func(t *Tape, v []*Var) *Var {
			return t.Add(t.Embed(Lookup{v[0], ids[:5]}), t.Add(t.Linear(v[0], nn(v[1]), v[2]), t.Rows(v[0], others[:5])))
		},
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].gather(ids[:5]).add(m[0].linear(m[1], m[2])).add(m[0].gather(others[:5]))
		},
	}, {
		name:   "rows",
		inputs: []matrix{normal("x", 5, 7)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Rows(t.GELU(v[0]), ids) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].gelu().gather(ids) },
	}, {
		name:   "attention",
		inputs: []matrix{normal("q", 10, 6), normal("k", 10, 6), normal("v", 10, 6)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Attention(v[0], v[1], v[2], ragged) },
		oracle: func(m []matrix, _ [][]float64) matrix { return attention(m[0], m[1], m[2], ragged, nil) },
	}, {
		name:   "attention with dropout",
		inputs: []matrix{normal("q", 10, 6), normal("k", 10, 6), normal("v", 10, 6)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Attention(v[0], v[1], v[2], dropping(ragged, 0.3)) },
		oracle: func(m []matrix, masks [][]float64) matrix { return attention(m[0], m[1], m[2], ragged, masks[0]) },
	}, {
		name:   "attention of fewer queries, one without keys",
		inputs: []matrix{normal("q", 5, 6), normal("k", 10, 6), normal("v", 10, 6)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Attention(v[0], v[1], v[2], fewer) },
		oracle: func(m []matrix, _ [][]float64) matrix { return attention(m[0], m[1], m[2], fewer, nil) },
	}, {
		name:   "attention of one matrix to itself",
		inputs: []matrix{normal("x", 10, 6)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Attention(v[0], v[0], v[0], ragged) },
		oracle: func(m []matrix, _ [][]float64) matrix { return attention(m[0], m[0], m[0], ragged, nil) },
	}, {
		name:   "attention behind a prefix",
		inputs: []matrix{normal("q", 10, 6), normal("k", 10, 6), normal("v", 10, 6)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Attention(v[0], v[1], v[2], causal) },
		oracle: func(m []matrix, _ [][]float64) matrix { return attention(m[0], m[1], m[2], causal, nil) },
	}, {
		name:   "attention behind a prefix with dropout",
		inputs: []matrix{normal("q", 10, 6), normal("k", 10, 6), normal("v", 10, 6)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Attention(v[0], v[1], v[2], dropping(causal, 0.3)) },
		oracle: func(m []matrix, masks [][]float64) matrix { return attention(m[0], m[1], m[2], causal, masks[0]) },
	}, {
		name:   "attention of what is behind a prefix",
		inputs: []matrix{normal("q", 5, 6), normal("k", 10, 6), normal("v", 10, 6)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Attention(v[0], v[1], v[2], target) },
		oracle: func(m []matrix, _ [][]float64) matrix { return attention(m[0], m[1], m[2], target, nil) },
	}, {
		name:   "linear with transposed weights",
		inputs: []matrix{normal("x", 5, 3), normal("w", 4, 3), normal("b", 1, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Linear(v[0], nt(v[1]), v[2]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].linear(m[1].transpose(), m[2]) },
	}, {
		name:   "vocabulary loss",
		inputs: []matrix{normal("x", 6, 4), normal("w", 4, 5), normal("b", 1, 5)},
		tape:   func(t *Tape, v []*Var) *Var { return t.VocabularyLoss(v[0], nn(v[1]), v[2], ids, 0) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].linear(m[1], m[2]).crossEntropy(ids) },
	}, {
		name:   "vocabulary loss with transposed weights and smoothing",
		inputs: []matrix{normal("x", 6, 4), normal("w", 5, 4), normal("b", 1, 5)},
		tape: func(t *Tape, v []*Var) *Var {
			return t.VocabularyLoss(t.GELU(v[0]), nt(v[1]), v[2], ids, 0.1)
		},
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].gelu().linear(m[1].transpose(), m[2]).smoothCrossEntropy(ids, 0.1)
		},
	}, {
		name:   "vocabulary loss with the table that was looked up",
		inputs: []matrix{normal("words", 5, 4), normal("b", 1, 5)},
		tape: func(t *Tape, v []*Var) *Var {
			x := t.Embed(Lookup{v[0], ids}, Lookup{v[0], others})
			return t.VocabularyLoss(t.GELU(x), nt(v[0]), v[1], ids, 0.1)
		},
		oracle: func(m []matrix, _ [][]float64) matrix {
			x := m[0].gather(ids).add(m[0].gather(others))
			return x.gelu().linear(m[0].transpose(), m[1]).smoothCrossEntropy(ids, 0.1)
		},
	}, {
		name:   "multiply",
		inputs: []matrix{normal("a", 3, 4), normal("b", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Multiply(v[0], v[1]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].times(m[1].x) },
	}, {
		name:   "multiply by itself",
		inputs: []matrix{normal("a", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Multiply(v[0], v[0]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].times(m[0].x) },
	}, {
		name:   "scale",
		inputs: []matrix{normal("x", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Add(t.Scale(v[0], -1.5), v[0]) },
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].apply(func(_ int, x float64) float64 { return -0.5 * x })
		},
	}, {
		name:   "sigmoid",
		inputs: []matrix{normal("x", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Sigmoid(v[0]) },
		oracle: func(m []matrix, _ [][]float64) matrix {
			return m[0].apply(func(_ int, x float64) float64 { return 1 / (1 + math.Exp(-x)) })
		},
	}, {
		name:   "normalize",
		inputs: []matrix{normal("x", 6, 5)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Normalize(v[0]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].normalize() },
	}, {
		name:   "rows of two matrices",
		inputs: []matrix{normal("a", 2, 7), normal("b", 4, 7)},
		tape:   func(t *Tape, v []*Var) *Var { return t.StackRows(v[0], t.GELU(v[1]), ids) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].stack(m[1].gelu()).gather(ids) },
	}, {
		name:   "rows of one matrix twice",
		inputs: []matrix{normal("a", 3, 7)},
		tape:   func(t *Tape, v []*Var) *Var { return t.Add(t.StackRows(v[0], v[0], ids), t.Rows(v[0], others)) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].stack(m[0]).gather(ids).add(m[0].gather(others)) },
	}, {
		name:   "product with a transposed matrix",
		inputs: []matrix{normal("x", 5, 3), normal("w", 4, 3)},
		tape:   func(t *Tape, v []*Var) *Var { return t.ProductNT(v[0], v[1]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].linear(m[1].transpose(), zeros(1, 4)) },
	}, {
		name:   "contrastive loss",
		inputs: []matrix{normal("scores", 15, 1)},
		tape:   func(t *Tape, v []*Var) *Var { return t.ContrastiveLoss(v[0], pairs) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].contrastiveLoss(pairs) },
	}, {
		name:   "contrastive loss of products and another loss of them",
		inputs: []matrix{normal("x", 3, 2), normal("w", 5, 2)},
		tape: func(t *Tape, v []*Var) *Var {
			scores := t.ProductNT(v[0], v[1])
			return t.Add(t.SquaredError(scores, make([]float32, 15)), t.Scale(t.ContrastiveLoss(scores, pairs), 0.5))
		},
		oracle: func(m []matrix, _ [][]float64) matrix {
			scores := m[0].linear(m[1].transpose(), zeros(1, 5))
			loss := scores.contrastiveLoss(pairs)
			loss.x[0] *= 0.5
			return loss.add(scores.squaredError(make([]float32, 15)))
		},
	}, {
		name:   "kl divergence",
		inputs: []matrix{normal("logits", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.KLDivergence(v[0], shares) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].klDivergence(shares) },
	}, {
		name:   "mean of sums",
		inputs: []matrix{normal("a", 3, 4), normal("b", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.MeanSum(t.Multiply(v[0], v[1])) },
		oracle: func(m []matrix, _ [][]float64) matrix {
			mean := zeros(1, 1)
			for _, x := range m[0].times(m[1].x).x {
				mean.x[0] += x / 3
			}
			return mean
		},
	}, {
		name:   "binary cross entropy",
		inputs: []matrix{normal("logits", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.BinaryCrossEntropy(v[0], shares) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].binaryCrossEntropy(shares) },
	}, {
		name:   "symmetric divergence",
		inputs: []matrix{normal("a", 3, 4), normal("b", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.SymmetricDivergence(v[0], v[1]) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].symmetricDivergence(m[1]) },
	}, {
		name:   "symmetric divergence and cross entropy of the same logits",
		inputs: []matrix{normal("x", 6, 4), normal("y", 6, 5), normal("w", 5, 4), normal("b", 1, 5)},
		tape: func(t *Tape, v []*Var) *Var {
			logits := t.Linear(v[0], nt(v[2]), v[3])
			return t.Add(t.CrossEntropy(logits, ids, 0.1), t.Scale(t.SymmetricDivergence(v[1], logits), 0.5))
		},
		oracle: func(m []matrix, _ [][]float64) matrix {
			logits := m[0].linear(m[2].transpose(), m[3])
			divergence := m[1].symmetricDivergence(logits)
			divergence.x[0] *= 0.5
			return logits.smoothCrossEntropy(ids, 0.1).add(divergence)
		},
	}, {
		name:   "numbers plus a matrix",
		inputs: []matrix{normal("x", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.GELU(t.Shifted(shares, v[0])) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].add(matrix{3, 4, wide(shares)}).gelu() },
	}, {
		name:   "circle loss",
		inputs: []matrix{normal("scores", 12, 1)},
		tape:   func(t *Tape, v []*Var) *Var { return t.CircleLoss(v[0], groups) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].circleLoss(normal("scores", 12, 1), groups) },
	}, {
		name:   "circle loss and another of the same scores",
		inputs: []matrix{normal("scores", 12, 1)},
		tape: func(t *Tape, v []*Var) *Var {
			return t.Add(t.Scale(t.CircleLoss(v[0], groups), 0.5), t.SquaredError(v[0], make([]float32, 12)))
		},
		oracle: func(m []matrix, _ [][]float64) matrix {
			loss := m[0].circleLoss(normal("scores", 12, 1), groups)
			loss.x[0] *= 0.5
			return loss.add(m[0].squaredError(make([]float32, 12)))
		},
	}, {
		name:   "cross entropy",
		inputs: []matrix{normal("logits", 6, 5)},
		tape:   func(t *Tape, v []*Var) *Var { return t.CrossEntropy(v[0], ids, 0) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].crossEntropy(ids) },
	}, {
		name:   "squared error",
		inputs: []matrix{normal("pred", 3, 1)},
		tape:   func(t *Tape, v []*Var) *Var { return t.SquaredError(v[0], []float32{1, -2, 0.5}) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].squaredError([]float32{1, -2, 0.5}) },
	}, {
		name:   "squared error of a matrix",
		inputs: []matrix{normal("pred", 3, 4)},
		tape:   func(t *Tape, v []*Var) *Var { return t.SquaredError(v[0], shares) },
		oracle: func(m []matrix, _ [][]float64) matrix { return m[0].squaredError(shares) },
	},
}

// loss makes a loss of the case's value, if it is none: a weighted sum of the
// columns of each row against a target.
func (c gradientCase) loss(t *Tape, d *watched, v []*Var) *Var {
	y := c.tape(t, v)
	if y.Value.Len() == 1 {
		return y
	}
	w, b, targets := weights(y.Value.Rows, y.Value.Cols)
	return t.SquaredError(t.Linear(y, nn(d.constant(w)), d.constant(b)), targets)
}

func (c gradientCase) lossOracle(masks [][]float64) float64 {
	y := c.oracle(c.inputs, masks)
	if len(y.x) == 1 {
		return y.x[0]
	}
	w, b, targets := weights(y.rows, y.cols)
	return y.linear(w, b).squaredError(targets).x[0]
}

func weights(rows, cols int) (w, b matrix, targets []float32) {
	return normal("weights", cols, 1), normal("weight", 1, 1), narrow(normal("targets", rows, 1).x)
}

func TestGradients(t *testing.T) {
	for _, c := range gradientCases {
		t.Run(c.name, func(t *testing.T) {
			d := watch()
			all := make([]bool, len(c.inputs))
			for i := range all {
				all[i] = true
			}
			value, got := c.run(t, d, all)
			masks := slices.Clone(d.masks)
			near(t, "value", []float32{value}, []float64{c.lossOracle(masks)})
			for i, m := range c.inputs {
				near(t, fmt.Sprintf("gradient of input %d", i), got[i], gradient(m, func() float64 { return c.lossOracle(masks) }))
			}
			// The same with only one input that needs a gradient, or all but one.
			for i := range c.inputs {
				for _, alone := range []bool{true, false} {
					needs := make([]bool, len(c.inputs))
					for j := range needs {
						needs[j] = (i == j) == alone
					}
					_, part := c.run(t, d, needs)
					for j := range needs {
						if needs[j] && !slices.Equal(part[j], got[j]) {
							t.Errorf("with gradients of %v only, that of input %d differs", needs, j)
						}
					}
				}
			}
		})
	}
}

// run passes once forward and backward and returns the loss and the gradients of
// the inputs that need one. Afterwards nothing but the parameters may be alive.
func (c gradientCase) run(t *testing.T, d *watched, needs []bool) (value float32, grads [][]float32) {
	t.Helper()
	before := len(d.live)
	vars := make([]*Var, len(needs))
	for i, m := range c.inputs {
		if vars[i] = d.constant(m); needs[i] {
			vars[i] = d.param(m)
		}
	}
	tape := NewTape(d, Seed{Key: 1, Pass: 2})
	loss := c.loss(tape, d, vars)
	value = d.values(loss.Value)[0]
	tape.Backward(loss, 1)
	grads = make([][]float32, len(vars))
	for i, v := range vars {
		if !needs[i] {
			if v.grad != nil {
				t.Errorf("the constant input %d has a gradient", i)
			}
			continue
		}
		grads[i] = d.gradient(v)
		d.Free(v.Value)
		d.Free(v.param.tensor)
	}
	if len(d.live) != before {
		t.Errorf("with gradients of %v, %d tensors are still alive", needs, len(d.live)-before)
	}
	return value, grads
}

// Two passes with half the scale add up to one with all of it.
func TestGradientsAccumulateOverPasses(t *testing.T) {
	d := watch()
	c := gradientCases[0]
	needs := []bool{true, true, true}
	_, want := c.run(t, d, needs)
	vars := []*Var{d.param(c.inputs[0]), d.param(c.inputs[1]), d.param(c.inputs[2])}
	for range 2 {
		tape := NewTape(d, Seed{})
		tape.Backward(c.loss(tape, d, vars), 0.5)
	}
	for i, v := range vars {
		near(t, fmt.Sprint("gradient of input ", i), d.gradient(v), wide(want[i]))
	}
}

// What the loss does not depend on gets no gradient and is freed all the same.
func TestValuesBesideTheLoss(t *testing.T) {
	d := watch()
	x, other := d.param(normal("x", 2, 1)), d.param(normal("other", 2, 1))
	before := len(d.live)
	tape := NewTape(d, Seed{})
	y := tape.GELU(x)
	tape.ReLU(tape.Add(other, y)) // a branch that ends
	tape.Backward(tape.SquaredError(y, []float32{1, 2}), 1)
	for _, g := range d.gradient(other) {
		if g != 0 {
			t.Errorf("gradient %g beside the loss", g)
		}
	}
	if d.gradient(x)[0] == 0 {
		t.Error("no gradient")
	}
	if len(d.live) != before {
		t.Errorf("%d tensors are still alive", len(d.live)-before)
	}
}
