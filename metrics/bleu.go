package metrics

import (
	"math"
	"strings"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// tiny and small keep the caption evaluation's quotients off 0/0. They shift a score
// by less than 1e-9 and are kept because scores must equal that evaluation's.
const (
	tiny  = 1e-15
	small = 1e-9
)

// BLEU returns BLEU-1 to BLEU-4 of a corpus, as bleu.py of coco-caption and nqg counts them for
// captions and generated questions. hyps has N texts, refs N lists of texts; NaN without texts.
//
// Words are what white space separates: split off punctuation and lower-case first, with
// [BasicTokens] for example. Matches of n-grams are clipped by the most that one reference has, and
// summed over the corpus. Of several references the one closest in length to the hypothesis counts
// for the brevity penalty, of two the shorter.
//
// Source: K. Papineni et al., "BLEU: a method for automatic evaluation of machine translation", 2002.
func BLEU(hyps []string, refs [][]string) [4]float64 {
	checkLengths(len(hyps), len(refs))
	if len(hyps) == 0 {
		nan := math.NaN()
		return [4]float64{nan, nan, nan, nan}
	}
	var total bleuCounts
	for i, h := range hyps {
		v, hyp := vocabulary{}, pytext.Fields(h)
		ids := v.ids(hyp)
		var refIDs [][]int32
		closest := math.MaxInt
		for _, r := range references(refs[i]) {
			ref := v.ids(pytext.Fields(r))
			refIDs = append(refIDs, ref)
			if d, best := distance(len(ref), len(ids)), distance(closest, len(ids)); d < best || d == best && len(ref) < closest {
				closest = len(ref)
			}
		}
		total.add(ids, refIDs)
		total.ref += closest
	}
	var scores [4]float64
	product := 1.0
	for k := range scores {
		product *= (float64(total.matches[k]) + tiny) / (float64(total.possible[k]) + small)
		scores[k] = math.Pow(product, 1/float64(k+1))
	}
	if ratio := (float64(total.hyp) + tiny) / (float64(total.ref) + small); ratio < 1 {
		for k := range scores {
			scores[k] *= math.Exp(1 - 1/ratio)
		}
	}
	return scores
}

func distance(a, b int) int { return max(a, b) - min(a, b) }

// bleuCounts are the sums over a corpus that BLEU is made of.
type bleuCounts struct {
	matches, possible [maxOrder]int // n-grams of the hypotheses: found in a reference; all
	hyp, ref          int           // words
}

// add counts the n-grams of one hypothesis and its words, but no length of a reference.
func (c *bleuCounts) add(hyp []int32, refs [][]int32) {
	c.hyp += len(hyp)
	for k := range maxOrder {
		most := map[gram]int{}
		for _, r := range refs {
			for g, n := range countGrams(r, k+1) {
				most[g] = max(most[g], n)
			}
		}
		c.matches[k] += overlap(countGrams(hyp, k+1), most)
		c.possible[k] += max(0, len(hyp)-k)
	}
}

// captionBeta weighs recall over precision in [CaptionROUGEL].
const captionBeta = 1.2

// CaptionROUGEL is ROUGE-L as rouge.py of coco-caption and nqg counts it for captions and generated
// questions. It is not the ROUGE-L of [ROUGE]: no stems, no sentences, another weight. It is the mean
// over texts of
//
//	(1+b²)·p·r / (r + b²·p),  b = 1.2,
//
// where p is the longest common subsequence over the words of the hypothesis and r the same over
// those of the reference, each the largest over the references. hyps has N texts, refs N lists of
// texts. Single spaces separate words; of a text only the first [MaxWords] are read. NaN without
// texts.
func CaptionROUGEL(hyps []string, refs [][]string) float64 {
	checkLengths(len(hyps), len(refs))
	sum := 0.0
	for i, h := range hyps {
		v := vocabulary{}
		hyp := v.ids(captionWords(h))
		var p, r float64
		for _, text := range references(refs[i]) {
			ref := v.ids(captionWords(text))
			common := float64(commonLength(hyp, ref))
			p, r = max(p, common/float64(len(hyp))), max(r, common/float64(len(ref)))
		}
		if p > 0 && r > 0 {
			const b2 = captionBeta * captionBeta
			sum += (1 + b2) * p * r / (r + b2*p)
		}
	}
	return sum / float64(len(hyps))
}

// captionWords splits at single spaces, as rouge.py does: two in a row have an empty word
// between them, and an empty text is one empty word. Other white space is part of a word.
func captionWords(text string) []string {
	w, _ := firstWords(strings.Split(text, " "), MaxWords)
	return w
}

// commonLength is the length of the longest common subsequence of a and b.
func commonLength(a, b []int32) int {
	row := make([]int, len(b)+1) // of the table of prefixes of a and b
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := row[j+1]
			if x == y {
				row[j+1] = diagonal + 1
			} else {
				row[j+1] = max(above, row[j])
			}
			diagonal = above
		}
	}
	return row[len(b)]
}
