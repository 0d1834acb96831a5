package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/unimo-go/unimo/internal/test/doubles"
	"github.com/unimo-go/unimo/internal/test/golden"
)

var (
	white = color.NRGBA{255, 255, 255, 255}
	red   = color.NRGBA{255, 0, 0, 255}
	green = color.NRGBA{0, 255, 0, 255}
	blue  = color.NRGBA{0, 0, 255, 255}
	black = color.NRGBA{0, 0, 0, 255}
	clear = color.NRGBA{255, 0, 0, 0}
	shade = color.NRGBA{0, 0, 0, 128}
)

// file returns one of testdata, which Pillow 12 wrote: 16 x 16 pixels in four squares.
// ycck.jpg is a CMYK file whose values were converted and whose kind was changed.
func file(tb testing.TB, name string) []byte {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// quarters paints four squares of 8 x 8 pixels: left and right above, left and right below.
func quarters(m interface{ Set(x, y int, c color.Color) }, colours ...color.NRGBA) {
	for y := range 16 {
		for x := range 16 {
			m.Set(x, y, colours[y/8*2+x/8])
		}
	}
}

func encode(tb testing.TB, write func(*bytes.Buffer) error) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := write(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func pngFile(tb testing.TB, m image.Image) []byte {
	return encode(tb, func(b *bytes.Buffer) error { return png.Encode(b, m) })
}

func jpegFile(tb testing.TB, m image.Image) []byte {
	return encode(tb, func(b *bytes.Buffer) error { return jpeg.Encode(b, m, &jpeg.Options{Quality: 95}) })
}

// gifFile has two frames. The first covers the right half of the canvas, the second all of it.
func gifFile(tb testing.TB) []byte {
	palette := color.Palette{white, red, blue}
	first := image.NewPaletted(image.Rect(8, 0, 16, 16), palette)
	for i := range first.Pix {
		first.Pix[i] = uint8(1 + i/64) // red above blue
	}
	second := image.NewPaletted(image.Rect(0, 0, 16, 16), palette)
	return encode(tb, func(b *bytes.Buffer) error {
		return gif.EncodeAll(b, &gif.GIF{Image: []*image.Paletted{first, second}, Delay: []int{1, 1}})
	})
}

// insert puts a JPEG's segment behind its first two bytes.
func insert(raw []byte, marker byte, segment []byte) []byte {
	head := []byte{0xff, marker, byte((len(segment) + 2) >> 8), byte(len(segment) + 2)}
	return slices.Concat(raw[:2], head, segment, raw[2:])
}

// exif is Exif data with the picture's width and the orientation.
func exif(order binary.AppendByteOrder, orientation uint16) []byte {
	b := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	for _, field := range [][2]uint16{{256, 7}, {274, orientation}} {
		b = order.AppendUint16(b, field[0])
		b = order.AppendUint16(b, 3)
		b = order.AppendUint32(b, 1)
		b = order.AppendUint16(b, field[1])
		b = order.AppendUint16(b, 0)
	}
	return order.AppendUint32(b, 0)
}

// chunk is one of a PNG.
func chunk(name string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, name...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

const pngHeaderEnd = 8 + 12 + 13 // behind the first chunk

func TestColours(t *testing.T) {
	rect := image.Rect(0, 0, 16, 16)
	nrgba := image.NewNRGBA(rect)
	quarters(nrgba, red, clear, shade, blue)
	nrgba64 := image.NewNRGBA64(rect)
	quarters(nrgba64, red, clear, shade, blue)
	opaque := image.NewNRGBA(rect)
	quarters(opaque, white, red, green, blue)
	grey, grey16 := image.NewGray(rect), image.NewGray16(rect)
	quarters(grey, white, black, black, white)
	quarters(grey16, white, black, black, white)
	palette := image.NewPaletted(rect, color.Palette{red, clear, shade, blue})
	quarters(palette, red, clear, shade, blue)
	cmyk := file(t, "cmyk.jpg")

	half := color.NRGBA{127, 127, 127, 255}
	for _, c := range []struct {
		name      string
		raw       []byte
		want      []color.NRGBA
		tolerance int
	}{
		{"jpeg", jpegFile(t, opaque), []color.NRGBA{white, red, green, blue}, 5},
		{"grey jpeg", jpegFile(t, grey), []color.NRGBA{white, black, black, white}, 1},
		{"cmyk jpeg", cmyk, []color.NRGBA{white, red, green, black}, 1},
		{"cmyk jpeg without Adobe's segment", slices.Concat(cmyk[:2], cmyk[18:]), []color.NRGBA{white, red, green, black}, 1},
		{"ycck jpeg", file(t, "ycck.jpg"), []color.NRGBA{white, red, green, black}, 2},
		{"jpeg with a film behind it", append(jpegFile(t, opaque), bytes.Repeat([]byte{0xff, markerSOS}, 1000)...), []color.NRGBA{white, red, green, blue}, 5},
		{"png", pngFile(t, opaque), []color.NRGBA{white, red, green, blue}, 0},
		{"png with alpha", pngFile(t, nrgba), []color.NRGBA{red, white, half, blue}, 1},
		{"png with alpha, 16 bits", pngFile(t, nrgba64), []color.NRGBA{red, white, half, blue}, 1},
		{"grey png", pngFile(t, grey), []color.NRGBA{white, black, black, white}, 0},
		{"grey png, 16 bits", pngFile(t, grey16), []color.NRGBA{white, black, black, white}, 0},
		{"palette png with alpha", pngFile(t, palette), []color.NRGBA{red, white, half, blue}, 1},
		{"gif", gifFile(t), []color.NRGBA{white, red, white, blue}, 0},
		{"lossless webp", file(t, "lossless.webp"), []color.NRGBA{white, red, green, blue}, 0},
		{"lossless webp with alpha", file(t, "losslessalpha.webp"), []color.NRGBA{red, white, half, blue}, 1},
		{"lossy webp", file(t, "lossy.webp"), []color.NRGBA{white, red, green, blue}, 4},
		{"lossy webp with alpha", file(t, "alpha.webp"), []color.NRGBA{red, white, half, blue}, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := decode(c.raw, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if p.Width != 16 || p.Height != 16 || len(p.Pix) != 3*16*16 {
				t.Fatalf("%d x %d with %d bytes, want 16 x 16", p.Width, p.Height, len(p.Pix))
			}
			for i, want := range c.want {
				got := p.row(i/2*8+4, i%2*8+4, i%2*8+5)
				for channel, v := range []byte{want.R, want.G, want.B} {
					if d := int(got[channel]) - int(v); d < -c.tolerance || d > c.tolerance {
						t.Errorf("square %d is %v, want %v", i, got, want)
						break
					}
				}
			}
		})
	}
}

func TestOrientation(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 3, 2))
	copy(m.Pix, "abcdef")
	plain := pngFile(t, m)
	for orientation, want := range []string{
		0: "abc def", // none
		1: "abc def",
		2: "cba fed",
		3: "fed cba",
		4: "def abc",
		5: "ad be cf",
		6: "da eb fc",
		7: "fc eb da",
		8: "cf be ad",
		9: "abc def", // none
	} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			raw := slices.Concat(plain[:pngHeaderEnd], chunk("eXIf", exif(order, uint16(orientation))), plain[pngHeaderEnd:])
			p, err := decode(raw, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			var rows []string
			for y := range p.Height {
				var row []byte
				for x := range p.Width {
					row = append(row, p.row(y, x, x+1)[0])
				}
				rows = append(rows, string(row))
			}
			if got := strings.Join(rows, " "); got != want {
				t.Errorf("orientation %d, %v: %s, want %s", orientation, order, got, want)
			}
		}
	}

	opaque := image.NewNRGBA(image.Rect(0, 0, 16, 8))
	for i := range opaque.Pix {
		opaque.Pix[i] = 255 * uint8(i%4/3)
	}
	turned := insert(jpegFile(t, opaque), markerAPP1, append([]byte("Exif\x00\x00"), exif(binary.BigEndian, 6)...))
	turned = insert(turned, markerAPP1, []byte("http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta/>"))
	if p, err := decode(turned, Limits{}); err != nil || p.Width != 8 || p.Height != 16 {
		t.Errorf("turned JPEG: %v, %v", p, err)
	}
	p, err := decode(file(t, "turned.webp"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if got := p.row(4, 4, 5); !bytes.Equal(got, []byte{0, 255, 0}) {
		t.Errorf("turned WebP: %v to the left above, want green", got)
	}
}

// hugePNG claims size x size pixels and is a few bytes long.
func hugePNG(size uint32) []byte {
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, size), size)
	header = append(header, 8, 2, 0, 0, 0)
	return slices.Concat([]byte(pngMagic), chunk("IHDR", header), chunk("IDAT", make([]byte, 2000)), chunk("IEND", nil))
}

func TestRefused(t *testing.T) {
	small := image.NewGray(image.Rect(0, 0, 1, 1))
	scan := []byte{0xff, markerSOS, 0, 2}
	plain := jpegFile(t, small)
	scans := slices.Concat(plain[:len(plain)-2], bytes.Repeat(scan, maxScans), plain[len(plain)-2:])
	huge := jpegFile(t, small)
	copy(huge[bytes.Index(huge, []byte{0xff, 0xc0})+5:], "\xff\xff\xff\xff")
	for _, c := range []struct {
		name  string
		raw   []byte
		limit Limits
		want  []string // in the error
	}{
		{"bomb", hugePNG(30000), Limits{}, []string{"30000 x 30000 = 900000000 pixels", "limit of 50000000", "--max-pixels"}},
		{"huge jpeg", huge, Limits{}, []string{"65535 x 65535", "--max-pixels"}},
		{"over a small limit", pngFile(t, image.NewGray(image.Rect(0, 0, 11, 10))), Limits{MaxPixels: 109}, []string{"11 x 10 = 110 pixels", "limit of 109"}},
		{"overflowing size", hugePNG(1 << 31), Limits{}, []string{"png"}},
		{"no pixels", []byte("GIF89a\x00\x00\x00\x00\x00\x00\x00;"), Limits{}, []string{"GIF of 0 x 0 pixels"}},
		{"large file", pngFile(t, small), Limits{MaxBytes: 10}, []string{"bytes are over the limit of 10"}},
		{"scans", scans, Limits{}, []string{"101 scans", "baseline"}},
		{"animated webp", file(t, "animated.webp"), Limits{}, []string{"animated WebP"}},
		{"empty", nil, Limits{}, []string{"empty file"}},
		{"text", []byte("a dog runs"), Limits{}, []string{`begins with "a dog runs"`, "JPEG, PNG, GIF and WebP are read"}},
		{"page", []byte("\n<!DOCTYPE html><html>"), Limits{}, []string{"web page"}},
		{"pointer", []byte("version https://git-lfs.github.com/spec/v1\n"), Limits{}, []string{"git lfs pull"}},
		{"heic", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), Limits{}, []string{"HEIC", "convert"}},
		{"tiff", []byte("II*\x00\x08\x00\x00\x00"), Limits{}, []string{"TIFF", "convert"}},
		{"zeros", make([]byte, 100), Limits{}, []string{"no picture that is known"}},
		{"lines", []byte("a dog\r\nruns"), Limits{}, []string{`begins with "a dog\r\nruns"`}},
		{"bytes", []byte("\x01\xfe\xffB"), Limits{}, []string{"begins with the bytes 01 fe ff 42)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			p, err := decode(c.raw, c.limit)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatalf("%d x %d accepted", p.Width, p.Height)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if used := after.TotalAlloc - before.TotalAlloc; used > 1<<20 {
				t.Errorf("refusing took %d bytes", used)
			}
		})
	}
}

// Decoders stop on their way when the context ends, and nothing is done with a picture that nobody waits for: also where the file is short, or
// read at once, as a lossy WebP is.
func TestVisitContext(t *testing.T) {
	im := noiseLCG(300, 300, 1).Image()
	for name, c := range map[string]struct {
		raw   []byte
		looks int // at least
	}{
		"PNG": {pngFile(t, im), 10}, "JPEG": {jpegFile(t, im), 10}, "lossless WebP": {file(t, "lossless.webp"), 2}, "lossy WebP": {file(t, "lossy.webp"), 2},
	} {
		all := doubles.Lasts(1 << 20)
		if err := VisitContext(all, c.raw, Limits{}, func(*Picture) {}); err != nil {
			t.Fatal(err)
		}
		looks := 1<<20 - all.Looks
		if looks < c.looks {
			t.Errorf("%s of %d bytes: the context is looked at %d times", name, len(c.raw), looks)
		}
		for _, n := range []int{0, looks / 2, looks - 2, looks - 1} {
			err := VisitContext(doubles.Lasts(n), c.raw, Limits{}, func(*Picture) { t.Errorf("%s: used after %d looks of %d", name, n, looks) })
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: after %d looks of %d: %v", name, n, looks, err)
			}
		}
	}
}

// TestCutOff feeds every beginning of a file. What is behind the pixels may be missing.
func TestCutOff(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 16, 16))
	quarters(m, red, white, green, blue)
	for _, c := range []struct {
		name  string
		raw   []byte
		spare int
	}{
		{"jpeg", jpegFile(t, m), 0},
		{"cmyk", file(t, "cmyk.jpg"), 0},
		{"png", pngFile(t, m), 0},
		{"gif", gifFile(t), 1000}, // the second frame
		{"lossless webp", file(t, "lossless.webp"), 1},
		{"lossy webp", file(t, "lossy.webp"), 1},
		{"webp with alpha", file(t, "alpha.webp"), 1},
	} {
		for n := range c.raw {
			_, err := decode(c.raw[:n], Limits{})
			if err == nil && n < len(c.raw)-c.spare {
				t.Errorf("%s: %d of %d bytes accepted", c.name, n, len(c.raw))
			}
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	save := func(name string, raw []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := save("good.txt", pngFile(t, image.NewGray(image.Rect(0, 0, 1, 1)))) // the name does not matter
	if p, err := open(good, Limits{}); err != nil || p.Width != 1 || p.Height != 1 {
		t.Errorf("%v, %v", p, err)
	}
	link, dangling := filepath.Join(dir, "link.png"), filepath.Join(dir, "dangling.png")
	if os.Symlink(good, link) == nil && os.Symlink(filepath.Join(dir, "gone"), dangling) == nil {
		if _, err := open(link, Limits{}); err != nil {
			t.Error(err)
		}
		wantError(t, dangling, "dangling.png")
	}
	wantError(t, filepath.Join(dir, "absent.jpg"), "absent.jpg")
	wantError(t, dir, "is a folder")
	wantError(t, save("text.jpg", []byte("hello")), "hello")
	wantError(t, save("empty.jpg", nil), "empty file")
	if _, err := open(good, Limits{MaxBytes: 5}); err == nil || !strings.Contains(err.Error(), good) || !strings.Contains(err.Error(), "larger than 5 bytes") {
		t.Errorf("error %v", err)
	}
}

// wantError opens a path whose error must name it and contain a text.
func wantError(t *testing.T, path, text string) {
	t.Helper()
	if _, err := open(path, Limits{}); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: error %v, want one with %q", path, err, text)
	}
}

func TestIsPicture(t *testing.T) {
	for name, want := range map[string]bool{"a.jpg": true, "b/A.JPEG": true, "a.png": true, "a.gif": true, "a.webp": true, "a.txt": false, "jpg": false, "a.jpg.gz": false} {
		if IsPicture(name) != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// TestPhotographs decodes real ones; none of them is of one colour.
func TestPhotographs(t *testing.T) {
	names, err := filepath.Glob(filepath.Join(golden.Data(t, "flickr8k/images"), "*.jpg"))
	if err != nil || len(names) == 0 {
		t.Fatalf("the folder of photographs has none: %v", err)
	}
	for _, name := range names[:min(len(names), 200)] {
		p, err := open(name, Limits{})
		if err != nil {
			t.Error(err)
			continue
		}
		if slices.Min(p.Pix) == slices.Max(p.Pix) {
			t.Errorf("%s has one colour", name)
		}
	}
}

// FuzzDecode asks that decoding returns, and that what it accepts is consistent.
// decode returns the picture that Visit gives.
func decode(raw []byte, l Limits) (p *Picture, err error) {
	err = Visit(raw, l, func(decoded *Picture) { p = decoded })
	return p, err
}

// open returns the picture that VisitFile gives.
func open(path string, l Limits) (p *Picture, err error) {
	err = VisitFile(path, l, func(decoded *Picture) { p = decoded })
	return p, err
}

func FuzzDecode(f *testing.F) {
	m := image.NewNRGBA(image.Rect(0, 0, 16, 16))
	quarters(m, red, clear, shade, blue)
	f.Add(pngFile(f, m))
	f.Add(jpegFile(f, m))
	f.Add(insert(jpegFile(f, m), markerAPP1, append([]byte("Exif\x00\x00"), exif(binary.LittleEndian, 6)...)))
	f.Add(gifFile(f))
	f.Add(hugePNG(30000))
	entries, err := os.ReadDir("testdata")
	if err != nil {
		f.Fatal(err)
	}
	for _, e := range entries {
		if !e.IsDir() {
			f.Add(file(f, e.Name()))
		}
	}
	l := Limits{MaxPixels: 1 << 16, MaxBytes: 1 << 16}
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := decode(raw, l)
		if err != nil {
			return
		}
		if p.Width < 1 || p.Height < 1 || p.Width*p.Height > l.MaxPixels || len(p.Pix) != 3*p.Width*p.Height {
			t.Fatalf("%d x %d pixels with %d bytes", p.Width, p.Height, len(p.Pix))
		}
	})
}

// FuzzOrientation feeds Exif data.
func FuzzOrientation(f *testing.F) {
	f.Add(exif(binary.LittleEndian, 3))
	f.Add(append([]byte("Exif\x00\x00"), exif(binary.BigEndian, 8)...))
	f.Add([]byte("II*\x00\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if o := tiffOrientation(raw); o < 1 || o > 8 {
			t.Fatalf("orientation %d", o)
		}
	})
}

// A JPEG that is whole but of a kind that is not read is not called broken.
func TestJPEGOfOtherKinds(t *testing.T) {
	for name, c := range map[string]struct {
		at    int // behind the marker 0xff 0xc0
		value byte
		want  string
	}{
		"arithmetic coding":              {-1, 0xc9, "arithmetic coding"},
		"progressive, arithmetic coding": {-1, 0xca, "arithmetic coding"},
		"lossless":                       {-1, 0xc3, "lossless"},
		"hierarchical":                   {-1, 0xc5, "hierarchical"},
		"12 bits":                        {2, 12, "12 bits"},
		"colour of three columns":        {9, 0x31, "part of the resolution"},
		"colour of four rows":            {9, 0x14, "part of the resolution"},
		"blue otherwise than red":        {12, 0x21, "part of the resolution"},
	} {
		m := image.NewNRGBA(image.Rect(0, 0, 16, 16))
		raw := jpegFile(t, m)
		raw[bytes.Index(raw, []byte{0xff, 0xc0})+2+c.at] = c.value
		_, err := decode(raw, Limits{})
		if !errors.Is(err, errUnread) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "again or") || !strings.Contains(err.Error(), "plain (baseline)") {
			t.Errorf("%s: error %v, want %q and what to do", name, err, c.want)
		}
	}
}
