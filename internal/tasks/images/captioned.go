package images

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/run"
)

// Captioned are data of pictures with captions, as a kind of task embeds them: it prepares and checks them.
type Captioned struct{}

// Splits are those of data of pictures with captions: lists of names.
var Splits = run.Splits{
	Train: run.Split{Name: "train", Files: []string{"train.txt"}},
	Dev:   []run.Split{{Name: "dev", Files: []string{"dev", "validation", "valid", "val", "dev.txt"}}},
	Test:  []run.Split{{Name: "test", Files: []string{"test", "test.txt"}}},
}

// About describes the data of a run, and warns of what makes its score worth little.
func About(log *slog.Logger, train, dev *captions.Set) []string {
	seen := map[string]bool{}
	for _, name := range train.Images {
		seen[name] = true
	}
	shared := 0
	for _, name := range dev.Images {
		if seen[name] {
			shared++
		}
	}
	run.WarnShared(log, shared, len(dev.Images), "images")
	of := func(s *captions.Set) string {
		return fmt.Sprintf("%s images with %s captions", run.Grouped(len(s.Images)), run.Grouped(len(s.Captions)))
	}
	first := train.Captions[0]
	excerpt := run.Excerpt(first.Text)
	if first.Text == "" {
		excerpt = fmt.Sprintf("%d tokens", len(first.Tokens))
	}
	return []string{
		fmt.Sprintf("%s to train on, %s dev", of(train), of(dev)),
		fmt.Sprintf("the first: %s of %s", excerpt, train.Images[first.Image]),
	}
}

// PrepareSettings are what can be set about preparing data.
type PrepareSettings struct {
	run.SplitSettings
	Images string `json:"images" help:"folder of the pictures for flickr; without, they are looked for in SRC"`
}

// PrepareSettings implements [run.Preparer].
func (Captioned) PrepareSettings() run.Flags {
	return &PrepareSettings{SplitSettings: run.SplitSettings{Seed: 1}}
}

// preparation is what was prepared.
type preparation struct {
	captions.Prepared
	out string
}

// Prepare implements [run.Preparer].
func (Captioned) Prepare(ctx context.Context, _ *run.Task, src, dst string, settings run.Flags, env *run.Env) (run.Prepared, error) {
	s := settings.(*PrepareSettings)
	left, stage := &run.LeftOut{Log: env.Log}, newStages(env)
	p, err := captions.Prepare(ctx, src, dst, captions.PrepareOptions{
		Fraction: s.Split, Seed: s.Seed, Images: s.Images, Problem: left.Problem, Stage: stage.begin, Tick: stage.tick,
	})
	if err != nil {
		return nil, err
	}
	left.Done("")
	return &preparation{p, dst}, nil
}

// stages tell an observer how far each stage of a known length has come.
type stages struct {
	observer run.Observer
	total    int
}

func newStages(env *run.Env) *stages { return &stages{observer: env.Observer} }

func (s *stages) begin(what string, total int) {
	s.total = total
	s.observer.Stage(what)
}

func (s *stages) tick(n int) { s.observer.Tick(n, s.total) }

// Print implements [run.Prepared].
func (p *preparation) Print(w io.Writer, log *slog.Logger) {
	printable.Fprintf(w, "read %s", p.Form)
	if len(p.Files) > 0 {
		printable.Fprintf(w, ": %s", strings.Join(p.Files, ", "))
	}
	fmt.Fprintln(w)
	for _, s := range p.Splits {
		printable.Fprintf(w, "%s: %d images, %d captions\n", filepath.Join(p.out, s.Split+".txt"), s.Images, s.Captions)
	}
	if p.Pictures > 0 {
		printable.Fprintf(w, "%s: %d pictures\n", captions.ImageDir(p.out), p.Pictures)
	} else {
		fmt.Fprintln(w, "no pictures were found; use the data with a file of region features, or name their folder with --images")
	}
	for _, out := range []struct {
		n    int
		what string
	}{{p.Bad, "bad captions or lines of lists"}, {p.Missing, "images without picture"}, {p.Unlisted, "images that are on no list"}} {
		if out.n > 0 {
			printable.Fprintf(w, "left out: %d %s\n", out.n, out.what)
		}
	}
	if p.InvalidUTF8 > 0 {
		log.Warn(fmt.Sprintf("%d captions have bytes that are not UTF-8; if that is not meant, write the file as UTF-8 and prepare it again", p.InvalidUTF8))
	}
}

// CheckSettings are what can be set about looking through files.
type CheckSettings struct {
	MaxPixels int `json:"max_pixels" help:"refuse pictures with more"`
}

// Validate implements [run.Flags].
func (s *CheckSettings) Validate(func(key string) bool) error {
	if s.MaxPixels < 1 {
		return fmt.Errorf("--max-pixels is %d, want 1 or more", s.MaxPixels)
	}
	return nil
}

// CheckSettings implements [run.Checker].
func (Captioned) CheckSettings() run.Flags {
	return &CheckSettings{MaxPixels: picture.DefaultLimits.MaxPixels}
}

// checked is what was found in files.
type checked struct{ captions.Validation }

// Check implements [run.Checker].
func (Captioned) Check(ctx context.Context, _ *run.Task, path string, settings run.Flags, env *run.Env) (run.Checked, error) {
	stage := newStages(env)
	v, err := captions.Validate(ctx, path, captions.ValidateOptions{
		MaxProblems: run.ShownProblems, Limits: picture.Limits{MaxPixels: settings.(*CheckSettings).MaxPixels}, Stage: stage.begin, Tick: stage.tick,
	})
	if err != nil {
		return nil, err
	}
	return &checked{v}, nil
}

// NumProblems implements [run.Checked].
func (v *checked) NumProblems() int { return v.ProblemCount }

// Print implements [run.Checked].
func (v *checked) Print(w io.Writer, _ *slog.Logger) {
	run.PrintProblems(w, v.Problems, v.ProblemCount)
	for _, s := range v.Splits {
		printable.Fprintf(w, "%s: %d images, %d captions", s.Split, s.Images, s.Captions)
		if s.Missing > 0 {
			fmt.Fprintf(w, "; %d pictures missing", s.Missing)
		}
		if s.Broken > 0 {
			fmt.Fprintf(w, "; %d pictures cannot be read", s.Broken)
		}
		fmt.Fprintln(w)
	}
	printable.Fprintf(w, "%s: %d captions", v.File, v.Captions)
	if words := v.Words; words != nil {
		fmt.Fprintf(w, " of %d to %d words (median %d)", words.Min, words.Max, words.Median)
	}
	fmt.Fprintln(w)
	if v.Pictures == 0 {
		fmt.Fprintln(w, "no pictures: their region features must be elsewhere")
	}
	for _, odd := range []struct {
		n    int
		what string
	}{
		{v.Repeated, "captions that their image has already"}, {v.Unlisted, "images with captions are on no list"},
		{v.Unused, "pictures have no caption"}, {v.Same, "pictures are, byte by byte, another of their split"},
	} {
		if odd.n > 0 {
			printable.Fprintf(w, "%d %s\n", odd.n, odd.what)
		}
	}
	for _, s := range v.Shared {
		printable.Fprintf(w, "%s and %s share %d names of images and %d pictures of other names\n", s.Splits[0], s.Splits[1], s.Names, s.Contents)
	}
}
