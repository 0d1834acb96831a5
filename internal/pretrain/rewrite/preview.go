package rewrite

import (
	"context"
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/captions"
)

// Preview shows what pre-training makes of some images' captions.
type Preview struct {
	rewriter    *Rewriter
	paraphrases Paraphrases
	set         *captions.Set
	graphs      map[int][]Graph // of the images to show
	empty       int
}

// Previewed is a caption with what it says, and the captions that it is contrasted with.
type Previewed struct {
	Image      string    `json:"image"`
	Caption    string    `json:"caption"`
	Objects    []Part    `json:"objects"`
	Attributes []Part    `json:"attributes"`
	Relations  []Part    `json:"relations"`
	Positives  []string  `json:"positives"`
	Negatives  []Rewrite `json:"negatives"`
}

// NewPreview reads all captions of set into the lexicon of w, since replacements come from them, and
// keeps what those of the images in shown say. tick hears of the images.
func NewPreview(ctx context.Context, set *captions.Set, shown []int, w *Rewriter, p Paraphrases, tick func(done int)) (*Preview, error) {
	x := &Preview{rewriter: w, paraphrases: p, set: set, graphs: map[int][]Graph{}}
	for image := range set.Images {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var of []Graph
		for _, c := range set.Of(image) {
			g := w.Parser.Parse(set.Captions[c].Text)
			if len(g.Objects) == 0 {
				x.empty++
			}
			of = append(of, g)
		}
		w.Lexicon.Add(of)
		if slices.Contains(shown, image) {
			x.graphs[image] = of
		}
		tick(image + 1)
	}
	return x, nil
}

// Empty counts the captions of all images that name no object that the parser knows.
func (x *Preview) Empty() int { return x.empty }

// Captions shows those of an image with up to n negatives each, drawn by r.
func (x *Preview) Captions(image, n int, r *random.Stream) []Previewed {
	var list []Previewed
	for i, g := range x.graphs[image] {
		others := slices.Delete(slices.Clone(x.graphs[image]), i, i+1)
		for _, paraphrase := range x.paraphrases.Of(g.Text) {
			others = append(others, x.rewriter.Parser.Parse(paraphrase))
		}
		p := Previewed{Image: x.set.Images[image], Caption: g.Text, Objects: g.Objects, Attributes: g.Attributes, Relations: g.Relations,
			Negatives: x.rewriter.NegativesOf(g, others, n, r)}
		for _, other := range others {
			p.Positives = append(p.Positives, other.Text)
		}
		list = append(list, p)
	}
	return list
}
