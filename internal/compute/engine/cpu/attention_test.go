package cpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
)

// attentionCase is attention over sequences of the given numbers of queries and
// keys.
type attentionCase struct {
	queries, keys []int
	heads, width  int // of a head
	drop          float32
	prefix        []int32 // nil: every query sees all keys
}

// selfAttention is the case of whole sequences.
func selfAttention(lengths []int, heads, width int, drop float32) attentionCase {
	return attentionCase{lengths, lengths, heads, width, drop, nil}
}

// behind makes the case causal behind prefixes.
func (c attentionCase) behind(prefix ...int32) attentionCase {
	c.prefix = prefix
	return c
}

var attentionCases = []attentionCase{
	selfAttention(nil, 2, 4, 0),
	selfAttention([]int{0}, 2, 4, 0),
	selfAttention([]int{1}, 1, 1, 0),
	selfAttention([]int{1, 2, 13}, 3, 5, 0),
	selfAttention([]int{13, 0, 2, 0}, 2, 8, 0.3),
	selfAttention([]int{64, 65, 1, 13, 2}, 3, 16, 0.1),
	selfAttention([]int{65}, 1, 64, 0.5),
	selfAttention([]int{31}, 1, 8, 1),
	selfAttention([]int{blockQueries*2 + 3, 0, 5}, 1, 32, 0.1), // divided by queries
	selfAttention([]int{blockQueries*2 + 3, 5}, 3, 32, 0.1),
	{[]int{1, 1, 1}, []int{5, 17, 40}, 2, 8, 0.2, nil},
	{[]int{0, 3, 2, 70}, []int{4, 0, 7, 3}, 2, 7, 0.2, nil},
	{[]int{2, 7}, []int{blockScores/4 + 3, 9}, 1, 3, 0.1, nil}, // fewer queries in a block
	selfAttention(nil, 2, 4, 0).behind(),
	selfAttention([]int{0, 1, 1, 2, 2, 2}, 2, 4, 0).behind(0, 0, 1, 0, 1, 2),
	selfAttention([]int{13, 13, 13, 13, 0, 5}, 3, 5, 0.2).behind(0, 6, 12, 13, 0, 1),
	selfAttention([]int{blockQueries, blockQueries + 1, 2*blockQueries + 9}, 2, 8, 0).behind(blockQueries-1, 1, blockQueries+2),
	selfAttention([]int{2*blockQueries + 9}, 1, 16, 0.1).behind(0), // divided by queries
	selfAttention([]int{2*blockQueries + 9}, 1, 16, 0.1).behind(blockQueries + 5),
	selfAttention([]int{500, 420}, 1, 4, 0.1).behind(400, 0), // more keys than a product's block
	{[]int{3, 1, 7, 0, 5}, []int{9, 4, 7, 3, 60}, 2, 7, 0.2, []int32{4, 4, 0, 2, 58}},
	{[]int{0, 2}, []int{4, 0}, 2, 7, 0, []int32{4, 0}}, // without keys
	{[]int{2*blockQueries + 1}, []int{400}, 1, 8, 0.1, []int32{230}},
	{[]int{9}, []int{blockScores/4 + 3}, 1, 3, 0.1, []int32{blockScores / 4}},
}

func (c attentionCase) String() string {
	return fmt.Sprintf("%v to %v %dx%d drop %g behind %v", c.queries, c.keys, c.heads, c.width, c.drop, c.prefix)
}

// offsets returns where sequences of the given lengths begin, and their end.
func offsets(lengths []int) []int32 {
	list := []int32{0}
	for _, n := range lengths {
		list = append(list, list[len(list)-1]+int32(n))
	}
	return list
}

func (c attentionCase) attention() engine.Attention {
	return engine.Attention{
		Heads: c.heads, Queries: offsets(c.queries), Keys: offsets(c.keys),
		Prefix: c.prefix, Dropout: engine.Dropout{Prob: c.drop, Key: 7, Stream: 11},
	}
}

// rows returns the number of queries and of keys.
func (c attentionCase) rows() (queries, keys int) {
	for s := range c.queries {
		queries += c.queries[s]
		keys += c.keys[s]
	}
	return queries, keys
}

func (c attentionCase) hidden() int { return c.heads * c.width }

// mask is what the probabilities are multiplied by.
func (c attentionCase) mask() []float64 {
	n := 0
	for s := range c.queries {
		n += c.heads * c.queries[s] * c.keys[s]
	}
	return dropMask(n, c.attention().Dropout)
}

// eachQuery calls f for every query of every head of every sequence: with the head, the query's
// row, that of the first key, how many keys the query sees, and the mask of their probabilities.
func (c attentionCase) eachQuery(f func(head, row, key, keys int, mask []float64)) {
	query, key, mask := 0, 0, c.mask()
	for s := range c.queries {
		for head := range c.heads {
			for i := range c.queries[s] {
				sees := c.keys[s]
				if c.prefix != nil {
					sees = max(int(c.prefix[s]), c.keys[s]-c.queries[s]+i+1)
				}
				f(head, query+i, key, sees, mask[:sees])
				mask = mask[c.keys[s]:]
			}
		}
		query += c.queries[s]
		key += c.keys[s]
	}
}

// probabilities returns those of query i, in the row given, over a sequence's keys,
// the log-sum-exp of its scores, and how far rounding in float32 may take
// both: the probabilities relatively, the other absolutely.
func (c attentionCase) probabilities(x numbers, head, row, key, keys int) (p []float64, logSum, relative, absolute float64) {
	hidden, scale := c.hidden(), 1/math.Sqrt(float64(c.width))
	scores, worst := make([]float64, keys), 0.0
	q, k := x["q"], x["k"]
	for j := range scores {
		var s sum
		for l := head * c.width; l < (head+1)*c.width; l++ {
			s.add(q[row*hidden+l] * k[(key+j)*hidden+l])
		}
		scores[j] = s.value * scale
		worst = max(worst, s.error()*scale)
	}
	p, logSum = softmax(scores)
	relative = softmaxError(keys, scores) + 2*worst
	return p, logSum, relative, relative + 4*epsilon*math.Abs(logSum)
}

// forward is the oracle of the forward pass.
func (c attentionCase) forward(x numbers) results {
	queries, _ := c.rows()
	hidden, values := c.hidden(), x["v"]
	y, stats := make([]exact, queries*hidden), make([]exact, queries*c.heads)
	c.eachQuery(func(head, i, key, keys int, mask []float64) {
		p, logSum, relative, absolute := c.probabilities(x, head, i, key, keys)
		if stats[i*c.heads+head] = (exact{logSum, absolute}); keys == 0 {
			stats[i*c.heads+head] = exact{}
		}
		for l := head * c.width; l < (head+1)*c.width; l++ {
			var s sum
			for j, v := range p {
				s.add(v * mask[j] * values[(key+j)*hidden+l])
			}
			y[i*hidden+l] = exact{s.value, s.error() + s.size*(relative+4*epsilon)}
		}
	})
	return results{"y": y, "stats": stats}
}

// stats returns what the forward pass hands to the backward pass.
func (c attentionCase) stats() []float32 {
	queries, keys := c.rows()
	x := numbers{"q": wide(random(queries*c.hidden(), "q")), "k": wide(random(keys*c.hidden(), "k"))}
	stats := make([]float32, queries*c.heads)
	c.eachQuery(func(head, i, key, keys int, _ []float64) {
		_, logSum, _, _ := c.probabilities(x, head, i, key, keys)
		stats[i*c.heads+head] = float32(logSum)
	})
	return stats
}

// backward is the oracle of the backward pass.
func (c attentionCase) backward(x numbers) results {
	queries, keys := c.rows()
	hidden := c.hidden()
	type gradient struct {
		sums  []sum
		extra []float64 // the errors of the terms
	}
	gradients := map[string]gradient{}
	for name, rows := range map[string]int{"dq": queries, "dk": keys, "dv": keys} {
		gradients[name] = gradient{make([]sum, rows*hidden), make([]float64, rows*hidden)}
	}
	add := func(g gradient, at int, value, err float64) {
		g.sums[at].add(value)
		g.extra[at] += err
	}
	q, k, v, dy := x["q"], x["k"], x["v"], x["dy"]
	dq, dk, dv := gradients["dq"], gradients["dk"], gradients["dv"]
	scale := 1 / math.Sqrt(float64(c.width))
	c.eachQuery(func(head, i, key, keys int, m []float64) {
		at := func(i, l int) int { return i*hidden + head*c.width + l }
		p, _, relative, absolute := c.probabilities(x, head, i, key, keys)
		relative += absolute
		dp := make([]exact, keys)
		var dot sum
		var dotError float64
		for j := range keys {
			var s sum
			for l := range c.width {
				s.add(dy[at(i, l)] * v[at(key+j, l)])
				pv := p[j] * m[j] * dy[at(i, l)]
				add(dv, at(key+j, l), pv, math.Abs(pv)*(relative+4*epsilon))
			}
			dp[j] = exact{m[j] * s.value, m[j] * (s.error() + 2*epsilon*math.Abs(s.value))}
			dot.add(p[j] * dp[j].value)
			dotError += p[j] * (dp[j].tolerance + relative*math.Abs(dp[j].value))
		}
		dotError += dot.error()
		for j := range keys {
			difference := math.Abs(dp[j].value) + math.Abs(dot.value)
			ds := scale * p[j] * (dp[j].value - dot.value)
			dsError := scale * p[j] * (dp[j].tolerance + dotError + (relative+6*epsilon)*difference)
			for l := range c.width {
				add(dq, at(i, l), ds*k[at(key+j, l)], dsError*math.Abs(k[at(key+j, l)]))
				add(dk, at(key+j, l), ds*q[at(i, l)], dsError*math.Abs(q[at(i, l)]))
			}
		}
	})
	want := results{}
	for name, g := range gradients {
		want[name] = each(len(g.sums), func(i int) exact {
			e := g.sums[i].exact()
			e.tolerance += g.extra[i]
			return e
		})
	}
	return want
}

func TestAttention(t *testing.T) {
	var operations []operation
	for _, c := range attentionCases {
		a, h := c.attention(), c.hidden()
		n, m := c.rows()
		operations = append(operations, operation{
			name: named("attention", c),
			operands: []operand{
				overwritten("y", n, h), overwritten("stats", n, c.heads), in("q", n, h), in("k", m, h), in("v", m, h),
			},
			run:    func(d *Device, t tensors) { d.Attention(t["y"], t["stats"], t["q"], t["k"], t["v"], a) },
			oracle: c.forward,
		}, operation{
			name: named("attention without statistics", c),
			operands: []operand{
				overwritten("y", n, h), in("q", n, h), in("k", m, h), in("v", m, h),
			},
			run:    func(d *Device, t tensors) { d.Attention(t["y"], nil, t["q"], t["k"], t["v"], a) },
			oracle: c.forward,
		}, operation{
			name: named("attention backward", c),
			operands: []operand{
				overwritten("dq", n, h), overwritten("dk", m, h), overwritten("dv", m, h),
				in("dy", n, h), given("stats", n, c.heads, c.stats()), in("q", n, h), in("k", m, h), in("v", m, h),
			},
			run: func(d *Device, t tensors) {
				d.AttentionBackward(t["dq"], t["dk"], t["dv"], t["dy"], t["stats"], t["q"], t["k"], t["v"], a)
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
		for _, whole := range []attentionCase{
			selfAttention([]int{13, 64, 2}, 3, 8, 0),
			selfAttention([]int{600, 70, 2, 1, 0}, 1, 24, 0).behind(430, 70, 0, 0, 0), // one head alone is divided by queries
		} {
			hidden := whole.hidden()
			n, _ := whole.rows()
			q, k, v, y := d.Wrap(n, hidden, random(n*hidden, "q")), d.Wrap(n, hidden, random(n*hidden, "k")), d.Wrap(n, hidden, random(n*hidden, "v")), d.New(n, hidden)
			d.Attention(y, nil, q, k, v, whole.attention())
			row := 0
			for s, length := range whole.queries {
				part := func(x *engine.Tensor) *engine.Tensor {
					return d.Wrap(length, hidden, slices.Clone(data(x)[row*hidden:(row+length)*hidden]))
				}
				alone, c := d.New(length, hidden), selfAttention([]int{length}, whole.heads, whole.width, 0)
				if whole.prefix != nil {
					c = c.behind(whole.prefix[s])
				}
				d.Attention(alone, nil, part(q), part(k), part(v), c.attention())
				if !sameBits(data(alone), data(part(y))) {
					t.Errorf("the sequence of %d tokens differs in the batch", length)
				}
				row += length
			}
		}
	})
}

// Neither does a query's result depend on the other queries.
func TestQueriesDoNotSeeEachOther(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := New()
		const n, hidden = 150, 24
		c := selfAttention([]int{n}, 3, 8, 0)
		q, k, v, y := d.Wrap(n, hidden, random(n*hidden, "q")), d.Wrap(n, hidden, random(n*hidden, "k")), d.Wrap(n, hidden, random(n*hidden, "v")), d.New(n, hidden)
		d.Attention(y, nil, q, k, v, c.attention())
		c.queries = []int{1}
		for i := range n {
			alone := d.New(1, hidden)
			d.Attention(alone, nil, d.Wrap(1, hidden, data(q)[i*hidden:(i+1)*hidden]), k, v, c.attention())
			if !sameBits(data(alone), data(y)[i*hidden:(i+1)*hidden]) {
				t.Errorf("query %d differs alone", i)
			}
		}
	})
}

// Gradients of the backward pass use the forward pass's mask: where a probability
// was dropped, the value gets no gradient through it.
func TestAttentionDropsTheSameForwardAndBackward(t *testing.T) {
	d := New()
	c := selfAttention([]int{7}, 1, 7, 0.5)
	a := c.attention()
	identity := make([]float32, 49)
	for i := range 7 {
		identity[8*i] = 1
	}
	tensor := func(x []float32) *engine.Tensor { return d.Wrap(7, 7, slices.Clone(x)) }
	zero := make([]float32, 49)
	q, k, stats := tensor(random(49, "q")), tensor(random(49, "k")), d.New(7, 1)
	// With v the identity, y is the dropped probabilities; with dy the identity, dv is
	// their transpose.
	y, dv := d.New(7, 7), tensor(zero)
	d.Attention(y, stats, q, k, tensor(identity), a)
	d.AttentionBackward(tensor(zero), tensor(zero), dv, tensor(identity), stats, q, k, tensor(identity), a)
	dropped := 0
	for i := range 7 {
		for j := range 7 {
			forward, backward := data(y)[7*i+j], data(dv)[7*j+i]
			if !(math.Abs(float64(forward-backward)) <= 20*epsilon*float64(forward)) {
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
	good := []int32{0, 4}
	for _, a := range []engine.Attention{
		{Heads: 0, Queries: good, Keys: good},
		{Heads: 4, Queries: good, Keys: good},
		{Heads: 2},
		{Heads: 2, Queries: good},
		{Heads: 2, Keys: good},
		{Heads: 2, Queries: []int32{0, 4, 4}, Keys: good},
		{Heads: 2, Queries: []int32{0}, Keys: good},
		{Heads: 2, Queries: []int32{0, 3}, Keys: good},
		{Heads: 2, Queries: []int32{0, 5}, Keys: good},
		{Heads: 2, Queries: []int32{1, 4}, Keys: good},
		{Heads: 2, Queries: good, Keys: []int32{0, 5}},
		{Heads: 2, Queries: []int32{0, 3, 1, 4}, Keys: []int32{0, 1, 2, 4}},
		{Heads: 2, Queries: []int32{0, 6, 4}, Keys: []int32{0, 1, 4}},
		{Heads: 2, Queries: good, Keys: good, Prefix: []int32{}},
		{Heads: 2, Queries: good, Keys: good, Prefix: []int32{2, 2}},
		{Heads: 2, Queries: good, Keys: good, Prefix: []int32{-1}},
		{Heads: 2, Queries: good, Keys: good, Prefix: []int32{5}},
		{Heads: 2, Queries: []int32{0, 3, 4}, Keys: []int32{0, 2, 4}, Prefix: []int32{0, 0}}, // more queries than keys
	} {
		x := d.New(4, 6)
		mustPanicWithShape(t, fmt.Sprintf("%+v", a), func() { d.Attention(d.New(4, 6), nil, x, x, x, a) })
	}
}

// Keys that no query of a block sees cost nothing, and what they hold does not matter.
func TestPrefixHidesTheKeysBehind(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := New()
		const n, hidden, prefix = 40, 8, 25
		c := selfAttention([]int{n}, 2, 4, 0).behind(prefix)
		x := func(name string, bad float32) *engine.Tensor {
			x := random(n*hidden, name)
			for i := prefix * hidden; i < n*hidden && bad != 0; i++ {
				x[i] = bad
			}
			return d.Wrap(n, hidden, x)
		}
		q, dy, y, stats := x("q", 0), x("dy", 0), d.New(n, hidden), d.New(n, 2)
		dq, dk, dv := d.New(n, hidden), d.New(n, hidden), d.New(n, hidden)
		d.Attention(y, stats, q, x("k", 0), x("v", 0), c.attention())
		d.AttentionBackward(dq, dk, dv, dy, stats, q, x("k", 0), x("v", 0), c.attention())
		want, wantDQ := slices.Clone(data(y)[:prefix*hidden]), slices.Clone(data(dq)[:prefix*hidden])
		bad := float32(math.NaN())
		d.Attention(y, stats, q, x("k", bad), x("v", bad), c.attention())
		d.AttentionBackward(dq, dk, dv, dy, stats, q, x("k", bad), x("v", bad), c.attention())
		if !sameBits(data(y)[:prefix*hidden], want) || !sameBits(data(dq)[:prefix*hidden], wantDQ) {
			t.Error("queries of the prefix depend on keys behind it")
		}
	})
}

// NaN in an operand reaches the rows that depend on it and no others.
func TestAttentionOfNaN(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := New()
		const n, hidden, at = 20, 6, 7
		c := selfAttention([]int{5, 15}, 1, hidden, 0)
		for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
			q := random(n*hidden, "q")
			q[at*hidden+2] = bad
			k, v, y := d.Wrap(n, hidden, random(n*hidden, "k")), d.Wrap(n, hidden, random(n*hidden, "v")), d.New(n, hidden)
			dq, dk, dv, stats := d.New(n, hidden), d.New(n, hidden), d.New(n, hidden), d.New(n, 1)
			d.Attention(y, stats, d.Wrap(n, hidden, q), k, v, c.attention())
			d.AttentionBackward(dq, dk, dv, y, stats, d.Wrap(n, hidden, q), k, v, c.attention())
			for i := range n * hidden {
				row := i / hidden
				if y := data(y)[i]; (y != y) != (row == at) {
					t.Errorf("%g in query %d: y is %g in row %d", bad, at, y, row)
				}
				if dq := data(dq)[i]; (dq != dq) != (row == at) {
					t.Errorf("%g in query %d: dq is %g in row %d", bad, at, dq, row)
				}
				if dk, dv := data(dk)[i], data(dv)[i]; (dk != dk) != (row >= 5) || (dv != dv) != (row >= 5) {
					t.Errorf("%g in query %d: dk is %g and dv %g in row %d", bad, at, dk, dv, row)
				}
			}
		}
	})
}

// The attention of the base model: short sentences, passages, and the longest texts,
// forward for inference, and forward and backward. Products count once, also those
// that the backward pass computes again.
func BenchmarkAttention(b *testing.B) {
	sentences := make([]int, 32) // of 3 to 50 tokens
	for i := range sentences {
		sentences[i] = 3 + i*29%32*47/31
	}
	for _, c := range []attentionCase{
		selfAttention(sentences, 12, 64, 0), selfAttention(slices.Repeat([]int{400}, 8), 12, 64, 0),
		selfAttention(slices.Repeat([]int{512}, 4), 12, 64, 0), selfAttention([]int{13}, 12, 64, 0), selfAttention([]int{512}, 12, 64, 0),
		selfAttention(slices.Repeat([]int{60}, 16), 12, 64, 0).behind(slices.Repeat([]int32{40}, 16)...),
		selfAttention(slices.Repeat([]int{500}, 4), 12, 64, 0).behind(slices.Repeat([]int32{400}, 4)...),
	} {
		n, _ := c.rows()
		flops := 0.0 // of the forward pass
		c.eachQuery(func(_, _, _, keys int, _ []float64) { flops += 4 * float64(c.width) * float64(keys) })
		d := New()
		x := func(name string) *engine.Tensor { return d.Wrap(n, c.hidden(), random(n*c.hidden(), name)) }
		q, k, v, dy, y, dq, dk, dv, stats := x("q"), x("k"), x("v"), x("dy"), x("y"), x("dq"), x("dk"), x("dv"), d.New(n, c.heads)
		for _, threads := range []int{1, 2} {
			for _, mode := range []struct {
				name     string
				backward bool
				drop     float32
			}{{"forward", false, 0}, {"both", true, 0}, {"dropout", true, 0.1}} {
				name := fmt.Sprintf("%dx%d", len(c.queries), c.queries[len(c.queries)-1])
				if c.prefix != nil {
					name = fmt.Sprint(name, " behind ", c.prefix[0])
				}
				b.Run(fmt.Sprintf("%s/%s/threads=%d", name, mode.name, threads), func(b *testing.B) {
					setThreads(b, threads)
					c.drop = mode.drop
					a, work := c.attention(), flops
					if mode.backward {
						work += 2 * flops
					}
					b.ReportAllocs()
					for b.Loop() {
						if !mode.backward {
							d.Attention(y, nil, q, k, v, a)
							continue
						}
						d.Attention(y, stats, q, k, v, a)
						d.AttentionBackward(dq, dk, dv, dy, stats, q, k, v, a)
					}
					reportSpeed(b, work)
				})
			}
		}
	}
}
