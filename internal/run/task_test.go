package run

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/train"
)

func TestMetricsOfSeveralSplits(t *testing.T) {
	results := []Result{
		{Split: "dev_m", Metrics: train.Numbers{"accuracy": 0.5}},
		{Split: "dev_mm", Metrics: train.Numbers{"accuracy": 0.25}},
	}
	m := Metrics(results)
	if m["accuracy"] != 0.5 || m["accuracy_dev_mm"] != 0.25 || len(m) != 2 {
		t.Errorf("got %v", m)
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
		g := &Grid{task: &Task{}}
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

// A metric is shown with what it was measured on, and a warning where that is very little; metrics of a
// group have a table of their own.
func TestTiles(t *testing.T) {
	task := &Task{Metric: "f1", Kind: grouping{}}
	tiles := task.tiles(Result{Split: "dev", Metrics: train.Numbers{"f1": 1, "examples": 2, "loss": 3, "apart": 4, "a": 5}})
	var names []string
	for _, tile := range tiles {
		names = append(names, tile.Name)
		if tile.Note != "on dev, 2 examples only" {
			t.Errorf("%s: note %q", tile.Name, tile.Note)
		}
	}
	if !slices.Equal(names, []string{"f1", "a", "loss", "examples"}) {
		t.Errorf("shown are %q", names)
	}
}

// grouping is a kind with a metric that is apart.
type grouping struct{ Kind }

func (grouping) Describe(metric string) (m Metric) {
	if metric == "apart" {
		m.Group = "others"
	}
	return m
}

// The best of runs is that with the most of the metric, or the least; undefined is worst.
func TestBetter(t *testing.T) {
	nan := train.Number(math.NaN())
	for _, c := range []struct {
		lower bool
		a, b  train.Number
		want  bool
	}{{false, 2, 1, true}, {false, 1, 2, false}, {true, 1, 2, true}, {true, 2, 1, false}, {false, 1, nan, true}, {true, nan, 1, false}, {true, 1, nan, true}, {false, 1, 1, false}, {false, nan, nan, false}} {
		if got := (&Task{Lower: c.lower}).better(c.a, c.b); got != c.want {
			t.Errorf("lower is better: %v; %v is better than %v: %v", c.lower, c.a, c.b, got)
		}
	}
}
