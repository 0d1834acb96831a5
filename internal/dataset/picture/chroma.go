package picture

import "image"

// What makes RGB of lightness and colour. The decoders' own way repeats a colour that is held at half the resolution;
// the libraries of other programs smooth it, and that is what networks were trained on.
//
// Source for JPEG: libjpeg-turbo 3, jdsample.c (the weights of near and far, 3 and 1, and the roundings) and jdcolor.c. For WebP:
// libwebp 1.6, src/dsp/upsampling.c and yuv.h.

// flattenJPEG is flatten for JPEG.
func flattenJPEG(decoded image.Image, w, h, orientation int) *Picture {
	m, ok := decoded.(*image.YCbCr)
	if !ok {
		return flatten(decoded, w, h, orientation)
	}
	wide, start, stepX, stepY := turn(orientation, w, h)
	out := newPicture(wide, w*h/wide)
	blues, reds := newChroma(m, m.Cb), newChroma(m, m.Cr)
	for y := range h {
		blue, red := blues.row(y)[:w], reds.row(y)[:w]
		at := 3 * (start + y*stepY)
		for x, light := range m.Y[y*m.YStride:][:w] {
			pixel := out.Pix[at : at+3]
			pixel[0], pixel[1], pixel[2] = toRGB(light, blue[x], red[x])
			at += 3 * stepX
		}
	}
	return out
}

// toRGB converts with 16 binary places.
func toRGB(light, blue, red byte) (r, g, b byte) {
	y, cb, cr := int32(light), int32(blue)-128, int32(red)-128
	const half = 1 << 15
	return limit(y + (91881*cr+half)>>16), limit(y + (half-22554*cb-46802*cr)>>16), limit(y + (116130*cb+half)>>16)
}

func limit(v int32) byte {
	if uint32(v) > 255 {
		return byte(^(v >> 31)) // 0 below, 255 above
	}
	return byte(v)
}

// chroma brings the rows of a plane of colour to the picture's width.
type chroma struct {
	plane         []byte
	stride        int
	width, height int // of the plane
	across, down  int // pixels of the picture that share a colour
	sums          []int32
	out           []byte
}

func newChroma(m *image.YCbCr, plane []byte) *chroma {
	s := &chroma{plane: plane, stride: m.CStride, across: 1, down: 1}
	switch m.SubsampleRatio {
	case image.YCbCrSubsampleRatio422:
		s.across = 2
	case image.YCbCrSubsampleRatio420:
		s.across, s.down = 2, 2
	case image.YCbCrSubsampleRatio440:
		s.down = 2
	case image.YCbCrSubsampleRatio411:
		s.across = 4
	case image.YCbCrSubsampleRatio410:
		s.across, s.down = 4, 2
	}
	s.width, s.height = (m.Rect.Dx()+s.across-1)/s.across, (m.Rect.Dy()+s.down-1)/s.down
	s.sums, s.out = make([]int32, s.width), make([]byte, s.width*s.across)
	return s
}

// row returns the colours of row y of the picture, until the next call.
func (s *chroma) row(y int) []byte {
	at := y / s.down
	near := s.plane[at*s.stride:][:s.width]
	if s.across == 1 && s.down == 1 {
		return near
	}
	if s.across == 4 || s.across == 2 && s.width <= 2 { // which libjpeg does not smooth
		for x := range s.out {
			s.out[x] = near[x/s.across]
		}
		return s.out
	}
	if s.down == 1 {
		for x, v := range near {
			s.sums[x] = int32(v)
		}
		s.between(2, 1, 2)
		return s.out
	}
	next, bias := max(at-1, 0), int32(1)
	if y%2 == 1 {
		next, bias = min(at+1, s.height-1), 2
	}
	far := s.plane[next*s.stride:][:s.width]
	for x, v := range near {
		s.sums[x] = 3*int32(v) + int32(far[x])
	}
	if s.across == 2 {
		s.between(4, 8, 7)
		return s.out
	}
	for x, sum := range s.sums {
		s.out[x] = byte((sum + bias) >> 2)
	}
	return s.out
}

// between makes two colours of each sum: three parts of it and one of that to the left or to the right.
func (s *chroma) between(bits int, left, right int32) {
	last := s.sums[0]
	for x, sum := range s.sums {
		next := s.sums[min(x+1, len(s.sums)-1)]
		s.out[2*x], s.out[2*x+1] = byte((3*sum+last+left)>>bits), byte((3*sum+next+right)>>bits)
		last = sum
	}
}

// flattenWebP is flatten for WebP.
func flattenWebP(decoded image.Image, w, h, orientation int) *Picture {
	var alpha []byte
	stride := 0
	m, ok := decoded.(*image.YCbCr)
	if both, has := decoded.(*image.NYCbCrA); has {
		m, alpha, stride = &both.YCbCr, both.A, both.AStride
	} else if !ok {
		return flatten(decoded, w, h, orientation)
	}
	p := newPicture(m.Rect.Dx(), m.Rect.Dy())
	pairs := make([][2]int32, p.Width)
	for y := range p.Height {
		colourWebP(pairs, m, y)
		row := p.row(y, 0, p.Width)
		for x, light := range m.Y[y*m.YStride:][:p.Width] {
			pixel := row[3*x : 3*x+3]
			pixel[0], pixel[1], pixel[2] = webpToRGB(int32(light), pairs[x][0], pairs[x][1])
			if alpha != nil {
				for c, v := range pixel {
					opaque := int(alpha[y*stride+x])
					pixel[c] = byte((int(v)*opaque + 255*(255-opaque) + 127) / 255)
				}
			}
		}
	}
	if p.Width == w && p.Height == h && orientation == upright {
		return p
	}
	return flatten(p.Image(), w, h, orientation)
}

// colourWebP sets row to the colours, blue and red, of row y of the picture: nine parts of the nearest, three of each of
// two others, one of the fourth, with rounding on the way.
func colourWebP(row [][2]int32, m *image.YCbCr, y int) {
	wide, high := (m.Rect.Dx()+1)/2, (m.Rect.Dy()+1)/2
	next := max(y/2-1, 0)
	if y%2 == 1 {
		next = min(y/2+1, high-1)
	}
	for c, plane := range [2][]byte{m.Cb, m.Cr} {
		near, far := plane[y/2*m.CStride:][:wide], plane[next*m.CStride:][:wide]
		row[0][c] = (3*int32(near[0]) + int32(far[0]) + 2) >> 2
		for x := 1; x < wide; x++ {
			nl, nr, fl, fr := int32(near[x-1]), int32(near[x]), int32(far[x-1]), int32(far[x])
			row[2*x-1][c] = ((nl+3*nr+3*fl+fr+8)>>3 + nl) >> 1
			if 2*x < len(row) {
				row[2*x][c] = ((3*nl+nr+fl+3*fr+8)>>3 + nr) >> 1
			}
		}
		if len(row)%2 == 0 {
			row[len(row)-1][c] = (3*int32(near[wide-1]) + int32(far[wide-1]) + 2) >> 2
		}
	}
}

// webpToRGB converts the colours of television, 16 to 235 for lightness and 16 to 240 for colour.
func webpToRGB(y, cb, cr int32) (r, g, b byte) {
	light := y * 19077 >> 8
	return limit((light + cr*26149>>8 - 14234) >> 6), limit((light - cb*6419>>8 - cr*13320>>8 + 8708) >> 6), limit((light + cb*33050>>8 - 17685) >> 6)
}
