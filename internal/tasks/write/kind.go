package write

import (
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/seq2seq"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/texts"
)

// Kind is a task on texts that are written.
type Kind struct {
	Data     seq2seq.Task // what its examples are, and their limits
	Decoding decode.Options
	// Recipe of the reference, for base and large.
	BatchSize, Epochs int
	BaseRate          float64
	LargeRate         float64
	LargeBeam         int
	LargePenalty      float64

	// Scored names the metric of package textscore that compares texts with those the examples ask for.
	Scored string
	// right says whether a text is as good as the reference, for people who look.
	right func(g Generated) bool
}

var (
	_ run.Evaluator = (*Kind)(nil)
	_ run.Resolver  = (*Kind)(nil)
	_ run.Sizer     = (*Kind)(nil)
	_ run.Describer = (*Kind)(nil)
	_ run.Helper    = (*Kind)(nil)
)

// Problem implements [run.Kind].
func (k *Kind) Problem() string {
	if k.Data.Dialogue {
		return model.Dialogue
	}
	return model.Generation
}

// Settings implements [run.Kind].
func (k *Kind) Settings(_ *run.Task, size string, c run.CommonSettings) run.Settings {
	return k.settings(size, c)
}

// Job implements [run.Kind].
func (k *Kind) Job(t *run.Task, s run.Settings, env *run.Env) run.Job {
	return &job{task: t, kind: k, settings: s.(*Settings), env: env}
}

// EvalSettings implements [run.Evaluator].
func (k *Kind) EvalSettings() run.Flags { return texts.NewDecoding(decode.Default) }

// Open implements [run.Evaluator].
func (k *Kind) Open(dir string, env *run.Env) (run.Finished, error) {
	g, err := open(dir, env)
	if err != nil {
		return nil, err
	}
	return g, nil
}

// PredictionFiles implements [run.Evaluator].
func (k *Kind) PredictionFiles(split string) []string {
	return []string{split + ".txt", split + ".jsonl"}
}

// Resolve implements [run.Resolver].
func (k *Kind) Resolve(path string, s run.Split) (string, error) {
	return seq2seq.Resolve(path, s.Name)
}

// Size implements [run.Sizer]: whole passages need many positions, and the table is small.
func (k *Kind) Size(cfg model.Config) model.Config {
	cfg.MaxPositions = model.Base.MaxPositions
	return cfg
}

// DataFiles implements [run.Kind].
func (k *Kind) DataFiles(*run.Task) []string {
	return []string{"a training and a dev file (train.jsonl, dev.jsonl, the official ones; see docs/reference/text.md)"}
}

// Use implements [run.Kind].
func (k *Kind) Use(dir string) string {
	if k.Data.Dialogue {
		return "unimo chat --model " + dir + " --story FILE"
	}
	return "unimo generate --model " + dir + " \"TEXT\""
}

// Help implements [run.Helper].
func (k *Kind) Help(_ *run.Task, command string) (long, example string) {
	if command != "evaluate" {
		return "", ""
	}
	return `
Loss and perplexity are those of the reference texts; the other metrics compare what the model wrote:
f1, em and both by domain (f1_mctest) for coqa; rouge-1, rouge-2, rouge-l for summaries; bleu-1 to
bleu-4, meteor, caption-rouge-l for questions. The flags of decoding change what the model was fine-tuned for.`, ""
}

// Describe implements [run.Describer].
func (k *Kind) Describe(metric string) run.Metric {
	if metric == "f1" || metric == "em" || metric == "meteor" || strings.HasPrefix(metric, "rouge-") || strings.HasPrefix(metric, "bleu-") {
		return run.Share
	}
	return run.Metric{}
}
