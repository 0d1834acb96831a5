package metrics

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/test/golden"
)

// TestGoldenRecall compares every case of recall.json: matrices of scores and the figures
// of the reference, ties included.
func TestGoldenRecall(t *testing.T) {
	golden.Run(t, "metrics", func(t *testing.T, c golden.Case) {
		if !c.Has("recall.json") {
			t.Skip("not run: the case has no recall.json")
		}
		var file struct {
			Cases []struct {
				Mode        string
				Matrix      [][3]float64 `json:"score_matrix"` // score, image, caption
				CaptionsOf  [][2]any     `json:"img2texts"`
				ImageOfText [][2]int     `json:"text2img"`
				Expected    map[string]any
			}
		}
		c.JSON(t, "recall.json", &file)
		if len(file.Cases) == 0 {
			t.Fatal("recall.json holds no cases")
		}
		for i, g := range file.Cases {
			// The numbers of the images and captions are their places in the matrix.
			images, captions := map[int]int{}, map[int]int{}
			for _, row := range g.Matrix {
				for k, number := range []map[int]int{images, captions} {
					if id := int(row[k+1]); number[id] == 0 {
						number[id] = len(number) + 1
					}
				}
			}
			imageOf := make([]int, len(captions))
			for _, pair := range g.ImageOfText {
				imageOf[captions[pair[0]]-1] = images[pair[1]] - 1
			}
			r := NewRanking(len(images), imageOf)
			for _, row := range g.Matrix {
				if image, caption := images[int(row[1])]-1, captions[int(row[2])]-1; imageOf[caption] == image {
					r.Positive(caption, float32(row[0]))
				}
			}
			for _, row := range g.Matrix {
				r.Add(images[int(row[1])]-1, captions[int(row[2])]-1, float32(row[0]))
			}
			image, text := r.Results()
			for name, got := range map[string]float64{
				"img_avg_rank": image.MeanRank, "img_recall@1": image.At1, "img_recall@5": image.At5, "img_recall@10": image.At10,
				"cap_avg_rank": text.MeanRank, "cap_recall@1": text.At1, "cap_recall@5": text.At5, "cap_recall@10": text.At10,
				"avg_img_recall": (image.At1 + image.At5 + image.At10) / 3, "avg_cap_recall": (text.At1 + text.At5 + text.At10) / 3,
				"avg_recall@1": (image.At1 + text.At1) / 2, "avg_recall@5": (image.At5 + text.At5) / 2, "avg_recall@10": (image.At10 + text.At10) / 2,
			} {
				if want, ok := g.Expected[name].(float64); !ok || !equal(got, want) {
					t.Errorf("case %d (%s): %s is %v, want %v", i, g.Mode, name, got, g.Expected[name])
				}
			}
		}
	})
}

// matrix is a case of the property below: scores by caption and image.
type matrix struct {
	imageOf []int
	scores  [][]float32
}

func drawMatrix(t *rapid.T) matrix {
	images := rapid.IntRange(1, 12).Draw(t, "images")
	score := rapid.SampledFrom([]float32{0, float32(math.Copysign(0, -1)), 1, 2, -1.5, 1e30, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN())})
	var m matrix
	for range rapid.IntRange(1, 20).Draw(t, "captions") {
		m.imageOf = append(m.imageOf, rapid.IntRange(-1, images-1).Draw(t, "image"))
		m.scores = append(m.scores, rapid.SliceOfN(score, images, images).Draw(t, "scores"))
	}
	return m
}

// worstFirst sorts the numbers of candidates by their scores, equal ones by number: the
// last is the answer. NaN comes first.
func worstFirst(n int, score func(i int) float32) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := score(a), score(b)
		switch {
		case x < y || x != x && y == y:
			return -1
		case x > y || y != y && x == x:
			return 1
		}
		return 0
	})
	return order
}

// TestRankingSorts compares the counts with ranks in sorted lists, whatever the order of the pairs.
func TestRankingSorts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMatrix(t)
		images := len(m.scores[0])
		r := NewRanking(images, m.imageOf)
		for c, i := range m.imageOf {
			if i >= 0 {
				r.Positive(c, m.scores[c][i])
			}
		}
		withPositives := rapid.Bool().Draw(t, "positives")
		for _, k := range rapid.Permutation(slices.Collect(pairs(images*len(m.scores)))).Draw(t, "order") {
			if c, i := k/images, k%images; withPositives || m.imageOf[c] != i {
				r.Add(i, c, m.scores[c][i])
			}
		}
		for c, right := range m.imageOf {
			want := 0
			if right >= 0 {
				want = images - slices.Index(worstFirst(images, func(i int) float32 { return m.scores[c][i] }), right)
			}
			if got := r.ImageRank(c); got != want {
				t.Errorf("caption %d: rank %d, want %d", c, got, want)
			}
		}
		for i := range images {
			order, want := worstFirst(len(m.scores), func(c int) float32 { return m.scores[c][i] }), 0
			for at, c := range order {
				if m.imageOf[c] == i {
					want = len(order) - at // the last one is the best
				}
			}
			if got := r.TextRank(i); got != want {
				t.Errorf("image %d: rank %d, want %d", i, got, want)
			}
		}
	})
}

func pairs(n int) func(yield func(int) bool) {
	return func(yield func(int) bool) {
		for k := range n {
			if !yield(k) {
				return
			}
		}
	}
}

func TestRankingWithoutQueries(t *testing.T) {
	r := NewRanking(2, []int{-1})
	r.Add(1, 0, 3)
	image, text := r.Results()
	for _, x := range []Recall{image, text} {
		if !math.IsNaN(x.At1) || !math.IsNaN(x.MeanRank) {
			t.Errorf("%+v, want NaN", x)
		}
	}
}
