package model

import (
	"fmt"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/test/golden"
)

// goldenImages packs the images of a case.
func goldenImages(in golden.Tensors, valid func(s, i int) bool) Images {
	shape := in.Shape("image_embedding")
	var im Images
	im.Features, im.Offsets = golden.Pack(in.Floats("image_embedding"), shape[0], shape[1], shape[2], valid)
	im.Locations, _ = golden.Pack(in.Floats("image_loc"), shape[0], shape[1], LocationSize, valid)
	return im
}

// goldenTokens packs one of the texts of a case.
func goldenTokens(in golden.Tensors, ids, positions string, valid func(s, i int) bool) Text {
	narrow := func(name string) []int32 {
		var values []int32
		for _, v := range in.Ints(name) {
			values = append(values, int32(v))
		}
		return values
	}
	shape := in.Shape(ids)
	var text Text
	text.Tokens, text.Offsets = golden.Pack(narrow(ids), shape[0], shape[1], 1, valid)
	text.Positions, _ = golden.Pack(narrow(positions), shape[0], shape[1], 1, valid)
	return text
}

func TestGoldenMultimodalEncode(t *testing.T) {
	goldens(t, "multimodal_encode", func(t *testing.T, d engine.Device, c golden.Case) {
		cfg := goldenConfig(t, c, "")
		var params Parameters
		var failure error
		p := nn.Open(d, c.Tensors(t, "weights.safetensors").Reader(), &params, &failure)
		m, pools := newEncoder(p, cfg, form{images: needed}), newPools(p, cfg)
		if failure != nil {
			t.Fatal(failure)
		}
		in, want := c.Tensors(t, "inputs.safetensors"), c.Tensors(t, "outputs.safetensors")
		regions, names, words := in.Shape("image_embedding")[1], in.Shape("obj_token_ids")[1], in.Shape("src_ids")[1]
		b, all := in.Shape("src_ids")[0], regions+names+words
		flags := in.Ints("vol_valid")
		from := func(first int) func(s, i int) bool { // says which positions from first on are no padding
			return func(s, i int) bool { return flags[s*all+first+i] == 1 }
		}
		images := goldenImages(in, from(0))
		objects := goldenTokens(in, "obj_token_ids", "obj_pos_ids", from(regions))
		text := goldenTokens(in, "src_ids", "pos_ids", from(regions+names))
		caption := text
		caption.Sources = make([]int32, b) // none of the text
		testCaptionMask(t, in.Floats("input_mask"), b, all, regions+names, from(0))

		tape := autograd.NewInference(d)
		encode := func(name string, j Input, rows ...goldenRows) (x *autograd.Var, offsets []int32) {
			x, offsets = m.lastLayer(tape, j), j.offsets()
			got := read(d, x)
			for _, r := range rows {
				expected, ends := golden.Pack(want.Floats(name+"."+r.output), b, r.positions, cfg.HiddenSize, func(s, i int) bool { return from(r.place(i))(s, 0) })
				var part []float32
				for s := range b {
					lo := offsets[s]
					if r.behind { // the last of the sequence
						lo = offsets[s+1] - (ends[s+1] - ends[s])
					}
					part = append(part, got[int(lo)*cfg.HiddenSize:int(lo+ends[s+1]-ends[s])*cfg.HiddenSize]...)
				}
				golden.Near(t, name+"."+r.output, part, expected, outputTolerance)
			}
			return x, offsets
		}
		image := goldenRows{output: "enc_v", positions: regions, place: func(i int) int { return i }}
		written := goldenRows{output: "enc_l", positions: words, place: func(i int) int { return regions + names + i }, behind: true}
		both := goldenRows{output: "enc_vl", positions: regions + words, place: func(i int) int {
			if i < regions {
				return i
			}
			return names + i
		}}
		whole := goldenRows{output: "enc_vol", positions: all, place: func(i int) int { return i }}
		x, offsets := encode("vl", Input{Images: images, Text: text}, both, image, written)
		encode("vo", Input{Images: images, Objects: objects}, image)
		encode("vol", Input{Images: images, Objects: objects, Text: caption}, whole, image, written)

		var firstWords []int32
		for s := range b {
			firstWords = append(firstWords, offsets[s]+images.Offsets[s+1]-images.Offsets[s])
		}
		golden.Near(t, "vl.pooled_image", read(d, tape.ReLU(pools.image.Apply(tape, tape.Rows(x, offsets[:b])))), want.Floats("vl.pooled_image"), outputTolerance)
		golden.Near(t, "vl.pooled_text", read(d, tape.ReLU(pools.text.Apply(tape, tape.Rows(x, firstWords)))), want.Floats("vl.pooled_text"), outputTolerance)
	})
}

// goldenRows are the rows of an output: how many padded positions, where each of them is among
// those of image, objects and text, and at which end of our sequences.
type goldenRows struct {
	output    string
	positions int
	place     func(i int) int
	behind    bool
}

// testCaptionMask checks that a case's mask is the one of captions.
func testCaptionMask(t *testing.T, mask []float32, b, all, before int, valid func(s, i int) bool) {
	t.Helper()
	for s := range b {
		for i := range all {
			for j := range all {
				if !valid(s, i) || !valid(s, j) {
					continue
				}
				if sees := j < before || i >= before && j <= i; sees != (mask[(s*all+i)*all+j] == 1) {
					t.Fatalf("sequence %d: position %d sees %d: %v, want %v", s, i, j, !sees, sees)
				}
			}
		}
	}
}

// The heads on images with texts, without what adversarial training adds.
func TestGoldenEntailment(t *testing.T) {
	goldens(t, "visual_entailment", func(t *testing.T, d engine.Device, c golden.Case) {
		var info struct {
			NumLabels int `json:"num_labels"`
		}
		c.JSON(t, "case.json", &info)
		cfg := goldenConfig(t, c, Entailment)
		cfg.NumLabels = info.NumLabels
		m, err := Open[*Classifier](d, cfg, c.Tensors(t, "weights.safetensors").Reader())
		if err != nil {
			t.Fatal(err)
		}
		in, want := c.Tensors(t, "inputs.safetensors"), c.Tensors(t, "outputs.safetensors")
		input := Input{
			Images: goldenImages(in, golden.Attends(in, 0)),
			Text:   goldenTokens(in, "src_ids", "pos_ids", golden.Attends(in, in.Shape("image_embedding")[1])),
		}
		if err := input.Check(cfg); err != nil {
			t.Fatal(err)
		}
		tape := autograd.NewInference(d)
		logits := read(d, m.Logits(tape, input))
		golden.Near(t, "logits", logits, want.Floats("logits_pure_iter0"), outputTolerance)
		var shares []float32
		for row := range slices.Chunk(logits, cfg.NumLabels) {
			var sum float64
			for _, v := range row {
				sum += math.Exp(float64(v))
			}
			for _, v := range row {
				shares = append(shares, float32(math.Exp(float64(v))/sum))
			}
		}
		golden.Near(t, "probabilities", shares, want.Floats("eval.probs"), outputTolerance)
	})
}

// The language head behind images and objects' names, without adversarial training.
func TestGoldenCaptioning(t *testing.T) {
	goldens(t, "img2txt_train", func(t *testing.T, d engine.Device, c golden.Case) {
		var info struct {
			Smoothing float32 `json:"label_smooth"`
		}
		c.JSON(t, "case.json", &info)
		cfg := goldenConfig(t, c, Captioning)
		g := newGenerator(t, d, cfg, 1)
		loadGolden(t, c, g.dev, g.Params)
		in, want := c.Tensors(t, "inputs.safetensors"), c.Tensors(t, "outputs.safetensors")
		regions, names, words := in.Shape("image_embedding")[1], in.Shape("obj_token_ids")[1], in.Shape("src_ids")[1]
		// Of the text only tokens that something follows.
		places, next := in.Ints("tgt_pos"), map[int64]int32{}
		for i, label := range in.Ints("tgt_label") {
			next[places[i]] = int32(label)
		}
		var labels []int32
		b := in.Shape("src_ids")[0]
		for s := range b {
			for i := range words {
				if label, ok := next[int64(s*words+i)]; ok {
					labels = append(labels, label)
				}
			}
		}
		input := Input{
			Images:  goldenImages(in, golden.Attends(in, 0)),
			Objects: goldenTokens(in, "obj_token_ids", "obj_pos_ids", golden.Attends(in, regions)),
			Text: goldenTokens(in, "src_ids", "pos_ids", func(s, i int) bool {
				_, ok := next[int64(s*words+i)]
				return ok
			}),
		}
		input.Text.Sources = make([]int32, b) // none of the text
		if err := input.Check(cfg); err != nil {
			t.Fatal(err)
		}
		testCaptionMask(t, in.Floats("input_mask"), b, regions+names+words, regions+names, golden.Attends(in, 0))
		if !slices.IsSorted(places) {
			t.Fatalf("places %v are not in order", places)
		}
		tape := autograd.NewInference(g.dev)
		golden.Near(t, "logits", read(g.dev, g.Logits(tape, input)), want.Floats("plain.logits"), outputTolerance)
		tape = autograd.NewTape(g.dev, autograd.Seed{})
		loss := g.Loss(tape, input, labels, info.Smoothing)
		golden.Near(t, "loss", read(g.dev, loss), want.Floats("plain.loss"), outputTolerance)
		tape.Backward(loss, 1)
		testGoldenGradients(t, g.dev, g.Params, c.Tensors(t, "grads_plain.safetensors"))
	})
}

// circleVariant is one setting of the loss.
type circleVariant struct {
	Margin  float64 `json:"margin"`
	Scale   float64 `json:"scale_circle"`
	Sigmoid bool    `json:"use_sigmoid"`
}

func TestGoldenRetrieval(t *testing.T) {
	goldens(t, "retrieval", func(t *testing.T, d engine.Device, c golden.Case) {
		var info struct {
			Samples  int                      `json:"samples_per_group"`
			Variants map[string]circleVariant `json:"variants"`
		}
		c.JSON(t, "case.json", &info)
		cfg := goldenConfig(t, c, Retrieval)
		r := newRetriever(t, d, cfg, 1)
		loadGolden(t, c, r.dev, r.Params)
		want := c.Tensors(t, "outputs.safetensors")
		batch := goldenPairs(t, cfg, c.Tensors(t, "inputs.safetensors"))
		if n := batch.images.Sequences(); n >= len(batch.pairs) {
			t.Errorf("%d images of %d pairs: none is shared, and the test is blind", n, len(batch.pairs))
		}
		for name, v := range info.Variants {
			t.Run(name, func(t *testing.T) {
				r.Params.ClearGradients()
				testCircle(t, r, batch, info.Samples, v, name, want)
				if file := "grads_" + name + ".safetensors"; c.Has(file) {
					tape := autograd.NewTape(r.dev, autograd.Seed{})
					tape.Backward(batch.loss(r, tape, info.Samples, v), 1)
					testGoldenGradients(t, r.dev, r.Params, c.Tensors(t, file))
				}
			})
		}
		testRetrievalEvaluation(t, r, goldenPairs(t, cfg, c.Tensors(t, "eval_inputs.safetensors")), want.Floats("eval.score"))
		testRetrievalOptimiser(t, c, r, batch, info.Samples, info.Variants)
	})
}

// pairBatch is pairs of distinct images and texts.
type pairBatch struct {
	images Images
	texts  Text
	pairs  []Pair
}

func (b pairBatch) scores(r *Retriever, t *autograd.Tape) *autograd.Var {
	return r.Scores(t, r.Side(t, Input{Images: b.images}), r.Side(t, Input{Text: b.texts}), b.pairs)
}

func (b pairBatch) loss(r *Retriever, t *autograd.Tape, n int, v circleVariant) *autograd.Var {
	return r.CircleLoss(t, b.scores(r, t), n, (n-1)/2, v.Margin, v.Scale, v.Sigmoid)
}

// goldenPairs finds the distinct images and texts among the rows of a case.
func goldenPairs(tb testing.TB, cfg Config, in golden.Tensors) pairBatch {
	tb.Helper()
	images, texts := goldenImages(in, golden.Attends(in, 0)), goldenTokens(in, "src_ids", "pos_ids", golden.Attends(in, in.Shape("image_embedding")[1]))
	var b pairBatch
	b.images.Offsets, b.texts.Offsets = []int32{0}, []int32{0}
	imageOf, textOf := map[string]int32{}, map[string]int32{}
	for s := range images.Sequences() {
		lo, hi := images.Offsets[s], images.Offsets[s+1]
		e := int32(cfg.ImageEmbeddingSize)
		features, locations := images.Features[lo*e:hi*e], images.Locations[lo*LocationSize:hi*LocationSize]
		key := fmt.Sprint(features, locations)
		if _, ok := imageOf[key]; !ok {
			imageOf[key] = int32(b.images.Sequences())
			b.images.Features, b.images.Locations = append(b.images.Features, features...), append(b.images.Locations, locations...)
			b.images.Offsets = append(b.images.Offsets, int32(len(b.images.Locations)/LocationSize))
		}
		lo, hi = texts.Offsets[s], texts.Offsets[s+1]
		words := fmt.Sprint(texts.Tokens[lo:hi], texts.Positions[lo:hi])
		if _, ok := textOf[words]; !ok {
			textOf[words] = int32(b.texts.Sequences())
			b.texts.Tokens, b.texts.Positions = append(b.texts.Tokens, texts.Tokens[lo:hi]...), append(b.texts.Positions, texts.Positions[lo:hi]...)
			b.texts.Offsets = append(b.texts.Offsets, int32(len(b.texts.Tokens)))
		}
		b.pairs = append(b.pairs, Pair{imageOf[key], textOf[words]})
	}
	for _, err := range []error{b.images.Check(cfg), b.texts.Check(cfg)} {
		if err != nil {
			tb.Fatal(err)
		}
	}
	return b
}

// testCircle compares the scores, the losses and the accuracy of one variant.
func testCircle(t *testing.T, r *Retriever, b pairBatch, n int, v circleVariant, name string, want golden.Tensors) {
	t.Helper()
	tape := autograd.NewInference(r.dev)
	defer tape.Release()
	scores := b.scores(r, tape)
	raw := read(r.dev, scores)
	golden.Near(t, "raw_scores", raw, want.Floats("raw_scores"), outputTolerance)
	if v.Sigmoid {
		golden.Near(t, name+".score", read(r.dev, tape.Sigmoid(scores)), want.Floats(name+".score"), outputTolerance)
	} else {
		golden.Near(t, name+".score", raw, want.Floats(name+".score"), outputTolerance)
	}
	golden.Near(t, name+".loss", read(r.dev, b.loss(r, tape, n, v)), want.Floats(name+".loss"), outputTolerance)

	// One kind of negatives at a time is half of its loss.
	images := (n - 1) / 2
	for output, kind := range map[string]struct{ lo, hi, images int }{
		".loss_i": {1, 1 + images, images},
		".loss_c": {1 + images, n, 0},
	} {
		var rows []int32
		for g := 0; g < len(raw); g += n {
			rows = append(rows, int32(g))
			for i := kind.lo; i < kind.hi; i++ {
				rows = append(rows, int32(g+i))
			}
		}
		half := r.CircleLoss(tape, tape.Rows(scores, rows), 1+kind.hi-kind.lo, kind.images, v.Margin, v.Scale, v.Sigmoid)
		golden.Near(t, name+output, read(r.dev, tape.Scale(half, 2)), want.Floats(name+output), outputTolerance)
	}
	right := 0
	for g := 0; g < len(raw); g += n {
		if slices.Max(raw[g:g+n]) == raw[g] {
			right++
		}
	}
	golden.Near(t, name+".acc", []float32{float32(right*n) / float32(len(raw))}, want.Floats(name+".acc"), outputTolerance)
}

// testRetrievalEvaluation compares scores as evaluation computes them, from parts that were kept,
// with those of pairs that share nothing.
func testRetrievalEvaluation(t *testing.T, r *Retriever, b pairBatch, want []float32) {
	t.Helper()
	tape := autograd.NewInference(r.dev)
	images, texts := r.Side(tape, Input{Images: b.images}).Keep(r.dev), r.Side(tape, Input{Text: b.texts}).Keep(r.dev)
	tape.Release()
	scores := read(r.dev, r.Scores(tape, images, texts, b.pairs))
	tape.Release()
	images.Free(r.dev)
	texts.Free(r.dev)
	golden.Near(t, "eval.score", scores, want, outputTolerance)
	pairs, tolerance := b.pairs, 0.0
	if _, ok := r.dev.(*cpu.Device); !ok { // of others, programs for other sizes add up in another order
		pairs, tolerance = pairs[:2], outputTolerance
	}
	for i, p := range pairs {
		alone := pairBatch{b.images.only(r.Config, p.Image), b.texts.only(p.Text), []Pair{{}}}
		if got := read(r.dev, alone.scores(r, tape)); !(math.Abs(float64(got[0]-scores[i])) <= tolerance) {
			t.Errorf("pair %d has the score %g alone, %g with shared parts", i, got[0], scores[i])
		}
		tape.Release()
	}
}

// testRetrievalOptimiser takes the case's steps, all on one batch.
func testRetrievalOptimiser(t *testing.T, c golden.Case, r *Retriever, b pairBatch, n int, variants map[string]circleVariant) {
	t.Helper()
	var info struct {
		Hyper struct {
			WeightDecay float64   `json:"weight_decay"`
			Boundaries  []int     `json:"boundaries"`
			Values      []float64 `json:"values"`
			Beta1       float64   `json:"beta1"`
			Beta2       float64   `json:"beta2"`
			Epsilon     float64   `json:"epsilon"`
			ClipNorm    float64   `json:"clip_norm"`
		} `json:"hyper"`
		Steps []struct {
			Step int     `json:"step"`
			Loss float64 `json:"loss"`
			Rate float64 `json:"lr"`
			Norm float64 `json:"global_grad_norm"`
		} `json:"steps"`
	}
	files, err := filepath.Glob(c.Path("params_after_step*_*.safetensors"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no parameters after a step (%v)", err)
	}
	c.JSON(t, "optimizer.json", &info)
	for _, file := range files {
		name := filepath.Base(file)
		parts := regexp.MustCompile(`^params_after_step(\d+)_(\w+)\.safetensors$`).FindStringSubmatch(name)
		if parts == nil {
			t.Fatalf("%s: which variant?", name)
		}
		steps, _ := strconv.Atoi(parts[1])
		loadGolden(t, c, r.dev, r.Params)
		h := info.Hyper
		adam := optim.NewAdam(r.dev, optim.Config{Beta1: h.Beta1, Beta2: h.Beta2, Epsilon: h.Epsilon, WeightDecay: h.WeightDecay, ClipNorm: h.ClipNorm}, optimParams(r.Params))
		for i, step := range info.Steps[:steps] {
			tape := autograd.NewTape(r.dev, autograd.Seed{})
			r.Params.ClearGradients()
			loss := b.loss(r, tape, n, variants[parts[2]])
			golden.Near(t, fmt.Sprintf("loss of step %d", i), read(r.dev, loss), []float32{float32(step.Loss)}, gradientTolerance)
			tape.Backward(loss, 1)
			below, _ := slices.BinarySearch(h.Boundaries, step.Step+1)
			if rate := h.Values[below]; rate != step.Rate {
				t.Errorf("rate of step %d is %g, the table says %g", i, step.Rate, rate)
			}
			norm, err := adam.Step(step.Rate)
			if err != nil {
				t.Fatal(err)
			}
			golden.Near(t, fmt.Sprintf("gradient norm of step %d", i), []float32{float32(norm)}, []float32{float32(step.Norm)}, gradientTolerance)
		}
		adam.Settle()
		want := c.Tensors(t, name)
		for _, p := range r.Params {
			if !want.LeftOut(p.Name) {
				golden.Near(t, fmt.Sprintf("%s after step %d", p.Name, steps), read(r.dev, p.Var), want.Floats(p.Name), gradientTolerance)
			}
		}
	}
}
