package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/model"
)

// Lengths of texts in tokens, [CLS] and the end included: the least, then each sixteenth of them, measured with the tokenizer of the other workloads.
var (
	sstLengths     = []int{4, 5, 6, 7, 7, 8, 9, 10, 11, 13, 14, 16, 19, 22, 26, 32, 67}      // of SST-2's training set
	captionLengths = []int{5, 9, 10, 11, 11, 12, 13, 13, 14, 15, 15, 16, 17, 18, 19, 21, 37} // of flickr8k's captions
	passageLengths = []int{passageFrom, passageTo}
)

// drawer makes batches of random tokens, for machines that do not have the data. Lengths are as texts have them, unless all are equal.
type drawer struct {
	random  *rand.Rand
	vocab   int
	longest int
	equal   bool
}

// newDrawer makes batches for a model, always the same.
func newDrawer(cfg model.Config, equal bool) *drawer {
	return &drawer{rand.New(rand.NewPCG(1, 2)), cfg.VocabSize, cfg.MaxTokens() - answerTo, equal}
}

// length is one of a distribution; the mean where all are equal.
func (d *drawer) length(of []int, equal int) int {
	if d.equal {
		return equal
	}
	at := d.random.Float64() * float64(len(of)-1)
	i := int(at)
	return of[i] + int((at-float64(i))*float64(of[i+1]-of[i])+0.5)
}

func (d *drawer) sequence(of []int, equal int) []int32 {
	s := make([]int32, min(d.length(of, equal), d.longest))
	for i := range s {
		s[i] = int32(5 + d.random.IntN(d.vocab-5))
	}
	s[0], s[len(s)-1] = 0, 2
	return s
}

func (d *drawer) texts(n int, of []int, equal int) batch {
	var sequences [][]int32
	for range n {
		sequences = append(sequences, d.sequence(of, equal))
	}
	return inBatches(sequences, nil, n)[0]
}

// The lengths where all are equal.
const (
	equalPassage = 400
	equalCaption = 15
)

func (d *drawer) sst(n int) batch      { return d.texts(n, sstLengths, equalLength) }
func (d *drawer) passages(n int) batch { return d.texts(n, passageLengths, equalPassage) }

// groups are as [corpus.groups] makes them, of images and captions that are all different.
func (d *drawer) groups(n, regions int) batch {
	each := negatives/2 + 1 // images and captions of a group
	b := batch{Images: n * each, Regions: regions, Group: 1 + negatives}
	for g := range n {
		for range each {
			b.Sequences = append(b.Sequences, d.sequence(captionLengths, equalCaption))
		}
		first := g * each
		for i := range each {
			b.Pairs = append(b.Pairs, [2]int{first + i, first})
		}
		for i := 1; i < each; i++ {
			b.Pairs = append(b.Pairs, [2]int{first, first + i})
		}
	}
	return b
}

// asked are images with a text of their own each.
func (d *drawer) asked(n, regions int) batch {
	b := d.texts(n, captionLengths, equalCaption)
	b.Images, b.Regions = n, regions
	for i := range n {
		b.Pairs = append(b.Pairs, [2]int{i, i})
	}
	return b
}

// compared are images with a text of their own each, and every pair of both.
func (d *drawer) compared(n, regions int) batch {
	b := d.asked(n, regions)
	b.Pairs = nil
	for i := range n * n {
		b.Pairs = append(b.Pairs, [2]int{i / n, i % n})
	}
	return b
}

// answered are sources with short targets.
func (d *drawer) answered(n int) batch {
	b := d.texts(n, []int{coqaFrom, coqaTo}, equalPassage)
	for i := range n {
		b.Targets = append(b.Targets, append(slices.Clone(b.Sequences[i][1:within(answerFrom, answerTo, i)]), 3))
	}
	return b
}

// written are sources to write behind.
func (d *drawer) written(n, beams, length int) batch {
	b := d.texts(n, []int{coqaFrom, coqaTo}, equalPassage)
	b.Beams, b.Length = beams, length
	return b
}

// drawnBatches are how many batches a round has: the same in each, so that all programs are there after the first.
const drawnBatches = 4

// drawnFiles are batches for accelerators.
var drawnFiles = map[string]func(d *drawer) batch{
	"sst2-32":  func(d *drawer) batch { return d.sst(sstBatch) },
	"sst2-256": func(d *drawer) batch { return d.sst(8 * sstBatch) },
	"passages": func(d *drawer) batch { return d.passages(4 * passageBatch) },
	"groups":   func(d *drawer) batch { return d.groups(groupsPerBatch, imageRegions) },
}

// drawnFile makes the file of a name of drawnFiles, behind "drawn-" or "equal-".
func drawnFile(name string, cfg model.Config, rounds int) (workFile, bool) {
	way, name, _ := strings.Cut(name, "-")
	draw, ok := drawnFiles[name]
	if !ok || way != "drawn" && way != "equal" {
		return workFile{}, false
	}
	d := newDrawer(cfg, way == "equal")
	var batches []batch
	for range drawnBatches {
		batches = append(batches, draw(d))
	}
	return repeated(batches, rounds), true
}

// words is a vocabulary without words, for models of any size.
type words int

func (v words) VocabSize() int                      { return int(v) }
func (words) CLS() int32                            { return 0 }
func (words) PAD() int32                            { return 1 }
func (words) MASK() int32                           { return 3 }
func (words) UNK() int32                            { return 4 }
func (words) StartsWord(int32) bool                 { return true }
func (words) Decode(dst []byte, ids []int32) []byte { return fmt.Append(dst, ids) }
func (words) DecodeString(ids []int32) string       { return fmt.Sprint(ids) }
