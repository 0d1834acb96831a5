package cpu

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/kernels"
)

// decodingCase is a step of decoding: the hypotheses and the tokens of each source.
type decodingCase struct {
	hypotheses, sources []int
	steps, pool         int
	heads, width        int
}

var decodingCases = []decodingCase{
	{nil, nil, 0, 0, 2, 4},
	{[]int{0}, []int{5}, 3, 3, 2, 4},
	{[]int{1}, []int{1}, 0, 0, 1, 1},
	{[]int{1}, []int{0}, 1, 1, 1, 1},
	{[]int{1, 2}, []int{0, 0}, 0, 4, 2, 4}, // without keys
	{[]int{3, 1}, []int{0, 7}, 2, 9, 2, 5},
	{[]int{1, 0, 2, 17, 0}, []int{13, 4, 16, 17, 0}, 5, 40, 3, 7},
	{[]int{2*beam + 3, beam}, []int{9, 0}, 3, 5, 1, 6},
	{repeated(9, 2), repeated(9, 3), 2, 7, 6, 3}, // several heads of a task
	{[]int{4, 0, 10}, []int{100, 3, 500}, 130, 700, 2, 64},
}

func (c decodingCase) hidden() int { return c.heads * c.width }

func (c decodingCase) rows() int { return total(c.hypotheses) }

func total(counts []int) (n int) {
	for _, count := range counts {
		n += count
	}
	return n
}

func (c decodingCase) attention() engine.CachedAttention {
	return engine.CachedAttention{
		Heads: c.heads, Hypotheses: offsets(c.hypotheses), Sources: offsets(c.sources),
		Paths: randomRows(c.rows()*c.steps, c.pool), Steps: c.steps,
	}
}

func (c decodingCase) operands() []operand {
	r, s, h := c.rows(), total(c.sources), c.hidden()
	return []operand{
		overwritten("y", r, h), in("q", r, h), in("sk", s, h), in("sv", s, h), in("k", c.pool, h), in("v", c.pool, h),
	}
}

func (c decodingCase) tensors(d *Device) tensors {
	return operation{operands: c.operands()}.materialise(d)
}

func (c decodingCase) oracle(x numbers) results {
	a, hidden := c.attention(), c.hidden()
	var y []exact
	for source, hypotheses := range c.hypotheses {
		for r := int(a.Hypotheses[source]); r < int(a.Hypotheses[source])+hypotheses; r++ {
			var keys, values [][]float64
			for i := a.Sources[source]; i < a.Sources[source+1]; i++ {
				keys, values = append(keys, x["sk"][int(i)*hidden:]), append(values, x["sv"][int(i)*hidden:])
			}
			for _, i := range a.Paths[r*c.steps : (r+1)*c.steps] {
				keys, values = append(keys, x["k"][int(i)*hidden:]), append(values, x["v"][int(i)*hidden:])
			}
			for head := range c.heads {
				var scores []float64
				var worst float64
				scale := 1 / math.Sqrt(float64(c.width))
				for _, key := range keys {
					var s sum
					for l := head * c.width; l < (head+1)*c.width; l++ {
						s.add(x["q"][r*hidden+l] * key[l])
					}
					scores = append(scores, s.value*scale)
					worst = max(worst, s.error()*scale)
				}
				p, _ := softmax(scores)
				relative := softmaxError(len(keys), scores) + 2*worst
				for l := head * c.width; l < (head+1)*c.width; l++ {
					var s sum
					for j, v := range p {
						s.add(v * values[j][l])
					}
					y = append(y, exact{s.value, s.error() + s.size*(relative+4*epsilon)})
				}
			}
		}
	}
	return results{"y": y}
}

func TestCachedAttention(t *testing.T) {
	var operations []operation
	for _, c := range decodingCases {
		a := c.attention()
		operations = append(operations, operation{
			name:     named("cached attention", c),
			operands: c.operands(),
			run: func(d *Device, t tensors) {
				d.CachedAttention(t["y"], t["q"], t["sk"], t["sv"], t["k"], t["v"], a)
			},
			oracle: c.oracle,
		})
	}
	check(t, operations...)
}

// The last query of a text behind its prefix sees what a hypothesis sees whose path is what follows the prefix.
func TestCachedAttentionIsAttentionBehindAPrefix(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := New()
		const heads, width, source, n = 3, 16, 40, 71
		const hidden = heads * width
		whole := func(name string) []float32 { return random(n*hidden, name) }
		q, k, v := whole("q"), whole("k"), whole("v")
		want, got := d.New(n, hidden), d.New(1, hidden)
		d.Attention(want, nil, d.Wrap(n, hidden, q), d.Wrap(n, hidden, k), d.Wrap(n, hidden, v), selfAttention([]int{n}, heads, width, 0).behind(source).attention())
		for last := source; last < n; last++ {
			a := engine.CachedAttention{Heads: heads, Hypotheses: []int32{0, 1}, Sources: []int32{0, source}, Steps: last - source + 1}
			for row := source; row <= last; row++ {
				a.Paths = append(a.Paths, int32(row))
			}
			part := func(x []float32, rows int) *engine.Tensor { return d.Wrap(rows, hidden, x[:rows*hidden]) }
			d.CachedAttention(got, d.Wrap(1, hidden, q[last*hidden:(last+1)*hidden]), part(k, source), part(v, source), part(k, n), part(v, n), a)
			for i, g := range data(got) {
				if w := data(want)[last*hidden+i]; !(math.Abs(float64(g-w)) <= 1e-5) {
					t.Fatalf("query %d: %g from the cache, %g from the whole text", last, g, w)
				}
			}
		}
	})
}

// NaN reaches the hypotheses that see it, and as a value perhaps others of the same source, but no others.
func TestCachedAttentionOfNaN(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		d := New()
		c := decodingCase{[]int{2, 3}, []int{20, 20}, 2, 10, 2, 8}
		a := c.attention()
		a.Paths = []int32{0, 1, 0, 2, 3, 4, 5, 9, 3, 4}
		for name, saw := range map[string][]int{"sk": {0, 1}, "sv": {0, 1}, "k": {3}, "v": {3, 2, 4}, "q": {2}} {
			x, y := c.tensors(d), d.New(c.rows(), c.hidden())
			row := map[string]int{"k": 9, "v": 9, "q": 2}[name]
			for i := range c.hidden() {
				data(x[name])[row*c.hidden()+i] = float32(math.NaN())
			}
			d.CachedAttention(y, x["q"], x["sk"], x["sv"], x["k"], x["v"], a)
			for i, v := range data(y) {
				hypothesis := i / c.hidden()
				sees := slices.Contains(saw, hypothesis)
				if perhaps := sees && name == "v" && hypothesis != 3; !perhaps && (v != v) != sees {
					t.Errorf("NaN in %s: element %d of hypothesis %d is %g", name, i%c.hidden(), hypothesis, v)
				}
			}
		}
	})
}

func TestCachedAttentionRefusesBadDivisions(t *testing.T) {
	d := New()
	x := d.New(4, 6)
	good := []int32{0, 4}
	for _, a := range []engine.CachedAttention{
		{Heads: 0, Hypotheses: good, Sources: good},
		{Heads: 4, Hypotheses: good, Sources: good},
		{Heads: 2, Hypotheses: good},
		{Heads: 2, Hypotheses: good, Sources: []int32{0, 3}},
		{Heads: 2, Hypotheses: []int32{0, 3}, Sources: good},
		{Heads: 2, Hypotheses: []int32{0, 2, 4}, Sources: good},
		{Heads: 2, Hypotheses: good, Sources: good, Steps: -1},
		{Heads: 2, Hypotheses: good, Sources: good, Steps: 1},
		{Heads: 2, Hypotheses: good, Sources: good, Paths: []int32{0, 1, 2, 3}},
		{Heads: 2, Hypotheses: good, Sources: good, Paths: []int32{0, 1, 2, 4}, Steps: 1},
		{Heads: 2, Hypotheses: good, Sources: good, Paths: []int32{0, 1, -2, 3}, Steps: 1},
	} {
		mustPanicWithShape(t, fmt.Sprintf("%+v", a), func() { d.CachedAttention(d.New(4, 6), x, x, x, x, x, a) })
	}
}

// beams returns paths as beam search leaves them: at each step, every hypothesis goes on from one of its source's.
// The rows of a step lie together.
func (c decodingCase) beams() []int32 {
	r := rand.New(rand.NewPCG(1, 2))
	paths := make([][]int32, c.rows())
	for step := range c.steps {
		var next [][]int32
		for source, n := range c.hypotheses {
			first := int(offsets(c.hypotheses)[source])
			for i := range n {
				path := slices.Clone(paths[first+r.IntN(n)])
				next = append(next, append(path, int32(step*c.rows()+first+i)))
			}
		}
		paths = next
	}
	return slices.Concat(paths...)
}

// A step of the base model with beams of 4, in the middle of a summary and of a question.
func BenchmarkCachedAttention(b *testing.B) {
	for _, c := range []decodingCase{
		{repeated(8, 4), repeated(8, 512), 64, 8 * 4 * 128, 12, 64},
		{repeated(8, 4), repeated(8, 100), 16, 8 * 4 * 32, 12, 64},
		{repeated(1, 1), repeated(1, 512), 64, 128, 12, 64},
		{repeated(8, 10), repeated(8, 512), 128, 8 * 10 * 128, 12, 64},
	} {
		d := New()
		x, y, a := c.tensors(d), d.New(c.rows(), c.hidden()), c.attention()
		a.Paths = c.beams()
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%dx%d to %d+%d/threads=%d", len(c.sources), c.hypotheses[0], c.sources[0], c.steps, threads), func(b *testing.B) {
				setThreads(b, threads)
				b.ReportAllocs()
				for b.Loop() {
					d.CachedAttention(y, x["q"], x["sk"], x["sv"], x["k"], x["v"], a)
				}
				b.ReportMetric(8*float64(c.hidden()*total(c.sources)*b.N)/float64(b.Elapsed().Nanoseconds()), "GB/s") // of the sources
				flops := 4 * float64(c.hidden()) * float64(c.hypotheses[0]*total(c.sources)+c.rows()*c.steps)
				reportSpeed(b, flops)
			})
		}
	}
}

func repeated(n, value int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = value
	}
	return list
}

// reportSpeed reports the speed of a benchmark whose iterations take flops operations each.
func reportSpeed(b *testing.B, flops float64) {
	speed := flops * float64(b.N) / float64(b.Elapsed().Nanoseconds())
	b.ReportMetric(speed, "GFLOP/s")
	if peak := kernels.PeakGFLOPs(); peak > 0 {
		b.ReportMetric(100*speed/peak, "%peak")
	}
}
