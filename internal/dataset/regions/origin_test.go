package regions

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// folder is a folder of pictures and a store of them.
type folder struct {
	pictures, store string
	extractor       Extractor
}

func newFolder(t *testing.T) folder {
	t.Helper()
	x, err := NewExtractor(Spec{Extractor: Patches, ImageSize: 8, PatchSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	f := folder{t.TempDir(), filepath.Join(t.TempDir(), "store"), x}
	for i := range 6 {
		f.draw(t, fmt.Sprintf("%d.png", i), i)
	}
	return f
}

// draw writes a picture of one colour; all have one size in bytes.
func (f folder) draw(t *testing.T, name string, shade int) {
	t.Helper()
	p := &picture.Picture{Width: 8, Height: 8, Pix: make([]byte, 3*64)}
	for i := range p.Pix {
		p.Pix[i] = byte(100 + shade)
	}
	savePicture(t, filepath.Join(f.pictures, name), p)
}

// settle makes the times of pictures and store old, as if all had been written long ago.
func (f folder) settle(t *testing.T) {
	t.Helper()
	for _, dir := range []string{f.pictures, f.store} {
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			old := time.Now().Add(-time.Hour)
			if dir == f.store {
				old = time.Now().Add(time.Hour) // of the shard: changing times is itself a change
			}
			if err := os.Chtimes(file, old, old); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func (f folder) source(t *testing.T, l picture.Limits) *Pictures {
	t.Helper()
	list, err := ListPictures(f.pictures)
	if err != nil {
		t.Fatal(err)
	}
	return NewPictures(f.pictures, list.IDs, f.extractor, l, 0)
}

// update brings the store up to date and returns the ids that were computed.
func (f folder) update(t *testing.T, e Existing, l picture.Limits) ([]string, error) {
	t.Helper()
	s := f.source(t, l)
	spec := f.extractor.Spec()
	w, err := NewWriter(f.store, Header{Dim: s.Dim(), Bytes: true, Extractor: &spec, Source: Place(f.pictures)}, e)
	if err != nil {
		return nil, err
	}
	missing, err := w.Refresh(context.Background(), s, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	for im, err := range Read(s, missing) {
		if err == nil {
			err = w.Add(im)
		}
		if err != nil {
			w.Close()
			return missing, err
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return missing, nil
}

// check holds the store against the pictures, decoded anew.
func (f folder) check(t *testing.T) {
	t.Helper()
	s, _ := openTest(t, f.store, Options{})
	want := f.source(t, picture.Limits{})
	ids := slices.Sorted(slices.Values(s.IDs()))
	if !slices.Equal(ids, want.IDs()) {
		t.Fatalf("images %v, want %v", ids, want.IDs())
	}
	var a, b Image
	for _, id := range ids {
		if err := s.Image(id, &a); err != nil {
			t.Fatal(err)
		}
		if err := want.Image(id, &b); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a.Features, b.Features) || a.Origin != b.Origin {
			t.Errorf("image %s: %v of %+v, want %v of %+v", id, a.Features[0], a.Origin, b.Features[0], b.Origin)
		}
	}
	files, _ := filepath.Glob(filepath.Join(f.store, "*"))
	if len(files) != 1+len(s.(*store).shards) {
		t.Errorf("the store has the files %v", files)
	}
}

func TestStoreFollowsItsPictures(t *testing.T) {
	path := func(f folder, name string) string { return filepath.Join(f.pictures, name) }
	for _, c := range []struct {
		name   string
		change func(t *testing.T, f folder)
		want   string // what is computed
	}{
		{"nothing", func(*testing.T, folder) {}, ""},
		{"edited in place", func(t *testing.T, f folder) { f.draw(t, "2.png", 40) }, "2.png"},
		{"edited, the time put back", func(t *testing.T, f folder) {
			info, err := os.Stat(path(f, "2.png"))
			if err != nil {
				t.Fatal(err)
			}
			if changed(info) == 0 {
				t.Skip("not run: the system does not say when a file changed")
			}
			f.draw(t, "2.png", 40)
			if err := os.Chtimes(path(f, "2.png"), info.ModTime(), info.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, "2.png"},
		{"exchanged", func(t *testing.T, f folder) {
			for _, move := range [][2]string{{"1.png", "x"}, {"4.png", "1.png"}, {"x", "4.png"}} {
				if err := os.Rename(path(f, move[0]), path(f, move[1])); err != nil {
					t.Fatal(err)
				}
			}
		}, "1.png 4.png"},
		{"touched", func(t *testing.T, f folder) {
			now := time.Now()
			if err := os.Chtimes(path(f, "3.png"), now, now); err != nil {
				t.Fatal(err)
			}
		}, ""},
		{"removed", func(t *testing.T, f folder) { os.Remove(path(f, "0.png")) }, ""},
		{"renamed", func(t *testing.T, f folder) { os.Rename(path(f, "0.png"), path(f, "9.png")) }, "9.png"},
		{"added", func(t *testing.T, f folder) { f.draw(t, "7.png", 7) }, "7.png"},
		{"all at once", func(t *testing.T, f folder) {
			f.draw(t, "2.png", 40)
			f.draw(t, "8.png", 8)
			os.Remove(path(f, "5.png"))
		}, "2.png 8.png"},
		{"all removed but one", func(t *testing.T, f folder) {
			for i := range 5 {
				os.Remove(path(f, fmt.Sprintf("%d.png", i)))
			}
		}, ""},
	} {
		for _, settled := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, settled %v", c.name, settled), func(t *testing.T) {
				f := newFolder(t)
				if _, err := f.update(t, Resume, picture.Limits{}); err != nil {
					t.Fatal(err)
				}
				if settled {
					f.settle(t)
					if _, err := f.update(t, Resume, picture.Limits{}); err != nil {
						t.Fatal(err)
					}
					f.settle(t)
				}
				c.change(t, f)
				for _, want := range []string{c.want, ""} {
					got, err := f.update(t, Resume, picture.Limits{})
					if err != nil || strings.Join(got, " ") != want {
						t.Errorf("computed %v (%v), want %q", got, err, want)
					}
					f.check(t)
				}
			})
		}
	}
}

// A picture that has not changed is not read again, and one that may have is.
func TestStoreReadsOnlyWhatMayHaveChanged(t *testing.T) {
	f := newFolder(t)
	if _, err := f.update(t, Resume, picture.Limits{}); err != nil {
		t.Fatal(err)
	}
	s := f.source(t, picture.Limits{})
	info, err := os.Stat(filepath.Join(f.pictures, "1.png"))
	if err != nil {
		t.Fatal(err)
	}
	known := originOf(info, "known")
	if now, err := s.origin("1.png", known, time.Now().Add(time.Hour)); err != nil || now.Hash != "known" {
		t.Errorf("%+v, error %v: the file was read, though it is as it was", now, err)
	}
	for _, c := range []struct {
		known Origin
		noted time.Time
	}{
		{known, time.Now()}, // written just before: it can have been written again
		{Origin{"known", known.Size + 1, known.Modified, known.Changed}, time.Now().Add(time.Hour)},
		{Origin{"known", known.Size, known.Modified - 1, known.Changed}, time.Now().Add(time.Hour)},
		{Origin{"known", known.Size, known.Modified, known.Changed - 1}, time.Now().Add(time.Hour)},
	} {
		if now, err := s.origin("1.png", c.known, c.noted); err != nil || now.Hash == "known" {
			t.Errorf("%+v: the file was not read (%v)", c.known, err)
		}
	}
}

func TestStoreOfSomethingElse(t *testing.T) {
	f, other := newFolder(t), newFolder(t)
	for i := range 6 {
		other.draw(t, fmt.Sprintf("%d.png", i), 50+i%5) // 0 and 5 have one content
	}
	if _, err := f.update(t, Resume, picture.Limits{}); err != nil {
		t.Fatal(err)
	}
	other.store = f.store
	_, err := other.update(t, Resume, picture.Limits{})
	if err == nil || !strings.Contains(err.Error(), f.store) || !strings.Contains(err.Error(), Place(f.pictures)) || !strings.Contains(err.Error(), "--replace") {
		t.Fatalf("error %v, want one that names both folders", err)
	}
	f.check(t)
	if got, err := other.update(t, Replace, picture.Limits{}); err != nil || len(got) != 6 {
		t.Errorf("computed %v (%v), want all", got, err)
	}
	other.check(t)
	// A folder that was moved is another one, but its pictures are the same.
	moved := other
	moved.pictures = filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(other.pictures, moved.pictures); err != nil {
		t.Fatal(err)
	}
	if _, err := moved.update(t, Resume, picture.Limits{}); err == nil {
		t.Error("a folder that was moved was taken for the one of before")
	}
	if got, err := moved.update(t, Replace, picture.Limits{}); err != nil || len(got) != 0 {
		t.Errorf("computed %v (%v), want nothing", got, err)
	}
	// Other features in the same store: with Replace only.
	x, err := NewExtractor(Spec{Extractor: Patches, ImageSize: 16, PatchSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	moved.extractor = x
	if _, err := moved.update(t, Resume, picture.Limits{}); err == nil || !strings.Contains(err.Error(), "another kind") {
		t.Errorf("error %v", err)
	}
	if got, err := moved.update(t, Replace, picture.Limits{}); err != nil || len(got) != 6 {
		t.Errorf("computed %v (%v), want all", got, err)
	}
	moved.check(t)
	// The same folder under another name is the same.
	link := filepath.Join(t.TempDir(), "link")
	if os.Symlink(moved.pictures, link) == nil {
		moved.pictures = link
		if got, err := moved.update(t, Resume, picture.Limits{}); err != nil || len(got) != 0 {
			t.Errorf("computed %v (%v), want nothing", got, err)
		}
	}
	// What is over the limit now is not taken from before.
	if got, err := moved.update(t, Resume, picture.Limits{MaxPixels: 63}); err == nil || !strings.Contains(err.Error(), "limit of 63") {
		t.Errorf("computed %v (%v), want an error", got, err)
	}
}

// A store of an earlier version does not say what it was made of.
func TestStoreWithoutOrigins(t *testing.T) {
	f := newFolder(t)
	spec := f.extractor.Spec()
	s := f.source(t, picture.Limits{})
	w, err := NewWriter(f.store, Header{Dim: s.Dim(), Bytes: true, Extractor: &spec}, Refuse)
	if err != nil {
		t.Fatal(err)
	}
	var im Image
	if err := s.Image("0.png", &im); err != nil {
		t.Fatal(err)
	}
	im.Origin = Origin{Hash: "?"}
	if err := w.Add(&im); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.update(t, Resume, picture.Limits{}); err == nil || !strings.Contains(err.Error(), "earlier version") {
		t.Errorf("error %v", err)
	}
	if got, err := f.update(t, Replace, picture.Limits{}); err != nil || len(got) != 6 {
		t.Errorf("computed %v (%v), want all", got, err)
	}
	f.check(t)
}

// An image of features is found by any name that looks like its own.
func TestFeaturesByNamesThatLookAlike(t *testing.T) {
	w, err := NewWriter(t.TempDir(), Header{Dim: 1}, Refuse)
	if err != nil {
		t.Fatal(err)
	}
	ids := []string{"cafe\u0301.jpg", "na\u00efve", "b.jpg"}
	for i, id := range ids {
		if err := w.Add(&Image{ID: id, Width: 1, Height: 1, Boxes: []float32{0, 0, 1, 1}, Features: []float32{float32(i)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ := openTest(t, w.dir, Options{})
	var im Image
	for id, want := range map[string]float32{"caf\u00e9.jpg": 0, "cafe\u0301.jpg": 0, "nai\u0308ve.png": 1, "./b.jpg": 2} {
		if err := s.Image(id, &im); err != nil || im.Features[0] != want {
			t.Errorf("%q: features %v, error %v, want %v", id, im.Features, err, want)
		}
	}
}

// What the model sees of an image, and nothing else, makes its digest.
func TestDigest(t *testing.T) {
	image := func(change func(im *Image)) string {
		im := &Image{ID: "a", Width: 4, Height: 3, Boxes: []float32{0, 0, 1, 1, 1, 1, 2, 2}, Features: []float32{1, 2, 3, 4}}
		change(im)
		return im.Digest()
	}
	same := image(func(*Image) {})
	if image(func(im *Image) { im.ID, im.Origin.Hash = "b", "x" }) != same {
		t.Error("the name changes the digest")
	}
	for name, change := range map[string]func(im *Image){
		"order of width and height": func(im *Image) { im.Width, im.Height = im.Height, im.Width },
		"box":                       func(im *Image) { im.Boxes[7] = 3 },
		"feature":                   func(im *Image) { im.Features[3] = 5 },
		"global feature":            func(im *Image) { im.Global = []float32{1, 2} },
		"a region less":             func(im *Image) { im.Boxes, im.Features = im.Boxes[:4], im.Features[:2] },
		"a value moved":             func(im *Image) { im.Boxes, im.Features = im.Boxes[:4], append([]float32{1, 1, 2, 2}, im.Features...) },
	} {
		if image(change) == same {
			t.Errorf("%s: the digest is the same", name)
		}
	}
}
