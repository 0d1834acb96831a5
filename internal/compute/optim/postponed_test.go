package optim

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// whole is a device that is not rowwise. Operations on some rows, and idle steps, are no operations of it.
type whole struct{ *cpu.Device }

func (whole) Rowwise() bool { return false }

func (whole) Sparse(*engine.Tensor) { panic("some rows") }

func (w whole) Adam(p, m, v, g *engine.Tensor, rows []int32, s engine.AdamStep) {
	if rows != nil {
		panic("some rows")
	}
	w.Device.Adam(p, m, v, g, nil, s)
}

func (w whole) AdamBfloat16(p, moments, g *engine.Tensor, rows []int32, s engine.AdamStep, r engine.Rounding) {
	if rows != nil {
		panic("some rows")
	}
	w.Device.AdamBfloat16(p, moments, g, nil, s, r)
}

func (w whole) AdamFactored(p *engine.Tensor, f engine.Factored, g *engine.Tensor, rows []int32, s engine.AdamStep) {
	if rows != nil {
		panic("some rows")
	}
	w.Device.AdamFactored(p, f, g, nil, s)
}

func (whole) AdamIdle(_, _, _ *engine.Tensor, _, _ []int32, _ []engine.AdamStep) {
	panic("an idle step")
}

func (whole) AdamIdleBfloat16(_, _ *engine.Tensor, _, _ []int32, _ []engine.AdamStep, _ engine.Rounding) {
	panic("an idle step")
}

func (whole) AdamIdleFactored(_ *engine.Tensor, _ engine.Factored, _, _ []int32, _ []engine.AdamStep) {
	panic("an idle step")
}

// embedding is a table that is looked up, beside a weight, with their optimiser. A dense one
// gives the optimiser zeros for what no token looked up; it is the oracle.
type embedding struct {
	dev    engine.Device
	dense  bool
	params []Param
	table  *autograd.Var
	adam   *Adam
	cfg    Config
}

const embeddingRows, embeddingCols = 7, 5

func newEmbedding(d engine.Device, cfg Config, dense bool) *embedding {
	e := &embedding{dev: d, dense: dense, cfg: cfg, params: []Param{
		newParam(d, "word_embedding", embeddingRows, embeddingCols), newParam(d, "fc.w_0", 3, 2), newParam(d, "never.w_0", 2, 2),
	}}
	for _, p := range e.params {
		d.Write(p.Value, normal(p.Name, p.Value.Len(), 0.1))
	}
	e.table = autograd.Param(e.params[0].Value, e.params[0].Grad)
	e.adam = NewAdam(d, cfg, e.params)
	return e
}

// step looks rows up, and returns what it read.
func (e *embedding) step(t *rapid.T, step int, ids []int32, weight bool) []float32 {
	for _, p := range e.params {
		p.Grad.Clear()
		if e.dense {
			p.Grad.Fill(e.dev)
		}
	}
	tape := autograd.NewTape(e.dev, autograd.Seed{})
	w := autograd.Const(e.dev.Wrap(embeddingCols, 1, normal("w", embeddingCols, 1)))
	b := autograd.Const(e.dev.Wrap(1, 1, []float32{0}))
	x := tape.Embed(autograd.Lookup{Table: e.table, IDs: ids})
	read := slices.Clone(e.values(x.Value))
	tape.Backward(tape.SquaredError(tape.Linear(x, autograd.NewWeight(w, engine.NN), b), normal(fmt.Sprint(step), len(ids), 3)), 1)
	if weight {
		gradient := normal(fmt.Sprint("w", step), 6, 1)
		clear(gradient[:2]) // the row of a unit that a ReLU has put out
		setGradient(e.dev, e.params[1], gradient)
	}
	if _, err := e.adam.Step(0.1 / float64(1+step%4)); err != nil {
		t.Fatal(err)
	}
	return read
}

func (e *embedding) values(t *engine.Tensor) []float32 { return engine.Values(e.dev, t) }

// resume goes on with a new optimiser, as a run that is resumed does.
func (e *embedding) resume() {
	e.adam = resumed(e.dev, e.adam, e.cfg, e.params)
}

// Rows whose updates are postponed have, whenever they are read and in the end, the bits that
// dense updates give them, and so have those of a device that is not rowwise.
func TestPostponedUpdates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Default
		cfg.WeightDecay = rapid.SampledFrom([]float64{0, 0.01}).Draw(t, "decay")
		cfg.Beta1 = rapid.SampledFrom([]float64{0.9, 0.1}).Draw(t, "beta1") // 0.1: moments soon vanish
		cfg.Moments = rapid.SampledFrom([]string{MomentsFloat32, MomentsBfloat16}).Draw(t, "moments")
		dense := newEmbedding(cpu.New(), cfg, true)
		others := []*embedding{newEmbedding(cpu.New(), cfg, false), newEmbedding(whole{cpu.New()}, cfg, false)}
		same := func(what string, got, want []float32) {
			t.Helper()
			if !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
				t.Fatalf("%s: %v, want %v", what, got, want)
			}
		}
		row := rapid.Int32Range(0, embeddingRows-1)
		for step := range rapid.IntRange(1, 40).Draw(t, "steps") {
			ids := rapid.SliceOfN(row, 1, 4).Draw(t, "ids")
			weight := rapid.Bool().Draw(t, "weight")
			want := dense.step(t, step, ids, weight)
			then := rapid.IntRange(0, 9).Draw(t, "then")
			for _, e := range others {
				same(fmt.Sprint("read in step ", step), e.step(t, step, ids, weight), want)
				switch then {
				case 0:
					e.adam.Settle()
				case 1:
					e.resume()
				}
			}
		}
		dense.adam.Settle()
		for _, e := range others {
			e.adam.Settle()
			for i, p := range e.params {
				same(p.Name, e.values(p.Value), dense.values(dense.params[i].Value))
				want := dense.adam.Moments(i)
				for k, m := range e.adam.Moments(i) {
					same(p.Name+m.Suffix, e.values(m.Value), dense.values(want[k].Value))
				}
			}
		}
	})
}

// A shard steps its rows to the bits that the whole optimiser gives them, and has moments of these alone.
func TestShard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Default
		cfg.WeightDecay = rapid.SampledFrom([]float64{0, 0.01}).Draw(t, "decay")
		cfg.Moments = rapid.SampledFrom([]string{MomentsFloat32, MomentsBfloat16}).Draw(t, "moments")
		whole, part := newEmbedding(cpu.New(), cfg, false), newEmbedding(cpu.New(), cfg, false)
		var shard Shard
		for _, p := range part.params {
			from := rapid.IntRange(0, p.Value.Rows).Draw(t, "from")
			shard.Rows = append(shard.Rows, [2]int{from, rapid.IntRange(from, p.Value.Rows).Draw(t, "to")})
			p.Grad.Before = nil
		}
		shard.Share = func(sums [][]float64) error {
			for i, own := range sums {
				if own == nil {
					continue
				}
				all := make([]float64, len(own))
				part.dev.RowSquares(all, part.params[i].Grad.Tensor(), nil)
				if from, to := shard.Rows[i][0], shard.Rows[i][1]; !slices.Equal(own[from:to], all[from:to]) {
					t.Fatalf("rows of %s: sums of squares %v, want %v", part.params[i].Name, own[from:to], all[from:to])
				}
				copy(own, all)
			}
			return nil
		}
		part.adam = NewSharded(part.dev, cfg, part.params, shard)
		for step := range rapid.IntRange(1, 20).Draw(t, "steps") {
			ids := rapid.SliceOfN(rapid.Int32Range(0, embeddingRows-1), 1, 4).Draw(t, "ids")
			weight := rapid.Bool().Draw(t, "weight")
			whole.step(t, step, ids, weight)
			part.step(t, step, ids, weight)
			whole.adam.Settle()
			for i, p := range whole.params {
				cols, of := p.Value.Cols, shard.Rows[i]
				partly := part.adam.Moments(i)
				same := func(what string, got, want []float32) {
					t.Helper()
					if !slices.EqualFunc(got, want[of[0]*cols:of[1]*cols], func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
						t.Fatalf("step %d, %s of rows %v of %s: %v, want some of %v", step, what, of, p.Name, got, want)
					}
				}
				values := part.values(part.params[i].Value)
				same("values", values[of[0]*cols:of[1]*cols], whole.values(p.Value))
				for k, m := range whole.adam.Moments(i) {
					same(m.Suffix, part.values(partly[k].Value), whole.values(m.Value))
				}
				copy(values, whole.values(p.Value)) // as the other processes give them
			}
		}
	})
}
