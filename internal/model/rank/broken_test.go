package rank

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
)

// A model with a weight that is no number gives an error that names it, whatever it is asked: never a ranking.
func TestBrokenModelIsAnError(t *testing.T) {
	f := newFixture(t, 6, 1)
	ctx := context.Background()
	good := filepath.Join(t.TempDir(), "good")
	f.index(t, good, "digest")
	ix, err := OpenIndex(good, "digest")
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	searcher, err := NewSearcher(f.scorer, ix)
	if err != nil {
		t.Fatal(err)
	}
	sound, err := f.scorer.Vectors(ctx, f.set, quiet)
	if err != nil {
		t.Fatal(err)
	}
	image := f.set.Images.Source.(*memorySource).images[0]
	asks := map[string]func() error{
		"match": func() error {
			_, err := f.scorer.Match(ctx, Single(&image), f.set.Texts[:2], []model.Pair{{Text: 0}, {Text: 1}}, quiet)
			return err
		},
		"exhaustive": func() error { _, err := f.scorer.Exhaustive(ctx, f.set, nil, quiet); return err },
		"two stages": func() error { _, err := f.scorer.TwoStage(ctx, f.set, sound, 2, quiet); return err },
		"vectors":    func() error { _, err := f.scorer.Vectors(ctx, f.set, quiet); return err },
		"text":       func() error { _, err := searcher.Text(ctx, f.set.Texts[0], 2, 0); return err },
		"text, ordered": func() error {
			_, err := searcher.Text(ctx, f.set.Texts[0], 2, 2)
			return err
		},
		"image": func() error { _, err := searcher.Image(ctx, &image, 2); return err },
		"index": func() error {
			_, err := f.scorer.WriteIndex(ctx, filepath.Join(t.TempDir(), "bad"), f.set.Images.Source, IndexOptions{
				Model: "digest", Bad: func(_ string, err error) error { return err }, Tick: func(string, int, int) {},
			})
			return err
		},
	}
	for parameter, broken := range map[string][]string{ // nil: all
		"match_fc.b_0":                             {"match", "exhaustive", "two stages", "text, ordered"},
		"contrast_fc_text.b_0":                     {"vectors", "text", "text, ordered"},
		"contrast_fc_image.b_0":                    {"vectors", "image", "index"},
		"encoder_layer_0_post_ffn_layer_norm_bias": nil,
	} {
		i := slices.IndexFunc(f.model.Params, func(p model.Parameter) bool { return p.Name == parameter })
		values := engine.Values(f.scorer.dev, f.model.Params[i].Value)
		old := values[0]
		values[0] = float32(math.NaN())
		for name, ask := range asks {
			if broken != nil && !slices.Contains(broken, name) {
				continue
			}
			var nonFinite *model.NonFiniteError
			if err := ask(); !errors.As(err, &nonFinite) || nonFinite.Tensor != parameter {
				t.Errorf("%s with NaN in %s: %v", name, parameter, err)
			}
		}
		values[0] = old
	}
	// An index of a broken model, as an older version wrote it.
	ix.vectors = append([]float32(nil), ix.vectors...)
	ix.vectors[3] = float32(math.NaN())
	if searcher, err = NewSearcher(f.scorer, ix); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"text", "image"} {
		if err := asks[name](); err == nil || !strings.Contains(err.Error(), "index") {
			t.Errorf("%s, NaN in the index: %v", name, err)
		}
	}
}
