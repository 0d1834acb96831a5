package adversarial

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// Relative to the largest value, as for the models' own numbers.
const (
	outputTolerance   = 1e-5
	gradientTolerance = 5e-5
)

// goldenRecipe are the settings as a case has them.
type goldenRecipe struct {
	Steps   int      `json:"adv_step"`
	LR      float64  `json:"adv_lr"`
	Norm    string   `json:"norm_type"`
	MaxNorm float64  `json:"adv_max_norm"`
	InitMag float64  `json:"adv_init_mag"`
	KL      *float64 `json:"adv_kl_weight"`   // nil: 1
	Clean   *bool    `json:"with_pure_model"` // nil: with it
}

func (g goldenRecipe) recipe(attack string) Recipe {
	r := Recipe{Adv: attack, AdvStep: g.Steps, AdvLR: g.LR, AdvNorm: g.Norm, AdvMaxNorm: g.MaxNorm, AdvInitMag: g.InitMag, AdvRule: Reference, AdvClean: true, AdvKLWeight: 1}
	if g.KL != nil {
		r.AdvKLWeight = *g.KL
	}
	if g.Clean != nil {
		r.AdvClean = *g.Clean
	}
	return r
}

// goldenCase is one run of the reference's adversarial loss.
type goldenCase struct {
	dev       *cpu.Device
	recipe    Recipe
	params    model.Parameters
	input     model.Input
	objective model.Objective
	in, out   golden.Tensors
	prefix    string            // of the names of tensors
	masks     map[string]string // names of an attack's mask
	valid     map[string]func(s, i int) bool
}

// name is that of a case's tensor; those of texts and images are named after the attack.
func (c goldenCase) name(format string, args ...any) string {
	return c.prefix + fmt.Sprintf(format, args...)
}

// packed are the rows of a padded tensor that we have.
func (c goldenCase) packed(from golden.Tensors, name, attack string) []float32 {
	shape := from.Shape(name)
	values, _ := golden.Pack(from.Floats(name), shape[0], shape[1], shape[2], c.valid[attack])
	return values
}

// start returns what the reference's random numbers begin an attack with.
func (c goldenCase) start(attack string) []float32 {
	uniform, mask := c.name("%s_uniform", attack), c.in.Floats(c.masks[attack])
	shape := c.in.Shape(uniform)
	values := slices.Clone(c.in.Floats(uniform))
	for s := range shape[0] {
		var length float64
		for _, m := range mask[s*shape[1]:][:shape[1]] {
			length += float64(m)
		}
		size := 1.0
		if c.recipe.AdvNorm == L2 {
			size = c.recipe.AdvInitMag / math.Sqrt(length*float64(shape[2]))
		}
		for i := range shape[1] * shape[2] {
			at := s*shape[1]*shape[2] + i
			values[at] = float32(float64(values[at]) * float64(mask[at/shape[2]]) * size)
		}
	}
	packed, _ := golden.Pack(values, shape[0], shape[1], shape[2], c.valid[attack])
	return packed
}

// outputs is an objective that keeps what the model says.
type outputs struct {
	model.Objective
	seen [][]float32
}

func (o *outputs) Output(t *autograd.Tape, in model.Input) *autograd.Var {
	v := o.Objective.Output(t, in)
	values := make([]float32, v.Value.Len())
	t.Device().Read(values, v.Value)
	o.seen = append(o.seen, values)
	return v
}

func (o *outputs) Comparable() model.Objective {
	o.Objective = o.Objective.Comparable()
	return o
}

// run compares loss, what was added in each step, and gradients; it returns the model's outputs in their order.
func (c goldenCase) run(t *testing.T, grads *golden.Tensors) [][]float32 {
	t.Helper()
	d := c.dev
	c.params.ClearGradients()
	o, trainer := &outputs{Objective: c.objective}, Trainer{Recipe: c.recipe}
	before := len(c.input.Objects.Tokens)
	trainer.trace = func(attack string, step int, added []float32) {
		if attack == text {
			added = added[before*(len(added)/(before+len(c.input.Text.Tokens))):]
		}
		if step == 0 {
			copy(added, c.start(attack))
		}
		golden.Near(t, fmt.Sprintf("%s of step %d", attack, step), added, c.packed(c.out, c.name("%s_delta_iter%d", attack, step), attack), outputTolerance)
	}
	parts := c.recipe.Parts(1)
	scales := make([]float32, len(parts))
	for i, p := range parts {
		scales[i] = float32(p.Weight)
	}
	tape := autograd.NewTape(d, autograd.Seed{})
	values, _, err := trainer.Passes(tape, c.input, o, scales)
	if err != nil {
		t.Fatal(err)
	}
	var loss float32
	for i, v := range values() {
		loss += scales[i] * v
	}
	golden.Near(t, "loss", []float32{loss}, c.out.Floats(c.name("loss")), outputTolerance)
	if grads != nil {
		var names []string
		got := map[string][]float32{}
		for _, p := range c.params {
			names = append(names, p.Name)
			got[p.Name] = engine.Values(d, p.Gradient().Fill(d))
		}
		golden.NearGradients(t, *grads, names, func(name string) []float32 { return got[name] }, gradientTolerance)
	}
	return o.seen
}

// goldenModel makes the model of a case.
func goldenModel[M model.Heads](t *testing.T, d *cpu.Device, c golden.Case, problem string, labels int, params func(M) model.Parameters) M {
	t.Helper()
	cfg, err := model.ReadConfig(c.Path("config.json"))
	if err != nil {
		t.Fatal(err)
	}
	cfg.ProblemType, cfg.NumLabels, cfg.HiddenDropout, cfg.AttentionDropout = problem, labels, 0, 0
	m, err := model.New[M](d, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	if report, err := params(m).Load(d, c.Tensors(t, "weights.safetensors").Reader()); err != nil || len(report.Missing) > 0 {
		t.Fatal(err, report.Missing)
	}
	return m
}

// goldenText packs a text of a case.
func goldenText(in golden.Tensors, ids, positions string, valid func(s, i int) bool) (text model.Text) {
	shape := in.Shape(ids)
	narrow := func(name string) (values []int32) {
		for _, v := range in.Ints(name) {
			values = append(values, int32(v))
		}
		return values
	}
	text.Tokens, text.Offsets = golden.Pack(narrow(ids), shape[0], shape[1], 1, valid)
	text.Positions, _ = golden.Pack(narrow(positions), shape[0], shape[1], 1, valid)
	return text
}

// goldenImages packs the images of a case.
func goldenImages(in golden.Tensors, valid func(s, i int) bool) (im model.Images) {
	shape := in.Shape("image_embedding")
	im.Features, im.Offsets = golden.Pack(in.Floats("image_embedding"), shape[0], shape[1], shape[2], valid)
	im.Locations, _ = golden.Pack(in.Floats("image_loc"), shape[0], shape[1], model.LocationSize, valid)
	return im
}

func TestGoldenEntailment(t *testing.T) {
	golden.Run(t, "visual_entailment", func(t *testing.T, c golden.Case) {
		var info struct {
			NumLabels   int          `json:"num_labels"`
			Adversarial goldenRecipe `json:"adversarial"`
		}
		c.JSON(t, "case.json", &info)
		d := cpu.New()
		m := goldenModel(t, d, c, model.Entailment, info.NumLabels, func(m *model.Classifier) model.Parameters { return m.Params })
		in, grads := c.Tensors(t, "inputs.safetensors"), c.Tensors(t, "grads.safetensors")
		var classes []int32
		for _, label := range in.Ints("labels") {
			classes = append(classes, int32(label))
		}
		g := goldenCase{
			dev: d, recipe: info.Adversarial.recipe(Villa), params: m.Params, objective: m.Objective(model.Targets{Classes: classes}),
			in: in, out: c.Tensors(t, "outputs.safetensors"), masks: map[string]string{text: "text_mask", image: "image_mask"},
			valid: map[string]func(s, i int) bool{text: golden.Attends(in, in.Shape("image_embedding")[1]), image: golden.Attends(in, 0)},
		}
		g.input = model.Input{Images: goldenImages(in, g.valid[image]), Text: goldenText(in, "src_ids", "pos_ids", g.valid[text])}
		seen := g.run(t, &grads)
		names := []string{"pure"} // then all steps of one attack, of the other, and the clean pass again
		for _, attack := range []string{text, image} {
			for range info.Adversarial.Steps {
				names = append(names, attack)
			}
		}
		steps := map[string]int{}
		for i, name := range append(names, "pure") {
			golden.Near(t, "logits "+name, seen[i], g.out.Floats(fmt.Sprintf("logits_%s_iter%d", name, steps[name])), outputTolerance)
			if name != "pure" { // it is always the same
				steps[name]++
			}
		}
	})
}

// Every run of the captioning's loss with an attack that a case holds, and the gradients that it has.
func TestGoldenCaptioning(t *testing.T) {
	golden.Run(t, "img2txt_train", func(t *testing.T, c golden.Case) {
		var info struct {
			Smoothing float32                 `json:"label_smooth"`
			Variants  map[string]goldenRecipe `json:"variants"`
		}
		c.JSON(t, "case.json", &info)
		d := cpu.New()
		m := goldenModel(t, d, c, model.Captioning, 0, func(g *model.Generator) model.Parameters { return g.Params })
		in := c.Tensors(t, "inputs.safetensors")
		b, regions, words := in.Shape("src_ids")[0], in.Shape("image_embedding")[1], in.Shape("src_ids")[1]
		next := map[int64]int32{} // of the text only tokens that something follows
		var labels []int32        // in order, as TestGoldenCaptioning of package model checks
		for i, label := range in.Ints("tgt_label") {
			next[in.Ints("tgt_pos")[i]] = int32(label)
			labels = append(labels, int32(label))
		}
		g := goldenCase{
			dev: d, params: m.Params, objective: m.Objective(labels, info.Smoothing), in: in, out: c.Tensors(t, "outputs.safetensors"),
			masks: map[string]string{text: "token_mask", image: "image_mask"},
			valid: map[string]func(s, i int) bool{image: golden.Attends(in, 0), text: func(s, i int) bool {
				_, ok := next[int64(s*words+i)]
				return ok
			}},
		}
		g.input = model.Input{
			Images: goldenImages(in, g.valid[image]), Objects: goldenText(in, "obj_token_ids", "obj_pos_ids", golden.Attends(in, regions)),
			Text: goldenText(in, "src_ids", "pos_ids", g.valid[text]),
		}
		g.input.Text.Sources = make([]int32, b) // none of the text
		for name, variant := range info.Variants {
			i := slices.IndexFunc([]string{FreeLBText, FreeLBImage, Villa}, func(attack string) bool { return strings.HasPrefix(name, attack) })
			if i < 0 {
				continue // plain: see package model
			}
			t.Run(name, func(t *testing.T) {
				g := g
				g.recipe, g.prefix = variant.recipe([]string{FreeLBText, FreeLBImage, Villa}[i]), name+"."
				if !c.Has("grads_" + name + ".safetensors") {
					g.run(t, nil)
					return
				}
				grads := c.Tensors(t, "grads_"+name+".safetensors")
				g.run(t, &grads)
			})
		}
	})
}
