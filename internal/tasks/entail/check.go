package entail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/entailment"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
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
	Problems []string       `json:"problems,omitempty"`
	more     int            // problems that are not listed
	notes    []string
	pictures pairs.Images
}

// checked is what "unimo data validate --json" prints.
type checked struct {
	Task         string        `json:"task"`
	Files        []checkedFile `json:"files"`
	Shared       []shared      `json:"shared,omitempty"`
	ProblemCount int           `json:"problem_count"`
}

// shared counts the images of a split that are in the training file too.
type shared struct {
	Split  string `json:"split"`
	Images int    `json:"images"`
}

// NumProblems implements [run.Checked].
func (c *checked) NumProblems() int { return c.ProblemCount }

// Check implements [run.Checker]: the first error of each file, the labels, and every picture.
func (k Kind) Check(ctx context.Context, t *run.Task, path string, settings run.Flags, env *run.Env) (run.Checked, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
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
			c.Shared = append(c.Shared, shared{split.Name, n})
		}
	}
	return c, nil
}

func (c *checked) add(f checkedFile) {
	c.Files = append(c.Files, f)
	c.ProblemCount += len(f.Problems) + f.more
}

// check reads a file and its pictures.
func (s *EvalSettings) check(ctx context.Context, f run.File, policy labelled.LabelPolicy, env *run.Env) (checkedFile, error) {
	c := checkedFile{Split: f.Split, File: f.Path}
	o := s.reading(entailment.Labels)
	o.Policy = policy
	set, err := entailment.Read(f.Path, o)
	if err != nil {
		c.Problems = append(c.Problems, err.Error())
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
	list := pairs.List(c.pictures)
	c.Images = len(list.Names)
	source := regions.Source(set.Images)
	switch {
	case set.Images != nil:
	case s.Features != "":
		if source, _, err = regions.Open(s.Features, regions.Options{Order: s.Order, MaxRegions: s.MaxRegions}); err != nil {
			return c, err
		}
		defer source.Close()
	default:
		x, err := regions.NewExtractor(images.Default.Spec())
		if err != nil {
			return c, err
		}
		source = regions.NewPictures(list.Dir, list.Names, x, picture.DefaultLimits, 0)
	}
	i := 0
	for _, err := range regions.Read(source, list.Names) {
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
		if i++; err == nil {
			env.Observer.Tick(i, len(list.Names))
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("there is no picture %s in %s; put it there, or leave such images out with --skip-bad", textfile.Quote(list.Names[i-1]), list.Dir)
		}
		if len(c.Problems) == run.ShownProblems {
			c.more++
			continue
		}
		c.Problems = append(c.Problems, fmt.Sprintf("%s:%d: %v", f.Path, list.Line(i-1), err))
	}
	return c, nil
}

// Print implements [run.Checked].
func (c *checked) Print(w io.Writer, log *slog.Logger) {
	for _, f := range c.Files {
		run.PrintProblems(w, f.Problems, len(f.Problems)+f.more)
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
		log.Warn(fmt.Sprintf("%d images of %s are in the training file too: a score on them says less about new ones", s.Images, s.Split))
	}
}
