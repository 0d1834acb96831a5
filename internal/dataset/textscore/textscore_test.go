package textscore

import (
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
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

// What pycocoevalcap printed for the captions of package metrics, here in COCO's forms: numbers and names as ids, the
// annotations out of order.
func TestCaptions(t *testing.T) {
	raw, err := os.ReadFile("../../../metrics/testdata/captions.json")
	if err != nil {
		t.Fatal(err)
	}
	var g struct {
		Hyps   []string
		Refs   [][]string
		BLEU   [4]float64
		ROUGEL float64                  `json:"rouge_l"`
		CIDErD struct{ Corpus float64 } `json:"cider_d"`
		CIDEr  struct{ Corpus float64 }
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		t.Fatal(err)
	}
	type item map[string]any
	var results, annotations, images []item
	for i := range g.Hyps {
		results = append(results, item{"image_id": i, "caption": g.Hyps[i]})
		images = append(images, item{"id": i})
		last := len(g.Hyps) - 1 - i
		for _, ref := range g.Refs[last] {
			annotations = append(annotations, item{"id": len(annotations), "image_id": last, "caption": ref})
		}
	}
	dir := t.TempDir()
	files := map[string]any{"hyp.json": results, "ref.json": item{"info": item{"year": 2014}, "annotations": annotations, "images": images}}
	for name, content := range files {
		text, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m, err := Find("caption")
	if err != nil {
		t.Fatal(err)
	}
	texts, _, err := m.Read(t.Context(), filepath.Join(dir, "hyp.json"), filepath.Join(dir, "ref.json"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, s := range m.Score(texts, Options{}).Scores {
		got[s.Name] = s.Value
	}
	for name, want := range map[string]float64{
		"coco-bleu-1": g.BLEU[0], "coco-bleu-4": g.BLEU[3], "coco-rouge-l": g.ROUGEL, "cider-d": g.CIDErD.Corpus, "cider": g.CIDEr.Corpus,
	} {
		if !(math.Abs(got[name]-want) < 1e-9) {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if len(got) != 8 || !(got["coco-meteor"] > 0) {
		t.Errorf("the scores are %v", got)
	}
}

func TestReadCaptions(t *testing.T) {
	const refs = `{"annotations": [{"image_id": 7, "caption": "a"}, {"image_id": "b.jpg", "caption": "b"}]}`
	for _, c := range []struct{ hyp, ref, want string }{
		{`[{"image_id": 7, "caption": "x"}, {"image_id": "b.jpg", "caption": ""}]`, refs, ""},
		{`[{"image_id": 7, "caption": "x"}, {"image_id": 7, "caption": "y"}]`, refs, "hyp.json:1: item 2 is another caption of image 7; leave one"},
		{`[{"image_id": 7, "caption": "x"}]`, refs, "hyp.json: has no caption of image b.jpg; 1 of 2 images in "},
		{`[{"image_id": 8, "caption": "x"}]`, refs, "hyp.json: image 8 is not in "},
		{`[{"image_id": 7}]`, refs, `hyp.json:1: item 1 lacks "image_id" or "caption"; give a JSON list`},
		{`[{"image_id": 7, "caption": 1}]`, refs, "hyp.json:1: item 1 cannot be read: \"caption\" is"},
		{`{"image_id": 7}`, refs, `hyp.json:1: "image_id" is of an object`},
		{`[]`, refs, "hyp.json: has no captions"},
		{`[{"image_id": 7, "caption": "x"}]`, `{"images": [{"id": 7}]}`, "ref.json: has no captions"},
		{`[{"image_id": 7, "caption": "x"}]`, `{"images": [{"id": 1}, {"id": 7}], "annotations": [{"image_id": 7, "caption": "a"}]}`, "ref.json: image 1 has no captions"},
		{`[{"image_id": 7, "caption": "x"}]`, `{"images": [{"id": 7}, {"id": 7}], "annotations": [{"image_id": 7, "caption": "a"}]}`, "ref.json: image 7 is there twice"},
		{`[{"image_id": 7, "caption": "x"}]`, `[{"image_id": 7, "caption": "x"}]`, "ref.json:1: item 1 lacks"},
	} {
		dir := t.TempDir()
		hyp, ref := filepath.Join(dir, "hyp.json"), filepath.Join(dir, "ref.json")
		for path, content := range map[string]string{hyp: c.hyp, ref: c.ref} {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		texts, err := readCaptions(t.Context(), hyp, ref)
		switch {
		case err == nil && c.want == "":
			if len(texts) != 2 || texts[0].Hyp != "x" || texts[1].Refs[0] != "b" {
				t.Errorf("%+v", texts)
			}
		case err == nil || !strings.Contains(err.Error(), c.want):
			t.Errorf("%s against %s: %v, want %q", c.hyp, c.ref, err, c.want)
		}
	}
}

func FuzzReadCaptions(f *testing.F) {
	for _, s := range []string{
		`[{"image_id": 1, "caption": "x"}]`, `{"images": [{"id": 1}], "annotations": [{"image_id": 1, "caption": "x"}]}`, "[]", "", "\xff", `{"annotations": 1}`, `[{"image_id": null}]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, content string) {
		for _, read := range []func(io.Reader, string) (*captioned, error){readResult, readAnnotations} {
			c, err := read(strings.NewReader(content), "file")
			if err != nil && !strings.HasPrefix(err.Error(), "file:") {
				t.Errorf("no place in %v", err)
			}
			if err == nil && len(c.ids) == 0 {
				t.Errorf("%q has no captions", content)
			}
		}
	})
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
