package metrics

import (
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/unimo-go/unimo/internal/base/pytext"
)

// Turn is a question of a conversation with the answer that is to be scored.
type Turn struct {
	Domain     string   // where the passage is from: CoQA's "source", such as "mctest"
	Answer     string   // the prediction
	Missing    bool     // there is no prediction: it scores 0, whereas an empty one may be right
	References []string // what people answered
}

// CoQAScore is the mean over turns of F1 and of exact match (EM), both NaN without turns.
type CoQAScore struct {
	F1, EM float64
	Turns  int
}

// CoQAScores are the scores of all turns and of parts of them.
type CoQAScores struct {
	CoQAScore                                // of all turns
	InDomain, OutDomain CoQAScore            // of CoQA's five domains with training data and of the two without
	Domains             map[string]CoQAScore // those that occur
}

// inDomain and outDomain are the sources of CoQA's passages.
var (
	inDomain  = []string{"mctest", "gutenberg", "race", "cnn", "wikipedia"}
	outDomain = []string{"reddit", "science"}
)

// CoQA scores answers as CoQA's official script (evaluate-v1.0.py) does.
//
// Answers are compared in lower case without punctuation and articles. F1 is that of the bags of
// words; the best over the references counts. Of several references each is left out once and the
// mean taken: a person, who is compared with the others, has one reference less, too. Turns of a
// domain that is not CoQA's count in the total and for their domain.
//
// Source: S. Reddy et al., "CoQA: a conversational question answering challenge", 2019.
func CoQA(turns []Turn) CoQAScores {
	var all, in, out CoQAScore
	domains := map[string]CoQAScore{}
	for _, x := range turns {
		f1, em := turnScore(x)
		all.add(f1, em)
		if slices.Contains(inDomain, x.Domain) {
			in.add(f1, em)
		}
		if slices.Contains(outDomain, x.Domain) {
			out.add(f1, em)
		}
		d := domains[x.Domain]
		d.add(f1, em)
		domains[x.Domain] = d
	}
	for name, d := range domains {
		domains[name] = d.mean()
	}
	return CoQAScores{CoQAScore: all.mean(), InDomain: in.mean(), OutDomain: out.mean(), Domains: domains}
}

func (s *CoQAScore) add(f1, em float64) {
	s.F1 += f1
	s.EM += em
	s.Turns++
}

func (s CoQAScore) mean() CoQAScore {
	n := float64(s.Turns)
	return CoQAScore{F1: s.F1 / n, EM: s.EM / n, Turns: s.Turns}
}

func turnScore(x Turn) (f1, em float64) {
	if x.Missing {
		return 0, 0
	}
	refs := references(x.References)
	answer := answerWords(x.Answer)
	f1s, ems := make([]float64, len(refs)), make([]float64, len(refs))
	for i, r := range refs {
		ref := answerWords(r)
		f1s[i] = bagF1(answer, ref)
		if slices.Equal(answer, ref) {
			ems[i] = 1
		}
	}
	return leaveOneOut(f1s), leaveOneOut(ems)
}

// leaveOneOut is the mean over values of the largest of the others; of one value it
// is the value.
func leaveOneOut(values []float64) float64 {
	if len(values) == 1 {
		return values[0]
	}
	sum := 0.0
	for left := range values {
		best := math.Inf(-1)
		for i, v := range values {
			if i != left {
				best = max(best, v)
			}
		}
		sum += best
	}
	return sum / float64(len(values))
}

// bagF1 is F1 of the words of two answers; if one has none, whether both have none.
func bagF1(answer, ref []string) float64 {
	if len(answer) == 0 || len(ref) == 0 {
		if len(answer) == len(ref) {
			return 1
		}
		return 0
	}
	counts := map[string]int{}
	for _, w := range ref {
		counts[w]++
	}
	same := 0.0
	for _, w := range answer {
		if counts[w] > 0 {
			counts[w]--
			same++
		}
	}
	if same == 0 {
		return 0
	}
	p, r := same/float64(len(answer)), same/float64(len(ref))
	return 2 * p * r / (p + r)
}

// answerWords normalises an answer: lower case, ASCII punctuation dropped (so that
// "it's" is "its"), articles removed.
func answerWords(answer string) []string {
	answer = strings.Map(func(r rune) rune {
		if r < unicode.MaxASCII && (unicode.IsPunct(r) || unicode.IsSymbol(r)) {
			return -1
		}
		return r
	}, pytext.Lower(answer))
	// An article is a run of word characters, not only a whole word: other
	// punctuation, as in “the end”, stands beside it.
	var b strings.Builder
	for len(answer) > 0 {
		n := strings.IndexFunc(answer, func(r rune) bool { return !isWordRune(r) })
		if n < 0 {
			n = len(answer)
		}
		switch run := answer[:n]; run {
		case "a", "an", "the":
			b.WriteByte(' ')
		default:
			b.WriteString(run)
		}
		answer = answer[n:]
		if n = strings.IndexFunc(answer, isWordRune); n < 0 {
			n = len(answer)
		}
		b.WriteString(answer[:n])
		answer = answer[n:]
	}
	return pytext.Fields(b.String())
}

// isWordRune is \w of Python's regular expressions, but for the underscore, which is
// punctuation.
func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }
