package corpus

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/unimo-go/unimo/internal/synth"
)

// A caption that changed makes another collection of a folder of data.
func TestFingerprintKnowsCaptions(t *testing.T) {
	dir := t.TempDir()
	trainSet, heldOut := synth.Scenes(1, 6, 1)
	if err := synth.WriteScenes(dir, trainSet[1:], trainSet[:1], heldOut); err != nil {
		t.Fatal(err)
	}
	fingerprint := func() string {
		c, err := Open(Pairs, []string{dir}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.Fingerprint()
	}
	first := fingerprint()
	if again := fingerprint(); again != first {
		t.Error("the same folder has two fingerprints")
	}
	file := filepath.Join(dir, "captions.csv")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, bytes.ReplaceAll(raw, []byte(" a "), []byte(" A ")), 0o644); err != nil {
		t.Fatal(err)
	}
	if fingerprint() == first {
		t.Error("another caption has the same fingerprint")
	}
}
