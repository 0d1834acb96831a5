package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/report"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/tokenizer"
)

// Task is one name of the command line: a kind with its particulars. "sst-2" is classification
// with the labels negative and positive.
type Task struct {
	Name    string
	Title   string // for people
	Metric  string // chooses the best model
	Lower   bool   // less of the metric is better, as of a loss
	Command string // that trains it: "finetune"; "" for a task that no command names
	On      string // what the best model is chosen on, in a sentence; "" is "dev"
	Kind    Kind
	Splits
	Data string   // name of its data for "unimo data prepare", where several tasks share them
	Grid []string // that the reference's scripts run; nil is one run with the recipe
}

// Splits are the sets of examples that a task's data have.
type Splits struct {
	Train Split
	Dev   []Split // the first chooses the best model; all but the first may be absent
	Test  []Split // without labels; predicted if there
}

// Split is a set of examples and the names that its file may have in a data folder, without ending.
type Split struct {
	Name  string // "dev", "dev_m", ...
	Files []string
}

// UsualSplits are train, dev and test under the usual names and those of the task.
func UsualSplits(train, dev, test []string) Splits {
	return Splits{
		Train: Split{"train", append([]string{"train"}, train...)},
		Dev:   []Split{{"dev", append([]string{"dev", "validation", "valid", "val"}, dev...)}},
		Test:  []Split{{"test", append([]string{"test"}, test...)}},
	}
}

// Names lists the splits that a model can be scored on; dev is all dev files.
func (s Splits) Names() []string {
	list := []string{s.Train.Name, "dev"}
	for _, split := range slices.Concat(s.Dev, s.Test) {
		if !slices.Contains(list, split.Name) {
			list = append(list, split.Name)
		}
	}
	return list
}

// File is a file that holds a split. A task whose settings name its data has no path.
type File struct{ Split, Path string }

// ChosenOn is what the best model is chosen on, in a sentence.
func (t *Task) ChosenOn() string { return cmp.Or(t.On, "dev") }

// ReferenceGrid is the grid that the reference's scripts run for the task.
func (t *Task) ReferenceGrid() []string {
	if t.Grid == nil {
		return []string{"seed=1"}
	}
	return t.Grid
}

// Tasks is a list of tasks. Whoever looks for a task is given one: there is no list of all.
type Tasks []*Task

// Of returns the tasks that a command trains.
func (ts Tasks) Of(command string) Tasks {
	return slices.DeleteFunc(slices.Clone(ts), func(t *Task) bool { return t.Command != command })
}

// Named returns the tasks that some command trains.
func (ts Tasks) Named() Tasks {
	return slices.DeleteFunc(slices.Clone(ts), func(t *Task) bool { return t.Command == "" })
}

// Names lists the tasks' names.
func (ts Tasks) Names() []string {
	list := make([]string, len(ts))
	for i, t := range ts {
		list[i] = t.Name
	}
	return list
}

// Find returns the task that name means (see [names.Find]).
func (ts Tasks) Find(name string) (*Task, error) {
	known, err := names.Find("task", name, ts.Names())
	if err != nil {
		return nil, err
	}
	return ts[slices.Index(ts.Names(), known)], nil
}

// Kind is what the tasks of one sort share. A package of internal/tasks implements it once, with
// the particulars of a task as its fields. What else it can do, it says by the interfaces below.
type Kind interface {
	// Problem is the problem_type of its models' config.json.
	Problem() string
	// Settings lays the task's recipe for a size of model over the settings that all tasks have.
	Settings(t *Task, size string, common CommonSettings) Settings
	// Job returns the work of a run. The settings are such as Settings returned, with values laid over.
	Job(t *Task, s Settings, env *Env) Job
	// DataFiles says what a folder of the task's data holds, for help.
	DataFiles(t *Task) []string
	// Use says how a model in the folder dir is tried: commands, one a line.
	Use(dir string) string
}

// Evaluator is a kind whose finished models are scored by "unimo evaluate TASK".
type Evaluator interface {
	Kind
	// EvalSettings returns what can be set about scoring.
	EvalSettings() Flags
	// Open opens the model in the folder dir, or the best model of a run's folder.
	Open(dir string, env *Env) (Finished, error)
	// PredictionFiles are the files that hold what was predicted for a split.
	PredictionFiles(split string) []string
}

// Checker is a kind that knows what is wrong with the files of a task: "unimo data validate TASK".
type Checker interface {
	CheckSettings() Flags
	// Check looks through a file, or a folder with the task's files.
	Check(ctx context.Context, t *Task, path string, s Flags, env *Env) (Checked, error)
}

// Checked is what was found. With --json it is printed as its JSON, else by Print, which tells log what is odd.
type Checked interface {
	NumProblems() int
	Print(w io.Writer, log *slog.Logger)
}

// ShownProblems is how many problems of files are listed.
const ShownProblems = 100

// Preparer is a kind that makes a task's data folder out of other files: "unimo data prepare TASK".
type Preparer interface {
	PrepareSettings() Flags
	// Prepare writes the new folder dst.
	Prepare(ctx context.Context, t *Task, src, dst string, s Flags, env *Env) (Prepared, error)
}

// Prepared is what was written. With --json it is printed as its JSON, else by Print, which tells log what is odd.
type Prepared interface {
	Print(w io.Writer, log *slog.Logger)
}

// Resolver is a kind that finds the file of a split in its own way, not by the split's names.
type Resolver interface {
	Resolve(path string, s Split) (string, error)
}

// Sizer is a kind that changes a size of model before any settings.
type Sizer interface {
	Size(cfg model.Config) model.Config
}

// Helper is a kind with words of its own in the help of a command that has the task's name behind it,
// such as "unimo finetune TASK": text that goes behind the usual one, and examples in place of the usual.
type Helper interface {
	Help(t *Task, command string) (long, example string)
}

// Describer is a kind with metrics that are shown in their own way.
type Describer interface {
	Describe(metric string) Metric
}

// Doubter is a kind that knows better than [FewExamples] when metrics say nothing.
type Doubter interface {
	// Doubts are notes on metrics over too few examples.
	Doubts(m train.Numbers) []string
	// Hides says whether people are not shown a metric; Doubts has why.
	Hides(m train.Numbers, metric string) bool
}

// Measurer is a kind with metrics that are no means over the examples.
type Measurer interface {
	// Measure computes a metric over as many answers as there are in list, each of which is looked
	// up by of. It is nil for a metric that is the mean of the answers' values.
	Measure(metric string) func(list []Answer, of func(i int) Answer) float64
}

// Settings are all that can be set about a run: a pointer to a struct with json and help tags
// that embeds [CommonSettings]. Package settings fills and lists it. A field with the tag
// run:"path" is a path, or with run:"named path" NAME=PATH: its content is compared when a run goes on, not its name. One
// with run:"free" does not change what is computed.
type Settings interface {
	Common() *CommonSettings
	// Validate returns an error that names the first impossible value, or one that goes with no other. given says whether a
	// key was set for this run, not by a recipe, a model that is started from, or a run that is gone on with.
	Validate(given func(key string) bool) error
	// Adopt takes over the limits of an existing model.
	Adopt(cfg model.Config)
}

// Starter are settings that go by what else the folder of a model has that a run starts from.
type Starter interface {
	Settings
	// Start takes over what fits, before any values are laid over. The model has the configuration cfg.
	Start(dir string, cfg model.Config) error
}

// Attacker are settings that may have batches attacked: see package adversarial.
type Attacker interface {
	Settings
	// Attacked says whether some are.
	Attacked() bool
}

// Joiner are settings whose recipe is another one where the task is trained with others as one model.
type Joiner interface {
	Settings
	// Join changes the recipe, before any values are laid over.
	Join()
}

// Flags are what can be set about a command: a pointer to a struct with json and help tags. The command
// has a flag for each field.
type Flags interface {
	// Validate returns an error about an impossible value, or one that goes with no other. given
	// says whether a key was set.
	Validate(given func(key string) bool) error
}

// Tick is told how far work has come. The total is -1 where it is not known.
type Tick = func(done, total int)

// Job is a run before its model exists. Its methods are called in this order; Head also before
// Read, when nothing is known of the data.
type Job interface {
	// Files finds the files of train and dev: the first is trained on, the second chooses the best
	// model. dev is "" where it is to be looked for in data.
	Files(data, dev string) ([]File, error)
	// Read reads what the run trains on.
	Read(files []File) error
	// Texts yields the training texts, for a vocabulary.
	Texts() iter.Seq[string]
	// Head gives an encoder's configuration what the task makes of it.
	Head(cfg model.Config) (model.Config, error)
	// Specs lists the parameters of the model.
	Specs(cfg model.Config) []model.Spec
	// Digests says of what else than its files, by name, the run depends.
	Digests() (map[string]string, error)
	// Learner makes the model and what trains it. It logs what had to be cut.
	Learner(ctx context.Context, cfg model.Config, tok *tokenizer.Tokenizer) (Learner, error)
}

// Refitter is a job that takes a checkpoint of another shape: it returns the checkpoint without
// what does not fit.
type Refitter interface {
	Refit(r checkpoint.Reader, specs []model.Spec) checkpoint.Reader
}

// Learner is trained, and scored at the end. Its methods are those of [train.Task] but for those
// that are the same for all: the model's parameters and its folder.
type Learner interface {
	Batches(epoch int) int
	Total(epochs int) int
	Parts(epoch, batch int) ([]train.Part, error)
	Loss(tape *autograd.Tape, epoch, batch int) (parts []*autograd.Var, tokens int, err error)
	Describe(epoch, batch int) string
	Evaluate(ctx context.Context, epoch int, tick Tick) (train.Evaluation, error)

	// Model is what is trained.
	Model() Model
	// About describes the data.
	About() About
	// Score scores the model as it is on a file of dev.
	Score(ctx context.Context, f File, tick Tick) (Result, error)
	// Close ends what goes on beside training.
	Close() error
}

// Model is what a learner trains.
type Model struct {
	Params model.Parameters
	Fixed  []string          // names of parameters that are not trained
	Files  map[string][]byte // further files of the model's folder
	Copies map[string]string // the same, by where they are: large ones
	Beside Beside            // nil: nothing is trained with it
}

// Beside is a network that is trained with a model and kept in files of the model's folder.
type Beside interface {
	// Name says what it is, for people.
	Name() string
	Params() model.Parameters
	// File is the name of the file that holds its parameters.
	File() string
	// Files returns the other files that it has in the folder, as its parameters are now, and the metadata of File.
	Files() (files map[string][]byte, metadata map[string]string, err error)
}

// About describes the data of a run.
type About struct {
	Lines    []string // for people
	Examples int      // to train on; 0: a stream
	Tokens   int64    // that all steps read; 0: not known before
	Passes   float64  // through the model, forwards and backwards, of a batch; 0: one
}

// Streamer is a learner whose batches come from a stream: see [train.Streamer].
type Streamer interface {
	StreamState() ([]byte, error)
	RestoreStream(state []byte) error
	Skip(epoch, batch int) error
	Note(epoch, batch int) ([]byte, error)
	Heed(notes [][]byte) error
}

// Passer is a learner whose batches go through the model several times: see [train.Passer].
type Passer = train.Passer

// Surveyor is a learner with a loss over all batches of a step: see [train.Surveyor].
type Surveyor = train.Surveyor

// Submitter is a learner that writes predictions for a test file into the folder dir. An error of
// the file itself is an [UnusableError]: the run goes on without.
type Submitter interface {
	Submit(ctx context.Context, f File, dir string, tick Tick) error
}

// Reporter is a learner with curves of its own in the report, in place of those of loss and metric,
// and facts.
type Reporter interface {
	Report(h train.History, newest train.Numbers) ([]report.Curve, []report.Item)
}

// UnusableError is an error of a test set, which a run can do without.
type UnusableError struct{ Err error }

func (e *UnusableError) Error() string { return e.Err.Error() }
func (e *UnusableError) Unwrap() error { return e.Err }

// Finished is an opened model as evaluation sees it. What else it can do belongs to its own type.
type Finished interface {
	// Fits returns an error if the model was made for another task.
	Fits(t *Task) error
	// CheckWeights looks at all weights.
	CheckWeights() error
	Evaluate(ctx context.Context, t *Task, f File, s Flags, tick Tick) (Result, error)
	Close() error
}

// Tuned is a finished model with values of its own for the settings of evaluation.
type Tuned interface {
	EvalSettings() Flags
}

// Result is the score of a model on one file.
type Result struct {
	Split   string
	File    string
	Metrics train.Numbers
	Notes   []string // what a reader of the score should know: texts that were cut, say
	Detail  Detail   // what the kind knows besides; nil if that is nothing

	Calibrated string              // file of the probabilities that were fitted; "" if none were
	Errors     []calibration.Error // of probabilities, where they are calibrated
}

// Detail is what a kind knows of a result besides its metrics.
type Detail interface {
	// Answers are what the model said of each example.
	Answers() []Answer
	// WritePredictions writes the files of [Evaluator.PredictionFiles] into the folder dir.
	WritePredictions(dir, split string) error
	// Section adds to a page what people look at.
	Section(page *report.Run)
}

// Commenter is a detail that says what metrics are to be compared with.
type Commenter interface {
	// Comment is the note at a metric; on says on what it was measured ("on dev").
	Comment(metric, on string) string
	// Remarks are lines below all metrics, and a table if there is one.
	Remarks() ([]string, *report.Table)
}

// NoDevError says that there is no dev set, and what gives one.
type NoDevError struct {
	File   string // the one file that there is; "" where Err says what there is
	Things string // of which a share can be drawn; "" if none can
	Task   string // of a run of several tasks, which takes settings in place of flags; else ""
	Err    error
}

func (e *NoDevError) Error() string {
	remedy, share := "name the dev file with --dev, or give --data the folder that holds both", "--dev-share 0.1"
	if e.Task != "" {
		remedy, share = "name the folder that holds both train and dev", "--set "+e.Task+".dev_share=0.1"
	}
	what := e.File + " is one file; " + remedy
	if e.Err != nil {
		what = e.Err.Error()
	}
	if e.Things == "" {
		return what
	}
	return fmt.Sprintf("%s; or have a tenth of the training %s drawn for it, with %s", what, e.Things, share)
}

func (e *NoDevError) Unwrap() error { return e.Err }

// FindFiles finds the files of train and dev, for a task that has no other way: see [Job].
func (t *Task) FindFiles(data, dev string) ([]File, error) {
	trainFile, err := t.resolve(data, t.Train)
	if err != nil {
		return nil, err
	}
	devs, err := t.DevFiles(cmp.Or(dev, data))
	if err != nil {
		return nil, err
	}
	if devs[0].Path == trainFile {
		return nil, &NoDevError{File: trainFile}
	}
	return append([]File{{t.Train.Name, trainFile}}, devs...), nil
}

// FindOrDraw is FindFiles for a task that may draw its dev set: with a share, of things, from the training file. Both are
// that file then.
func (t *Task) FindOrDraw(data, dev string, share float64, things string) ([]File, error) {
	train, err := t.resolve(data, t.Train)
	if err != nil {
		return nil, err
	}
	files := []File{{t.Train.Name, train}}
	if share == 0 {
		devs, err := t.DevFiles(cmp.Or(dev, data))
		if errors.Is(err, fs.ErrNotExist) && dev == "" {
			return nil, &NoDevError{Things: things, Err: err}
		}
		if err == nil && devs[0].Path == train {
			return nil, &NoDevError{File: train, Things: things}
		}
		return append(files, devs...), err
	}
	if dev != "" {
		return nil, &SettingError{errors.New("--dev names a dev file and --dev-share draws one; leave one of them out")}
	}
	if info, err := os.Stat(data); err == nil && info.IsDir() {
		if devs, err := t.DevFiles(data); err == nil {
			return nil, &SettingError{fmt.Errorf("--dev-share draws a dev set from %s, though %s is there; leave the flag out, or name the training file with --data", train, devs[0].Path)}
		}
	}
	return append(files, File{t.Dev[0].Name, train}), nil
}

// DevFiles finds the dev files at path.
func (t *Task) DevFiles(path string) ([]File, error) {
	var files []File
	for i, split := range t.Dev {
		file, err := t.resolve(path, split)
		if err != nil {
			if i == 0 {
				return nil, err
			}
			continue
		}
		if i > 0 && file == files[0].Path { // path is one file
			break
		}
		files = append(files, File{split.Name, file})
	}
	return files, nil
}

// resolve finds the file of a split at path, a file or a folder.
func (t *Task) resolve(path string, s Split) (string, error) {
	if r, ok := t.Kind.(Resolver); ok {
		return r.Resolve(path, s)
	}
	return textfile.Resolve(path, s.Name, s.Files)
}
