package images

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/base/names"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// The controls: with other pictures a model has to do as well as one that looks at none, and what it does better with
// its own it has taken from them.
const (
	Shuffled = "shuffled" // each picture stands in for another of its split, none for itself
	Hidden   = "hidden"   // every picture is one grey region
)

func checkControl(key, value string) error {
	if value == "" || value == Shuffled || value == Hidden {
		return nil
	}
	return names.Unknown(key, value, []string{Shuffled, Hidden})
}

// Notes say what a reader of a score must know about the images that it was measured with.
func (o Options) Notes() []string {
	switch o.Pictures {
	case Shuffled:
		return []string{"pictures: shuffled (a control: each is another one of the split)"}
	case Hidden:
		return []string{"pictures: hidden (a control: the model sees the text only)"}
	}
	return nil
}

// control returns the source as the control has it.
func (o Options) control(source regions.Source, lists []List) (regions.Source, error) {
	switch o.Pictures {
	case Hidden:
		return hidden{source}, nil
	case Shuffled:
		s := shuffled{source, map[string]string{}}
		for _, list := range lists {
			if err := s.shuffle(list, o.Seed); err != nil {
				source.Close()
				return nil, err
			}
		}
		return s, nil
	}
	return source, nil
}

// shuffled is a source whose images are others.
type shuffled struct {
	regions.Source
	other map[string]string
}

// shuffle draws one cycle through all images of a list. Those of an earlier list stay as they are.
func (s shuffled) shuffle(list List, seed uint64) error {
	if len(list.Names) < 2 {
		return fmt.Errorf("%s has one image, which cannot change places; leave pictures=shuffled out", list.Split)
	}
	order := random.New(seed, "shuffled pictures "+list.Split).Perm(len(list.Names))
	for i, at := range order {
		if name := list.Names[at]; s.other[name] == "" {
			s.other[name] = list.Names[order[(i+1)%len(order)]]
		}
	}
	return nil
}

// Image implements [regions.Source].
func (s shuffled) Image(id string, dst *regions.Image) error {
	err := s.Source.Image(s.other[id], dst)
	dst.ID = id
	return err
}

// hidden is a source that shows nothing of its images.
type hidden struct{ regions.Source }

// Image implements [regions.Source].
func (s hidden) Image(id string, dst *regions.Image) error {
	dst.ID, dst.Width, dst.Height, dst.Global, dst.Classes, dst.Origin = id, 1, 1, nil, nil, regions.Origin{}
	dst.Boxes = append(dst.Boxes[:0], 0, 0, 1, 1)
	if cap(dst.Features) < s.Dim() {
		dst.Features = make([]float32, s.Dim())
	}
	dst.Features = dst.Features[:s.Dim()]
	clear(dst.Features) // which is grey of pixels
	return nil
}

// Augmented sets dst to an image changed at random, where it is one of pictures and there is something to change; draws
// makes the random numbers for it. flipped says whether left and right have changed places.
func Augmented(source regions.Source, id string, change picture.Augmentation, draws func() *random.Stream, dst *regions.Image) (flipped bool, err error) {
	from, name := source, id
	if s, ok := source.(shuffled); ok {
		from, name = s.Source, s.other[id]
	}
	if pictures, ok := from.(*regions.Pictures); ok && (change.Flip || change.MinArea < 1) {
		flipped, err = pictures.Augmented(name, change, draws(), dst)
		dst.ID = id
		return flipped, err
	}
	return false, source.Image(id, dst)
}
