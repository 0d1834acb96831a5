package regions

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/picture"
)

func TestExtraction(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	savePicture(t, filepath.Join(dir, "a.png"), testPicture(40, 20))
	savePicture(t, filepath.Join(dir, "b.png"), testPicture(8, 8))
	save(t, filepath.Join(dir, "broken.png"), []byte("no picture"))
	save(t, filepath.Join(dir, "notes.txt"), nil)
	x, err := NewExtractor(Spec{Extractor: Patches, ImageSize: 8, PatchSize: 4})
	if err != nil {
		t.Fatal(err)
	}
	e := Extraction{Dir: dir, Extractor: x, Limits: picture.DefaultLimits}
	var bad BadPicture
	if _, err := e.WriteStore(t.Context(), filepath.Join(out, "strict")); !errors.As(err, &bad) || !strings.Contains(err.Error(), "broken.png") {
		t.Errorf("a broken picture: %v", err)
	}
	var warned []string
	e.SkipBad, e.Warn = true, func(message string) { warned = append(warned, message) }
	r, err := e.WriteStore(t.Context(), filepath.Join(out, "store"))
	if err != nil || r.Images != 2 || r.New != 2 || r.Bad != 1 || r.Others != 1 || len(warned) != 2 {
		t.Errorf("got %+v, %v, warned of %q", r, err, warned)
	}
	if r, err = e.WriteStore(t.Context(), filepath.Join(out, "store")); err != nil || r.Images != 2 || r.New != 0 {
		t.Errorf("again: %+v, %v", r, err)
	}
	lines := filepath.Join(out, "lines.tsv")
	if r, err := e.WriteReference(t.Context(), lines); err != nil || r.Images != 2 {
		t.Errorf("lines: %+v, %v", r, err)
	}
	if raw, err := os.ReadFile(lines); err != nil || strings.Count(string(raw), "\n") != 2 {
		t.Errorf("%d lines, %v", strings.Count(string(raw), "\n"), err)
	}
	e.Dir = t.TempDir()
	if _, err := e.WriteStore(t.Context(), filepath.Join(out, "none")); err == nil || !strings.Contains(err.Error(), "holds no pictures") {
		t.Errorf("an empty folder: %v", err)
	}
	save(t, filepath.Join(e.Dir, "x.png"), []byte("no picture"))
	if _, err := e.WriteStore(t.Context(), filepath.Join(out, "none")); err == nil || !strings.Contains(err.Error(), "none of the 1 pictures") {
		t.Errorf("nothing but broken pictures: %v", err)
	}
}
