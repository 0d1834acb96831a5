package picture

import (
	"bytes"
	"image"
	"math/rand/v2"
	"testing"

	"golang.org/x/image/draw"
	"pgregory.net/rapid"
)

func noise(w, h int, seed uint64) *Picture {
	p := newPicture(w, h)
	random := rand.New(rand.NewPCG(seed, 1))
	for i := range p.Pix {
		p.Pix[i] = byte(random.Uint32())
		if seed%3 == 0 { // edges, whose overshoot is cut off
			p.Pix[i] = byte(random.Uint32()&1) * 255
		}
	}
	return p
}

// The scaler of our own, which takes less memory, must give the bits of that of x/image.
func TestScaleEqualsCatmullRom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.IntRange(1, 60)
		p := noise(side.Draw(t, "width"), side.Draw(t, "height"), rapid.Uint64().Draw(t, "seed"))
		w, h := side.Draw(t, "w"), side.Draw(t, "h")
		x, y := rapid.IntRange(0, p.Width-1).Draw(t, "x"), rapid.IntRange(0, p.Height-1).Draw(t, "y")
		part := image.Rect(x, y, rapid.IntRange(x+1, p.Width).Draw(t, "x1"), rapid.IntRange(y+1, p.Height).Draw(t, "y1"))
		checkScale(t, p, part, w, h)
	})
	p := noise(801, 533, 4)
	checkScale(t, p, image.Rect(0, 0, 801, 533), 128, 128)
	checkScale(t, p, image.Rect(13, 17, 798, 444), 96, 96)
	checkScale(t, noise(3, 4000, 5), image.Rect(0, 0, 3, 4000), 32, 32)
	checkScale(t, noise(4000, 2, 6), image.Rect(0, 0, 4000, 2), 32, 32)
}

func checkScale(t interface{ Fatalf(string, ...any) }, p *Picture, part image.Rectangle, w, h int) {
	want := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.CatmullRom.Scale(want, want.Rect, p.Image(), part, draw.Src, nil)
	got := p.scale(part, w, h).Image().(*image.RGBA)
	if !bytes.Equal(got.Pix, want.Pix) {
		t.Fatalf("%v of %d x %d pixels to %d x %d differs", part, p.Width, p.Height, w, h)
	}
}
