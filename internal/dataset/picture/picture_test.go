package picture

import (
	"bytes"
	"encoding/base64"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/test/golden"
)

func drawPicture(t *rapid.T) *Picture {
	p := newPicture(rapid.IntRange(1, 12).Draw(t, "width"), rapid.IntRange(1, 12).Draw(t, "height"))
	copy(p.Pix, rapid.SliceOfN(rapid.Byte(), len(p.Pix), len(p.Pix)).Draw(t, "pixels"))
	return p
}

func equal(a, b *Picture) bool {
	return a.Width == b.Width && a.Height == b.Height && bytes.Equal(a.Pix, b.Pix)
}

func TestPNGRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPicture(t)
		var file bytes.Buffer
		if err := p.WritePNG(&file); err != nil {
			t.Fatal(err)
		}
		if got, err := decode(file.Bytes(), Limits{}); err != nil || !equal(got, p) {
			t.Fatalf("%v, %v; want %v", got, err, p)
		}
	})
}

func TestFlipAndCrop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPicture(t)
		x := rapid.IntRange(0, p.Width-1).Draw(t, "x")
		y := rapid.IntRange(0, p.Height-1).Draw(t, "y")
		part := p.Crop(x, y, p.Width-x, p.Height-y)
		flipped := p.Flip()
		if !equal(flipped.Flip(), p) {
			t.Fatal("flipped twice it is another picture")
		}
		for i := range part.Height {
			for j := range part.Width {
				want := p.row(y+i, x+j, x+j+1)
				if got := part.row(i, j, j+1); !bytes.Equal(got, want) {
					t.Fatalf("cut out: %v at %d, %d, want %v", got, j, i, want)
				}
				if got := flipped.row(y+i, p.Width-1-x-j, p.Width-x-j); !bytes.Equal(got, want) {
					t.Fatalf("flipped: %v, want %v", got, want)
				}
			}
		}
	})
}

// catmullRom is the kernel, B = 0 and C = 1/2 in Mitchell and Netravali's family.
func catmullRom(t float64) float64 {
	t = math.Abs(t)
	switch {
	case t < 1:
		return 1.5*t*t*t - 2.5*t*t + 1
	case t < 2:
		return -0.5*t*t*t + 2.5*t*t - 4*t + 2
	}
	return 0
}

// weights says how n new pixels in a row are made of m old ones, straight from the definition.
func weights(n, m int) [][]float64 {
	scale := float64(m) / float64(n)
	wide := max(scale, 1)
	out := make([][]float64, n)
	for i := range out {
		out[i] = make([]float64, m)
		centre, sum := (float64(i)+0.5)*scale-0.5, 0.
		for j := range m {
			out[i][j] = catmullRom((float64(j) - centre) / wide)
			sum += out[i][j]
		}
		for j := range m {
			out[i][j] /= sum
		}
	}
	return out
}

func TestResize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPicture(t)
		w, h := rapid.IntRange(1, 12).Draw(t, "w"), rapid.IntRange(1, 12).Draw(t, "h")
		got := p.Resize(w, h)
		if got.Width != w || got.Height != h {
			t.Fatalf("%d x %d", got.Width, got.Height)
		}
		columns, rows := weights(w, p.Width), weights(h, p.Height)
		for y := range h {
			for x := range w {
				for channel := range 3 {
					var want float64
					for j, down := range rows[y] {
						for i, right := range columns[x] {
							want += down * right * float64(p.row(j, i, i+1)[channel])
						}
					}
					want = min(max(want, 0), 255)
					if v := float64(got.row(y, x, x+1)[channel]); math.Abs(v-want) > 1 {
						t.Fatalf("%v at %d, %d, want %v", v, x, y, want)
					}
				}
			}
		}
	})
}

// A fine pattern becomes its mean.
func TestResizeAverages(t *testing.T) {
	p := newPicture(200, 200)
	for i := range p.Pix {
		p.Pix[i] = 255 * byte((i/3%200+i/600)%2)
	}
	small := p.Resize(20, 20)
	inner := small.Crop(2, 2, 16, 16) // at the sides the kernel is cut off
	if low, high := slices.Min(inner.Pix), slices.Max(inner.Pix); low < 120 || high > 135 {
		t.Errorf("a chessboard has %d..%d, want about 127", low, high)
	}
	if one := newPicture(1, 1).Resize(7, 3); slices.Max(one.Pix) != 0 {
		t.Errorf("black became %v", one.Pix)
	}
}

func TestPanics(t *testing.T) {
	p := newPicture(3, 3)
	for name, f := range map[string]func(){
		"resize": func() { p.Resize(0, 1) },
		"right":  func() { p.Crop(1, 0, 3, 1) },
		"left":   func() { p.Crop(-1, 0, 1, 1) },
		"none":   func() { p.Crop(0, 0, 0, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
	}
}

func TestDataURI(t *testing.T) {
	for _, c := range []struct{ w, h, side, wantW, wantH int }{
		{200, 100, 50, 50, 25}, {100, 200, 50, 25, 50}, {30, 20, 50, 30, 20}, {500, 1, 50, 50, 1},
	} {
		uri, err := newPicture(c.w, c.h).DataURI(c.side)
		if err != nil {
			t.Fatal(err)
		}
		coded, ok := strings.CutPrefix(uri, "data:image/jpeg;base64,")
		raw, err := base64.StdEncoding.DecodeString(coded)
		if err != nil || !ok {
			t.Fatalf("%.40s: %v", uri, err)
		}
		config, err := jpeg.DecodeConfig(bytes.NewReader(raw))
		if err != nil || config.Width != c.wantW || config.Height != c.wantH {
			t.Errorf("%d x %d became %d x %d: %v", c.w, c.h, config.Width, config.Height, err)
		}
	}
}

// The draws stay the same for ever: runs are resumed and repeated across versions by them.
func TestDraws(t *testing.T) {
	a := Augmentation{MinArea: 0.5, Flip: true}
	for _, c := range []struct {
		seed uint64
		part image.Rectangle
		flip bool
	}{
		{0, image.Rect(1, 5, 630, 479), true},
		{1, image.Rect(76, 12, 524, 438), false},
		{1 << 63, image.Rect(22, 21, 479, 453), true},
	} {
		if part, flip := a.draw(random.New(c.seed, "test"), 640, 480); part != c.part || flip != c.flip {
			t.Errorf("seed %d: %v, %v; want %v, %v", c.seed, part, flip, c.part, c.flip)
		}
	}
}

func TestDrawsAreUniform(t *testing.T) {
	const n, w, h = 20000, 800, 400
	whole := image.Rect(0, 0, w, h)
	var area, left, top float64
	flips := 0
	for seed := range uint64(n) {
		part, flip := Augmentation{MinArea: 0.36, Flip: true}.draw(random.New(seed, "test"), w, h)
		if !part.In(whole) {
			t.Fatalf("seed %d: %v is not inside", seed, part)
		}
		share := float64(part.Dx()*part.Dy()) / (w * h)
		ratio := float64(part.Dx()) / float64(part.Dy()) * h / w
		if share < 0.355 || ratio < 0.74 || ratio > 1.35 {
			t.Fatalf("seed %d: %v has %.3f of the area and %.3f of the sides' ratio", seed, part, share, ratio)
		}
		area += share / n
		left += float64(part.Min.X+part.Max.X) / (2 * w) / n
		top += float64(part.Min.Y+part.Max.Y) / (2 * h) / n
		if flip {
			flips++
		}
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{{"area", area, 0.68}, {"centre across", left, 0.5}, {"centre down", top, 0.5}, {"flipped", float64(flips) / n, 0.5}} {
		if math.Abs(c.got-c.want) > 0.015 {
			t.Errorf("mean of %s is %.4f, want %.2f", c.name, c.got, c.want)
		}
	}
}

func TestAugment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPicture(t)
		seed := rapid.Uint64().Draw(t, "seed")
		a := Augmentation{MinArea: rapid.Float64Range(0, 1).Draw(t, "area"), Flip: rapid.Bool().Draw(t, "flip")}
		part, flip := a.draw(random.New(seed, "test"), p.Width, p.Height)
		want := p.Crop(part.Min.X, part.Min.Y, part.Dx(), part.Dy()).Resize(5, 4)
		if flip {
			want = want.Flip()
		}
		if got, flipped := p.Augment(a, random.New(seed, "test"), 5, 4); flipped != flip || !equal(got, want) {
			t.Fatalf("%v, %v; want %v, %v", got, flipped, want, flip)
		}
		if flip && !a.Flip {
			t.Fatal("flipped unasked")
		}
		if same, _ := p.Augment(Augmentation{MinArea: 1}, random.New(seed, "test"), p.Width, p.Height); !equal(same, p) {
			t.Fatal("{MinArea: 1} changed the picture")
		}
	})
}

// The figures of a small photograph, as they come in data sets for retrieval.
func BenchmarkPhotograph(b *testing.B) {
	names, err := filepath.Glob(filepath.Join(golden.Data(b, "flickr8k/images"), "*.jpg"))
	if err != nil || len(names) == 0 {
		b.Fatalf("the folder of photographs has none: %v", err)
	}
	raw, err := os.ReadFile(names[0])
	if err != nil {
		b.Fatal(err)
	}
	p, err := decode(raw, Limits{})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := decode(raw, Limits{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, size := range map[string]int{"shrink to 64": 64, "grow to 224": 224} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p.Resize(size, size)
			}
		})
	}
	b.Run("augment to 64", func(b *testing.B) {
		seed := uint64(0)
		for b.Loop() {
			seed++
			p.Augment(Augmentation{MinArea: 0.5, Flip: true}, random.New(seed, "test"), 64, 64)
		}
	})
}
