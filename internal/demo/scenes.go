package demo

import (
	"context"
	"fmt"
	"image/png"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/tasks/retrieve"
)

var scenes = Part{
	Name: "scenes", About: "finds pictures for sentences and sentences for pictures", Takes: "two and a half minutes", Shows: "the pictures that were found, right and wrong",
	Try: TrySearch, Task: Scenes, Settings: sceneSettings,
	Sizes:  Sizes{Train: 24000, Dev: 100, HeldOut: 100},
	Notice: "Synthetic data: pictures of coloured shapes and sentences about them, made by this program. The score says that the model learned to see and name the things of pairs it never saw together; it says little about knowing which colour belongs to which shape, and nothing about photographs.",
	split:  "test", write: writeScenes, baselines: sceneBaselines,
	Next: `Flickr8k (a folder with images/, captions.csv, train.txt and dev.txt; see docs/reference/images.md):
  unimo finetune flickr8k --data FLICKR8K --preset mini --out RUN
  unimo evaluate flickr8k --data FLICKR8K --model RUN/best --two-stage 20`,
}

// pictures are scenes in a minute.
var pictures = func() Part {
	p := scenes
	p.Name, p.Takes, p.Sizes, p.Settings = "pictures", "a minute", Sizes{Train: 8000, Dev: 100, HeldOut: 100}, pictureSettings
	return p
}()

// As sceneSettings, but shorter: a higher rate after a longer warm-up (3e-3 fails with some seeds), and two wrong pairs a caption
// instead of four. See docs/results/2026-11-28-demo.md.
var pictureSettings = append(slices.Clone(sceneSettings), "learning_rate=2e-3", "warmup_proportion=0.15", "negatives=2", "max_steps=1800", "eval_steps=1800")

// A narrow model with patches of a quarter of the picture and small batches learns to see in the
// fewest seconds; first by vectors, which is cheap, then with the match head: see docs/results/2026-11-26-retrieval.md.
var sceneSettings = []string{
	"image_size=64", "patch_size=32", "hidden_size=96", "num_hidden_layers=2", "num_attention_heads=4", "vocab_size=512",
	"hidden_dropout_prob=0", "attention_probs_dropout_prob=0", "weight_decay=0.01", "learning_rate=1.5e-3", "min_crop_area=1", "flip=false",
	"epochs=3", "contrast_epochs=2", "contrast_batch_size=40", "batch_size=20", "negatives=4", "max_steps=5400",
	"eval_steps=1800", "eval_images=100", "eval_candidates=10",
}

func drawScenes(n Sizes) (train, dev, heldOut []synth.Scene) {
	train, heldOut = synth.Scenes(seed, n.Train+n.Dev, n.HeldOut)
	return train[n.Dev:], train[:n.Dev], heldOut
}

func writeScenes(dir string, n Sizes) error {
	train, dev, heldOut := drawScenes(n)
	return synth.WriteScenes(dir, train, dev, heldOut)
}

func sceneBaselines(n Sizes) []Baseline {
	var scores []Baseline
	_, _, heldOut := drawScenes(n)
	for _, b := range synth.SceneBaselines(heldOut) {
		scores = append(scores, Baseline{b.Name, b.Recall})
	}
	return scores
}

// sceneQueries are searched for among the held-out scenes.
const sceneQueries = 3

// Search makes an index of a part's pictures that training never showed, with its model r, in its
// folder dir, and opens it. The texts are captions to search for.
func (p Part) Search(ctx context.Context, r *retrieve.Retriever, dir string, log *slog.Logger) (s *retrieve.Search, texts []string, err error) {
	_, _, heldOut := drawScenes(p.Sizes)
	pictures, index := filepath.Join(dir, "unseen"), filepath.Join(dir, "index")
	if err := writePictures(pictures, heldOut); err != nil {
		return nil, nil, err
	}
	if _, err := r.Index(ctx, pictures, index, retrieve.IndexOptions{Replace: true, Tick: func(string, int, int) {}}); err != nil {
		return nil, nil, err
	}
	for _, scene := range heldOut[:sceneQueries] {
		texts = append(texts, scene.Captions[0])
	}
	s, err = r.OpenIndex(ctx, index)
	return s, texts, err
}

// writePictures writes the pictures of scenes into the folder dir, unless it is there.
func writePictures(dir string, scenes []synth.Scene) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	return atomicfile.WriteDir(dir, func(tmp string) error {
		for i, scene := range scenes {
			err := atomicfile.Write(filepath.Join(tmp, fmt.Sprintf("scene-%03d.png", i+1)), func(w io.Writer) error { return png.Encode(w, scene.Draw(64)) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}
