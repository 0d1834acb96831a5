package corpus

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/demo/synth"
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
		for s, err := range c.Each(t.Context(), All) {
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Image(&first); err != nil {
				t.Fatal(err)
			}
			again := regions.Image{Features: make([]float32, 3)}
			if err := s.Image(&again); err != nil {
				t.Fatal(err)
			}
			kept = kept || c.cache.kept[s.Ref].regions != nil
			if !reflect.DeepEqual(first, again) {
				t.Errorf("%s: the second time it is another image", s.Key)
			}
		}
		if kept != (spec.Extractor == regions.Statistics) {
			t.Errorf("%s: regions are kept: %v", spec.Extractor, kept)
		}
		c.Close()
	}
}

// The share that is asked for is the smallest whole percentage that holds out enough, and what is held
// out with it is what was counted.
func TestShareHoldsOutEnough(t *testing.T) {
	lines := func(n int) string {
		var b bytes.Buffer
		for i := range n {
			fmt.Fprintf(&b, "%d\ttext number %d\n", i, i)
		}
		return writeFiles(t, map[string]string{"texts.tsv": b.String()})
	}
	for _, c := range []struct {
		samples, least int
		most           float64
		lo, hi         float64 // of the share
	}{
		{60, 50, 0.1, 0.1, 0.1},       // a tenth is less than 50
		{1000, 50, 0.1, 0.03, 0.08},   // about a twentieth
		{20000, 50, 0.1, 0.01, 0.01},  // a hundredth is enough
		{300, 1, 0.1, 0.01, 0.03},     // one sample
		{1000, 50, 0.001, 0.01, 0.01}, // never less than a hundredth
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			texts, err := Open(Text, []string{lines(c.samples)}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer texts.Close()
			ctx := context.Background()
			share, held, err := texts.Share(ctx, c.least, c.most)
			if err != nil || share < c.lo || share > c.hi {
				t.Fatalf("share %v, %v, want %v to %v", share, err, c.lo, c.hi)
			}
			count := func(share float64) int {
				print := texts.Fingerprint()
				texts.HoldOut(share)
				if texts.Fingerprint() == print {
					t.Error("another share has the same fingerprint")
				}
				samples, _ := all(t, texts, HeldOut)
				return len(samples)
			}
			got := count(share)
			if share > 0.01 && got != held || got < held {
				t.Errorf("%d samples are held out, said were %d", got, held)
			}
			if share < c.most && got < c.least {
				t.Errorf("%d samples are held out, want %d", got, c.least)
			}
			if less := share - 0.01; less > 0.005 {
				if got := count(less); got >= c.least {
					t.Errorf("a share of %v holds out %d already", less, got)
				}
			}
		})
	}
}
