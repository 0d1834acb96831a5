package metrics

import (
	"math"
	"strings"
	"testing"
)

// addTexts seeds a fuzz target with odd texts.
func addTexts(f *testing.F) {
	for _, x := range [][3]string{
		{"", "", ""}, {"a b c", "a b c", ""}, {"the cat.", "The cats...", "a\nb\n\nc"}, {"\xff\xfe", "\xff", "\x00"},
		{"...", "''", "-- --"}, {"Mr. U.S. 3,000.5 1990's", "state-of-the-art", "“x” ‘y’"}, {"é 中文 ½", "e\u0301", "\u2028\u0085\u001c"},
		{strings.Repeat("a ", 50), strings.Repeat("a b ", 40), "yyy eed ing ss"},
	} {
		f.Add(x[0], x[1], x[2])
	}
}

// checkRange fails unless a score of existing texts is a number in [0, 1].
func checkRange(t *testing.T, name string, scores ...float64) {
	t.Helper()
	for _, s := range scores {
		if math.IsNaN(s) || s < 0 || s > 1 {
			t.Errorf("%s is %v", name, s)
		}
	}
}

func FuzzBLEU(f *testing.F) {
	addTexts(f)
	f.Fuzz(func(t *testing.T, hyp, one, two string) {
		b := BLEU([]string{hyp}, [][]string{{one, two}})
		checkRange(t, "BLEU", b[:]...)
		if w := strings.Join(BasicTokens(hyp), " "); w != strings.Join(BasicTokens(w), " ") {
			t.Errorf("the words of %q are split again", w)
		}
	})
}

func FuzzCIDEr(f *testing.F) {
	addTexts(f)
	f.Fuzz(func(t *testing.T, hyp, one, two string) {
		hyps, refs := []string{hyp, one, ""}, [][]string{{one, two}, {two}, {hyp}}
		for _, score := range []func([]string, [][]string) (float64, []float64){CIDErD, CIDEr} {
			corpus, each := score(hyps, refs)
			for _, s := range append(each, corpus) {
				checkRange(t, "CIDEr", s/(10+1e-9))
			}
		}
	})
}

func FuzzROUGE(f *testing.F) {
	addTexts(f)
	wordNet := &WordNet{bases: map[string][]string{"went": {"go"}}}
	f.Fuzz(func(t *testing.T, hyp, one, two string) {
		for _, best := range []bool{false, true} {
			s := ROUGE([]string{hyp, one}, [][]string{{one, two}, {two}}, ROUGEOptions{Best: best, Samples: 5, WordNet: wordNet})
			for _, r := range []ROUGEScore{s.ROUGE1, s.ROUGE2, s.ROUGEL} {
				for _, e := range []Estimate{r.Recall, r.Precision, r.F} {
					checkRange(t, "ROUGE", e.Mean, e.Low, e.High)
				}
			}
		}
		checkRange(t, "ROUGE-L", CaptionROUGEL([]string{hyp}, [][]string{{one, two}}))
	})
}

func FuzzMETEOR(f *testing.F) {
	addTexts(f)
	wordNet := &WordNet{synsets: map[string][]synset{"a": {1}, "b": {1, 2}, "c": {2}}}
	f.Fuzz(func(t *testing.T, hyp, one, two string) {
		for _, w := range []*WordNet{nil, wordNet} {
			s := METEOR([]string{hyp, one}, [][]string{{one, two}, {two}}, w)
			checkRange(t, "METEOR", s.METEOR, s.Penalty)
		}
	})
}

func FuzzCoQA(f *testing.F) {
	addTexts(f)
	f.Fuzz(func(t *testing.T, answer, one, two string) {
		s := CoQA([]Turn{{Answer: answer, References: []string{one, two, one}}, {Answer: one, References: []string{one}}})
		checkRange(t, "CoQA", s.F1, s.EM)
		if s.EM < .5 || s.F1 < s.EM-1e-12 {
			t.Errorf("F1 %v, EM %v", s.F1, s.EM)
		}
	})
}

func FuzzDistinct(f *testing.F) {
	addTexts(f)
	f.Fuzz(func(t *testing.T, one, two, three string) {
		texts := []string{one, two, three}
		for n := 1; n <= maxOrder; n++ {
			if d := Distinct(texts, n); !math.IsNaN(d) {
				checkRange(t, "distinct", d)
			}
		}
		if l := AverageLength(texts); !(l >= 0) {
			t.Errorf("length %v", l)
		}
	})
}

func FuzzPorter(f *testing.F) {
	for _, w := range []string{"", "y", "eed", "ing", "yyyy", "departmental", "12ies"} {
		f.Add(w)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if s := porter(word); len(s) > len(word)+1 || word != "" && s == "" {
			t.Errorf("%q becomes %q", word, s)
		}
		snowball(word)
	})
}

func FuzzWordNet(f *testing.F) {
	f.Add("car n 2 2 @ ~ 2 1 00000100 00000110  \n", "ran run\n", "big large\n")
	f.Add("  1 licence", "x", "\xff \x00")
	f.Add("a n -1 0", "", "a a a")
	f.Fuzz(func(t *testing.T, index, exceptions, groups string) {
		w := &WordNet{synsets: map[string][]synset{}, bases: map[string][]string{}}
		errIndex := w.readIndex(strings.NewReader(index), "index", 1)
		errExceptions := w.readExceptions(strings.NewReader(exceptions), "exc")
		errGroups := w.readGroups(strings.NewReader(groups), "groups")
		for _, err := range []error{errIndex, errExceptions, errGroups} {
			if err != nil && !strings.Contains(err.Error(), ":") {
				t.Errorf("no place in %v", err)
			}
		}
		for _, text := range []string{index, exceptions, groups} {
			for _, word := range strings.Fields(text) {
				w.senses(word)
				w.base(word)
			}
		}
	})
}
