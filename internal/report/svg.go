package report

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"
	"regexp"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Sizes of a plot in its own units. A column of the page is about as wide, so
// that a unit is a pixel on a desk and two thirds of one on a small phone, where
// labels of 12 units can still be read.
const (
	plotWidth   = 440
	plotHeight  = 250
	scatterSize = 400
	labelSize   = 12
)

// seriesColors is the number of colours for series; further series begin again.
const seriesColors = 6

// The placeholder colours and the variables of the page's style that replace
// them. None of them is black, which vgsvg leaves out as the default, and all
// are opaque, because vgsvg rounds others: the pale colours are pale in the
// style.
var (
	inkColor  = color.NRGBA{0x01, 0x02, 0x01, 0xff} // axis labels
	gridColor = color.NRGBA{0x01, 0x02, 0x02, 0xff}

	placeholders = func() *strings.Replacer {
		pairs := []string{"#010201", "var(--muted)", "#010202", "var(--line)"}
		for i := range seriesColors {
			pairs = append(pairs, fmt.Sprintf("#0103%02X", i), fmt.Sprintf("var(--s%d)", i))
			pairs = append(pairs, fmt.Sprintf("#0104%02X", i), fmt.Sprintf("var(--pale%d)", i))
		}
		return strings.NewReplacer(pairs...)
	}()
)

func seriesColor(i int) color.NRGBA { return color.NRGBA{0x01, 0x03, uint8(i), 0xff} }
func paleColor(i int) color.NRGBA   { return color.NRGBA{0x01, 0x04, uint8(i), 0xff} }

// drawCurve returns the plot of a curve and how many points were left out. The
// plot is empty when nothing can be drawn.
func drawCurve(c Curve) (svg template.HTML, skipped int, err error) {
	p := newPlot()
	p.Y.Tick.Marker = plot.TickerFunc(linearTicks)
	xs, ys := empty, empty
	drawn := false
	colors := colorsOf(c.Series)
	for i, s := range c.Series {
		pts, n := points(s)
		skipped += n
		if len(pts) == 0 {
			continue
		}
		drawn = true
		pts = thin(pts)
		xy := make(plotter.XYs, len(pts))
		for j, q := range pts {
			xy[j].X, xy[j].Y = q.x, q.y
			xs, ys = xs.include(q.x), ys.include(q.y)
		}
		p.Add(lineOf(s, xy, colors[i]))
		if s.Points || len(xy) == 1 {
			p.Add(dotsOf(xy, seriesColor(colors[i]), 2.6))
		}
	}
	if !drawn {
		return "", skipped, nil
	}
	if whole(c.Series) {
		p.X.Tick.Marker = plot.TickerFunc(integerTicks)
		if xs.min == xs.max { // one step: room beside it, no steps that are none
			xs = extent{xs.min - 0.5, xs.max + 0.5}
		}
	}
	setRange(p, xs.padded(0.01), ys.padded(0.05).within(c.Low, c.High))
	svg, err = render(p, plotWidth, plotHeight)
	return svg, skipped, err
}

// whole says whether all x are whole numbers.
func whole(series []Series) bool {
	for _, s := range series {
		for _, x := range s.X {
			if x != math.Trunc(x) {
				return false
			}
		}
	}
	return true
}

// colorsOf numbers the colours of the series: a faint one shares that of the
// series that follows.
func colorsOf(series []Series) []int {
	out := make([]int, len(series))
	n := 0
	for i, s := range series {
		out[i] = n % seriesColors
		if !s.Faint {
			n++
		}
	}
	return out
}

// lineOf is the line of a series in the given colour.
func lineOf(s Series, xy plotter.XYs, number int) *plotter.Line {
	style := draw.LineStyle{Color: seriesColor(number), Width: vg.Points(2)}
	if s.Faint {
		style = draw.LineStyle{Color: paleColor(number), Width: vg.Points(1)}
	}
	return &plotter.Line{XYs: xy, LineStyle: style}
}

// dotsOf marks points.
func dotsOf(xy plotter.XYs, c color.NRGBA, radius float64) *plotter.Scatter {
	return &plotter.Scatter{XYs: xy, GlyphStyle: draw.GlyphStyle{Color: c, Radius: vg.Points(radius), Shape: draw.CircleGlyph{}}}
}

// maxDots bounds the points of a scatter plot, which cost some hundred bytes
// each.
const maxDots = 1000

// drawScatter returns the plot of predicted over gold values with the diagonal
// on which they agree.
func drawScatter(s Scatter) (svg template.HTML, skipped int, err error) {
	pts, skipped := points(Series{X: s.Gold, Y: s.Predicted})
	if len(pts) == 0 {
		return "", skipped, nil
	}
	both := empty
	for _, q := range pts {
		both = both.include(q.x).include(q.y)
	}
	both = both.padded(0.04)
	if len(pts) > maxDots {
		some := make([]point, maxDots)
		for i := range some {
			some[i] = pts[i*len(pts)/maxDots]
		}
		pts = some
	}
	xy := make(plotter.XYs, len(pts))
	for i, q := range pts {
		xy[i].X, xy[i].Y = q.x, q.y
	}
	p := newPlot()
	p.Y.Tick.Marker = plot.TickerFunc(linearTicks)
	p.Add(&plotter.Line{
		XYs:       plotter.XYs{{X: both.min, Y: both.min}, {X: both.max, Y: both.max}},
		LineStyle: draw.LineStyle{Color: inkColor, Width: vg.Points(1), Dashes: []vg.Length{4, 4}},
	})
	p.Add(dotsOf(xy, paleColor(0), 3)) // dense places show darker
	setRange(p, both, both)
	svg, err = render(p, scatterSize, scatterSize)
	return svg, skipped, err
}

// newPlot returns an empty plot with the grid and axes of the page's style.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color, grid.Horizontal.Width = gridColor, vg.Points(1)
	p.Add(grid)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Color, axis.LineStyle.Width = gridColor, vg.Points(1)
		axis.Tick.Label.Color = inkColor
		axis.Tick.Label.Font = font.From(plot.DefaultFont, labelSize)
		axis.Tick.Label.Font.Variant = "Sans"
		axis.Tick.LineStyle.Color, axis.Tick.Length = gridColor, vg.Points(4)
		axis.Padding = 0
	}
	p.X.Tick.Marker = plot.TickerFunc(linearTicks)
	p.Y.LineStyle.Width, p.Y.Tick.LineStyle.Width, p.Y.Tick.Length = 0, 0, vg.Points(4)
	return p
}

// setRange fixes the axes, whatever was added.
func setRange(p *plot.Plot, x, y extent) {
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = x.min, x.max, y.min, y.max
}

var (
	svgStart = regexp.MustCompile(`(?s)^.*?<svg[^>]*>`)
	svgFont  = regexp.MustCompile(`font-family:[^;"]*;font-variant:[^;"]*;font-weight:[^;"]*;font-style:[^;"]*;?`)
)

// render draws the plot as an SVG element of the page: sized by the page, in its
// font, its colours variables of its style. The only text in it are tick labels,
// which this package formats itself.
func render(p *plot.Plot, width, height float64) (template.HTML, error) {
	canvas := vgsvg.New(vg.Points(width), vg.Points(height))
	dc := draw.New(canvas)
	p.Draw(draw.Crop(dc, 0, -vg.Points(labelSize), 0, -vg.Points(4))) // room for half a label at the ends
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("report: draw plot: %w", err)
	}
	size := fmt.Sprintf(`<svg viewBox="0 0 %g %g" aria-hidden="true">`, math.Ceil(width), math.Ceil(height))
	s := svgStart.ReplaceAllLiteralString(b.String(), size)
	s = svgFont.ReplaceAllLiteralString(s, "")
	return template.HTML(placeholders.Replace(s)), nil
}
