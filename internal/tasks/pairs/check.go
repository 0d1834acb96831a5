package pairs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Problems are what is wrong with a file.
type Problems struct {
	Problems []string `json:"problems,omitempty"` // the first ones
	more     int
}

// Add notes a problem.
func (p *Problems) Add(err error) {
	if len(p.Problems) == run.ShownProblems {
		p.more++
		return
	}
	p.Problems = append(p.Problems, err.Error())
}

// Count is how many problems there are.
func (p *Problems) Count() int { return len(p.Problems) + p.more }

// Check reads every picture of the examples of a file, from within, if that is not nil, or from where the settings say.
func (p *Problems) Check(ctx context.Context, f Images, s images.EvalSettings, within regions.Source, env *run.Env) (pictures int, err error) {
	list := List(f)
	source := within
	switch {
	case within != nil:
	case s.Features != "":
		if source, _, err = regions.Open(s.Features, regions.Options{Order: s.Order, MaxRegions: s.MaxRegions}); err != nil {
			return 0, err
		}
		defer source.Close()
	default:
		x, err := regions.NewExtractor(images.Default.Spec())
		if err != nil {
			return 0, err
		}
		source = regions.NewPictures(list.Dir, list.Names, x, picture.DefaultLimits, 0)
	}
	i := 0
	for _, err := range regions.Read(source, list.Names) {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		if i++; err == nil {
			env.Observer.Tick(i, len(list.Names))
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("there is no picture %s in %s; put it there, name its folder with --images-dir, or leave such images out with --skip-bad", textfile.Quote(list.Names[i-1]), list.Dir)
		}
		p.Add(fmt.Errorf("%s:%d: %w", f.File, list.Line(i-1), err))
	}
	return len(list.Names), nil
}

// InTraining counts the images of a split that are in the training file too.
type InTraining struct {
	Split  string `json:"split"`
	Images int    `json:"images"`
}

// String says what that means.
func (s InTraining) String() string {
	return fmt.Sprintf("%d images of %s are in the training file too: a score on them says less about new ones", s.Images, s.Split)
}
