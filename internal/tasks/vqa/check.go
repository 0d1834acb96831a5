package vqa

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
	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
)

// CheckSettings implements [run.Checker].
func (Kind) CheckSettings() run.Flags { return new(EvalSettings) }

// checkedFile is what a file is like.
type checkedFile struct {
	Split     string `json:"split"`
	File      string `json:"file"`
	Form      string `json:"form,omitempty"`
	Questions int    `json:"questions"` // that are of use
	Images    int    `json:"images"`
	Answers   int    `json:"answers"` // different ones
	pairs.Problems
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

// Check implements [run.Checker]: every question, and every picture. A test set needs no answers.
func (k Kind) Check(ctx context.Context, t *run.Task, path string, settings run.Flags, env *run.Env) (run.Checked, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, infile.Explain(path, err)
	}
	s, c := settings.(*EvalSettings), &checked{Task: t.Name}
	if !info.IsDir() {
		return c, c.add(ctx, run.File{Split: "file", Path: path}, s, false, env)
	}
	for i, split := range append([]run.Split{t.Train, t.Dev[0]}, t.Test...) {
		file, err := k.Resolve(path, split)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			continue // dev may be drawn
		}
		if err == nil {
			err = c.add(ctx, run.File{Split: split.Name, Path: file}, s, i > 1, env)
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// add checks a file.
func (c *checked) add(ctx context.Context, f run.File, s *EvalSettings, unanswered bool, env *run.Env) error {
	x := checkedFile{Split: f.Split, File: f.Path}
	r := reading{options: s.Options(env.Log, env.Device.Limit()), folder: s.ImagesDir, unanswered: unanswered, problem: x.Add}
	r.options.SkipBad = true
	set, err := r.questions(f.Path, env.Log)
	if told := new(vqa.AllBadError); err != nil && !errors.As(err, &told) {
		x.Add(err)
	}
	if err == nil {
		x.Form, x.Questions, x.Answers = set.Form, len(set.Examples), frequent(set.Examples, len(set.Examples), 1).all
		x.pictures = listed([]string{f.Split}, []*vqa.Set{set})[0]
		if x.Images, err = x.Check(ctx, x.pictures, s.EvalSettings, nil, env); err != nil {
			return err
		}
		if n := shared(c.Files, x); n > 0 {
			c.Shared = append(c.Shared, pairs.InTraining{Split: f.Split, Images: n})
		}
	}
	c.Files, c.ProblemCount = append(c.Files, x), c.ProblemCount+x.Count()
	return nil
}

// shared counts the images of a file that the first of others has, too.
func shared(files []checkedFile, x checkedFile) int {
	if len(files) == 0 || files[0].Questions == 0 {
		return 0
	}
	n, _ := pairs.Shared(files[0].pictures, x.pictures)
	return n
}

// Print implements [run.Checked].
func (c *checked) Print(w io.Writer, log *slog.Logger) {
	for _, f := range c.Files {
		run.PrintProblems(w, f.Problems.Problems, f.Count())
		if f.Questions > 0 {
			printable.Fprintf(w, "%s: %s (%s): %s about %s, %s\n", f.Split, f.File, f.Form,
				run.Count(f.Questions, "question"), run.Count(f.Images, "picture"), run.Count(f.Answers, "different answer"))
		}
	}
	for _, s := range c.Shared {
		log.Warn(fmt.Sprint(s))
	}
}
