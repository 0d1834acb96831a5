package entail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/unimo-go/unimo/internal/base/infile"
	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/entailment"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
)

// CheckSettings implements [run.Checker].
func (Kind) CheckSettings() run.Flags { return new(EvalSettings) }

// checkedFile is what a file is like.
type checkedFile struct {
	Split    string         `json:"split"`
	File     string         `json:"file"`
	Examples int            `json:"examples"`
	Images   int            `json:"images"`
	Labels   map[string]int `json:"labels,omitempty"`
	LeftOut  int            `json:"left_out"` // examples without label
	pairs.Problems
	notes    []string
	pictures pairs.Images
}

// checked is what "unimo data validate --json" prints.
type checked struct {
	Task         string             `json:"task"`
	Files        []checkedFile      `json:"files"`
	Shared       []pairs.InTraining `json:"shared,omitempty"`
	ProblemCount int                `json:"problem_count"`
}

// NumProblems implements [run.Checked].
func (c *checked) NumProblems() int { return c.ProblemCount }

// Check implements [run.Checker]: the first error of each file, the labels, and every picture.
func (k Kind) Check(ctx context.Context, t *run.Task, path string, settings run.Flags, env *run.Env) (run.Checked, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, infile.Explain(path, err)
	}
	s, c := settings.(*EvalSettings), &checked{Task: t.Name}
	if !info.IsDir() {
		f, err := s.check(ctx, run.File{Split: "file", Path: path}, labelled.LabelsRequired, env)
		c.add(f)
		return c, err
	}
	for i, split := range append([]run.Split{t.Train, t.Dev[0]}, t.Test...) {
		policy := labelled.LabelsRequired
		file, err := k.Resolve(path, split)
		if i > 1 {
			policy = labelled.LabelsOptional
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		f, err := s.check(ctx, run.File{Split: split.Name, Path: file}, policy, env)
		if err != nil {
			return nil, err
		}
		c.add(f)
		if n, _ := pairs.Shared(c.Files[0].pictures, f.pictures); i > 0 && n > 0 {
			c.Shared = append(c.Shared, pairs.InTraining{Split: split.Name, Images: n})
		}
	}
	return c, nil
}

func (c *checked) add(f checkedFile) {
	c.Files = append(c.Files, f)
	c.ProblemCount += f.Count()
}

// check reads a file and its pictures.
func (s *EvalSettings) check(ctx context.Context, f run.File, policy labelled.LabelPolicy, env *run.Env) (checkedFile, error) {
	c := checkedFile{Split: f.Split, File: f.Path}
	o := s.reading(entailment.Labels)
	o.Policy = policy
	set, err := entailment.Read(f.Path, o)
	if err != nil {
		c.Add(err)
		return c, nil
	}
	if set.Images != nil {
		defer set.Images.Close()
	}
	c.Examples, c.LeftOut, c.notes, c.Labels = len(set.Examples), set.LeftOut, set.Notes, map[string]int{}
	for _, x := range set.Examples {
		if x.Class >= 0 {
			c.Labels[entailment.Labels[x.Class]]++
		}
	}
	c.pictures = imagesOf(f, s.Folder, set.Examples)
	var within regions.Source
	if set.Images != nil {
		within = set.Images
	}
	c.Images, err = c.Check(ctx, c.pictures, s.EvalSettings, within, env)
	return c, err
}

// Print implements [run.Checked].
func (c *checked) Print(w io.Writer, log *slog.Logger) {
	for _, f := range c.Files {
		run.PrintProblems(w, f.Problems.Problems, f.Count())
		if f.Examples == 0 {
			continue
		}
		printable.Fprintf(w, "%s: %s: %d examples of %d images", f.Split, f.File, f.Examples, f.Images)
		for i, label := range entailment.Labels {
			printable.Fprintf(w, "%s %s: %d", []string{":", ",", ","}[i], label, f.Labels[label])
		}
		fmt.Fprintln(w)
		for _, note := range f.notes {
			printable.Fprintf(w, "  %s\n", note)
		}
	}
	for _, s := range c.Shared {
		log.Warn(s.String())
	}
}
