package demo

import (
	"fmt"
	"path/filepath"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/captioning"
	"github.com/unimo-go/unimo/internal/tasks/entail"
	"github.com/unimo-go/unimo/internal/tasks/multi"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
	"github.com/unimo-go/unimo/internal/tasks/vqa"
)

var oneModel = Part{
	Name: "one-model", About: "answers questions, judges statements, writes captions and finds pictures", Takes: "four minutes", Shows: "pictures with captions, answers and judgements",
	Task: OneModel, Settings: oneModelSettings,
	Sizes:  Sizes{Train: 12000, Dev: 100, HeldOut: 200},
	Notice: "Synthetic data: pictures of coloured shapes and texts about them, made by this program. The scores say that one model learned to speak of pairs of things it never saw together; they say nothing about photographs.",
	write:  writeTalk, run: (*runner).oneModel,
	Commands: `unimo ask --model MODEL PICTURE \
    "what colour is the big object?"
unimo predict --model MODEL --task snli-ve PICTURE \
    "you see a star"
unimo caption --model MODEL PICTURE
unimo index PICTURES --model MODEL --out INDEX
unimo search --index INDEX \
    "a small black circle below a big black triangle"`,
	Next: `any of the tasks, alone or together (docs/guides/multi.md):
  unimo finetune multi --out RUN \
      --tasks vqa=VQA,snli-ve=SNLIVE,coco-caption=COCO,flickr8k=FLICKR8K`,
}

// OneModel is trained for all of talked.
var OneModel = func() *run.Task {
	t := multi.NewTask(talked)
	t.Name, t.Title = "scenes-and-texts", "synthetic scenes and texts"
	return t
}()

// talked are the tasks that the one model learns. They have the names of the commands' own tasks, so that every command takes
// its model.
var talked = run.Tasks{named(vqa.Tasks, "vqa"), named(entail.Tasks, "snli-ve"), named(captioning.Tasks, "coco-caption"), named(retrieve.Tasks, "flickr8k")}

func named(tasks run.Tasks, name string) *run.Task {
	t, err := tasks.Find(name)
	if err != nil {
		panic(err) // the names are the packages' own
	}
	return t
}

// The pictures are seen as statistics of colours and edges over a grid of their pixels: from raw pixels the same model learnt little in
// that time. See docs/results/2026-11-28-one-model.md.
var (
	oneModelEyes     = regions.Spec{Extractor: regions.Statistics, ImageSize: 64, Grid: 2}
	oneModelSettings = []string{
		"hidden_size=96", "num_hidden_layers=3", "num_attention_heads=4", "vocab_size=512",
		"hidden_dropout_prob=0", "attention_probs_dropout_prob=0", "weight_decay=0.01", "initializer_range=0.1", "location_initializer_range=0.4",
		"learning_rate=1.5e-3", "batch_size=32", "coco-caption.batch_size=24", "flickr8k.batch_size=20", "flickr8k.contrast_batch_size=40", "flickr8k.contrast_epochs=3",
		"flickr8k.min_crop_area=1", "flickr8k.flip=false", "coco-caption.min_crop_area=1", "coco-caption.flip=false", "snli-ve.min_crop_area=1", "snli-ve.flip=false",
		"coco-caption.label_smooth=0", "coco-caption.beam_size=1", "coco-caption.min_out_len=1", "coco-caption.decode_examples=50",
		"ratio=vqa=0.65,snli-ve=1.3,coco-caption=1.1,flickr8k=0.7", "epochs=4", "max_steps=8000", "eval_steps=2000",
	}
)

// talkScenes draws the scenes with their texts.
func talkScenes(n Sizes) (train, dev, heldOut []synth.Scene) {
	train, heldOut = synth.CurtainScenes(seed, n.Train+n.Dev, n.HeldOut)
	return train[n.Dev:], train[:n.Dev], heldOut
}

func writeTalk(dir string, n Sizes) error {
	train, dev, heldOut := talkScenes(n)
	return synth.WriteScenes(dir, train, dev, heldOut)
}

// oneModel trains the model and shows it.
func (r *runner) oneModel() (Outcome, error) {
	features := filepath.Join(r.Dir, "features")
	if err := r.look(filepath.Join(r.data, "images"), features); err != nil {
		return Outcome{}, err
	}
	questions, hypotheses := filepath.Join(r.data, "questions"), filepath.Join(r.data, "hypotheses")
	set := []string{
		fmt.Sprintf("tasks=[%q,%q,%q,%q]", "vqa="+questions, "snli-ve="+hypotheses, "coco-caption="+r.data, "flickr8k="+r.data),
		"features=" + features,
	}
	summary, err := r.train(run.Options{Env: run.Env{Out: filepath.Join(r.Dir, "run")}, Task: r.part.Task, Set: append(set, r.part.Settings...)})
	if err != nil {
		return Outcome{}, err
	}
	return r.show(summary.Dir.Best(), "run/report.html")
}

// look computes the features of pictures, unless an earlier demo has.
func (r *runner) look(pictures, features string) error {
	x, err := regions.NewExtractor(oneModelEyes)
	if err != nil {
		return err
	}
	watch, done := r.Watch(r.part.Task)
	defer done()
	watch.Stage("looking at the pictures")
	_, err = regions.Extraction{
		Dir: pictures, Extractor: x, Limits: picture.DefaultLimits, Stage: func(string) {}, Tick: watch.Tick, Warn: func(message string) { r.Log.Warn(message) },
	}.WriteStore(r.ctx, features)
	return err
}
