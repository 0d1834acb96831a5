package demo

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// seed makes the demo's data.
const seed = 1

// Part is a part of the demo: invented data, a model trained on it, and its scores on
// combinations that training never showed.
type Part struct {
	Name   string
	About  string // what its model does: "classifies short opinions"
	Takes  string // on two cores
	Shows  string // what its page shows
	Task   *run.Task
	Notice string // what a reader of its scores must not miss
	Next   string // commands that do the same with real data
	Try    Try    // how people try its model
	// Commands ask the model about the outcome's picture: MODEL, PICTURE and PICTURES stand for it, the picture and its folder.
	// Empty: those of the task.
	Commands string

	Sizes    Sizes    // of the data
	Settings []string // over those of the mini preset
	Tuning   []string // likewise, of fine-tuning where Settings are those of pre-training

	heldOut   string                          // the file of the combinations that training never showed, or
	split     string                          // their split of the data's folder
	write     func(dir string, n Sizes) error // makes the data
	baselines func(n Sizes) []Baseline        // may be nil
	run       func(*runner) (Outcome, error)  // what is done
}

// Try is how people try the model of a part.
type Try int

// The ways to try a model.
const (
	NoTry     Try = iota
	TryTexts      // ask about opinions
	TryStory      // talk about a story
	TrySearch     // look for pictures
)

// Sizes are numbers of examples.
type Sizes struct {
	Train   int
	Dev     int // of the training combinations: chooses the best model
	HeldOut int // of combinations that training never shows: scored once
}

// Baseline is what a way to answer that sees or understands less reaches.
type Baseline struct {
	Name  string
	Score float64
}

// Parts returns the parts. The first needs no training, the second little.
func Parts() []Part { return []Part{ready, pictures, oneModel, opinions, scenes, stories, pretraining} }

// all is the name of all parts together.
const all = "all"

// Names returns the names of the parts, and the one of all.
func Names(parts []Part) []string {
	var list []string
	for _, p := range parts {
		list = append(list, p.Name)
	}
	return append(list, all)
}

// Choose returns those of parts that have the wanted names, in the order of parts; the first two, which are
// short, if no name is wanted.
func Choose(parts []Part, wanted []string) ([]Part, error) {
	if len(wanted) == 0 {
		return parts[:2], nil
	}
	chosen := map[string]bool{}
	for _, name := range wanted {
		known, err := names.Find("part of the demo", name, Names(parts))
		if err != nil {
			return nil, err
		}
		chosen[known] = true
	}
	return slices.DeleteFunc(slices.Clone(parts), func(p Part) bool { return !chosen[p.Name] && !chosen[all] }), nil
}

// Options say how a part is run.
type Options struct {
	Dir     string // of the part
	Seed    int    // of training; 0: the task's own
	Version map[string]string
	Log     *slog.Logger
	// Watch returns the observer of work on a task. The work is over when done is called.
	Watch func(*run.Task) (watch run.Observer, done func())
}

// Outcome is what a part leaves.
type Outcome struct {
	Scores    train.Numbers // by the names of --json
	Results   []run.Result  // on combinations that training never showed; none where Text says all
	Baselines []Baseline
	Text      string
	Model     string // its folder
	Picture   string // a held-out one, for the part's commands
	Page      string // HTML, to be looked at
}

// Run runs a part. An earlier demo in the same folder is gone on with, or shown again.
func (p Part) Run(ctx context.Context, o Options) (Outcome, error) {
	r := &runner{Options: o, ctx: ctx, part: p, data: filepath.Join(o.Dir, "data")}
	lock, err := atomicfile.Own(o.Dir)
	if err != nil {
		return Outcome{}, err
	}
	defer lock.Release()
	if err := r.makeData(); err != nil {
		return Outcome{}, err
	}
	if p.run != nil {
		return p.run(r)
	}
	return r.usual()
}

// runner runs a part.
type runner struct {
	Options
	ctx  context.Context
	part Part
	data string // the folder of the data
}

// makeData makes the part's data, unless an earlier demo has: they are the same.
func (r *runner) makeData() error {
	if _, err := os.Stat(r.data); err != nil {
		if err := atomicfile.WriteDir(r.data, func(tmp string) error { return r.part.write(tmp, r.part.Sizes) }); err != nil {
			return err
		}
	}
	r.Log.Info(fmt.Sprintf("%s: the synthetic data are in %s", r.part.Name, r.data))
	return nil
}

// usual trains on the data, scores the held-out ones, and writes the page.
func (r *runner) usual() (Outcome, error) {
	p := r.part
	summary, err := r.train(run.Options{Env: run.Env{Out: filepath.Join(r.Dir, "run")}, Task: p.Task, Data: r.data, Set: p.Settings})
	if err != nil {
		return Outcome{}, err
	}
	results, err := r.score(summary, r.data)
	if err != nil {
		return Outcome{}, err
	}
	out := Outcome{Scores: run.Metrics(results), Results: results, Model: summary.Dir.Best(), Page: filepath.Join(r.Dir, "report.html")}
	if p.baselines != nil {
		out.Baselines = p.baselines(p.Sizes)
	}
	if p.split != "" { // pictures
		return out, r.gallery(out, results[0], "run")
	}
	return out, copyPage(out.Page, summary.Dir.Report())
}

// train trains a model; an earlier demo's run is gone on with.
func (r *runner) train(o run.Options) (*run.Summary, error) {
	_, err := os.Stat(o.Out)
	watch, done := r.Watch(o.Task)
	defer done()
	o.Size, o.Resume, o.Notice = "mini", err == nil, r.part.Notice
	if r.Seed != 0 {
		o.Set = append(slices.Clone(o.Set), fmt.Sprint("seed=", r.Seed))
	}
	o.Command, o.Version, o.Log, o.Observer = []string{"unimo", "demo", r.part.Name}, r.Version, r.Log, watch
	return run.Finetune(r.ctx, o)
}

// score scores the best model of a run on what training never showed.
func (r *runner) score(s *run.Summary, data string) ([]run.Result, error) {
	watch, done := r.Watch(r.part.Task)
	defer done()
	watch.Stage("scoring what training never showed")
	return run.Evaluate(r.ctx, run.EvaluateOptions{
		Env:  run.Env{Log: r.Log, Observer: watch},
		Task: r.part.Task, Model: s.Dir.Best(), Data: filepath.Join(data, r.part.heldOut), Split: r.part.split,
	})
}

// gallery writes the page of pictures that were found, with what the score is to be compared with and
// the reports of the runs in these folders.
func (r *runner) gallery(out Outcome, result run.Result, runs ...string) error {
	about := []report.Item{{Key: "data", Value: r.part.Notice}}
	for _, b := range out.Baselines {
		about = append(about, report.Item{Key: r.part.Task.Metric + " by " + b.Name, Value: fmt.Sprintf("%.2f", b.Score)})
	}
	for _, name := range runs {
		about = append(about, report.Item{Key: "curves", Value: name + "/report.html", Link: name + "/report.html"})
	}
	return run.WritePage(out.Page, r.part.Task, result, about)
}

// copyPage copies a run's report. It is a web page that is meant, so [infile.Read], which refuses
// one in another file's place, is not for it.
func copyPage(to, from string) error {
	in, err := infile.Open(from)
	if err != nil {
		return fmt.Errorf("open the run's report: %w", err)
	}
	defer in.Close()
	return atomicfile.Write(to, func(w io.Writer) error {
		_, err := io.Copy(w, in)
		return err
	})
}
