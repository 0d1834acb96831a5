// Package pairs is what kinds share whose models read a picture and a text together and classify the pair, or write an answer:
// visual entailment, questions about pictures.
//
//	pairs.go    examples as the model reads them
//	images.go   the pictures of the examples of files
//	head.go     what a model is trained for: a class, or a text
//	learner.go  what is trained
//	check.go    what is wrong with examples
//	runner.go   running a model over examples
//	opened.go   a finished model that answers about a picture and texts
package pairs

import (
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/tasks/images"
)

// Record is a picture with a text, as the model reads them, and what should be said of the two.
type Record struct {
	Image  string  // its name in the source
	Tokens []int32 // of the text: [CLS] ... [SEP]
	Class  int     // of a classification
	Soft   []Soft  // of answers: those that are right to some degree
	Target []int32 // of what is written: [CLS] ... [SEP]; nil where that is not known
	Still  bool    // the picture is not mirrored: the text tells left from right
	Line   int     // of the file
}

// Soft says how right an answer is, 0 to 1.
type Soft struct {
	Class int
	Score float32
}

// Lengths returns how many rows of the model each record has. Images have about as many regions as im.
func Lengths(records []Record, im *regions.Image) []int {
	lengths := make([]int, len(records))
	for i, r := range records {
		lengths[i] = 1 + im.Regions() + len(r.Tokens) + max(0, len(r.Target)-1)
	}
	return lengths
}

// packer makes inputs of records, in the memory that it has.
type packer struct {
	in     model.Input
	source regions.Source
	limit  parallel.Limit
	images []regions.Image
	errs   []error

	eyes     *images.Eyes       // the network in training that sees the pictures; nil: none is
	prepared []*picture.Picture // of the last input, for eyes
}

// pack makes the input of the records of some numbers. change says how pictures are changed, with the random numbers of draws.
func (p *packer) pack(records []Record, numbers []int, change picture.Augmentation, draws func(record int) *random.Stream) (model.Input, error) {
	for len(p.images) < len(numbers) {
		p.images, p.errs = append(p.images, regions.Image{}), append(p.errs, nil)
	}
	p.limit.For(len(numbers), func(i int) {
		record, change := numbers[i], change
		p.images[i].Late = p.eyes != nil
		change.Flip = change.Flip && !records[record].Still
		_, p.errs[i] = images.Augmented(p.source, records[record].Image, change, func() *random.Stream { return draws(record) }, &p.images[i])
	})
	p.in.Reset()
	p.prepared = p.prepared[:0]
	for i, record := range numbers {
		if err := p.errs[i]; err != nil {
			return p.in, err
		}
		p.in.Images.Append(&p.images[i])
		p.prepared = append(p.prepared, p.images[i].Prepared)
		if target := records[record].Target; target != nil {
			p.in.Text.AppendTarget(records[record].Tokens, target[:len(target)-1])
			continue
		}
		p.in.Text.Append(records[record].Tokens)
	}
	return p.in, nil
}

// asTheyAre is the change of pictures that are not changed.
var asTheyAre = picture.Augmentation{MinArea: 1}
