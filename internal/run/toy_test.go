package run_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/run"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// toy is a kind of task that only this test knows: whether a text has the word it is asked for. A line of its
// files is a text and yes or no, with a tab between them. It learns with the head of a classifier.
type toy struct{}

// The toy can all that a kind can, but for what only images or streams need.
var (
	_ run.Evaluator = toy{}
	_ run.Describer = toy{}
	_ run.Submitter = (*toyLearner)(nil)
	_ run.Commenter = (*toyDetail)(nil)
)

var toyTask = &run.Task{
	Name: "toy", Title: "a toy", Metric: "hits", Command: "finetune", Kind: toy{}, Splits: run.UsualSplits(nil, nil, nil),
}

type toySettings struct {
	run.CommonSettings
	Longest int `json:"longest" help:"most tokens of a text"`
}

func (s *toySettings) Adopt(model.Config) {}

func (s *toySettings) Validate(func(string) bool) error { return s.CommonSettings.Validate() }

type toyFlags struct {
	Upper bool `json:"upper" help:"answers in upper case"`
}

func (*toyFlags) Validate(func(string) bool) error { return nil }

func (toy) Problem() string { return model.Classification }

func (toy) Settings(_ *run.Task, _ string, c run.CommonSettings) run.Settings {
	return &toySettings{c, 16}
}

func (toy) Job(t *run.Task, s run.Settings, env *run.Env) run.Job {
	return &toyJob{task: t, settings: s.(*toySettings), env: env}
}

func (toy) DataFiles(*run.Task) []string          { return []string{"train.tsv and dev.tsv"} }
func (toy) Use(dir string) string                 { return "toy " + dir }
func (toy) EvalSettings() run.Flags               { return new(toyFlags) }
func (toy) PredictionFiles(split string) []string { return []string{split + ".toy"} }
func (toy) Describe(metric string) (m run.Metric) { return run.Share }
func (toy) Open(dir string, env *run.Env) (run.Finished, error) {
	f := &toyFinished{}
	var err error
	f.Opened, err = run.Open(dir, env, func(o *run.Opened) (model.Parameters, error) {
		m, err := model.Open[*model.Classifier](o.Device, o.Config, o.Folder.Weights)
		if err != nil {
			return nil, err
		}
		f.runner = &toyRunner{o.Device, m, o.Folder.Tokenizer, 16, autograd.NewInference(o.Device)}
		return m.Params, nil
	})
	return f, err
}

type toyExample struct {
	text string
	yes  int
	line int
}

func readToy(path string) (list []toyExample, err error) {
	raw, err := os.ReadFile(path)
	for i, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
		text, answer, _ := strings.Cut(line, "\t")
		x := toyExample{text: text, line: i + 1}
		if answer == "yes" {
			x.yes = 1
		}
		list = append(list, x)
	}
	return list, err
}

type toyJob struct {
	task       *run.Task
	settings   *toySettings
	env        *run.Env
	train, dev []toyExample
}

func (j *toyJob) Files(data, dev string) ([]run.File, error) { return j.task.FindFiles(data, dev) }

func (j *toyJob) Read(files []run.File) (err error) {
	if j.train, err = readToy(files[0].Path); err == nil {
		j.dev, err = readToy(files[1].Path)
	}
	return err
}

func (j *toyJob) Texts() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, x := range j.train {
			if !yield(x.text) {
				return
			}
		}
	}
}

func (j *toyJob) Head(cfg model.Config) (model.Config, error) {
	cfg.NumLabels, cfg.ID2Label = 2, map[string]string{"0": "no", "1": "yes"}
	return cfg, nil
}

func (j *toyJob) Specs(cfg model.Config) []model.Spec { return model.Specs(cfg) }
func (j *toyJob) Digests() (map[string]string, error) { return nil, nil }

func (j *toyJob) Learner(_ context.Context, cfg model.Config, tok *tokenizer.Tokenizer) (run.Learner, error) {
	m, err := run.NewModel[*model.Classifier](j.env, cfg, j.settings.Seed)
	if err != nil {
		return nil, err
	}
	lengths := make([]int, len(j.train))
	for i, x := range j.train {
		lengths[i] = len(x.text)
	}
	epochs := run.NewEpochs(j.settings.Common(), lengths, j.settings.BatchSize, func(i int) int { return j.train[i].line })
	return &toyLearner{epochs, j, &toyRunner{j.env.Device, m, tok, j.settings.Longest, autograd.NewInference(j.env.Device)}}, nil
}

// toyRunner runs the model over examples.
type toyRunner struct {
	device  engine.Device
	model   *model.Classifier
	tok     *tokenizer.Tokenizer
	longest int
	tape    *autograd.Tape
}

func (r *toyRunner) logits(tape *autograd.Tape, list []toyExample) (*autograd.Var, []int32) {
	var in model.Input
	var classes []int32
	for _, x := range list {
		ids := r.tok.Encode([]int32{r.tok.CLS()}, x.text)
		in.Text.Append(append(ids[:min(len(ids), r.longest-1)], r.tok.SEP()))
		classes = append(classes, int32(x.yes))
	}
	return r.model.Logits(tape, in), classes
}

// score answers all examples at once.
func (r *toyRunner) score(f run.File, list []toyExample, upper bool, tick run.Tick) run.Result {
	logits, classes := r.logits(r.tape, list)
	values := engine.Values(r.device, logits.Value)
	d := &toyDetail{list: list, upper: upper}
	hits := 0
	for i, class := range classes {
		yes := values[2*i+1] > values[2*i]
		d.answers = append(d.answers, yes)
		if yes == (class == 1) {
			hits++
		}
	}
	r.tape.Release()
	tick(len(list), len(list))
	n := train.Number(len(list))
	return run.Result{Split: f.Split, File: f.Path, Metrics: train.Numbers{"hits": train.Number(hits) / n, "examples": n}, Detail: d}
}

type toyLearner struct {
	run.Epochs
	job    *toyJob
	runner *toyRunner
}

func (l *toyLearner) Model() run.Model { return run.Model{Params: l.runner.model.Params} }
func (l *toyLearner) About() run.About {
	return run.About{Lines: []string{"toys"}, Examples: len(l.job.train)}
}
func (l *toyLearner) Close() error { return nil }

func (l *toyLearner) Parts(epoch, batch int) ([]train.Part, error) {
	return []train.Part{{Weight: 1, Count: len(l.Plan.At(epoch, batch))}}, nil
}

func (l *toyLearner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	var list []toyExample
	for _, i := range l.Plan.At(epoch, batch) {
		list = append(list, l.job.train[i])
	}
	logits, classes := l.runner.logits(tape, list)
	return []*autograd.Var{l.runner.model.Loss(tape, logits, model.Targets{Classes: classes})}, len(list), nil
}

func (l *toyLearner) Evaluate(_ context.Context, _ int, tick run.Tick) (train.Evaluation, error) {
	m := l.runner.score(run.File{}, l.job.dev, false, tick).Metrics
	return train.Evaluation{Metric: l.job.task.Metric, Score: m[l.job.task.Metric], Metrics: m}, nil
}

func (l *toyLearner) Score(_ context.Context, f run.File, tick run.Tick) (run.Result, error) {
	return l.runner.score(f, l.job.dev, false, tick), nil
}

func (l *toyLearner) Submit(_ context.Context, f run.File, dir string, tick run.Tick) error {
	list, err := readToy(f.Path)
	if err != nil {
		return &run.UnusableError{Err: err}
	}
	return l.runner.score(f, list, false, tick).Detail.WritePredictions(dir, f.Split)
}

type toyFinished struct {
	*run.Opened
	runner *toyRunner
}

func (f *toyFinished) Evaluate(_ context.Context, _ *run.Task, file run.File, s run.Flags, tick run.Tick) (run.Result, error) {
	list, err := readToy(file.Path)
	if err != nil {
		return run.Result{}, err
	}
	return f.runner.score(file, list, s.(*toyFlags).Upper, tick), nil
}

type toyDetail struct {
	list    []toyExample
	answers []bool
	upper   bool
}

func (d *toyDetail) Answers() (list []run.Answer) {
	for i, x := range d.list {
		list = append(list, run.Answer{Text: x.text, Gold: fmt.Sprint(x.yes == 1), Predicted: fmt.Sprint(d.answers[i]), Value: run.Right(d.answers[i] == (x.yes == 1))})
	}
	return list
}

func (d *toyDetail) WritePredictions(dir, split string) error {
	return run.WriteLines(dir, split+".toy", len(d.answers), func(i int) any {
		if answer := fmt.Sprint(d.answers[i]); d.upper {
			return strings.ToUpper(answer)
		}
		return d.answers[i]
	})
}

func (d *toyDetail) Section(page *report.Run) {
	page.Tables = append(page.Tables, report.Table{Title: "Toys of the test", Header: []string{"text"}, Rows: [][]string{{d.list[0].text}}})
}

func (d *toyDetail) Comment(metric, on string) string   { return on + ", says the toy" }
func (d *toyDetail) Remarks() ([]string, *report.Table) { return []string{"a remark of the toy"}, nil }

// stopper cancels a run after some steps.
type stopper struct {
	run.Silent
	steps  int
	cancel func()
}

func (s *stopper) Step(train.StepEvent) {
	if s.steps--; s.steps == 0 {
		s.cancel()
	}
}

// A kind of task from elsewhere is trained, goes on, is scored, predicts and has its reports, by nothing but the
// interfaces of package run.
func TestToyKind(t *testing.T) {
	data, dir := t.TempDir(), t.TempDir()
	table := ""
	for i := range 48 {
		table += fmt.Sprintf("the %s is number %d\t%s\n", []string{"cat", "dog"}[i%2], i, []string{"yes", "no"}[i%2])
	}
	for _, name := range []string{"train.tsv", "dev.tsv", "test.tsv"} {
		if err := os.WriteFile(filepath.Join(data, name), []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	options := func(out string) run.Options {
		return run.Options{Env: run.Env{Out: filepath.Join(dir, out)}, Task: toyTask, Size: "mini", Data: data, Set: []string{
			"hidden_size=16", "num_hidden_layers=1", "num_attention_heads=2", "vocab_size=300", "batch_size=8", "epochs=12", "learning_rate=0.005", "hidden_dropout_prob=0",
		}}
	}
	whole, err := run.Finetune(t.Context(), options("whole"))
	if err != nil {
		t.Fatal(err)
	}
	if hits := whole.Metrics["hits"]; hits < 0.9 || whole.Outcome.Best.Metric != "hits" {
		t.Errorf("hits are %v, the best model %+v", hits, whole.Outcome.Best)
	}

	// Interrupted and resumed it ends in the same bits.
	ctx, cancel := context.WithCancel(t.Context())
	o := options("broken")
	o.Observer = &stopper{steps: 7, cancel: cancel}
	if _, err := run.Finetune(ctx, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	list := run.Tasks{toyTask}
	o, _, err = list.Resume(nil, o.Out)
	if err != nil {
		t.Fatal(err)
	}
	again, err := run.Finetune(t.Context(), o)
	if err != nil || !again.Resumed {
		t.Fatalf("resumed: %+v, %v", again, err)
	}
	weights := func(s *run.Summary) string { return read(t, filepath.Join(s.Dir.Best(), "model.safetensors")) }
	if weights(again) != weights(whole) {
		t.Error("the run that went on has another model")
	}

	// A finished model is scored, with the kind's own flag, and predicts.
	found, err := list.OfModel(whole.Dir.Root())
	if err != nil || found != toyTask {
		t.Fatalf("the model is for %v, %v", found, err)
	}
	evaluate := run.EvaluateOptions{Task: found, Model: whole.Dir.Root(), Data: data, Split: "test", Predictions: filepath.Join(dir, "out"), Set: []string{"upper=true"}}
	results, err := run.Evaluate(t.Context(), evaluate)
	if err != nil || results[0].Metrics["hits"] != whole.Metrics["hits"] {
		t.Fatalf("%+v, %v", results, err)
	}
	if got := read(t, filepath.Join(dir, "out", "test.toy")); !strings.Contains(got, `"TRUE"`) || strings.Count(got, "\n") != 48 {
		t.Errorf("predictions are %q", got)
	}
	evaluate.Set = []string{"beam=3"}
	if _, err := run.Evaluate(t.Context(), evaluate); err == nil || !strings.Contains(err.Error(), `unknown setting "beam"`) {
		t.Errorf("a flag of another kind: %v", err)
	}
	if got := read(t, whole.Dir.Path("predictions/test.toy")); !strings.Contains(got, "true\n") {
		t.Errorf("the run's predictions are %q", got)
	}

	// Its part of the reports, and its comparison.
	page := filepath.Join(dir, "page.html")
	if err := run.WritePage(page, toyTask, results[0], nil); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{page, whole.Dir.Report()} {
		for _, want := range []string{"Toys of the test", "says the toy"} {
			if !strings.Contains(read(t, path), want) {
				t.Errorf("%s lacks %q", path, want)
			}
		}
	}
	runs, err := list.ListRuns(t.Context(), dir)
	if err != nil || len(runs) != 2 || runs[0].Metric != "hits" || runs[0].Status != train.Done {
		t.Errorf("runs are %+v, %v", runs, err)
	}
	c, err := list.CompareRuns(t.Context(), whole.Dir.Root(), again.Dir.Root())
	if err != nil || c.Test == nil || c.Test.Name != "McNemar's exact test" || c.Test.OnlyA+c.Test.OnlyB != 0 {
		t.Errorf("compared: %+v, %v", c, err)
	}
	if _, _, err := (run.Tasks{}).Resume(nil, whole.Dir.Root()); err == nil || !strings.Contains(err.Error(), `unknown task "toy"`) {
		t.Errorf("a list without the toy: %v", err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
