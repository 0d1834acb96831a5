package picture

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
)

// Picture is a picture in RGB.
type Picture struct {
	Width, Height int    // in pixels, at least 1
	Pix           []byte // Height x Width x 3: rows from the top, pixels from the left, red, green, blue
}

// newPicture returns a black picture.
func newPicture(w, h int) *Picture {
	if w < 1 || h < 1 {
		panic(fmt.Sprintf("picture: %d x %d pixels", w, h))
	}
	return &Picture{Width: w, Height: h, Pix: make([]byte, 3*w*h)}
}

// row returns pixels x0..x1-1 of row y.
func (p *Picture) row(y, x0, x1 int) []byte {
	return p.Pix[3*(y*p.Width+x0) : 3*(y*p.Width+x1)]
}

// Resize returns the picture scaled to w x h pixels with the Catmull-Rom kernel. A side
// that shrinks is averaged over what a new pixel covers, so that fine patterns do not
// turn into coarse ones. w or h < 1 panics. Models are trained behind it, so its bits stay; what
// networks of other libraries read is made by [Picture.Resample].
func (p *Picture) Resize(w, h int) *Picture {
	return p.scale(image.Rect(0, 0, p.Width, p.Height), w, h)
}

// Crop returns a copy of the part of w x h pixels whose left upper corner is (x, y).
// It panics if that is not inside.
func (p *Picture) Crop(x, y, w, h int) *Picture {
	if x < 0 || y < 0 || x+w > p.Width || y+h > p.Height {
		panic(fmt.Sprintf("picture: %d x %d at %d, %d is not inside of %d x %d", w, h, x, y, p.Width, p.Height))
	}
	out := newPicture(w, h)
	for i := range h {
		copy(out.row(i, 0, w), p.row(y+i, x, x+w))
	}
	return out
}

// Pad returns the picture with its left upper corner at (x, y) of a canvas of w x h pixels in one colour. It panics if it
// does not fit there.
func (p *Picture) Pad(x, y, w, h int, fill [3]byte) *Picture {
	if x < 0 || y < 0 || x+p.Width > w || y+p.Height > h {
		panic(fmt.Sprintf("picture: %d x %d at %d, %d does not fit into %d x %d", p.Width, p.Height, x, y, w, h))
	}
	out := newPicture(w, h)
	if fill != [3]byte{} {
		for i := 0; i < len(out.Pix); i += 3 {
			copy(out.Pix[i:i+3], fill[:])
		}
	}
	for i := range p.Height {
		copy(out.row(y+i, x, x+p.Width), p.row(i, 0, p.Width))
	}
	return out
}

// Flip returns the picture with left and right exchanged.
func (p *Picture) Flip() *Picture {
	out := newPicture(p.Width, p.Height)
	for y := range p.Height {
		src, dst := p.row(y, 0, p.Width), out.row(y, 0, p.Width)
		for i := 0; i < len(src); i += 3 {
			copy(dst[len(dst)-3-i:len(dst)-i], src[i:])
		}
	}
	return out
}

// Image returns a copy for the encoders of the standard library.
func (p *Picture) Image() image.Image {
	out := image.NewRGBA(image.Rect(0, 0, p.Width, p.Height))
	for i, src := 0, p.Pix; len(src) > 0; src, i = src[3:], i+4 {
		out.Pix[i], out.Pix[i+1], out.Pix[i+2], out.Pix[i+3] = src[0], src[1], src[2], 0xff
	}
	return out
}

// WritePNG writes the picture as PNG, which loses nothing.
func (p *Picture) WritePNG(w io.Writer) error { return png.Encode(w, p.Image()) }

// Thumbnail returns the picture as the file of a JPEG. A longer side than maxSide is shrunk to it.
func (p *Picture) Thumbnail(maxSide int) ([]byte, error) {
	if longest := max(p.Width, p.Height); longest > maxSide {
		p = p.Resize(max(p.Width*maxSide/longest, 1), max(p.Height*maxSide/longest, 1))
	}
	var file bytes.Buffer
	err := jpeg.Encode(&file, p.Image(), &jpeg.Options{Quality: 85})
	return file.Bytes(), err
}

// DataURI returns the [Picture.Thumbnail] as a data: URI, for pages that hold all they show.
func (p *Picture) DataURI(maxSide int) (string, error) {
	raw, err := p.Thumbnail(maxSide)
	if err != nil {
		return "", err
	}
	return "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(raw), nil
}
