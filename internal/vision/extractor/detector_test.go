package extractor

import (
	"slices"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// A detector's graph and weights are two files, and what it is kept as has both.
func TestDetector(t *testing.T) {
	x, err := Open(regions.Spec{Extractor: "../detector/testdata/centernet.json"})
	if err != nil {
		t.Fatal(err)
	}
	spec := x.Spec()
	if spec.Extractor != "detector" || spec.Architecture != "CenterNet" || len(spec.Classes) != 80 || spec.Classes[79] != "toothbrush" {
		t.Errorf("spec is %+v", spec)
	}
	want := extract(t, x, 90, 60)
	if n := want.Regions(); n < 10 || len(want.Classes) != 80*n || len(want.Global) != x.Dim() {
		t.Errorf("%d regions, %d probabilities, a global feature of %d", n, len(want.Classes), len(want.Global))
	}
	if right := slices.Max(want.Boxes); right <= 60 || right > 90 {
		t.Errorf("boxes reach to %v; they are in the pixels of a picture of 90 x 60", right)
	}
	dir := t.TempDir()
	if err := Keep(dir, x); err != nil {
		t.Fatal(err)
	}
	again, err := In(dir)
	if err != nil {
		t.Fatal(err)
	}
	if now := again.Spec(); !now.Equal(spec) {
		t.Errorf("spec is %+v, want %+v", now, spec)
	}
	if got := extract(t, again, 90, 60); !same(got, want) {
		t.Error("kept and opened again, it finds other regions")
	}
}
