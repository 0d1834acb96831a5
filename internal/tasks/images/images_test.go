package images

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/captions"
)

// A run goes on with the pictures that it began with: others of the same names and sizes are others.
func TestDigestOfImages(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(captions.ImageDir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(captions.ImageDir(dir), name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	set := &captions.Set{Dir: dir, Images: []string{"a.jpg", "b.jpg", "missing.jpg"}, Captions: []captions.Caption{{Text: "a dog"}}}
	digest := func() string {
		t.Helper()
		d, err := Digest(Options{}, set)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	write("a.jpg", "one")
	write("b.jpg", "two")
	first := digest()
	if digest() != first {
		t.Error("the digest of the same pictures differs")
	}
	write("a.jpg", "two")
	write("b.jpg", "one")
	if digest() == first {
		t.Error("exchanged pictures have the same digest")
	}
	write("a.jpg", "one")
	write("b.jpg", "two")
	set.Captions[0].Text = "a cat"
	if digest() == first {
		t.Error("other captions have the same digest")
	}
}
