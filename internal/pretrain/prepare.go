package pretrain

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/pretrain/masking"
	"github.com/unimo-go/unimo/tokenizer"
)

// Batch is what one step trains on.
type Batch struct {
	Number  int
	Kind    corpus.Kind
	Seq2Seq bool // its texts are fragmented, not masked
	Hidden  model.Hidden
	CMCL    *CMCL // of pairs
	Tokens  int   // tokens and regions of the samples, each counted once
	Samples []string
	Lost    corpus.Report // samples that could not be used, or not wholly
	Problem error         // why none could be used, or nothing is there to predict; nil if all is well

	// OverStep compares images and captions alone with those of all batches of the step, which are Step's.
	OverStep bool
	Step     *Step

	after  place // of the feed, behind it
	failed error
}

// Note says what other processes need to know of the batch.
func (b *Batch) Note() Note {
	n := Note{Tokens: b.Tokens, Lost: b.Lost}
	if b.Problem != nil {
		n.Tokens, n.Problem = 0, b.Problem.Error()
	}
	return n
}

// empty says that there is nothing to predict and nothing to compare.
func (b *Batch) empty() bool {
	return len(b.Hidden.Labels)+len(b.Hidden.Regions) == 0 && b.CMCL == nil
}

// Preparer makes batches of samples. It may be used from several goroutines.
type Preparer struct {
	Recipe    *Recipe
	Tokenizer *tokenizer.Tokenizer
	Resources *Resources // nil: nothing is rewritten or retrieved
	Workers   int        // samples prepared at once
}

// item is a prepared sample.
type item struct {
	sample *corpus.Sample
	key    string // of the image or pair: where it is
	failed error
	lost   corpus.Report // what could not be looked up

	caption        string   // of a pair
	said           []string // what is true of its image: all captions and paraphrases
	tokens         []int32  // of the text or caption, special ones included
	hidden, places []int32  // the tokens with some hidden, and where
	labels         []int32
	source, target []int32 // or fragments

	image     regions.Image // its ID is the image's name
	regions   []int         // hidden ones
	predicted []int         // and those of them that are predicted

	positives, negatives [][]int32 // rewritten captions
	texts                []Text    // retrieved
	images               []regions.Image
}

// named says whether the images of two items have one name: then they may be the same.
func (it *item) named(other *item) bool { return it.image.ID == other.image.ID }

// Prepare makes batch number of samples, all of one kind. Samples that cannot be used are counted and left out.
func (p *Preparer) Prepare(number int, kind corpus.Kind, samples []*corpus.Sample, seq2seq bool) *Batch {
	items := make([]item, len(samples))
	work := make(chan int)
	var group sync.WaitGroup
	for range max(1, min(p.Workers, len(samples))) {
		group.Go(func() {
			for i := range work {
				items[i].sample = samples[i]
				items[i].failed = p.item(&items[i], kind, seq2seq, random.New(p.Recipe.Seed, "sample", number, i))
			}
		})
	}
	for i := range items {
		work <- i
	}
	close(work)
	group.Wait()
	b := &Batch{Number: number, Kind: kind, Seq2Seq: seq2seq}
	items = slices.DeleteFunc(items, func(it item) bool {
		if it.failed != nil {
			b.Lost.Skip(corpus.Reason(it.failed), it.failed.Error())
			b.Problem = cmp.Or(b.Problem, it.failed)
			return true
		}
		b.Lost.Add(it.lost)
		return false
	})
	if len(items) == 0 {
		return b
	}
	p.pack(b, items)
	if b.Problem = nil; b.empty() {
		b.Problem = fmt.Errorf("%s: nothing to predict: masking needs a word, seq2seq four; set seq2seq_weight to 0 for shorter texts", b.Samples[0])
	}
	return b
}

// item prepares one sample.
func (p *Preparer) item(it *item, kind corpus.Kind, seq2seq bool, r *random.Stream) error {
	recipe, weights := p.Recipe, p.Recipe.Of(kind)
	caption := 0
	switch kind {
	case corpus.Text:
		it.tokens = p.piece(it.sample.Text, r)
	case corpus.Pairs:
		caption = r.IntN(len(it.sample.Captions))
		it.caption, it.said = it.sample.Captions[caption], it.sample.Captions
		it.tokens = p.encode(it.caption)
	}
	if kind != corpus.Text {
		it.key = locate(kind, it.sample)
		if err := it.sample.Image(&it.image); err != nil {
			return err
		}
		if weights.regions() {
			it.regions, it.predicted = recipe.Regions.Choose(it.image.Boxes, r)
		}
	}
	switch {
	case kind == corpus.Images:
	case !weights.language(): // a pair's caption is still read, for its regions
		it.hidden = it.tokens
	case seq2seq:
		source, target, ok := recipe.Fragments.Split(it.tokens, r)
		if it.source, it.target = source, target; !ok {
			it.source, it.target = it.tokens, nil
		}
	default:
		it.hidden, it.places, it.labels = recipe.Language.Hide(nil, it.tokens, r)
	}
	if kind == corpus.Pairs && p.Resources != nil {
		return p.lookUp(it, caption, r)
	}
	return nil
}

// encode returns the tokens of a caption, special ones included.
func (p *Preparer) encode(text string) []int32 {
	t := p.Tokenizer
	tokens, _ := t.EncodeUpTo([]int32{t.CLS()}, text, p.Recipe.MaxCaption-2)
	return append(tokens, t.SEP())
}

// piece returns the tokens of a text, or of a piece of it that begins with a word at random.
func (p *Preparer) piece(text string, r *random.Stream) []int32 {
	t := p.Tokenizer
	tokens, room := t.Encode(nil, text), p.Recipe.MaxText-2
	if len(tokens) > room {
		at := r.IntN(len(tokens) - room + 1)
		for at > 0 && t.Continues(tokens[at]) {
			at--
		}
		tokens = tokens[at:min(len(tokens), at+room)]
	}
	return append(slices.Concat([]int32{t.CLS()}, tokens), t.SEP())
}

// pack puts prepared samples behind each other.
func (p *Preparer) pack(b *Batch, items []item) {
	kind := b.Kind
	for i := range items {
		b.Samples = append(b.Samples, items[i].sample.Where)
		b.Tokens += len(items[i].tokens)
		if kind != corpus.Text {
			b.Tokens += items[i].image.Regions() + 1
		}
	}
	h := &b.Hidden
	weights := p.Recipe.Of(kind)
	if kind != corpus.Images && (weights.language() || kind == corpus.Pairs && weights.regions()) {
		p.packText(h, items, b.Seq2Seq)
	}
	if kind != corpus.Text && (weights.regions() || kind == corpus.Pairs && weights.language()) {
		p.packImages(h, items, weights[RegionClass] > 0)
	}
	if kind == corpus.Pairs {
		b.CMCL = p.Recipe.contrast(items, random.New(p.Recipe.Seed, "pairs that are compared", b.Number))
		b.countMissing(items)
	}
}

// countMissing counts the pairs that too little could be found for to compare them with.
func (b *Batch) countMissing(items []item) {
	c := b.CMCL
	if c == nil {
		return
	}
	for i := range items {
		group := c.JointKinds.Group
		if slices.Contains(c.JointKinds.Kinds[i*group:(i+1)*group], engine.Excluded) {
			b.Lost.Skip("too few captions to compare with, even with the batch's; name more pairs, or lower negatives", items[i].sample.Where)
		}
	}
}

func (p *Preparer) packText(h *model.Hidden, items []item, seq2seq bool) {
	for i := range items {
		it := &items[i]
		if !seq2seq {
			base := int32(len(h.Text.Tokens))
			h.Text.Append(it.hidden)
			for _, place := range it.places {
				h.Places = append(h.Places, base+place)
			}
			h.Labels = append(h.Labels, it.labels...)
			continue
		}
		var target []int32
		if len(it.target) > 0 {
			target = append([]int32{p.Tokenizer.CLS()}, it.target...)
			h.Labels = append(append(h.Labels, it.target...), p.Tokenizer.MASK())
		}
		h.Text.AppendTarget(it.source, target)
	}
}

// packImages packs images whose hidden regions are zero, and what these were: with classes, if all images have them.
func (p *Preparer) packImages(h *model.Hidden, items []item, classes bool) {
	for i := range items {
		it := &items[i]
		dim := len(it.image.Features) / it.image.Regions()
		masked := it.image
		masked.Features = slices.Clone(it.image.Features)
		base := int32(len(h.Images.Locations) / model.LocationSize)
		for _, region := range it.predicted {
			feature := it.image.Features[region*dim : (region+1)*dim]
			at := len(h.Targets)
			h.Targets = append(h.Targets, feature...)
			if p.Recipe.Normalise {
				masking.Normalise(h.Targets[at:], feature)
			}
			h.Regions = append(h.Regions, base+1+int32(region))
			if n := len(it.image.Classes) / it.image.Regions(); classes && n > 0 {
				h.Classes = append(h.Classes, it.image.Classes[region*n:(region+1)*n]...)
			} else {
				classes, h.Classes = false, nil
			}
		}
		for _, region := range it.regions {
			clear(masked.Features[region*dim : (region+1)*dim])
		}
		if len(it.regions) > 0 {
			masked.Global = nil // the mean of what is left to see
		}
		h.Images.Append(&masked)
	}
}
