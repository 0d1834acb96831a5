package engine

import (
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/internal/base/parallel"
)

// Tensor is a row-major float32 matrix in a device's memory. A vector of n
// elements is a 1 x n matrix.
type Tensor struct {
	Rows, Cols int
	Memory     any // the device's own; no other package looks into it
}

// Len returns the number of elements.
func (t *Tensor) Len() int { return t.Rows * t.Cols }

// ShapeError is what operations panic with when shapes do not fit: a mistake in
// the code that calls them, never in a user's data.
type ShapeError struct {
	Op     string // the operation
	Detail string // both shapes
}

func (e ShapeError) Error() string { return "engine: " + e.Op + ": " + e.Detail }

// CheckIndices panics with a [ShapeError] unless every index is in [0, rows).
func CheckIndices(op string, indices []int32, rows int) {
	for i, index := range indices {
		if index < 0 || int(index) >= rows {
			panic(ShapeError{op, fmt.Sprintf("index %d is %d, want 0 to %d", i, index, rows-1)})
		}
	}
}

// CheckShape panics with a [ShapeError] unless t is rows x cols.
func CheckShape(op, name string, t *Tensor, rows, cols int) {
	if t.Rows != rows || t.Cols != cols {
		panic(ShapeError{op, fmt.Sprintf("%s is %d x %d, want %d x %d", name, t.Rows, t.Cols, rows, cols)})
	}
}

// Transpose says which factors of a product are transposed.
type Transpose int

// The products of a forward pass (x·w) and of its two gradients.
const (
	NN Transpose = iota // a·b
	NT                  // a·bᵀ
	TN                  // aᵀ·b
)

// Weight is a matrix that rows are multiplied by, and the side it is used from. A linear map of 3
// inputs and 5 outputs is a 3 x 5 tensor with NN, or a 5 x 3 tensor with NT.
//
// A weight of [Plain] is read as it lies, for weights that training changes. [Device].Prepare
// makes one that products read faster, for weights that stay; it never changes, so devices of one
// kind may share it.
type Weight struct {
	Tensor   *Tensor
	Op       Transpose // NN: x·w, NT: x·wᵀ
	Prepared any       // of Prepare, the device's own; no other package looks into it
}

// Plain returns a weight that is read as it lies. It panics with a [ShapeError] unless op is NN or NT.
func Plain(w *Tensor, op Transpose) Weight {
	if op != NN && op != NT {
		panic(ShapeError{"weight", fmt.Sprintf("product %d, want NN or NT", op)})
	}
	return Weight{Tensor: w, Op: op}
}

// In returns the columns of x in a product x·w.
func (w Weight) In() int {
	if w.Op == NT {
		return w.Tensor.Cols
	}
	return w.Tensor.Rows
}

// Out returns the columns of the product.
func (w Weight) Out() int {
	if w.Op == NT {
		return w.Tensor.Rows
	}
	return w.Tensor.Cols
}

// Dropout describes one dropout operation. The mask is a function of Key, Stream
// and the element's index alone (a counter-based generator), so that the
// backward pass and a replayed step see the same mask without storing it.
type Dropout struct {
	Prob   float32 // of dropping; 0 does nothing
	Key    uint64  // the run's seed
	Stream uint64  // the operation: step and place in the step
}

// Attention describes one multi-head attention over packed sequences. Each
// sequence's queries look at its own keys and no others. It may have another
// number of queries than of keys (one query for the class of a text, say, or new
// tokens after a cache), and either may be none.
type Attention struct {
	Heads   int
	Queries []int32 // where each sequence's rows of q and y begin: len B+1, from 0 to their rows, never falling
	Keys    []int32 // the same for k and v; equal to Queries in self-attention over whole texts

	// Prefix, if not nil (len B), makes attention causal behind a prefix: every query sees the
	// first Prefix[s] keys of its sequence, and of the keys after them those up to its own place. Queries
	// and keys are aligned at their ends: query i of n sees the first max(Prefix[s], K-n+i+1) of K
	// keys. There are no more queries than keys then, unless there are no keys.
	Prefix []int32

	Dropout Dropout // of the probabilities, indexed by sequence, head, query, key in this order, without gaps
}

// CachedAttention describes one step of decoding: each hypothesis has one new token,
// whose query looks at all keys of the hypothesis's source and at those of the tokens written
// so far, which lie anywhere in a pool that all hypotheses share.
type CachedAttention struct {
	Heads      int
	Hypotheses []int32 // where each source's rows of q and y begin: len B+1, from 0 to their rows, never falling
	Sources    []int32 // the same for sk and sv
	Paths      []int32 // R x Steps: the rows of k and v that each hypothesis sees besides its source's
	Steps      int
}

// CircleLoss describes the circle loss of groups of scores, which lie one below the other. The
// first of a group is that of the positive pair, the next are those of its text with other images, the
// others those of its image with other texts.
type CircleLoss struct {
	Group          int     // scores of a group
	ImageNegatives int     // of them: the text with other images
	Margin, Scale  float64 // m and s
}

// Contrast describes the contrastive loss of groups of scores, which lie one after the other in
// the order of a tensor's elements.
type Contrast struct {
	Group int    // scores of a group
	Kinds []int8 // of every score: Negative, Positive or Excluded
}

// Groups returns how many groups have a positive and a negative: the loss is the mean over them.
func (c Contrast) Groups() int {
	n := 0
	for first := 0; first < len(c.Kinds); first += c.Group {
		if c.Counts(first) {
			n++
		}
	}
	return n
}

// Counts says whether the group that begins at the score first has a positive and a negative.
func (c Contrast) Counts(first int) bool {
	kinds := c.Kinds[first:][:c.Group]
	return slices.Contains(kinds, Positive) && slices.Contains(kinds, Negative)
}

// Kinds of scores. What is excluded takes no part in the loss and gets no gradient.
const (
	Negative int8 = iota
	Positive
	Excluded
)

// AdamStep holds the scalars of one Adam update:
//
//	g' = GradScale·g
//	m  = Beta1·m + (1-Beta1)·g'
//	v  = Beta2·v + (1-Beta2)·g'²
//	p  = p - StepSize·m/(sqrt(v)+Epsilon) - Decay·p   (p on the right: before the step)
type AdamStep struct {
	Beta1, Beta2, StepSize, Epsilon, GradScale, Decay float32
}

// Device computes. Methods panic with a [ShapeError] where shapes do not fit and
// must be called from one goroutine at a time; each uses all of the device.
type Device interface {
	// Name says what computes, for logs and benchmarks.
	Name() string

	// Limit bounds the threads of the loops that a program runs on the processor beside the device.
	Limit() parallel.Limit

	// Memory. New's content is undefined. Free gives a tensor of New back for
	// reuse. Wrap makes a tensor of host data and may alias it for good, so the
	// caller must leave it alone.
	New(rows, cols int) *Tensor
	Free(t *Tensor)
	Wrap(rows, cols int, host []float32) *Tensor
	Write(dst *Tensor, host []float32)
	Read(host []float32, src *Tensor)
	Zero(t *Tensor)

	// Products. MatMul: dst = op(a)·op(b), or += with accumulate. Linear: y = x·w + bias.
	// LinearGELU: h = x·w + bias, y = GELU(h); h may be y where it is not wanted.
	MatMul(dst, a, b *Tensor, op Transpose, accumulate bool)
	Linear(y, x *Tensor, w Weight, bias *Tensor)
	LinearGELU(y, h, x *Tensor, w Weight, bias *Tensor)

	// Prepare returns the weight that products with w read fastest, to the same bits. It costs about as
	// much as several products and as much memory as w, so it pays for a weight that is used often.
	// w must not change from then on. op is NN or NT; the same w may be prepared for both.
	Prepare(w *Tensor, op Transpose) Weight

	// SumRows: sum = the sum over the rows of x (1 x cols), or += with accumulate.
	SumRows(sum, x *Tensor, accumulate bool)

	// Elementwise; destinations may alias inputs. GELU is the exact form x·Φ(x);
	// its backward form also computes y = GELU(x) again, which costs next to nothing.
	// The backward form of Dropout is Dropout.
	Copy(dst, x *Tensor)
	Add(dst, a, b *Tensor)
	Multiply(dst, a, b *Tensor)
	Scale(dst, x *Tensor, c float32)
	ScaleBy(dst, x, c *Tensor) // c is 1 x 1
	Sigmoid(y, x *Tensor)
	SigmoidBackward(dx, dy, y *Tensor)
	GELU(y, x *Tensor)
	GELUBackward(dx, y, dy, x *Tensor)
	ReLU(y, x *Tensor)
	ReLUBackward(dx, dy, y *Tensor)
	Dropout(y, x *Tensor, d Dropout)

	// Layer norm over each row; eps is added to the variance. stats is N x 2: mean, 1/deviation.
	// AddNorm is the layer norm of sum = x + dropout(a); sum and stats may be nil
	// when no backward pass follows. dscale and dbias are 1 x cols.
	LayerNorm(y, stats, x, scale, bias *Tensor, eps float32)
	LayerNormBackward(dx, dscale, dbias, dy, x, scale, stats *Tensor)
	AddNorm(y, sum, stats, x, a, scale, bias *Tensor, eps float32, d Dropout)
	AddNormBackward(dx, da, dscale, dbias, dy, sum, scale, stats *Tensor, d Dropout)

	// Normalize: y = each row of x divided by its length; a row of zeros stays one. inverse (N x 1)
	// receives 1/length, or 0.
	Normalize(y, inverse, x *Tensor)
	NormalizeBackward(dx, dy, y, inverse *Tensor)

	// Rows by index: dst[i,:] = table[ids[i],:] (or +=), dtable[ids[i],:] += dy[i,:],
	// or = where first is not nil and first[i] is true. An index out of range panics like a
	// shape that does not fit.
	Gather(dst, table *Tensor, ids []int32, accumulate bool)
	ScatterAdd(dtable *Tensor, ids []int32, dy *Tensor, first []bool)

	// The same of two tables, as if b's rows lay below a's. The backward form overwrites da and db: a
	// row that no id names becomes zero.
	GatherStack(dst, a, b *Tensor, ids []int32)
	GatherStackBackward(da, db *Tensor, ids []int32, dy *Tensor)

	// Attention: y = softmax(q·kᵀ/sqrt(D))·v per head and sequence. q and y have the
	// rows that Queries divides, k and v those of Keys; all are H wide. stats (rows of
	// q x A) receives the log-sum-exp of each row of scaled scores; it may be nil
	// when no backward pass follows. A query without keys gets y = 0. y must not alias an input.
	Attention(y, stats, q, k, v *Tensor, a Attention)
	AttentionBackward(dq, dk, dv, dy, stats, q, k, v *Tensor, a Attention)

	// CachedAttention: y = softmax(q·kᵀ/sqrt(D))·v per head and hypothesis, the softmax over the keys of
	// sk and k together. q and y have a row per hypothesis, sk and sv a row per token of the sources, k and v are
	// the pool; all are H wide. Sources without hypotheses cost nothing; a hypothesis without keys gets y = 0.
	// It has no gradient. y must not alias an input.
	CachedAttention(y, q, sk, sv, k, v *Tensor, a CachedAttention)

	// Losses, the mean over rows, into loss (1 x 1). CrossEntropy's probs (B x C)
	// receives the softmax of the logits. The backward forms multiply by dloss. A
	// class out of range panics like a shape; the mean of no rows is NaN. SquaredError is the mean over all
	// elements of pred, of any shape, of (pred - target)².
	CrossEntropy(loss, probs, logits *Tensor, classes []int32)
	CrossEntropyBackward(dlogits, dloss, probs *Tensor, classes []int32)
	SquaredError(loss, pred *Tensor, targets []float32)
	SquaredErrorBackward(dpred, dloss, pred *Tensor, targets []float32)

	// Losses that also give their derivatives, slopes, of the input's shape; the backward form is ScaleBy.
	//
	// KLDivergence: the mean over rows of Σ_c t_c·(log t_c - log softmax(logits)_c), where 0·log 0 = 0. A row of
	// targets, which are as many as the logits, is a distribution.
	//
	// ContrastiveLoss: the mean of
	//
	//	-log(Σ_positives exp(s) / (Σ_positives exp(s) + Σ_negatives exp(s)))
	//
	// over the groups that have both kinds, in float64, without overflow on the way; 0 if no group has. scores
	// may have any shape.
	//
	// CircleLoss: with p the score of a group's positive pair, n those of one kind of negatives, and
	// a⁺ = max(0, 1+m-p), aᵢ = max(0, nᵢ+m), which pass no gradient on, the mean over the groups of half the sum over both kinds of
	//
	//	log(1 + exp(-s·a⁺·(p-(1-m))) · Σᵢ exp(s·aᵢ·(nᵢ-m)))
	//
	// in float64, without overflow on the way. scores are G·Group x 1. A kind without negatives counts 0; the
	// mean of no groups is NaN.
	KLDivergence(loss, slopes, logits *Tensor, targets []float32)
	ContrastiveLoss(loss, slopes, scores *Tensor, c Contrast)
	CircleLoss(loss, slopes, scores *Tensor, c CircleLoss)

	// VocabularyLoss is CrossEntropy of the logits x·w + bias, which exist for a block at a time only, with
	// label smoothing e: the mean over rows of
	// -Σ_v ((1-e)·[v = label] + e/V)·log softmax(logits)_v. stats (N x 1) receives the log-sum-exp of each
	// row; the backward form computes the logits again. dw lies as w.Tensor does. dw and db, of which each may
	// be nil, are overwritten or, with addW and addB, added to.
	VocabularyLoss(loss, stats, x *Tensor, w Weight, bias *Tensor, labels []int32, smoothing float32)
	VocabularyLossBackward(dx, dw, db, dloss, stats, x *Tensor, w Weight, bias *Tensor, labels []int32, smoothing float32, addW, addB bool)

	// TopK finds the k largest elements of each row of x and their columns, the largest first and of equal
	// ones the lower column, into values and ids (rows x k), and the log-sum-exp of the row, with an
	// error of some 1e-6 at most. The column except, if it is not negative, counts as -Inf in both. k is 1 to cols-1. A
	// row that holds NaN or +Inf gets NaN for both, and columns that say nothing.
	TopK(ids []int32, values []float32, logSums []float64, x *Tensor, k int, except int32)

	// Optimiser, on the given rows; nil is all. SumSquares adds the rows' sums of squares up
	// in float64, one after the other. Adam takes one step. AdamIdle takes, in row rows[i], the
	// steps history[from[i]:] with a gradient of zero, to the same bits as Adam would.
	SumSquares(t *Tensor, rows []int32) float64
	Adam(p, m, v, g *Tensor, rows []int32, s AdamStep)
	AdamIdle(p, m, v *Tensor, rows, from []int32, history []AdamStep)
}

// hostMemory is implemented by devices whose memory the program sees.
type hostMemory interface {
	Host(t *Tensor) []float32
}

// Values returns the elements of t: the memory itself where the device allows it
// (valid until t changes), otherwise a copy. Who changes them hands them back with
// Device.Write, which has nothing to do if they are the memory.
func Values(d Device, t *Tensor) []float32 {
	if h, ok := d.(hostMemory); ok {
		return h.Host(t)
	}
	values := make([]float32, t.Len())
	d.Read(values, t)
	return values
}
