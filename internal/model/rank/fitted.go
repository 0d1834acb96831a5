package rank

import (
	"cmp"
	"context"
	"slices"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/dataset/batches"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
)

// plan cuts images that are in memory into batches of up to so many rows.
func (s listed) plan(rows int) [][]int32 {
	lengths := make([]int, len(s.images))
	for i, im := range s.images {
		lengths[i] = im.Regions() + 1
	}
	return planned(lengths, rows)
}

// fittedPairs is imagePairs on a device that fills batches up to fixed sizes. What both sides have is not computed once for all pairs there: then their
// sizes, too, would make programs, each with each. Images are embedded, and lie where there is room for always as many rows. A batch
// of pairs, whose size alone counts, has its texts with it.
func (s pass) fittedPairs(ctx context.Context, im Images, t Texts, images []int32, pairs []model.Pair, emit func(p model.Pair, score float32), tick func(pairs int)) error {
	read, err := im.read(images, s.dev.Limit())
	if err != nil {
		return err
	}
	for lo := 0; lo < len(read); {
		hi, rows := lo, 0
		for ; hi < len(read) && (hi == lo || rows+read[hi].Regions()+1 <= s.rows); hi++ {
			rows += read[hi].Regions() + 1
		}
		place := map[int32]int32{}
		for i := lo; i < hi; i++ {
			place[images[i]] = int32(i - lo)
		}
		if err := s.fittedBlock(ctx, read[lo:hi], place, t, pairs, emit, tick); err != nil {
			return err
		}
		lo = hi
	}
	return nil
}

// fittedBlock scores the pairs of images that are embedded together; place says which they are, by their numbers.
func (s pass) fittedBlock(ctx context.Context, read []regions.Image, place map[int32]int32, t Texts, pairs []model.Pair, emit func(p model.Pair, score float32), tick func(pairs int)) error {
	kept, err := s.embedded(read)
	if err != nil {
		return err
	}
	defer kept.Free(s.dev)
	pairs = slices.DeleteFunc(slices.Clone(pairs), func(p model.Pair) bool { _, ok := place[p.Image]; return !ok })
	length := func(p model.Pair) int { return kept.Rows(place[p.Image]) + len(t[p.Text]) }
	slices.SortFunc(pairs, func(a, b model.Pair) int { // those that are about as long as each other
		return cmp.Or(cmp.Compare(length(b), length(a)), cmp.Compare(a.Text, b.Text), cmp.Compare(a.Image, b.Image))
	})
	for lo := 0; lo < len(pairs); {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi, longest := lo, max(batches.LeastPlaces, length(pairs[lo]))
		var texts []int32
		var local []model.Pair
		number := map[int32]int32{}
		for ; hi < len(pairs) && (hi == lo || (hi+1-lo)*longest <= s.rows); hi++ {
			p := pairs[hi]
			if _, ok := number[p.Text]; !ok {
				number[p.Text], texts = int32(len(texts)), append(texts, p.Text)
			}
			local = append(local, model.Pair{Image: place[p.Image], Text: number[p.Text]})
		}
		scores, err := s.fittedScores(kept, t, texts, local)
		if err != nil {
			return err
		}
		for k, score := range scores {
			emit(pairs[lo+k], score)
		}
		tick(hi - lo)
		lo = hi
	}
	return nil
}

// embedded embeds images, and keeps that where there is room for as many rows as a batch of them may have.
func (s pass) embedded(read []regions.Image) (model.Side, error) {
	defer s.tape.Release()
	in := packed(read)
	if err := in.Check(s.model.Config); err != nil {
		return model.Side{}, err
	}
	side := s.model.Embedded(s.tape, model.Input{Images: in})
	engine.Fill(s.dev, engine.Size{}, engine.Size{Rows: s.rows})
	engine.FitParts(s.dev, true)
	kept := side.Keep(s.dev)
	engine.Start(s.dev)
	return kept, nil
}

// fittedScores are those of a batch of pairs.
func (s pass) fittedScores(images model.Side, t Texts, texts []int32, pairs []model.Pair) ([]float32, error) {
	defer s.tape.Release()
	in := t.Pack(texts)
	if err := in.Check(s.model.Config); err != nil {
		return nil, err
	}
	scores := s.model.ScoresWith(s.tape, images, model.Input{Text: in}, pairs)
	engine.Expect(s.dev, scores.Value)
	if err := s.model.Params.CheckOutput(s.tape, "match scores", scores); err != nil {
		return nil, err
	}
	return slices.Clone(engine.Values(s.dev, scores.Value)), nil
}
