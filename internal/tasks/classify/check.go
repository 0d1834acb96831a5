package classify

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/run"
)

// CheckSettings implements [run.Checker].
func (k *Kind) CheckSettings() run.Flags { return new(EvalSettings) }

// checkedFile is what a file of a classification task is like.
type checkedFile struct {
	Split    string         `json:"split"`
	File     string         `json:"file"`
	Examples int            `json:"examples"`
	Labels   map[string]int `json:"labels,omitempty"` // of a classification
	LeftOut  int            `json:"left_out"`         // examples without label
	Problem  string         `json:"problem,omitempty"`

	shares   string
	notes    []string
	examples []labelled.Example
}

// checked is what "unimo data validate --json" prints of a classification task.
type checked struct {
	Task         string           `json:"task"`
	Files        []checkedFile    `json:"files"`
	Shared       []sharedExamples `json:"shared,omitempty"`
	ProblemCount int              `json:"problem_count"`
}

// sharedExamples counts the examples of a split whose texts are in the training file too.
type sharedExamples struct {
	Split    string `json:"split"`
	Examples int    `json:"examples"`
}

// NumProblems implements [run.Checked].
func (c *checked) NumProblems() int { return c.ProblemCount }

// Check implements [run.Checker]: the first error of each file, and the labels.
func (k *Kind) Check(_ context.Context, t *run.Task, path string, settings run.Flags, _ *run.Env) (run.Checked, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	c, schema := &checked{Task: t.Name}, k.Schema
	opt := labelled.ReadOptions{Columns: settings.(*EvalSettings).columns()}
	if !info.IsDir() {
		f, _ := checkFile(schema, "file", path, opt)
		c.Files = append(c.Files, f)
	} else {
		train := append([]run.Split{t.Train}, t.Dev...)
		for i, split := range append(train, t.Test...) {
			file, err := textfile.Resolve(path, split.Name, split.Files)
			if i >= len(train) {
				opt.Labels = labelled.LabelsIgnored
			}
			if err == nil {
				var f checkedFile
				f, schema = checkFile(schema, split.Name, file, opt)
				c.Files = append(c.Files, f)
			} else if i == 0 || i == 1 && !k.Schema.Open {
				return nil, err // training needs both
			}
		}
	}
	for i, f := range c.Files {
		if f.Problem != "" {
			c.ProblemCount++
		}
		if n := labelled.Shared(c.Files[0].examples, f.examples); i > 0 && n > 0 {
			c.Shared = append(c.Shared, sharedExamples{f.Split, n})
		}
	}
	return c, nil
}

// checkFile reads a file. It returns the schema with the labels of the training file, where these
// are the data's own: the files after it must have no others.
func checkFile(s labelled.Schema, split, file string, opt labelled.ReadOptions) (checkedFile, labelled.Schema) {
	f := checkedFile{Split: split, File: file}
	examples, report, err := labelled.Read(file, s, opt)
	resolved := s
	if unresolved := s.Labels == nil && s.MinScore == s.MaxScore; err == nil && unresolved && opt.Labels == labelled.LabelsRequired {
		resolved, _, err = withLabels(s, examples)
	}
	if err != nil {
		f.Problem = err.Error()
		return f, s
	}
	f.examples, f.Examples, f.LeftOut = examples, len(examples), report.Unlabelled
	f.notes = append(report.Notes(file), report.PassedOver(file))
	if opt.Labels == labelled.LabelsIgnored {
		return f, resolved
	}
	f.shares = shares(resolved, examples)
	if s.Regression {
		return f, resolved
	}
	f.Labels = map[string]int{}
	for _, x := range examples {
		f.Labels[x.Label]++
	}
	return f, resolved
}

// Print implements [run.Checked].
func (c *checked) Print(w io.Writer, log *slog.Logger) {
	for _, f := range c.Files {
		if f.Problem != "" {
			printable.Fprintf(w, "%s\n", f.Problem)
			continue
		}
		printable.Fprintf(w, "%s: %s: %d examples", f.Split, f.File, f.Examples)
		if f.shares != "" {
			printable.Fprintf(w, ": %s", f.shares)
		}
		fmt.Fprintln(w)
		for _, note := range f.notes {
			if note != "" {
				printable.Fprintf(w, "  %s\n", note)
			}
		}
		if len(f.Labels) == 1 && f.Split == c.Files[0].Split {
			log.Warn(fmt.Sprintf("%s: all examples have the same label: a model learns nothing from them but that", f.File))
		}
	}
	for _, s := range c.Shared {
		log.Warn(fmt.Sprintf("%d examples of %s are in the training file too: a score on them says less about new ones", s.Examples, s.Split))
	}
}
