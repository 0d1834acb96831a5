package vqa

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/dataset/vqa"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/tasks/pairs"
)

// answers are those that a model chooses from, by their numbers.
type answers struct {
	names  []string
	number map[string]int
	all    int // different ones that were counted
}

func newAnswers(names []string) answers {
	a := answers{names: names, number: make(map[string]int, len(names))}
	for i, name := range names {
		a.number[name] = i
	}
	return a
}

// gold is the answer that most people gave, normalised; "" if nothing is left of any.
func gold(people []string) string {
	if targets := vqa.Targets(people); len(targets) > 0 {
		return targets[0].Answer
	}
	return ""
}

// frequent are the most frequent answers, one of each question, of those that occur least times or more.
func frequent(examples []vqa.Example, most, least int) answers {
	count := map[string]int{}
	for _, x := range examples {
		count[gold(x.Answers)]++
	}
	delete(count, "")
	names := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return cmp.Or(count[b]-count[a], cmp.Compare(a, b)) })
	all := len(names)
	names = slices.DeleteFunc(names, func(name string) bool { return count[name] < least })
	a := newAnswers(names[:min(most, len(names))])
	a.all = all
	return a
}

// answersOf are the answers of a finished model.
func answersOf(cfg model.Config) answers {
	names := make([]string, cfg.NumLabels)
	for i := range names {
		names[i] = cfg.Label(i)
	}
	return newAnswers(names)
}

// labels has the answers as a model's configuration has them.
func (a answers) labels() map[string]string {
	labels := make(map[string]string, len(a.names))
	for i, name := range a.names {
		labels[fmt.Sprint(i)] = name
	}
	return labels
}

// targets are the answers of people that are among these, each with what it is worth.
func (a answers) targets(people []string) (list []pairs.Soft) {
	for _, t := range vqa.Targets(people) {
		if class, ok := a.number[t.Answer]; ok {
			list = append(list, pairs.Soft{Class: class, Score: t.Score})
		}
	}
	return list
}

// known is how many questions have one of these as their most frequent answer.
func (a answers) known(examples []vqa.Example) int {
	n := 0
	for _, x := range examples {
		if _, ok := a.number[gold(x.Answers)]; ok {
			n++
		}
	}
	return n
}

// reach is the best accuracy that is possible with these answers.
func (a answers) reach(examples []vqa.Example) float64 {
	sum := 0.0
	for _, x := range examples {
		best := 0.0
		for _, s := range a.targets(x.Answers) {
			best = max(best, vqa.Score(a.names[s.Class], x.Answers))
		}
		sum += best
	}
	return sum / float64(len(examples))
}
