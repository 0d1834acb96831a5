package regions

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// testPicture draws a picture in which every pixel is different.
func testPicture(width, height int) *picture.Picture {
	p := &picture.Picture{Width: width, Height: height, Pix: make([]byte, 3*width*height)}
	for i := range p.Pix {
		p.Pix[i] = byte(i*7 + i/width)
	}
	return p
}

// savePicture writes a picture as PNG.
func savePicture(tb testing.TB, path string, p *picture.Picture) {
	tb.Helper()
	var b bytes.Buffer
	if err := p.WritePNG(&b); err != nil {
		tb.Fatal(err)
	}
	save(tb, path, b.Bytes())
}

// save writes a file and the folders it lies in.
func save(tb testing.TB, path string, raw []byte) string {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		tb.Fatal(err)
	}
	return path
}

func TestPatches(t *testing.T) {
	x, err := NewExtractor(Spec{Extractor: Patches, ImageSize: 6, PatchSize: 2})
	if err != nil {
		t.Fatal(err)
	}
	p := testPicture(6, 6)
	var im Image
	x.Extract(x.Prepare(p), 60, 30, &im)
	if err := im.Check(x.Dim()); err != nil {
		t.Fatal(err)
	}
	if im.Regions() != 9 || x.Dim() != 12 {
		t.Fatalf("%d regions of %d values", im.Regions(), x.Dim())
	}
	// The second patch of the second row: pixels (2, 2), (3, 2), (2, 3), (3, 3).
	if want := []float32{20, 10, 40, 20}; !slices.Equal(im.Boxes[4*4:4*5], want) {
		t.Errorf("box %v, want %v", im.Boxes[4*4:4*5], want)
	}
	got := im.Features[4*12 : 5*12]
	for i, pixel := range [][2]int{{2, 2}, {3, 2}, {2, 3}, {3, 3}} {
		for c := range 3 {
			want := float32(float64(p.Pix[3*(6*pixel[1]+pixel[0])+c])/127.5 - 1)
			if got[3*i+c] != want {
				t.Errorf("pixel %v, colour %d: %v, want %v", pixel, c, got[3*i+c], want)
			}
		}
	}
}

func TestPictures(t *testing.T) {
	dir := t.TempDir()
	savePicture(t, filepath.Join(dir, "a.png"), testPicture(40, 20))
	savePicture(t, filepath.Join(dir, "deep", "b.png"), testPicture(8, 8))
	savePicture(t, filepath.Join(dir, ".hidden", "c.png"), testPicture(8, 8))
	save(t, filepath.Join(dir, "broken.png"), []byte("no picture"))
	save(t, filepath.Join(dir, "notes.txt"), nil)
	list, err := ListPictures(dir)
	names := list.IDs
	if want := []string{"a.png", "broken.png", "deep/b.png"}; err != nil || !slices.Equal(names, want) {
		t.Fatalf("%v %v, want %v", names, err, want)
	}
	if got := list.OtherKinds(); got != "1 of other kinds: 1 .txt" {
		t.Errorf("files of other kinds: %q", got)
	}
	x, err := NewExtractor(Spec{Extractor: Patches, ImageSize: 8, PatchSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, cache := range []int64{0, 8 * 8 * 3, 1 << 20} { // nothing, one picture, all
		s := NewPictures(dir, append(names, "../a.png", "missing.png"), x, picture.Limits{}, cache)
		var first, im Image
		for range 2 {
			for _, id := range []string{"a.png", "deep/b.png"} {
				if err := s.Image(id, &im); err != nil {
					t.Fatal(err)
				}
				if err := im.Check(s.Dim()); err != nil || im.ID != id {
					t.Error(im.ID, err)
				}
			}
		}
		if im.Width != 8 || im.Height != 8 || !slices.Equal(im.Boxes[:4], []float32{0, 0, 4, 4}) {
			t.Errorf("%v x %v pixels, first box %v", im.Width, im.Height, im.Boxes[:4])
		}
		if err := s.Image("a.png", &first); err != nil || first.Width != 40 {
			t.Fatal(first.Width, err)
		}
		if flipped, err := s.Augmented("a.png", picture.Augmentation{MinArea: 1}, random.New(1, "test"), &im); err != nil || flipped || !slices.Equal(im.Features, first.Features) {
			t.Error("an augmentation that does nothing changes the features", flipped, err)
		}
		for id, want := range map[string]string{"broken.png": "broken.png", "missing.png": "missing.png", "../a.png": "outside the folder", "other.png": "no such image"} {
			if err := s.Image(id, &im); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
				t.Errorf("%s: error %v, want %q", id, err, want)
			}
		}
		if err := s.Image("other.png", &im); !errors.Is(err, ErrNoImage) {
			t.Error(err)
		}
		if s.room < 0 || cache > 0 && int64(len(s.prepared)) > cache/(8*8*3) {
			t.Errorf("%d pictures are kept in %d bytes", len(s.prepared), cache)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPicturesFlip looks for pictures that come back mirrored.
func TestPicturesFlip(t *testing.T) {
	dir := t.TempDir()
	p := testPicture(4, 4)
	savePicture(t, filepath.Join(dir, "a.png"), p)
	x, _ := NewExtractor(Spec{Extractor: Patches, ImageSize: 4, PatchSize: 4})
	s := NewPictures(dir, []string{"a.png"}, x, picture.Limits{}, 1<<20)
	var plain, mirrored, im Image
	x.Extract(p, 4, 4, &plain)
	x.Extract(p.Flip(), 4, 4, &mirrored)
	seen := map[bool]int{}
	for seed := range uint64(40) {
		flipped, err := s.Augmented("a.png", picture.Augmentation{MinArea: 1, Flip: true}, random.New(seed, "test"), &im)
		if err != nil {
			t.Fatal(err)
		}
		seen[flipped]++
		want := plain
		if flipped {
			want = mirrored
		}
		if !slices.Equal(im.Features, want.Features) {
			t.Fatalf("seed %d: flipped is %v, the features say otherwise", seed, flipped)
		}
	}
	if seen[true] < 8 || seen[false] < 8 {
		t.Errorf("flipped: %v of 40", seen)
	}
}

func TestPicturesConcurrently(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for i := range 6 {
		names = append(names, string(rune('a'+i))+".png")
		savePicture(t, filepath.Join(dir, names[i]), testPicture(4+i, 9))
	}
	x, _ := NewExtractor(Spec{Extractor: Patches, ImageSize: 8, PatchSize: 4})
	s := NewPictures(dir, names, x, picture.Limits{}, 3*8*8*3)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			var im Image
			for i := range 60 {
				if err := s.Image(names[i%len(names)], &im); err != nil || im.Width != float64(4+i%len(names)) {
					t.Error(im.Width, err)
				}
			}
		})
	}
	wait.Wait()
	if len(s.prepared) != 3 || s.room != 0 {
		t.Errorf("%d pictures are kept, %d bytes left", len(s.prepared), s.room)
	}
}

func TestSpecs(t *testing.T) {
	for _, c := range []struct {
		spec Spec
		want string
	}{
		{Spec{}, "unknown extractor"},
		{Spec{Extractor: "resnet"}, "unknown extractor"},
		{Spec{Extractor: Patches, ImageSize: 100, PatchSize: 16}, "must divide"},
		{Spec{Extractor: Patches, ImageSize: -16, PatchSize: -4}, "must divide"},
		{Spec{Extractor: Patches, ImageSize: 1 << 30, PatchSize: 1}, "must divide"},
		{Spec{Extractor: Patches, ImageSize: 1024, PatchSize: 128}, "at most 16384"},
		{Spec{Extractor: Patches, ImageSize: 1024, PatchSize: 1}, "at most 4096"},
		{Spec{Extractor: Patches, Grid: 3}, "grid"},
	} {
		if _, err := NewExtractor(c.spec); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.spec, err, c.want)
		}
	}
	dir := t.TempDir()
	x, err := NewExtractor(Spec{Extractor: Patches})
	if err != nil {
		t.Fatal(err)
	}
	save(t, filepath.Join(dir, SpecFile), x.Spec().File())
	if s, err := ReadSpec(dir); err != nil || !reflect.DeepEqual(s, x.Spec()) || s.ImageSize != 128 {
		t.Errorf("%+v %v", s, err)
	}
	trained := Spec{Extractor: "convnet", Architecture: "Net", Dim: 3, Classes: []string{"a"}, Preprocessing: json.RawMessage(`{}`), Fingerprint: strings.Repeat("0a", 32)}
	save(t, filepath.Join(dir, SpecFile), trained.File())
	if s, err := ReadSpec(dir); err != nil || !s.Equal(trained) || s.Dim != 3 || s.String() != "Net (convnet, fingerprint 0a0a0a0a0a0a)" {
		t.Errorf("%+v %v", s, err)
	}
	if _, err := NewExtractor(trained); err == nil || !strings.Contains(err.Error(), "trained network") {
		t.Error(err)
	}
	if trained.Equal(x.Spec()) || x.Spec().Equal(trained) || trained.Equal(Spec{Extractor: "convnet", Architecture: "Net", Dim: 3, Fingerprint: strings.Repeat("0b", 32)}) {
		t.Error("extractors of different fingerprints are equal")
	}
	for want, change := range map[string]func(s *Spec){
		"no SHA-256":    func(s *Spec) { s.Fingerprint = "0a0a" },
		"dim is 0":      func(s *Spec) { s.Dim = 0 },
		"dim is 1000":   func(s *Spec) { s.Dim = 1000000 },
		"65537 classes": func(s *Spec) { s.Classes = make([]string, 65537) },
	} {
		s := trained
		change(&s)
		save(t, filepath.Join(dir, SpecFile), s.File())
		if _, err := ReadSpec(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	save(t, filepath.Join(dir, SpecFile), []byte(`{"extractor":"none"}`))
	if _, err := ReadSpec(dir); err == nil || !strings.Contains(err.Error(), SpecFile) {
		t.Error(err)
	}
	if _, err := ReadSpec(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}
