package metrics

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
)

// official is testdata/expected.json: texts and what the official programs say about
// them. testdata/expected.py made it.
type official struct {
	Hyps           []string
	Refs           [][]string
	BLEU           [4]float64
	CaptionROUGEL  float64 `json:"caption_rouge_l"`
	METEOR         officialMETEOR
	METEORSynonyms officialMETEOR `json:"meteor_synonyms"`
	ROUGE          officialROUGE
	ROUGEBest      officialROUGE `json:"rouge_best"`
	ROUGEIrregular officialROUGE `json:"rouge_irregular"`
	Stems          map[string]string
	CoQA           map[string]struct {
		F1, EM float64
		Turns  int
	}
	CoQATurns [][4]any `json:"coqa_turns"` // conversation, turn, F1, EM
}

type officialMETEOR struct {
	Score    float64
	Segments []float64
}

// officialROUGE has mean, lower and upper end of ROUGE-1-R, ROUGE-1-P, ...
type officialROUGE map[string][3]float64

func readOfficial(t *testing.T) (o official) {
	t.Helper()
	raw, err := os.ReadFile("testdata/expected.json")
	if err != nil {
		t.Fatal(err)
	}
	unmarshal(t, raw, &o)
	if len(o.Hyps) < 50 || len(o.Hyps) != len(o.Refs) || len(o.Stems) < 200 {
		t.Fatalf("expected.json has %d texts and %d stems", len(o.Hyps), len(o.Stems))
	}
	return o
}

func TestOfficialCaptionScores(t *testing.T) {
	o := readOfficial(t)
	for k, score := range BLEU(o.Hyps, o.Refs) {
		near(t, fmt.Sprintf("BLEU-%d", k+1), score, o.BLEU[k])
	}
	near(t, "ROUGE-L", CaptionROUGEL(singleSpaced(o.Hyps), mapped(o.Refs, singleSpaced)), o.CaptionROUGEL)
}

// singleSpaced are the texts with words that single spaces separate, as expected.py gave them to rouge.py.
func singleSpaced(texts []string) []string {
	return mapped(texts, func(s string) string { return strings.Join(strings.Fields(s), " ") })
}

func mapped[T any](list []T, f func(T) T) []T {
	out := make([]T, len(list))
	for i, x := range list {
		out[i] = f(x)
	}
	return out
}

func TestOfficialMETEOR(t *testing.T) {
	o := readOfficial(t)
	wordNet, err := OpenWordNet("testdata/wordnet")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		wordNet *WordNet
		want    officialMETEOR
		stages  int
	}{{"exact and stem", nil, o.METEOR, 2}, {"synonyms", wordNet, o.METEORSynonyms, 3}} {
		t.Run(c.name, func(t *testing.T) {
			got := METEOR(o.Hyps, o.Refs, c.wordNet)
			near(t, "METEOR", got.METEOR, c.want.Score)
			if len(got.Stages) != c.stages || got.Cut != 0 {
				t.Errorf("got the stages %v, %d texts cut", got.Stages, got.Cut)
			}
			for i, want := range c.want.Segments {
				near(t, fmt.Sprintf("METEOR of %q", o.Hyps[i]), METEOR(o.Hyps[i:i+1], o.Refs[i:i+1], c.wordNet).METEOR, want)
			}
		})
	}
}

func TestOfficialROUGE(t *testing.T) {
	o := readOfficial(t)
	wordNet, err := OpenWordNet("testdata/wordnet")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		opt  ROUGEOptions
		want officialROUGE
	}{
		{"all references", ROUGEOptions{Samples: OfficialSamples}, o.ROUGE},
		{"best reference", ROUGEOptions{Samples: OfficialSamples, Best: true}, o.ROUGEBest},
		{"irregular forms", ROUGEOptions{Samples: OfficialSamples, WordNet: wordNet}, o.ROUGEIrregular},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ROUGE(o.Hyps, o.Refs, c.opt)
			for name, s := range map[string]ROUGEScore{"ROUGE-1": got.ROUGE1, "ROUGE-2": got.ROUGE2, "ROUGE-L": got.ROUGEL} {
				for letter, e := range map[string]Estimate{"-R": s.Recall, "-P": s.Precision, "-F": s.F} {
					want, ok := c.want[name+letter]
					if !ok {
						t.Fatalf("expected.json has no %s%s", name, letter)
					}
					for i, v := range []float64{e.Mean, e.Low, e.High} {
						if fmt.Sprintf("%.5f", v) != fmt.Sprintf("%.5f", want[i]) {
							t.Errorf("%s%s: %v is %.5f, want %.5f", name, letter, []string{"mean", "low", "high"}[i], v, want[i])
						}
					}
				}
			}
		})
	}
}

func TestOfficialStems(t *testing.T) {
	for word, want := range readOfficial(t).Stems {
		if got := porter(word); got != want {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}

func TestOfficialCoQA(t *testing.T) {
	o := readOfficial(t)
	items := readConversations(t)
	if len(items) != len(o.CoQATurns) {
		t.Fatalf("%d turns, want %d", len(items), len(o.CoQATurns))
	}
	for i, turn := range o.CoQATurns {
		f1, em := turnScore(items[i])
		wantF1, _ := turn[2].(float64) // null, no prediction, counts 0
		wantEM, _ := turn[3].(float64)
		near(t, fmt.Sprintf("F1 of %v", turn[:2]), f1, wantF1)
		near(t, fmt.Sprintf("EM of %v", turn[:2]), em, wantEM)
	}
	got := CoQA(items)
	for name, s := range map[string]CoQAScore{
		"overall": got.CoQAScore, "in_domain": got.InDomain, "out_domain": got.OutDomain,
		"children_stories": got.Domains["mctest"], "news": got.Domains["cnn"], "science": got.Domains["science"],
	} {
		percent := func(x float64) float64 { return math.Round(1000*x) / 10 }
		if want := o.CoQA[name]; percent(s.F1) != want.F1 || percent(s.EM) != want.EM || s.Turns != want.Turns {
			t.Errorf("%s: %+v, want %+v", name, s, want)
		}
	}
	if len(got.Domains) != 3 || got.Domains["mctest"].Turns != 4 {
		t.Errorf("the domains are %v", got.Domains)
	}
}

// readConversations reads testdata/coqa.json with coqa_predictions.json.
func readConversations(t *testing.T) (items []Turn) {
	t.Helper()
	type answer struct {
		ID     string
		Text   string `json:"input_text"`
		Turn   int    `json:"turn_id"`
		Answer string
	}
	var gold struct {
		Data []struct {
			ID, Source string
			Answers    []answer
			Additional map[string][]answer `json:"additional_answers"`
		}
	}
	var predictions []answer
	for path, v := range map[string]any{"testdata/coqa.json": &gold, "testdata/coqa_predictions.json": &predictions} {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, v); err != nil {
			t.Fatal(err)
		}
	}
	for _, story := range gold.Data {
		for i, a := range story.Answers {
			x := Turn{Domain: story.Source, Missing: true, References: []string{a.Text}}
			for _, more := range story.Additional {
				x.References = append(x.References, more[i].Text)
			}
			for _, p := range predictions {
				if p.ID == story.ID && p.Turn == a.Turn {
					x.Answer, x.Missing = p.Answer, false
				}
			}
			items = append(items, x)
		}
	}
	return items
}
