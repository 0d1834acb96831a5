package cli

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// Sizes of the pre-training part's data and its recipe, so that pre-training takes about a minute on two cores.
const (
	pretrainScenes = 12000
	pretrainTenth  = pretrainScenes / 10 // what fine-tuning is told to match
)

var (
	pretrainSettings = []string{
		"image_size=64", "patch_size=32", "extractor=patches", "hidden_size=96", "num_hidden_layers=2", "num_attention_heads=4", "vocab_size=512",
		"hidden_dropout_prob=0", "attention_probs_dropout_prob=0", "learning_rate=1.5e-3", "batch_size=40", "max_steps=1600", "eval_steps=800",
		"max_text_len=32", "max_seq_len=32", "shuffle_buffer=2000", "held_out_share=0.01", "held_out=100", "negatives=2", "contrast_size=128", "contrast_weight=5",
	}
	// Both fine-tunings have these: those of scenes, for less data and fewer steps.
	tenthSettings = append(sceneSettings, "epochs=6", "contrast_epochs=3", "max_steps=600", "eval_steps=300", "max_seq_len=32")
)

// writeWorld writes scenes for pre-training, their sentences alone, and a tenth of them for fine-tuning.
func writeWorld(dir string) error {
	trainSet, heldOut := synth.Scenes(demoSeed, pretrainScenes+scenesDev, scenesHeldOut)
	dev, trainSet := trainSet[:scenesDev], trainSet[scenesDev:]
	if err := synth.WriteScenes(filepath.Join(dir, "scenes"), trainSet, dev, heldOut); err != nil {
		return err
	}
	if err := synth.WriteScenes(filepath.Join(dir, "tenth"), trainSet[:pretrainTenth], dev, heldOut); err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, "texts.txt"), func(w io.Writer) error {
		for _, s := range trainSet {
			for _, caption := range s.Captions {
				if _, err := fmt.Fprintln(w, caption); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// demoPretraining pre-trains on scenes, then fine-tunes with a tenth of them: from the pre-trained model, and from
// random weights.
func (a *app) demoPretraining(ctx context.Context, dir string, p demoPart) (train.Numbers, error) {
	data, err := a.demoData(dir, p)
	if err != nil {
		return nil, err
	}
	scenes, tenth, pretrained := filepath.Join(data, "scenes"), filepath.Join(data, "tenth"), filepath.Join(dir, "pretrained")
	collections := []string{
		fmt.Sprintf("text=[%q]", filepath.Join(data, "texts.txt")), fmt.Sprintf("images=[%q]", filepath.Join(scenes, "images")), fmt.Sprintf("pairs=[%q]", scenes),
	}
	before, err := a.demoRun(ctx, p, run.Options{Preset: run.Pretraining, Out: pretrained, Set: append(collections, pretrainSettings...)})
	if err != nil {
		return nil, err
	}
	scores := train.Numbers{"masked_accuracy": before.Metrics["masked_accuracy"]}
	for _, tuning := range []struct {
		name, suffix string
		o            run.Options
	}{{"run", "", run.Options{Init: pretrained}}, {"alone", "_alone", run.Options{Vocab: before.Dir.Best()}}} {
		o := tuning.o
		o.Preset, o.Data, o.Out, o.Set = p.preset, tenth, filepath.Join(dir, tuning.name), tenthSettings
		summary, err := a.demoRun(ctx, p, o)
		if err != nil {
			return nil, err
		}
		results, err := a.demoScore(ctx, p, summary, tenth)
		if err != nil {
			return nil, err
		}
		for _, key := range []string{"image_recall@1", "text_recall@1"} {
			scores[key+tuning.suffix] = results[0].Metrics[key]
		}
	}
	page := filepath.Join(dir, "report.html")
	if err := copyPage(page, before.Dir.Report()); err != nil {
		return nil, err
	}
	if a.json {
		return scores, nil
	}
	_, err = fmt.Fprintf(a.stdout, `
%s, fine-tuned with %d of %d: the right picture and the right sentence found first, among %d that training never showed
  %.4f  %.4f  after pre-training on all texts, pictures and pairs
  %.4f  %.4f  from random weights, with the same recipe
Before fine-tuning the model knew %.1f %% of the hidden words (held out).

The curves of pre-training are in %s.
The same with real data, %s
`, p.preset.Title, pretrainTenth, pretrainScenes, scenesHeldOut, float64(scores["image_recall@1"]), float64(scores["text_recall@1"]),
		float64(scores["image_recall@1_alone"]), float64(scores["text_recall@1_alone"]), 100*float64(scores["masked_accuracy"]), page, p.next)
	return scores, err
}
