package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// tinyPretrainer is a model for pre-training small enough to differentiate numerically.
func tinyPretrainer() Config {
	cfg := tinyRetriever()
	cfg.ProblemType, cfg.RegionClasses = Pretraining, 3
	return cfg
}

// newPretrainer makes a model as New does.
func newPretrainer(tb testing.TB, d engine.Device, cfg Config) *Pretrainer {
	tb.Helper()
	p, err := New[*Pretrainer](d, cfg, 1)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// The batches are of three sequences each: images of 3, 1 and 2 regions, texts of 4, 1 and 2 tokens, or of
// sources and targets.

// maskedTexts hides tokens of the first and the last text.
func maskedTexts() Hidden {
	return Hidden{Input: Input{Text: tinyText()}, Places: []int32{1, 2, 6}, Labels: []int32{4, 0, 4}}
}

// maskedImages hides regions of the first and the last image.
func maskedImages() Hidden {
	h := Hidden{Input: Input{Images: tinyImages()}, Regions: []int32{0, 2, 5}, Classes: []float32{0.5, 0.25, 0.25, 0, 1, 0, 0.125, 0, 0.875}}
	for i := range len(h.Regions) * 4 {
		h.Targets = append(h.Targets, float32(math.Cos(float64(i))))
	}
	return h
}

func maskedPairs() Hidden {
	h, texts := maskedImages(), maskedTexts()
	h.Text, h.Places, h.Labels = texts.Text, texts.Places, texts.Labels
	return h
}

func writtenTexts() (h Hidden) {
	h.Text, h.Labels = tinyTarget()
	return h
}

func writtenPairs() Hidden {
	h := maskedImages()
	h.Text, h.Labels = tinyTarget()
	return h
}

// hidden is what Losses computes, in float64: the sum of the losses. It reads a sequence at a time and asks of
// each row whether something is predicted there.
func (r *reference) hidden(h Hidden) (loss float64) {
	r.next = 0
	var images, texts, x [][]float64
	if h.Images.Offsets != nil {
		images = r.embedImages(h.Images)
	}
	if h.Text.Offsets != nil {
		texts = r.embed(h.Text)
	}
	var rows, sources []int32
	var isRegion []bool
	offsets, queries := []int32{0}, []int32{0}
	add := func(embedded []float64, predicted, region bool) {
		if predicted {
			rows, isRegion = append(rows, int32(len(x))), append(isRegion, region)
		}
		x = append(x, embedded)
	}
	for s := range 3 {
		if images != nil {
			for i := h.Images.Offsets[s]; i < h.Images.Offsets[s+1]; i++ {
				add(images[i], slices.Contains(h.Regions, i), true)
			}
		}
		if h.Text.Sources != nil {
			sources = append(sources, int32(len(x))-offsets[s]+h.Text.Sources[s])
		}
		if texts != nil {
			for i := h.Text.Offsets[s]; i < h.Text.Offsets[s+1]; i++ {
				target := h.Text.Sources != nil && i >= h.Text.Offsets[s]+h.Text.Sources[s]
				add(texts[i], target || slices.Contains(h.Places, i), false)
			}
		}
		offsets, queries = append(offsets, int32(len(x))), append(queries, int32(len(rows)))
	}
	var regions, tokens [][]float64
	for i, row := range r.layers(x, offsets, sources, rows, queries) {
		if isRegion[i] {
			regions = append(regions, row)
		} else {
			tokens = append(tokens, row)
		}
	}
	if len(tokens) > 0 {
		for i, row := range r.languageHead(tokens) {
			loss += (logSum(row) - row[h.Labels[i]]) / float64(len(h.Labels))
		}
	}
	if len(regions) > 0 {
		loss += r.regionLoss(r.headOf(regions, "mask_region_trans"), h)
	}
	return loss
}

// regionLoss is the loss of features and, if there are any, classes.
func (r *reference) regionLoss(x [][]float64, h Hidden) (loss float64) {
	for i, row := range r.linear(x, "mask_region_feature_fc") {
		for j, v := range row {
			d := v - float64(h.Targets[i*len(row)+j])
			loss += d * d / float64(len(h.Targets))
		}
	}
	if h.Classes == nil {
		return loss
	}
	for i, row := range r.linear(x, "mask_region_class_fc") {
		for j, v := range row {
			if share := float64(h.Classes[i*len(row)+j]); share > 0 {
				loss += share * (math.Log(share) - v + logSum(row)) / float64(len(h.Regions))
			}
		}
	}
	return loss
}

func logSum(x []float64) float64 {
	var sum float64
	for _, v := range x {
		sum += math.Exp(v)
	}
	return math.Log(sum)
}

// sum adds losses up.
func (l Losses) sum(t *autograd.Tape) (sum *autograd.Var) {
	for _, loss := range []*autograd.Var{l.Language, l.Feature, l.Class} {
		switch {
		case loss == nil:
		case sum == nil:
			sum = loss
		default:
			sum = t.Add(sum, loss)
		}
	}
	return sum
}

// Every objective against float64, and every gradient against central differences. What an objective has no use
// for gets no gradient.
func TestHiddenLossesAndGradients(t *testing.T) {
	const unused = "pooled_ match_ contrast_ "
	const noImage, noText = "image_ v_pre_ mask_region_ ", "word_ pos_ pre_encoder mask_lm_ "
	for _, c := range []struct {
		name   string
		hidden Hidden
		edit   func(*Config)
		unused string // beginnings of the names of parameters
		drops  int    // dropouts in a pass
	}{
		{"masked texts", maskedTexts(), func(*Config) {}, unused + noImage, 0},
		{"masked images", maskedImages(), func(*Config) {}, unused + noText, 0},
		{"masked pairs", maskedPairs(), func(*Config) {}, unused, 0},
		{"written texts", writtenTexts(), func(*Config) {}, unused + noImage, 0},
		{"written pairs", writtenPairs(), func(*Config) {}, unused, 0},
		{"written pairs with dropout", writtenPairs(), func(c *Config) { c.HiddenDropout, c.AttentionDropout = 0.2, 0.3 }, unused, 2 + 2*3},
		{"masked pairs, untied", maskedPairs(), func(c *Config) { c.UntiedEmbeddings, c.Layers = true, 1 }, unused, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := tinyPretrainer()
			c.edit(&cfg)
			d := &dropWatch{Device: cpu.New()}
			p := newPretrainer(t, d, cfg)
			r := &reference{cfg: cfg, params: scatter(d, p.Params)}
			tape := autograd.NewTape(d, autograd.Seed{Key: 3, Pass: 1})
			loss := p.Losses(tape, c.hidden).sum(tape)
			if len(d.masks) != c.drops {
				t.Fatalf("%d dropouts, want %d", len(d.masks), c.drops)
			}
			r.masks = d.masks
			if got, want := float64(read(d, loss)[0]), r.hidden(c.hidden); !(math.Abs(got-want) <= outputTolerance*want) {
				t.Errorf("loss is %g, want %g", got, want)
			}
			tape.Backward(loss, 1)
			testGradients(t, d, p.used(t, d, c.unused), func(name string) []float64 {
				return r.gradient(name, func() float64 { return r.hidden(c.hidden) })
			})
		})
	}
}

// used returns the parameters whose names have none of the beginnings; it fails the test if any other has a gradient.
func (p *Pretrainer) used(t *testing.T, d engine.Device, beginnings string) (used Parameters) {
	t.Helper()
	for _, param := range p.Params {
		if !slices.ContainsFunc(strings.Fields(beginnings), func(b string) bool { return strings.HasPrefix(param.Name, b) }) {
			used = append(used, param)
		} else if slices.ContainsFunc(gradient(d, param), func(g float32) bool { return g != 0 }) {
			t.Errorf("%s has a gradient", param.Name)
		}
	}
	return used
}

// Both ways of contrasting pairs: read jointly, and inner products of what is encoded alone.
func TestContrastiveGradients(t *testing.T) {
	joint := engine.Contrast{Group: tinyGroup, Kinds: []int8{engine.Positive, 0, engine.Positive, 0, engine.Positive, 0, 0, engine.Excluded}}
	alone := engine.Contrast{Group: 3, Kinds: []int8{engine.Positive, 0, 0, 0, engine.Positive, engine.Positive, engine.Excluded, 0, engine.Positive}}
	b, cfg, d := tinyPairs(), tinyPretrainer(), cpu.New()
	cfg.Layers = 1
	p := newPretrainer(t, d, cfg)
	r := &reference{cfg: cfg, params: scatter(d, p.Params)}
	tape := autograd.NewTape(d, autograd.Seed{})
	images, texts := p.Side(tape, Input{Images: b.images}), p.Side(tape, Input{Text: b.texts})
	products := tape.ProductNT(p.TextVectors(tape, texts), p.ImageVectors(tape, images))
	loss := tape.Add(tape.ContrastiveLoss(p.Scores(tape, images, texts, b.pairs), joint),
		tape.ContrastiveLoss(tape.Scale(products, 1/temperature), alone))
	oracle := func() float64 {
		images, texts := r.embedImages(b.images), r.embed(b.texts)
		loss := contrastOf(r.scores(b, images, texts), joint)
		imageVectors, textVectors := r.vectors(images, b.images.Offsets, "contrast_fc_image"), r.vectors(texts, b.texts.Offsets, "contrast_fc_text")
		var products []float64
		for _, text := range textVectors {
			for _, image := range imageVectors {
				var dot float64
				for j, v := range image {
					dot += v * text[j] / temperature
				}
				products = append(products, dot)
			}
		}
		return loss + contrastOf(products, alone)
	}
	if got, want := float64(read(d, loss)[0]), oracle(); !(math.Abs(got-want) <= outputTolerance*want) {
		t.Errorf("loss is %g, want %g", got, want)
	}
	tape.Backward(loss, 1)
	// The match head's bias adds the same to all scores: its gradient is zero but for rounding.
	used := slices.DeleteFunc(p.used(t, d, "mask_"), func(param Parameter) bool { return param.Name == "match_fc.b_0" })
	testGradients(t, d, used, func(name string) []float64 { return r.gradient(name, oracle) })
}

// contrastOf is the contrastive loss of groups that all have both kinds.
func contrastOf(scores []float64, c engine.Contrast) (loss float64) {
	for g := 0; g < len(scores); g += c.Group {
		var positives, all float64
		for i := g; i < g+c.Group; i++ {
			switch c.Kinds[i] {
			case engine.Positive:
				positives += math.Exp(scores[i])
				fallthrough
			case engine.Negative:
				all += math.Exp(scores[i])
			}
		}
		loss -= math.Log(positives/all) / float64(len(scores)/c.Group)
	}
	return loss
}

// What is predicted in a sequence does not depend on the others of the batch, and the logits are those that
// the losses are made of.
func TestHiddenSequencesAreIndependent(t *testing.T) {
	for _, h := range []Hidden{maskedTexts(), maskedPairs(), writtenTexts(), writtenPairs()} {
		d := cpu.New()
		p := newPretrainer(t, d, tinyPretrainer())
		scatter(d, p.Params)
		tape := autograd.NewInference(d)
		whole := read(d, p.LanguageLogits(tape, h))
		if got, want := read(d, p.Losses(tape, h).Language)[0], read(d, tape.CrossEntropy(p.LanguageLogits(tape, h), h.Labels, 0))[0]; !(math.Abs(float64(got-want)) <= 1e-6) {
			t.Errorf("the loss is %g, that of the logits %g", got, want)
		}
		var parts []float32
		for s := range int32(3) {
			one := Hidden{Input: Input{Text: h.Text.only(s)}}
			lo, hi := h.Text.Offsets[s], h.Text.Offsets[s+1]
			if h.Images.Offsets != nil {
				one.Images = h.Images.only(p.Config, s)
			}
			if h.Text.Sources != nil {
				one.Text.Sources = h.Text.Sources[s : s+1]
			}
			for _, place := range h.Places {
				if place >= lo && place < hi {
					one.Places = append(one.Places, place-lo)
				}
			}
			if len(one.Places) > 0 || one.Text.Sources != nil && hi-lo > one.Text.Sources[0] {
				parts = append(parts, read(d, p.LanguageLogits(tape, one))...)
			}
		}
		if !slices.Equal(parts, whole) {
			t.Errorf("one by one the logits are\n%v, in the batch\n%v", parts, whole)
		}
		tape.Release()
	}
}

// A target's token is predicted from the image, the source and the target before it; none of these sees what
// comes later. In a masked text all is seen.
func TestWhatPredictionsSee(t *testing.T) {
	cfg, d := tinyPretrainer(), cpu.New()
	p := newPretrainer(t, d, cfg)
	scatter(d, p.Params)
	tape := autograd.NewInference(d)
	defer tape.Release()
	logits := func(h Hidden) (rows [][]float32) {
		for row := range slices.Chunk(read(d, p.LanguageLogits(tape, h)), cfg.VocabSize) {
			rows = append(rows, row)
		}
		return rows
	}
	token := func(h Hidden, row int) Hidden {
		h.Text.Tokens = slices.Clone(h.Text.Tokens)
		h.Text.Tokens[row] = (h.Text.Tokens[row] + 1) % int32(cfg.VocabSize)
		return h
	}
	region := func(h Hidden, row int) Hidden {
		h.Images.Features = slices.Clone(h.Images.Features)
		h.Images.Features[row*cfg.ImageEmbeddingSize]++
		return h
	}
	for _, c := range []struct {
		name          string
		before, after Hidden
		seen          []bool // by each prediction: rows 3 and 4 of the first text and 6 of the second, or the places
	}{
		{"the source", writtenPairs(), token(writtenPairs(), 1), []bool{true, true, false}},
		{"the first target token", writtenPairs(), token(writtenPairs(), 3), []bool{true, true, false}},
		{"the second target token", writtenPairs(), token(writtenPairs(), 4), []bool{false, true, false}},
		{"a region", writtenPairs(), region(writtenPairs(), 3), []bool{false, false, true}},
		{"the second target token of a text alone", writtenTexts(), token(writtenTexts(), 4), []bool{false, true, false}},
		{"the source of a text alone", writtenTexts(), token(writtenTexts(), 0), []bool{true, true, false}},
		{"the last token of a masked text", maskedPairs(), token(maskedPairs(), 3), []bool{true, true, false}},
		{"a region of a masked text", maskedPairs(), region(maskedPairs(), 0), []bool{true, true, false}},
	} {
		before, after := logits(c.before), logits(c.after)
		for i, seen := range c.seen {
			if changed := !slices.Equal(before[i], after[i]); changed != seen {
				t.Errorf("prediction %d sees %s: %v, want %v", i, c.name, changed, seen)
			}
		}
	}
	// Regions belong to the source.
	h := writtenPairs()
	for what, other := range map[string]Hidden{"the target": token(h, 4), "the source": token(h, 0)} {
		before, after := p.Losses(tape, h), p.Losses(tape, other)
		for name, pair := range map[string][2]*autograd.Var{"feature": {before.Feature, after.Feature}, "class": {before.Class, after.Class}} {
			if changed := !slices.Equal(read(d, pair[0]), read(d, pair[1])); changed != (what == "the source") {
				t.Errorf("a region's %s sees %s: %v", name, what, changed)
			}
		}
	}
}

// A batch has the losses of what it predicts and no others, recorded or not.
func TestLossesOfWhatIsPredicted(t *testing.T) {
	withoutClasses := maskedImages()
	withoutClasses.Classes = nil
	nothing := maskedPairs()
	nothing.Places, nothing.Labels, nothing.Regions = nil, nil, nil
	d := cpu.New()
	p := newPretrainer(t, d, tinyPretrainer())
	scatter(d, p.Params)
	for _, c := range []struct {
		name                     string
		hidden                   Hidden
		language, feature, class bool
	}{
		{"texts", maskedTexts(), true, false, false},
		{"images", maskedImages(), false, true, true},
		{"images without classes", withoutClasses, false, true, false},
		{"pairs", maskedPairs(), true, true, true},
		{"nothing", nothing, false, false, false},
	} {
		tape, inference := autograd.NewTape(d, autograd.Seed{}), autograd.NewInference(d)
		training, measured := p.Losses(tape, c.hidden), p.Losses(inference, c.hidden)
		for i, pair := range [][2]*autograd.Var{{training.Language, measured.Language}, {training.Feature, measured.Feature}, {training.Class, measured.Class}} {
			want := []bool{c.language, c.feature, c.class}[i]
			if (pair[0] != nil) != want || (pair[1] != nil) != want {
				t.Errorf("%s: loss %d is there: %v and %v, want %v", c.name, i, pair[0] != nil, pair[1] != nil, want)
			} else if want && !slices.Equal(read(d, pair[0]), read(d, pair[1])) {
				t.Errorf("%s: loss %d is %v in training and %v otherwise", c.name, i, read(d, pair[0]), read(d, pair[1]))
			}
		}
		tape.Release()
		inference.Release()
	}
}

func TestHiddenThatDoesNotFit(t *testing.T) {
	p := newPretrainer(t, cpu.New(), tinyPretrainer())
	for name, edit := range map[string]func(*Hidden){
		"3 images with 2 texts":      func(h *Hidden) { h.Text.Offsets = h.Text.Offsets[:3] },
		"places or regions that":     func(h *Hidden) { h.Places = []int32{2, 1, 6} },
		"not in ascending order":     func(h *Hidden) { h.Regions = []int32{0, 5, 2} },
		"beyond the batch":           func(h *Hidden) { h.Places = []int32{1, 2, 7} },
		"regions beyond the batch":   func(h *Hidden) { h.Regions = []int32{0, 2, 6} },
		"want 2 x 6":                 func(h *Hidden) { h.Labels = h.Labels[1:] },
		"targets for 3 x 4 elements": func(h *Hidden) { h.Targets = h.Targets[1:] },
	} {
		h := maskedPairs()
		edit(&h)
		func() {
			tape := autograd.NewInference(p.dev)
			defer tape.Release()
			defer func() {
				if failure := fmt.Sprint(recover()); !strings.Contains(failure, name) {
					t.Errorf("panic is %q, want one with %q", failure, name)
				}
			}()
			p.Losses(tape, h)
		}()
	}
}

// A model for inference gives the same losses as the one that was trained.
func TestOpenPretrainer(t *testing.T) {
	d, h := cpu.New(), writtenPairs()
	p := newPretrainer(t, d, tinyPretrainer())
	scatter(d, p.Params)
	tape := autograd.NewInference(d)
	opened, err := Open[*Pretrainer](d, p.Config, reader(t, d, p.Params, keep))
	if err != nil {
		t.Fatal(err)
	}
	want, got := read(d, p.Losses(tape, h).sum(tape)), read(d, opened.Losses(tape, h).sum(tape))
	if !slices.Equal(got, want) {
		t.Errorf("losses are %v, want %v", got, want)
	}
	if _, err := Open[*Pretrainer](d, p.Config, reader(t, d, p.Params, without("mask_region_feature_fc.w_0"))); err == nil || !strings.Contains(err.Error(), "mask_region_feature_fc.w_0 and 0 others are missing: not a model for pretraining") {
		t.Errorf("no region head: %v", err)
	}
	if _, err := Open[*Pretrainer](d, tinyRetriever(), reader(t, d, p.Params, keep)); err == nil || !strings.Contains(err.Error(), "want \"pretraining\"") {
		t.Errorf("a retriever's configuration: %v", err)
	}
	if _, err := New[*Classifier](d, p.Config, 1); err == nil || !strings.Contains(err.Error(), "fine-tune it for that first") {
		t.Errorf("a classifier of a pre-trained model's configuration: %v", err)
	}
}

// Every model for one task starts from a pre-trained one but for its own head.
func TestPretrainerHasWhatOthersNeed(t *testing.T) {
	cfg := tinyPretrainer()
	specs := Specs(cfg)
	for _, problem := range []string{Retrieval, Generation, ""} {
		cfg.ProblemType = problem
		for _, s := range Specs(cfg) {
			if !slices.ContainsFunc(specs, func(have Spec) bool { return have.Name == s.Name && slices.Equal(have.Shape, s.Shape) }) {
				t.Errorf("%s needs %s, which a pre-trained model lacks", problem, s.Name)
			}
		}
	}
}
