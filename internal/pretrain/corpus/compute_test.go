package corpus

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
)

// network is an extractor as a trained network is one, with the classes of a detector. It counts what it looks at.
type network struct {
	regions.Extractor
	seen *atomic.Int64
}

func (n network) Spec() regions.Spec {
	return regions.Spec{Extractor: "detector", Architecture: "Net", Dim: n.Dim(), Classes: []string{"dog", "cat"}, Fingerprint: strings.Repeat("ab", 32)}
}

func (n network) Extract(p *picture.Picture, width, height int, dst *regions.Image) error {
	n.seen.Add(1)
	if err := n.Extractor.Extract(p, width, height, dst); err != nil {
		return err
	}
	dst.Global = append([]float32{}, dst.Features[:n.Dim()]...)
	for range dst.Regions() {
		dst.Classes = append(dst.Classes, 0.25, 0.75)
	}
	return nil
}

// A network looks at each picture once, in folders and in archives, also when it is interrupted; what it says is read
// from the store.
func TestCompute(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"a.png": dot(10), "b.png": dot(20), "bad.png": "no picture", "c.png": dot(30)})
	archive := writeFiles(t, map[string]string{"pairs.tar": makeTar("1.png", dot(40), "1.txt", "a dog", "2.png", dot(50), "2.txt", "a cat")})
	for _, c := range []struct {
		kind  Kind
		paths []string
		n     int
	}{{Images, []string{dir}, 3}, {Pairs, []string{filepath.Join(archive, "pairs.tar")}, 2}} {
		store := filepath.Join(t.TempDir(), "features", string(c.kind))
		want := map[string]regions.Image{}
		for round := range 3 {
			x := network{tiny, new(atomic.Int64)}
			col, err := Open(c.kind, c.paths, Options{Extractor: x})
			if err != nil {
				t.Fatal(err)
			}
			if col.Classes() != 2 || !col.Extractor().Equal(x.Spec()) {
				t.Errorf("%d classes by %v", col.Classes(), col.Extractor())
			}
			x.seen.Store(0)
			if round == 0 { // an interruption leaves what was computed
				ctx, cancel := context.WithCancel(t.Context())
				err := col.Compute(ctx, x, store, func(string) error { return nil }, func(int, int) { cancel() })
				if !errors.Is(err, context.Canceled) {
					t.Errorf("interrupted: %v", err)
				}
			} else {
				kept := 0
				if err := col.Compute(t.Context(), x, store, func(string) error { kept++; return nil }, func(int, int) {}); err != nil || kept != 1 {
					t.Fatalf("%v, kept %d times", err, kept)
				}
			}
			if n := x.seen.Load(); n != map[int]int64{0: int64(c.n)}[round] {
				t.Errorf("%s, round %d: %d pictures were looked at", c.kind, round, n)
			}
			x.seen.Store(0)
			samples, _ := all(t, col, All)
			for _, s := range samples {
				var im regions.Image
				if err := s.Image(&im); err != nil {
					if !strings.Contains(s.Where, "bad.png") {
						t.Error(err)
					}
					continue
				}
				first, ok := want[s.Where]
				if !ok {
					want[s.Where] = im
				} else if im.ID != first.ID || !slices.Equal(im.Features, first.Features) || !slices.Equal(im.Global, first.Global) || !slices.Equal(im.Classes, first.Classes) {
					t.Errorf("%s: from the store %+v, computed %+v", s.Where, im, first)
				}
				if names, err := col.Objects(s); err != nil || fmt.Sprint(names) != "[cat]" {
					t.Errorf("objects are %q, %v", names, err)
				}
			}
			if n := x.seen.Load(); round > 0 && n != 0 {
				t.Errorf("%s: %d pictures were looked at again", c.kind, n)
			}
			if err := col.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Others compute nothing.
	col := open(t, Images, Options{Extractor: tiny}, dir)
	if err := col.Compute(t.Context(), tiny, filepath.Join(dir, "store"), nil, nil); err != nil || exists(filepath.Join(dir, "store")) {
		t.Errorf("patches: %v", err)
	}
}

// One collection has its regions by one network.
func TestOneNetwork(t *testing.T) {
	x := network{tiny, new(atomic.Int64)}
	store := filepath.Join(t.TempDir(), "store")
	spec := x.Spec()
	spec.Fingerprint = strings.Repeat("cd", 32)
	w, err := regions.NewWriter(store, regions.Header{Dim: spec.Dim, Extractor: &spec}, regions.Refuse)
	if err == nil {
		err = errors.Join(w.Add(&regions.Image{ID: "a", Width: 1, Height: 1, Boxes: []float32{0, 0, 1, 1}, Features: make([]float32, spec.Dim)}), w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := writeFiles(t, map[string]string{"a.png": dot(10)})
	if _, err := Open(Images, []string{dir, store}, Options{Extractor: x}); err == nil || !strings.Contains(err.Error(), "fingerprint cdcdcdcdcdcd") || !strings.Contains(err.Error(), "fingerprint abababababab") {
		t.Errorf("pictures and features by two networks: %v", err)
	}
}
