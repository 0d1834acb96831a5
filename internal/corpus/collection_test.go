package corpus

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/unimo-go/unimo/internal/regions"
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

// What comes from the cache is what was computed, whether pixels or regions are kept.
func TestCacheGivesTheSame(t *testing.T) {
	dir := t.TempDir()
	trainSet, heldOut := synth.Scenes(1, 6, 1)
	if err := synth.WriteScenes(dir, trainSet[1:], trainSet[:1], heldOut); err != nil {
		t.Fatal(err)
	}
	for _, spec := range []regions.Spec{{Extractor: regions.Patches, ImageSize: 32, PatchSize: 16}, {Extractor: regions.Statistics, ImageSize: 64, Grid: 2}} {
		x, err := regions.NewExtractor(spec)
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(Images, []string{filepath.Join(dir, "images")}, Options{Extractor: x, CacheBytes: 1 << 20})
		if err != nil {
			t.Fatal(err)
		}
		var first regions.Image
		kept := false
		_, err = c.Each(t.Context(), All, func(s *Sample) error {
			if err := s.Image(&first); err != nil {
				return err
			}
			again := regions.Image{Features: make([]float32, 3)}
			if err := s.Image(&again); err != nil {
				return err
			}
			kept = kept || c.cache.kept[s.Ref].regions != nil
			if !reflect.DeepEqual(first, again) {
				t.Errorf("%s: the second time it is another image", s.Key)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if kept != (spec.Extractor == regions.Statistics) {
			t.Errorf("%s: regions are kept: %v", spec.Extractor, kept)
		}
		c.Close()
	}
}
