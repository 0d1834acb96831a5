package demo

import (
	"github.com/unimo-go/unimo/internal/demo/synth"
)

var stories = Part{
	Name: "stories", About: "answers questions about little stories, each depending on those before", Takes: "three minutes", Shows: "the curves, answers right and wrong",
	Try: TryStory, Task: Stories, Settings: storySettings,
	Sizes:   Sizes{Train: 9900, Dev: 100, HeldOut: 300},
	Notice:  "Synthetic data: stories of a small world and conversations about them, made by this program. The score says that the model learned to find answers in stories it never saw; it says nothing about real texts.",
	heldOut: "held-out.json", write: writeStories, baselines: storyBaselines,
	Next: `CoQA (coqa-train-v1.0.json, coqa-dev-v1.0.json):
  unimo finetune coqa --data COQA --preset mini --out RUN
  unimo chat --model RUN/best --story FILE`,
}

// From random weights a model must find out by itself that a question's name is to be
// looked up in the story. A narrow one with large initial weights and no noise does in
// the fewest seconds: see docs/results/2026-11-25-text-to-text.md.
var storySettings = []string{
	"hidden_size=64", "num_attention_heads=4", "initializer_range=0.1", "hidden_dropout_prob=0", "attention_probs_dropout_prob=0",
	"vocab_size=1024", "max_src_len=128", "max_out_len=24", "label_smooth=0", "learning_rate=2.5e-3", "epsilon=1e-10",
	"batch_size=32", "epochs=4", "max_steps=6000", "eval_steps=1500", "decode_examples=300", "eval_batch_size=256",
}

func writeStories(dir string, n Sizes) error {
	trainSet, heldOut := synth.Stories(seed, n.Train+n.Dev, n.HeldOut)
	return writeFiles(dir, synth.WriteStories, map[string][]synth.Story{
		"train.json": trainSet[n.Dev:], "dev.json": trainSet[:n.Dev], "held-out.json": heldOut,
	})
}

func storyBaselines(n Sizes) []Baseline {
	var scores []Baseline
	for _, b := range synth.StoryBaselines(synth.Stories(seed, n.Train+n.Dev, n.HeldOut)) {
		scores = append(scores, Baseline{b.Name, b.ExactMatch})
	}
	return scores
}
