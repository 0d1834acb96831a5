package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/printable"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/run"
)

// isImageTask says whether a task's data are images with captions.
func isImageTask(name string) bool { return slices.Contains(run.ImageNames(), name) }

func (a *app) prepareImages(ctx context.Context, src, dst string, f prepareFlags) error {
	problems := 0
	bar := a.newProgress()
	p, err := captions.Prepare(ctx, src, dst, captions.PrepareOptions{
		Fraction: f.fraction, Seed: f.seed, Images: f.images,
		Problem: func(err error) {
			if problems++; problems <= warnedProblems {
				a.log.Warn(fmt.Sprintf("left out: %v", err))
			}
		},
		Stage: func(what string, total int) { bar.start(total, what) }, Tick: bar.counted,
	})
	bar.finish()
	if err != nil {
		return err
	}
	if problems > warnedProblems {
		a.log.Warn(fmt.Sprintf("%d more were left out", problems-warnedProblems))
	}
	if a.json {
		return a.printJSON(p)
	}
	printable.Fprintf(a.stdout, "read %s", p.Form)
	if len(p.Files) > 0 {
		printable.Fprintf(a.stdout, ": %s", strings.Join(p.Files, ", "))
	}
	fmt.Fprintln(a.stdout)
	for _, s := range p.Splits {
		printable.Fprintf(a.stdout, "%s: %d images, %d captions\n", filepath.Join(dst, s.Split+".txt"), s.Images, s.Captions)
	}
	if p.Pictures > 0 {
		printable.Fprintf(a.stdout, "%s: %d pictures\n", captions.ImageDir(dst), p.Pictures)
	} else {
		fmt.Fprintln(a.stdout, "no pictures were found: use the data with a file of region features, or name their folder with --images")
	}
	for _, out := range []struct {
		n    int
		what string
	}{{p.Bad, "bad captions or lines of lists"}, {p.Missing, "images without picture"}, {p.Unlisted, "images that are on no list"}} {
		if out.n > 0 {
			printable.Fprintf(a.stdout, "left out: %d %s\n", out.n, out.what)
		}
	}
	if p.InvalidUTF8 > 0 {
		a.log.Warn(fmt.Sprintf("%d captions have bytes that are not UTF-8; if that is not meant, write the file as UTF-8 and prepare it again", p.InvalidUTF8))
	}
	return nil
}

func (a *app) validateImages(ctx context.Context, dir string, f validateFlags) error {
	if f.maxPixels < 1 {
		return usagef("--max-pixels %d: give a number from 1 on", f.maxPixels)
	}
	bar := a.newProgress()
	v, err := captions.Validate(ctx, dir, captions.ValidateOptions{
		MaxProblems: shownProblems, Limits: picture.Limits{MaxPixels: f.maxPixels},
		Stage: func(what string, total int) { bar.start(total, what) }, Tick: bar.counted,
	})
	bar.finish()
	if err != nil {
		return err
	}
	if a.json {
		err = a.printJSON(v)
	} else {
		a.printImages(v)
	}
	return errors.Join(err, problemsFound(v.ProblemCount))
}

func (a *app) printImages(v captions.Validation) {
	a.printProblems(v.Problems, v.ProblemCount)
	for _, s := range v.Splits {
		printable.Fprintf(a.stdout, "%s: %d images, %d captions", s.Split, s.Images, s.Captions)
		if s.Missing > 0 {
			fmt.Fprintf(a.stdout, "; %d pictures missing", s.Missing)
		}
		if s.Broken > 0 {
			fmt.Fprintf(a.stdout, "; %d pictures cannot be read", s.Broken)
		}
		fmt.Fprintln(a.stdout)
	}
	printable.Fprintf(a.stdout, "%s: %d captions", v.File, v.Captions)
	if w := v.Words; w != nil {
		fmt.Fprintf(a.stdout, " of %d to %d words (median %d)", w.Min, w.Max, w.Median)
	}
	fmt.Fprintln(a.stdout)
	if v.Pictures == 0 {
		fmt.Fprintln(a.stdout, "no pictures: their region features must be elsewhere")
	}
	for _, odd := range []struct {
		n    int
		what string
	}{
		{v.Repeated, "captions that their image has already"}, {v.Unlisted, "images with captions are on no list"},
		{v.Unused, "pictures have no caption"}, {v.Same, "pictures are, byte by byte, another of their split"},
	} {
		if odd.n > 0 {
			printable.Fprintf(a.stdout, "%d %s\n", odd.n, odd.what)
		}
	}
	for _, s := range v.Shared {
		printable.Fprintf(a.stdout, "%s and %s share %d names of images and %d pictures of other names\n", s.Splits[0], s.Splits[1], s.Names, s.Contents)
	}
}

func (a *app) printProblems(shown []string, n int) {
	for _, p := range shown {
		printable.Fprintf(a.stdout, "%s\n", p)
	}
	if more := n - len(shown); more > 0 {
		fmt.Fprintf(a.stdout, "and %d more problems\n", more)
	}
}
