package report

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/printable"
)

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle string

var page = template.Must(template.New("report").Parse(pageSource))

// view is what the page's template is filled with.
type view struct {
	Run
	Style     template.CSS
	Numbers   []numberView
	Figures   []figureView
	Matrix    *confusionView
	Agreement *figureView
	Shown     []galleryView
	Errors    []mistakeView
	Listed    []tableView
	Within    []*view // the parts
}

type numberView struct {
	Name, Value, Note string
	Wide              bool // fits a tile only in smaller letters
}

// wideNumber is the number of characters from which a tile needs smaller letters.
const wideNumber = 7

// figureView is a plot with its words.
type figureView struct {
	Title, XLabel, YLabel string
	SVG                   template.HTML
	Legend                []legendEntry
	Single                []singleView // stands for a plot of one point
	Notes                 []string
}

// singleView is a series of one value.
type singleView struct{ Name, Value, At string }

type legendEntry struct {
	Color int // number of the series' colour
	Name  string
	Last  string // the last value, formatted
}

type mistakeView struct {
	Mistake
	Percent string
}

// tableView is a table whose rows know whether they are prominent.
type tableView struct {
	Table
	Lines []tableLine
}

type tableLine struct {
	Link  string
	Cells []string
	Best  bool
}

// Write writes the report of a run to w as one HTML page in UTF-8. It writes
// nothing when the run contradicts itself (a series with unequal numbers of x
// and y, a matrix that is not square) or has a picture that is none, and otherwise fails only as w fails.
func Write(w io.Writer, r Run) error {
	if err := r.check(); err != nil {
		return err
	}
	v, err := viewRun(r)
	if err != nil {
		return err
	}
	return fill(w, page, v)
}

// fill writes a page. It is UTF-8 whatever names and texts hold, and like on a terminal these do not
// turn the direction of what stands around them.
func fill(w io.Writer, page *template.Template, v any) error {
	var b bytes.Buffer
	safe := printable.NewWriter(&b)
	if err := errors.Join(page.Execute(safe, v), safe.Flush()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// viewRun draws the plots and formats the numbers.
func viewRun(r Run) (*view, error) {
	v := &view{Run: r, Style: template.CSS(pageStyle), Matrix: viewConfusion(r.Confusion)}
	for _, g := range r.Galleries {
		v.Shown = append(v.Shown, galleryView{g, viewGallery(g.Queries)})
	}
	for _, m := range r.Metrics {
		value := formatMetric(m.Value)
		v.Numbers = append(v.Numbers, numberView{m.Name, value, m.Note, utf8.RuneCountInString(value) >= wideNumber})
	}
	for _, c := range r.Curves {
		f, err := viewCurve(c)
		if err != nil {
			return nil, err
		}
		if f.SVG != "" || len(f.Single)+len(f.Notes) > 0 {
			v.Figures = append(v.Figures, f)
		}
	}
	if r.Scatter != nil {
		svg, skipped, err := drawScatter(*r.Scatter)
		if err != nil {
			return nil, err
		}
		v.Agreement = &figureView{SVG: svg, XLabel: "gold", YLabel: "predicted", Notes: notes("", skipped)}
		if n := len(r.Scatter.Gold) - skipped; n > maxDots {
			v.Agreement.Notes = append(v.Agreement.Notes, fmt.Sprintf("%d of %d examples are drawn, at even distances in the data.", maxDots, n))
		}
	}
	for _, m := range r.Mistakes {
		p := "–"
		if m.Probability >= 0 && m.Probability <= 1 {
			p = strconv.FormatFloat(100*m.Probability, 'f', 1, 64) + " %"
		}
		v.Errors = append(v.Errors, mistakeView{m, p})
	}
	for _, t := range r.Tables {
		table := tableView{Table: t}
		for i, row := range t.Rows {
			line := tableLine{Cells: row, Best: slices.Contains(t.Best, i)}
			if len(t.Links) > 0 {
				line.Link = t.Links[i]
			}
			table.Lines = append(table.Lines, line)
		}
		v.Listed = append(v.Listed, table)
	}
	for _, part := range r.Parts {
		within, err := viewRun(part)
		if err != nil {
			return nil, err
		}
		v.Within = append(v.Within, within)
	}
	return v, nil
}

// viewCurve draws a curve and words its legend. Of one value no line can be drawn: it is shown as a number.
func viewCurve(c Curve) (figureView, error) {
	if single := singles(c); single != nil {
		return figureView{Title: c.Title, Single: single, Notes: notes(c.Note, 0)}, nil
	}
	svg, skipped, err := drawCurve(c)
	if err != nil {
		return figureView{}, err
	}
	f := figureView{Title: c.Title, XLabel: c.XLabel, YLabel: c.YLabel, SVG: svg, Notes: notes(c.Note, skipped)}
	colors := colorsOf(c.Series)
	for i, s := range c.Series {
		if s.Faint {
			continue
		}
		last := ""
		for _, y := range slices.Backward(s.Y) {
			if drawable(y) {
				last = strconv.FormatFloat(y, 'g', 4, 64)
				break
			}
		}
		f.Legend = append(f.Legend, legendEntry{colors[i], s.Name, last})
	}
	return f, nil
}

// singles returns the only values of a curve whose series have one each at most, nil of other curves.
func singles(c Curve) []singleView {
	var list []singleView
	for _, s := range c.Series {
		pts, skipped := points(s)
		switch {
		case skipped > 0 || len(pts) > 1:
			return nil
		case len(pts) == 1 && !s.Faint:
			list = append(list, singleView{s.Name, strconv.FormatFloat(pts[0].y, 'g', 4, 64), strings.TrimSpace("at " + c.XLabel + " " + strconv.FormatFloat(pts[0].x, 'f', -1, 64))})
		}
	}
	return list
}

// notes are the sentences below a plot.
func notes(note string, skipped int) []string {
	var out []string
	if note != "" {
		out = append(out, note)
	}
	switch {
	case skipped == 1:
		out = append(out, "One point could not be drawn and is left out.")
	case skipped > 1:
		out = append(out, fmt.Sprintf("%d points could not be drawn and are left out.", skipped))
	}
	return out
}

// formatMetric writes counts whole and other numbers with four digits, as many as a tile has room for.
func formatMetric(v float64) string {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == math.Trunc(v) && v >= 2 && v < 1e15:
		return grouped(strconv.FormatFloat(v, 'f', 0, 64))
	case math.Abs(v) >= 1e6 || v != 0 && math.Abs(v) < 1e-3:
		return strconv.FormatFloat(v, 'e', 1, 64)
	}
	digits := 4
	if magnitude := math.Abs(v); magnitude >= 1 {
		digits = max(0, 4-len(strconv.FormatFloat(math.Trunc(magnitude), 'f', 0, 64)))
	}
	text := strconv.FormatFloat(math.Abs(v), 'f', digits, 64)
	if digits == 0 {
		text = grouped(text)
	}
	if v < 0 {
		text = "-" + text
	}
	return text
}

// Long says whether a value needs a row of its own.
func (i Item) Long() bool { return utf8.RuneCountInString(i.Value) > 34 }

// grouped puts a comma before every third digit from the right.
func grouped(digits string) string {
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
