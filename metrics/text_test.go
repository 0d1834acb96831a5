package metrics

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBLEUWorkedExamples(t *testing.T) {
	for _, c := range []struct {
		name  string
		hyps  []string
		refs  [][]string
		order int
		want  float64
	}{
		// Papineni et al. (2002), 2.1: counts are clipped by one reference's.
		{"clipped", []string{"the the the the the the the"}, [][]string{{"the cat is on the mat", "there is a cat on the mat"}}, 1, 2. / 7},
		{"unclipped bigram", []string{"the the the the the the the"}, [][]string{{"the cat is on the mat"}}, 2, math.Sqrt(2. / 7 * 1e-15 / 6)},
		{"same", []string{"a b c d e"}, [][]string{{"a b c d e"}}, 4, 1},
		{"short", []string{"a b c d"}, [][]string{{"a b c d e f"}}, 1, math.Exp(1 - 6./4)},
		{"closest of two, the shorter", []string{"a b c d"}, [][]string{{"a b c d e f", "a b"}}, 4, 1},
		{"sums over the corpus", []string{"a b", "c"}, [][]string{{"a x"}, {"c"}}, 1, 2. / 3},
		{"empty", []string{""}, [][]string{{"a"}}, 1, 0},
		{"empty reference", []string{"a"}, [][]string{{""}}, 1, 0},
		{"no reference", []string{"a"}, [][]string{nil}, 1, 0},
		{"none", nil, nil, 1, math.NaN()},
	} {
		got := BLEU(c.hyps, c.refs)[c.order-1]
		if !(math.Abs(got-c.want) < 1e-8 || math.IsNaN(got) && math.IsNaN(c.want)) {
			t.Errorf("%s: BLEU-%d is %v, want %v", c.name, c.order, got, c.want)
		}
	}
}

func TestBasicTokens(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "",
		"It's 12.5% of a Café, OK?":  "it|'|s|12|.|5|%|of|a|cafe|,|ok|?",
		"a\tb\u00a0c\u2028d":         "a|b|c|d",
		"x\x00y\u200bz\ufffd\xff":    "xyz",
		"中文text":                     "中|文|text",
		"$^`~ «quoted» — dash":       "$|^|`|~|«|quoted|»|—|dash",
		"ÀÉ e\u0301":                 "ae|e",
		"one.two":                    "one|.|two",
		"ΟΔΟΣ":                       "οδος",
		"\u00bd \u2460 under_scored": "½|①|under|_|scored",
	} {
		if got := strings.Join(BasicTokens(text), "|"); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// The examples of Lin (2004), "ROUGE: a package for automatic evaluation of summaries".
func TestROUGEWorkedExamples(t *testing.T) {
	for _, c := range []struct {
		name, hyp, ref      string
		rouge1, rouge2, l   float64 // recall
		precision1, lengthL float64 // precision of ROUGE-1, ROUGE-L
	}{
		{"in order", "police kill the gunman", "police killed the gunman", 1, 1, 1, 1, 1},
		{"S1", "police slew the gunman", "police killed the gunman", .75, 1. / 3, .75, .75, .75},
		{"S2", "the gunman slew police", "police killed the gunman", .75, 1. / 3, .5, .75, .5},
		{"union of sequences", "w1 w2 w6 w7 w8\nw1 w3 w8 w9 w5", "w1 w2 w3 w4 w5", .8, .25, .8, .4, .4},
		{"a word counts once", "a b", "a b\na b", .5, 1. / 3, .5, 1, 1},
		{"punctuation and case", "The DOG's, house!", "the dog s house", 1, 1, 1, 1, 1},
		{"empty", "", "a", 0, 0, 0, 0, 0},
		{"nothing but punctuation", "...", "?!", 0, 0, 0, 0, 0},
		{"not ASCII", "中文", "中文", 0, 0, 0, 0, 0},
	} {
		s := ROUGE([]string{c.hyp}, [][]string{{c.ref}}, ROUGEOptions{})
		near(t, c.name+": ROUGE-1 recall", s.ROUGE1.Recall.Mean, fiveDigits(c.rouge1))
		near(t, c.name+": ROUGE-2 recall", s.ROUGE2.Recall.Mean, fiveDigits(c.rouge2))
		near(t, c.name+": ROUGE-L recall", s.ROUGEL.Recall.Mean, fiveDigits(c.l))
		near(t, c.name+": ROUGE-1 precision", s.ROUGE1.Precision.Mean, fiveDigits(c.precision1))
		near(t, c.name+": ROUGE-L precision", s.ROUGEL.Precision.Mean, fiveDigits(c.lengthL))
	}
}

func TestROUGEBootstrap(t *testing.T) {
	hyps := []string{"a b c", "a b", "x", "a c d", "q"}
	refs := [][]string{{"a b c"}, {"a c"}, {"a"}, {"a c"}, {"q r"}}
	s := ROUGE(hyps, refs, ROUGEOptions{Samples: OfficialSamples})
	plain := ROUGE(hyps, refs, ROUGEOptions{}).ROUGE1.F
	if !math.IsNaN(plain.Low) || !(math.Abs(s.ROUGE1.F.Mean-plain.Mean) < .05) {
		t.Errorf("the means are %v with samples and %v without", s.ROUGE1.F, plain)
	}
	if f := s.ROUGE1.F; !(f.Low < f.Mean && f.Mean < f.High) {
		t.Errorf("the interval is %v", f)
	}
	if again := ROUGE(hyps, refs, ROUGEOptions{Samples: OfficialSamples}); again.ROUGE1 != s.ROUGE1 {
		t.Errorf("%v became %v", s, again)
	}
	if other := ROUGE(hyps, refs, ROUGEOptions{Samples: OfficialSamples, Seed: 5000}); other.ROUGE1 == s.ROUGE1 {
		t.Error("another seed gives the same samples")
	}
	for _, samples := range []int{1, 2, 19} {
		if f := ROUGE(hyps, refs, ROUGEOptions{Samples: samples}).ROUGE1.F; !(f.Low <= f.High) {
			t.Errorf("%d samples: %v", samples, f)
		}
	}
	none := ROUGE(nil, nil, ROUGEOptions{Samples: OfficialSamples}).ROUGE1.F
	near(t, "mean of none", none.Mean, math.NaN())
	near(t, "low of none", none.Low, math.NaN())
}

func TestCaptionROUGEL(t *testing.T) {
	b2 := 1.2 * 1.2
	near(t, "a word missing", CaptionROUGEL([]string{"a b d"}, [][]string{{"a b c d"}}), (1+b2)*.75/(.75+b2))
	// Precision from the first reference, recall from the second.
	near(t, "two references", CaptionROUGEL([]string{"a b"}, [][]string{{"a b c d", "a"}}), 1)
	near(t, "both empty", CaptionROUGEL([]string{""}, [][]string{{""}}), 1)
	near(t, "one empty", CaptionROUGEL([]string{"", "a"}, [][]string{{"a"}, nil}), 0)
	near(t, "none", CaptionROUGEL(nil, nil), math.NaN())
	// Right values: rouge.py of pycocoevalcap 1.2, which splits at single spaces.
	for _, c := range []struct {
		hyp, ref string
		want     float64
	}{
		{"a red  ball", "a red ball", 0.8798076923076923},
		{"a red ball ", "a red ball", 0.8798076923076923},
		{"a\u00a0dog ran", "a dog ran", 0.3860759493670886},
		{"a\tdog", "a dog", 0},
		{"  ", "a", 0},
		{"a  b", "a  b", 1},
	} {
		near(t, fmt.Sprintf("%+q, %+q", c.hyp, c.ref), CaptionROUGEL([]string{c.hyp}, [][]string{{c.ref}}), c.want)
	}
}

// Right values: METEOR 1.5 with -l en -norm -m "exact stem".
func TestMETEORLetters(t *testing.T) {
	for _, c := range []struct {
		hyp, ref string
		want     float64
	}{
		{"Lê Nguyễn sleeps", "Lê Nguyễn sits", 0.4362280240375045},
		{"Brașov is large", "Brașov is small", 0.419450023112985},
		{"the ﬂat roof", "the ﬂat door", 0.32397191433991346},
		{"un ƒ x", "un ƒ y", 0.3184464413482169},
		{"the ǎ b", "the ǎ c", 0.272954092584186},
		{"x ẞ y", "x ẞ z", 0.3184464413482169},
		{"the ᴀb walks", "the ᴀb runs", 0.272954092584186},
		{"the ſun", "the ſea", 0.272954092584186},
		// White space and control characters of their own.
		{"a\vb runs \vx x\v", "a\vb walks", 0.1739130434782609},
		{"a\u2028b runs \u2028x x\u2028", "a\u2028b walks", 0.3074987661531382},
		{"a\x1fb runs \x1fx x\x1f", "a\x1fb walks", 0.31969034719004674},
	} {
		near(t, fmt.Sprintf("%+q", c.hyp), METEOR([]string{c.hyp}, [][]string{{c.ref}}, nil).METEOR, c.want)
	}
}

func TestMETEORTokens(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"The end.":                        "the|end|.",
		"Mr. Smith vs. Dr. No. 5":         "mr.|smith|vs.|dr.|no.|5",
		"No. He went.":                    "no|.|he|went|.",
		"U.S. and a.b.":                   "us|and|ab",
		"Inc. is followed":                "inc.|is|followed",
		"wait... what.. .":                "wait|...|what|..|.",
		"3,000.50 a,b c, d":               "3,000.50|a|,|b|c|,|d",
		"It's the dogs' 1990's ‘x’ ``y''": "it|'s|the|dogs|'|1990|'s|'|x|'|\"|y|\"",
		"state-of-the-art – yes -- -5":    "state|of|the|art|-|yes|-|-5",
		"“Quoted” (x) $5 50%":             "\"|quoted|\"|(|x|)|$|5|50|%",
		"naïve Москва 中文":                 "naïve|москва|中|文",
	} {
		got := strings.Join(meteorTokens(text), "|")
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestMETEOR(t *testing.T) {
	near(t, "same", METEOR([]string{"a dog runs"}, [][]string{{"a dog runs"}}, nil).METEOR, 1)
	near(t, "nothing in common", METEOR([]string{"a"}, [][]string{{"b"}}, nil).METEOR, 0)
	near(t, "empty", METEOR([]string{"", "a", ""}, [][]string{{"a"}, {""}, nil}, nil).METEOR, 0)
	near(t, "none", METEOR(nil, nil, nil).METEOR, math.NaN())
	// Content words alone: precision 1, recall 1/2, one piece of one match.
	s := METEOR([]string{"dogs"}, [][]string{{"dog barks"}}, nil)
	near(t, "precision of a stem", s.Precision, .6)
	near(t, "recall of a stem", s.Recall, .3)
	near(t, "penalty of one match", s.Penalty, .6)
	near(t, "METEOR of a stem", s.METEOR, .4/(.15/.6+.85/.3))
}

func TestMETEORReadsTheFirstWords(t *testing.T) {
	long := strings.Repeat("a ", meteorMaxWords) + "b"
	s := METEOR([]string{long, "a"}, [][]string{{"b"}, {long, "a"}}, nil)
	if s.Cut != 2 || len(s.Stages) != 2 {
		t.Errorf("got %+v", s)
	}
	near(t, "METEOR of what was read", METEOR([]string{long}, [][]string{{"b"}}, nil).METEOR, 0)
}

func TestROUGEReadsTheFirstWords(t *testing.T) {
	long := strings.Repeat("a\n", MaxWords) + "b\nb"
	s := ROUGE([]string{long, "a"}, [][]string{{"b"}, {long}}, ROUGEOptions{})
	if s.Cut != 2 || s.ROUGE1.F.Mean > .001 {
		t.Errorf("got %+v", s)
	}
	near(t, "caption ROUGE-L", CaptionROUGEL([]string{strings.ReplaceAll(long, "\n", " ")}, [][]string{{"b"}}), 0)
}

// A text that is one long word takes no time.
func TestLongWords(t *testing.T) {
	for _, word := range []string{strings.Repeat("y", 1<<17) + "al", strings.Repeat("ed", 1<<16), strings.Repeat("a.", 1<<16), strings.Repeat("-'", 1<<16)} {
		hyps, refs := []string{word}, [][]string{{word}}
		checkRange(t, "METEOR", METEOR(hyps, refs, nil).METEOR)
		checkRange(t, "ROUGE", ROUGE(hyps, refs, ROUGEOptions{}).ROUGE1.F.Mean)
		checkRange(t, "BLEU", BLEU(hyps, refs)[0])
		checkRange(t, "CoQA", CoQA([]Turn{{Answer: word, References: refs[0]}}).F1)
	}
}

func TestCoQA(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer Turn
		f1, em float64
	}{
		{"one reference", Turn{Answer: "The red ball", References: []string{"a ball"}}, 2. / 3, 0},
		{"punctuation and articles", Turn{Answer: "it's the U.S.A.", References: []string{"Its USA"}}, 1, 1},
		{"left out in turn", Turn{Answer: "x", References: []string{"x", "y", "y"}}, 2. / 3, 2. / 3},
		{"article inside a word", Turn{Answer: "than anthem éa", References: []string{"than anthem éa"}}, 1, 1},
		{"article in quotes", Turn{Answer: "“the” end", References: []string{"“ ” end"}}, 1, 1},
		{"empty", Turn{References: []string{"a"}}, 1, 1},
		{"empty and wrong", Turn{References: []string{"no"}}, 0, 0},
		{"missing", Turn{Missing: true, References: []string{""}}, 0, 0},
		{"no references", Turn{Answer: "yes"}, 0, 0},
		{"repeated words", Turn{Answer: "no no no", References: []string{"no no"}}, .8, 0},
		{"a sigma that ends a word", Turn{Answer: "ΟΔΟΣ ΑΣ", References: []string{"οδος ας"}}, 1, 1},
		{"a capital with a dot", Turn{Answer: "İzmit", References: []string{"i\u0307zmit"}}, 1, 1},
	} {
		got := CoQA([]Turn{c.answer})
		near(t, c.name+": F1", got.F1, c.f1)
		near(t, c.name+": EM", got.EM, c.em)
	}
	none := CoQA(nil)
	near(t, "F1 of none", none.F1, math.NaN())
	other := CoQA([]Turn{{Domain: "mine", Answer: "x", References: []string{"x"}}})
	near(t, "another domain", other.Domains["mine"].F1, 1)
	if other.InDomain.Turns != 0 || other.OutDomain.Turns != 0 {
		t.Errorf("got %v", other)
	}
}

func TestDistinct(t *testing.T) {
	hyps := []string{"a b a b", "a b", "", "c"}
	for n, want := range []float64{1: 3. / 7, 2: 2. / 4, 3: 1, 4: 1} {
		if n > 0 {
			near(t, "distinct", Distinct(hyps, n), want)
		}
	}
	near(t, "distinct-2 of single words", Distinct([]string{"a", "b"}, 2), math.NaN())
	near(t, "length", AverageLength(hyps), 7./4)
	near(t, "length of none", AverageLength(nil), math.NaN())
}

func TestScoresAreInRange(t *testing.T) {
	text := rapid.StringMatching(`([a-d]{1,2}[ .\n]){0,12}`)
	wordNet := readGroups(t, "a b\nc d aa\n")
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(t, "n")
		hyps, refs := make([]string, n), make([][]string, n)
		for i := range hyps {
			hyps[i], refs[i] = text.Draw(t, "hyp"), rapid.SliceOfN(text, 1, 3).Draw(t, "refs")
		}
		rouge := ROUGE(hyps, refs, ROUGEOptions{Samples: 20})
		scores := append([]float64{
			CaptionROUGEL(hyps, refs), METEOR(hyps, refs, nil).METEOR, METEOR(hyps, refs, wordNet).METEOR,
			rouge.ROUGE1.F.Mean, rouge.ROUGE2.F.Mean, rouge.ROUGEL.F.Mean,
		}, func() []float64 { b := BLEU(hyps, refs); return b[:] }()...)
		for i, s := range scores {
			if !(s >= 0 && s <= 1) {
				t.Fatalf("score %d is %v", i, s)
			}
		}
		// A sequence in common is made of words in common.
		if l, one := rouge.ROUGEL.Recall.Mean, rouge.ROUGE1.Recall.Mean; l > one+1e-9 {
			t.Fatalf("ROUGE-L recall %v is above ROUGE-1's %v", l, one)
		}
	})
}

// The beam search finds what trying all alignments finds, for texts short enough that
// nothing falls out of the beam, where distance does not decide.
func TestAlignIsBest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.SampledFrom([]string{"dog", "dogs", "cat", "a"})
		m := meteor{words: map[string]*meteorWord{}}
		cut := 0
		hyp := m.read(strings.Join(rapid.SliceOfN(word, 0, 4).Draw(t, "hyp"), " "), &cut)
		ref := m.read(strings.Join(rapid.SliceOfN(word, 0, 4).Draw(t, "ref"), " "), &cut)
		options := m.matches(hyp, ref)
		// Words that can only match each other do, whatever it costs.
		fixed := fixedMatches(hyp, ref, options)
		best := path{weight: -1}
		var try func(j int, p *path)
		try = func(j int, p *path) {
			p.mark()
			if j == len(ref) {
				if p.hypEnd >= 0 {
					p.chunks++
				}
				if p.weight > best.weight || p.weight == best.weight && p.chunks < best.chunks {
					best = *p
				}
				return
			}
			for _, o := range options[j] {
				if !p.uses(o) {
					q := p.with(o)
					try(j+1, &q)
				}
			}
			if !fixed[j] {
				q := p.without()
				try(j+1, &q)
			}
		}
		try(0, &path{hypEnd: -1, used: make([]uint64, 1)})
		weight := 0
		for _, a := range align(hyp, ref, options) {
			if a.stage == exactStage {
				weight += 2
			}
		}
		c := m.compare(hyp, ref)
		if weight != best.weight || int(c.chunks) != best.chunks {
			t.Fatalf("exact matches of %d words in %v pieces, want %d in %d", weight, c.chunks, best.weight, best.chunks)
		}
	})
}

func readGroups(t testing.TB, content string) *WordNet {
	t.Helper()
	path := filepath.Join(t.TempDir(), "synonyms.txt")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	w, err := OpenWordNet(path)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestWordNet(t *testing.T) {
	w, err := OpenWordNet("testdata/wordnet")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"car", "automobile", true},
		{"cars", "automobiles", true},
		{"bought", "purchases", true},
		{"children", "kid", true},
		{"buy", "car", false}, // the same place in another file
		{"bus", "bus", false}, // unknown
		{"bigger", "large", false},
		{"largest", "big", true},
		{"went", "walking", true},
	} {
		a, b := w.senses(c.a), w.senses(c.b)
		slices.Sort(a)
		slices.Sort(b)
		if share(a, b) != c.want {
			t.Errorf("%s %v and %s %v", c.a, a, c.b, b)
		}
	}
	if base, irregular := w.base("lying"); base != "lie" || !irregular {
		t.Errorf("the base of lying is %q", base)
	}
	groups := readGroups(t, "big large\n\nlarge great\n")
	if s := METEOR([]string{"large"}, [][]string{{"great"}}, groups); !equal(s.Precision, .8) || len(s.Stages) != 3 {
		t.Errorf("synonyms of a file give %+v", s)
	}
}

func TestOpenWordNetRefuses(t *testing.T) {
	for _, c := range []struct{ file, content, want string }{
		{"index.noun", "car n two 0 1 1 00000001", `index.noun:1: "two" is not the number of synsets`},
		{"index.verb", "  1 licence\nrun v 5 0 1 1 00000001", `index.verb:2: "5" is not the number of synsets`},
		{"index.verb", "run", "index.verb:1: 1 fields"},
		{"index.adj", "big a 1 0 1 1 -4", `index.adj:1: "-4" is not the place`},
		{"verb.exc", "ran run\nwent", `verb.exc:2: the form "went" has no base`},
		{"adv.exc", strings.Repeat("x", maxDictionaryLine+1), "adv.exc:1: the line is longer"},
		{"other", "", "holds neither index.noun"},
		{"index.noun", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "index.noun: is a Git LFS pointer"},
		{"noun.exc", "\x1f\x8b\x08\x00\x00", "noun.exc: is compressed with gzip"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, c.file), []byte(c.content), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenWordNet(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.30q: %v, want %s", c.file, c.content, err, c.want)
		}
	}
	if _, err := OpenWordNet(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("an absent dictionary opens")
	}
}

func BenchmarkROUGE(b *testing.B) {
	hyps, refs := benchmarkTexts(11490)
	for b.Loop() {
		ROUGE(hyps, refs, ROUGEOptions{Samples: OfficialSamples})
	}
}

func BenchmarkMETEOR(b *testing.B) {
	hyps, refs := benchmarkTexts(1000)
	for b.Loop() {
		METEOR(hyps, refs, nil)
	}
}

// benchmarkTexts makes n summaries of three sentences of eighteen words with one reference.
func benchmarkTexts(n int) (hyps []string, refs [][]string) {
	rng := newDrand48(1)
	text := func() string {
		var b strings.Builder
		for i := range 54 {
			b.WriteString("the said of investors departments running policy "[7*rng.intn(7):][:1+rng.intn(7)])
			b.WriteString([]string{" ", "\n"}[i%18/17])
		}
		return b.String()
	}
	for range n {
		hyps, refs = append(hyps, text()), append(refs, []string{text()})
	}
	return hyps, refs
}
