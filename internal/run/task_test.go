package run

import (
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/settings"
	"github.com/unimo-go/unimo/internal/base/textfile"
	"github.com/unimo-go/unimo/internal/dataset/labelled"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/test/golden"
	"github.com/unimo-go/unimo/internal/train"
)

// The presets read the real files whole, and find them by the names they have.
func TestPresetsReadRealData(t *testing.T) {
	for _, c := range []struct {
		task, folder string
		train, dev   int
	}{{"sst-2", "sst2", 67349, 872}, {"cola", "cola", 8551, 527}, {"sts-b", "stsb", 5749, 1500}} {
		t.Run(c.task, func(t *testing.T) {
			dir := golden.Data(t, c.folder)
			p, err := Find(c.task)
			if err != nil {
				t.Fatal(err)
			}
			for split, want := range map[*Split]int{&p.Train: c.train, &p.Dev[0]: c.dev} {
				path, err := textfile.Resolve(dir, split.Name, split.Files)
				if err != nil {
					t.Fatal(err)
				}
				examples, _, err := labelled.Read(path, p.Schema, labelled.ReadOptions{})
				if err != nil || len(examples) != want {
					t.Errorf("%s: %d examples, want %d (%v)", filepath.Base(path), len(examples), want, err)
				}
			}
		})
	}
}

func TestDefaultsAreValid(t *testing.T) {
	for _, name := range Names() {
		p, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range []string{"mini", "base", "large"} {
			s, err := Defaults(p, size)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Validate(); err != nil {
				t.Errorf("%s, %s: %v", name, size, err)
			}
			for _, setting := range settings.List(s) {
				if setting.Help == "" || setting.Key != strings.ToLower(setting.Key) {
					t.Errorf("setting %q has no help, or is not snake case", setting.Key)
				}
			}
		}
	}
}

func TestScoreOfClassification(t *testing.T) {
	p, err := Find("sst-2")
	if err != nil {
		t.Fatal(err)
	}
	records := []labelled.Record{{Class: 0}, {Class: 1}, {Class: 1}, {Class: 0}}
	out := Outputs{{2, 0}, {0, 1}, {1, 0}, {3, 3}} // the last is a tie: the first class
	s := score(p, model.Config{}, records, out)
	if s.Metrics["accuracy"] != 0.75 || s.Metrics["examples"] != 4 {
		t.Errorf("metrics are %v", s.Metrics)
	}
	soft := func(margin float64) float64 { return math.Log1p(math.Exp(-margin)) } // -log p
	want := (soft(2) + soft(1) + soft(-1) + soft(0)) / 4
	if got := float64(s.Metrics["loss"]); !(math.Abs(got-want) <= 1e-12) {
		t.Errorf("loss is %v, want %v", got, want)
	}
	if !slices.Equal(s.Confusion[0], []int{2, 0}) || !slices.Equal(s.Confusion[1], []int{1, 1}) {
		t.Errorf("confusion is %v", s.Confusion)
	}
}

func TestScoreOfRegression(t *testing.T) {
	p, err := Find("sts-b")
	if err != nil {
		t.Fatal(err)
	}
	records := []labelled.Record{{Score: 1}, {Score: 2}, {Score: 3}}
	s := score(p, model.Config{}, records, Outputs{{2}, {4}, {6}})
	if m := s.Metrics; math.Abs(float64(m["pearson"])-1) > 1e-12 || m["spearman"] != 1 || math.Abs(float64(m["loss"])-14.0/3) > 1e-12 {
		t.Errorf("metrics are %v", m)
	}
	if _, ok := s.Metrics["accuracy"]; ok {
		t.Error("a regression has an accuracy")
	}
}

func TestMetricsOfSeveralSplits(t *testing.T) {
	results := []Result{
		{Split: "dev_m", Scores: Scores{Metrics: train.Numbers{"accuracy": 0.5}}},
		{Split: "dev_mm", Scores: Scores{Metrics: train.Numbers{"accuracy": 0.25}}},
	}
	m := Metrics(results)
	if m["accuracy"] != 0.5 || m["accuracy_dev_mm"] != 0.25 || len(m) != 2 {
		t.Errorf("got %v", m)
	}
}

func TestSoftmax(t *testing.T) {
	for _, logits := range [][]float32{{0, 0}, {1000, 999, -1000}, {-1e30, 1e30}, {5}} {
		var sum float64
		for _, p := range softmax(logits) {
			if !(p >= 0 && p <= 1) {
				t.Errorf("softmax(%v) has %v", logits, p)
			}
			sum += p
		}
		if math.Abs(sum-1) > 1e-12 {
			t.Errorf("softmax(%v) adds up to %v", logits, sum)
		}
	}
}

// hundred is an axis of a hundred values.
func hundred(key string) string {
	values := make([]string, 100)
	for i := range values {
		values[i] = strconv.Itoa(i)
	}
	return key + "=" + strings.Join(values, ",")
}

func TestCombinations(t *testing.T) {
	cells, err := combinations([]string{"batch_size=16,32", "seed=1,2,3"})
	if err != nil || len(cells) != 6 {
		t.Fatalf("%v, %v", cells, err)
	}
	if c := cells[1]; c.Name != "batch_size-16_seed-2" || !slices.Equal(c.Set, []string{"batch_size=16", "seed=2"}) {
		t.Errorf("the second cell is %+v", c)
	}
	for _, axes := range [][]string{{"seed"}, {"seed="}, {"=1"}, {"seed=../x"}, {`seed=a\b`}, {"seed=1,1"}, {"seed=1, 1"}, {"seed=1,,2"}, {"seed=1", "seed=2"}, {hundred("a"), hundred("b") + ",100"}} {
		if _, err := combinations(axes); err == nil {
			t.Errorf("%.20q was accepted", axes)
		}
	}
}

func TestSummarise(t *testing.T) {
	nan := train.Number(math.NaN())
	for _, c := range []struct {
		name                          string
		scores                        []train.Number
		best                          int
		bestScore, median, mean, devi float64
	}{
		{"one", []train.Number{3}, 0, 3, 3, 3, 0},
		{"odd", []train.Number{1, 3, 2}, 1, 3, 2, 2, 1},
		{"even, ties keep the first", []train.Number{4, 4, 1, 2}, 0, 4, 3, 2.75, 1.5},
		{"undefined is worst", []train.Number{nan, 1}, 1, 1, math.NaN(), math.NaN(), math.NaN()},
	} {
		g := &Grid{}
		for _, s := range c.scores {
			g.Cells = append(g.Cells, Cell{Score: s})
		}
		g.summarise()
		same := func(got train.Number, want float64) bool {
			return math.Abs(float64(got)-want) <= 1e-12 || math.IsNaN(float64(got)) && math.IsNaN(want)
		}
		if g.Best != c.best || !same(g.BestScore, c.bestScore) || !same(g.Median, c.median) || !same(g.Mean, c.mean) || !same(g.Deviation, c.devi) {
			t.Errorf("%s: got %+v", c.name, g)
		}
	}
}

// The mistakes shown are those the model was surest of.
func TestMistakes(t *testing.T) {
	p, err := Find("sst-2")
	if err != nil {
		t.Fatal(err)
	}
	r := Result{
		Examples: []labelled.Example{{TextA: "right", Class: 0}, {TextA: "slightly wrong", Class: 0}, {TextA: "very wrong", Class: 1}},
		Outputs:  Outputs{{1, 0}, {0, 1}, {9, 0}},
	}
	wrong, note := mistakes(p, r)
	if want := "All 2 mistakes among 3 examples, the most confident first."; note != want {
		t.Errorf("note %q, want %q", note, want)
	}
	if len(wrong) != 2 || wrong[0].Text != "very wrong" || wrong[0].Predicted != "negative" || wrong[1].Text != "slightly wrong" {
		t.Errorf("got %+v", wrong)
	}
	for range 2 * shownMistakes {
		r.Examples, r.Outputs = append(r.Examples, labelled.Example{TextA: "wrong"}), append(r.Outputs, []float32{0, 1})
	}
	wrong, note = mistakes(p, r)
	if want := "The 20 most confident mistakes of 42, among 43 examples."; len(wrong) != shownMistakes || note != want {
		t.Errorf("%d mistakes, note %q, want %q", len(wrong), note, want)
	}
}
