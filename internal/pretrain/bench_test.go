package pretrain

import (
	"cmp"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/pretrain/masking"
	"github.com/unimo-go/unimo/tokenizer"
)

// BenchmarkObjectives measures a step of training on each objective alone, on all that pairs have, and on the paper's
// mixture of all, with a model of mini's size. A step has everything in line, with one worker: a batch is
// drawn and prepared, then come the loss, the gradients and the optimiser. A run prepares batches meanwhile. What is reported:
//
//	tokens/s         tokens and regions of the samples, as Batch.Tokens counts them
//	model-tokens/s   rows that go through the encoder: a caption counts in each sequence that it is part of
//	outside-%        the share of the time that drawing and preparing takes
//
// Pictures are decoded and resized before, but for the last benchmark, which does it at every step.
func BenchmarkObjectives(b *testing.B) {
	w, cold := benchWorlds(b)
	dir := b.TempDir() // of the index, which is the same for all
	texts, pairs, paper := [3]float64{1, 0, 0}, [3]float64{0, 0, 1}, [3]float64{1, 1, 5}
	all := Weights{MaskedLM: 1, Seq2Seq: 1, RegionFeature: 1, Contrast: 1, Rewrite: 1}
	for _, c := range []struct {
		name    string
		world   world
		ratios  [3]float64
		weights Weights
	}{
		{"text.masked_lm", w, texts, Weights{MaskedLM: 1}},
		{"text.seq2seq", w, texts, Weights{Seq2Seq: 1}},
		{"images.region_feature", w, [3]float64{0, 1, 0}, Weights{RegionFeature: 1}},
		{"pairs.masked_lm", w, pairs, Weights{MaskedLM: 1}},
		{"pairs.seq2seq", w, pairs, Weights{Seq2Seq: 1}},
		{"pairs.region_feature", w, pairs, Weights{RegionFeature: 1}},
		{"pairs.contrast", w, pairs, Weights{Contrast: 1}},
		{"pairs.rewrite", w, pairs, Weights{Rewrite: 1}},
		{"pairs", w, pairs, all},
		{"mixture", w, paper, all},
		{"mixture-pictures", cold, paper, all},
	} {
		b.Run(c.name, func(b *testing.B) {
			recipe := *c.world.recipe
			recipe.Ratios, recipe.Weights = c.ratios, ofAll(c.weights)
			c.world.recipe = &recipe
			r, err := OpenResources(b.Context(), dir, c.world.collections, ResourceOptions{
				Recipe: &recipe, Log: slog.New(slog.DiscardHandler), Stage: func(string) {}, Tick: func(int, int) {},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			benchSteps(b, c.world, r)
		})
	}
}

func benchSteps(b *testing.B, w world, r *Resources) {
	streams := map[corpus.Kind]*corpus.Stream{}
	for kind, c := range w.collections {
		streams[kind] = c.Stream(corpus.StreamOptions{Seed: w.recipe.Seed, Buffer: 1000, Part: corpus.Train})
	}
	feed, err := NewFeed(&Preparer{Recipe: w.recipe, Tokenizer: w.tok, Resources: r, Workers: 1}, streams, 1, all)
	if err != nil {
		b.Fatal(err)
	}
	cfg := model.Mini
	cfg.ProblemType, cfg.VocabSize, cfg.ContrastSize = model.Pretraining, w.tok.VocabSize(), 128
	cfg.ImageEmbeddingSize = w.collections[corpus.Pairs].Dim()
	dev := cpu.New()
	m, err := model.New[*model.Pretrainer](dev, cfg, 1)
	if err != nil {
		b.Fatal(err)
	}
	var params []optim.Param
	for _, p := range m.Params {
		params = append(params, optim.Param{Name: p.Name, Value: p.Value, Grad: p.Gradient()})
	}
	decay := optim.Default
	decay.WeightDecay = 0.01
	adam, tape := optim.NewAdam(dev, decay, params), autograd.NewTape(dev, autograd.Seed{})
	pass, tokens, rows := uint64(0), 0, 0
	var outside time.Duration
	at := feed.given
	feed.room = make(chan struct{}, 1)
	step := func() {
		start := time.Now()
		batch := feed.next(at.place, at.Next[0])
		<-feed.room
		at.place = batch.after
		outside += time.Since(start)
		if err := cmp.Or(batch.failed, batch.Problem); err != nil {
			b.Fatal(err)
		}
		if err := at.count(w.recipe, batch.Number, []Note{batch.Note()}); err != nil {
			b.Fatal(err)
		}
		m.Params.ClearGradients()
		tape.Reset(autograd.Seed{Key: 1, Pass: pass})
		var loss *autograd.Var
		parts := w.recipe.Parts(batch)
		for i, v := range w.recipe.Losses(tape, m, batch) {
			engine.Values(dev, v.Value) // the log's, which wait for the device
			if v = tape.Scale(v, float32(parts[i].Weight)); loss != nil {
				v = tape.Add(loss, v)
			}
			loss = v
		}
		tape.Backward(loss, 1)
		if _, err := adam.Step(1e-4); err != nil {
			b.Fatal(err)
		}
		pass++
		tokens += batch.Tokens
		rows += encoded(batch)
	}
	for range len(Kinds) { // one of each; the buffers fill, and the system gives the memory its pages
		step()
	}
	tokens, rows, outside = 0, 0, 0
	for b.Loop() {
		step()
	}
	seconds := b.Elapsed().Seconds()
	b.ReportMetric(float64(tokens)/seconds, "tokens/s")
	b.ReportMetric(float64(rows)/seconds, "model-tokens/s")
	b.ReportMetric(100*outside.Seconds()/seconds, "outside-%")
}

// encoded counts the rows of a batch that go through the encoder, each sequence's.
func encoded(b *Batch) int {
	all := func(offsets []int32) int {
		if offsets == nil {
			return 0
		}
		return int(offsets[len(offsets)-1])
	}
	one := func(offsets []int32, i int32) int { return int(offsets[i+1] - offsets[i]) }
	n := 0
	if h := b.Hidden; len(h.Labels)+len(h.Regions) > 0 {
		n = all(h.Images.Offsets) + all(h.Text.Offsets)
	}
	if c := b.CMCL; c != nil {
		for _, p := range c.Candidates {
			n += one(c.Images.Offsets, p.Image) + one(c.Joint.Offsets, p.Text)
		}
		if c.TextKinds.Group > 0 {
			n += all(c.Images.Offsets) + all(c.Alone.Offsets)
		}
	}
	return n
}

// benchWorlds returns collections with the recipe of mini, whose pictures are decoded and resized before, and the same
// whose pictures are not: a tenth of the real data if it is there, otherwise synthetic scenes.
func benchWorlds(b *testing.B) (warm, cold world) {
	paths, heldOut := benchData(b)
	x, err := regions.NewExtractor(regions.Spec{Extractor: regions.Statistics, ImageSize: 128, Grid: 4})
	if err != nil {
		b.Fatal(err)
	}
	open := func(cache int64) Collections {
		collections := Collections{}
		for kind, list := range paths {
			c, err := corpus.Open(kind, list, corpus.Options{Extractor: x, HeldOut: heldOut, CacheBytes: cache})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { c.Close() })
			collections[kind] = c
		}
		return collections
	}
	warm.collections, cold.collections = open(256<<20), open(0)
	for _, kind := range []corpus.Kind{corpus.Images, corpus.Pairs} {
		for s, err := range warm.collections[kind].Each(b.Context(), corpus.Train) {
			if err == nil {
				err = s.Image(new(regions.Image))
			}
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	tok, err := tokenizer.Train(b.Context(), benchTexts(b, warm.collections), 8000, tokenizer.TrainOptions{})
	if err != nil {
		b.Fatal(err)
	}
	warm.tok, cold.tok = tok, tok
	warm.recipe = &Recipe{
		Seed: 1, BatchSize: 32, MaxText: 64, MaxCaption: 40,
		Language:     masking.Language{Vocabulary: tok, Share: 0.15, PhraseShare: 0.5, MaxWords: 3},
		Fragments:    masking.Fragments{Vocabulary: tok, Share: 0.25, MaxWords: 3},
		Seq2SeqShare: 0.5, Regions: masking.Regions{Share: 0.15, Overlap: 0.3}, Normalise: true,
		Positives: 1, Negatives: 3, SentenceShare: 0.25, RetrievedImages: 1, RetrievedTexts: 1, Temperature: 0.07,
		Weights: ofAll(Weights{1, 1, 1, 1, 1, 1}),
	}
	cold.recipe = warm.recipe
	return warm, cold
}

// benchData returns the paths of the collections, and which share of them to leave out.
func benchData(b *testing.B) (paths map[corpus.Kind][]string, heldOut float64) {
	root := cmp.Or(os.Getenv("UNIMO_DATA"), filepath.Join("..", "shared", "data"))
	if !filepath.IsAbs(root) {
		root = filepath.Join("..", "..", root) // of the module
	}
	pictures := filepath.Join(root, "flickr8k")
	if _, err := os.Stat(pictures); err == nil {
		texts := []string{filepath.Join(root, "flickr30k-captions", "captions.tsv.gz"), filepath.Join(root, "books", "books.txt.gz")}
		return map[corpus.Kind][]string{corpus.Text: texts, corpus.Images: {pictures}, corpus.Pairs: {pictures}}, 0.9
	}
	b.Log("without the real data (set UNIMO_DATA): scenes")
	dir := b.TempDir()
	scenes, dev := synth.Scenes(3, 600, 4)
	if err := synth.WriteScenes(dir, scenes, dev, dev); err != nil {
		b.Fatal(err)
	}
	var lines []string
	for _, s := range scenes {
		lines = append(lines, s.Captions...)
	}
	texts := filepath.Join(dir, "texts.txt")
	if err := os.WriteFile(texts, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	return map[corpus.Kind][]string{corpus.Text: {texts}, corpus.Images: {dir}, corpus.Pairs: {dir}}, 0
}

// benchTexts yields texts and captions to train a vocabulary on.
func benchTexts(b *testing.B, c Collections) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, kind := range []corpus.Kind{corpus.Text, corpus.Pairs} {
			for s, err := range c[kind].Each(b.Context(), corpus.Train) {
				if err != nil {
					b.Fatal(err)
				}
				for _, text := range append(s.Captions, s.Text) {
					if !yield(text) {
						return
					}
				}
			}
		}
	}
}
