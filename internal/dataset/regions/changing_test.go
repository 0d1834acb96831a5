package regions

import (
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// changing is an extractor of a trained kind whose one feature is its state.
type changing struct {
	Extractor
	state uint64
	seen  atomic.Int64
}

func (c *changing) Spec() Spec    { return Spec{Extractor: "vit", Fingerprint: "f", Dim: 1} }
func (c *changing) Dim() int      { return 1 }
func (c *changing) State() uint64 { return c.state }

func (c *changing) Extract(p *picture.Picture, width, height int, dst *Image) error {
	if dst.Prepared = nil; dst.Late {
		dst.Prepared, dst.Features = p, dst.Features[:0]
		return nil
	}
	c.seen.Add(1)
	dst.Width, dst.Height = float64(width), float64(height)
	dst.Boxes, dst.Features = append(dst.Boxes[:0], 0, 0, 1, 1), append(dst.Features[:0], float32(c.state))
	return nil
}

// Regions are computed once for each state of a network in training, and the prepared pictures are kept.
func TestPicturesOfAChangingNetwork(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for i := range 3 {
		names = append(names, fmt.Sprintf("p%d.png", i))
		savePicture(t, filepath.Join(dir, names[i]), testPicture(8+i, 8))
	}
	patches, err := NewExtractor(Spec{Extractor: Patches, ImageSize: 16, PatchSize: 8})
	if err != nil {
		t.Fatal(err)
	}
	x := &changing{Extractor: patches}
	s := NewPictures(dir, names, x, picture.DefaultLimits, 1<<20)
	defer s.Close()
	var late Image
	for state := range uint64(3) {
		x.state = state + 5
		for range 2 {
			for _, name := range names {
				var im Image
				if err := s.Image(name, &im); err != nil || im.Features[0] != float32(x.state) {
					t.Errorf("%s in state %d: %v, %v", name, x.state, im.Features, err)
				}
				kept := late.Prepared
				late.Late = true
				if err := s.Image(names[0], &late); err != nil || late.Prepared == nil || len(late.Features) != 0 || kept != nil && late.Prepared != kept {
					t.Errorf("a late image: %+v, %v", late, err)
				}
			}
		}
		if n := x.seen.Load(); n != int64(3*(state+1)) {
			t.Errorf("%d pictures were seen, want 3 in each state", n)
		}
	}
}
