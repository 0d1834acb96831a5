package rank

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/base/atomicfile"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/metrics"
)

// one returns the score of a pair that is read alone.
func (f fixture) one(t *testing.T, image, text int) float32 {
	t.Helper()
	scores, err := f.scorer.Match(context.Background(), Single(&f.set.Images.Source.(*memorySource).images[image]), Texts{f.set.Texts[text]}, []model.Pair{{}}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return scores[0]
}

func (f fixture) matrix(t *testing.T) [][]float32 {
	t.Helper()
	m := make([][]float32, len(f.set.Images.IDs))
	for image := range m {
		for text := range f.set.Texts {
			m[image] = append(m[image], f.one(t, image, text))
		}
	}
	return m
}

func TestPairsGiveTheScoresOfPairsReadAlone(t *testing.T) {
	f := newFixture(t, imageBlock+3, 1)
	f.scorer.rows = 50 // several batches
	var pairs []model.Pair
	for image := range int32(imageBlock + 3) {
		for _, text := range []int32{image, (image * 7) % 60, 5} {
			pairs = append(pairs, model.Pair{Image: image, Text: text})
		}
	}
	seen := map[model.Pair]int{}
	ticks := 0
	err := f.scorer.Pairs(context.Background(), f.set.Images, f.set.Texts, pairs, func(p model.Pair, score float32) {
		seen[p]++
		if want := f.one2(t, p); math.Abs(float64(score-want)) > 1e-5*(1+math.Abs(float64(want))) {
			t.Errorf("pair %v has score %v, alone %v", p, score, want)
		}
	}, func(done, total int) {
		if done <= ticks || total != len(pairs) {
			t.Errorf("progress %d of %d after %d", done, total, ticks)
		}
		ticks = done
	})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range seen {
		total += n
	}
	if total != len(pairs) || ticks != len(pairs) {
		t.Errorf("%d scores and progress %d of %d pairs", total, ticks, len(pairs))
	}
}

// one2 scores a pair on a tape of its own, so that it can be called while the scorer is at work.
func (f fixture) one2(t *testing.T, p model.Pair) float32 {
	t.Helper()
	dev := cpu.New()
	s, end := NewScorer(dev, f.model).begin()
	defer end()
	images, err := s.images(f.set.Images, []int32{p.Image})
	if err != nil {
		t.Fatal(err)
	}
	texts, err := s.texts(f.set.Texts, []int32{p.Text})
	if err != nil {
		t.Fatal(err)
	}
	return engine.Values(dev, f.model.Scores(s.tape, images, texts, []model.Pair{{}}).Value)[0]
}

func TestExhaustiveEqualsAMatrixOfPairs(t *testing.T) {
	f := newFixture(t, 12, 3)
	m := f.matrix(t)
	ranking := metrics.NewRanking(12, f.set.ImageOf)
	for text, image := range f.set.ImageOf {
		ranking.Positive(text, m[image][text])
	}
	for image := range m {
		for text, score := range m[image] {
			ranking.Add(image, text, score)
		}
	}
	var want Recalls
	want.Image, want.Text = ranking.Results()
	out, err := f.scorer.Exhaustive(context.Background(), f.set, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if out.Recalls != want {
		t.Errorf("recalls %+v, want %+v", out.Recalls, want)
	}
	for text, hits := range out.Images {
		for i := 1; i < len(hits); i++ {
			if hits[i].Score > hits[i-1].Score {
				t.Errorf("text %d: hits %v are not in order", text, hits)
			}
		}
		for image := range m {
			if m[image][text] > hits[0].Score+1e-4 {
				t.Errorf("text %d: image %d has %v, but the best hit %v", text, image, m[image][text], hits[0])
			}
		}
	}
}

// An evaluation that is stopped goes on from its folder, to the same result, and computes nothing
// twice.
func TestExhaustiveGoesOn(t *testing.T) {
	f := newFixture(t, 2*imageBlock+5, 1)
	want, err := f.scorer.Exhaustive(context.Background(), f.set, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "scores")
	identity := ScoreIdentity{Model: "m", Texts: "t", Images: "i"}
	folder, err := OpenScoreFolder(dir, identity)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	block := imageBlock * len(f.set.Texts)
	_, err = f.scorer.Exhaustive(ctx, f.set, folder, func(done, _ int) {
		if done > block {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want a cancelled context", err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "scores-*"))
	if len(files) != 1 {
		t.Fatalf("the folder has %v, want the scores of one block", files)
	}
	first := -1
	got, err := f.scorer.Exhaustive(context.Background(), f.set, folder, func(done, _ int) {
		if first < 0 {
			first = done
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Recalls != want.Recalls {
		t.Errorf("recalls %+v, want %+v", got.Recalls, want.Recalls)
	}
	if first != block {
		t.Errorf("the first progress is %d, want a block of %d that was there", first, block)
	}

	for _, c := range []struct {
		identity ScoreIdentity
		want     string
	}{
		{ScoreIdentity{"another", "t", "i"}, "another model"}, {ScoreIdentity{"m", "another", "i"}, "other captions"}, {ScoreIdentity{"m", "t", "another"}, "pictures or features have changed"},
	} {
		if _, err := OpenScoreFolder(dir, c.identity); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("error %v, want one about %s", err, c.want)
		}
	}
	if err := os.Truncate(files[0], 100); err != nil {
		t.Fatal(err)
	}
	if _, err := f.scorer.Exhaustive(context.Background(), f.set, folder, quiet); err == nil || !strings.Contains(err.Error(), "remove the file") {
		t.Errorf("error %v, want one that says to remove the file", err)
	}
}

// The folder of scores belongs to one evaluation, which removes what a killed one left.
func TestScoreFolderIsOwned(t *testing.T) {
	dir := t.TempDir()
	partial := filepath.Join(dir, ".unimo-partial-1")
	if err := os.WriteFile(partial, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	folder, err := OpenScoreFolder(dir, ScoreIdentity{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(partial); err == nil {
		t.Error("the partial file is still there")
	}
	var locked *atomicfile.LockedError
	if _, err := OpenScoreFolder(dir, ScoreIdentity{}); !errors.As(err, &locked) {
		t.Errorf("a second evaluation: %v", err)
	}
	folder.Close()
	if folder, err = OpenScoreFolder(dir, ScoreIdentity{}); err != nil {
		t.Fatal(err)
	}
	folder.Close()
}

func TestTwoStage(t *testing.T) {
	f := newFixture(t, 15, 2)
	ctx := context.Background()
	v, err := f.scorer.Vectors(ctx, f.set, quiet)
	if err != nil {
		t.Fatal(err)
	}
	every, err := f.scorer.Exhaustive(ctx, f.set, nil, quiet)
	if err != nil {
		t.Fatal(err)
	}
	// With all as candidates it is the ranking by all pairs.
	all, err := f.scorer.TwoStage(ctx, f.set, v, len(f.set.Texts), quiet)
	if err != nil {
		t.Fatal(err)
	}
	if all.Recalls != every.Recalls {
		t.Errorf("all candidates: %+v, every pair: %+v", all.Recalls, every.Recalls)
	}
	// Without candidates it is the ranking by vectors.
	none, err := f.scorer.TwoStage(ctx, f.set, v, 0, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ranks := make([]int, len(f.set.Texts))
	for text, own := range f.set.ImageOf {
		ranks[text] = 1
		for image := range f.set.Images.IDs {
			if dot(v.Images[8*image:8*image+8], v.Texts[8*text:8*text+8]) > dot(v.Images[8*own:8*own+8], v.Texts[8*text:8*text+8]) {
				ranks[text]++
			}
		}
	}
	if want := recallOf(ranks); none.Recalls.Image != want {
		t.Errorf("no candidates: %+v, want %+v", none.Recalls.Image, want)
	}
	// With few, the candidates are those of the vectors, in the order of their match scores,
	// and what is below them keeps its rank.
	const n = 4
	few, err := f.scorer.TwoStage(ctx, f.set, v, n, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for text, hits := range few.Images {
		var numbers, before []int32
		for i, h := range hits[:n] {
			numbers = append(numbers, h.Number)
			before = append(before, none.Images[text][i].Number)
			if i > 0 && h.Score > hits[i-1].Score {
				t.Errorf("text %d: candidates %v are not in order", text, hits)
			}
		}
		slices.Sort(numbers)
		slices.Sort(before)
		if !slices.Equal(numbers, before) {
			t.Errorf("text %d: candidates %v, by vectors %v", text, numbers, before)
		}
	}
}

func dot(a, b []float32) float32 {
	var sum float32
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

func TestBestIsTheFirstOfASort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Float32Range(-3, 3), 0, 200).Draw(t, "scores")
		for i := range scores {
			scores[i] = float32(math.Round(float64(scores[i]))) // many are equal
		}
		k := rapid.IntRange(0, 250).Draw(t, "k")
		want := make([]Hit, len(scores))
		for i, s := range scores {
			want[i] = Hit{int32(i), s}
		}
		slices.SortStableFunc(want, func(a, b Hit) int {
			switch {
			case a.Score > b.Score:
				return -1
			case a.Score < b.Score:
				return 1
			}
			return 0
		})
		if got := best(0, scores, k); !slices.Equal(got, want[:min(k, len(want))]) {
			t.Fatalf("best %d of %v: %v, want %v", k, scores, got, want)
		}
	})
}

func TestBestOfManyParts(t *testing.T) {
	scores := make([]float32, 100_000)
	for i := range scores {
		scores[i] = float32((i * 7919) % 100_003)
	}
	got := best(0, scores, 10)
	for i, h := range got {
		if h.Score != scores[h.Number] || i > 0 && better(got[i-1], h) >= 0 {
			t.Fatalf("hits %v", got)
		}
	}
	if top := slices.Max(scores); got[0].Score != top {
		t.Errorf("the best has %v, want %v", got[0].Score, top)
	}
}

func TestModelWithoutVectors(t *testing.T) {
	f := newFixture(t, 3, 1)
	cfg := f.model.Config
	cfg.ContrastSize = 0
	dev := cpu.New()
	m, err := model.New[*model.Retriever](dev, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	s := NewScorer(dev, m)
	if _, err := s.Vectors(context.Background(), f.set, quiet); err == nil || !strings.Contains(err.Error(), "contrast_size") {
		t.Errorf("error %v, want one that names contrast_size", err)
	}
	if _, err := s.Exhaustive(context.Background(), f.set, nil, quiet); err != nil {
		t.Errorf("scoring every pair: %v", err)
	}
}
