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

// TestGoldenGLUE compares the scores of glue.json that this package has.
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
					t.Skipf("not run: there is no %s here", g.Metric)
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

// TestGoldenBasicTokens compares the words that the reference makes of texts.
func TestGoldenBasicTokens(t *testing.T) {
	golden.Run(t, "metrics", func(t *testing.T, c golden.Case) {
		if !c.Has("bleu.json") {
			t.Skip("not run: the case has no bleu.json")
		}
		var file struct {
			Generation *struct {
				Predictions []string
				Targets     map[string]string `json:"tgt_bpe"`
				Refs        [][][]string      `json:"basic_tokens_refs"`
				Preds       [][]string        `json:"basic_tokens_preds"`
			} `json:"generation_eval"`
		}
		c.JSON(t, "bleu.json", &file)
		g := file.Generation
		if g == nil {
			t.Skip("not run: bleu.json has no texts") // a case of the metric alone, which has its own test
		}
		refs := basicReferences(t, g.Targets)
		for i, text := range g.Predictions {
			if pred := BasicTokens(text); !slices.Equal(pred, g.Preds[i]) || !slices.Equal(refs[i], g.Refs[i][0]) {
				t.Errorf("text %d: %q and %q, want %q and %q", i, pred, refs[i], g.Preds[i], g.Refs[i][0])
			}
		}
	})
}

// basicReferences decodes the targets, BPE ids by the number of the text as text.
func basicReferences(t *testing.T, targets map[string]string) (refs [][]string) {
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
			id, ok := tok.FromVocabLine(field)
			if !ok {
				t.Fatalf("BPE id %s is not in the vocabulary", field)
			}
			ids = append(ids, id)
		}
		refs = append(refs, BasicTokens(tok.DecodeString(ids)))
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
	"pearson_and_spearman": func(t *testing.T, preds json.RawMessage, labels []float64) map[string]float64 {
		p := numbers(t, preds)
		r, rho := Pearson(p, labels), Spearman(p, labels)
		return map[string]float64{"pearson": r, "spearmanr": rho, "p_and_sp": (r + rho) / 2}
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
