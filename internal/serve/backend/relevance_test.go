package backend_test

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/serve/backend"
)

func TestRelevance(t *testing.T) {
	list := []backend.Score{{Value: -1}, {Value: 1}, {Value: 0}, {Value: 1}}
	for _, c := range []struct {
		scores backend.Scores
		want   [4]float64
	}{
		{backend.Scores{List: list, Similarity: true}, [4]float64{0, 1, 0.5, 1}},
		{backend.Scores{List: list}, [4]float64{0.2689414213699951, 0.7310585786300049, 0.5, 0.7310585786300049}},
		{backend.Scores{List: []backend.Score{{Value: 9, Calibrated: true, Probability: 0.25}, {}, {}, {}}}, [4]float64{0.25, 0.5, 0.5, 0.5}},
	} {
		for i, want := range c.want {
			if got := c.scores.Relevance(i); got != want {
				t.Errorf("%+v: document %d: %v, want %v", c.scores, i, got, want)
			}
		}
	}
	long := []float32{0.6, 0.80000013}
	for _, sign := range []float32{1, -1} {
		if got := backend.Cosine(long, []float32{sign * long[0], sign * long[1]}); got != float64(sign) {
			t.Errorf("a cosine of %v", got)
		}
	}
	if got := (backend.Scores{List: list}).Best(); !slices.Equal(got, []int{1, 3, 2, 0}) {
		t.Error(got)
	}
}
