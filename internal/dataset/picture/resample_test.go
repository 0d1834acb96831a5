package picture

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"testing"

	"pgregory.net/rapid"
)

// noiseLCG paints the picture that testdata/make_resample.py paints.
func noiseLCG(w, h int, seed uint32) *Picture {
	p := newPicture(w, h)
	state := seed
	for i := range p.Pix {
		state = state*1664525 + 1013904223
		v := byte(state >> 24)
		if seed%2 == 0 {
			v = -(v >> 7) // 0 or 255
		}
		p.Pix[i] = v
	}
	return p
}

func TestResampleEqualsPillow(t *testing.T) {
	var golden struct {
		Cases []struct {
			Filter   Filter `json:"-"`
			Number   int    `json:"filter"`
			Seed     uint32
			Size, To [2]int
			SHA256   string
		}
	}
	if err := json.Unmarshal(file(t, "resample.json"), &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 6*10 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		w, h := c.To[0], c.To[1]
		got := noiseLCG(c.Size[0], c.Size[1], c.Seed).Resample(Filter(c.Number), w, h, image.Rect(0, 0, w, h))
		if sum := sha256.Sum256(got.Pix); hex.EncodeToString(sum[:]) != c.SHA256 {
			t.Errorf("%v of %v to %v differs from Pillow's", Filter(c.Number), c.Size, c.To)
		}
	}
}

// A window is the part of the whole that it says.
func TestResampleWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 50)
		p := noise(side.Draw(t, "width"), side.Draw(t, "height"), rapid.Uint64().Draw(t, "seed"))
		w, h := side.Draw(t, "w"), side.Draw(t, "h")
		x, y := rapid.IntRange(0, w-1).Draw(t, "x"), rapid.IntRange(0, h-1).Draw(t, "y")
		window := image.Rect(x, y, rapid.IntRange(x+1, w).Draw(t, "x1"), rapid.IntRange(y+1, h).Draw(t, "y1"))
		f := Filter(rapid.IntRange(0, len(filterNames)-1).Draw(t, "filter"))
		got := p.Resample(f, w, h, window)
		want := p.Resample(f, w, h, image.Rect(0, 0, w, h)).Crop(x, y, window.Dx(), window.Dy())
		if got.Width != want.Width || got.Height != want.Height || !bytes.Equal(got.Pix, want.Pix) {
			t.Fatalf("%v %v differs", f, window)
		}
	})
}

func TestFilterNames(t *testing.T) {
	for f := Nearest; f.Known(); f++ {
		if got, err := ParseFilter(f.String()); err != nil || got != f {
			t.Errorf("%v: %v, %v", f, got, err)
		}
	}
	if _, err := ParseFilter("bicubik"); err == nil {
		t.Error("an unknown filter is taken")
	}
}

func BenchmarkResample(b *testing.B) {
	for _, f := range []Filter{Bilinear, Bicubic} {
		for _, size := range []image.Point{{160, 160}, {500, 375}, {1280, 960}} {
			p := noise(size.X, size.Y, 1)
			b.Run(f.String()+size.String(), func(b *testing.B) {
				for b.Loop() {
					p.Resample(f, 224, 224, image.Rect(0, 0, 224, 224))
				}
			})
		}
	}
}
