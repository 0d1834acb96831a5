package model

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/test/accelerator"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// Tolerances of the reference's numbers, relative to a tensor's largest magnitude.
const (
	outputTolerance   = 1e-5
	gradientTolerance = 5e-5
)

// goldenText packs the padded inputs [B,T,1] of a case. valid[i] is the index of
// packed row i in the padded layout.
func goldenText(tb testing.TB, in golden.Tensors) (text Text, valid []int) {
	tb.Helper()
	ids, positions, mask := in.Ints("src_ids"), in.Ints("pos_ids"), in.Floats("input_mask")
	shape := in.Shape("src_ids")
	b, length := shape[0], shape[1]
	text.Offsets = []int32{0}
	for s := range b {
		for i := range length {
			// A real token may attend to itself; padding may not.
			if mask[(s*length+i)*length+i] == 0 {
				continue
			}
			text.Tokens = append(text.Tokens, int32(ids[s*length+i]))
			text.Positions = append(text.Positions, int32(positions[s*length+i]))
			valid = append(valid, s*length+i)
		}
		text.Offsets = append(text.Offsets, int32(len(text.Tokens)))
	}
	return text, valid
}

// goldens runs a test for the cases of a kind, on the engine for processors and on an accelerator.
func goldens(t *testing.T, kind string, test func(t *testing.T, d engine.Device, c golden.Case)) {
	golden.Run(t, kind, func(t *testing.T, c golden.Case) {
		accelerator.Each(t, func(t *testing.T, d engine.Device) { test(t, d, c) })
	})
}

// goldenConfig reads the configuration of a case, with dropout as in all of them: off.
func goldenConfig(tb testing.TB, c golden.Case, problem string) Config {
	tb.Helper()
	cfg, err := ReadConfig(c.Path("config.json"))
	if err != nil {
		tb.Fatal(err)
	}
	cfg.ProblemType, cfg.HiddenDropout, cfg.AttentionDropout = problem, 0, 0
	return cfg
}

// loadGolden sets all parameters to the weights of a case.
func loadGolden(t *testing.T, c golden.Case, d engine.Device, params Parameters) {
	t.Helper()
	report, err := params.Load(d, c.Tensors(t, "weights.safetensors").Reader())
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Missing) > 0 {
		t.Fatalf("weights lack %v", report.Missing)
	}
}

// goldenModel loads the weights of a case into a trainable classifier.
func goldenModel(t *testing.T, d engine.Device, c golden.Case, problem string, labels int) *Classifier {
	t.Helper()
	cfg := goldenConfig(t, c, problem)
	cfg.NumLabels = labels
	m := newModel(t, d, cfg, 1)
	loadGolden(t, c, m.dev, m.Params)
	return m
}

func TestGoldenTextEncode(t *testing.T) {
	goldens(t, "text_encode", func(t *testing.T, d engine.Device, c golden.Case) {
		// The head has no part in this case.
		cfg, err := ReadConfig(c.Path("config.json"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.NumLabels = 0
		m := openForm[*Classifier](t, d, "text-encoder", cfg, c.Tensors(t, "weights.safetensors").Reader())
		in, want := c.Tensors(t, "inputs.safetensors"), c.Tensors(t, "outputs.safetensors")
		text, valid := goldenText(t, in)
		sequence := m.encoder.lastLayer(autograd.NewInference(d), Input{Text: text})
		h := cfg.HiddenSize
		padded := want.Floats("sequence_output")
		packed := make([]float32, 0, len(valid)*h)
		for _, row := range valid {
			packed = append(packed, padded[row*h:(row+1)*h]...)
		}
		golden.Near(t, "sequence_output", read(m.dev, sequence), packed, outputTolerance)
		golden.Near(t, "pooled_text", read(m.dev, m.pooled(autograd.NewInference(d), Input{Text: text})), want.Floats("pooled_text"), outputTolerance)
	})
}

func TestGoldenClassification(t *testing.T) {
	goldens(t, "classification", func(t *testing.T, d engine.Device, c golden.Case) {
		var info trainingCase
		c.JSON(t, "case.json", &info)
		testStep(t, c, goldenModel(t, d, c, Classification, info.NumLabels), goldenBatch(t, c, 0), "logits")
		testOptimiser(t, c, goldenModel(t, d, c, Classification, info.NumLabels), info)
	})
}

func TestGoldenRegression(t *testing.T) {
	goldens(t, "regression", func(t *testing.T, d engine.Device, c golden.Case) {
		var info trainingCase
		c.JSON(t, "case.json", &info)
		testStep(t, c, goldenModel(t, d, c, Regression, 1), goldenBatch(t, c, 0), "predictions")
		testOptimiser(t, c, goldenModel(t, d, c, Regression, 1), info)
	})
}

func TestGoldenGeneration(t *testing.T) {
	for _, c := range []struct {
		kind, problem string
		untied        bool
	}{
		{"seq2seq_train", Generation, false},
		{"seq2seq_train with weight_sharing=False", Generation, true},
		{"dialog_train", Dialogue, false},
	} {
		t.Run(c.kind, func(t *testing.T) {
			goldens(t, c.kind, func(t *testing.T, d engine.Device, g golden.Case) {
				cfg := goldenConfig(t, g, c.problem)
				cfg.UntiedEmbeddings = opposite(c.untied)
				testGoldenGeneration(t, d, g, cfg)
			})
		})
	}
}

func testGoldenGeneration(t *testing.T, d engine.Device, c golden.Case, cfg Config) {
	var info struct {
		Smoothing float32 `json:"label_smooth"`
	}
	c.JSON(t, "case.json", &info)
	g := newGenerator(t, d, cfg, 1)
	loadGolden(t, c, g.dev, g.Params)
	want := c.Tensors(t, "outputs.safetensors")
	text, labels, order := goldenTarget(t, cfg, c.Tensors(t, "inputs.safetensors"))

	var logits []float32
	padded := want.Floats("logits")
	for _, row := range order {
		logits = append(logits, padded[row*cfg.VocabSize:(row+1)*cfg.VocabSize]...)
	}
	inference := autograd.NewInference(g.dev)
	golden.Near(t, "logits", read(g.dev, g.Logits(inference, Input{Text: text})), logits, outputTolerance)
	inference.Release()

	if want.Has("loss_no_label_smooth") {
		loss := g.Loss(inference, Input{Text: text}, labels, 0)
		golden.Near(t, "loss without label smoothing", read(g.dev, loss), want.Floats("loss_no_label_smooth"), outputTolerance)
	}
	tape := autograd.NewTape(g.dev, autograd.Seed{})
	loss := g.Loss(tape, Input{Text: text}, labels, info.Smoothing)
	golden.Near(t, "loss", read(g.dev, loss), want.Floats("loss"), outputTolerance)
	tape.Backward(loss, 1)
	testGoldenGradients(t, g.dev, g.Params, c.Tensors(t, "grads.safetensors"))
}

// goldenTarget packs the padded inputs of a case of sources and targets: of each sequence the
// source, which its first token sees, and the target tokens that a label belongs to. Label i is
// number order[i] of the case.
func goldenTarget(tb testing.TB, cfg Config, in golden.Tensors) (text Text, labels []int32, order []int) {
	tb.Helper()
	all, valid := goldenText(tb, in)
	mask, positions, targets := in.Floats("input_mask"), in.Ints("tgt_pos"), in.Ints("tgt_label")
	length := in.Shape("src_ids")[1]
	var roles, turns []int64
	if cfg.ProblemType == Dialogue {
		roles, turns = in.Ints("role_ids"), in.Ints("turn_ids")
		text.Roles, text.Turns = []int32{}, []int32{}
	}
	text.Offsets = []int32{0}
	for s := range all.Sequences() {
		source := 0
		for _, m := range mask[s*length*length:][:length] {
			source += int(m)
		}
		text.Sources = append(text.Sources, int32(source))
		for row := all.Offsets[s]; row < all.Offsets[s+1]; row++ {
			i := valid[row] - s*length
			for j, m := range mask[(s*length+i)*length:][:length] {
				if sees := j < max(source, i+1); sees != (m == 1) {
					tb.Fatalf("sequence %d: token %d sees token %d: %v, want %v", s, i, j, m == 1, sees)
				}
			}
			label := slices.Index(positions, int64(valid[row]))
			switch {
			case i < source:
			case label < 0:
				continue // the last token: nothing follows it
			default:
				labels, order = append(labels, int32(targets[label])), append(order, label)
			}
			text.Tokens, text.Positions = append(text.Tokens, all.Tokens[row]), append(text.Positions, all.Positions[row])
			if roles != nil {
				text.Roles, text.Turns = append(text.Roles, int32(roles[valid[row]])), append(text.Turns, int32(turns[valid[row]]))
			}
		}
		text.Offsets = append(text.Offsets, int32(len(text.Tokens)))
	}
	if len(order) != len(targets) {
		tb.Fatalf("%d labels belong to a target, want all %d", len(order), len(targets))
	}
	if err := text.Check(cfg); err != nil {
		tb.Fatal(err)
	}
	return text, labels, order
}

// goldenBatch opens the inputs of a batch; a case with one batch may leave its
// number out.
func goldenBatch(t *testing.T, c golden.Case, batch int) golden.Tensors {
	t.Helper()
	name := fmt.Sprintf("inputs_batch%d.safetensors", batch)
	if batch == 0 && !c.Has(name) {
		name = "inputs.safetensors"
	}
	return c.Tensors(t, name)
}

// trainingCase is the part of case.json that says how parameters were updated; it
// has no steps if they were not.
type trainingCase struct {
	NumLabels int `json:"num_labels"`
	Optimizer struct {
		LearningRate float64 `json:"learning_rate"`
		WarmupSteps  int     `json:"warmup_steps"`
		TrainSteps   int     `json:"num_train_steps"`
		WeightDecay  float64 `json:"weight_decay"`
		Beta1        float64 `json:"beta1"`
		Beta2        float64 `json:"beta2"`
		Epsilon      float64 `json:"epsilon"`
		ClipNorm     float64 `json:"clip_norm"`
		Scheduler    string  `json:"scheduler"`
	} `json:"optimizer"`
	Steps []struct {
		Step  int     `json:"step"`
		Loss  float64 `json:"loss"`
		Rate  float64 `json:"lr"`
		Norm  float64 `json:"global_grad_norm"`
		Batch int     `json:"batch"`
	} `json:"steps"`
}

func goldenTargets(in golden.Tensors) Targets {
	for _, info := range in.Reader().Tensors() {
		if info.Name == "labels" && info.DType == checkpoint.F32 {
			return Targets{Scores: in.Floats("labels")}
		}
	}
	var targets Targets
	for _, label := range in.Ints("labels") {
		targets.Classes = append(targets.Classes, int32(label))
	}
	return targets
}

// testStep compares outputs, loss and every gradient of one batch.
func testStep(t *testing.T, c golden.Case, m *Classifier, in golden.Tensors, output string) {
	t.Helper()
	want, grads := c.Tensors(t, "outputs.safetensors"), c.Tensors(t, "grads.safetensors")
	text, _ := goldenText(t, in)
	tape := autograd.NewTape(m.dev, autograd.Seed{})
	logits := m.Logits(tape, Input{Text: text})
	golden.Near(t, output, read(m.dev, logits), want.Floats(output), outputTolerance)
	if want.Has("probs") {
		testProbabilities(t, read(m.dev, logits), m.Config.NumLabels, goldenTargets(in).Classes, want)
	}
	loss := m.Loss(tape, logits, goldenTargets(in))
	golden.Near(t, "loss", read(m.dev, loss), want.Floats("loss"), outputTolerance)
	tape.Backward(loss, 1)
	testGoldenGradients(t, m.dev, m.Params, grads)
}

// testGoldenGradients compares every gradient of a pass.
func testGoldenGradients(t *testing.T, d engine.Device, params Parameters, grads golden.Tensors) {
	t.Helper()
	var names []string
	got := map[string][]float32{}
	for _, p := range params {
		names = append(names, p.Name)
		got[p.Name] = gradient(d, p)
	}
	golden.NearGradients(t, grads, names, func(name string) []float32 { return got[name] }, gradientTolerance)
}

// testProbabilities compares the softmax of the logits and the accuracy.
func testProbabilities(t *testing.T, logits []float32, columns int, classes []int32, want golden.Tensors) {
	t.Helper()
	probs := make([]float32, len(logits))
	correct := 0
	for i, class := range classes {
		row := logits[i*columns : (i+1)*columns]
		var sum float64
		best := 0
		for j, x := range row {
			sum += math.Exp(float64(x - slices.Max(row)))
			if x > row[best] {
				best = j
			}
		}
		for j, x := range row {
			probs[i*columns+j] = float32(math.Exp(float64(x-slices.Max(row))) / sum)
		}
		if best == int(class) {
			correct++
		}
	}
	golden.Near(t, "probs", probs, want.Floats("probs"), outputTolerance)
	if want.Has("accuracy") {
		golden.Near(t, "accuracy", []float32{float32(correct) / float32(len(classes))}, want.Floats("accuracy"), outputTolerance)
	}
}

// testOptimiser takes the case's steps and compares the parameters after each
// step that was recorded.
func testOptimiser(t *testing.T, c golden.Case, m *Classifier, info trainingCase) {
	t.Helper()
	if len(info.Steps) == 0 {
		if c.Has("params_after_step1.safetensors") {
			t.Error("the case records parameters but no steps")
		}
		return
	}
	o := info.Optimizer
	schedule, err := optim.NewSchedule(o.Scheduler, o.LearningRate, o.WarmupSteps, o.TrainSteps, 1)
	if err != nil {
		t.Fatal(err)
	}
	adam := optim.NewAdam(m.dev, optim.Config{Beta1: o.Beta1, Beta2: o.Beta2, Epsilon: o.Epsilon, WeightDecay: o.WeightDecay, ClipNorm: o.ClipNorm}, optimParams(m.Params))
	recorded := 0
	for i, step := range info.Steps {
		in := goldenBatch(t, c, step.Batch)
		text, _ := goldenText(t, in)
		tape := autograd.NewTape(m.dev, autograd.Seed{})
		m.Params.ClearGradients()
		loss := m.Loss(tape, m.Logits(tape, Input{Text: text}), goldenTargets(in))
		golden.Near(t, fmt.Sprintf("loss of step %d", i), read(m.dev, loss), []float32{float32(step.Loss)}, gradientTolerance)
		tape.Backward(loss, 1)
		rate := schedule.Rate(step.Step)
		golden.Near(t, fmt.Sprintf("rate of step %d", i), []float32{float32(rate)}, []float32{float32(step.Rate)}, 1e-6)
		norm, err := adam.Step(rate)
		if err != nil {
			t.Fatal(err)
		}
		golden.Near(t, fmt.Sprintf("gradient norm of step %d", i), []float32{float32(norm)}, []float32{float32(step.Norm)}, gradientTolerance)
		file := fmt.Sprintf("params_after_step%d.safetensors", i+1)
		if !c.Has(file) {
			continue
		}
		recorded++
		adam.Settle()
		want := c.Tensors(t, file)
		for _, p := range m.Params {
			if !want.LeftOut(p.Name) {
				golden.Near(t, fmt.Sprintf("%s after step %d", p.Name, i+1), read(m.dev, p.Var), want.Floats(p.Name), gradientTolerance)
			}
		}
	}
	files, err := filepath.Glob(c.Path("params_after_step*.safetensors"))
	if err != nil || recorded != len(files) || recorded == 0 {
		t.Errorf("compared %d files of parameters of %d (%v)", recorded, len(files), err)
	}
}

func optimParams(all Parameters) []optim.Param {
	var params []optim.Param
	for _, p := range all {
		params = append(params, optim.Param{Name: p.Name, Value: p.Value, Grad: p.Gradient()})
	}
	return params
}

// Every golden checkpoint's names are ones that some architecture declares.
func TestGoldenParameterNames(t *testing.T) {
	for _, c := range []struct{ kind, architecture string }{
		{"text_encode", "text-encoder"}, {"classification", "classification"}, {"regression", "regression"},
		{"retrieval", "retrieval"}, {"visual_entailment", "entailment"}, {"seq2seq_train", "generation"}, {"dialog_train", "dialogue"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			golden.Run(t, c.kind, func(t *testing.T, g golden.Case) {
				cfg, err := ReadConfig(g.Path("config.json"))
				if err != nil {
					t.Fatal(err)
				}
				var info trainingCase
				g.JSON(t, "case.json", &info)
				if info.NumLabels > 0 {
					cfg.NumLabels = info.NumLabels
				}
				specs, err := Architecture(c.architecture, cfg)
				if err != nil {
					t.Fatal(err)
				}
				report, err := nn.Compare(specs, g.Tensors(t, "weights.safetensors").Reader())
				if err != nil {
					t.Fatal(err)
				}
				missing := slices.DeleteFunc(report.Missing, func(name string) bool { return strings.HasPrefix(name, "pooled_fc") })
				if len(missing)+len(report.Unused) > 0 {
					t.Errorf("missing %v, unknown %v", missing, report.Unused)
				}
			})
		})
	}
}
