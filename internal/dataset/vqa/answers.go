package vqa

import (
	"slices"

	"github.com/unimo-go/unimo/metrics"
)

// FewPeople is how many people must have answered for VQA's accuracy to mean something; with fewer an answer could not
// reach 1.
const FewPeople = 4

// Score says how right an answer is: VQA's accuracy, or, with fewer than four answers of people, whether it is one of these.
func Score(answer string, people []string) float64 {
	if len(people) >= FewPeople {
		return metrics.VQAAccuracy(answer, people)
	}
	answer = metrics.NormalizeAnswer(answer)
	if slices.ContainsFunc(people, func(p string) bool { return metrics.NormalizeAnswer(p) == answer }) {
		return 1
	}
	return 0
}

// Target is an answer with what it is worth.
type Target struct {
	Answer string // normalised
	Score  float32
}

// Targets are the normalised answers of people, each with what it scores, the best first: 0.3, 0.6, 0.9 and 1 where one, two, three and
// more of ten gave it. An answer of which nothing is left has no target.
func Targets(people []string) []Target {
	normal := mapped(people, metrics.NormalizeAnswer)
	var list []Target
	for _, a := range normal {
		if a != "" && !slices.ContainsFunc(list, func(t Target) bool { return t.Answer == a }) {
			list = append(list, Target{a, float32(soft(a, normal))})
		}
	}
	slices.SortStableFunc(list, func(a, b Target) int {
		return count(normal, b.Answer) - count(normal, a.Answer)
	})
	return list
}

// soft is VQA's accuracy of a normalised answer among others.
func soft(answer string, people []string) float64 {
	if len(people) < FewPeople {
		return 1
	}
	n, same := float64(len(people)), float64(count(people, answer))
	return (same*min(1, (same-1)/3) + (n-same)*min(1, same/3)) / n
}

func count(list []string, s string) int {
	n := 0
	for _, x := range list {
		if x == s {
			n++
		}
	}
	return n
}
