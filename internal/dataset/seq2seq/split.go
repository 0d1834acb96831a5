package seq2seq

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/base/random"
)

// Split divides examples into two parts, the second with about the given fraction of
// them, and returns the names of the second's groups in order. A group goes into one
// part as a whole; examples without group belong together if they have the same sources.
// Which groups go where depends on the examples' order and seed alone, and
// both parts keep the order.
//
// There must be two groups or more, and fraction must be between 0 and 1.
func Split(examples []Example, fraction float64, seed uint64) (first, second []Example, groups []string, err error) {
	if !(fraction > 0 && fraction < 1) {
		return nil, nil, nil, fmt.Errorf("the fraction to split off is %v; give a number between 0 and 1", fraction)
	}
	number := map[string]int{} // of a group, in order of appearance
	var names []string
	var sizes []int
	of := make([]int, len(examples))
	for i := range examples {
		key := examples[i].groupKey()
		n, ok := number[key]
		if !ok {
			n = len(names)
			number[key] = n
			names, sizes = append(names, examples[i].groupName()), append(sizes, 0)
		}
		of[i] = n
		sizes[n]++
	}
	if len(names) < 2 {
		return nil, nil, nil, fmt.Errorf("all %d examples are of one group; a split needs two", len(examples))
	}
	wanted := max(1, int(fraction*float64(len(examples))+0.5))
	taken := make([]bool, len(names))
	count, left := 0, len(names)
	for _, n := range random.New(seed, "held out").Perm(len(names)) {
		if count >= wanted || left == 1 {
			break
		}
		taken[n] = true
		count += sizes[n]
		left--
	}
	for i, x := range examples {
		if taken[of[i]] {
			second = append(second, x)
		} else {
			first = append(first, x)
		}
	}
	for n, name := range names {
		if taken[n] {
			groups = append(groups, name)
		}
	}
	return first, second, groups, nil
}

// groupKey is equal for examples that belong together.
func (x *Example) groupKey() string {
	if x.Group != "" {
		return "group " + x.Group
	}
	return fmt.Sprintf("sources %q %q", x.Knowledge, x.Sources)
}

// groupName is what a list of groups calls the example's.
func (x *Example) groupName() string {
	if x.Group != "" {
		return x.Group
	}
	return fmt.Sprintf("line %d", x.Line)
}

// runLines is the least number of lines of a run. A passage of SQuAD has five questions and an article 200.
const runLines = 100

// GroupRuns makes groups of files that do not say which lines are of one passage, as
// those of Du et al. do not: runs of at least a hundred neighbouring lines, begun only where the
// source changes. The lines of one source are always of one group, wherever they are.
// So the passages at the ends of a run may still be on both sides of a split.
func GroupRuns(examples []Example) {
	runOf := map[string]int{} // by sources
	var parent []int          // of runs that share a source
	root := func(n int) int {
		for parent[n] != n {
			n = parent[n]
		}
		return n
	}
	runs := make([]int, len(examples))
	length := 0
	for i := range examples {
		key := fmt.Sprintf("%q", examples[i].Sources)
		known, seen := runOf[key]
		same := i > 0 && seen && runs[i-1] == known
		if length++; len(parent) == 0 || length > runLines && !same {
			parent = append(parent, len(parent))
			length = 1
		}
		run := len(parent) - 1
		if seen {
			if a, b := root(known), root(run); a != b {
				parent[max(a, b)] = min(a, b)
			}
		}
		runOf[key], runs[i] = run, run
	}
	first, last := map[int]int{}, map[int]int{}
	for i := range examples {
		if _, ok := first[runs[i]]; !ok {
			first[runs[i]] = examples[i].Line
		}
		last[runs[i]] = examples[i].Line
	}
	for i := range examples {
		n := root(runs[i])
		examples[i].Group = fmt.Sprintf("lines %d-%d", first[n], last[n])
	}
}
