package metrics

import (
	"math"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// ciderSigma is the width of the penalty of [CIDErD] for a difference in length, in words.
const ciderSigma = 6

// CIDErD scores N captions with the N lists of their references as CIDEr-D, the form that COCO's
// server and papers print as "CIDEr" (cider_scorer.py of coco-caption and of pycocoevalcap; ciderD of
// its authors' own program). each has the score of every caption; corpus is their mean, NaN without
// captions. Scores are from 0 to 10; papers print a hundred times that.
//
// A caption is the vector of its n-grams, n from 1 to 4, each counted and weighed by how few of the
// N lists of references have it. Compared with one reference, an n-gram counts at most as often as
// there, and a difference of d words divides the score by exp(d²/72). The mean over references and over n is
// taken. The weights depend on the references of all captions: the score of a caption alone is 0.
// Words are what white space separates; see [PTBTokenize].
//
// Source: R. Vedantam, C. L. Zitnick and D. Parikh, "CIDEr: consensus-based image description
// evaluation", CVPR 2015.
func CIDErD(hyps []string, refs [][]string) (corpus float64, each []float64) {
	return cider(hyps, refs, true)
}

// CIDEr is [CIDErD] without the clipped counts and without the penalty for length: the form of the
// paper's section 4, without its stems (cider of the authors' own program). It is rarely what a paper
// prints.
func CIDEr(hyps []string, refs [][]string) (corpus float64, each []float64) {
	return cider(hyps, refs, false)
}

func cider(hyps []string, refs [][]string, robust bool) (corpus float64, each []float64) {
	checkLengths(len(hyps), len(refs))
	c := newCIDEr(refs)
	each = make([]float64, len(hyps))
	sum := 0.0
	for i, h := range hyps {
		hyp, of := c.vector(h), references(refs[i])
		for _, text := range of {
			each[i] += similarity(hyp, c.vector(text), robust)
		}
		each[i] *= 10 / float64(len(of))
		sum += each[i]
	}
	return sum / float64(len(hyps)), each
}

// ciderTexts knows in how many lists of references an n-gram is.
type ciderTexts struct {
	words vocabulary
	lists map[gram]int
	log   float64 // of the number of all lists
}

func newCIDEr(refs [][]string) *ciderTexts {
	c := &ciderTexts{words: vocabulary{}, lists: map[gram]int{}, log: math.Log(float64(len(refs)))}
	for _, texts := range refs {
		seen := map[gram]bool{}
		for _, text := range texts {
			ids := c.words.ids(pytext.Fields(text))
			for order := 1; order <= maxOrder; order++ {
				for i := range len(ids) - order + 1 {
					if g := newGram(ids[i : i+order]); !seen[g] {
						seen[g] = true
						c.lists[g]++
					}
				}
			}
		}
	}
	return c
}

// ciderVector is a caption: the weights of its n-grams by order, and the length of each vector.
type ciderVector struct {
	grams   [maxOrder][]gram // as they first appear: sums must not depend on the order of a map
	weights map[gram]float64
	norms   [maxOrder]float64
	bigrams int // what the programs take for the number of words
}

func (c *ciderTexts) vector(text string) *ciderVector {
	ids := c.words.ids(pytext.Fields(text))
	v := &ciderVector{weights: make(map[gram]float64, maxOrder*len(ids)), bigrams: max(0, len(ids)-1)}
	for n := range maxOrder {
		for i := range len(ids) - n {
			g := newGram(ids[i : i+n+1])
			if _, again := v.weights[g]; !again {
				v.grams[n] = append(v.grams[n], g)
			}
			v.weights[g]++
		}
		for _, g := range v.grams[n] {
			v.weights[g] *= c.log - math.Log(max(1, float64(c.lists[g])))
			v.norms[n] += v.weights[g] * v.weights[g]
		}
		v.norms[n] = math.Sqrt(v.norms[n])
	}
	return v
}

// similarity is the mean over the orders of the cosine of two captions.
func similarity(hyp, ref *ciderVector, robust bool) (sum float64) {
	for n, grams := range hyp.grams {
		product := 0.0
		for _, g := range grams {
			h, r := hyp.weights[g], ref.weights[g]
			if robust {
				h = min(h, r)
			}
			product += h * r
		}
		if norms := hyp.norms[n] * ref.norms[n]; norms != 0 {
			sum += product / norms
		}
	}
	if robust {
		d := float64(hyp.bigrams - ref.bigrams)
		sum *= math.Exp(-d * d / (2 * ciderSigma * ciderSigma))
	}
	return sum / maxOrder
}
