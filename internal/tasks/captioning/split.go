package captioning

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/coco"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/tokenizer"
)

// split is a set of pictures with captions as the model reads them.
type split struct {
	*captions.Set
	source regions.Source
	tags   Tagger
	tokens rank.Texts // of the captions
	cut    int        // captions that were cut
}

// readSplits reads splits: lists of images in a folder of data, or files of the reference's lines, whose images are in the second result.
func readSplits(maxRegions int, features string, paths ...string) ([]*captions.Set, *regions.Within, error) {
	var sets []*captions.Set
	var within *regions.Within
	for i, path := range paths {
		files, err := coco.LineFiles(path)
		if err != nil {
			return nil, nil, err
		}
		var set *captions.Set
		switch {
		case files == nil && within != nil, files != nil && within == nil && i > 0:
			return nil, nil, fmt.Errorf("of %s and %s one is a list of images and one has the reference's lines; give two of a kind", paths[0], path)
		case files == nil:
			set, err = captions.ReadList(path)
		case features != "":
			return nil, nil, fmt.Errorf("%s has the features of its images in it; leave out the others, %s", path, features)
		default:
			if within == nil {
				within = regions.NewWithin(regions.CaptionFields, maxRegions)
			}
			set, err = coco.ReadLines(files, within)
		}
		if err != nil {
			if within != nil {
				within.Close()
			}
			return nil, nil, err
		}
		sets = append(sets, set)
	}
	return sets, within, nil
}

// takeWithin makes options take images from the reference's lines, if there are such.
func takeWithin(o *images.Options, within *regions.Within) {
	o.Within = nil
	if within != nil {
		o.Within = within
	}
}

func newSplit(set *captions.Set, source regions.Source, tags Tagger, tok *tokenizer.Tokenizer, limit int) (*split, error) {
	s := &split{Set: set, source: source, tags: tags}
	var err error
	s.tokens, s.cut, err = images.Captions{Tokenizer: tok, MaxLen: limit}.All(set)
	return s, err
}

// loaded are images that were read, by their number in a split.
type loaded struct {
	images []regions.Image
	place  map[int]int
}

// load reads images, each once however often its number comes.
func load(numbers []int, limit parallel.Limit, read func(number int, dst *regions.Image) error) (loaded, error) {
	l := loaded{place: map[int]int{}}
	var each []int
	for _, n := range numbers {
		if _, there := l.place[n]; !there {
			l.place[n] = len(each)
			each = append(each, n)
		}
	}
	l.images = make([]regions.Image, len(each))
	failures := make([]error, len(each))
	limit.For(len(each), func(i int) { failures[i] = read(each[i], &l.images[i]) })
	for _, err := range failures {
		if err != nil {
			return l, err
		}
	}
	return l, nil
}

func (l loaded) of(number int) *regions.Image { return &l.images[l.place[number]] }

// read reads an image of the split. Its id is what the list calls it, by which tags are found.
func (s *split) read(number int, dst *regions.Image) error {
	err := s.source.Image(s.Images[number], dst)
	dst.ID = s.Images[number]
	return err
}

// every lists the numbers of all images.
func (s *split) every() []int {
	list := make([]int, len(s.Images))
	for i := range list {
		list[i] = i
	}
	return list
}

// imagesOf lists the images of captions.
func (s *split) imagesOf(captions []int) []int {
	list := make([]int, len(captions))
	for i, c := range captions {
		list[i] = s.Captions[c].Image
	}
	return list
}

// target adds a caption to a batch, all but its end, and returns labels with the tokens that follow.
func target(t *model.Text, labels, tokens []int32) []int32 {
	t.AppendTarget(nil, tokens[:len(tokens)-1])
	return append(labels, tokens[1:]...)
}
