package pretrain

import (
	"fmt"
	"image/png"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/demo/synth"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/pretrain/corpus"
	"github.com/unimo-go/unimo/internal/pretrain/masking"
	_ "github.com/unimo-go/unimo/internal/test/volatile"
	"github.com/unimo-go/unimo/tokenizer"
)

// world is a small run: texts, pictures and pairs of synthetic scenes.
type world struct {
	dir         string
	recipe      *Recipe
	tok         *tokenizer.Tokenizer
	collections Collections
	decoded     *atomic.Int64 // pictures
}

// counting counts the pictures that are decoded.
type counting struct {
	regions.Extractor
	n *atomic.Int64
}

// Extract implements [regions.Extractor].
func (c counting) Extract(p *picture.Picture, width, height int, dst *regions.Image) error {
	c.n.Add(1)
	return c.Extractor.Extract(p, width, height, dst)
}

// ofAll gives all kinds the same weights.
func ofAll(w Weights) [len(Kinds)]Weights { return [len(Kinds)]Weights{w, w, w} }

func newWorld(t *testing.T) world {
	t.Helper()
	dir := t.TempDir()
	trainSet, heldOut := synth.Scenes(3, 24, 4)
	if err := synth.WriteScenes(dir, trainSet[4:], trainSet[:4], heldOut); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, s := range trainSet[4:] {
		lines = append(lines, s.Captions...)
	}
	texts := filepath.Join(dir, "texts.txt")
	write(t, texts, strings.Join(lines, "\n")+"\n")
	tok, err := tokenizer.Train(t.Context(), slices.Values(lines), 400, tokenizer.TrainOptions{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := regions.NewExtractor(regions.Spec{Extractor: regions.Patches, ImageSize: 32, PatchSize: 16})
	if err != nil {
		t.Fatal(err)
	}
	w := world{dir: dir, decoded: new(atomic.Int64), tok: tok, collections: Collections{}, recipe: &Recipe{
		Seed: 1, BatchSize: 5, Ratios: [3]float64{1, 1, 5}, MaxText: 12, MaxCaption: 16,
		Language:     masking.Language{Vocabulary: tok, Share: 0.15, PhraseShare: 0.5, MaxWords: 3},
		Fragments:    masking.Fragments{Vocabulary: tok, Share: 0.25, MaxWords: 3},
		Seq2SeqShare: 0.5, Regions: masking.Regions{Share: 0.3, Overlap: 0.3}, Normalise: true,
		Positives: 1, Negatives: 3, SentenceShare: 0.34, RetrievedImages: 1, RetrievedTexts: 1, Temperature: 0.1,
		Weights: ofAll(Weights{1, 1, 1, 1, 1, 1}),
	}}
	for kind, path := range map[corpus.Kind]string{corpus.Text: texts, corpus.Images: filepath.Join(dir, "images"), corpus.Pairs: dir} {
		c, err := corpus.Open(kind, []string{path}, corpus.Options{Extractor: counting{x, w.decoded}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		w.collections[kind] = c
	}
	return w
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func (w world) resources(t *testing.T, dir string) *Resources {
	t.Helper()
	r, err := OpenResources(t.Context(), dir, w.collections, ResourceOptions{
		Recipe: w.recipe, Fingerprint: "f", Log: slog.New(slog.DiscardHandler), Stage: func(string) {}, Tick: func(int, int) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// all are the batches of a feed that is alone.
func all(int) bool { return true }

func (w world) feed(t *testing.T, r *Resources) *Feed {
	t.Helper()
	return w.share(t, r, 1, all)
}

// share is the feed of one of several processes.
func (w world) share(t *testing.T, r *Resources, step int, mine func(int) bool) *Feed {
	t.Helper()
	streams := map[corpus.Kind]*corpus.Stream{}
	for kind, c := range w.collections {
		streams[kind] = c.Stream(corpus.StreamOptions{Seed: w.recipe.Seed, Buffer: 7, Part: corpus.Train})
	}
	f, err := NewFeed(&Preparer{Recipe: w.recipe, Tokenizer: w.tok, Resources: r, Workers: 2}, streams, step, mine)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func batches(t *testing.T, f *Feed, from, to int) []*Batch {
	t.Helper()
	var list []*Batch
	for n := from; n < to; n++ {
		b, err := f.Batch(n)
		if err != nil {
			t.Fatal(err)
		}
		if list = append(list, b); f.open == f.step {
			count(t, f, list[len(list)-f.step:])
		}
	}
	return list
}

// count has a feed take notice of the batches of a step.
func count(t *testing.T, f *Feed, step []*Batch) {
	t.Helper()
	var notes []Note
	for _, b := range step {
		notes = append(notes, b.Note())
	}
	if err := f.Count(notes); err != nil {
		t.Fatal(err)
	}
}

// content is what of a batch the model sees.
func content(b *Batch) any { return []any{b.Kind, b.Seq2Seq, b.Hidden, b.CMCL, b.Tokens, b.Samples} }

// A feed restored anywhere gives the batches that the first one went on with, whatever the number of workers, also when
// the streams' state was taken many batches before.
func TestFeedGoesOn(t *testing.T) {
	w := newWorld(t)
	r := w.resources(t, t.TempDir())
	const last = 2*baseEvery + 9
	f := w.feed(t, r)
	var whole []*Batch
	states := map[int][]byte{}
	for n := range last {
		if n%41 == 0 || n == baseEvery || n == baseEvery+1 {
			state, err := f.State()
			if err != nil {
				t.Fatal(err)
			}
			states[n] = state
		}
		whole = append(whole, batches(t, f, n, n+1)...)
	}
	for n, state := range states {
		again := w.feed(t, r)
		again.prepare.Workers = 1
		if err := again.Restore(state); err != nil {
			t.Fatal(err)
		}
		for i, b := range batches(t, again, n, min(n+12, last)) {
			if !reflect.DeepEqual(content(b), content(whole[n+i])) {
				t.Fatalf("restored before batch %d, batch %d differs", n, n+i)
			}
		}
	}
	if _, err := f.Batch(3); err == nil {
		t.Error("a batch out of order was given")
	}
	if err := w.feed(t, r).Restore([]byte("{")); err == nil {
		t.Error("half a state was taken")
	}
}

// However many ranks share the batches of a step, they get those of one, and each prepares its own. What cannot be used is counted alike.
// So it goes on after another number of ranks.
func TestFeedIsShared(t *testing.T) {
	const step, steps, middle = 8, 8, 3
	w := newWorld(t)
	w.recipe.BatchSize = 2
	pictures, _ := filepath.Glob(filepath.Join(w.dir, "images", "*"))
	for _, picture := range pictures[:len(pictures)/2] { // some batches are of bad ones alone
		write(t, picture, "no picture")
	}
	r := w.resources(t, t.TempDir())
	var halfway string
	run := func(f *Feed, from int, see func(n int, b *Batch) Note) (decoded int64, state string) {
		t.Helper()
		before := w.decoded.Load()
		for n := from; n < step*steps; n += step {
			var notes []Note
			for i := range step {
				var b *Batch
				var err error
				if f.mine(n + i) {
					b, err = f.Batch(n + i)
				} else {
					err = f.Skip(n + i)
				}
				if err != nil {
					t.Fatal(err)
				}
				notes = append(notes, see(n+i, b))
			}
			if err := f.Count(notes); err != nil {
				t.Fatal(err)
			}
			raw, err := f.State()
			if err != nil {
				t.Fatal(err)
			}
			if state = string(raw); n == middle*step {
				halfway = state
			}
		}
		f.Close()
		return w.decoded.Load() - before, state
	}
	var whole []*Batch
	all, end := run(w.share(t, r, step, all), 0, func(_ int, b *Batch) Note {
		whole = append(whole, b)
		return b.Note()
	})
	state := halfway
	if !strings.Contains(end, emptyBatch) || !strings.Contains(end, corpus.BadPicture) {
		t.Fatalf("no batch is empty: %s", end)
	}
	const readAhead = 2 * (1 + 1) * (ahead + 1) // pictures: of pairs, with one that is retrieved for each
	for _, ranks := range []int{2, 4, 8} {
		var sum int64
		for rank := range ranks {
			mine := func(n int) bool { return n%step/(step/ranks) == rank }
			compare := func(n int, b *Batch) Note {
				if note := whole[n].Note(); mine(n) && (!reflect.DeepEqual(content(b), content(whole[n])) || !reflect.DeepEqual(b.Note(), note)) {
					t.Fatalf("rank %d of %d: batch %d is another", rank, ranks, n)
				}
				return whole[n].Note()
			}
			decoded, its := run(w.share(t, r, step, mine), 0, compare)
			if its != end || halfway != state {
				t.Errorf("rank %d of %d ends at %s, want %s", rank, ranks, its, end)
			}
			sum += decoded
			if decoded > all/int64(ranks)*3/2+readAhead {
				t.Errorf("rank %d of %d decodes %d pictures, one alone %d", rank, ranks, decoded, all)
			}
			again := w.share(t, r, step, mine)
			if err := again.Restore([]byte(state)); err != nil {
				t.Fatal(err)
			}
			if _, its := run(again, (middle+1)*step, compare); its != end {
				t.Errorf("rank %d of %d goes on to %s, want %s", rank, ranks, its, end)
			}
		}
		if sum < all-readAhead || sum > all+int64(ranks)*readAhead {
			t.Errorf("%d ranks decode %d pictures, one %d", ranks, sum, all)
		}
	}
	f := w.share(t, r, step, func(n int) bool { return n > 0 })
	if _, err := f.Batch(0); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a batch of another rank: %v", err)
	}
	if err := f.Restore([]byte(`{"number":3,"tokens":[1,2,3],"base":null,"since":null}`)); err == nil || !strings.Contains(err.Error(), "older version") {
		t.Errorf("a state of an older version: %v", err)
	}
}

// Tokens are mixed in the ratio that was asked for, and half of the batches with text are fragmented.
func TestMixture(t *testing.T) {
	w := newWorld(t)
	f := w.feed(t, nil)
	tokens, seq2seq, texts := map[corpus.Kind]float64{}, 0.0, 0.0
	for _, b := range batches(t, f, 0, 400) {
		tokens[b.Kind] += float64(b.Tokens)
		if b.Kind != corpus.Images {
			texts++
			if b.Seq2Seq {
				seq2seq++
			}
		}
	}
	for i, kind := range Kinds {
		want := w.recipe.Ratios[i] / 7
		if got := tokens[kind] / (tokens[corpus.Text] + tokens[corpus.Images] + tokens[corpus.Pairs]); math.Abs(got-want) > 0.01 {
			t.Errorf("%s has %.3f of the tokens, want %.3f", kind, got, want)
		}
	}
	if share := seq2seq / texts; share < 0.4 || share > 0.6 {
		t.Errorf("%.2f of the batches are seq2seq, want about 0.5", share)
	}
}

// What is hidden is zero and shows in no other region's row, the global one's included; the targets are what was there.
func TestHiddenRegions(t *testing.T) {
	w := newWorld(t)
	w.recipe.Normalise = false
	seen := false
	for _, b := range batches(t, w.feed(t, nil), 0, 40) {
		h := b.Hidden
		if b.Kind == corpus.Text {
			if h.Images.Offsets != nil {
				t.Fatal("a batch of texts has images")
			}
			continue
		}
		seen = true
		dim := w.collections[corpus.Images].Dim()
		if len(h.Targets) != len(h.Regions)*dim || len(h.Regions) < h.Images.Sequences() {
			t.Fatalf("%d regions and %d values for %d images", len(h.Regions), len(h.Targets), h.Images.Sequences())
		}
		for i, row := range h.Regions {
			if slices.ContainsFunc(h.Images.Features[int(row)*dim:int(row+1)*dim], func(v float32) bool { return v != 0 }) {
				t.Fatal("a region that is predicted is not hidden")
			}
			if !slices.ContainsFunc(h.Targets[i*dim:(i+1)*dim], func(v float32) bool { return v != 0 }) {
				t.Fatal("a target is all zero")
			}
		}
		for s := range h.Images.Sequences() {
			first, end := int(h.Images.Offsets[s]), int(h.Images.Offsets[s+1])
			for k := range dim {
				var sum float64
				for row := first + 1; row < end; row++ {
					sum += float64(h.Images.Features[row*dim+k])
				}
				if got, want := float64(h.Images.Features[first*dim+k]), sum/float64(end-first-1); math.Abs(got-want) > 1e-5 {
					t.Fatalf("the global region knows what is hidden: %v, want %v", got, want)
				}
			}
		}
	}
	if !seen {
		t.Fatal("no batch with images")
	}
}

// A fragmented text's source has none of its fragments' places, its target says them and ends.
func TestFragmentedTexts(t *testing.T) {
	w := newWorld(t)
	w.recipe.Seq2SeqShare = 1
	for _, b := range batches(t, w.feed(t, nil), 0, 30) {
		if b.Kind == corpus.Images {
			continue
		}
		text, label := b.Hidden.Text, 0
		if err := text.Check(model.Config{VocabSize: w.tok.VocabSize(), MaxPositions: 64}); err != nil {
			t.Fatal(err)
		}
		for s, source := range text.Sources {
			target := text.Tokens[text.Offsets[s]+source : text.Offsets[s+1]]
			if len(target) == 0 {
				continue
			}
			labels := b.Hidden.Labels[label : label+len(target)]
			label += len(target)
			if target[0] != w.tok.CLS() || labels[len(labels)-1] != w.tok.MASK() || !slices.Equal(target[1:], labels[:len(labels)-1]) {
				t.Fatalf("target %v with labels %v", target, labels)
			}
			if at := text.Positions[text.Offsets[s]+source]; at != model.FirstPosition {
				t.Fatalf("the target begins at position %d", at)
			}
		}
		if label != len(b.Hidden.Labels) {
			t.Fatalf("%d labels for %d target tokens", len(b.Hidden.Labels), label)
		}
	}
}

// texts takes a packed text apart.
func texts(text model.Text) [][]int32 {
	var list [][]int32
	for s := range text.Sequences() {
		list = append(list, text.Tokens[text.Offsets[s]:text.Offsets[s+1]])
	}
	return list
}

// checkContrast says what is wrong with the comparisons of items, "" if nothing is: a positive's equal among negatives.
func checkContrast(c *CMCL, items []item) string {
	joint, group := texts(c.Joint), c.JointKinds.Group
	for i := range items {
		for k, pair := range c.Candidates[i*group : (i+1)*group] {
			text, kind := joint[pair.Text], c.JointKinds.Kinds[i*group+k]
			own := slices.Equal(text, items[i].tokens) || slices.ContainsFunc(items[i].positives, func(p []int32) bool { return slices.Equal(p, text) })
			switch {
			case int(pair.Image) != i:
				return "a group has another image"
			case k == 0 && kind != engine.Positive:
				return "the pair itself is no positive"
			case kind == engine.Negative && int(pair.Text) < len(items) && (slices.Contains(items[i].said, items[pair.Text].caption) || items[pair.Text].named(&items[i])):
				return "a caption of the batch that is true of the image is among the joint negatives"
			case kind == engine.Negative && own:
				return "a positive is among the joint negatives"
			case kind == engine.Positive && !own:
				return "a joint positive is not the pair's"
			}
		}
	}
	alone := texts(c.Alone)
	for i := range items {
		own := [][]int32{items[i].tokens}
		for j := range items {
			if items[j].key == items[i].key {
				own = append(own, items[j].tokens)
				for _, t := range items[j].texts {
					own = append(own, t.Tokens)
				}
			}
		}
		for k, text := range alone {
			is := slices.ContainsFunc(own, func(o []int32) bool { return slices.Equal(o, text) })
			if kind := c.ImageKind.Kinds[i*c.ImageKind.Group+k]; is && kind == engine.Negative || !is && kind == engine.Positive {
				return fmt.Sprintf("text %d is of kind %d to image %d", k, kind, i)
			}
		}
		for k := range items {
			if slices.Contains(items[i].said, items[k].caption) && c.ImageKind.Kinds[i*c.ImageKind.Group+k] == engine.Negative {
				return fmt.Sprintf("caption %d is true of image %d and a negative", k, i)
			}
			if slices.Contains(items[k].said, items[i].caption) && c.TextKinds.Kinds[i*c.TextKinds.Group+k] == engine.Negative {
				return fmt.Sprintf("caption %d is true of image %d, which is a negative of it", i, k)
			}
		}
	}
	return ""
}

// Whatever is drawn and retrieved, equal texts and images are never positive and negative of one pair.
func TestPositivesAreNoNegatives(t *testing.T) {
	recipe := Recipe{Positives: 1, Negatives: 2, BatchNegatives: 1, Weights: ofAll(Weights{Rewrite: 1, Contrast: 1})}
	rapid.Check(t, func(t *rapid.T) {
		token := func() []int32 { return []int32{0, int32(rapid.IntRange(5, 9).Draw(t, "token")), 2} }
		items := make([]item, rapid.IntRange(1, 6).Draw(t, "items"))
		for i := range items {
			it := &items[i]
			key := rapid.IntRange(0, 4).Draw(t, "key") // two keys may have one name
			it.key, it.tokens, it.image = fmt.Sprint(key), token(), testImage(key/2)
			it.caption = fmt.Sprint(it.tokens)
			it.said = []string{it.caption, fmt.Sprint(token())}
			for range rapid.IntRange(0, 1).Draw(t, "positives") {
				it.positives = append(it.positives, token())
			}
			for range rapid.IntRange(0, 2).Draw(t, "texts") {
				it.texts = append(it.texts, Text{Tokens: token()})
			}
			for range rapid.IntRange(0, 2).Draw(t, "images") {
				it.images = append(it.images, testImage(rapid.IntRange(0, 4).Draw(t, "image")))
			}
		}
		c := recipe.contrast(items, random.New(1, "test"))
		if problem := checkContrast(c, items); problem != "" {
			t.Fatal(problem)
		}
		var names []string
		for i := range items {
			names = append(names, items[i].image.ID)
		}
		for i := range items {
			for k := range items[i].images {
				names = append(names, items[i].images[k].ID)
			}
		}
		for i := range items {
			for k, kind := range c.TextKinds.Kinds[i*c.TextKinds.Group : (i+1)*c.TextKinds.Group] {
				if names[k] == items[i].image.ID && kind == engine.Negative {
					t.Fatalf("the image of pair %d is a negative of its own text", i)
				}
			}
		}
	})
}

func testImage(name int) regions.Image {
	return regions.Image{ID: fmt.Sprint(name), Width: 2, Height: 2, Boxes: []float32{0, 0, 1, 1, 1, 1, 2, 2}, Features: []float32{1, 2, 3, 4}}
}

// Rewritten and retrieved samples come with the pairs, and none of the negatives is true of the image by its captions.
func TestResourcesServePairs(t *testing.T) {
	w := newWorld(t)
	r := w.resources(t, t.TempDir())
	f := w.feed(t, r)
	pairs, negatives, retrieved := 0, 0, 0
	for _, b := range batches(t, f, 0, 60) {
		if b.Kind != corpus.Pairs {
			continue
		}
		pairs += b.CMCL.Pairs
		retrieved += b.CMCL.Images.Sequences() - b.CMCL.Pairs
		for _, kind := range b.CMCL.JointKinds.Kinds {
			if kind == engine.Negative {
				negatives++
			}
		}
	}
	if negatives < 3*pairs*9/10 || retrieved < pairs/2 {
		t.Errorf("%d pairs have %d negatives and %d retrieved images", pairs, negatives, retrieved)
	}
}

// Resources are read again if they fit, and built again if the collections are others.
func TestResourcesAreBuiltOnce(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	stamp := func() string {
		info, err := os.Stat(filepath.Join(dir, lexiconFile))
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime().String()
	}
	w.resources(t, dir)
	first := stamp()
	w.resources(t, dir)
	if stamp() != first {
		t.Error("resources that fit were built again")
	}
	w.recipe.RetrievedImages = 0
	w.resources(t, dir)
	if stamp() == first {
		t.Error("resources that do not fit were kept")
	}
	write(t, filepath.Join(dir, lexiconFile), "{")
	w.resources(t, dir)
	w.recipe.Weights[2][Rewrite], w.recipe.RetrievedTexts = 0, 0
	if w.resources(t, dir) != nil {
		t.Error("there are resources where nothing is looked up")
	}
}

// A picture that cannot be read costs its sample, which is counted; where none can be read the error says so.
func TestBadPictures(t *testing.T) {
	w := newWorld(t)
	dir := t.TempDir()
	trainSet, _ := synth.Scenes(3, 6, 1)
	for i, s := range trainSet {
		path := filepath.Join(dir, fmt.Sprintf("%d.png", i))
		if i > 0 {
			write(t, path, "no picture")
			continue
		}
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(out, s.Draw(32)); err != nil {
			t.Fatal(err)
		}
		out.Close()
	}
	x, _ := regions.NewExtractor(regions.Spec{Extractor: regions.Patches, ImageSize: 32, PatchSize: 16})
	open := func() {
		c, err := corpus.Open(corpus.Images, []string{dir}, corpus.Options{Extractor: x})
		if err != nil {
			t.Fatal(err)
		}
		w.collections[corpus.Images] = c
	}
	open()
	w.recipe.Ratios, w.recipe.BatchSize, w.recipe.Seq2SeqShare = [3]float64{0, 1, 0}, 6, 0
	f := w.feed(t, nil)
	b := batches(t, f, 0, 1)[0]
	if b.Hidden.Images.Sequences() != 1 || f.Lost().Skipped[corpus.BadPicture] < 5 {
		t.Errorf("%d images, lost %v", b.Hidden.Images.Sequences(), f.Lost())
	}
	write(t, filepath.Join(dir, "0.png"), "nor this")
	open()
	f = w.feed(t, nil)
	var err error
	n := 0
	for ; err == nil && n < 100; n++ {
		var b *Batch
		if b, err = f.Batch(n); err == nil {
			err = f.Count([]Note{b.Note()})
		}
	}
	if err == nil || n != useless || !strings.Contains(err.Error(), ".png") || f.Empty().Skipped[emptyBatch] != useless {
		t.Errorf("no picture can be read, got %v after %d batches, %v", err, n, f.Empty())
	}
	if _, again := f.Batch(n); again != err {
		t.Errorf("then %v", again)
	}
}

func TestNewFeedRefuses(t *testing.T) {
	for want, change := range map[string]func(w world){
		"no such collection": func(w world) { delete(w.collections, corpus.Text) },
		"are all 0":          func(w world) { w.recipe.Ratios = [3]float64{} },
	} {
		w := newWorld(t)
		change(w)
		streams := map[corpus.Kind]*corpus.Stream{}
		for kind, c := range w.collections {
			streams[kind] = c.Stream(corpus.StreamOptions{Seed: 1, Buffer: 2})
		}
		if _, err := NewFeed(&Preparer{Recipe: w.recipe}, streams, 1, all); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// Every objective occurs with its weight and a mean over what it counts; one of weight 0 does not.
func TestLoss(t *testing.T) {
	w := newWorld(t)
	cfg := model.Mini
	cfg.ProblemType, cfg.VocabSize, cfg.HiddenSize, cfg.Heads, cfg.Layers = model.Pretraining, w.tok.VocabSize(), 16, 2, 2
	cfg.ImageEmbeddingSize, cfg.ContrastSize = w.collections[corpus.Images].Dim(), 8
	dev := cpu.New()
	m, err := model.New[*model.Pretrainer](dev, cfg, 1)
	if err != nil {
		t.Fatal(err)
	}
	w.recipe.Weights = ofAll(Weights{MaskedLM: 0.5, Seq2Seq: 2, RegionFeature: 3, Contrast: 0.25, Rewrite: 1.5})
	w.recipe.Weights[2][MaskedLM], w.recipe.Weights[2][RegionFeature] = 0.75, 0.125
	f := w.feed(t, w.resources(t, t.TempDir()))
	tape := autograd.NewInference(dev)
	seen, weights := map[string]bool{}, map[string]float64{}
	for _, o := range w.recipe.Objectives(false) {
		weights[o.Name] = o.Weight
	}
	list := batches(t, f, 0, 40)
	for _, b := range list {
		parts, losses := w.recipe.Parts(b), w.recipe.Losses(tape, m, b)
		if len(parts) != len(losses) {
			t.Fatalf("%d parts, %d losses", len(parts), len(losses))
		}
		for i, p := range parts {
			seen[p.Name] = true
			if p.Weight != weights[p.Name] {
				t.Errorf("%s has the weight %v, want %v", p.Name, p.Weight, weights[p.Name])
			}
			if p.Count == 0 || losses[i] == nil || !(engine.Values(dev, losses[i].Value)[0] > 0) {
				t.Errorf("%s of batch %d counts %d and has the loss %v", p.Name, b.Number, p.Count, losses[i])
			}
		}
		tape.Release()
	}
	if got := slices.Sorted(maps.Keys(seen)); !slices.Equal(got, slices.Sorted(maps.Keys(weights))) {
		t.Errorf("batches had %v, want all of %v", got, weights)
	}
	f.Close() // it prepares further batches by the same recipe
	for i := range w.recipe.Weights {
		w.recipe.Weights[i][Contrast], w.recipe.Weights[i][RegionFeature] = 0, 0
	}
	for _, b := range list {
		for _, p := range w.recipe.Parts(b) {
			if strings.HasSuffix(p.Name, ".contrast") || strings.HasSuffix(p.Name, ".region_feature") {
				t.Errorf("%s has weight 0", p.Name)
			}
		}
	}
}

// A corpus too small for a batch is refused before the first step, also where nothing is looked up.
func TestTooFewPairs(t *testing.T) {
	w := newWorld(t)
	w.recipe.BatchSize = 50
	for range 2 {
		_, err := OpenResources(t.Context(), t.TempDir(), w.collections, ResourceOptions{
			Recipe: w.recipe, Log: slog.New(slog.DiscardHandler), Stage: func(string) {}, Tick: func(int, int) {},
		})
		if err == nil || !strings.Contains(err.Error(), "batch_size, now 50") {
			t.Errorf("%+v: got %v", w.recipe, err)
		}
		w.recipe.Positives, w.recipe.Negatives, w.recipe.RetrievedImages, w.recipe.RetrievedTexts = 0, 0, 0, 0
	}
}

// Regions of pairs are predicted with the caption in sight, also where no text is predicted.
func TestRegionsSeeCaptions(t *testing.T) {
	w := newWorld(t)
	w.recipe.Weights = ofAll(Weights{RegionFeature: 1})
	w.recipe.Ratios = [3]float64{0, 0, 1}
	h := batches(t, w.feed(t, nil), 0, 1)[0].Hidden
	if h.Text.Sequences() != h.Images.Sequences() || len(h.Labels)+len(h.Places) > 0 || h.Text.Sources != nil || len(h.Regions) == 0 {
		t.Errorf("%d texts for %d images, %d labels, %d regions", h.Text.Sequences(), h.Images.Sequences(), len(h.Labels), len(h.Regions))
	}
}
