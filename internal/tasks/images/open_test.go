package images

import (
	"bytes"
	"image"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/base/parallel"
	"github.com/unimo-go/unimo/internal/dataset/captions"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/rank"
	"github.com/unimo-go/unimo/internal/run"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/metrics"
	"github.com/unimo-go/unimo/tokenizer"
)

// The reference reads 100 boxes of an image; the patches are ours.
func TestSettings(t *testing.T) {
	if want := (Settings{MaxRegions: 100, Cut: Cut{Extractor: regions.Patches, ImageSize: 160, PatchSize: 16}, ImageCache: 1024}); Default != want {
		t.Errorf("defaults are %+v, want %+v", Default, want)
	}
	for _, c := range []struct {
		change func(*Settings)
		want   string
	}{
		{func(*Settings) {}, ""},
		{func(s *Settings) { s.MaxRegions = 0 }, "max_regions is 0, want 1 or more"},
		{func(s *Settings) { s.ImageCache = -1 }, "image_cache is -1, want 0 or more"},
		{func(s *Settings) { s.Pictures = Hidden }, ""},
		{func(s *Settings) { s.Pictures = "grey" }, `unknown pictures "grey"; choose one of shuffled, hidden`},
		{func(s *Settings) { s.Grid = 1 }, "grid is no setting of patches, whose sizes are image_size and patch_size; leave it out"},
		{func(s *Settings) { s.Extractor, s.PatchSize = regions.Statistics, 1 }, "patch_size is no setting of statistics, whose sizes are image_size and grid; leave it out"},
		{func(s *Settings) { s.Extractor, s.ImageSize = "x.pth", 1 }, "image_size is a setting of patches and statistics; a trained network (x.pth) has its own sizes; leave it out"},
		{func(s *Settings) { s.Extractor = "x.pth" }, ""},
	} {
		s := Default
		c.change(&s)
		given := func(key string) bool {
			return key == "image_size" && s.ImageSize == 1 || key == "patch_size" && s.PatchSize == 1 || key == "grid" && s.Grid == 1
		}
		if err := s.Validate(given); (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	s, e := Settings{Features: "f", Order: "width", MaxRegions: 3, SkipBad: true}, EvalSettings{Features: "f", Order: "width", MaxRegions: 3, SkipBad: true}
	want := Options{Features: "f", Order: "width", MaxRegions: 3, SkipBad: true, Limit: parallel.Limit(2), Seed: 7}
	if got := s.Options(nil, 2, 7); !reflect.DeepEqual(got, want) {
		t.Errorf("options are %+v", got)
	}
	want.Seed = evalSeed
	if got := e.Options(nil, 2); !reflect.DeepEqual(got, want) {
		t.Errorf("options of an evaluation are %+v", got)
	}
	spec := Default.Spec()
	if want := (regions.Spec{Extractor: regions.Patches, ImageSize: 160, PatchSize: 16}); !reflect.DeepEqual(spec, want) {
		t.Errorf("spec is %+v", spec)
	}
	if got, want := (&Cut{Extractor: regions.Statistics, ImageSize: 64, PatchSize: 16, Grid: 4}).Spec(), (regions.Spec{Extractor: regions.Statistics, ImageSize: 64, Grid: 4}); !reflect.DeepEqual(got, want) {
		t.Errorf("spec of statistics is %+v", got)
	}
	if _, err := (&Cut{Extractor: "pixels"}).NewExtractor(); err == nil || !strings.Contains(err.Error(), "pixels") {
		t.Errorf("an unknown extractor: %v", err)
	}
	if n, err := Default.Dim(0); n != 768 || err != nil {
		t.Errorf("patches have %d values, %v", n, err)
	}
	if n, err := new(Cut).Dim(2048); n != 2048 || err != nil {
		t.Errorf("features that were read have %d values, %v", n, err)
	}
	if _, err := (&Cut{Extractor: regions.Patches, ImageSize: 100, PatchSize: 16}).Dim(0); err == nil {
		t.Error("patches that do not fill the picture are no error")
	}
}

// drawn is a folder with two pictures, and one that is none, and its captions.
func drawn(t *testing.T) *captions.Set {
	t.Helper()
	set := &captions.Set{Name: "dev", Dir: t.TempDir(), Images: []string{"bad.png", "a.png", "b.png"}, Captions: []captions.Caption{
		{Image: 0, Text: "nothing"}, {Image: 1, Text: "a dog"}, {Image: 2, Text: "a cat"}, {Image: 1, Text: "dogs"},
	}}
	dir := captions.ImageDir(set.Dir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	if err := png.Encode(&content, image.NewRGBA(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	for i, name := range set.Images {
		raw := content.Bytes()
		if i == 0 {
			raw = []byte("no picture")
		}
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

func cutter() (regions.Extractor, error) {
	return regions.NewExtractor(regions.Spec{Extractor: regions.Patches, ImageSize: 8, PatchSize: 4})
}

// features writes region features of two images.
func features(t *testing.T, ids ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "features.tsv")
	err := regions.WriteReference(file, 2, func(yield func(*regions.Image, error) bool) {
		for i, id := range ids {
			if !yield(&regions.Image{ID: id, Width: 8, Height: 6, Boxes: []float32{0, 0, 8, 6}, Features: []float32{float32(i), 1}}, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestOpen(t *testing.T) {
	set := drawn(t)
	var log bytes.Buffer
	o := Options{Log: slog.New(slog.NewTextHandler(&log, nil))}
	left := []captions.Caption{{Image: 0, Text: "a dog"}, {Image: 1, Text: "a cat"}, {Image: 0, Text: "dogs"}}
	for _, c := range []struct {
		name, features string
		skip           bool
		dim            int
		whole          bool // nothing is left out
		err, log       string
	}{
		{name: "pictures", dim: 48, whole: true},
		{name: "pictures, bad ones left out", skip: true, dim: 48, log: "1 of 3 images of dev were left out"},
		{name: "features of all", features: features(t, "a", "b", "bad"), dim: 2, whole: true, log: "region features of 3 images, 2 values each"},
		{name: "features of two", features: features(t, "a", "b"), err: `dev.txt: line 1: "bad.png" has no features in`},
		{name: "features of two, others left out", features: features(t, "a", "b"), skip: true, dim: 2, log: "1 of 3 images of dev were left out"},
		{name: "features of others", features: features(t, "c"), skip: true, err: "no image of dev can be read"},
		{name: "no features", features: filepath.Join(set.Dir, "none"), err: "none"},
	} {
		log.Reset()
		o.Features, o.SkipBad = c.features, c.skip
		source, spec, sets, err := Open(o, cutter, picture.DefaultLimits, 1<<20, set)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
		if err != nil {
			continue
		}
		want := set.Captions
		if !c.whole {
			want = left
		}
		if source.Dim() != c.dim || (spec != nil) != (c.features == "") || !reflect.DeepEqual(sets[0].Captions, want) || len(sets[0].Images) != 2 && !c.whole {
			t.Errorf("%s: %d values, %v, %+v", c.name, source.Dim(), spec, sets[0])
		}
		if !strings.Contains(log.String(), c.log) {
			t.Errorf("%s: log is %s", c.name, &log)
		}
		source.Close()
	}
	failing := func() (regions.Extractor, error) { return nil, os.ErrInvalid }
	if _, _, _, err := Open(Options{}, failing, picture.DefaultLimits, 0, set); err != os.ErrInvalid {
		t.Errorf("an extractor that cannot be made: %v", err)
	}
}

// Of region features names and sizes are what a digest sees.
func TestDigestOfFeatures(t *testing.T) {
	set := drawn(t)
	digest := func(file string) string {
		d, err := Digest(Options{Features: file}, set)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if a := digest(features(t, "a", "b")); a != digest(features(t, "c", "d")) || a == digest(features(t, "a")) {
		t.Error("the digest does not go by names and sizes")
	}
	if _, err := Digest(Options{Features: filepath.Join(set.Dir, "none")}, set); err == nil {
		t.Error("missing features have a digest")
	}
}

func TestCaptionsAsTokens(t *testing.T) {
	tok, err := tokenizer.Train(t.Context(), slices.Values([]string{"a dog runs", "a cat sleeps"}), 280, tokenizer.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a dog runs ", 9)
	set := &captions.Set{Images: []string{"a.png", "b.png"}, Captions: []captions.Caption{{Image: 1, Text: "a"}, {Image: 0, Text: long}, {Image: 1, Tokens: []int32{0, 5, 6, 7, 8, 9, 10, 2}}, {Tokens: []int32{0, 5, 2}}}}
	enc := Captions{Tokenizer: tok, MaxLen: 6}
	tokens, cut, err := enc.All(set)
	if err != nil || cut != 2 || len(tokens[0]) >= 6 || len(tokens[1]) != 6 || !slices.Equal(tokens[2], captions.Truncate(set.Captions[2].Tokens, 6)) || !slices.Equal(tokens[3], []int32{0, 5, 2}) {
		t.Errorf("%d were cut: %v", cut, tokens)
	}
	if one, short := enc.Encode("a"); short || !slices.Equal(one, tokens[0]) {
		t.Errorf("alone: %v, %v", one, short)
	}
	found, cut, err := EvalSet(set, nil, enc)
	if err != nil || cut != 2 || !slices.Equal(found.ImageOf, []int{1, 0, 1, 0}) || !reflect.DeepEqual(found.Texts, tokens) || !slices.Equal(found.Images.IDs, set.Images) {
		t.Errorf("the set that is searched is %+v", found)
	}
	for _, bad := range []struct {
		tokens []int32
		want   string
	}{
		{[]int32{0, 264, 2}, "captions.ids:3: token 264 is not in the model's vocabulary of 264; give texts"},
		{[]int32{0, -1, 2}, "token -1 is not"},
		{[]int32{0, 5}, "do not run from [CLS] (0) to [SEP] (2)"},
		{[]int32{5, 2}, "do not run from [CLS] (0) to [SEP] (2)"},
		{[]int32{}, "do not run from [CLS] (0) to [SEP] (2)"},
	} {
		set.File, set.Captions = "captions.ids", []captions.Caption{{Line: 3, Tokens: bad.tokens}}
		if _, _, err := EvalSet(set, nil, enc); err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%v: %v, want %q", bad.tokens, err, bad.want)
		}
	}
}

func TestRecallNumbers(t *testing.T) {
	r := rank.Recalls{Image: metrics.Recall{At1: 0.25, At5: 0.5, At10: 0.75, MeanRank: 4}, Text: metrics.Recall{At1: 0.75, At5: 0.8, At10: 1, MeanRank: 2}}
	m := RecallNumbers(r, rank.Set{Images: rank.Images{IDs: make([]string, 4)}, Texts: make(rank.Texts, 8)})
	for key, want := range map[string]float64{
		"recall@1": 0.5, "mean_rank": 3, "images": 4, "examples": 8,
		"image_recall@1": 0.25, "image_recall@5": 0.5, "image_recall@10": 0.75, "image_mean_rank": 4,
		"text_recall@1": 0.75, "text_recall@5": 0.8, "text_recall@10": 1, "text_mean_rank": 2,
	} {
		if got, ok := m[key]; !ok || float64(got) != want {
			t.Errorf("%s is %v, want %v", key, got, want)
		}
	}
	if len(m) != 12 {
		t.Errorf("%d metrics: %v", len(m), m)
	}
	for metric, want := range map[string]run.Metric{"images": {Count: true, Order: run.PlaceCount}, "text_recall@5": run.Share, "recall@1": run.Share, "mean_rank": {}} {
		if got := Describe(metric); got != want {
			t.Errorf("%s is shown as %+v, want %+v", metric, got, want)
		}
	}
}

// shapes is a checkpoint of which only the shapes are asked.
type shapes struct {
	checkpoint.Reader
	list []checkpoint.Info
}

func (s shapes) Tensors() []checkpoint.Info { return slices.Clone(s.list) }
func (s shapes) Info(name string) (checkpoint.Info, error) {
	for _, i := range s.list {
		if i.Name == name {
			return i, nil
		}
	}
	return checkpoint.Info{}, os.ErrNotExist
}

// What belongs to regions of another size is left out; what only looks so is not.
func TestFit(t *testing.T) {
	r := shapes{list: []checkpoint.Info{{Name: parts[0], Shape: []int{2048, 8}}, {Name: parts[1], Shape: []int{8, 48}}, {Name: "word", Shape: []int{9, 8}}}}
	specs := []model.Spec{{Name: parts[0], Shape: []int{48, 8}}, {Name: parts[1], Shape: []int{8, 48}}, {Name: parts[2], Shape: []int{48}}, {Name: "word", Shape: []int{7, 8}}}
	var log bytes.Buffer
	fitted := Fit(r, specs, slog.New(slog.NewTextHandler(&log, nil)))
	var names []string
	for _, i := range fitted.Tensors() {
		names = append(names, i.Name)
	}
	if !slices.Equal(names, []string{parts[1], "word"}) || strings.Count(log.String(), "regions of another size") != 1 {
		t.Errorf("left are %q, log %s", names, &log)
	}
}
