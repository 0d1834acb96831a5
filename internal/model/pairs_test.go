package model

import (
	"math"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
)

// pairLoss is the loss in float64 of a classifier of images with texts.
func (r *reference) pairLoss(images Images, text Text, targets Targets) (loss float64) {
	r.next = 0
	regions, words := r.embedImages(images), r.embed(text)
	var x [][]float64
	var firsts []int32
	offsets := []int32{0}
	for s := range text.Sequences() {
		firsts = append(firsts, int32(len(x)))
		x = append(x, regions[images.Offsets[s]:images.Offsets[s+1]]...)
		firsts = append(firsts, int32(len(x)))
		x = append(x, words[text.Offsets[s]:text.Offsets[s+1]]...)
		offsets = append(offsets, int32(len(x)))
	}
	y := r.layers(x, offsets, nil, firsts, evenly(text.Sequences(), 2))
	var pooled [][]float64
	for s := range text.Sequences() {
		image, word := r.linear(y[2*s:2*s+1], "pooled_fc_image")[0], r.linear(y[2*s+1:2*s+2], "pooled_fc_text")[0]
		for j := range image {
			image[j] = max(0, image[j]) + max(0, word[j])
		}
		pooled = append(pooled, image)
	}
	inner := r.affine(pooled, "cls_out_w_0", "cls_out_b_0")
	if r.cfg.ProblemType == Answering {
		inner = gelu(inner)
	}
	for s, row := range r.affine(r.dropout(inner), "cls_out_w_1", "cls_out_b_1") {
		var total float64
		for c, x := range row {
			total += math.Exp(x)
			if r.cfg.ProblemType == Answering {
				target := float64(targets.Soft[s*len(row)+c])
				loss += math.Log(1+math.Exp(x)) - target*x
			}
		}
		if r.cfg.ProblemType == Entailment {
			loss += math.Log(total) - row[targets.Classes[s]]
		}
	}
	return loss / float64(text.Sequences())
}

// The loss of both heads on images with texts against float64, and gradients against central differences.
func TestPairLossAndGradients(t *testing.T) {
	targets := Targets{Classes: []int32{2, 0, 1}, Soft: []float32{1, 0, 0.3, 0, 0, 0, 0.6, 0.9, 0}}
	for _, c := range []struct {
		name  string
		edit  func(*Config)
		drops int // dropouts in a pass
	}{
		{Entailment, func(c *Config) { c.ProblemType = Entailment }, 0},
		{Answering, func(c *Config) { c.ProblemType = Answering }, 0},
		{"dropout", func(c *Config) { c.ProblemType, c.HiddenDropout, c.AttentionDropout = Answering, 0.2, 0.3 }, 2 + 2*3 + 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := tinyRetriever()
			cfg.NumLabels, cfg.ContrastSize = 3, 0
			c.edit(&cfg)
			d := &dropWatch{Device: cpu.New()}
			m := newModel(t, d, cfg, 1)
			params := scatter(d, m.Params)
			tape := autograd.NewTape(d, autograd.Seed{Key: 3, Pass: 1})
			loss := m.Loss(tape, m.Logits(tape, Input{Images: tinyImages(), Text: tinyText()}), targets)
			if len(d.masks) != c.drops {
				t.Fatalf("%d dropouts, want %d", len(d.masks), c.drops)
			}
			r := &reference{cfg: cfg, params: params, masks: d.masks, few: 12}
			value := func() float64 { return r.pairLoss(tinyImages(), tinyText(), targets) }
			if got, want := float64(read(d, loss)[0]), value(); !(math.Abs(got-want) <= outputTolerance*want) {
				t.Errorf("loss is %g, want %g", got, want)
			}
			tape.Backward(loss, 1)
			testGradients(t, d, m.Params, func(name string) []float64 { return r.gradient(name, value) })
		})
	}
}
