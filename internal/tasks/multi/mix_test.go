package multi

import (
	"fmt"
	"slices"
	"testing"
)

// fixed has so many batches in each epoch.
type fixed []int

func (f fixed) Batches(epoch int) int { return f[epoch%len(f)] }

func (f fixed) Total(epochs int) int {
	n := 0
	for e := range epochs {
		n += f.Batches(e)
	}
	return n
}

// Over all epochs the batches of each task come in their own order, none twice and none left out, as often as its ratio says.
func TestMixTakesEveryBatchOnce(t *testing.T) {
	for _, c := range []struct {
		tasks  []batched
		ratios []float64
		epochs int
		want   []int // batches of each task
	}{
		{[]batched{fixed{5}}, []float64{1}, 3, []int{15}},
		{[]batched{fixed{5}, fixed{7, 2}}, []float64{1, 1}, 3, []int{15, 16}},
		{[]batched{fixed{5}, fixed{7, 2}}, []float64{0.5, 2}, 4, []int{10, 36}},
		{[]batched{fixed{100}, fixed{1}}, []float64{0.29, 0.25}, 100, []int{2900, 25}},
		{[]batched{fixed{3}, fixed{1}}, []float64{0.001, 1}, 3, []int{0, 3}},
	} {
		m := mix{seed: 3, tasks: c.tasks, ratios: c.ratios}
		got := make([][]turn, len(c.tasks))
		n := 0
		for e := range c.epochs {
			if m.total(e) != n {
				t.Errorf("%v: %d batches before epoch %d, %d were taken", c.ratios, m.total(e), e, n)
			}
			n += len(m.plan(e))
			for _, at := range m.plan(e) {
				got[at.task] = append(got[at.task], at)
			}
			for task := range c.tasks {
				if k := len(got[task]); k > 0 && m.last(task, e) != got[task][k-1].epoch {
					t.Errorf("%v: after epoch %d the last batch of task %d was of epoch %d, not %d", c.ratios, e, task, got[task][k-1].epoch, m.last(task, e))
				}
			}
		}
		if m.total(c.epochs) != n {
			t.Errorf("%v: %d batches in all, %d were taken", c.ratios, m.total(c.epochs), n)
		}
		for task, turns := range got {
			var want []turn
			for e := 0; len(want) < c.want[task]; e++ {
				for b := range c.tasks[task].Batches(e) {
					want = append(want, turn{task, e, b})
				}
			}
			if !slices.Equal(turns, want[:c.want[task]]) {
				t.Errorf("%v: task %d has %d batches, want %d: %v", c.ratios, task, len(turns), c.want[task], turns)
			}
		}
	}
}

// The batches of a task are spread over the epoch, in an order that the seed and the epoch decide.
func TestMixIsSpread(t *testing.T) {
	m := mix{seed: 3, tasks: []batched{fixed{90}, fixed{10}}, ratios: []float64{1, 1}}
	first := slices.Clone(m.plan(0))
	for tenth := range 10 {
		n := 0
		for _, at := range first[10*tenth : 10*tenth+10] {
			n += at.task
		}
		if n > 2 {
			t.Errorf("part %d has %d batches of the rare task", tenth, n)
		}
	}
	other := m
	other.seed, other.turns = 4, nil
	if again := m.plan(0); !slices.Equal(first, again) || slices.Equal(order(first), order(m.plan(1))) || slices.Equal(order(first), order(other.plan(0))) {
		t.Error("the order is not one of seed and epoch")
	}
	if !slices.Equal(first, m.plan(0)) {
		t.Error("an epoch is planned otherwise after another")
	}
}

func order(turns []turn) (list []string) {
	for _, at := range turns {
		list = append(list, fmt.Sprint(at.task))
	}
	return list
}
