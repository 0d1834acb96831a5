package rank

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/dataset/regions"
)

func (f fixture) index(t *testing.T, dir, digest string) IndexInfo {
	t.Helper()
	info, err := f.scorer.WriteIndex(context.Background(), dir, f.set.Images.Source, IndexOptions{
		Model: digest, Source: "pictures", Bad: func(_ string, err error) error { return err }, Tick: func(string, int, int) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestSearchEqualsTwoStages(t *testing.T) {
	f := newFixture(t, 20, 1)
	dir := filepath.Join(t.TempDir(), "index")
	if info := f.index(t, dir, "digest"); info.Images != 20 || info.Size != 8 {
		t.Fatalf("index %+v", info)
	}
	ix, err := OpenIndex(dir, "digest")
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	s, err := NewSearcher(f.scorer, ix)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	v, err := f.scorer.Vectors(ctx, f.set, quiet)
	if err != nil {
		t.Fatal(err)
	}
	const candidates = 6
	want, err := f.scorer.TwoStage(ctx, f.set, v, candidates, quiet)
	if err != nil {
		t.Fatal(err)
	}
	for text := range f.set.Texts {
		got, err := s.Text(ctx, f.set.Texts[text], candidates, candidates)
		if err != nil {
			t.Fatal(err)
		}
		for i, h := range got {
			if name := f.set.Images.IDs[want.Images[text][i].Number]; h.ID != name || !h.Ranked {
				t.Errorf("text %d, place %d: %+v, want %s", text, i, h, name)
			}
		}
	}
	// A picture is most like itself.
	for _, im := range f.set.Images.Source.(*memorySource).images {
		got, err := s.Image(ctx, &im, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got[0].ID != im.ID || got[0].Similarity < 0.9999 {
			t.Errorf("the nearest of %s is %+v", im.ID, got[0])
		}
	}
	if got, err := s.Text(ctx, f.set.Texts[0], 50, 0); err != nil || len(got) != 20 || got[0].Ranked {
		t.Errorf("without candidates: %d hits, error %v, first %+v", len(got), err, got[0])
	}
}

// Queries that are answered together find what each finds alone, bit for bit.
func TestSearchTogetherIsSearchAlone(t *testing.T) {
	f := newFixture(t, 20, 2)
	dir := filepath.Join(t.TempDir(), "index")
	f.index(t, dir, "digest")
	s, err := NewSearcher(f.scorer, open(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	images := f.set.Images.Source.(*memorySource).images
	rapid.Check(t, func(t *rapid.T) {
		queries := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Query {
			q := Query{K: rapid.IntRange(1, 25).Draw(t, "k")}
			if i := rapid.IntRange(-len(images), len(f.set.Texts)-1).Draw(t, "number"); i < 0 {
				q.Image = &images[-i-1]
			} else {
				q.Text, q.Candidates = f.set.Texts[i], rapid.IntRange(0, 25).Draw(t, "candidates")
			}
			return q
		}), 1, 6).Draw(t, "queries")
		together, err := s.Search(context.Background(), queries)
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range queries {
			alone, err := s.Search(context.Background(), []Query{q})
			if err != nil || !slices.Equal(alone[0], together[i]) || len(alone[0]) != min(q.K, 20) {
				t.Fatalf("query %d: %v together, %v alone, %v", i, together[i], alone, err)
			}
		}
	})
}

func TestIndexIsBroughtUpToDate(t *testing.T) {
	f := newFixture(t, 6, 1)
	dir := filepath.Join(t.TempDir(), "index")
	src := f.set.Images.Source.(*memorySource)
	all := src.images
	src.images = all[:4]
	f.index(t, dir, "digest")
	src.images = all[2:]
	f.index(t, dir, "digest")
	ix, err := OpenIndex(dir, "digest")
	if err != nil {
		t.Fatal(err)
	}
	defer ix.Close()
	if got, want := strings.Join(ix.IDs, " "), strings.Join(src.IDs(), " "); got != want {
		t.Errorf("images %s, want %s", got, want)
	}
}

// An image that has changed under its name is computed anew, and an index of something else is refused.
func TestIndexFollowsItsSource(t *testing.T) {
	f := newFixture(t, 6, 1)
	dir := filepath.Join(t.TempDir(), "index")
	src := f.set.Images.Source.(*memorySource)
	f.index(t, dir, "digest")
	src.images[1].Features, src.images[4].Features = src.images[4].Features, src.images[1].Features
	src.images[1].Boxes, src.images[4].Boxes = src.images[4].Boxes, src.images[1].Boxes
	before := filepath.Join(t.TempDir(), "before")
	if err := os.CopyFS(before, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if info := f.index(t, dir, "digest"); info.Computed != 2 {
		t.Errorf("%d images were computed, want the 2 that changed", info.Computed)
	}
	anew := filepath.Join(t.TempDir(), "anew")
	f.index(t, anew, "digest")
	got, want := open(t, dir), open(t, anew)
	if !slices.Equal(got.vectors, want.vectors) {
		t.Error("the vectors are others than those of an index made anew")
	}
	// An update that ended between the regions and the vectors: what changed is left out.
	write(t, filepath.Join(dir, vectorFile), read(t, filepath.Join(before, vectorFile)))
	half := open(t, dir)
	if half.Stale != 2 || strings.Join(half.IDs, " ") != "0000.png 0002.png 0003.png 0005.png" || !slices.Equal(half.vectors[8:16], want.vectors[16:24]) {
		t.Errorf("%d left out, images %v", half.Stale, half.IDs)
	}

	o := IndexOptions{Model: "digest", Source: "others", Bad: func(_ string, err error) error { return err }}
	var other *regions.OtherError
	if _, err := f.scorer.WriteIndex(context.Background(), dir, src, o); !errors.As(err, &other) || !strings.Contains(err.Error(), "index "+dir) || !strings.Contains(err.Error(), "pictures") {
		t.Errorf("error %v, want one that names the index and what it is of", err)
	}
	o.Replace = true
	if info, err := f.scorer.WriteIndex(context.Background(), dir, src, o); err != nil || info.Computed != 0 || info.Source != regions.Place("others") {
		t.Errorf("%+v, error %v", info, err)
	}
}

func open(t *testing.T, dir string) *Index {
	t.Helper()
	ix, err := OpenIndex(dir, "digest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ix.Close() })
	return ix
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// A folder that holds other files, such as that of the pictures, is not written into.
func TestIndexHasItsFolderAlone(t *testing.T) {
	s := newFixture(t, 2, 1).scorer
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "holiday.jpg"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{dir, filepath.Join(dir, "holiday.jpg")} {
		if _, err := s.WriteIndex(t.Context(), out, nil, IndexOptions{}); err == nil || !strings.Contains(err.Error(), "folder") {
			t.Errorf("index in %s: %v", out, err)
		}
	}
	if _, err := OpenScoreFolder(dir, ScoreIdentity{}); err == nil || !strings.Contains(err.Error(), "holiday.jpg") {
		t.Errorf("scores in it: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestIndexLeavesOutBadImages(t *testing.T) {
	f := newFixture(t, 5, 1)
	src := f.set.Images.Source.(*memorySource)
	src.broken = map[string]bool{src.images[1].ID: true}
	dir := filepath.Join(t.TempDir(), "index")
	skipped := 0
	o := IndexOptions{Model: "digest", Tick: func(string, int, int) {}, Bad: func(string, error) error { skipped++; return nil }}
	info, err := f.scorer.WriteIndex(context.Background(), dir, src, o)
	if err != nil || info.Images != 4 || skipped != 1 {
		t.Errorf("%+v, %d left out, error %v; want 4 images and 1", info, skipped, err)
	}
	o.Bad = func(_ string, err error) error { return err }
	if _, err := f.scorer.WriteIndex(context.Background(), dir, src, o); err == nil || !strings.Contains(err.Error(), src.images[1].ID) {
		t.Errorf("error %v, want one that names the image", err)
	}
}

func TestOpenIndexRefuses(t *testing.T) {
	f := newFixture(t, 3, 1)
	for _, c := range []struct {
		name, want string
		spoil      func(t *testing.T, dir string)
	}{
		{"no index", "unimo index", func(t *testing.T, dir string) { remove(t, filepath.Join(dir, indexFile)) }},
		{"no JSON", "make the index again", func(t *testing.T, dir string) { write(t, filepath.Join(dir, indexFile), "{") }},
		{"another version", "version 9", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, indexFile), `{"version":9,"model_digest":"digest"}`)
		}},
		{"another size", "make the index again", func(t *testing.T, dir string) {
			write(t, filepath.Join(dir, indexFile), `{"version":2,"model_digest":"digest","vector_size":5,"images":3}`)
		}},
		{"cut vectors", "vectors.safetensors", func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, vectorFile), 200); err != nil {
				t.Fatal(err)
			}
		}},
		{"no regions", "regions", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, regionFolder)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "index")
			f.index(t, dir, "digest")
			c.spoil(t, dir)
			if ix, err := OpenIndex(dir, "digest"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v (index %v), want one with %q", err, ix, c.want)
			}
		})
	}
	dir := filepath.Join(t.TempDir(), "index")
	f.index(t, dir, "digest")
	if _, err := OpenIndex(dir, "another"); !errors.Is(err, ErrOtherModel) {
		t.Errorf("error %v, want ErrOtherModel", err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func FuzzOpenIndex(fz *testing.F) {
	fz.Add([]byte(`{"version":2,"model_digest":"digest","images":3,"vector_size":8}`))
	fz.Add([]byte(`[]`))
	fz.Fuzz(func(t *testing.T, raw []byte) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, indexFile), string(raw))
		if ix, err := OpenIndex(dir, "digest"); err == nil {
			ix.Close()
			t.Error("an index without vectors was opened")
		}
	})
}
