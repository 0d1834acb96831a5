package regions

import (
	"fmt"
	"math"

	"github.com/unimo-go/unimo/internal/dataset/picture"
)

// The parts of a statistical feature.
const (
	meanAt     = 0                           // 3: mean red, green, blue, -1 to 1
	deviateAt  = meanAt + 3                  // 3: twice their deviations, 0 to 1
	hueAt      = deviateAt + 3               // 12: square root of the mean chroma with that hue
	lightAt    = hueAt + hues                // 8: square root of the share of pixels with that luminance
	gradientAt = lightAt + lights            // 36: gradient orientations of each quarter, all of length 1
	strengthAt = gradientAt + 4*orientations // mean strength of the gradient, square root
	chromaAt   = strengthAt + 1              // mean chroma, square root

	statisticsDim = chromaAt + 1

	hues, lights, orientations = 12, 8, 9
)

// statistics implements the extractor of colours and gradients.
type statistics struct{ spec Spec }

func newStatistics(s Spec) (Extractor, error) {
	orDefault(&s.ImageSize, 128)
	orDefault(&s.Grid, 6)
	switch {
	case s.PatchSize != 0:
		return nil, fmt.Errorf("patch_size %d: statistics have a grid instead", s.PatchSize)
	case s.Grid < 1 || s.Grid > 32:
		return nil, fmt.Errorf("grid %d: 1 to 32 are possible", s.Grid)
	case s.ImageSize < 4*s.Grid || s.ImageSize > maxImageSize:
		return nil, fmt.Errorf("image_size %d: at least four times the grid, %d, and at most %d is possible", s.ImageSize, 4*s.Grid, maxImageSize)
	}
	return statistics{s}, nil
}

func (x statistics) Spec() Spec { return x.spec }
func (x statistics) Dim() int   { return statisticsDim }

func (x statistics) Prepare(p *picture.Picture) *picture.Picture {
	return resizeTo(p, x.spec.ImageSize)
}

// levels are the sides of the grids: the finest, then half of it, until one region is left.
func (x statistics) levels() []int {
	sides := []int{x.spec.Grid}
	for side := x.spec.Grid / 2; side >= 1; side /= 2 {
		sides = append(sides, side)
	}
	return sides
}

func (x statistics) Extract(p *picture.Picture, width, height int, dst *Image) error {
	size := x.spec.ImageSize
	if p.Width != size || p.Height != size {
		panic(fmt.Sprintf("regions: extract from %d x %d pixels, not prepared to %d", p.Width, p.Height, size))
	}
	dst.Width, dst.Height = float64(width), float64(height)
	dst.Boxes = dst.Boxes[:0]
	n := 0
	for _, side := range x.levels() {
		dst.Boxes = gridCells(dst.Boxes, side, side, dst.Width, dst.Height)
		n += side * side
	}
	dst.Features, dst.Global, dst.Classes = resize(dst.Features, n*statisticsDim), nil, nil
	clear(dst.Features)
	pixels := look(p)
	rest := dst.Features
	for _, side := range x.levels() {
		features := rest[:side*side*statisticsDim]
		rest = rest[len(features):]
		for y := range size {
			row := features[y*side/size*side*statisticsDim:]
			lower := y*2*side/size%2 == 1
			for x := range size {
				f := row[x*side/size*statisticsDim:][:statisticsDim]
				quarter := x * 2 * side / size % 2
				if lower {
					quarter += 2
				}
				pixels[y*size+x].addTo(f, quarter)
			}
		}
		for at := 0; at < len(features); at += statisticsDim {
			finishStatistics(features[at:][:statisticsDim])
		}
	}
	return nil
}

// pixel is what statistics need of a pixel; values are 0 to 1.
type pixel struct {
	colour      [3]float32
	chroma      float32 // largest less least colour
	strength    float32 // of the gradient
	share       float32 // of the gradient that belongs to the next orientation
	hue, light  uint8
	orientation uint8
}

// look computes the pixels of a picture.
func look(p *picture.Picture) []pixel {
	pixels := make([]pixel, p.Width*p.Height)
	luminance := make([]float64, len(pixels))
	for i := range pixels {
		px := &pixels[i]
		var c [3]float64
		for k := range c {
			c[k] = float64(p.Pix[3*i+k]) / 255
			px.colour[k] = float32(c[k])
		}
		luminance[i] = 0.299*c[0] + 0.587*c[1] + 0.114*c[2]
		px.light = uint8(min(luminance[i]*lights, lights-1))
		most, least := max(c[0], c[1], c[2]), min(c[0], c[1], c[2])
		if px.chroma = float32(most - least); most > least {
			px.hue = uint8(min(hueOf(c, most, most-least)*hues, hues-1))
		}
	}
	at := func(x, y int) float64 {
		return luminance[min(max(y, 0), p.Height-1)*p.Width+min(max(x, 0), p.Width-1)]
	}
	for y := range p.Height {
		for x := range p.Width {
			dx, dy := at(x+1, y)-at(x-1, y), at(x, y+1)-at(x, y-1)
			px := &pixels[y*p.Width+x]
			px.strength = float32(math.Hypot(dx, dy) / math.Sqrt2)
			angle := math.Atan2(dy, dx) / math.Pi * orientations // a half turn is all of them
			if angle < 0 {
				angle += orientations
			}
			whole := math.Floor(angle)
			px.orientation, px.share = uint8(int(whole)%orientations), float32(angle-whole)
		}
	}
	return pixels
}

// hueOf returns the hue, 0 to 1, of a colour with its largest part and its chroma.
func hueOf(c [3]float64, most, chroma float64) float64 {
	var sixth float64
	switch most {
	case c[0]:
		sixth = (c[1] - c[2]) / chroma
	case c[1]:
		sixth = 2 + (c[2]-c[0])/chroma
	default:
		sixth = 4 + (c[0]-c[1])/chroma
	}
	if sixth < 0 {
		sixth += 6
	}
	return sixth / 6
}

// addTo adds a pixel to the sums of its region.
func (px *pixel) addTo(f []float32, quarter int) {
	for k, c := range px.colour {
		f[meanAt+k] += c
		f[deviateAt+k] += c * c
	}
	f[hueAt+int(px.hue)] += px.chroma
	f[lightAt+int(px.light)]++
	f[strengthAt] += px.strength
	f[chromaAt] += px.chroma
	bins := f[gradientAt+quarter*orientations:][:orientations]
	o := int(px.orientation)
	bins[o] += px.strength * (1 - px.share)
	bins[(o+1)%orientations] += px.strength * px.share
}

// finishStatistics turns the sums of a region into its feature.
func finishStatistics(f []float32) {
	var pixels float32
	for _, v := range f[lightAt : lightAt+lights] {
		pixels += v
	}
	for k := range 3 {
		mean := f[meanAt+k] / pixels
		f[deviateAt+k] = 2 * root(f[deviateAt+k]/pixels-mean*mean)
		f[meanAt+k] = 2*mean - 1
	}
	for i, v := range f[hueAt : hueAt+hues] {
		f[hueAt+i] = root(v / pixels)
	}
	for i, v := range f[lightAt : lightAt+lights] {
		f[lightAt+i] = root(v / pixels)
	}
	f[strengthAt] = root(f[strengthAt] / pixels)
	f[chromaAt] = root(f[chromaAt] / pixels)

	gradients := f[gradientAt : gradientAt+4*orientations]
	var square float32
	for i, v := range gradients {
		gradients[i] = v / pixels
		square += gradients[i] * gradients[i]
	}
	// Where there is hardly a gradient, its direction is noise: it stays small.
	const faint = 0.002
	for i := range gradients {
		gradients[i] /= root(square + faint*faint)
	}
}

// root is the square root; of what rounding made negative it is 0.
func root(v float32) float32 { return float32(math.Sqrt(float64(max(v, 0)))) }
