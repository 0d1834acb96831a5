package pairs

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/train"
)

// drawn is a source of images "0", "1" and so on, whose regions are drawn.
type drawn struct {
	regions.Source
	n int
}

func (s drawn) Dim() int     { return 6 }
func (s drawn) Close() error { return nil }
func (s drawn) IDs() (ids []string) {
	for i := range s.n {
		ids = append(ids, fmt.Sprint(i))
	}
	return ids
}

func (s drawn) Image(id string, dst *regions.Image) error {
	var number int
	if _, err := fmt.Sscan(id, &number); err != nil || number >= s.n {
		return regions.ErrNoImage
	}
	draws := random.New(uint64(number), "test")
	*dst = regions.Image{ID: id, Width: 4, Height: 4, Boxes: []float32{0, 0, 2, 2, 1, 1, 4, 4}}
	for range 2 * s.Dim() {
		dst.Features = append(dst.Features, float32(draws.Normal()))
	}
	return nil
}

func config(problem string, labels int) model.Config {
	return model.Config{
		VocabSize: 50, HiddenSize: 16, Layers: 1, Heads: 2, MaxPositions: 20, InitRange: 0.1, ImageEmbeddingSize: 6,
		HiddenAct: "gelu", ProblemType: problem, NumLabels: labels,
	}
}

// records are examples of four images.
func records() []Record {
	return []Record{
		{Image: "0", Tokens: []int32{0, 5, 2}, Class: 1, Soft: []Soft{{0, 1}}, Line: 2},
		{Image: "1", Tokens: []int32{0, 6, 7, 2}, Class: 0, Soft: []Soft{{1, 0.3}, {2, 0.9}}, Line: 3},
		{Image: "1", Tokens: []int32{0, 5, 2}, Class: 2, Line: 4},
		{Image: "3", Tokens: []int32{0, 8, 9, 10, 2}, Class: 1, Soft: []Soft{{0, 0.6}}, Line: 5},
	}
}

func classifier(t *testing.T, cfg model.Config) (*run.Env, *model.Classifier) {
	t.Helper()
	env := (&run.Env{Device: cpu.New(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}).Ready()
	m, err := run.NewModel[*model.Classifier](env, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	return env, m
}

// What a model says of an example does not depend on which others are in the batch.
func TestLogits(t *testing.T) {
	env, m := classifier(t, config(model.Entailment, 3))
	r := NewRunner(env.Device, m)
	one, err := r.Logits(t.Context(), drawn{n: 4}, records(), 1, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	done := 0
	all, err := r.Logits(t.Context(), drawn{n: 4}, records(), 3, func(n, total int) { done = n })
	if err != nil || done != 4 {
		t.Fatal(done, err)
	}
	for i, row := range all {
		for c, x := range row {
			if len(row) != 3 || math.Abs(float64(x-one[i][c])) > 1e-6 {
				t.Errorf("example %d: %v alone, %v with others", i, one[i], row)
			}
		}
	}
	if slices.Equal(all[0], all[2]) {
		t.Error("the picture says nothing")
	}
	if _, err := r.Logits(t.Context(), drawn{n: 2}, records(), 3, func(int, int) {}); !errors.Is(err, regions.ErrNoImage) {
		t.Errorf("an image that is not there: %v", err)
	}
	long := []Record{{Image: "0", Tokens: make([]int32, 30)}}
	if _, err := r.Logits(t.Context(), drawn{n: 2}, long, 3, func(int, int) {}); err == nil || !strings.Contains(err.Error(), "shorten the text") {
		t.Errorf("a long text: %v", err)
	}
}

// The loss of a batch is the mean over its examples, of classes and of answers that are right to some degree.
func TestLoss(t *testing.T) {
	for _, problem := range []string{model.Entailment, model.Answering} {
		env, m := classifier(t, config(problem, 3))
		common := &run.CommonSettings{Config: train.Default}
		loss := func(size int, list []Record) (sum float64, examples int) {
			common.BatchSize = size
			l, err := NewLearner(Training{Env: env, Common: common, Model: Choosing(m), Source: drawn{n: 4}, Records: list})
			if err != nil {
				t.Fatal(err)
			}
			for b := range l.Batches(0) {
				parts, err := l.Parts(0, b)
				if err != nil {
					t.Fatal(err)
				}
				tape := autograd.NewInference(env.Device)
				vars, rows, err := l.Loss(tape, 0, b)
				if err != nil || rows < 4 {
					t.Fatal(rows, err)
				}
				sum += float64(engine.Values(env.Device, vars[0].Value)[0]) * float64(parts[0].Count)
				examples += parts[0].Count
				tape.Release()
			}
			return sum, examples
		}
		one, n := loss(1, records())
		if all, _ := loss(4, records()); n != 4 || math.Abs(one-all) > 1e-4*all {
			t.Errorf("%s: %v one by one, %v together", problem, one, all)
		}
		other := records()
		other[0].Class, other[0].Soft = 0, []Soft{{2, 1}}
		if changed, _ := loss(1, other); changed == one {
			t.Errorf("%s: the targets say nothing", problem)
		}
	}
}

func TestLearner(t *testing.T) {
	env, m := classifier(t, config(model.Entailment, 3))
	common := &run.CommonSettings{Config: train.Default}
	l, err := NewLearner(Training{Env: env, Common: common, Model: Choosing(m), Source: drawn{n: 4}, Records: records()})
	if err != nil {
		t.Fatal(err)
	}
	if want := []int{6, 7, 6, 8}; !slices.Equal(l.Plan.Lengths, want) {
		t.Errorf("lengths are %v, want %v", l.Plan.Lengths, want)
	}
	if text := l.Describe(0, 0); !strings.Contains(text, "of the training file") {
		t.Error(text)
	}
	if _, err := NewLearner(Training{Env: env, Common: common, Model: Choosing(m), Source: drawn{n: 0}, Records: records()}); !errors.Is(err, regions.ErrNoImage) {
		t.Errorf("no picture: %v", err)
	}
}
