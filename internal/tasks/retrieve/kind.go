package retrieve

import (
	"fmt"
	"strings"

	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/train"
)

// Kind is a task of image-text retrieval; all of them have the reference's recipe for Flickr30k.
type Kind struct{ images.Captioned }

var (
	_ run.Evaluator = Kind{}
	_ run.Checker   = Kind{}
	_ run.Preparer  = Kind{}
	_ run.Describer = Kind{}
	_ run.Doubter   = Kind{}
	_ run.Helper    = Kind{}
)

// Problem implements [run.Kind].
func (Kind) Problem() string { return model.Retrieval }

// Settings implements [run.Kind].
func (Kind) Settings(_ *run.Task, size string, c run.CommonSettings) run.Settings {
	return defaults(size, c)
}

// Job implements [run.Kind].
func (Kind) Job(t *run.Task, s run.Settings, env *run.Env) run.Job {
	return &job{task: t, settings: s.(*Settings), env: env}
}

// EvalSettings implements [run.Evaluator].
func (Kind) EvalSettings() run.Flags { return new(EvalSettings) }

// Open implements [run.Evaluator].
func (Kind) Open(dir string, env *run.Env) (run.Finished, error) {
	r, err := open(dir, env)
	if err != nil {
		return nil, err
	}
	return r, nil
}

// PredictionFiles implements [run.Evaluator].
func (Kind) PredictionFiles(split string) []string {
	return []string{split + ".images.jsonl", split + ".texts.jsonl"}
}

// DataFiles implements [run.Kind].
func (Kind) DataFiles(*run.Task) []string {
	return []string{"images/, captions.csv and the lists train.txt and dev.txt of pictures (see docs/reference/images.md)"}
}

// Use implements [run.Kind].
func (Kind) Use(dir string) string {
	return "unimo match --model " + dir + " PICTURE \"TEXT\"\nunimo index PICTURES --model " + dir + " --out INDEX\nunimo search --model " + dir + " --index INDEX \"TEXT\""
}

// Help implements [run.Helper].
func (Kind) Help(t *run.Task, command string) (long, example string) {
	if command != "evaluate" {
		return "", ""
	}
	return `
The metrics are image_recall@1, @5 and @10 (the picture of a caption), text_recall@1, @5 and
@10 (a caption of a picture), image_mean_rank, text_mean_rank, mean_rank and recall@1 (the means of
both ways), images, and examples, the captions. Without --two-stage every picture is scored with every
caption; with --scores what was scored is kept in a folder, and the same command goes on with it.
--two-stage N lets the full model order the N best by vectors; on the first --compare pictures it is
compared with scoring every pair (keys compared_exhaustive_..., compared_two_stage_..., compared_lost_...).`, fmt.Sprintf(`  unimo evaluate %[1]s --data DIR --split test --model RUN/best --two-stage 20 --json
  unimo evaluate %[1]s --data DIR --features FEATURES --model RUN/best --scores SCORES
  unimo evaluate %[1]s --data DIR --model RUN/best --report found.html`, t.Name)
}

// The metrics of a comparison of two stages with scoring every pair.
const (
	compared       = "compared_"
	comparedImages = compared + "images"
)

// Describe implements [run.Describer].
func (Kind) Describe(metric string) run.Metric {
	of, isCompared := strings.CutPrefix(metric, compared)
	m := images.Describe(of)
	if isCompared {
		m.Group, m.Order = "two stages against scoring every pair", min(0, m.Order)
	}
	if metric == comparedImages {
		m.Order = -1
	}
	return m
}

// Doubts implements [run.Doubter].
func (Kind) Doubts(m train.Numbers) []string {
	if n := int(m["images"]); n < run.FewExamples {
		return []string{fmt.Sprintf("%s searched; recall says nothing among so few", run.Count(n, "picture"))}
	}
	return run.FewNotes(m)
}

// Hides implements [run.Doubter].
func (Kind) Hides(train.Numbers, string) bool { return false }
