package picture

import (
	"image"
	"math"
)

// scale returns a part of the picture scaled to w x h pixels with the Catmull-Rom kernel.
//
// The result is that of golang.org/x/image/draw's CatmullRom, bit for bit: the same products are
// summed in the same order. But rows are scaled one at a time and added at once to the rows of the
// result that they are part of, so that the memory is that of the result and one row, and not
// 32 bytes times the height of the picture times the width of the result.
func (p *Picture) scale(part image.Rectangle, w, h int) *Picture {
	if part.Dx() == w && part.Dy() == h {
		return p.Crop(part.Min.X, part.Min.Y, w, h)
	}
	columns, rows := spreadOver(w, part.Dx()), spreadOver(h, part.Dy())
	line := make([][4]float64, w) // a row of the picture, w pixels wide; the fourth channel is opacity
	for x, s := range columns {
		var opaque float64
		for _, weight := range s.weights {
			opaque += float64(0xffff * weight)
		}
		line[x][3] = opaque * s.scale16
	}
	values := make([]float64, 3*part.Dx())
	sums := make([][4]float64, w*h)
	done := 0 // rows of the result that have all
	for y := range part.Dy() {
		for i, v := range p.row(part.Min.Y+y, part.Min.X, part.Max.X) {
			values[i] = float64(uint32(v) * 0x101)
		}
		shrink(line, values, columns)
		for done < h && rows[done].end() <= y {
			done++
		}
		for k := done; k < h && rows[k].first <= y; k++ {
			if y >= rows[k].end() {
				continue
			}
			weight := rows[k].weights[y-rows[k].first]
			sum := sums[k*w:][:len(line)]
			for x, v := range line {
				sum[x][0] += float64(v[0] * weight)
				sum[x][1] += float64(v[1] * weight)
				sum[x][2] += float64(v[2] * weight)
				sum[x][3] += float64(v[3] * weight)
			}
		}
	}
	out := newPicture(w, h)
	for i, sum := range sums {
		for c := range 3 {
			out.Pix[3*i+c] = toByte(min(sum[c], sum[3]) * rows[i/w].scale)
		}
	}
	return out
}

// toByte converts 0 to 1 to 0 to 255.
func toByte(v float64) byte {
	return byte(min(max(int32(float64(0xffff*v)+0.5), 0), 0xffff) >> 8)
}

// source says of which old pixels in a row a new one is made: of those from first on, by weight.
type source struct {
	first          int
	weights        []float64
	scale, scale16 float64 // 1 over the sum of the weights, and that over 65535
}

func (s source) end() int { return s.first + len(s.weights) }

// spreadOver returns the sources of n new pixels in place of old ones. Neither first nor end falls
// from one to the next.
func spreadOver(n, old int) []source {
	ratio := float64(old) / float64(n)
	const support = 2
	halfWidth, argument := float64(support), 1.0
	if ratio > 1 { // a new pixel is made of all that it covers
		halfWidth *= ratio
		argument = 1 / ratio
	}
	sources := make([]source, n)
	for x := range sources {
		centre := float64((float64(x)+0.5)*ratio) - 0.5
		s := source{first: max(int(math.Floor(centre-halfWidth)), 0)}
		end := max(min(int(math.Ceil(centre+halfWidth)), old), s.first)
		s.weights = make([]float64, end-s.first)
		total := 0.0
		for i := range s.weights {
			if t := math.Abs((centre - float64(s.first+i)) * argument); t < support {
				s.weights[i] = catmullRomAt(t)
				total += s.weights[i]
			}
		}
		s.scale = 1 / total
		s.scale16 = s.scale / 0xffff
		sources[x] = s
	}
	return sources
}

// catmullRomAt is the kernel, of the distance 0 to 2. The conversions keep processors from fusing
// products and sums, which rounds otherwise.
func catmullRomAt(t float64) float64 {
	if t < 1 {
		return float64((float64(1.5*t)-2.5)*t*t) + 1
	}
	return float64((float64(float64(float64(-0.5*t)+2.5)*t)-4)*t) + 2
}

// shrink sets the colours of line to those of a row of pixels, red, green and blue.
func shrink(line [][4]float64, row []float64, columns []source) {
	for x, s := range columns {
		var r, g, b float64
		pixels := row[3*s.first:]
		for _, weight := range s.weights {
			pixel := pixels[:3]
			r += float64(pixel[0] * weight)
			g += float64(pixel[1] * weight)
			b += float64(pixel[2] * weight)
			pixels = pixels[3:]
		}
		line[x][0], line[x][1], line[x][2] = r*s.scale16, g*s.scale16, b*s.scale16
	}
}
