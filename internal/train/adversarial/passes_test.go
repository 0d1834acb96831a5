package adversarial

import (
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/model"
)

// counter is a device that knows what it has computed and how much memory it has in use.
type counter struct {
	*cpu.Device
	work       float64 // multiplications of products
	live, peak int     // floats
}

func (c *counter) New(rows, cols int) *engine.Tensor {
	c.live += rows * cols
	c.peak = max(c.peak, c.live)
	return c.Device.New(rows, cols)
}

func (c *counter) Free(t *engine.Tensor) {
	if t != nil {
		c.live -= t.Len()
	}
	c.Device.Free(t)
}

func (c *counter) MatMul(dst, a, b *engine.Tensor, op engine.Transpose, accumulate bool) {
	c.work += float64(a.Len()) * float64(dst.Len()) / float64(map[bool]int{true: a.Cols, false: a.Rows}[op == engine.TN])
	c.Device.MatMul(dst, a, b, op, accumulate)
}

func (c *counter) Linear(y, x *engine.Tensor, w engine.Weight, bias *engine.Tensor) {
	c.work += float64(x.Rows) * float64(w.Tensor.Len())
	c.Device.Linear(y, x, w, bias)
}

func (c *counter) LinearActivate(y, h, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, a engine.Activation) {
	c.work += float64(x.Rows) * float64(w.Tensor.Len())
	c.Device.LinearActivate(y, h, x, w, bias, a)
}

func (c *counter) VocabularyLoss(loss, stats, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, labels []int32, smoothing float32) {
	c.work += float64(x.Rows) * float64(w.Tensor.Len())
	c.Device.VocabularyLoss(loss, stats, x, w, bias, labels, smoothing)
}

// The logits that this computes again do not count, so that passes that keep theirs gain no room by it.
func (c *counter) VocabularyLossBackward(dx, dw, db, dloss, stats, x *engine.Tensor, w engine.Weight, bias *engine.Tensor, labels []int32, smoothing float32, addW, addB bool) {
	c.work += 2 * float64(x.Rows) * float64(w.Tensor.Len()) // dx and dw
	c.Device.VocabularyLossBackward(dx, dw, db, dloss, stats, x, w, bias, labels, smoothing, addW, addB)
}

// config is a small model; of images with texts the regions' features are wide, as they are.
func config(problem string) model.Config {
	return model.Config{
		VocabSize: 64, HiddenSize: 32, Layers: 4, Heads: 2, MaxPositions: 32, HiddenAct: "gelu", InitRange: 0.1, NumLabels: 3,
		ProblemType: problem, ImageEmbeddingSize: 48, HiddenDropout: 0.1, AttentionDropout: 0.1,
	}
}

// pairs is a batch of images, objects' names and texts.
func pairs(cfg model.Config, n int) (in model.Input) {
	in.Images.Offsets = []int32{0}
	for s := range n {
		for i := range (3 + s%2) * cfg.ImageEmbeddingSize {
			in.Images.Features = append(in.Images.Features, float32(math.Sin(float64(i*i+s))))
		}
		for i := range (3 + s%2) * model.LocationSize {
			in.Images.Locations = append(in.Images.Locations, float32(i%7)/7)
		}
		in.Images.Offsets = append(in.Images.Offsets, int32(len(in.Images.Locations)/model.LocationSize))
		if cfg.ProblemType == model.Captioning {
			in.Objects.Append([]int32{int32(s), 9}[:s%3])
			in.Text.AppendTarget(nil, []int32{0, int32(10 + s), 12, 13})
			continue
		}
		in.Text.Append([]int32{0, int32(10 + s), 12, int32(13 + s%3), 2}[:4+s%2])
	}
	return in
}

// objective makes a model and what it is trained for on a batch.
func objective(t testing.TB, d engine.Device, cfg model.Config, n int) (in model.Input, o model.Objective, params model.Parameters) {
	t.Helper()
	in = pairs(cfg, n)
	if cfg.ProblemType == model.Captioning {
		g, err := model.New[*model.Generator](d, cfg, 1)
		if err != nil {
			t.Fatal(err)
		}
		labels := make([]int32, 4*n)
		for i := range labels {
			labels[i] = int32(i % 5)
		}
		return in, g.Objective(labels, 0.1), g.Params
	}
	if cfg.ProblemType == model.Classification || cfg.ProblemType == model.Regression {
		in.Images = model.Images{}
	}
	c, err := model.New[*model.Classifier](d, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	var targets model.Targets
	for i := range n {
		targets.Classes, targets.Scores, targets.Soft = append(targets.Classes, int32(i%3)), append(targets.Scores, float32(i%2)), append(targets.Soft, 0, 1, 0.3)
	}
	return in, c.Objective(targets), c.Params
}

// scales are those of a step with one batch.
func scales(r Recipe) (list []float32) {
	for _, p := range r.Parts(1) {
		list = append(list, float32(p.Weight))
	}
	return list
}

var recipes = map[string]Recipe{
	"villa": Entailment(), "captions": Captioning("base"), "none": None(),
	"VILLA's rule": with(func(r *Recipe) { r.AdvRule = Villa }),
	"no clean":     with(func(r *Recipe) { r.AdvClean = false }),
	"no weight":    with(func(r *Recipe) { r.AdvKLWeight = 0 }),
	"images":       with(func(r *Recipe) { r.Adv, r.AdvStep = FreeLBImage, 2 }),
	"texts":        with(func(r *Recipe) { r.Adv, r.AdvStep = FreeLBText, 3 }),
}

func with(edit func(*Recipe)) Recipe {
	r := Entailment()
	edit(&r)
	return r
}

// A batch costs at most 1.05 times its passes, and no more memory than one of them, nearly.
func TestCost(t *testing.T) {
	for _, problem := range []string{model.Entailment, model.Answering, model.Captioning} {
		cfg := config(problem)
		cfg.VocabSize = 144 // so that two products too many for each divergence would show
		d := &counter{Device: cpu.New()}
		in, o, params := objective(t, d, cfg, 8)
		tape := autograd.NewTape(d, autograd.Seed{Key: 1})
		weights := d.live
		measure := func(do func()) (work float64, peak int) {
			params.ClearGradients()
			tape.Reset(autograd.Seed{Key: 1})
			d.work, d.peak = 0, 0
			do()
			if d.live != weights {
				t.Errorf("%s: %d floats are in use, want %d", problem, d.live, weights)
			}
			return d.work, d.peak
		}
		var loss *autograd.Var
		forward, _ := measure(func() {
			loss = o.Loss(tape, o.Output(tape, in))
			tape.Release()
		})
		both, plain := measure(func() {
			loss = o.Loss(tape, o.Output(tape, in))
			tape.Backward(loss, 1)
		})
		for name, r := range recipes {
			trainer := Trainer{Recipe: r}
			work, peak := measure(func() {
				parts, _, _ := trainer.Passes(tape, in, o, scales(r))
				parts()
			})
			c := r.Count()
			want := float64(c.Forward)*forward + float64(c.Backward)*(both-forward) + float64(c.Inputs)*forward
			if ratio := work / want; !(ratio <= 1.05) || ratio < 0.9 {
				t.Errorf("%s, %s: %.3f times the work of %+v", problem, name, ratio, c)
			}
			if ratio := float64(peak) / float64(plain); !(ratio <= 1.15) {
				t.Errorf("%s, %s: %.3f times the memory of a plain step", problem, name, ratio)
			}
		}
	}
}

// The clean pass drops the same before the attacks and after them, and no attack drops as another does.
func TestDropout(t *testing.T) {
	d := cpu.New()
	in, o, _ := objective(t, d, config(model.Entailment), 5)
	seen := &outputs{Objective: o}
	r := Entailment()
	r.AdvInitMag, r.AdvLR = 0, 1e-9
	trainer, tape := Trainer{Recipe: r}, autograd.NewTape(d, autograd.Seed{Key: 7, Pass: 3})
	trainer.Passes(tape, in, seen, scales(r))
	all := seen.seen
	if len(all) != r.Count().Forward || !slices.Equal(all[0], all[len(all)-1]) {
		t.Errorf("%d passes, the clean ones differ", len(all))
	}
	for i, a := range all[1:] {
		if slices.ContainsFunc(all[:i+1], func(b []float32) bool { return slices.Equal(a, b) }) != (i == len(all)-2) {
			t.Errorf("pass %d has the dropout of another", i+1)
		}
	}
	plain := autograd.NewTape(d, autograd.Seed{Key: 7, Pass: 3})
	v := o.Output(plain, in)
	if got := engine.Values(d, v.Value); !slices.Equal(got, all[0]) {
		t.Errorf("the clean pass is another than that of plain training: %v, want %v", all[0], got)
	}
}

// What is added at first depends on the batch's number and the attack, and not on the threads.
func TestStarts(t *testing.T) {
	starts := func(threads int, pass uint64) (list [][]float32) {
		d := cpu.NewLimited(parallel.Limit(threads))
		in, o, _ := objective(t, d, config(model.Captioning), 4)
		trainer := Trainer{Recipe: Captioning("base")}
		trainer.trace = func(attack string, step int, added []float32) {
			if step == 0 {
				list = append(list, slices.Clone(added))
			}
		}
		trainer.Passes(autograd.NewTape(d, autograd.Seed{Key: 5, Pass: pass}), in, o, scales(trainer.Recipe))
		return list
	}
	one, again, other := starts(1, 3), starts(2, 3), starts(2, 4)
	for i := range one {
		if !slices.Equal(one[i], again[i]) || slices.Equal(one[i], other[i]) {
			t.Errorf("attack %d: it begins otherwise, or as another batch does", i)
		}
	}
	same := 0
	for i, x := range one[0] {
		if (x < 0) == (one[1][i] < 0) {
			same++
		}
	}
	if n := len(one[0]); same < n/4 || same > n*3/4 {
		t.Errorf("of %d numbers %d have one sign in both attacks", n, same)
	}
	const names = 3 * 32 // of four sequences with 0, 1, 2 and 0 objects
	if slices.ContainsFunc(one[0][:names], func(x float32) bool { return x != 0 }) || slices.Contains(one[0][names:], 0) {
		t.Error("objects' names are attacked, or texts are not")
	}
}

// Every kind of model learns under every recipe: the loss without attack falls, and so does that under it.
func TestTraining(t *testing.T) {
	for _, problem := range []string{model.Classification, model.Regression, model.Entailment, model.Answering, model.Captioning} {
		d := cpu.New()
		cfg := config(problem)
		if cfg.Layers = 1; problem == model.Regression {
			cfg.NumLabels = 1
		}
		in, o, params := objective(t, d, cfg, 6)
		var optimised []optim.Param
		for _, p := range params {
			optimised = append(optimised, optim.Param{Name: p.Name, Value: p.Value, Grad: p.Gradient()})
		}
		r := Entailment()
		if r.AdvStep = 2; in.Images.Sequences() == 0 {
			r.Adv = FreeLBText
		}
		adam := optim.NewAdam(d, optim.Config{Beta1: 0.9, Beta2: 0.98, Epsilon: 1e-6, ClipNorm: 1}, optimised)
		trainer, tape := Trainer{Recipe: r}, autograd.NewTape(d, autograd.Seed{})
		var first, last []float32
		for step := range 25 {
			params.ClearGradients()
			tape.Reset(autograd.Seed{Key: 1, Pass: uint64(step)})
			parts, tokens, err := trainer.Passes(tape, in, o, scales(r))
			if err != nil || tokens != in.Rows() {
				t.Fatal(tokens, err)
			}
			if last = parts(); step == 0 {
				first = last
			}
			if _, err := adam.Step(3e-3); err != nil {
				t.Fatal(err)
			}
		}
		for i, p := range r.Parts(1) {
			if p.Name != divergence && !(last[i] < 0.9*first[i]) {
				t.Errorf("%s: %s went from %g to %g", problem, p.Name, first[i], last[i])
			}
		}
	}
}
