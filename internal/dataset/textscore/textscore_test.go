package textscore

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// One key never means two scores: metrics that share a key agree on it.
func TestNamesHaveOneMeaning(t *testing.T) {
	texts := []Text{
		{Hyp: "the cats are running home", Refs: []string{"the cat was running to a home", "home is where cats run"}, Domain: "mctest"},
		{Hyp: "it rains . they go home again", Refs: []string{"they went home . it rained again"}, Domain: "cnn"},
	}
	seen, of := map[string]float64{}, map[string]string{}
	for _, m := range Metrics() {
		r := m.Score(texts, Options{Samples: 10})
		if len(r.Scores) == 0 || m.What == "" {
			t.Errorf("%s has no scores, or says nothing of itself", m.Name)
		}
		for _, s := range r.Scores {
			if other, known := seen[s.Name]; known && other != s.Value {
				t.Errorf("%s is %v by %s and %v by %s", s.Name, other, of[s.Name], s.Value, m.Name)
			}
			seen[s.Name], of[s.Name] = s.Value, m.Name
		}
	}
	if seen["rouge-l"] == seen["caption-rouge-l"] {
		t.Errorf("both kinds of ROUGE-L are %v: the texts do not tell them apart", seen["rouge-l"])
	}
}

// Options that a metric does not name change nothing of it, those it names do.
func TestUses(t *testing.T) {
	texts := []Text{{Hyp: "He ran.<q>It went well, too.", Refs: []string{"It went well, too.<q>He ran home.", "He walked."}}, {Hyp: "Some went", Refs: []string{"some have gone"}}}
	with := map[Option]Options{
		Tokenize: {Tokenize: true, Samples: 20}, Separator: {Separator: "<q>", Samples: 20}, Best: {Best: true, Samples: 20}, Seed: {Seed: 7, Samples: 20},
	}
	for _, m := range Metrics() {
		plain := m.Score(texts, Options{Samples: 20})
		for option, o := range with {
			changed := !slices.Equal(m.Score(texts, o).Scores, plain.Scores)
			if changed != slices.Contains(m.Uses, option) && !(m.Name == "coqa") {
				t.Errorf("%s: %s changes the scores: %v", m.Name, option, changed)
			}
		}
	}
}

func TestCoQA(t *testing.T) {
	m, err := Find("coqa")
	if err != nil {
		t.Fatal(err)
	}
	texts, notes, err := m.Read(t.Context(), "../../../metrics/testdata/coqa_predictions.json", "../../../metrics/testdata/coqa.json")
	if err != nil || len(texts) != 9 || len(notes) != 0 {
		t.Fatalf("%d turns, %v, %v", len(texts), notes, err)
	}
	r := m.Score(texts, Options{})
	if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], "1 of 9 turns") {
		t.Errorf("warned of %q", r.Warnings)
	}
	got := map[string]float64{}
	for _, s := range r.Scores {
		got[s.Name] = s.Value
	}
	// What CoQA's own script printed.
	for name, want := range map[string]float64{"f1": .603, "em_in_domain": .381, "turns_out_domain": 2, "missing": 1} {
		if !(math.Abs(got[name]-want) < 5.1e-4) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, s := range m.Score([]Text{{Hyp: "x", Refs: []string{"x"}, Domain: "mine"}}, Options{}).Scores {
		if strings.Contains(s.Name, "domain") {
			t.Errorf("%s, though no turn is of CoQA's domains", s.Name)
		}
	}
}

func TestSentences(t *testing.T) {
	if got := Sentences(`He said "Go!" They went.  It rained.`); got != "He said \"Go!\"\nThey went.\nIt rained." {
		t.Errorf("got %q", got)
	}
}

func FuzzReadAnswers(f *testing.F) {
	for _, s := range []string{
		`[{"id": "a", "turn_id": 1, "answer": "x"}]`, `[]`, `[{}]`, `[1]`, "", `[{"id": "a", "turn_id": 1e9, "answer": null}`, "\xff", `{"id":1}`, "\ufeff[]", `[{"id": 7, "turn_id": 1, "answer": "x"}]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content string) {
		answers, err := readAnswers(strings.NewReader(content), "file")
		if err != nil && !strings.HasPrefix(err.Error(), "file: ") {
			t.Errorf("no place in %v", err)
		}
		if err == nil && (answers == nil || !json.Valid(infile.TrimMark([]byte(content)))) {
			t.Errorf("%q is read as %v", content, answers)
		}
	})
}

func FuzzScanLines(f *testing.F) {
	for _, s := range []string{"", "a\nb", "\xef\xbb\xbfa\r\n\n", "\x00", "\xff\n\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content string) {
		texts, err := scanLines(strings.NewReader(content), "file")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "file:") {
				t.Errorf("no place in %v", err)
			}
			return
		}
		if lines := strings.Count(content, "\n"); len(texts) != lines && len(texts) != lines+1 {
			t.Errorf("%d texts in %q", len(texts), content)
		}
		if slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, "\n") }) {
			t.Errorf("a line break in %q", texts)
		}
	})
}
