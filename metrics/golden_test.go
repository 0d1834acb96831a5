package metrics

import (
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/tokenizer"
)

// TestGoldenGLUE compares every score of glue.json; bleu.json has its own test below,
// recall.json belongs to another metric.
func TestGoldenGLUE(t *testing.T) {
	golden.Run(t, "metrics", func(t *testing.T, c golden.Case) {
		if !c.Has("glue.json") {
			t.Skip("not run: the case has no glue.json")
		}
		var file struct {
			Cases []struct {
				Metric   string
				Preds    json.RawMessage
				Labels   []float64
				Expected json.RawMessage
			}
		}
		c.JSON(t, "glue.json", &file)
		if len(file.Cases) == 0 {
			t.Fatal("glue.json holds no cases")
		}
		for _, g := range file.Cases {
			t.Run(g.Metric, func(t *testing.T) {
				score, known := goldenScores[g.Metric]
				if !known {
					t.Skipf("not run: metric %q is unknown here", g.Metric)
				}
				got := score(t, g.Preds, g.Labels)
				want := expected(t, g.Expected)
				if len(want) != len(got) {
					t.Errorf("got the scores %v, want %v", got, want)
				}
				for name, w := range want {
					if g, ok := got[name]; !ok || !equal(g, w) {
						t.Errorf("%s is %v, want %v", name, g, w)
					}
				}
			})
		}
	})
}

// TestGoldenBLEU compares every case of bleu.json, and the evaluation of texts with the
// words that the reference makes of them.
func TestGoldenBLEU(t *testing.T) {
	golden.Run(t, "metrics", func(t *testing.T, c golden.Case) {
		if !c.Has("bleu.json") {
			t.Skip("not run: the case has no bleu.json")
		}
		var file struct {
			Cases []struct {
				Refs     [][][]string
				Preds    [][]string
				Smooth   bool
				Expected struct {
					BLEU, BP, Ratio float64
					Precisions      [4]float64
					Translation     int `json:"translation_length"`
					Reference       int `json:"reference_length"`
				}
			}
			Generation *struct {
				Predictions []string
				Targets     map[string]string `json:"tgt_bpe"`
				BLEU        float64           `json:"expected_bleu"`
				Refs        [][][]string      `json:"basic_tokens_refs"`
				Preds       [][]string        `json:"basic_tokens_preds"`
			} `json:"generation_eval"`
		}
		c.JSON(t, "bleu.json", &file)
		if len(file.Cases) == 0 {
			t.Fatal("bleu.json holds no cases")
		}
		for i, g := range file.Cases {
			got, want := ReferenceBLEU(g.Preds, g.Refs, g.Smooth), g.Expected
			if !equal(got.BLEU, want.BLEU) || !equal(got.Brevity, want.BP) || !equal(got.Ratio, want.Ratio) ||
				got.HypLength != want.Translation || got.RefLength != want.Reference {
				t.Errorf("case %d: %+v, want %+v", i, got, want)
			}
			for k, p := range want.Precisions {
				if !equal(got.Precisions[k], p) {
					t.Errorf("case %d: precision of %d words is %v, want %v", i, k+1, got.Precisions[k], p)
				}
			}
		}
		if g := file.Generation; g != nil {
			t.Run("texts", func(t *testing.T) {
				refs := basicReferences(t, g.Targets)
				var preds [][]string
				for i, text := range g.Predictions {
					preds = append(preds, BasicTokens(text))
					if !slices.Equal(preds[i], g.Preds[i]) || !slices.Equal(refs[i][0], g.Refs[i][0]) {
						t.Errorf("text %d: %q and %q, want %q and %q", i, preds[i], refs[i][0], g.Preds[i], g.Refs[i][0])
					}
				}
				near(t, "BLEU", ReferenceBLEU(preds, refs, false).BLEU, g.BLEU)
			})
		}
	})
}

// basicReferences decodes the targets, BPE ids by the number of the text as text.
func basicReferences(t *testing.T, targets map[string]string) (refs [][][]string) {
	t.Helper()
	tok, err := tokenizer.Load(golden.Data(t, "unimo-dict"))
	if err != nil {
		t.Fatal(err)
	}
	keys := make([]string, 0, len(targets))
	for k := range targets {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(len(a)-len(b), strings.Compare(a, b)) }) // as numbers
	for _, k := range keys {
		var ids []int32
		for field := range strings.FieldsSeq(targets[k]) {
			id, ok := tok.FromBPE(field)
			if !ok {
				t.Fatalf("BPE id %s is not in the vocabulary", field)
			}
			ids = append(ids, id)
		}
		refs = append(refs, [][]string{BasicTokens(tok.DecodeString(ids))})
	}
	return refs
}

// goldenScores computes the scores of one golden case by the reference's names.
var goldenScores = map[string]func(t *testing.T, preds json.RawMessage, labels []float64) map[string]float64{
	"simple_accuracy": func(t *testing.T, preds json.RawMessage, labels []float64) map[string]float64 {
		return map[string]float64{"acc": Accuracy(classes(numbers(t, preds)), classes(labels))}
	},
	"matthews_corrcoef": func(t *testing.T, preds json.RawMessage, labels []float64) map[string]float64 {
		return map[string]float64{"mat_cor": Matthews(classes(numbers(t, preds)), classes(labels))}
	},
	"f1_score": func(t *testing.T, preds json.RawMessage, labels []float64) map[string]float64 {
		return map[string]float64{"f1": F1(classes(numbers(t, preds)), classes(labels))}
	},
	"acc_and_f1": func(t *testing.T, preds json.RawMessage, labels []float64) map[string]float64 {
		a, f, mean := AccuracyAndF1(classes(numbers(t, preds)), classes(labels))
		return map[string]float64{"acc": a, "f1": f, "acc_and_f1": mean}
	},
	"pearson_and_spearman": func(t *testing.T, preds json.RawMessage, labels []float64) map[string]float64 {
		p := numbers(t, preds)
		r, rho := Pearson(p, labels), Spearman(p, labels)
		return map[string]float64{"pearson": r, "spearmanr": rho, "p_and_sp": (r + rho) / 2}
	},
	"evaluate_mrr": func(t *testing.T, preds json.RawMessage, _ []float64) map[string]float64 {
		return map[string]float64{"": MRR(ranked(t, preds))}
	},
	"evaluate_map": func(t *testing.T, preds json.RawMessage, _ []float64) map[string]float64 {
		return map[string]float64{"": MAP(ranked(t, preds))}
	},
}

// expected reads either a lone number (named "") or an object of named numbers,
// in which "nan" stands for NaN and "key_eval" is no score.
func expected(t *testing.T, raw json.RawMessage) map[string]float64 {
	t.Helper()
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		object = map[string]json.RawMessage{"": raw}
	}
	delete(object, "key_eval")
	out := map[string]float64{}
	for name, value := range object {
		if string(value) == `"nan"` {
			out[name] = math.NaN()
			continue
		}
		var number float64
		unmarshal(t, value, &number)
		out[name] = number
	}
	return out
}

func numbers(t *testing.T, raw json.RawMessage) (out []float64) {
	t.Helper()
	unmarshal(t, raw, &out)
	return out
}

func ranked(t *testing.T, raw json.RawMessage) []Ranked {
	t.Helper()
	var rows [][3]float64 // question, score, label
	unmarshal(t, raw, &rows)
	out := make([]Ranked, len(rows))
	for i, r := range rows {
		out[i] = Ranked{Query: int(r[0]), Relevant: r[2] != 0}
	}
	return out
}

func classes(values []float64) []int {
	out := make([]int, len(values))
	for i, v := range values {
		out[i] = int(v)
	}
	return out
}

func unmarshal(t *testing.T, raw json.RawMessage, v any) {
	t.Helper()
	if err := json.Unmarshal(raw, v); err != nil {
		t.Fatal(err)
	}
}
