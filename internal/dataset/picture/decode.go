package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"path/filepath"
	"strings"

	"golang.org/x/image/webp"

	"github.com/unimo-go/unimo/internal/base/infile"
)

// Limits bound what a file may cost. A field that is 0 is that of [DefaultLimits].
type Limits struct {
	MaxPixels int   // width times height
	MaxBytes  int64 // of the file
}

// DefaultLimits admit what cameras make.
var DefaultLimits = Limits{MaxPixels: 50_000_000, MaxBytes: 64 << 20}

// MaxSide is the longest side of a picture in pixels, whatever the limits: that of a JPEG.
const MaxSide = 65535

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

// IsPicture says whether a file's name ends like that of a picture which [VisitFile] reads.
func IsPicture(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp":
		return true
	}
	return false
}

// PixelsError is that a picture has more pixels than the limit.
type PixelsError struct{ Width, Height, Limit int }

func (e *PixelsError) Error() string {
	return fmt.Sprintf("%d x %d = %d pixels are over the limit of %d; if the file can be trusted, raise it with --max-pixels", e.Width, e.Height, int64(e.Width)*int64(e.Height), e.Limit)
}

// VisitFile is [Visit] for the picture in a regular file, or in one that a link leads to.
// Every error names the file.
func VisitFile(path string, l Limits, use func(*Picture)) error {
	raw, err := ReadFile(path, l)
	if err == nil {
		if err = Visit(raw, l, use); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	return err
}

// ReadFile reads a regular file of no more bytes than a picture may have.
func ReadFile(path string, l Limits) ([]byte, error) {
	return infile.Read(path, l.orDefault().MaxBytes)
}

// Visit reads a JPEG, PNG, GIF (its first frame) or WebP picture, whatever its file is
// called, and calls use with it. Its size is held against the limits before it is decoded.
// The picture is upright (the Exif orientation is applied) and opaque (over white); grey,
// palettes, CMYK, YCCK and 16 bits become RGB.
//
// Whatever the number of callers, the pictures that are decoded and in use at a time take no
// more memory than one large one, or many small ones: a caller waits until there is room. So
// use must not read pictures itself, and should keep a smaller version only.
//
// Errors say what the bytes are, if they are known and no such picture; which limit is
// exceeded; or what the decoder found, such as a file that was cut off.
func Visit(raw []byte, l Limits, use func(*Picture)) error {
	return VisitContext(context.Background(), raw, l, use)
}

// VisitContext is [Visit] that ends with the context, and then returns its error: it waits for no room any more, decoders stop where they
// read on in the file, and use is not called. What a decoder has read it decodes to the end: of a lossy WebP that is all of it.
func VisitContext(ctx context.Context, raw []byte, l Limits, use func(*Picture)) error {
	l = l.orDefault()
	if err := l.checkBytes(int64(len(raw))); err != nil {
		return err
	}
	f, ok := recognise(raw)
	if !ok {
		return errors.New(unknown(raw))
	}
	raw, orientation, err := f.prepare(raw)
	if err != nil {
		return err
	}
	config, err := f.config(bytes.NewReader(raw))
	if err != nil {
		return broken(err)
	}
	w, h := config.Width, config.Height
	if w < 1 || h < 1 {
		return fmt.Errorf("%s of %d x %d pixels; at least one is needed", f.name, w, h)
	}
	if w > MaxSide || h > MaxSide {
		return fmt.Errorf("%d x %d pixels: a side of more than %d is not read; cut the picture into parts", w, h, MaxSide)
	}
	if pixels := int64(w) * int64(h); pixels > int64(l.MaxPixels) {
		return &PixelsError{w, h, l.MaxPixels}
	}
	cost := int64(w) * int64(h) * (f.cost(raw, config) + costOfPicture)
	release, err := acquire(ctx, cost)
	if err != nil {
		return err
	}
	defer release()
	m, err := f.image(untilEnd{ctx, bytes.NewReader(raw)})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return broken(err)
	}
	p := f.flatten(m, w, h, orientation)
	if err := ctx.Err(); err != nil {
		return err
	}
	use(p)
	return nil
}

// image decodes. Should the decoder panic, that is the file's error: one bad picture
// must not end a run over a million.
func (f format) image(r io.Reader) (m image.Image, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decoder: %v", r)
		}
	}()
	return f.decode(r)
}

// untilEnd reads until a context ends. Decoders read as they go, some kilobytes at a time.
type untilEnd struct {
	ctx context.Context
	r   io.Reader
}

func (u untilEnd) Read(p []byte) (int, error) {
	if err := u.ctx.Err(); err != nil {
		return 0, err
	}
	return u.r.Read(p)
}

func broken(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("picture is cut off; fetch the file again")
	}
	var kind jpeg.UnsupportedError
	if errors.As(err, &kind) {
		if strings.Contains(string(kind), "subsampling") {
			kind = "colour at an unusual part of the resolution"
		}
		return fmt.Errorf("%w (%s): %s", errUnread, string(kind), resave)
	}
	return fmt.Errorf("picture cannot be decoded: %w; fetch the file again or convert it", err)
}

// errUnread is what errors about a JPEG wrap that is whole, but of a kind that is not read.
var errUnread = errors.New("JPEG of a kind that is not read")

const resave = "save it again as a plain (baseline) JPEG or as PNG"

// format is a kind of picture.
type format struct {
	name   string
	is     func(raw []byte) bool
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	// prepare returns what the decoder is to read and the orientation.
	prepare func(raw []byte) ([]byte, int, error)
	// cost returns the most bytes a pixel that decoding takes.
	cost func(raw []byte, c image.Config) int64
	// flatten returns an image over white on a canvas of w x h pixels, upright.
	flatten func(m image.Image, w, h, orientation int) *Picture
}

var formats = []format{
	{"JPEG", begins("\xff\xd8\xff"), jpeg.DecodeConfig, jpeg.Decode, prepareJPEG, costJPEG, flattenJPEG},
	{"PNG", begins(pngMagic), png.DecodeConfig, png.Decode, func(raw []byte) ([]byte, int, error) {
		return raw, pngOrientation(raw), nil
	}, costPNG, flatten},
	{"GIF", begins("GIF8"), gif.DecodeConfig, gif.Decode, func(raw []byte) ([]byte, int, error) {
		return raw, upright, nil
	}, func([]byte, image.Config) int64 { return 1 }, flatten},
	{"WebP", isWebP, webp.DecodeConfig, webp.Decode, prepareWebP, func([]byte, image.Config) int64 { return 8 }, flattenWebP},
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
	if h.unread != "" {
		return nil, 0, fmt.Errorf("%w (%s): %s", errUnread, h.unread, resave)
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
	begin := raw[:min(len(raw), 16)]
	if strings.ContainsFunc(string(begin), func(r rune) bool { return (r < ' ' || r > '~') && r != '\n' && r != '\r' }) {
		return fmt.Sprintf("no picture that is known here (it begins with the bytes % x); %s", begin, known)
	}
	return fmt.Sprintf("no picture that is known here (it begins with %q); %s", begin, known)
}

// flatten is for images whose pixels have colours of their own.
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
