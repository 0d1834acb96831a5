package demo

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/pretrained"
	"github.com/unimo-go/unimo/internal/train"
)

var pretraining = Part{
	Name: "pretraining", About: "learns from texts, pictures and pairs with UNIMO's own objectives before it is fine-tuned", Takes: "two minutes", Shows: "the pictures that were found after pre-training",
	Task:   Scenes,
	Notice: "Synthetic data: pictures of coloured shapes and sentences about them, made by this program. The scores say what pre-training on many scenes brings where fine-tuning has few; they say nothing about photographs. One run of this part says little: with other seeds or instructions of the processor, pre-training was a gain or a loss (docs/results/2026-11-28-demo.md).",
	Sizes:  Sizes{Train: 12000, Dev: 100, HeldOut: 100}, Settings: pretrainSettings, Tuning: tenthSettings,
	split: "test", write: writeWorld, run: (*runner).pretrain,
	Next: `your own (unimo pretrain --example prints a configuration to begin with):
  unimo pretrain --config pretrain.yaml --out RUN
  unimo finetune sst-2 --data DIR --init RUN --out TUNED`,
}

var (
	pretrainSettings = []string{
		"image_size=64", "patch_size=32", "extractor=patches", "hidden_size=96", "num_hidden_layers=2", "num_attention_heads=4", "vocab_size=512",
		"hidden_dropout_prob=0", "attention_probs_dropout_prob=0", "learning_rate=1.5e-3", "batch_size=40", "max_steps=1600", "eval_steps=800",
		"max_text_len=32", "max_seq_len=32", "shuffle_buffer=2000", "held_out_share=0.01", "held_out=100", "negatives=2", "contrast_size=128", "contrast_weight=5",
	}
	// Both fine-tunings have these: those of scenes, for less data and fewer steps.
	tenthSettings = append(slices.Clone(sceneSettings), "epochs=6", "contrast_epochs=3", "max_steps=600", "eval_steps=300", "max_seq_len=32")
)

// writeWorld writes scenes for pre-training, their sentences alone, and a tenth of them for fine-tuning.
func writeWorld(dir string, n Sizes) error {
	trainSet, dev, heldOut := drawScenes(n)
	if err := synth.WriteScenes(filepath.Join(dir, "scenes"), trainSet, dev, heldOut); err != nil {
		return err
	}
	if err := synth.WriteScenes(filepath.Join(dir, "tenth"), trainSet[:n.Train/10], dev, heldOut); err != nil {
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

// pretrain pre-trains on scenes, then fine-tunes with a tenth of them: from the pre-trained model, and from
// random weights.
func (r *runner) pretrain() (Outcome, error) {
	scenes, tenth, first := filepath.Join(r.data, "scenes"), filepath.Join(r.data, "tenth"), filepath.Join(r.Dir, "pretrained")
	collections := []string{
		fmt.Sprintf("text=[%q]", filepath.Join(r.data, "texts.txt")), fmt.Sprintf("images=[%q]", scenes), fmt.Sprintf("pairs=[%q]", scenes),
	}
	before, err := r.train(run.Options{Env: run.Env{Out: first}, Task: pretrained.Task, Set: append(collections, r.part.Settings...)})
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Scores: train.Numbers{"masked_accuracy": before.Metrics["masked_accuracy"]}, Page: filepath.Join(r.Dir, "report.html")}
	var found []run.Result
	for _, tuning := range []struct {
		name, suffix string
		o            run.Options
	}{{"run", "", run.Options{Init: first}}, {"alone", "_alone", run.Options{Vocab: before.Dir.Best()}}} {
		o := tuning.o
		o.Task, o.Data, o.Out, o.Set = r.part.Task, tenth, filepath.Join(r.Dir, tuning.name), r.part.Tuning
		summary, err := r.train(o)
		if err != nil {
			return Outcome{}, err
		}
		results, err := r.score(summary, tenth)
		if err != nil {
			return Outcome{}, err
		}
		found = append(found, results[0])
		for _, key := range []string{"image_recall@1", "text_recall@1"} {
			out.Scores[key+tuning.suffix] = results[0].Metrics[key]
		}
	}
	out.Text = fmt.Sprintf(`%s, fine-tuned with %d of %d: the right picture and the right sentence found first, among %d that training never showed
  %.4f  %.4f  after pre-training on all texts, pictures and pairs
  %.4f  %.4f  from random weights, with the same recipe
Before fine-tuning the model knew %.1f %% of the hidden words (held out).
One run of this part says little: with other seeds or instructions of the processor, pre-training was a gain or a loss.
`, r.part.Task.Title, r.part.Sizes.Train/10, r.part.Sizes.Train, r.part.Sizes.HeldOut, float64(out.Scores["image_recall@1"]), float64(out.Scores["text_recall@1"]),
		float64(out.Scores["image_recall@1_alone"]), float64(out.Scores["text_recall@1_alone"]), 100*float64(out.Scores["masked_accuracy"]))
	out.Baselines = append(sceneBaselines(r.part.Sizes), Baseline{"the same recipe from random weights", float64(found[1].Metrics[r.part.Task.Metric])})
	return out, r.gallery(out, found[0], "pretrained", "run", "alone")
}
