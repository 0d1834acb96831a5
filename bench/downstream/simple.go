package main

import (
	"maps"
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/metrics"
)

// baseline is a way to answer without a model.
type baseline struct {
	Name  string
	Value float64
}

// baselines are what test scores without a model, by what train says.
func (s set) baselines(train, test []example) []baseline {
	if s.search {
		return []baseline{{"chance, of pictures", min(1, 10/float64(len(images(test))))}}
	}
	if !s.labels {
		return captionBaselines(train, test)
	}
	all, same := map[string]int{}, map[string]map[string]int{}
	for _, x := range train {
		all[x.target]++
		if same[x.text] == nil {
			same[x.text] = map[string]int{}
		}
		same[x.text][x.target]++
	}
	usual := most(all)
	var right, rightToText int
	for _, x := range test {
		answer := usual
		if seen := same[x.text]; seen != nil {
			answer = most(seen)
		}
		right, rightToText = right+count(usual == x.target), rightToText+count(answer == x.target)
	}
	n := float64(len(test))
	return []baseline{
		{"the most frequent answer to the same text", float64(rightToText) / n},
		{"the most frequent answer", float64(right) / n},
		{"chance", 1 / float64(len(all))},
	}
}

// captionBaselines says of every picture the same caption, the most frequent one, or any other picture's.
func captionBaselines(train, test []example) []baseline {
	all := map[string]int{}
	for _, x := range train {
		all[x.target]++
	}
	usual, draw := most(all), random.New(splitSeed, "captions")
	refs := map[string][]string{}
	for _, x := range test {
		refs[x.image] = append(refs[x.image], x.target)
	}
	var same, other []string
	var lists [][]string
	for _, image := range images(test) {
		same, other, lists = append(same, usual), append(other, train[draw.IntN(len(train))].target), append(lists, metrics.PTBTokenizeAll(refs[image]))
	}
	score := func(hyps []string) float64 {
		corpus, _ := metrics.CIDErD(metrics.PTBTokenizeAll(hyps), lists)
		return corpus
	}
	return []baseline{{"the most frequent caption", score(same)}, {"a caption drawn from those to train on", score(other)}}
}

// most is the most frequent key, the first of equals.
func most(n map[string]int) string {
	keys := slices.Sorted(maps.Keys(n))
	return slices.MaxFunc(keys, func(a, b string) int { return n[a] - n[b] })
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
