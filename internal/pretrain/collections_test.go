package pretrain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/pretrain/related"
)

// A run says what its streams have passed over while they go on.
func TestReportWhileFeeding(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(t.TempDir(), "texts.jsonl")
	write(t, path, strings.Repeat("{\"text\": \"a dog runs in the snow\"}\nno JSON\n", 5000))
	c, err := corpus.Open(corpus.Text, []string{path}, corpus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.collections = Collections{corpus.Text: c}
	w.recipe.Ratios = [3]float64{1, 0, 0}
	f := w.feed(t, nil)
	done := make(chan error)
	go func() {
		var err error
		for n := 0; n < 300 && err == nil; n++ {
			var b *Batch
			if b, err = f.Batch(n); err == nil {
				err = f.Count([]Note{b.Note()})
			}
		}
		done <- err
	}()
	for {
		n := f.Report(corpus.Text).Skipped[corpus.NotJSON]
		select {
		case err := <-done:
			if n == 0 || err != nil {
				t.Errorf("%d lines were passed over, error %v", n, err)
			}
			if r := f.Report(corpus.Images); len(r.Skipped) > 0 {
				t.Errorf("images that there are none of: %v", r)
			}
			return
		default:
		}
	}
}

// detected writes features with probabilities of classes: image i is of class i.
func detected(t *testing.T, images int, classes []int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "features.tsv")
	err := regions.WriteReference(path, 4, func(yield func(*regions.Image, error) bool) {
		for i := range images {
			im := &regions.Image{ID: fmt.Sprint(i), Width: 2, Height: 2, Boxes: []float32{0, 0, 1, 1, 1, 1, 2, 2}, Features: []float32{1, 2, 3, 4, 5, 6, 7, 8}}
			for range 2 {
				p := make([]float32, slices.Max(classes)+1)
				p[classes[i]] = 1
				im.Classes = append(im.Classes, p...)
			}
			if !yield(im, nil) {
				return
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Where a detector says what images show, those with the same classes are retrieved, whatever the captions say.
func TestRetrievedByDetectedClasses(t *testing.T) {
	dir, classes := t.TempDir(), []int{0, 1, 0, 2, 1}
	var lines strings.Builder
	for i := range classes {
		fmt.Fprintf(&lines, "{\"image\": \"%d\", \"caption\": \"a dog runs in the snow, number %d\"}\n", i, i)
	}
	write(t, filepath.Join(dir, "pairs.jsonl"), lines.String())
	pairs, err := corpus.Open(corpus.Pairs, []string{filepath.Join(dir, "pairs.jsonl")}, corpus.Options{Features: detected(t, len(classes), classes)})
	if err != nil {
		t.Fatal(err)
	}
	defer pairs.Close()
	w := newWorld(t)
	w.collections, w.recipe.BatchSize = Collections{corpus.Pairs: pairs}, 2
	r := w.resources(t, t.TempDir())
	want := map[string]string{"0": "2", "2": "0", "1": "4", "4": "1", "3": ""}
	for s, err := range pairs.Each(t.Context(), corpus.Train) {
		if err != nil {
			t.Fatal(err)
		}
		near, err := r.related.Related(locate(corpus.Pairs, s))
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, location := range near.Images {
			other, err := r.open(location)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, other.Key)
		}
		if got := strings.Join(found, " "); got != want[s.Key] {
			t.Errorf("image %s: found %q, want %q", s.Key, got, want[s.Key])
		}
	}
}

// Classes are predicted only where all images of a batch have them: a distribution for each predicted region, or none.
func TestClassesOfSome(t *testing.T) {
	with, without := testImage(0), testImage(1)
	with.Classes = []float32{1, 0, 0, 1}
	p := &Preparer{Recipe: &Recipe{Weights: ofAll(Weights{RegionClass: 1})}}
	for _, c := range []struct {
		images []regions.Image
		want   int
	}{{[]regions.Image{with, with}, 4}, {[]regions.Image{with, without}, 0}, {[]regions.Image{without, with}, 0}, {[]regions.Image{without}, 0}} {
		var items []item
		for _, im := range c.images {
			items = append(items, item{sample: &corpus.Sample{}, image: im, regions: []int{1}, predicted: []int{1}})
		}
		b := &Batch{Kind: corpus.Images}
		p.pack(b, items)
		if len(b.Hidden.Regions) != len(c.images) || len(b.Hidden.Classes) != c.want {
			t.Errorf("%d images, %d regions: %v", len(c.images), len(b.Hidden.Regions), b.Hidden.Classes)
		}
	}
}

// Captions of one image on lines of their own are noticed, and none is a negative of the image.
func TestRepeatedImages(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	picture, err := os.ReadFile(w.picture(t))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "a.png"), string(picture))
	write(t, filepath.Join(dir, "b.png"), string(picture))
	write(t, filepath.Join(dir, "pairs.jsonl"), `{"image": "a.png", "caption": "a dog runs"}
{"image": "b.png", "caption": "a cat sleeps"}
{"image": "a.png", "caption": "the snow is deep"}
`)
	x, _ := regions.NewExtractor(regions.Spec{Extractor: regions.Patches, ImageSize: 32, PatchSize: 16})
	c, err := corpus.Open(corpus.Pairs, []string{filepath.Join(dir, "pairs.jsonl")}, corpus.Options{Extractor: x})
	if err != nil {
		t.Fatal(err)
	}
	w.collections = Collections{corpus.Pairs: c}
	w.recipe.Ratios, w.recipe.BatchSize, w.recipe.Negatives, w.recipe.BatchNegatives = [3]float64{0, 0, 1}, 3, 0, 2
	var said bytes.Buffer
	r, err := OpenResources(t.Context(), t.TempDir(), w.collections, ResourceOptions{
		Recipe: w.recipe, Log: slog.New(slog.NewTextHandler(&said, nil)), Stage: func(string) {}, Tick: func(int, int) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if !strings.Contains(said.String(), "name of one before") || !strings.Contains(said.String(), "pairs.jsonl:3") {
		t.Errorf("not said: %s", said.String())
	}
	f := w.feed(t, nil) // without what is retrieved
	b := batches(t, f, 0, 1)[0]
	negatives := map[string]int{}
	for i, kind := range b.CMCL.ImageKind.Kinds {
		if kind == 0 {
			negatives[b.Samples[i/b.CMCL.ImageKind.Group]]++
		}
	}
	for where, want := range map[string]int{":1": 1, ":2": 2, ":3": 1} {
		if got := negatives[filepath.Join(dir, "pairs.jsonl")+where]; got != want {
			t.Errorf("the image of line %s has %d negatives, want %d", where, got, want)
		}
	}
	if len(f.Lost().Skipped) == 0 {
		t.Error("too few captions to compare with are not counted")
	}
}

// picture returns a file of one.
func (w world) picture(t *testing.T) string {
	t.Helper()
	for s, err := range w.collections[corpus.Images].Each(t.Context(), corpus.All) {
		if err != nil {
			t.Fatal(err)
		}
		return s.Where
	}
	t.Fatal("there is none")
	return ""
}

// A build that is cut short leaves nothing that the next one could take for its own.
func TestResourcesOfAnotherRun(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	w.resources(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := builder{o: ResourceOptions{Recipe: w.recipe, Stage: func(string) {}, Log: slog.New(slog.DiscardHandler)}, c: w.collections, names: map[string]bool{}}
	if err := b.build(ctx, dir, filepath.Join(dir, "index"), related.Options{}); err != context.Canceled {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, lexiconFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lexicon of before is still there: %v", err)
	}
}
