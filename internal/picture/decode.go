package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/image/webp"
)

// Limits bound what a file may cost. A field that is 0 is that of [DefaultLimits].
type Limits struct {
	MaxPixels int   // width times height
	MaxBytes  int64 // of the file
}

// DefaultLimits admit what cameras make.
var DefaultLimits = Limits{MaxPixels: 50_000_000, MaxBytes: 64 << 20}

func (l Limits) orDefault() Limits {
	if l.MaxPixels == 0 {
		l.MaxPixels = DefaultLimits.MaxPixels
	}
	if l.MaxBytes == 0 {
		l.MaxBytes = DefaultLimits.MaxBytes
	}
	return l
}

func (l Limits) checkBytes(n int64) error {
	if n > l.MaxBytes {
		return fmt.Errorf("%d bytes are over the limit of %d for a picture; make the file smaller", n, l.MaxBytes)
	}
	return nil
}

// maxScans bounds the passes over a JPEG's pixels. Encoders make about ten of them.
const maxScans = 100

const pngMagic = "\x89PNG\r\n\x1a\n"

// IsPicture says whether a file's name ends like that of a picture which [Open] reads.
func IsPicture(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".png", ".gif", ".webp":
		return true
	}
	return false
}

// Open reads the picture in a regular file, or in one that a link leads to. Every error
// names the file. See [Decode].
func Open(path string, l Limits) (*Picture, error) {
	l = l.orDefault()
	raw, err := read(path, l)
	if err != nil {
		return nil, err
	}
	p, err := Decode(raw, l)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

func read(path string, l Limits) ([]byte, error) {
	st, err := os.Stat(path) // before opening: to open a pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file; name a picture's file", path)
	}
	if err := l.checkBytes(st.Size()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw := make([]byte, 0, st.Size()+1) // one more finds the end without growing
	buffer := bytes.NewBuffer(raw)
	if _, err := buffer.ReadFrom(io.LimitReader(f, l.MaxBytes+1)); err != nil { // it may grow meanwhile
		return nil, err
	}
	return buffer.Bytes(), nil
}

// Decode reads a JPEG, PNG, GIF (its first frame) or WebP picture, whatever its file is
// called. Its size is held against the limits before it is decoded. The result is
// upright (the Exif orientation is applied) and opaque (over white); grey, palettes,
// CMYK, YCCK and 16 bits become RGB.
//
// Errors say what the bytes are, if they are known and no such picture; which limit is
// exceeded; or what the decoder found, such as a file that was cut off.
func Decode(raw []byte, l Limits) (*Picture, error) {
	l = l.orDefault()
	if err := l.checkBytes(int64(len(raw))); err != nil {
		return nil, err
	}
	f, ok := recognise(raw)
	if !ok {
		return nil, errors.New(unknown(raw))
	}
	raw, orientation, err := f.prepare(raw)
	if err != nil {
		return nil, err
	}
	config, err := f.config(bytes.NewReader(raw))
	if err != nil {
		return nil, broken(err)
	}
	w, h := config.Width, config.Height
	if w < 1 || h < 1 {
		return nil, fmt.Errorf("%s of %d x %d pixels; at least one is needed", f.name, w, h)
	}
	if pixels := int64(w) * int64(h); pixels > int64(l.MaxPixels) {
		return nil, fmt.Errorf("%d x %d = %d pixels are over the limit of %d; if the file can be trusted, raise it with --max-pixels", w, h, pixels, l.MaxPixels)
	}
	m, err := f.image(raw)
	if err != nil {
		return nil, broken(err)
	}
	return flatten(m, w, h, orientation), nil
}

// image decodes. Should the decoder panic, that is the file's error: one bad picture
// must not end a run over a million.
func (f format) image(raw []byte) (m image.Image, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decoder: %v", r)
		}
	}()
	return f.decode(bytes.NewReader(raw))
}

func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("picture is cut off; fetch the file again")
	}
	return fmt.Errorf("picture cannot be decoded: %w; fetch the file again or convert it", err)
}

// format is a kind of picture.
type format struct {
	name   string
	is     func(raw []byte) bool
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	// prepare returns what the decoder is to read and the orientation.
	prepare func(raw []byte) ([]byte, int, error)
}

var formats = []format{
	{"JPEG", begins("\xff\xd8\xff"), jpeg.DecodeConfig, jpeg.Decode, prepareJPEG},
	{"PNG", begins(pngMagic), png.DecodeConfig, png.Decode, func(raw []byte) ([]byte, int, error) {
		return raw, pngOrientation(raw), nil
	}},
	{"GIF", begins("GIF8"), gif.DecodeConfig, gif.Decode, func(raw []byte) ([]byte, int, error) {
		return raw, upright, nil
	}},
	{"WebP", isWebP, webp.DecodeConfig, decodeWebP, prepareWebP},
}

func begins(magic string) func([]byte) bool {
	return func(raw []byte) bool { return bytes.HasPrefix(raw, []byte(magic)) }
}

func isWebP(raw []byte) bool {
	return len(raw) >= 12 && string(raw[:4]) == "RIFF" && string(raw[8:12]) == "WEBP"
}

func recognise(raw []byte) (format, bool) {
	for _, f := range formats {
		if f.is(raw) {
			return f, true
		}
	}
	return format{}, false
}

// prepareJPEG cuts off what follows the end marker (phones put films there), so that
// the scans which are counted are the picture's. The count may be too high by a preview
// among the metadata, never too low.
func prepareJPEG(raw []byte) ([]byte, int, error) {
	h := walkJPEG(raw)
	if h.end == 0 {
		return nil, 0, broken(io.ErrUnexpectedEOF)
	}
	raw = raw[:h.end]
	if n := bytes.Count(raw, []byte{0xff, markerSOS}); n > maxScans {
		return nil, 0, fmt.Errorf("JPEG with %d scans, more than %d; save it again as a plain (baseline) JPEG", n, maxScans)
	}
	if h.components == 4 && !h.adobe {
		// The decoder wants to be told that this is CMYK, not YCCK; inverted, as everybody writes it.
		const segment = "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
		raw = append(append(append([]byte{}, raw[:2]...), segment...), raw[2:]...)
	}
	return raw, h.orientation, nil
}

func prepareWebP(raw []byte) ([]byte, int, error) {
	const animation = 1 << 1
	if len(raw) > 20 && string(raw[12:16]) == "VP8X" && raw[20]&animation != 0 {
		return nil, 0, errors.New("animated WebP is not read; save a frame of it as a picture of its own")
	}
	return raw, webpOrientation(raw), nil
}

// decodeWebP spreads the colours of a lossy WebP over all of 0..255. The file has
// those of television, 16 to 235 for lightness and 16 to 240 for colour, and the
// decoder hands them out as if they were those of JPEG.
//
// Source: RFC 6386, 9.2 (ITU-R BT.601).
func decodeWebP(r io.Reader) (image.Image, error) {
	m, err := webp.Decode(r)
	switch m := m.(type) {
	case *image.YCbCr:
		spread(m)
	case *image.NYCbCrA:
		spread(&m.YCbCr)
	}
	return m, err
}

func spread(m *image.YCbCr) {
	var light, colour [256]byte
	for i := range 256 {
		light[i] = clamp((float64(i)-16)*255/219 + 0.5)
		colour[i] = clamp((float64(i)-128)*255/224 + 128.5)
	}
	for _, plane := range []struct {
		values []byte
		table  *[256]byte
	}{{m.Y, &light}, {m.Cb, &colour}, {m.Cr, &colour}} {
		for i, v := range plane.values {
			plane.values[i] = plane.table[v]
		}
	}
}

func clamp(v float64) byte { return byte(min(max(v, 0), 255)) }

// unknown says what bytes are that are no picture which is read.
func unknown(raw []byte) string {
	const known = "JPEG, PNG, GIF and WebP are read"
	head := strings.ToLower(strings.TrimSpace(string(raw[:min(len(raw), 64)])))
	for _, f := range []struct{ begin, what string }{
		{"version https://git-lfs", "a Git LFS pointer, not the picture itself; fetch it with `git lfs pull`"},
		{"<!doctype html", "a web page, not a picture; the download went wrong"},
		{"<html", "a web page, not a picture; the download went wrong"},
		{"<svg", "an SVG drawing; " + known + ", convert it"},
		{"bm", "a BMP; " + known + ", convert it"},
		{"ii*\x00", "a TIFF; " + known + ", convert it"},
		{"mm\x00*", "a TIFF; " + known + ", convert it"},
		{"%pdf", "a PDF; " + known + ", convert it"},
	} {
		if strings.HasPrefix(head, f.begin) {
			return f.what
		}
	}
	switch {
	case len(raw) == 0:
		return "empty file; fetch it again"
	case len(raw) >= 12 && string(raw[4:8]) == "ftyp":
		return "HEIC, AVIF or a film; " + known + ", convert it"
	}
	return fmt.Sprintf("no picture that is known here (it begins with %.16q); %s", head, known)
}

// flatten returns an image over white on a canvas of w x h pixels, upright.
func flatten(m image.Image, w, h, orientation int) *Picture {
	wide, start, stepX, stepY := turn(orientation, w, h)
	out := newPicture(wide, w*h/wide)
	// A band at a time, to have a second copy of a few rows only.
	const rows = 64
	band := image.NewRGBA(image.Rect(0, 0, w, min(rows, h)))
	for top := 0; top < h; top += rows {
		band.Rect = image.Rect(0, top, w, min(top+rows, h))
		draw.Draw(band, band.Rect, image.White, image.Point{}, draw.Src)
		draw.Draw(band, band.Rect, m, band.Rect.Min, draw.Over)
		i := 0
		for y := top; y < band.Rect.Max.Y; y++ {
			at := 3 * (start + y*stepY)
			for range w {
				copy(out.Pix[at:at+3], band.Pix[i:])
				i, at = i+4, at+3*stepX
			}
		}
	}
	return out
}
