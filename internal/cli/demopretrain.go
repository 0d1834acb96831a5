package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/atomicfile"
	"github.com/unimo-go/unimo/internal/synth"
	"github.com/unimo-go/unimo/internal/task"
	"github.com/unimo-go/unimo/internal/train"
)

// Sizes of the pre-training part's data and its recipe, so that pre-training takes about a minute on two cores.
const (
	pretrainScenes   = 3000
	pretrainLabelled = (opinionsTrain - opinionsDev) / 10 // of the opinions; all of them are read without labels
)

var (
	pretrainSettings = []string{
		"hidden_size=96", "num_hidden_layers=2", "num_attention_heads=4", "vocab_size=1024", "hidden_dropout_prob=0.1",
		"extractor=patches", "image_size=64", "patch_size=32", "ratio_text=3", "ratio_images=1", "ratio_pairs=3",
		"batch_size=48", "learning_rate=1.5e-3", "max_steps=1200", "eval_steps=400", "shuffle_buffer=4000", "held_out_share=0.02",
		"negatives=2", "contrast_size=64",
	}
	// Both fine-tunings have these, and the one without pre-training the same size of model and vocabulary.
	tuneSettings = []string{"epochs=30", "learning_rate=5e-4", "hidden_dropout_prob=0.1", "eval_steps=100", "batch_size=32"}
	aloneSize    = []string{"hidden_size=96", "num_hidden_layers=2", "num_attention_heads=4"}
)

// writeWorld writes what the part reads: opinions without labels, scenes, and a tenth of the opinions with labels.
func writeWorld(dir string) error {
	opinions, heldOut := synth.Opinions(demoSeed, opinionsTrain, opinionsHeldOut)
	scenes, unseen := synth.Scenes(demoSeed, pretrainScenes, scenesHeldOut)
	if err := synth.WriteScenes(filepath.Join(dir, "scenes"), scenes[scenesDev:], scenes[:scenesDev], unseen); err != nil {
		return err
	}
	err := atomicfile.Write(filepath.Join(dir, "texts.txt"), func(w io.Writer) error {
		for _, o := range opinions[opinionsDev:] {
			if _, err := fmt.Fprintln(w, o.Text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	labelled := filepath.Join(dir, "labelled")
	if err := os.MkdirAll(labelled, 0o755); err != nil {
		return err
	}
	return writeOpinionFiles(labelled, opinions[opinionsDev:][:pretrainLabelled], opinions[:opinionsDev], heldOut)
}

// demoPretraining pre-trains on opinions without labels and on scenes, then classifies opinions with a tenth of the labels:
// from the pre-trained model, and from random weights.
func (a *app) demoPretraining(ctx context.Context, dir string, p demoPart) (train.Numbers, error) {
	data, err := a.demoData(dir, p)
	if err != nil {
		return nil, err
	}
	pretrained := filepath.Join(dir, "pretrained")
	collections := []string{
		fmt.Sprintf("text=[%q]", filepath.Join(data, "texts.txt")), fmt.Sprintf("images=[%q]", filepath.Join(data, "scenes", "images")),
		fmt.Sprintf("pairs=[%q]", filepath.Join(data, "scenes")),
	}
	before, err := a.demoRun(ctx, p, task.Options{Preset: task.Pretraining, Out: pretrained, Set: append(collections, pretrainSettings...)})
	if err != nil {
		return nil, err
	}
	labelled := filepath.Join(data, "labelled")
	scores := train.Numbers{"masked_accuracy": before.Metrics["masked_accuracy"], "image_recall@10": before.Metrics["image_recall@10"]}
	for _, tuning := range []struct {
		name, key string
		o         task.Options
	}{
		{"run", "accuracy", task.Options{Init: pretrained, Set: tuneSettings}},
		{"alone", "accuracy_alone", task.Options{Vocab: before.Dir.Best(), Set: append(aloneSize, tuneSettings...)}},
	} {
		o := tuning.o
		o.Preset, o.Data, o.Out = p.preset, labelled, filepath.Join(dir, tuning.name)
		summary, err := a.demoRun(ctx, p, o)
		if err != nil {
			return nil, err
		}
		results, err := task.Evaluate(ctx, p.preset, summary.Dir.Best(), filepath.Join(labelled, p.heldOut), task.EvaluateOptions{Tick: func(int, int) {}})
		if err != nil {
			return nil, err
		}
		scores[tuning.key], scores["examples"] = results[0].Metrics["accuracy"], results[0].Metrics["examples"]
	}
	raw, err := os.ReadFile(before.Dir.Report())
	if err != nil {
		return nil, fmt.Errorf("read the run's report: %w", err)
	}
	page := filepath.Join(dir, "report.html")
	if err := atomicfile.WriteBytes(page, raw); err != nil {
		return nil, err
	}
	if a.json {
		return scores, nil
	}
	_, err = fmt.Fprintf(a.stdout, `
%s (synthetic), %d with labels, on combinations that training never showed:
  accuracy        %.4f  after pre-training on %d without labels, and on %d scenes
  accuracy        %.4f  from random weights, with the same recipe
Before fine-tuning the model knew %.1f %% of the hidden words, and had the right one among ten scenes for %.1f %% of the sentences (held out).

The curves of pre-training are in %s.
The same with real data, %s
`, p.preset.Title, pretrainLabelled, float64(scores["accuracy"]), opinionsTrain-opinionsDev, pretrainScenes-scenesDev, float64(scores["accuracy_alone"]),
		100*float64(scores["masked_accuracy"]), 100*float64(scores["image_recall@10"]), page, p.next)
	return scores, err
}
