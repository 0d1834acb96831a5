package classes

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/unimo-go/unimo/metrics"
)

func TestSoftmax(t *testing.T) {
	for _, logits := range [][]float32{{0, 0}, {1000, 999, -1000}, {-1e30, 1e30}, {5}} {
		var sum float64
		for _, p := range Softmax(logits) {
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

// The loss is a number also where a probability is too small for one.
func TestCrossEntropyOfHopelessClasses(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		class  int
		want   float64
	}{
		{[]float32{0, 0}, 1, math.Ln2},
		{[]float32{1e6, -1e6}, 1, 2e6},
		{[]float32{1000, 1000, -1000}, 2, 2000 + math.Ln2},
		{[]float32{1e6, -1e6}, 0, 0},
	} {
		if got := CrossEntropy(c.logits, c.class); !(math.Abs(got-c.want) < 1e-9*max(1, c.want)) {
			t.Errorf("class %d of %v: %v, want %v", c.class, c.logits, got, c.want)
		}
	}
}

// Of many classes a page shows a bounded part, and says so.
func TestClassTables(t *testing.T) {
	const n = 150
	labels := make([]string, n)
	var gold, pred []int
	for i := range n {
		labels[i] = fmt.Sprintf("c%03d", i)
		gold, pred = append(gold, i, i), append(pred, i, (i+1)%n)
	}
	gold, pred = append(gold, 149, 149), append(pred, 3, 3)
	tables := Score{Confusion: metrics.Confusion(pred, gold, n)}.Tables(labels)
	if len(tables) != 2 || len(tables[0].Rows) != shownClasses || len(tables[1].Rows) != shownMixUps || tables[0].Note == "" || tables[0].Rows[0][0] != "c149" {
		t.Fatalf("got %d tables", len(tables))
	}
	if row := tables[1].Rows[0]; !slices.Equal(row, []string{"c149", "c003", "2", "50.0 %"}) {
		t.Errorf("mixed up most: %q", row)
	}
	if few := (Score{Confusion: [][]int{{3, 1}, {0, 2}}}).Tables(labels[:2]); len(few) != 1 || !slices.Equal(few[0].Rows[0], []string{"c000", "4", "3", "1.0000", "0.7500", "0.8571"}) {
		t.Errorf("got %+v", few)
	}
}

func TestComments(t *testing.T) {
	labels := []string{"a", "b"}
	s := Score{Confusion: [][]int{{2, 0}, {1, 2}}}
	if got, want := s.Comment("on dev", labels), "on dev; 95 % interval 0.376 to 0.964; always b: 0.6000"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := s.Remarks(labels), []string{"95 % interval of the accuracy: 0.3755 to 0.9638", "always b: 0.6000"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := (Score{}).Baseline(labels); got != "" {
		t.Error(got)
	}
}
