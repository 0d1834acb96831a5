package run

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/model"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/metrics"
)

// Result is the score of a model on one file.
type Result struct {
	Preset *Preset // with the labels of the model
	Split  string
	File   string
	Scores
	Examples  []labelled.Example // of classification and regression
	Outputs   Outputs
	Generated []Generated // of generation
	Retrieved *Retrieved  // of retrieval
	Notes     []string    // what a reader of the score should know: texts that were cut, say
}

// Interval returns the 95 % interval of the accuracy, for people: how much
// another sample of that size might differ.
func (r Result) Interval() (lo, hi float64) {
	n := len(r.Examples)
	return metrics.WilsonInterval(int(float64(r.Metrics["accuracy"])*float64(n)+0.5), n)
}

// EvaluateOptions say how a model is scored, besides what its kind leaves no choice about.
type EvaluateOptions struct {
	Split string // "train", "dev", "test"; "" is dev
	// Predictions is a folder to write what was predicted to: a new or empty one, or one that an
	// earlier call wrote; "" for none.
	Predictions string
	Decode      func(*decode.Options) error // changes how a model that generates decodes; may be nil
	Rank        RankOptions                 // of retrieval
	Columns     labelled.Columns            // of labelled texts, where their names are not known
	Tick        func(done, total int)
	Log         *slog.Logger // is told what was left out; may be nil
}

// Evaluate scores the model in the folder dir on path, a file or a folder with
// the task's files.
func Evaluate(ctx context.Context, p *Preset, dir, path string, o EvaluateOptions) ([]Result, error) {
	m, err := openScorer(p, dir, o)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	files, err := p.splitFiles(path, o.Split)
	if err != nil {
		return nil, err
	}
	if o.Predictions != "" {
		if err := p.checkPredictions(o.Predictions, files); err != nil {
			return nil, err
		}
	}
	var results []Result
	for _, f := range files {
		r, err := m.evaluate(ctx, p, f, o.Tick)
		if err != nil {
			return nil, err
		}
		r.Notes = append(r.Notes, fewNotes(p, r.Metrics)...)
		results = append(results, r)
	}
	if o.Predictions != "" {
		return results, p.writeResults(o.Predictions, results)
	}
	return results, nil
}

// OfModel returns the preset of the task that the model in the folder dir, or the best of a run's
// folder, was fine-tuned for. Older models do not say it.
func OfModel(dir string) (*Preset, error) {
	dir = modeldir.Resolve(dir)
	cfg, err := model.ReadConfig(filepath.Join(dir, modeldir.Config))
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	if !slices.Contains(Names(), cfg.Task) {
		return nil, &SettingError{fmt.Errorf("model %s does not say which task it is for: name one of %s", dir, strings.Join(Names(), ", "))}
	}
	return Find(cfg.Task)
}

// Splits lists the splits that a model can be scored on; dev is all dev files.
func (p *Preset) Splits() []string {
	list := []string{p.Train.Name, "dev"}
	for _, s := range slices.Concat(p.Dev, p.Test) {
		if !slices.Contains(list, s.Name) {
			list = append(list, s.Name)
		}
	}
	return list
}

// splitFiles finds the files of a split at path; without a name, those of dev.
func (p *Preset) splitFiles(path, name string) ([]splitFile, error) {
	known, err := names.Find("split", cmp.Or(name, "dev"), p.Splits())
	if err != nil {
		return nil, &SettingError{fmt.Errorf("%s: %w", p.Name, err)}
	}
	if known == "dev" {
		return devFiles(p, path)
	}
	all := slices.Concat([]Split{p.Train}, p.Dev, p.Test)
	s := all[slices.IndexFunc(all, func(s Split) bool { return s.Name == known })]
	file, err := p.resolve(path, s)
	if err != nil {
		return nil, err
	}
	return []splitFile{{s.Name, file}}, nil
}

// scorer is a finished model of any kind.
type scorer interface {
	fits(p *Preset) error
	checkWeights() error
	evaluate(ctx context.Context, p *Preset, f splitFile, tick func(done, total int)) (Result, error)
	Close() error
}

func openScorer(p *Preset, dir string, o EvaluateOptions) (scorer, error) {
	var m scorer
	switch {
	case p.Generation != nil:
		g, err := OpenGenerator(dir)
		if err != nil {
			return nil, err
		}
		if o.Decode != nil {
			if err := o.Decode(&g.writer.limits.Options); err != nil {
				g.Close()
				return nil, err
			}
		}
		if err := g.writer.limits.Options.Validate(g.Config); err != nil {
			g.Close()
			return nil, &SettingError{err}
		}
		m = g
	case p.Retrieval != nil:
		r, err := OpenRetriever(dir)
		if err != nil {
			return nil, err
		}
		r.rank = o.Rank
		m = r
	default:
		predictor, err := OpenPredictor(dir)
		if err != nil {
			return nil, err
		}
		predictor.reading, predictor.log = labelled.ReadOptions{Columns: o.Columns}, o.Log
		m = predictor
	}
	err := m.fits(p)
	if err == nil {
		err = m.checkWeights()
	}
	if err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

func (p *Predictor) evaluate(ctx context.Context, preset *Preset, f splitFile, tick func(done, total int)) (Result, error) {
	return evaluateFile(ctx, preset.of(p.Config), &p.run, &p.encoder, f, p.reading, predictBatch, tick, p.log)
}

func (g *Generator) evaluate(ctx context.Context, p *Preset, f splitFile, tick func(done, total int)) (Result, error) {
	return g.writer.evaluateFile(ctx, p, f, predictBatch, tick)
}

// fits returns an error if the model was made for another kind of task.
func (p *Predictor) fits(preset *Preset) error {
	if preset.Schema.Open && p.Config.ProblemType == preset.Problem() {
		return nil // the labels are the model's
	}
	if p.Config.ProblemType != preset.Problem() || p.Config.NumLabels != preset.Outputs() {
		return fmt.Errorf("model %s is for %s with %d outputs, but %s needs %s with %d: give a model fine-tuned for it",
			p.Dir, p.Config.ProblemType, p.Config.NumLabels, preset.Name, preset.Problem(), preset.Outputs())
	}
	if p.Config.ProblemType == model.Classification {
		for i, label := range preset.Schema.Labels {
			if got := p.Config.Label(i); got != label && got != fmt.Sprint(i) {
				return fmt.Errorf("model %s calls class %d %q, but %s calls it %q: give a model fine-tuned for it", p.Dir, i, got, preset.Name, label)
			}
		}
	}
	return nil
}

// splitFile is a file that holds a split.
type splitFile struct{ Split, Path string }

// devFiles finds the dev files at path. All splits but the first may be absent.
func devFiles(p *Preset, path string) ([]splitFile, error) {
	var files []splitFile
	for i, split := range p.Dev {
		file, err := p.resolve(path, split)
		if err != nil {
			if i == 0 {
				return nil, err
			}
			continue
		}
		if i > 0 && file == files[0].Path { // path is one file
			break
		}
		files = append(files, splitFile{split.Name, file})
	}
	return files, nil
}

func evaluateFile(ctx context.Context, p *Preset, run *Classifier, enc *labelled.Encoder, f splitFile, opt labelled.ReadOptions, batch int, tick func(done, total int), log *slog.Logger) (Result, error) {
	examples, err := readLabelled(f.Path, p.Schema, opt, log)
	if err != nil {
		return Result{}, err
	}
	records, cut := enc.EncodeAll(examples)
	out, err := run.Run(ctx, records, batch, tick)
	if err != nil {
		return Result{}, err
	}
	return Result{Notes: cutNotes(cut, len(records), "texts", enc.MaxLen), Preset: p, Split: f.Split, File: f.Path, Examples: examples, Outputs: out, Scores: score(p, run.model.Config, records, out)}, nil
}

// cutNotes says how many texts were longer than the model reads.
func cutNotes(cut, n int, what string, limit int) []string {
	if cut == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%d of %d %s are longer than the %d tokens that are read and were cut", cut, n, what, limit)}
}

// Notes returns the notes of all results, each with its split.
func Notes(results []Result) []string {
	var all []string
	for _, r := range results {
		for _, note := range r.Notes {
			all = append(all, r.Split+": "+note)
		}
	}
	return all
}

// Metrics returns the metrics of all results by the names of --json: those of the
// first split as they are, the others with the split's name behind.
func Metrics(results []Result) train.Numbers {
	all := train.Numbers{}
	for i, r := range results {
		for key, value := range r.Metrics {
			if i > 0 {
				key += "_" + r.Split
			}
			all[key] = value
		}
	}
	return all
}
