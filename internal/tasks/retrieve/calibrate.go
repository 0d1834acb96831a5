package retrieve

import (
	"context"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/calibration"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
)

// Pairs that probabilities are fitted to: captions with their own picture, as many at most, and each of them with another one. So a
// probability is that of a text of which as many fit the picture as do not.
const (
	maxPositives = 2500
	pairSeed     = 1
)

// samplePairs scores pairs of a set, by the match head and by vectors of the given size where the model has them. The pictures are
// divided into halves, and a caption's wrong picture comes from the half of its own. It returns nil where no half has two pictures.
func samplePairs(ctx context.Context, s *rank.Scorer, set rank.Set, matches bool, size int, tick run.Tick) (*calibration.Sample, error) {
	stream := random.New(pairSeed, "pairs of a calibration")
	half, members := make([]int, len(set.Images.IDs)), [2][]int{}
	for i, image := range stream.Perm(len(half)) {
		half[image] = i % 2
		members[i%2] = append(members[i%2], image)
	}
	var pairs []model.Pair // a right one, then a wrong one with the same caption
	var halves []int
	for _, text := range stream.Perm(len(set.Texts)) {
		own := set.ImageOf[text]
		if others := members[half[own]]; len(others) > 1 && len(pairs) < 2*maxPositives {
			other := own
			for other == own {
				other = others[stream.IntN(len(others))]
			}
			pairs = append(pairs, model.Pair{Image: int32(own), Text: int32(text)}, model.Pair{Image: int32(other), Text: int32(text)})
			halves = append(halves, half[own], half[own])
		}
	}
	if len(pairs) == 0 {
		return nil, nil
	}
	scores := func(score func(k int) float64) *calibration.Scores {
		list := &calibration.Scores{Halves: halves}
		for k := range pairs {
			list.Scores, list.Right = append(list.Scores, score(k)), append(list.Right, float64(1-k%2))
		}
		return list
	}
	sample := new(calibration.Sample)
	if size > 0 {
		products, err := s.Similarities(ctx, set, pairs, tick)
		if err != nil {
			return nil, err
		}
		sample.Similarity = scores(func(k int) float64 { return float64(products[k]) })
	}
	if matches {
		of := map[model.Pair]float32{}
		err := s.Pairs(ctx, set.Images, set.Texts, pairs, func(p model.Pair, score float32) { of[p] = score }, tick)
		if err != nil {
			return nil, err
		}
		sample.Match = scores(func(k int) float64 { return float64(of[pairs[k]]) })
	}
	return sample, nil
}
