package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/engine"
)

// attentionCase is attention over sequences of the given lengths.
type attentionCase struct {
	lengths      []int
	heads, width int // of a head
	drop         float32
}

var attentionCases = []attentionCase{
	{[]int{}, 2, 4, 0},
	{[]int{0}, 2, 4, 0},
	{[]int{1}, 1, 1, 0},
	{[]int{1, 2, 13}, 3, 5, 0},
	{[]int{13, 0, 2, 0}, 2, 8, 0.3},
	{[]int{64, 65, 1, 13, 2}, 3, 16, 0.1},
	{[]int{65}, 1, 64, 0.5},
}

func (c attentionCase) String() string {
	return fmt.Sprintf("%v %dx%d drop %g", c.lengths, c.heads, c.width, c.drop)
}

func (c attentionCase) attention() engine.Attention {
	offsets := []int32{0}
	for _, n := range c.lengths {
		offsets = append(offsets, offsets[len(offsets)-1]+int32(n))
	}
	return engine.Attention{Heads: c.heads, Offsets: offsets, Dropout: engine.Dropout{Prob: c.drop, Key: 7, Stream: 11}}
}

func (c attentionCase) rows() int {
	n := 0
	for _, t := range c.lengths {
		n += t
	}
	return n
}

func (c attentionCase) hidden() int { return c.heads * c.width }

// eachHead calls f for every head of every sequence with its first row and
// column, the number of tokens and where its probabilities begin.
func (c attentionCase) eachHead(f func(row, col, tokens, probs int)) {
	row, probs := 0, 0
	for _, t := range c.lengths {
		for h := range c.heads {
			f(row, h*c.width, t, probs)
			probs += t * t
		}
		row += t
	}
}

// forward is the oracle of the forward pass.
func (c attentionCase) forward(x numbers) results {
	hidden, mask := c.hidden(), dropMask(c.attention().ProbsLen(), c.attention().Dropout)
	y, probs := make([]exact, c.rows()*hidden), make([]exact, len(mask))
	scale := 1 / math.Sqrt(float64(c.width))
	c.eachHead(func(row, col, tokens, first int) {
		for i := range tokens {
			scores, worst := make([]float64, tokens), 0.0
			for j := range scores {
				var s sum
				for l := range c.width {
					s.add(x["q"][(row+i)*hidden+col+l] * x["k"][(row+j)*hidden+col+l])
				}
				scores[j] = s.value * scale
				worst = max(worst, s.error()*scale)
			}
			p, _ := softmax(scores)
			relative := softmaxError(tokens, scores) + 2*worst
			for j, v := range p {
				probs[first+i*tokens+j] = exact{v, v * relative}
			}
			for l := range c.width {
				var s sum
				for j, v := range p {
					s.add(v * mask[first+i*tokens+j] * x["v"][(row+j)*hidden+col+l])
				}
				y[(row+i)*hidden+col+l] = exact{s.value, s.error() + s.size*(relative+epsilon)}
			}
		}
	})
	return results{"y": y, "probs": probs}
}

// probabilities returns rows that a softmax could have made.
func (c attentionCase) probabilities() []float32 {
	var probs []float32
	c.eachHead(func(_, _, tokens, first int) {
		for i := range tokens {
			p, _ := softmax(wide(random(tokens, fmt.Sprint("probs", first, i))))
			for _, v := range p {
				probs = append(probs, float32(v))
			}
		}
	})
	return probs
}

// backward is the oracle of the backward pass; the probabilities are inputs.
func (c attentionCase) backward(x numbers) results {
	hidden, mask := c.hidden(), dropMask(c.attention().ProbsLen(), c.attention().Dropout)
	sums, extra := map[string][]sum{}, map[string][]float64{} // extra: the errors of the terms
	for _, name := range []string{"dq", "dk", "dv"} {
		extra[name] = make([]float64, len(x[name]))
		for _, v := range x[name] {
			sums[name] = append(sums[name], start(v))
		}
	}
	scale := 1 / math.Sqrt(float64(c.width))
	c.eachHead(func(row, col, tokens, first int) {
		at := func(i, l int) int { return (row+i)*hidden + col + l }
		for i := range tokens {
			p, m := x["probs"][first+i*tokens:][:tokens], mask[first+i*tokens:][:tokens]
			dp := make([]exact, tokens)
			var dot sum
			var dotError float64
			for j := range tokens {
				var s sum
				for l := range c.width {
					s.add(x["dy"][at(i, l)] * x["v"][at(j, l)])
					sums["dv"][at(j, l)].add(p[j] * m[j] * x["dy"][at(i, l)])
				}
				dp[j] = exact{m[j] * s.value, m[j] * (s.error() + epsilon*math.Abs(s.value))}
				dot.add(p[j] * dp[j].value)
				dotError += p[j] * dp[j].tolerance
			}
			dotError += dot.error()
			for j := range tokens {
				ds := scale * p[j] * (dp[j].value - dot.value)
				dsError := scale * p[j] * (dp[j].tolerance + dotError + 4*epsilon*(math.Abs(dp[j].value)+math.Abs(dot.value)))
				for l := range c.width {
					sums["dq"][at(i, l)].add(ds * x["k"][at(j, l)])
					extra["dq"][at(i, l)] += dsError * math.Abs(x["k"][at(j, l)])
					sums["dk"][at(j, l)].add(ds * x["q"][at(i, l)])
					extra["dk"][at(j, l)] += dsError * math.Abs(x["q"][at(i, l)])
				}
			}
		}
	})
	want := results{}
	for name, list := range sums {
		want[name] = each(len(list), func(i int) exact {
			e := list[i].exact()
			e.tolerance += extra[name][i]
			if name == "dv" {
				e.tolerance += epsilon * list[i].size // the dropped probabilities are rounded
			}
			return e
		})
	}
	if sums["dq"] == nil { // no rows
		want = results{"dq": {}, "dk": {}, "dv": {}}
	}
	return want
}

func TestAttention(t *testing.T) {
	var operations []operation
	for _, c := range attentionCases {
		a, n, h := c.attention(), c.rows(), c.hidden()
		operations = append(operations, operation{
			name: named("attention", c),
			operands: []operand{
				overwritten("y", n, h), overwritten("probs", 1, a.ProbsLen()), in("q", n, h), in("k", n, h), in("v", n, h),
			},
			run:    func(d *Device, t tensors) { d.Attention(t["y"], t["probs"], t["q"], t["k"], t["v"], a) },
			oracle: c.forward,
		}, operation{
			name: named("attention without probabilities", c),
			operands: []operand{
				overwritten("y", n, h), in("q", n, h), in("k", n, h), in("v", n, h),
			},
			run:    func(d *Device, t tensors) { d.Attention(t["y"], nil, t["q"], t["k"], t["v"], a) },
			oracle: c.forward,
		}, operation{
			name: named("attention backward", c),
			operands: []operand{
				accumulated("dq", n, h), accumulated("dk", n, h), accumulated("dv", n, h),
				in("dy", n, h), given("probs", 1, a.ProbsLen(), c.probabilities()), in("q", n, h), in("k", n, h), in("v", n, h),
			},
			run: func(d *Device, t tensors) {
				d.AttentionBackward(t["dq"], t["dk"], t["dv"], t["dy"], t["probs"], t["q"], t["k"], t["v"], a)
			},
			oracle: c.backward,
		})
	}
	check(t, operations...)
}

// A sequence's result must not depend on its neighbours in the batch.
func TestSequencesDoNotSeeEachOther(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := New()
		const hidden = 24
		whole := attentionCase{[]int{13, 64, 2}, 3, 8, 0}
		n := whole.rows()
		q, k, v, y := d.Wrap(n, hidden, random(n*hidden, "q")), d.Wrap(n, hidden, random(n*hidden, "k")), d.Wrap(n, hidden, random(n*hidden, "v")), d.New(n, hidden)
		d.Attention(y, nil, q, k, v, whole.attention())
		row := 0
		for _, length := range whole.lengths {
			part := func(x *engine.Tensor) *engine.Tensor {
				return d.Wrap(length, hidden, slices.Clone(data(x)[row*hidden:(row+length)*hidden]))
			}
			alone := d.New(length, hidden)
			d.Attention(alone, nil, part(q), part(k), part(v), attentionCase{[]int{length}, 3, 8, 0}.attention())
			if !sameBits(data(alone), data(part(y))) {
				t.Errorf("the sequence of %d tokens differs in the batch", length)
			}
			row += length
		}
	})
}

// Gradients of the backward pass use the forward pass's mask: where a probability
// was dropped, the value gets no gradient through it.
func TestAttentionDropsTheSameForwardAndBackward(t *testing.T) {
	d := New()
	c := attentionCase{[]int{7}, 1, 7, 0.5}
	a := c.attention()
	identity := make([]float32, 49)
	for i := range 7 {
		identity[8*i] = 1
	}
	tensor := func(x []float32) *engine.Tensor { return d.Wrap(7, 7, slices.Clone(x)) }
	zero := make([]float32, 49)
	q, k, probs := tensor(random(49, "q")), tensor(random(49, "k")), d.New(1, 49)
	// With v the identity, y is the dropped probabilities; with dy the identity, dv is
	// their transpose.
	y, dv := d.New(7, 7), tensor(zero)
	d.Attention(y, probs, q, k, tensor(identity), a)
	d.AttentionBackward(tensor(zero), tensor(zero), dv, tensor(identity), probs, q, k, tensor(identity), a)
	dropped := 0
	for i := range 7 {
		for j := range 7 {
			forward, backward := data(y)[7*i+j], data(dv)[7*j+i]
			if forward != backward {
				t.Errorf("probability %d, %d is %g forward and %g backward", i, j, forward, backward)
			}
			if forward == 0 {
				dropped++
			}
		}
	}
	if dropped < 10 || dropped > 39 {
		t.Errorf("%d of 49 were dropped, with probability 1/2", dropped)
	}
}

func TestAttentionRefusesBadDivisions(t *testing.T) {
	d := New()
	for _, a := range []engine.Attention{
		{Heads: 0, Offsets: []int32{0, 4}},
		{Heads: 4, Offsets: []int32{0, 4}},
		{Heads: 2},
		{Heads: 2, Offsets: []int32{0}},
		{Heads: 2, Offsets: []int32{0, 3}},
		{Heads: 2, Offsets: []int32{0, 5}},
		{Heads: 2, Offsets: []int32{1, 4}},
		{Heads: 2, Offsets: []int32{0, 3, 1, 4}},
		{Heads: 2, Offsets: []int32{0, 6, 4}},
	} {
		x := d.New(4, 6)
		mustPanicWithShape(t, fmt.Sprintf("%+v", a), func() { d.Attention(d.New(4, 6), nil, x, x, x, a) })
	}
}
