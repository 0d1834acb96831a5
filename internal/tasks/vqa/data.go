package vqa

import (
	"fmt"
	"log/slog"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
)

// reading says how questions and their pictures are read.
type reading struct {
	options    images.Options
	folder     string // of the pictures; "" is that of the data
	unanswered bool
	extractor  func() (regions.Extractor, error)
	limits     picture.Limits
	cache      int64
	problem    func(error) // see [vqa.Options]
}

// questions reads a file. Log is told what was left out.
func (r reading) questions(file string, log *slog.Logger) (*vqa.Set, error) {
	set, err := vqa.Read(file, vqa.Options{Images: r.folder, Named: r.options.Features != "", Unanswered: r.unanswered, SkipBad: r.options.SkipBad, Problem: r.problem})
	if err != nil {
		return nil, err
	}
	for _, note := range set.Notes {
		log.Warn(note)
	}
	return set, nil
}

// pictures opens the pictures of sets, and returns these less the questions whose picture is left out.
func (r reading) pictures(splits []string, sets ...*vqa.Set) (regions.Source, *regions.Spec, []*vqa.Set, error) {
	for _, s := range sets[1:] {
		if s.Dir != sets[0].Dir {
			return nil, nil, nil, fmt.Errorf("%s has its pictures in %s, and %s in %s; name one folder that has both with the setting images_dir (--images-dir)", sets[0].File, sets[0].Dir, s.File, s.Dir)
		}
	}
	source, spec, keep, err := pairs.Open(r.options, r.extractor, r.limits, r.cache, listed(splits, sets)...)
	if err != nil {
		return nil, nil, nil, err
	}
	kept := make([]*vqa.Set, len(sets))
	for i, set := range sets {
		less := *set
		less.Examples = pairs.Keep(set.Examples, keep[i])
		kept[i] = &less
	}
	return source, spec, kept, nil
}

// listed are the pictures of sets.
func listed(splits []string, sets []*vqa.Set) []pairs.Images {
	list := make([]pairs.Images, len(sets))
	for i, set := range sets {
		list[i] = pairs.Images{
			Split: splits[i], File: set.File, Dir: set.Dir, Count: len(set.Examples),
			Of: func(k int) (string, int) { return set.Examples[k].Image, set.Examples[k].Line },
		}
	}
	return list
}

// records are questions as the model reads them, with what it should answer. It counts questions and answers that were cut.
func records(examples []vqa.Example, enc images.Captions, model speaker) (list []pairs.Record, cut, cutAnswers int) {
	list = make([]pairs.Record, len(examples))
	tokens := map[string][]int32{} // many questions are asked about many pictures
	for i, x := range examples {
		t, ok := tokens[x.Question]
		if !ok {
			var shorter bool
			if t, shorter = enc.Encode(x.Question); shorter {
				cut++
			}
			tokens[x.Question] = t
		}
		list[i] = pairs.Record{Image: x.Image, Tokens: t, Line: x.Line}
		if model.aim(&list[i], x.Answers) {
			cutAnswers++
		}
	}
	return list, cut, cutAnswers
}

// warnShared warns of pictures that train and dev have in common.
func warnShared(log *slog.Logger, train, dev pairs.Images) {
	n, of := pairs.Shared(train, dev)
	run.WarnShared(log, n, of, "pictures")
}
