package optim

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// Moments of 16 bits stay near those of 32, and another seed rounds otherwise.
func TestRoundedMoments(t *testing.T) {
	const rows, cols, steps = 40, 30, 300
	run := func(moments string, seed uint64) (*cpu.Device, Param, *Adam) {
		d := cpu.New()
		p := newParam(d, "w", rows, cols)
		d.Write(p.Value, normal("w", rows*cols, 1))
		cfg := Default
		cfg.Beta2, cfg.ClipNorm, cfg.Moments, cfg.Seed = 0.999, 0, moments, seed
		a := NewAdam(d, cfg, []Param{p})
		for step := range steps {
			setGradient(d, p, normal(fmt.Sprint(step), rows*cols, 0.1))
			if _, err := a.Step(0.01); err != nil {
				t.Fatal(err)
			}
		}
		return d, p, a
	}
	d, p, a := run(MomentsFloat32, 1)
	other, q, b := run(MomentsBfloat16, 1)
	list := b.Moments(0)
	if list[0].Value != list[1].Value || list[0].Bits != UpperHalf || list[1].Bits != LowerHalf {
		t.Fatalf("moments are %+v", list)
	}
	_, v := both(a, 0)
	var exact, rounded, apart float64
	for i, x := range other.Host(list[1].Value) {
		rounded += float64(math.Float32frombits(math.Float32bits(x) << 16))
		exact += float64(d.Host(v)[i])
		apart = max(apart, math.Abs(float64(other.Host(q.Value)[i]-d.Host(p.Value)[i])))
	}
	if math.Abs(rounded-exact) > 0.002*exact {
		t.Errorf("second moments are %v in all, exactly %v", rounded, exact)
	}
	if !(apart > 0 && apart < 0.02) { // a step is 0.01 at most
		t.Errorf("parameters are %v apart at most", apart)
	}
	third, r, _ := run(MomentsBfloat16, 2)
	if slices.Equal(third.Host(r.Value), other.Host(q.Value)) {
		t.Error("another seed rounds in the same way")
	}
}

// Factored moments against the formulas in float64: a matrix of rank one has exactly the squares that rows and columns say.
func TestFactoredMoments(t *testing.T) {
	const rows, cols, rate = 6, 5, 0.1
	d := cpu.New()
	p, bias := newParam(d, "w", rows, cols), newParam(d, "b", 1, cols)
	start := normal("w", rows*cols, 1)
	d.Write(p.Value, start)
	d.Write(bias.Value, normal("b", cols, 1))
	cfg := Config{Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, WeightDecay: 0.1, Moments: MomentsFactored}
	a := NewAdam(d, cfg, []Param{p, bias})
	if list := a.Moments(0); len(list) != 2 || list[0].Value.Len()+list[1].Value.Len() != rows+cols+1 {
		t.Fatalf("moments of a matrix are %+v", list)
	}
	if list := a.Moments(1); len(list) != 2 || list[0].Value.Len() != cols || list[0].Suffix != "_moment1_0" {
		t.Fatalf("moments of a vector are %+v", list)
	}
	want, v := wide(start), make([]float64, rows*cols)
	for step := 1; step <= 5; step++ {
		r, c := normal(fmt.Sprint("rows", 1), rows, 1), normal(fmt.Sprint("columns", 1), cols, 1)
		g := make([]float32, rows*cols)
		for i := range g {
			g[i] = r[i/cols] * c[i%cols] * float32(step)
		}
		setGradient(d, p, g)
		setGradient(d, bias, normal("g", cols, 1))
		if _, err := a.Step(rate); err != nil {
			t.Fatal(err)
		}
		var squares float64
		u := make([]float64, len(g))
		for i, x := range g {
			v[i] = cfg.Beta2*v[i] + (1-cfg.Beta2)*float64(x)*float64(x)
			u[i] = float64(x) / (math.Sqrt(v[i]) + cfg.Epsilon)
			squares += u[i] * u[i] / float64(len(g))
		}
		size := rate * math.Sqrt(1-math.Pow(cfg.Beta2, float64(step))) / max(1, math.Sqrt(squares))
		for i := range want {
			want[i] -= size*u[i] + cfg.WeightDecay*rate*want[i]
			if got := float64(d.Host(p.Value)[i]); math.Abs(got-want[i]) > 1e-5 {
				t.Fatalf("step %d: element %d is %v, want %v", step, i, got, want[i])
			}
		}
	}
}

// Rows whose steps are postponed end in the same bits whenever they are made, in a run that is resumed, too.
func TestFactoredMomentsPostponed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := Default
		cfg.WeightDecay = rapid.SampledFrom([]float64{0, 0.01}).Draw(t, "decay")
		cfg.Moments = MomentsFactored
		late, often := newEmbedding(cpu.New(), cfg, false), newEmbedding(cpu.New(), cfg, false)
		row := rapid.Int32Range(0, embeddingRows-1)
		same := func(what string, got, want []float32) {
			t.Helper()
			if !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
				t.Fatalf("%s: %v, want %v", what, got, want)
			}
		}
		for step := range rapid.IntRange(1, 30).Draw(t, "steps") {
			ids := rapid.SliceOfN(row, 1, 4).Draw(t, "ids")
			weight := rapid.Bool().Draw(t, "weight")
			same(fmt.Sprint("read in step ", step), often.step(t, step, ids, weight), late.step(t, step, ids, weight))
			switch rapid.IntRange(0, 3).Draw(t, "then") {
			case 0:
				often.adam.Settle()
			case 1:
				often.resume()
			}
		}
		late.adam.Settle()
		often.adam.Settle()
		for i, p := range late.params {
			same(p.Name, often.values(often.params[i].Value), late.values(p.Value))
			want := late.adam.Moments(i)
			for k, m := range often.adam.Moments(i) {
				same(p.Name+m.Suffix, often.values(m.Value), late.values(want[k].Value))
			}
		}
	})
}

// On a device that is not rowwise a table moves as by rows, and a weight of which some rows have no gradient as on one that is.
func TestFactoredMomentsOfAllRows(t *testing.T) {
	cfg := Default
	cfg.Moments, cfg.WeightDecay = MomentsFactored, 0.01
	rapid.Check(t, func(t *rapid.T) {
		rows, all := newEmbedding(cpu.New(), cfg, false), newEmbedding(whole{cpu.New()}, cfg, false)
		for step := range 5 {
			ids := rapid.SliceOfN(rapid.Int32Range(0, embeddingRows-1), 1, 4).Draw(t, "ids")
			rows.step(t, step, ids, step != 2)
			all.step(t, step, ids, step != 2)
		}
		rows.adam.Settle()
		all.adam.Settle()
		for i, p := range rows.params {
			got := all.values(all.params[i].Value)
			for j, want := range rows.values(p.Value) {
				if math.Abs(float64(got[j]-want)) > 1e-6 {
					t.Fatalf("%s: element %d is %v, want %v", p.Name, j, got[j], want)
				}
			}
		}
	})
}

func TestMomentBytes(t *testing.T) {
	for _, moments := range []string{MomentsFloat32, MomentsBfloat16, MomentsFactored} {
		for _, shape := range [][2]int{{1, 7}, {7, 1}, {6, 5}} {
			d := cpu.New()
			a := NewAdam(d, Config{Moments: moments}, []Param{newParam(d, "w", shape[0], shape[1])})
			tensors := map[any]int{}
			for _, m := range a.Moments(0) {
				tensors[m.Value] = 4 * m.Value.Len()
			}
			sum := 0
			for _, n := range tensors {
				sum += n
			}
			if got := MomentBytes(moments, int64(shape[0]), int64(shape[1])); got != int64(sum) {
				t.Errorf("%s of %v: %d bytes, want %d", moments, shape, got, sum)
			}
		}
		if err := CheckMoments(moments); err != nil {
			t.Error(err)
		}
	}
	if err := CheckMoments("half"); err == nil {
		t.Error("half is a form of moments")
	}
}
