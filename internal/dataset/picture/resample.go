package picture

import (
	"fmt"
	"image"
	"math"

	"github.com/unimo-go/unimo/internal/base/names"
)

// Filter says how [Picture.Resample] computes a new pixel. The numbers are Pillow's.
type Filter int

// The filters. All but Nearest average what a new pixel covers where a picture shrinks.
const (
	Nearest Filter = iota
	Lanczos
	Bilinear
	Bicubic
	Box
	Hamming
)

var filterNames = []string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"}

// ParseFilter returns the filter of a name, such as "bicubic".
func ParseFilter(name string) (Filter, error) {
	for i, known := range filterNames {
		if name == known {
			return Filter(i), nil
		}
	}
	return 0, names.Unknown("filter", name, filterNames)
}

// Known says whether there is such a filter.
func (f Filter) Known() bool { return 0 <= f && int(f) < len(filterNames) }

func (f Filter) String() string {
	if !f.Known() {
		return fmt.Sprintf("filter %d", int(f))
	}
	return filterNames[f]
}

// MarshalText implements [encoding.TextMarshaler]: the filter's name.
func (f Filter) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (f *Filter) UnmarshalText(name []byte) (err error) {
	*f, err = ParseFilter(string(name))
	return err
}

// Resample returns a part, window, of the picture scaled to w x h pixels. The bytes are those of
// Pillow's Image.resize, which the networks that people have were trained behind; [Picture.Resize]
// stays beside it for what was trained behind that one. Only the window is computed, and the memory
// is that of the window and of its columns at the picture's height. It panics where the window is
// empty or not inside of w x h.
//
// Source: src/libImaging/Resample.c of Pillow 13: columns first, then rows, or the other way round where
// the height shrinks by more than twice what the width does; each rounded to a byte, with weights of 22
// binary places. Before version 13 columns always were first, which changes bytes by 1 where it differs.
func (p *Picture) Resample(f Filter, w, h int, window image.Rectangle) *Picture {
	if window.Empty() || !window.In(image.Rect(0, 0, w, h)) {
		panic(fmt.Sprintf("picture: %v of %d x %d pixels", window, w, h))
	}
	if f == Nearest {
		return p.nearest(w, h, window)
	}
	columns, rows := f.taps(p.Width, w, window.Min.X, window.Max.X), f.taps(p.Height, h, window.Min.Y, window.Max.Y)
	if shrinks := p.Height - h; shrinks > 0 && shrinks > 2*(p.Width-w) {
		first := columns[0].first
		return p.resampleRows(rows, 0, first, columns[len(columns)-1].end()).resampleColumns(columns, first, 0, window.Dy())
	}
	first, end := rows[0].first, rows[len(rows)-1].end()
	return p.resampleColumns(columns, 0, first, end).resampleRows(rows, first, 0, window.Dx())
}

// nearest takes the pixel that the middle of a new one falls on.
func (p *Picture) nearest(w, h int, window image.Rectangle) *Picture {
	columns := places(p.Width, w, window.Min.X, window.Max.X)
	out := newPicture(window.Dx(), window.Dy())
	for y, from := range places(p.Height, h, window.Min.Y, window.Max.Y) {
		src, dst := p.row(from, 0, p.Width), out.row(y, 0, out.Width)
		for x, from := range columns {
			copy(dst[3*x:3*x+3], src[3*from:])
		}
	}
	return out
}

// places returns the old pixels of new ones from..to-1 of n. As in Pillow, the place is a sum of
// steps, with its rounding.
func places(old, n, from, to int) []int {
	step := float64(old) / float64(n)
	at := step * 0.5
	out := make([]int, 0, to-from)
	for i := range to {
		if i >= from {
			out = append(out, min(int(at), old-1))
		}
		at += step
	}
	return out
}

// taps says of which old pixels in a row a new one is made: of those from first on, by weight.
type taps struct {
	first   int
	weights []int32 // in units of 1 << -tapBits
}

func (t taps) end() int { return t.first + len(t.weights) }

// whole are the weights of a pixel that stays.
var whole = []int32{1 << tapBits}

// identity says whether all pixels stay.
func identity(t []taps) bool { return len(t[0].weights) == 1 && &t[0].weights[0] == &whole[0] }

// tapBits leaves room in 32 bits for a byte and for weights that are negative or sum to more than 1.
const tapBits = 32 - 8 - 2

// kernel returns half the width of a filter, in pixels, and the filter.
func (f Filter) kernel() (support float64, at func(x float64) float64) {
	switch f {
	case Lanczos:
		return 3, lanczosAt
	case Bilinear:
		return 1, bilinearAt
	case Bicubic:
		return 2, bicubicAt
	case Box:
		return 0.5, boxAt
	case Hamming:
		return 1, hammingAt
	}
	panic("picture: resample with " + f.String())
}

// taps returns those of new pixels from..to-1 of n in place of old ones. Neither first nor end
// falls from one to the next. The conversions keep processors from fusing products and sums.
func (f Filter) taps(old, n, from, to int) []taps {
	out := make([]taps, 0, to-from)
	if n == old {
		for i := from; i < to; i++ {
			out = append(out, taps{i, whole})
		}
		return out
	}
	support, at := f.kernel()
	scale := float64(old) / float64(n)
	stretch := max(scale, 1)
	support *= stretch
	inverse := 1 / stretch
	room := 2*int(math.Ceil(support)) + 1
	values := make([]float64, room)
	weights := make([]int32, 0, room*(to-from))
	for i := from; i < to; i++ {
		centre := float64((float64(i) + 0.5) * scale)
		first := max(int(centre-support+0.5), 0)
		end := min(int(centre+support+0.5), old)
		values = values[:end-first]
		total := 0.0
		for x := range values {
			values[x] = at((float64(x+first) - centre + 0.5) * inverse)
			total += values[x]
		}
		start := len(weights)
		for _, v := range values {
			if total != 0 {
				v /= total
			}
			weights = append(weights, int32(float64(v*(1<<tapBits))+math.Copysign(0.5, v)))
		}
		out = append(out, taps{first, weights[start:]})
	}
	return out
}

func boxAt(x float64) float64 {
	if -0.5 < x && x <= 0.5 {
		return 1
	}
	return 0
}

func bilinearAt(x float64) float64 { return max(1-math.Abs(x), 0) }

func hammingAt(x float64) float64 {
	switch x = math.Abs(x); {
	case x == 0:
		return 1
	case x >= 1:
		return 0
	}
	// Pillow's constants are of single precision.
	return float64(sinc(x) * (float64(float32(0.54)) + float64(float64(float32(0.46))*math.Cos(x*math.Pi))))
}

func bicubicAt(x float64) float64 {
	const a = -0.5
	switch x = math.Abs(x); {
	case x < 1:
		return float64((float64((a+2)*x)-(a+3))*x*x) + 1
	case x < 2:
		return float64((float64((float64((x-5)*x)+8)*x) - 4) * a)
	}
	return 0
}

func lanczosAt(x float64) float64 {
	if -3 <= x && x < 3 {
		return float64(sinc(x) * sinc(x/3))
	}
	return 0
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// resampleColumns makes new columns of rows first..end-1. The picture's left one is number left of what the taps count.
func (p *Picture) resampleColumns(columns []taps, left, first, end int) *Picture {
	if identity(columns) {
		return p.Crop(columns[0].first-left, first, len(columns), end-first)
	}
	out := newPicture(len(columns), end-first)
	for y := range out.Height {
		src, dst := p.row(first+y, 0, p.Width), out.row(y, 0, out.Width)
		for _, t := range columns {
			r, g, b := int32(1)<<(tapBits-1), int32(1)<<(tapBits-1), int32(1)<<(tapBits-1)
			pixels := src[3*(t.first-left):]
			for _, weight := range t.weights {
				pixel := pixels[:3]
				r += int32(pixel[0]) * weight
				g += int32(pixel[1]) * weight
				b += int32(pixel[2]) * weight
				pixels = pixels[3:]
			}
			pixel := dst[:3]
			pixel[0], pixel[1], pixel[2] = fromTaps(r), fromTaps(g), fromTaps(b)
			dst = dst[3:]
		}
	}
	return out
}

// resampleRows makes new rows of columns first..end-1. The picture's top one is number top of what the taps count.
func (p *Picture) resampleRows(rows []taps, top, first, end int) *Picture {
	if identity(rows) {
		return p.Crop(first, rows[0].first-top, end-first, len(rows))
	}
	out := newPicture(end-first, len(rows))
	sums := make([]int32, 3*out.Width)
	for y, t := range rows {
		for i := range sums {
			sums[i] = 1 << (tapBits - 1)
		}
		for i, weight := range t.weights {
			src := p.row(t.first-top+i, first, end)[:len(sums)]
			for x := range sums {
				sums[x] += int32(src[x]) * weight
			}
		}
		dst := out.row(y, 0, out.Width)[:len(sums)]
		for x, sum := range sums {
			dst[x] = fromTaps(sum)
		}
	}
	return out
}

func fromTaps(sum int32) byte { return byte(min(max(sum>>tapBits, 0), 255)) }
