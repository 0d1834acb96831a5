package metrics

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// BasicTokens splits a text into lower-case words without accents, punctuation marks and CJK
// characters, as BERT's BasicTokenizer does: "It's 5 €." gives it ' s 5 € and a dot. Control
// characters and U+FFFD are dropped, and so are bytes that are not UTF-8.
func BasicTokens(text string) []string {
	var clean strings.Builder
	for _, r := range text {
		switch {
		case strings.ContainsRune(" \t\n\r", r) || unicode.Is(unicode.Zs, r):
			clean.WriteByte(' ')
		case r == unicode.ReplacementChar || unicode.Is(unicode.C, r):
		case isCJK(r):
			clean.WriteByte(' ')
			clean.WriteRune(r)
			clean.WriteByte(' ')
		default:
			clean.WriteRune(r)
		}
	}
	var split strings.Builder
	for _, r := range norm.NFD.String(pytext.Lower(clean.String())) {
		switch {
		case unicode.Is(unicode.Mn, r): // an accent
		case isPunctuation(r):
			split.WriteByte(' ')
			split.WriteRune(r)
			split.WriteByte(' ')
		default:
			split.WriteRune(r)
		}
	}
	return pytext.Fields(split.String())
}

// isPunctuation counts ASCII symbols such as $ and ^ as punctuation.
func isPunctuation(r rune) bool {
	return unicode.IsPunct(r) || r < unicode.MaxASCII && unicode.IsSymbol(r)
}

// isCJK says whether r is a CJK ideograph, by the blocks that the reference lists.
func isCJK(r rune) bool {
	return 0x3400 <= r && r <= 0x4dbf || 0x4e00 <= r && r <= 0x9fff || 0xf900 <= r && r <= 0xfaff ||
		0x20000 <= r && r <= 0x2a6df || 0x2a700 <= r && r <= 0x2ceaf || 0x2f800 <= r && r <= 0x2fa1f
}

// maxOrder is the length of the longest n-grams.
const maxOrder = 4

// gram is an n-gram of up to maxOrder words by number; 0 is no word.
type gram [maxOrder]int32

// vocabulary numbers words from 1.
type vocabulary map[string]int32

func (v vocabulary) ids(words []string) []int32 {
	ids := make([]int32, len(words))
	for i, w := range words {
		id, known := v[w]
		if !known {
			id = int32(len(v) + 1)
			v[w] = id
		}
		ids[i] = id
	}
	return ids
}

// countGrams counts the n-grams of the given order.
func countGrams(ids []int32, order int) map[gram]int {
	counts := make(map[gram]int, len(ids))
	for i := range len(ids) - order + 1 {
		counts[newGram(ids[i:i+order])]++
	}
	return counts
}

func newGram(ids []int32) (g gram) {
	copy(g[:], ids)
	return g
}

// overlap is the sum over n-grams of the smaller of two counts.
func overlap(a, b map[gram]int) int {
	n := 0
	for g, count := range a {
		n += min(count, b[g])
	}
	return n
}

// references returns the references of a text; none is one empty reference, so that
// every text is compared with something.
func references[T any](refs []T) []T {
	if len(refs) == 0 {
		return make([]T, 1)
	}
	return refs
}

// maxStemmed bounds the words that are stemmed, in bytes: the time that stemmers take
// grows with the square of a run of y. What is longer is no word, and stays as it is.
const maxStemmed = 200

// firstWords returns at most n of the words and whether some were left out.
func firstWords(words []string, n int) ([]string, bool) {
	if len(words) <= n {
		return words, false
	}
	return slices.Clip(words[:n]), true
}

// Distinct is the share of different n-grams among all n-grams of the texts: how varied they are. n
// is from 1 to 4, otherwise it panics. Words are what white space separates. NaN where no text has n
// words.
//
// Source: J. Li et al., "A diversity-promoting objective function for neural
// conversation models", NAACL 2016.
func Distinct(hyps []string, n int) float64 {
	if n < 1 || n > maxOrder {
		panic("metrics: Distinct needs n from 1 to 4")
	}
	v, different, all := vocabulary{}, map[gram]struct{}{}, 0
	for _, h := range hyps {
		ids := v.ids(pytext.Fields(h))
		for i := range len(ids) - n + 1 {
			different[newGram(ids[i:i+n])] = struct{}{}
			all++
		}
	}
	return float64(len(different)) / float64(all)
}

// AverageLength is the mean number of words of the texts, which white space separates; NaN for none.
func AverageLength(hyps []string) float64 {
	n := 0
	for _, h := range hyps {
		n += len(pytext.Fields(h))
	}
	return float64(n) / float64(len(hyps))
}
