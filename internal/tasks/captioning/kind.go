package captioning

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Kind is a task of captioning.
type Kind struct{ images.Captioned }

var (
	_ run.Evaluator = Kind{}
	_ run.Checker   = Kind{}
	_ run.Preparer  = Kind{}
	_ run.Describer = Kind{}
	_ run.Helper    = Kind{}
)

// Problem implements [run.Kind].
func (Kind) Problem() string { return model.Captioning }

// Settings implements [run.Kind].
func (Kind) Settings(_ *run.Task, size string, c run.CommonSettings) run.Settings {
	return defaults(size, c)
}

// Job implements [run.Kind].
func (Kind) Job(t *run.Task, s run.Settings, env *run.Env) run.Job {
	return &job{task: t, settings: s.(*Settings), env: env}
}

// EvalSettings implements [run.Evaluator].
func (Kind) EvalSettings() run.Flags { return newEvalSettings(decode.Default) }

// Open implements [run.Evaluator].
func (Kind) Open(dir string, env *run.Env) (run.Finished, error) {
	c, err := open(dir, env)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// PredictionFiles implements [run.Evaluator].
func (Kind) PredictionFiles(split string) []string {
	return []string{split + ".json", split + ".jsonl"}
}

// DataFiles implements [run.Kind].
func (Kind) DataFiles(*run.Task) []string {
	return []string{"images/, captions.csv and the lists train.txt and dev.txt of pictures (see docs/reference/images.md)"}
}

// Use implements [run.Kind].
func (Kind) Use(dir string) string { return "unimo caption --model " + dir + " PICTURE..." }

// Help implements [run.Helper].
func (Kind) Help(t *run.Task, command string) (long, example string) {
	if command != "evaluate" {
		return "", ""
	}
	return `
Loss and perplexity are those of the reference captions; the other metrics compare what the model wrote,
as COCO's server does: cider-d (which it calls CIDEr), cider, coco-bleu-1 to coco-bleu-4, coco-meteor and
coco-rouge-l. SPICE is not computed, and METEOR without synonyms and paraphrases, so a little lower ("unimo
score caption --meteor-data" has them). The flags of decoding change what the model was fine-tuned for.
Of --predictions, SPLIT.json is what COCO's server takes.`, fmt.Sprintf(`  unimo evaluate %[1]s --data DIR --split test --model RUN/best --predictions OUT
  unimo evaluate %[1]s --data DIR --model RUN/best --beam 1 --report captions.html`, t.Name)
}

// Describe implements [run.Describer].
func (Kind) Describe(metric string) run.Metric {
	if strings.HasPrefix(metric, "coco-") {
		return run.Share
	}
	return images.Describe(metric)
}
