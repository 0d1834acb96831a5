package preprocess

import (
	"fmt"
	"image"
	"math"
	"strings"

	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/vision"
)

// Config says what a picture goes through. It is plain data, which JSON keeps.
type Config struct {
	Library Library `json:"library"` // whose rounding it is

	// The picture is scaled, and of the result the middle of Width x Height pixels is read, the network's size. What
	// lies outside of the scaled picture is Fill.
	Resize       Resize         `json:"resize,omitempty"`
	ResizeWidth  int            `json:"resize_width,omitempty"`
	ResizeHeight int            `json:"resize_height,omitempty"`
	Filter       picture.Filter `json:"filter"`
	Width        int            `json:"width"`
	Height       int            `json:"height"`
	Fill         [3]byte        `json:"fill"`

	// A byte b of channel c becomes (b * Scale - Offset - Mean[c]) / Deviation[c].
	Scale     float64    `json:"scale"`
	Offset    float64    `json:"offset,omitempty"`
	Mean      [3]float64 `json:"mean"`
	Deviation [3]float64 `json:"deviation"`
	Twice     bool       `json:"twice,omitempty"` // divide by the deviation once more, as EfficientNet with its classifier
}

// Library is whose rounding a [Config] has.
type Library string

// The libraries. They differ in where the middle of an odd number of pixels is, and in the last bits of numbers.
const (
	Transformers Library = "transformers" // with its Pillow backend
	Torchvision  Library = "torchvision"  // timm too
)

// Resize says to what size a picture is scaled.
type Resize string

// The ways of scaling.
const (
	Keep    Resize = ""        // not at all
	Exact   Resize = "exact"   // to ResizeWidth x ResizeHeight, whatever its sides' ratio
	Shorter Resize = "shorter" // the shorter side to ResizeWidth, the other one in proportion, rounded down
	Cover   Resize = "cover"   // in proportion, so that it covers ResizeWidth x ResizeHeight
	Contain Resize = "contain" // in proportion, so that it fits into ResizeWidth x ResizeHeight
)

// MaxSide is the longest side that a network reads or a picture is scaled to, in pixels.
const MaxSide = 2048

// Validate says what is wrong with a config. The methods take valid ones only.
func (c Config) Validate() error {
	sides := []int{c.Width, c.Height}
	switch c.Resize {
	case Keep:
	case Shorter:
		sides = append(sides, c.ResizeWidth)
	case Exact, Cover, Contain:
		sides = append(sides, c.ResizeWidth, c.ResizeHeight)
	default:
		return fmt.Errorf("resize %q: want %q, %q, %q, %q or none", c.Resize, Exact, Shorter, Cover, Contain)
	}
	for _, side := range sides {
		if side < 1 || side > MaxSide {
			return fmt.Errorf("a side of %d pixels: 1 to %d are possible", side, MaxSide)
		}
	}
	if c.Library != Transformers && c.Library != Torchvision {
		return fmt.Errorf("library %q: want %q or %q", c.Library, Transformers, Torchvision)
	}
	if !c.Filter.Known() {
		return fmt.Errorf("%v for scaling: 0 to 5 are known, as Pillow numbers them", c.Filter)
	}
	return c.validateNumbers()
}

func (c Config) validateNumbers() error {
	if !(c.Scale > 0) {
		return fmt.Errorf("pixels times %v: want a factor above 0, such as 1/255", c.Scale)
	}
	for i := range 3 {
		if !(c.Deviation[i] > 0) {
			return fmt.Errorf("deviation %v of %s: want a number above 0", c.Deviation[i], channelNames[i])
		}
		for b := range 256 {
			if v := float64(c.value(byte(b), i)); math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("a pixel of %d would become %v with the mean %v and the deviation %v of %s", b, v, c.Mean[i], c.Deviation[i], channelNames[i])
			}
		}
	}
	return nil
}

var channelNames = [3]string{"red", "green", "blue"}

// String says in one line what happens to a picture.
func (c Config) String() string {
	var b strings.Builder
	switch c.Resize {
	case Keep:
		b.WriteString("unscaled")
	case Exact:
		fmt.Fprintf(&b, "scaled to %d x %d (%v)", c.ResizeWidth, c.ResizeHeight, c.Filter)
	case Shorter:
		fmt.Fprintf(&b, "shorter side scaled to %d (%v)", c.ResizeWidth, c.Filter)
	default:
		fmt.Fprintf(&b, "scaled to %s %d x %d (%v)", c.Resize, c.ResizeWidth, c.ResizeHeight, c.Filter)
	}
	if c.Resize != Exact || c.ResizeWidth != c.Width || c.ResizeHeight != c.Height {
		fmt.Fprintf(&b, ", middle %d x %d", c.Width, c.Height)
	}
	if c.Scale == 1 && c.Offset == 0 && c.Mean == [3]float64{} && c.Deviation == [3]float64{1, 1, 1} {
		b.WriteString(", bytes as they are")
		return b.String()
	}
	scale := fmt.Sprintf("%.4g", c.Scale)
	if c.Scale == 1./255 {
		scale = "1/255"
	}
	fmt.Fprintf(&b, ", times %s, mean %.4g, deviation %.4g", scale, c.Mean, c.Deviation)
	if c.Offset != 0 {
		fmt.Fprintf(&b, ", less %.4g", c.Offset)
	}
	if c.Twice {
		b.WriteString(", divided twice")
	}
	return b.String()
}

// geometry is where the network looks: the size that the picture is scaled to, and the corner of what is read in it,
// which lies outside where the picture is smaller.
type geometry struct{ width, height, x, y int }

func (c Config) geometry(width, height int) geometry {
	g := geometry{width: width, height: height}
	switch c.Resize {
	case Exact:
		g.width, g.height = c.ResizeWidth, c.ResizeHeight
	case Shorter:
		if width <= height {
			g.width, g.height = c.ResizeWidth, int(float64(c.ResizeWidth*height)/float64(width))
		} else {
			g.width, g.height = int(float64(c.ResizeWidth*width)/float64(height)), c.ResizeWidth
		}
	case Cover, Contain:
		acrossRatio, downRatio := float64(width)/float64(c.ResizeWidth), float64(height)/float64(c.ResizeHeight)
		ratio := min(acrossRatio, downRatio)
		if c.Resize == Contain {
			ratio = max(acrossRatio, downRatio)
		}
		g.width = max(int(math.RoundToEven(float64(width)/ratio)), 1)
		g.height = max(int(math.RoundToEven(float64(height)/ratio)), 1)
	}
	g.x, g.y = c.middle(g.width, c.Width), c.middle(g.height, c.Height)
	return g
}

// middle returns where n pixels in the middle of all begin.
func (c Config) middle(all, n int) int {
	half := float64(all-n) / 2
	switch {
	case c.Library == Transformers:
		return int(math.Floor(half))
	case half < 0:
		return -int(math.Floor(-half))
	}
	return int(math.RoundToEven(half))
}

// Prepare returns what the network reads of a picture, as bytes: Width x Height pixels.
func (c Config) Prepare(p *picture.Picture) *picture.Picture {
	g := c.geometry(p.Width, p.Height)
	window := image.Rect(g.x, g.y, g.x+c.Width, g.y+c.Height)
	inside := window.Intersect(image.Rect(0, 0, g.width, g.height))
	if c.Resize == Keep {
		p = p.Crop(inside.Min.X, inside.Min.Y, inside.Dx(), inside.Dy())
	} else {
		p = p.Resample(c.Filter, g.width, g.height, inside)
	}
	if inside == window {
		return p
	}
	return p.Pad(inside.Min.X-g.x, inside.Min.Y-g.y, c.Width, c.Height, c.Fill)
}

// Pixels returns the numbers that the network reads, of a prepared picture.
func (c Config) Pixels(p *picture.Picture) vision.Pixels {
	if p.Width != c.Width || p.Height != c.Height {
		panic(fmt.Sprintf("preprocess: %d x %d pixels, not prepared to %d x %d", p.Width, p.Height, c.Width, c.Height))
	}
	var table [3][256]float32
	for channel := range table {
		for b := range table[channel] {
			table[channel][b] = c.value(byte(b), channel)
		}
	}
	values := make([]float32, len(p.Pix))
	for i := 0; i+3 <= len(values); i += 3 {
		from, to := p.Pix[i:i+3], values[i:i+3]
		to[0], to[1], to[2] = table[0][from[0]], table[1][from[1]], table[2][from[2]]
	}
	return vision.Pixels{Width: p.Width, Height: p.Height, Values: values}
}

// value returns what a byte becomes, rounded step by step as the library does it.
func (c Config) value(b byte, channel int) float32 {
	v := float32(float64(b) * c.Scale)
	if c.Library == Torchvision && c.Scale == 1./255 {
		v = float32(b) / 255
	}
	if c.Offset != 0 {
		v -= float32(c.Offset)
	}
	deviation := float32(c.Deviation[channel])
	v = (v - float32(c.Mean[channel])) / deviation
	if c.Twice {
		v /= deviation
	}
	return v
}

// Boxes turns boxes, x1, y1, x2, y2 each, from shares of what was read into pixels of the original of width x height.
// What lay in the padding is drawn to the picture's edge.
func (c Config) Boxes(boxes []float32, width, height int) {
	g := c.geometry(width, height)
	across, down := float64(width)/float64(g.width), float64(height)/float64(g.height)
	for i, v := range boxes {
		if i%2 == 0 {
			boxes[i] = float32(min(max((float64(v)*float64(c.Width)+float64(g.x))*across, 0), float64(width)))
		} else {
			boxes[i] = float32(min(max((float64(v)*float64(c.Height)+float64(g.y))*down, 0), float64(height)))
		}
	}
}
