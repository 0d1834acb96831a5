package autograd

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// A tape that does not record computes the same values, and keeps nothing.
func TestInference(t *testing.T) {
	for _, c := range gradientCases {
		if strings.Contains(c.name, "dropout") {
			continue
		}
		d := watch()
		vars := make([]*Var, len(c.inputs))
		for i, m := range c.inputs {
			vars[i] = d.param(m)
		}
		before := len(d.live)
		training := NewTape(d, Seed{})
		want := d.values(c.tape(training, vars).Value)
		training.Release()
		if len(d.live) != before {
			t.Errorf("%s: %d tensors alive after the release of a recording tape", c.name, len(d.live)-before)
		}
		tape := NewInference(d)
		out := tape.Block(func() *Var { return c.tape(tape, vars) })
		if got := d.values(out.Value); !slices.Equal(got, want) {
			t.Errorf("%s: inference computes another value", c.name)
		}
		if len(d.live) != before+1 || !d.live[out.Value] {
			t.Errorf("%s: %d tensors alive after a block, want its result alone", c.name, len(d.live)-before)
		}
		tape.Release()
		if len(d.live) != before {
			t.Errorf("%s: %d tensors alive after release", c.name, len(d.live)-before)
		}
	}
}

func TestBlocksNest(t *testing.T) {
	d := watch()
	x := d.param(normal("x", 2, 3))
	before := len(d.live)
	tape := NewInference(d)
	earlier := tape.GELU(x)
	alive := func(when string, want int) {
		t.Helper()
		if got := len(d.live) - before; got != want {
			t.Errorf("%s: %d intermediates alive, want %d", when, got, want)
		}
	}
	out := tape.Block(func() *Var {
		y := tape.Block(func() *Var { return tape.ReLU(tape.GELU(earlier)) })
		alive("after the inner block", 2) // earlier and y
		return tape.Add(y, tape.GELU(y))
	})
	alive("after the outer block", 2)
	if same := tape.Block(func() *Var { tape.GELU(out); return out }); same != out {
		t.Error("a block returned something else than its body")
	}
	alive("after a block that returns what was there", 2)
	d.values(earlier.Value) // panics if freed
	d.values(out.Value)
	tape.Release()
	alive("after release", 0)

	recording := NewTape(d, Seed{})
	recording.Block(func() *Var { return recording.GELU(recording.GELU(x)) })
	alive("in a recording block, which keeps what backward needs", 2)
	recording.Release()
	alive("after its release", 0)
}

func TestBackwardNeedsARecordingTape(t *testing.T) {
	d := watch()
	tape := NewInference(d)
	defer func() {
		if recover() == nil {
			t.Error("backward without a record")
		}
	}()
	tape.Backward(tape.SquaredError(d.param(normal("x", 1, 1)), []float32{1}), 1)
}

// A step of decoding has no gradient: it runs where nothing is recorded.
func TestCachedAttentionNeedsATapeThatDoesNotRecord(t *testing.T) {
	d := watch()
	q, s, pool := d.constant(normal("q", 3, 6)), d.constant(normal("s", 4, 6)), d.constant(normal("pool", 5, 6))
	a := engine.CachedAttention{Heads: 2, Hypotheses: []int32{0, 3}, Sources: []int32{0, 4}, Paths: []int32{0, 1, 2}, Steps: 1}
	before := len(d.live)
	inference := NewInference(d)
	got := d.values(inference.CachedAttention(q, s, s, pool, pool, a).Value)
	want := d.New(3, 6)
	d.Device.CachedAttention(want, q.Value, s.Value, s.Value, pool.Value, pool.Value, a)
	if !slices.Equal(got, d.values(want)) {
		t.Errorf("got %v, the device computes %v", got, d.values(want))
	}
	d.Free(want)
	inference.Release()
	if len(d.live) != before {
		t.Errorf("%d tensors alive after release", len(d.live)-before)
	}
	defer func() {
		if recover() == nil {
			t.Error("a recording tape took a step of decoding")
		}
	}()
	NewTape(d, Seed{}).CachedAttention(q, s, s, pool, pool, a)
}

// The masks of a pass depend on its seed and on the place in it, and on nothing else.
func TestDropoutMasks(t *testing.T) {
	d := watch()
	const n, prob = 1 << 16, 0.3
	ones := zeros(1, n).apply(func(int, float64) float64 { return 1 })
	masks := func(seed Seed) (first, second []float32) {
		tape := NewTape(d, seed)
		x := d.constant(ones)
		first, second = d.values(tape.Dropout(x, prob).Value), d.values(tape.Dropout(x, prob).Value)
		tape.Release()
		return first, second
	}
	first, second := masks(Seed{Key: 1, Pass: 1})
	again, _ := masks(Seed{Key: 1, Pass: 1})
	if !slices.Equal(first, again) {
		t.Error("the same seed gave another mask")
	}
	key, _ := masks(Seed{Key: 2, Pass: 1})
	pass, nextSecond := masks(Seed{Key: 1, Pass: 2})
	expected := prob*prob + (1-prob)*(1-prob) // of two independent masks agreeing
	for name, other := range map[string][]float32{"second operation": second, "key": key, "pass": pass, "next pass's second operation": nextSecond} {
		same := 0
		for i := range first {
			if first[i] == other[i] {
				same++
			}
		}
		if deviation := math.Sqrt(expected * (1 - expected) / n); math.Abs(float64(same)/n-expected) > 5*deviation {
			t.Errorf("another %s: %d of %d elements agree, want about %.0f", name, same, n, expected*n)
		}
	}
	var mean float64
	for i, v := range first {
		if v != 0 && v != 1/(1-float32(prob)) {
			t.Fatalf("element %d is %g", i, v)
		}
		mean += float64(v) / n
	}
	if deviation := math.Sqrt(prob / (1 - prob) / n); math.Abs(mean-1) > 5*deviation {
		t.Errorf("the mean went from 1 to %g", mean)
	}
}

// Attention takes a mask of its own from the tape, whatever stream its caller gave.
func TestAttentionDropoutComesFromTheTape(t *testing.T) {
	d := watch()
	x := d.constant(normal("x", 10, 6))
	tape := NewTape(d, Seed{Key: 3, Pass: 4})
	a := dropping(ragged, 0.5)
	a.Dropout.Key, a.Dropout.Stream = 99, 99
	first, second := d.values(tape.Attention(x, x, x, a).Value), d.values(tape.Attention(x, x, x, a).Value)
	tape.Release()
	if slices.Equal(first, second) {
		t.Error("two attentions of a pass share a mask")
	}
	tape = NewTape(d, Seed{Key: 3, Pass: 4})
	if again := d.values(tape.Attention(x, x, x, dropping(ragged, 0.5)).Value); !slices.Equal(first, again) {
		t.Error("the same seed gave another mask")
	}
}

func TestNoDropoutWhereNoneIsWanted(t *testing.T) {
	d := watch()
	x := d.param(normal("x", 10, 6))
	inference, training := NewInference(d), NewTape(d, Seed{})
	if inference.Dropout(x, 0.5) != x {
		t.Error("dropout on a tape that does not record")
	}
	if training.Dropout(x, 0) != x {
		t.Error("dropout of probability 0 computes something")
	}
	with := d.values(inference.Attention(x, x, x, dropping(ragged, 0.5)).Value)
	without := d.values(inference.Attention(x, x, x, ragged).Value)
	if !slices.Equal(with, without) {
		t.Error("attention drops on a tape that does not record")
	}
	if len(d.masks) > 0 {
		t.Error("the device was asked to drop")
	}
	if inference.Device() != engine.Device(d) {
		t.Error("another device")
	}
}

// Input copies: what the caller does with its numbers afterwards changes nothing.
func TestInputIsACopy(t *testing.T) {
	d := watch()
	values := []float32{1, 2, 3, 4, 5, 6}
	for _, tape := range []*Tape{NewTape(d, Seed{}), NewInference(d)} {
		x := tape.Input(2, 3, values)
		values[0] = -1
		if got := d.values(x.Value)[0]; got != 1 || x.needs {
			t.Errorf("the first value is %g, needs a gradient: %v", got, x.needs)
		}
		values[0] = 1
		tape.Release()
	}
	if len(d.live) != 0 {
		t.Errorf("%d tensors alive after release", len(d.live))
	}
}

// A gradient of looked-up rows says which, holds them and becomes dense on demand.
func TestGradientOfRows(t *testing.T) {
	d := watch()
	v := d.param(normal("table", 6, 2))
	g := v.Gradient()
	dy := d.constant(normal("dy", 6, 2))
	if g.Extent() != Empty || len(g.Rows()) != 0 {
		t.Errorf("a new gradient has extent %v and rows %v", g.Extent(), g.Rows())
	}
	for range 2 { // cleared, it is as new
		g.Clear()
		g.scatter(d, ids, dy.Value)
		g.scatter(d, others, dy.Value)
		if want := []int32{0, 1, 3, 4}; g.Extent() != Rows || !slices.Equal(g.Rows(), want) {
			t.Fatalf("extent %v, rows %v, want %v", g.Extent(), g.Rows(), want)
		}
	}
	want := make([]float32, 12)
	for _, list := range [][]int32{ids, others} {
		for i, id := range list {
			for j := range 2 {
				want[2*int(id)+j] += d.values(dy.Value)[2*i+j]
			}
		}
	}
	if got := d.gradient(v); g.Extent() != Dense || len(g.Rows()) != 0 || !slices.Equal(got, want) {
		t.Errorf("dense: extent %v, rows %v, values %v, want %v", g.Extent(), g.Rows(), got, want)
	}
	g.scatter(d, ids[:1], d.constant(normal("dy", 1, 2)).Value)
	for j := range 2 {
		want[2*int(ids[0])+j] += narrow(normal("dy", 1, 2).x)[j]
	}
	if got := d.gradient(v); !slices.Equal(got, want) {
		t.Errorf("rows added to a dense gradient: %v, want %v", got, want)
	}
}

// whole is a device that is not rowwise.
type whole struct{ *watched }

func (whole) Rowwise() bool { return false }

// On a device that is not rowwise a gradient of looked-up rows is dense, zero in the others.
func TestGradientOfRowsIsDense(t *testing.T) {
	d := whole{watch()}
	v := d.param(normal("table", 6, 2))
	g := v.Gradient()
	d.Write(g.Tensor(), slices.Repeat([]float32{7}, 12))
	dy := normal("dy", 6, 2)
	want := make([]float32, 12)
	for range 2 {
		g.scatter(d, ids, d.constant(dy).Value)
		for i, id := range ids {
			for j := range 2 {
				want[2*int(id)+j] += narrow(dy.x)[2*i+j]
			}
		}
	}
	if got := d.values(g.Tensor()); g.Extent() != Dense || len(g.Rows()) != 0 || !slices.Equal(got, want) {
		t.Errorf("extent %v, rows %v, values %v, want %v", g.Extent(), g.Rows(), got, want)
	}
}

// Whoever postpones updates hears which rows are about to be read.
func TestBeforeReading(t *testing.T) {
	d := watch()
	words := d.param(normal("words", 5, 2))
	var heard [][]int32
	words.Gradient().Before = func(rows []int32) { heard = append(heard, rows) }
	tape := NewInference(d)
	tape.Embed(Lookup{words, ids})
	tape.Scale(words, 2)
	tape.Release()
	if len(heard) != 2 || !slices.Equal(heard[0], ids) || heard[1] != nil {
		t.Errorf("heard %v, want %v and all rows", heard, ids)
	}
}

// Every operation says so before it reads a parameter. One that forgets it would train on rows that
// are some steps behind, and nothing would fail.
func TestEveryOperationSaysWhatItReads(t *testing.T) {
	type param = func(rows, cols int) *Var
	two := engine.Attention{Heads: 1, Queries: []int32{0, 2}, Keys: []int32{0, 2}}
	operations := map[string]func(tape *Tape, p param){
		"Add":       func(tape *Tape, p param) { tape.Add(p(2, 2), p(2, 2)) },
		"AddNorm":   func(tape *Tape, p param) { tape.AddNorm(p(2, 2), p(2, 2), p(1, 2), p(1, 2), normEpsilon, 0) },
		"Attention": func(tape *Tape, p param) { tape.Attention(p(2, 2), p(2, 2), p(2, 2), two) },
		"CachedAttention": func(tape *Tape, p param) {
			tape.CachedAttention(p(1, 2), p(2, 2), p(2, 2), p(1, 2), p(1, 2), engine.CachedAttention{Heads: 1, Hypotheses: []int32{0, 1}, Sources: []int32{0, 2}, Paths: []int32{0}, Steps: 1})
		},
		"CircleLoss": func(tape *Tape, p param) { tape.CircleLoss(p(2, 1), engine.CircleLoss{Group: 2, Scale: 1}) },
		"ContrastiveLoss": func(tape *Tape, p param) {
			tape.ContrastiveLoss(p(1, 2), engine.Contrast{Group: 2, Kinds: []int8{engine.Positive, engine.Negative}})
		},
		"CrossEntropy": func(tape *Tape, p param) { tape.CrossEntropy(p(1, 2), []int32{0}, 0) },
		"Dropout":      func(tape *Tape, p param) { tape.Dropout(p(2, 2), 0.5) },
		"Embed":        func(tape *Tape, p param) { tape.Embed(Lookup{p(2, 2), []int32{0}}, Lookup{p(2, 2), []int32{1}}) },
		"FeedForward": func(tape *Tape, p param) {
			tape.FeedForward(p(2, 2), nn(p(2, 3)), p(1, 3), nn(p(3, 2)), p(1, 2), engine.GELU)
		},
		"Feed": func(tape *Tape, p param) {
			f := Feed{W1: nn(p(2, 3)), B1: p(1, 3), W2: nn(p(3, 2)), B2: p(1, 2), Activation: engine.GELU, Scale: p(1, 2), Bias: p(1, 2), Epsilon: normEpsilon}
			tape.Feed(p(2, 2), f)
		},
		"Activate":            func(tape *Tape, p param) { tape.Activate(p(2, 2), engine.SiLU) },
		"GELU":                func(tape *Tape, p param) { tape.GELU(p(2, 2)) },
		"ScaleColumns":        func(tape *Tape, p param) { tape.ScaleColumns(p(2, 2), p(1, 2)) },
		"Slice":               func(tape *Tape, p param) { tape.Slice(p(2, 3), 1, 2) },
		"SwiGLU":              func(tape *Tape, p param) { tape.SwiGLU(p(2, 2)) },
		"Tanh":                func(tape *Tape, p param) { tape.Tanh(p(2, 2)) },
		"BinaryCrossEntropy":  func(tape *Tape, p param) { tape.BinaryCrossEntropy(p(1, 2), []float32{0.5, 0}) },
		"KLDivergence":        func(tape *Tape, p param) { tape.KLDivergence(p(1, 2), []float32{0.5, 0.5}) },
		"LayerNorm":           func(tape *Tape, p param) { tape.LayerNorm(p(2, 2), p(1, 2), p(1, 2), normEpsilon) },
		"Linear":              func(tape *Tape, p param) { tape.Linear(p(2, 2), nt(p(3, 2)), p(1, 3)) },
		"MeanSum":             func(tape *Tape, p param) { tape.MeanSum(p(2, 2)) },
		"Multiply":            func(tape *Tape, p param) { tape.Multiply(p(2, 2), p(2, 2)) },
		"Normalize":           func(tape *Tape, p param) { tape.Normalize(p(2, 2)) },
		"ProductNT":           func(tape *Tape, p param) { tape.ProductNT(p(2, 2), p(3, 2)) },
		"ReLU":                func(tape *Tape, p param) { tape.ReLU(p(2, 2)) },
		"Rows":                func(tape *Tape, p param) { tape.Rows(p(2, 2), []int32{1}) },
		"Scale":               func(tape *Tape, p param) { tape.Scale(p(2, 2), 2) },
		"Counted":             func(tape *Tape, p param) { tape.Counted(p(2, 2), 2) },
		"Sigmoid":             func(tape *Tape, p param) { tape.Sigmoid(p(2, 2)) },
		"SquaredError":        func(tape *Tape, p param) { tape.SquaredError(p(2, 1), []float32{0, 1}) },
		"SymmetricDivergence": func(tape *Tape, p param) { tape.SymmetricDivergence(p(2, 3), p(2, 3)) },
		"Given":               func(tape *Tape, p param) { tape.Given(p(2, 2), tape.dev.New(2, 2)) },
		"Shifted":             func(tape *Tape, p param) { tape.Shifted(make([]float32, 4), p(2, 2)) },
		"StackRows":           func(tape *Tape, p param) { tape.StackRows(p(2, 2), p(1, 2), []int32{0, 2}) },
		"VocabularyLoss":      func(tape *Tape, p param) { tape.VocabularyLoss(p(1, 2), nt(p(3, 2)), p(1, 3), []int32{2}, 0) },
	}
	// Not operations: they read no values of a variable.
	exempt := []string{"Backward", "Finish", "Gradient", "PostNormLayer"}

	methods, readable := reflect.TypeFor[*Tape](), []reflect.Type{reflect.TypeFor[*Var](), reflect.TypeFor[*Weight](), reflect.TypeFor[[]Lookup](), reflect.TypeFor[Feed]()}
	for i := range methods.NumMethod() {
		m := methods.Method(i)
		for in := range m.Type.NumIn() {
			if slices.Contains(readable, m.Type.In(in)) && operations[m.Name] == nil && !slices.Contains(exempt, m.Name) {
				t.Errorf("%s takes a %v: add it to the operations of this test", m.Name, m.Type.In(in))
			}
		}
	}
	for name, run := range operations {
		if _, ok := methods.MethodByName(name); !ok {
			t.Errorf("there is no %s", name)
		}
		d := watch()
		tape := NewTape(d, Seed{})
		if name == "CachedAttention" {
			tape = NewInference(d)
		}
		tape.Final = func() {}
		var silent []string // parameters of which nothing was heard
		var gradients []*Gradient
		run(tape, func(rows, cols int) *Var {
			v := d.param(normal(name, rows, cols))
			gradients = append(gradients, v.Gradient())
			at := len(silent)
			silent = append(silent, fmt.Sprintf("parameter %d, %d x %d", at, rows, cols))
			v.Gradient().Before = func([]int32) { silent[at] = "" }
			return v
		})
		for i, g := range gradients {
			if g.Pending() != tape.recording {
				t.Errorf("%s: the gradient of parameter %d is pending: %v", name, i, g.Pending())
			}
		}
		tape.Release()
		if slices.ContainsFunc(gradients, (*Gradient).Pending) {
			t.Errorf("%s: a gradient is pending on an empty tape", name)
		}
		if len(silent) == 0 {
			t.Errorf("%s was given no parameter", name)
		}
		for _, s := range silent {
			if s != "" {
				t.Errorf("%s reads %s without saying so", name, s)
			}
		}
	}
}

// Gradients are final once the first operation that reads their parameter is passed back, and not before: that of a table which is
// looked up first and multiplied by last comes last.
func TestFinalGradients(t *testing.T) {
	d := watch()
	words, w, b, unread := d.param(normal("words", 5, 4)), d.param(normal("w", 4, 4)), d.param(normal("b", 1, 5)), d.param(normal("unread", 1, 4))
	params := map[string]*Var{"words": words, "w": w, "b": b, "unread": unread}
	tape := NewTape(d, Seed{})
	pass := func() *Var {
		tape.Reset(Seed{})
		x := tape.Linear(tape.Embed(Lookup{words, ids}), nn(w), nil)
		return tape.VocabularyLoss(tape.Linear(x, nn(w), nil), nt(words), b, ids, 0)
	}
	tape.Backward(pass(), 1)
	want := map[string][]float32{}
	for name, v := range params {
		if v != unread {
			want[name] = d.gradient(v)
		}
		v.Gradient().Clear()
	}
	var order []string
	final := map[string]bool{}
	tape.Final = func() {
		for _, name := range []string{"b", "unread", "w", "words"} {
			v := params[name]
			if final[name] || v.Gradient().Pending() {
				continue
			}
			final[name] = true
			order = append(order, name)
			if got := want[name]; got != nil && !slices.Equal(d.gradient(v), got) {
				t.Errorf("the final gradient of %s is %v, want %v", name, d.gradient(v), got)
			}
		}
	}
	tape.Backward(pass(), 1) // another pass follows: nothing is final
	if order != nil {
		t.Errorf("%v are final in a pass that others follow", order)
	}
	for _, v := range params {
		v.Gradient().Clear()
	}
	tape.Finish(pass(), 1)
	if want := []string{"b", "unread", "w", "words"}; !slices.Equal(order, want) {
		t.Errorf("final are %v, want %v", order, want)
	}
}

// A weight of bytes is multiplied and has no gradient to pass on.
func TestNoGradientPassesThroughBytes(t *testing.T) {
	d := cpu.New()
	w := Fixed(d.Store(engine.Stored{Rows: 2, Cols: 1, Format: engine.Int8, Bytes: []int8{100, -50}, Scales: []float32{0.5}}))
	x := Leaf(d.Wrap(1, 2, []float32{1, 2}))
	tape := NewTape(d, Seed{})
	y := tape.Linear(x, nn(w), nil)
	if got := d.Host(y.Value)[0]; math.Abs(float64(got)) > 0.5 {
		t.Errorf("1·50 - 2·25 is %g", got)
	}
	defer func() {
		if failure := fmt.Sprint(recover()); !strings.Contains(failure, "no gradient passes through weights of int8") {
			t.Error(failure)
		}
	}()
	tape.Backward(y, 1)
}

// What a fixed weight is multiplied by does not depend on how often it was used, nor on which
// other weights its variable has.
func TestFixedWeights(t *testing.T) {
	d := watch()
	x, b := d.constant(normal("x", 3, 4)), d.constant(normal("b", 1, 4))
	w := Fixed(d.constant(normal("w", 4, 4)).Value)
	changing := Const(w.Value)
	left, right := nn(w), nt(w)
	tape := NewInference(d)
	for round := range 3 {
		for name, pair := range map[string][2]*Weight{"x·w": {left, nn(changing)}, "x·wᵀ": {right, nt(changing)}} {
			got, want := d.values(tape.Linear(x, pair[0], b).Value), d.values(tape.Linear(x, pair[1], b).Value)
			if !slices.Equal(got, want) {
				t.Errorf("%s, use %d: %v, want %v", name, round+1, got, want)
			}
			if pair[1].prepared.Load() != nil || (pair[0].prepared.Load() != nil) != (round > 0) {
				t.Errorf("%s, use %d: prepared %v", name, round+1, pair[0].prepared.Load() != nil)
			}
			tape.Release()
		}
	}
}

// layered is a model of three layers, which the tape may compute again: a lookup before them, whose table is the last
// product's weight, and dropout in all of them. The last part of two is a feed.
type layered struct {
	words, w, b *Var
	inner       [3][4]*Var
}

func newLayered(d *watched) *layered {
	m := &layered{words: d.param(normal("words", 5, 4)), w: d.param(normal("w", 4, 4)), b: d.param(normal("b", 1, 5))}
	for i := range m.inner {
		for k := range m.inner[i] {
			m.inner[i][k] = d.param(normal(fmt.Sprint("inner", i, k), 1, 4))
		}
	}
	return m
}

func (m *layered) params() []*Var {
	all := []*Var{m.words, m.w, m.b}
	all = append(all, m.inner[0][:2]...)
	for _, v := range m.inner[1:] {
		all = append(all, v[:]...)
	}
	return all
}

// pass returns the loss with something added to what is embedded.
func (m *layered) pass(tape *Tape, shift *Var) *Var {
	x := tape.Dropout(tape.Add(tape.Embed(Lookup{m.words, ids}), shift), 0.2)
	for i, v := range m.inner {
		input := x
		body := func() *Var {
			h := tape.Dropout(tape.GELU(tape.Linear(input, nn(m.w), nil)), 0.3) // one matrix for all of them
			return tape.AddNorm(input, tape.Multiply(h, h), v[0], v[1], normEpsilon, 0.1)
		}
		if i == 0 {
			x = tape.Layer(body)
			continue
		}
		x = tape.PostNormLayer(body, Feed{
			W1: nn(m.w), B1: v[2], W2: nt(m.w), B2: v[3], Activation: engine.TanhGELU, Scale: v[1], Bias: v[0], Epsilon: normEpsilon, Dropout: 0.2,
		})
	}
	return tape.VocabularyLoss(x, nt(m.words), m.b, ids, 0)
}

// A tape that computes layers again gives the gradients of one that keeps them, to the bit, says in the same order that they are final,
// and takes less memory, also where the gradient of a leaf alone is asked for first.
func TestRecompute(t *testing.T) {
	type outcome struct {
		gradients [][]float32
		shift     []float32
		order     []int
		peak      int
	}
	run := func(recompute, leaf, finish bool) (o outcome) {
		d := watch()
		m := newLayered(d)
		params := m.params()
		shift := Leaf(d.constant(normal("shift", len(ids), 4)).Value)
		tape := NewTape(d, Seed{Key: 1, Pass: 2})
		tape.Recompute = recompute
		before := len(d.live)
		d.most = before
		final := map[int]bool{}
		tape.Final = func() {
			for i, v := range params {
				if !final[i] && !v.Gradient().Pending() {
					final[i], o.order = true, append(o.order, i)
				}
			}
		}
		loss := m.pass(tape, shift)
		if leaf {
			tape.Gradient(loss, 0.5, shift)
			o.shift = d.values(shift.Slopes())
		}
		if finish {
			tape.Finish(loss, 0.5)
		} else {
			tape.Backward(loss, 0.5)
		}
		o.peak = d.most - before
		o.shift = append(o.shift, d.values(shift.Slopes())...)
		for _, v := range params {
			o.gradients = append(o.gradients, d.gradient(v))
			if v.Gradient().Pending() {
				t.Error("a gradient is pending on an empty tape")
			}
		}
		return o
	}
	for _, leaf := range []bool{false, true} {
		for _, finish := range []bool{false, true} {
			kept, again := run(false, leaf, finish), run(true, leaf, finish)
			sameBits := func(a, b []float32) bool {
				return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
			}
			if !slices.EqualFunc(kept.gradients, again.gradients, sameBits) || !sameBits(kept.shift, again.shift) {
				t.Errorf("leaf %v, finish %v: the gradients differ", leaf, finish)
			}
			if !slices.Equal(kept.order, again.order) || finish != (len(kept.order) == len(kept.gradients)) {
				t.Errorf("finish %v: final in the order %v, without recomputation %v", finish, again.order, kept.order)
			}
			if !(again.peak < kept.peak) {
				t.Errorf("%d tensors at most, without recomputation %d", again.peak, kept.peak)
			}
		}
	}
}

// feeding counts what the last part of a layer calls.
type feeding struct {
	*watched
	activated, normed int
}

func (f *feeding) LinearActivate(y, h, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, a engine.Activation) {
	f.activated++
	f.watched.LinearActivate(y, h, x, w, bias, a)
}

func (f *feeding) AddNorm(y, sum, stats, x, a, scale, bias *engine.Tensor, eps float32, drop engine.Dropout) {
	f.normed++
	f.watched.AddNorm(y, sum, stats, x, a, scale, bias, eps, drop)
}

// Of the last part of a layer the first product alone is computed again.
func TestRecomputeEndsEarly(t *testing.T) {
	d := &feeding{watched: watch()}
	m := newLayered(d.watched)
	tape := NewTape(d, Seed{})
	tape.Recompute = true
	loss := m.pass(tape, Leaf(d.constant(normal("shift", len(ids), 4)).Value))
	if d.activated != 2 || d.normed != 5 {
		t.Errorf("%d activations and %d norms, want 2 and 5", d.activated, d.normed)
	}
	d.activated, d.normed = 0, 0
	tape.Backward(loss, 1)
	if d.activated != 0 || d.normed != 3 {
		t.Errorf("%d activations and %d norms are computed again, want none and 3", d.activated, d.normed)
	}
}

// A tape that computes layers again and is given up in between leaves nothing behind.
func TestRecomputeReleases(t *testing.T) {
	d := watch()
	m := newLayered(d)
	shift := Leaf(d.constant(normal("shift", len(ids), 4)).Value)
	tape := NewTape(d, Seed{})
	tape.Recompute = true
	before := len(d.live)
	for range 2 {
		m.pass(tape, shift)
		tape.Release()
		tape.Backward(m.pass(tape, shift), 1)
		d.Free(shift.Slopes())
		if n := len(d.live) - before; n != 0 {
			t.Fatalf("%d tensors are left", n)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a layer whose result is another's is taken")
		}
	}()
	x := tape.Embed(Lookup{m.words, ids})
	tape.Layer(func() *Var { return x })
}
