package picture

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"image"
	"math/rand/v2"
	"testing"
)

// Files whose only difference can come from colour: the same bytes as Pillow with libjpeg-turbo and libwebp.
func TestChromaEqualsPillow(t *testing.T) {
	var golden struct {
		Cases []struct {
			Size        [2]int
			Subsampling int
			SHA256      string
			File        []byte
		}
	}
	if err := json.Unmarshal(file(t, "chroma.json"), &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 20 {
		t.Fatalf("%d cases", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		err := Visit(c.File, Limits{}, func(p *Picture) {
			if sum := sha256.Sum256(p.Pix); hex.EncodeToString(sum[:]) != c.SHA256 {
				t.Errorf("%v pixels, subsampling %d: differs from Pillow's", c.Size, c.Subsampling)
			}
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// Colour at half the height is that at half the width, on its side.
func TestChromaAtHalfTheHeight(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, size := range []image.Point{{1, 1}, {7, 5}, {16, 8}, {9, 3}} {
		wide := image.NewYCbCr(image.Rect(0, 0, size.X, size.Y), image.YCbCrSubsampleRatio422)
		high := image.NewYCbCr(image.Rect(0, 0, size.Y, size.X), image.YCbCrSubsampleRatio440)
		for y := range size.Y {
			for x := range size.X {
				wide.Y[wide.YOffset(x, y)] = byte(random.Uint32())
				wide.Cb[wide.COffset(x, y)], wide.Cr[wide.COffset(x, y)] = byte(random.Uint32()), byte(random.Uint32())
			}
		}
		for y := range size.Y {
			for x := range size.X {
				high.Y[high.YOffset(y, x)] = wide.Y[wide.YOffset(x, y)]
				high.Cb[high.COffset(y, x)], high.Cr[high.COffset(y, x)] = wide.Cb[wide.COffset(x, y)], wide.Cr[wide.COffset(x, y)]
			}
		}
		want, turned := flattenJPEG(wide, size.X, size.Y, upright), flattenJPEG(high, size.Y, size.X, 5) // 5: on its side
		if size.X > 4 && string(turned.Pix) != string(want.Pix) {                                        // libjpeg does not smooth two colours side by side
			t.Errorf("%v: %v, want %v", size, turned.Pix, want.Pix)
		}
	}
}

func BenchmarkVisit(b *testing.B) {
	p := noiseLCG(640, 480, 1).Resize(320, 240).Resize(640, 480)
	raw := jpegFile(b, p.Image())
	b.ReportAllocs()
	for b.Loop() {
		if err := Visit(raw, Limits{}, func(*Picture) {}); err != nil {
			b.Fatal(err)
		}
	}
}
