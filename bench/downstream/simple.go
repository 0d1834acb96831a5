package main

import (
	"errors"
	"io/fs"
	"maps"
	"math"
	"slices"

	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/regions"
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
	var same, other []string
	for range images(test) {
		same, other = append(same, usual), append(other, train[draw.IntN(len(train))].target)
	}
	return []baseline{{"the most frequent caption", captionScore(same, test)}, {"a caption drawn from those to train on", captionScore(other, test)}}
}

// nearest says of every picture a caption of the one to train on that is most like it, by the mean of its features.
func (o options) nearest(s set, train, test []example) ([]baseline, error) {
	source, _, err := regions.Open(o.store(s), regions.Options{})
	if errors.Is(err, fs.ErrNotExist) || s.labels || s.search {
		return nil, nil // there are no features, or no captions
	}
	if err != nil {
		return nil, err
	}
	defer source.Close()
	look := func(names []string) ([][]float32, error) {
		var vectors [][]float32
		for im, err := range regions.Read(source, names) {
			if err != nil {
				return nil, err
			}
			rows, _ := im.AppendRows(nil, nil)
			v := rows[:source.Dim():source.Dim()] // the row of the picture as a whole
			length := float32(math.Sqrt(float64(dot(v, v))))
			for i := range v {
				v[i] /= max(length, 1e-12)
			}
			vectors = append(vectors, v)
		}
		return vectors, nil
	}
	known := images(train)
	have, err := look(known)
	if err != nil {
		return nil, err
	}
	asked, err := look(images(test))
	if err != nil {
		return nil, err
	}
	first := map[string]string{}
	for _, x := range train {
		if _, seen := first[x.image]; !seen {
			first[x.image] = x.target
		}
	}
	said := make([]string, len(asked))
	parallel.For(len(asked), func(i int) {
		best, most := 0, float32(-2)
		for k, v := range have {
			if like := dot(asked[i], v); like > most {
				best, most = k, like
			}
		}
		said[i] = first[known[best]]
	})
	return []baseline{{"the first caption of the most similar picture to train on", captionScore(said, test)}}, nil
}

func dot(a, b []float32) float32 {
	var sum float32
	b = b[:len(a)]
	for i, v := range a {
		sum += v * b[i]
	}
	return sum
}

// captionScore is CIDEr-D of a caption of each picture.
func captionScore(said []string, test []example) float64 {
	refs := map[string][]string{}
	for _, x := range test {
		refs[x.image] = append(refs[x.image], x.target)
	}
	var lists [][]string
	for _, image := range images(test) {
		lists = append(lists, metrics.PTBTokenizeAll(refs[image]))
	}
	corpus, _ := metrics.CIDErD(metrics.PTBTokenizeAll(said), lists)
	return corpus
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
