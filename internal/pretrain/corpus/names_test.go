package corpus

import (
	"os"
	"path/filepath"
	"testing"
)

// A picture is found whichever way the name that a line gives is composed.
func TestPicturesByNamesThatLookAlike(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cafe\u0301.jpg"), []byte("picture"), 0o644); err != nil {
		t.Fatal(err)
	}
	c := &Collection{}
	for name, want := range map[string]string{"caf\u00e9.jpg": "", "./cafe\u0301.jpg": "", "cafe.jpg": NoPicture, "../caf\u00e9.jpg": Outside} {
		if got := c.setPicture(new(Sample), dir, name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	c.has = map[string]bool{"caf\u00e9": true}
	for name, want := range map[string]string{"cafe\u0301": "", "cafe\u0301.jpg": "", "cafe": NoPicture} {
		if got := c.setPicture(new(Sample), dir, name); got != want {
			t.Errorf("features of %q: %q, want %q", name, got, want)
		}
	}
}
