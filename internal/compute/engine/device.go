package engine

import "github.com/unimo-go/unimo/internal/base/parallel"

// Device computes. Methods panic with a [ShapeError] where shapes do not fit and
// must be called from one goroutine at a time, but for Memory's; each uses all of the device.
type Device interface {
	// Name says what computes, for logs and benchmarks.
	Name() string

	// Limit bounds the threads of the loops that a program runs on the processor beside the device.
	Limit() parallel.Limit

	// Rowwise says whether work on some rows of a tensor is less than on all. If not, gradients of tables are dense and the optimiser
	// steps all rows.
	Rowwise() bool

	// Fork returns a device with the same memory and limit, which another goroutine may use meanwhile. Either frees the other's tensors.
	Fork() Device

	Memory
	Products
	Elementwise
	Rows
	Attentions
	Losses
	Optimiser
	Convolutions
}

// Memory makes tensors and moves numbers. New's content is undefined. Free gives a tensor of New
// back for reuse. Wrap makes a tensor of host data and may alias it for good, so the caller must
// leave it alone. Part is some rows of a tensor, in its memory, for as long as that is alive.
//
// Store makes a tensor of numbers in fewer bytes, which it aliases. Prepare, Gather and Read take them as they are. Any other
// operation that reads the tensor turns it into float32 first, once and for good, which costs what was saved.
type Memory interface {
	New(rows, cols int) *Tensor
	Free(t *Tensor)
	Wrap(rows, cols int, host []float32) *Tensor
	Store(s Stored) *Tensor
	Part(t *Tensor, from, to int) *Tensor
	Write(dst *Tensor, host []float32)
	Read(host []float32, src *Tensor)
	Zero(t *Tensor)
	// Sparse says that few rows of t will be written, before the first is. Others may then take no memory.
	Sparse(t *Tensor)
}

// Products multiply matrices.
type Products interface {
	// MatMul: dst = op(a)·op(b), or += with accumulate. Linear: y = x·w + bias; bias may be nil.
	// LinearActivate: h = x·w + bias, y = a(h); h may be y where it is not wanted.
	MatMul(dst, a, b *Tensor, op Transpose, accumulate bool)
	Linear(y, x *Tensor, w Weight, bias *Tensor)
	LinearActivate(y, h, x *Tensor, w Weight, bias *Tensor, a Activation)

	// Prepare returns the weight that products with w read fastest, to the same bits. It costs about as
	// much as several products and as much memory as w, so it pays for a weight that is used often.
	// w must not change from then on. op is NN or NT; the same w may be prepared for both.
	//
	// Of a stored w the products are those of its numbers in float32, except of Int8 with a scale for each column of the
	// product: then each row of x is rounded to 8 bits, too. Its range, with zero in it, has 255 steps.
	Prepare(w *Tensor, op Transpose) Weight
}

// Elementwise operations; destinations may alias inputs. The forward form of ActivateBackward, which is for ReLU, SiLU and the
// forms of GELU, is Activate of [Convolutions]; it also computes y = a(x) again, which costs next to nothing.
// The backward form of Dropout is Dropout.
type Elementwise interface {
	Copy(dst, x *Tensor)
	Add(dst, a, b *Tensor)
	Multiply(dst, a, b *Tensor)
	Scale(dst, x *Tensor, c float32)
	ScaleBy(dst, x, c *Tensor) // c is 1 x 1
	Sigmoid(y, x *Tensor)
	SigmoidBackward(dx, dy, y *Tensor)
	Tanh(y, x *Tensor)
	TanhBackward(dx, dy, y *Tensor)
	ActivateBackward(dx, y, dy, x *Tensor, a Activation)
	ReLU(y, x *Tensor)
	ReLUBackward(dx, dy, y *Tensor)
	Dropout(y, x *Tensor, d Dropout)
	Noise(x *Tensor, bounds []float32, n Noise) // x = numbers drawn evenly from -b to b, b being the bound of the row
}

// Rows are operations on whole rows: their sums, norms and largest elements, and rows by index.
type Rows interface {
	// SumRows: sum = the sum over the rows of x (1 x cols), or += with accumulate.
	SumRows(sum, x *Tensor, accumulate bool)

	// Layer norm over each row; eps is added to the variance. stats is N x 2: mean, 1/deviation.
	// AddNorm is the layer norm of sum = x + dropout(a); sum and stats may be nil
	// when no backward pass follows. dscale and dbias are 1 x cols.
	LayerNorm(y, stats, x, scale, bias *Tensor, eps float32)
	LayerNormBackward(dx, dscale, dbias, dy, x, scale, stats *Tensor)
	AddNorm(y, sum, stats, x, a, scale, bias *Tensor, eps float32, d Dropout)
	AddNormBackward(dx, da, dscale, dbias, dy, sum, scale, stats *Tensor, d Dropout)

	// SwiGLU: each row of h is two halves, y = SiLU(the first)·(the second), elementwise. y and dh do not alias.
	SwiGLU(y, h *Tensor)
	SwiGLUBackward(dh, dy, h *Tensor)

	// Normalize: y = each row of x divided by its length; a row of zeros stays one. inverse (N x 1)
	// receives 1/length, or 0.
	Normalize(y, inverse, x *Tensor)
	NormalizeBackward(dx, dy, y, inverse *Tensor)

	// Gather: dst[i,:] = table[ids[i],:] (or +=). ScatterAdd: dtable[ids[i],:] += dy[i,:],
	// or = where first is not nil and first[i] is true. An index out of range panics like a
	// shape that does not fit.
	Gather(dst, table *Tensor, ids []int32, accumulate bool)
	ScatterAdd(dtable *Tensor, ids []int32, dy *Tensor, first []bool)

	// The same of two tables, as if b's rows lay below a's. The backward form overwrites da and db: a
	// row that no id names becomes zero.
	GatherStack(dst, a, b *Tensor, ids []int32)
	GatherStackBackward(da, db *Tensor, ids []int32, dy *Tensor)

	// TopK finds the k largest elements of each row of x and their columns, the largest first and of equal
	// ones the lower column, into values and ids (rows x k), and the log-sum-exp of the row, with an
	// error of some 1e-6 at most. The column except, if it is not negative, counts as -Inf in both. k is 1 to cols-1. A
	// row that holds NaN or +Inf gets NaN for both, and columns that say nothing.
	TopK(ids []int32, values []float32, logSums []float64, x *Tensor, k int, except int32)

	// Ascend moves the rows of examples along slopes, times scale, so far that the step's norm is a's rate, and brings them within its bound.
	Ascend(x, slopes *Tensor, scale float32, a Ascent)
}

// Attentions mix rows of a sequence.
type Attentions interface {
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
}

// Losses are means over rows, into loss (1 x 1); that of no rows is NaN. The backward forms multiply by
// dloss. A class out of range panics like a shape.
type Losses interface {
	// MeanSum is the mean over rows of the sum of their elements. slopes receives the derivatives; the backward form is ScaleBy.
	MeanSum(loss, slopes, x *Tensor)

	// CrossEntropy has label smoothing e: the mean over rows of
	// -Σ_c ((1-e)·[c = class] + e/C)·log softmax(logits)_c. dlogits is overwritten or, with add, added to.
	CrossEntropy(loss, logits *Tensor, classes []int32, smoothing float32)
	CrossEntropyBackward(dlogits, dloss, logits *Tensor, classes []int32, smoothing float32, add bool)

	// SquaredError is the mean over all elements of pred, of any shape, of (pred - target)².
	SquaredError(loss, pred *Tensor, targets []float32)
	SquaredErrorBackward(dpred, dloss, pred *Tensor, targets []float32)

	// KLDivergence: the mean over rows of Σ_c t_c·(log t_c - log softmax(logits)_c), where 0·log 0 = 0. A row of
	// targets, which are as many as the logits, is a distribution. slopes receives the derivatives; the
	// backward form is ScaleBy.
	KLDivergence(loss, slopes, logits *Tensor, targets []float32)

	// BinaryCrossEntropy asks about each class by itself: the mean over rows of the sum over classes of
	// -t·log σ(x) - (1-t)·log(1 - σ(x)), where σ is the sigmoid and each target t, of which there are as many as
	// logits x, is 0 to 1. slopes receives the derivatives; the backward form is ScaleBy.
	BinaryCrossEntropy(loss, slopes, logits *Tensor, targets []float32)

	// SymmetricDivergence compares what the rows of two matrices of logits say: with p and q the softmax of both, the
	// mean over rows of Σ_c (p_c - q_c)·(log p_c - log q_c). da and db, of which each may be nil, are overwritten or,
	// with addA and addB, added to.
	SymmetricDivergence(loss, a, b *Tensor)
	SymmetricDivergenceBackward(da, db, dloss, a, b *Tensor, addA, addB bool)

	// VocabularyLoss is CrossEntropy of the logits x·w + bias, which exist for a block at a time only. stats (N x 1)
	// receives the log-sum-exp of each row; the backward form computes the logits again. dw lies as w.Tensor does. dw
	// and db, of which each may be nil, are overwritten or, with addW and addB, added to.
	VocabularyLoss(loss, stats, x *Tensor, w Weight, bias *Tensor, labels []int32, smoothing float32)
	VocabularyLossBackward(dx, dw, db, dloss, stats, x *Tensor, w Weight, bias *Tensor, labels []int32, smoothing float32, addW, addB bool)

	// ContrastiveLoss and CircleLoss are means over groups of scores, in float64: see package autograd. slopes receives the derivatives; the backward
	// form is ScaleBy.
	ContrastiveLoss(loss, slopes, scores *Tensor, c Contrast)
	CircleLoss(loss, slopes, scores *Tensor, c CircleLoss)

	// LossSlope is what a pass backwards begins with: dloss = scale. On a device that computes late it is NaN where the loss is not finite: gradients say
	// so then, as nobody may have read it.
	LossSlope(dloss, loss *Tensor, scale float32)
}

// Optimiser steps, on the given rows; nil is all. RowSquares computes the rows' sums of squares in
// float64, and SumSquares adds them up, one after the other, of each tensor: of rows[i] of ts[i], where nil rows are all of all. It is one
// call because to read a number may take long. Adam takes one step. AdamIdle takes, in row rows[i], the
// steps history[from[i]:] with a gradient of zero, to the same bits as Adam would. AdamBfloat16 and AdamIdleBfloat16 are the same with
// both moments in one element, m as bfloat16 in its upper half and v in the lower, which are rounded by chance; the rounding of an idle
// step is that of history[0].
//
// AdamFactored has no first moment, and the second as rows and columns say (see [Factored]). The update u = g'/(sqrt(v)+Epsilon) is divided by the
// root of the mean of its squares, where that is above 1: p = p - StepSize/max(1, root)·u - Decay·p. The mean is over the rows whose gradient is
// not zero, so that it is the same whether a table's rows are given or all are. In steps of AdamIdleFactored the averages of columns stay as
// they are: of all rows together no step is idle.
//
// Clip is for a device that computes late: it finds out by what the next steps multiply gradients (see AdamStep), and the host need not read
// their norm before. clip (1 x 1) = limit/max(norm of all ts together, limit), where no limit (0) is 1. It is NaN where the norm is not finite,
// and stays NaN. measure (1 x 4) is for the host: the norm in two parts ([Joined]), which of ts is the first whose sum of squares is not finite (how
// many they are: none by itself), and clip. Idle steps have nothing to clip.
type Optimiser interface {
	RowSquares(sums []float64, t *Tensor, rows []int32)
	SumSquares(sums []float64, ts []*Tensor, rows [][]int32)
	Clip(clip, measure *Tensor, ts []*Tensor, limit float64)
	Adam(p, m, v, g *Tensor, rows []int32, s AdamStep)
	AdamIdle(p, m, v *Tensor, rows, from []int32, history []AdamStep)
	AdamBfloat16(p, moments, g *Tensor, rows []int32, s AdamStep, r Rounding)
	AdamIdleBfloat16(p, moments *Tensor, rows, from []int32, history []AdamStep, r Rounding)
	AdamFactored(p *Tensor, f Factored, g *Tensor, rows []int32, s AdamStep)
	AdamIdleFactored(p *Tensor, f Factored, rows, from []int32, history []AdamStep)
}

// Convolutions read one picture: a tensor with a row for each pixel, row by row of the picture, and a column for each
// channel. They have no gradients. y must not alias x unless an operation says so.
type Convolutions interface {
	// PrepareFilter makes the weights of a convolution ready. w is Out x (In/groups·rows·cols), its columns in
	// PyTorch's order: channel, row of the kernel, column. bias is 1 x Out; nil is zeros. Both are copied.
	PrepareFilter(w, bias *Tensor, rows, cols, groups int) Filter

	// Convolve: y = activation(x * f + bias + residual), where the residual is as large as y. With as many
	// groups as channels in and out (depthwise), and with a kernel of one pixel, it is fastest.
	Convolve(y, x *Tensor, f Filter, w Window, e Epilogue)

	// ConvolveChain computes convolutions one after the other, each of what the one before it gives, to the same bits as
	// Convolve does. What lies between them is never whole in memory but a few rows at a time, in the cache: expanded
	// channels, say. Only the last step may have a residual, which may be x.
	ConvolveChain(y, x *Tensor, steps ...Step)

	// MaxPool and AveragePool: the largest element and the mean of each window, channel by channel. The mean
	// is over the picture's pixels in the window or, with countPadding, over all places of the window. Of a window with no pixel
	// the maximum is -Inf and the mean 0.
	MaxPool(y, x *Tensor, w Window)
	AveragePool(y, x *Tensor, w Window, countPadding bool)

	// MeanRows: mean = the mean over the rows of x (1 x cols), which is global average pooling.
	MeanRows(mean, x *Tensor)

	// ScaleColumns: y = each row of x times the row s (1 x cols), as squeeze-and-excitation needs. y may be x.
	ScaleColumns(y, x, s *Tensor)

	// Activate: y = the epilogue's activation of x plus the residual. y may be x or the residual.
	Activate(y, x *Tensor, e Epilogue)

	// Resize: y = x, resized.
	Resize(y, x *Tensor, r Resize)

	// Concatenate: y = the columns of each x beside each other. Slice: y = the columns of x from first on, as
	// many as y has.
	Concatenate(y *Tensor, xs ...*Tensor)
	Slice(y, x *Tensor, first int)
}
