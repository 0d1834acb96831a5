package images

import (
	"errors"
	"maps"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train/adversarial"
	"github.com/unimo-go/unimo/internal/vision/extractor"
)

// Eyes is the network that sees the pictures of a source, where it is trained with the model; nil otherwise. It implements
// [run.Beside].
type Eyes struct{ network *extractor.Learning }

var _ run.Beside = (*Eyes)(nil)

// EyesOf returns the network of a source that is in training.
func EyesOf(source regions.Source) *Eyes {
	switch s := source.(type) {
	case shuffled:
		return EyesOf(s.Source)
	case *regions.Pictures:
		if l, ok := s.Extractor().(*extractor.Learning); ok {
			return &Eyes{l}
		}
	}
	return nil
}

// Check returns an error if the network cannot be trained under attacks.
func (e *Eyes) Check(attacks adversarial.Recipe) error {
	if e != nil && attacks.Adv != "" {
		return &run.SettingError{Err: errors.New("train_extractor and adv do not go together: attacks are on features that stay the same; leave one of the two out")}
	}
	return nil
}

// See gives an input the features of its images, in whose order the prepared pictures are, if there is a network in
// training. Each picture goes through it once.
func (e *Eyes) See(t *autograd.Tape, in *model.Input, prepared []*picture.Picture) error {
	if e == nil {
		return nil
	}
	place := map[*picture.Picture]int{}
	var each []*picture.Picture
	for _, p := range prepared {
		if _, ok := place[p]; !ok {
			place[p] = len(each)
			each = append(each, p)
		}
	}
	features, offsets, err := e.network.Features(t, each)
	if err != nil {
		return err
	}
	if len(each) < len(prepared) {
		var rows []int32
		for _, p := range prepared {
			for row := offsets[place[p]]; row < offsets[place[p]+1]; row++ {
				rows = append(rows, row)
			}
		}
		features = t.Rows(features, rows)
	}
	in.Embedding.Features = features
	return nil
}

// Model returns a learner's model with the network that is trained beside it.
func (e *Eyes) Model(m run.Model) run.Model {
	if e != nil {
		m.Beside = e
	}
	return m
}

// Name implements [run.Beside].
func (e *Eyes) Name() string { return e.network.Spec().Architecture }

// Params implements [run.Beside].
func (e *Eyes) Params() model.Parameters { return e.network.Params() }

// File implements [run.Beside].
func (e *Eyes) File() string { return regions.WeightsFile }

// Files implements [run.Beside].
func (e *Eyes) Files() (map[string][]byte, map[string]string, error) {
	spec, metadata, err := e.network.Now()
	return map[string][]byte{regions.SpecFile: spec.File()}, maps.Clone(metadata), err
}
