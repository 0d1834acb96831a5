package synth

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// readLabel labels a text by the rules of the package without knowing the
// meaning: it finds the main clause by the connective, then counts what denies
// in it. It is the oracle for the grammar and shares only the lexicon with it.
func readLabel(t *testing.T, text string) bool {
	t.Helper()
	text = " " + strings.TrimRight(text, " .!") + " "
	for _, o := range openers {
		text = strings.Replace(text, " "+o+" ", " ", 1)
	}
	clause := text
	for _, word := range []string{"but", "yet"} {
		if _, after, ok := strings.Cut(text, " , "+word+" "); ok {
			clause = after
		}
	}
	if _, after, ok := strings.Cut(text, " . still , "); ok {
		clause = after
	}
	for _, word := range []string{"although", "even though", "despite", "in spite of"} {
		if before, _, ok := strings.Cut(text, " , "+word+" "); ok {
			clause = before
		} else if strings.HasPrefix(text, " "+word+" ") {
			_, clause, _ = strings.Cut(text, " , ")
		}
	}
	if _, after, ok := strings.Cut(text, " and "); ok {
		clause = after
	}
	clause = " " + strings.TrimSpace(clause) + " "

	positive, found := false, 0
	for _, q := range qualities {
		for _, form := range []string{q.Word, q.Past} {
			if form != "" && strings.Contains(clause, " "+form+" ") {
				positive = q.Positive
				found++
			}
		}
	}
	if found != 1 {
		t.Errorf("%q: the main clause %q has %d words of known polarity, want 1", text, clause, found)
	}
	for _, phrase := range []string{"i doubt", "nobody would say", "it is not true", "i do not believe"} {
		if strings.Contains(clause, " "+phrase+" that ") {
			positive = !positive
			clause = strings.Replace(clause, phrase, "", 1)
		}
	}
	for _, word := range []string{"not", "n't", "never", "hardly", "barely", "far from", "anything but", "no longer", "less", "nobody"} {
		if strings.Contains(clause, " "+word+" ") {
			positive = !positive
		}
	}
	return positive
}

func TestTextsCarryTheirLabel(t *testing.T) {
	train, heldOut := Opinions(5, 6000, 2000)
	for _, o := range slices.Concat(train, heldOut) {
		if got := readLabel(t, o.Text); got != o.Positive {
			t.Errorf("%q (%v): the text reads as positive=%t", o.Text, o.Meaning, got)
		}
	}
}

func TestRules(t *testing.T) {
	good, bad, liked := Quality{Word: "good", Positive: true}, Quality{Word: "bad"}, Quality{Word: "like", Past: "liked", Positive: true}
	claim := func(o Operator, d Degree, q Quality) Claim { return Claim{Operator: o, Degree: d, Quality: q} }
	for _, c := range []struct {
		meaning Meaning
		want    bool
	}{
		{Meaning{Main: claim(Affirm, NoDegree, good)}, true},
		{Meaning{Main: claim(Affirm, Slightly, bad)}, false},
		{Meaning{Main: claim(Not, Very, good)}, false},
		{Meaning{Main: claim(Hardly, Ever, bad)}, true},
		{Meaning{Main: claim(Less, Much, bad)}, true},
		{Meaning{Main: claim(More, Much, bad)}, false},
		{Meaning{Main: claim(Nobody, Really, liked)}, false},
		{Meaning{Main: Claim{Operator: Never, Quality: bad, Frame: Deny}}, false},
		{Meaning{Main: Claim{Quality: bad, Frame: Assert}}, false},
		{Meaning{claim(Affirm, NoDegree, good), But, claim(Affirm, Extremely, bad)}, true},
		{Meaning{claim(FarFrom, NoDegree, good), AlthoughLast, claim(Affirm, Very, good)}, false},
	} {
		if got := c.meaning.Positive(); got != c.want {
			t.Errorf("%v is positive=%t, want %t", c.meaning, got, c.want)
		}
	}
}

// Every quality, operator, degree and link must be in training with most of its
// combinations, or what is held out cannot be derived from it.
func TestHoldingOutTakesAFewOfEverything(t *testing.T) {
	type count struct{ out, all int }
	counts := make(map[string]*count)
	note := func(part string, out bool) {
		if counts[part] == nil {
			counts[part] = &count{}
		}
		counts[part].all++
		if out {
			counts[part].out++
		}
	}
	for _, q := range qualities {
		for o := range operatorTable {
			if !Operator(o).allows(q) {
				continue
			}
			for _, d := range Operator(o).degrees(q) {
				c := Claim{Operator: Operator(o), Degree: d, Quality: q}
				for _, combination := range (Meaning{Main: c}).Combinations() {
					note("quality "+q.Word, combination.HeldOut)
					note(fmt.Sprintf("phrase %v %v, verb %t", c.Operator, d, q.IsVerb()), combination.HeldOut)
				}
			}
		}
		for l := And; int(l) < len(linkTable); l++ {
			for _, side := range qualities {
				m := Meaning{Claim{Quality: q}, l, Claim{Quality: side}}
				combination := m.Combinations()[0]
				note("main "+q.Word, combination.HeldOut)
				note("side "+side.Word, combination.HeldOut)
				note("link "+l.String(), combination.HeldOut)
			}
		}
	}
	for part, c := range counts {
		if c.out == 0 || 3*c.out > c.all {
			t.Errorf("%s: %d of %d combinations are held out, want some and at most a third", part, c.out, c.all)
		}
	}
}

func TestCombinationNamesAreDistinct(t *testing.T) {
	held := make(map[string]bool)
	for seed := range uint64(3) {
		train, heldOut := Opinions(seed, 4000, 1000)
		for _, o := range slices.Concat(train, heldOut) {
			for _, c := range o.Meaning.Combinations() {
				if was, ok := held[c.Name]; ok && was != c.HeldOut {
					t.Errorf("%q is the name of two combinations", c.Name)
				}
				held[c.Name] = c.HeldOut
			}
		}
	}
}

func TestLexicon(t *testing.T) {
	seen := make(map[string]bool)
	positive := 0
	for i, q := range qualities {
		if q.index != i {
			t.Errorf("%q is number %d, at place %d", q.Word, q.index, i)
		}
		for _, form := range []string{q.Word, q.Past} {
			if form != "" && seen[form] {
				t.Errorf("%q occurs twice", form)
			}
			seen[form] = true
		}
		if q.Positive {
			positive++
		}
	}
	if 2*positive != len(qualities) {
		t.Errorf("%d of %d qualities are positive, want half", positive, len(qualities))
	}
	words := make(map[string]bool)
	train, _ := Opinions(1, 8000, 0)
	for _, o := range train {
		for _, w := range strings.Fields(o.Text) {
			words[w] = true
		}
	}
	t.Logf("%d qualities, %d different words", len(qualities), len(words))
	if len(words) < 200 || len(words) > 400 {
		t.Errorf("the opinions have %d different words, want 200 to 400", len(words))
	}
	for _, e := range Examples() {
		for _, w := range strings.Fields(e) {
			if !words[w] {
				t.Errorf("example %q: %q does not occur in training", e, w)
			}
		}
		readLabel(t, e)
	}
}
