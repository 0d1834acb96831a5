package picture

import "image"

// What makes RGB of a JPEG's lightness and colour. The decoder's own way repeats a colour that is held at half the
// resolution; other programs' libjpeg smooths it, and that is what networks were trained on.
//
// Source: libjpeg-turbo 3, jdsample.c (the weights of near and far, 3 and 1, and the roundings) and jdcolor.c.

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
