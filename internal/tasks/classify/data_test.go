package classify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
)

// A drawn dev set has about the share that was asked for, nothing is lost or in both parts, and no text is in both.
func TestDrawDev(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var examples []labelled.Example
		for i, text := range rapid.SliceOfN(rapid.IntRange(0, 50), 2, 80).Draw(t, "texts") {
			examples = append(examples, labelled.Example{TextA: fmt.Sprint(text), Line: i + 1})
		}
		share, seed := rapid.Float64Range(0.01, 0.99).Draw(t, "share"), rapid.Uint64().Draw(t, "seed")
		rest, drawn := drawDev(examples, share, seed)
		var lines []int
		in := map[string]bool{}
		for _, x := range drawn {
			lines, in[x.TextA] = append(lines, x.Line), true
		}
		for _, x := range rest {
			lines = append(lines, x.Line)
			if in[x.TextA] {
				t.Fatalf("text %s is in both parts", x.TextA)
			}
		}
		slices.Sort(lines)
		if len(rest) == 0 || len(lines) != len(examples) || len(slices.Compact(lines)) != len(examples) {
			t.Fatalf("%d and %d of %d", len(rest), len(drawn), len(examples))
		}
		if restAgain, _ := drawDev(examples, share, seed); len(restAgain) != len(rest) || restAgain[0].Line != rest[0].Line {
			t.Fatal("another draw with the same seed")
		}
	})
	var distinct []labelled.Example
	for i := range 100 {
		distinct = append(distinct, labelled.Example{TextA: fmt.Sprint(i)})
	}
	_, first := drawDev(distinct, 0.2, 1)
	_, second := drawDev(distinct, 0.2, 2)
	if len(first) != 20 || len(second) != 20 || first[0].TextA == second[0].TextA && first[1].TextA == second[1].TextA && first[2].TextA == second[2].TextA {
		t.Errorf("%d and %d drawn", len(first), len(second))
	}
	same := []labelled.Example{{TextA: "a"}, {TextA: "a"}}
	if rest, drawn := drawDev(same, 0.5, 1); len(rest) != 2 || len(drawn) != 0 {
		t.Errorf("%d and %d of two that are the same", len(rest), len(drawn))
	}
}

func TestWithLabels(t *testing.T) {
	open := labelled.Schema{Open: true}
	examples := []labelled.Example{{Label: "b", Class: -1}, {Label: "a", Class: -1}}
	resolved, _, err := withLabels(open, examples)
	if err != nil || !slices.Equal(resolved.Labels, []string{"a", "b"}) || open.Labels != nil || examples[0].Class != 1 {
		t.Errorf("%+v, %v, %+v", resolved, err, open)
	}
	if _, _, err := withLabels(labelled.Schema{Open: true, Regression: true}, []labelled.Example{{Score: 3}, {Score: 3}}); err == nil || !strings.Contains(err.Error(), "score 3 in all of 2") {
		t.Errorf("equal scores: %v", err)
	}
	if of := schemaOf(open, model.Config{NumLabels: 2, ID2Label: map[string]string{"1": "y"}}); !slices.Equal(of.Labels, []string{"0", "y"}) {
		t.Errorf("of a model: %v", of.Labels)
	}
}
