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

// BLEU returns BLEU-1 to BLEU-4 of a corpus as the evaluations of captions and of
// generated questions count it (coco-caption's and nqg's bleu.py): words are what white
// space separates; n-gram matches are clipped by the most that one reference has, and
// summed over the corpus; the reference's length is that closest to the hypothesis's,
// the shorter of two. hyps has N texts, refs N lists of texts. NaN without texts.
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

// ReferenceBLEUScore is what [ReferenceBLEU] computes.
type ReferenceBLEUScore struct {
	BLEU       float64
	Precisions [4]float64
	Brevity    float64 // the penalty for short hypotheses
	Ratio      float64 // HypLength / RefLength
	HypLength  int     // words of all hypotheses
	RefLength  int     // words of the shortest references
}

// ReferenceBLEU is the reference's own BLEU-4 (_compute_bleu in gen_eval.py) of N
// hypotheses, each a list of words, with N lists of references; see [BasicTokens] for
// the words it is given there. With smooth, 1 is added to every count. It differs from
// [BLEU]: the shortest reference gives the length, a precision of 0 makes the score 0,
// and the penalty has 1e-4 added to the ratio, so that a perfect score is 1.0001.
// BLEU, Brevity and Ratio are NaN where the references have no words.
func ReferenceBLEU(hyps [][]string, refs [][][]string, smooth bool) ReferenceBLEUScore {
	checkLengths(len(hyps), len(refs))
	var total bleuCounts
	for i, h := range hyps {
		v := vocabulary{}
		ids := v.ids(h)
		var refIDs [][]int32
		shortest := math.MaxInt
		for _, r := range references(refs[i]) {
			refIDs = append(refIDs, v.ids(r))
			shortest = min(shortest, len(r))
		}
		total.add(ids, refIDs)
		total.ref += shortest
	}
	s := ReferenceBLEUScore{HypLength: total.hyp, RefLength: total.ref}
	logs := 0.0
	for k := range s.Precisions {
		matches, possible := float64(total.matches[k]), float64(total.possible[k])
		switch {
		case smooth:
			s.Precisions[k] = (matches + 1) / (possible + 1)
		case possible > 0:
			s.Precisions[k] = matches / possible
		}
		logs += math.Log(s.Precisions[k]) / maxOrder
	}
	s.Ratio, s.Brevity = math.NaN(), math.NaN()
	if total.ref > 0 {
		s.Ratio, s.Brevity = float64(total.hyp)/float64(total.ref), 1
	}
	if s.Ratio <= 1 {
		s.Brevity = math.Exp(1 - 1/(s.Ratio+1e-4))
	}
	s.BLEU = math.Exp(logs) * s.Brevity // exp(-Inf) is 0
	return s
}

// captionBeta weighs recall over precision in [CaptionROUGEL].
const captionBeta = 1.2

// CaptionROUGEL is ROUGE-L as the evaluations of captions and of generated questions
// count it (coco-caption's and nqg's rouge.py): the mean over texts of
//
//	(1+b²)·p·r / (r + b²·p),  b = 1.2,
//
// p and r being the longest common subsequence over the words of the hypothesis and
// over those of the reference, each the largest over the references. It is not
// [ROUGE]'s: no stems, no sentences. hyps has N texts, refs N lists of texts; of a
// text only the first [MaxWords] words are read. NaN without texts.
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
