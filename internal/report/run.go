package report

import "fmt"

// Run is the content of a report, each list in the order it is shown.
// Only Title is needed.
type Run struct {
	Title    string   // what was run, as in "SST-2, mini"
	Subtitle string   // one line on how or when
	Notice   string   // where the data is from, where a reader could be misled
	Notes    []string // what a reader of the numbers should know

	Metrics   []Metric   // headline numbers
	Summary   []Item     // facts of the run: data, model, duration, machine
	Galleries []Gallery  // what a search found, successes and failures
	Curves    []Curve    // over the course of training
	Confusion *Confusion // for classification
	Scatter   *Scatter   // for regression
	Mistakes  []Mistake  // the examples worth reading first
	Samples   []Sample   // generated texts next to what was wanted
	Tables    []Table
	Parts     []Run  // of a run of several tasks: each has its own, behind all else
	Config    []Item // resolved configuration

	MistakesNote, SamplesNote string // how those that are shown were chosen, and of how many
}

// Item is a name and its value. Link, if there is one, is the address that the value leads to,
// relative to the page.
type Item struct{ Key, Value, Link string }

// Metric is a headline number. Whole numbers of at least 2 are shown without a
// fraction, other values with four digits.
type Metric struct {
	Name  string
	Value float64
	Note  string // a few words below the number, such as "872 sentences"
}

// Curve is a plot of one or more series over a common axis. Where none has more than one
// point the values are shown as numbers, and where none has any the curve is left out.
type Curve struct {
	Title          string
	XLabel, YLabel string
	Series         []Series
	// Low and High bound the axis of y where values cannot lie outside, as shares cannot; both 0
	// for no bounds.
	Low, High float64
	// Note is a sentence below the plot.
	Note string
}

// Series is one line of a curve: points (X[i], Y[i]), X in increasing order.
// Points that are not finite, or larger in magnitude than 1e100, are left out.
// Of more than some hundred points, the extremes of each small stretch are drawn.
type Series struct {
	Name string
	X, Y []float64
	// Faint draws a thin pale line in the colour of the series that follows, and
	// leaves it out of the legend: the raw values behind a smoothed line (see
	// [Smoothed]).
	Faint bool
	// Points marks every point, for series with few of them.
	Points bool
}

// Confusion counts examples by gold and predicted label.
type Confusion struct {
	Labels []string
	// Counts[g][p] is the number of examples with gold label g that were
	// predicted as p. There are as many rows and columns as labels.
	Counts [][]int
}

// Scatter shows predicted over gold values of a regression, one pair an
// example. Of many pairs an even selection is drawn.
type Scatter struct{ Gold, Predicted []float64 }

// Mistake is an example that the model got wrong.
type Mistake struct {
	Text            string
	Gold, Predicted string
	Probability     float64 // of the predicted label, 0 to 1
}

// Sample is a text that a model wrote and the one it should have written.
type Sample struct {
	Source               string // what it was asked, shortened to what people read
	Reference, Generated string
	Right                bool // as good as the reference, by the task's own rules
}

// Gallery is what a search found for some queries.
type Gallery struct {
	Title   string
	Note    string // how these queries were chosen, and how all of them were answered
	Queries []GalleryQuery
	// Unjudged leaves out verdicts and scores: what stands below a picture is neither right nor wrong.
	Unjudged bool
}

// GalleryQuery is what was asked of a search, as text or as a picture, and what it
// found, the best first.
type GalleryQuery struct {
	Text    string
	Picture string // data: URI of a JPEG, PNG, GIF or WebP in base64, or empty
	Alt     string // what the picture shows
	Right   bool   // the right one was found first
	Verdict string // in words; "": in which place the right one was found
	Found   []GalleryItem
}

// GalleryItem is one of the pictures or texts that were found.
type GalleryItem struct {
	Text    string
	Picture string // as in GalleryQuery
	Alt     string // what the picture shows; "": Text
	Score   float64
	Right   bool   // belongs to the query
	Note    string // in place of the score; "": the score
}

// Table is rows of text below a header.
type Table struct {
	Title  string
	Header []string
	// Rows have as many cells as Header.
	Rows [][]string
	// Best marks the rows to be made prominent, by number.
	Best []int
	// Links are addresses relative to the page that the first cells of the rows lead to; nil or
	// as many as rows, "" for none.
	Links []string
	Note  string
}

// check returns an error for content that contradicts itself.
func (r Run) check() error {
	for _, part := range r.Parts {
		if err := part.check(); err != nil {
			return err
		}
	}
	for _, c := range r.Curves {
		for _, s := range c.Series {
			if len(s.X) != len(s.Y) {
				return fmt.Errorf("report: curve %q: series %q has %d x and %d y values", c.Title, s.Name, len(s.X), len(s.Y))
			}
		}
	}
	if c := r.Confusion; c != nil {
		if len(c.Counts) != len(c.Labels) {
			return fmt.Errorf("report: confusion matrix has %d rows for %d labels", len(c.Counts), len(c.Labels))
		}
		for g, row := range c.Counts {
			if len(row) != len(c.Labels) {
				return fmt.Errorf("report: confusion matrix: row %d has %d counts for %d labels", g, len(row), len(c.Labels))
			}
			for p, n := range row {
				if n < 0 {
					return fmt.Errorf("report: confusion matrix: count %d in row %d, column %d is negative", n, g, p)
				}
			}
		}
	}
	if s := r.Scatter; s != nil && len(s.Gold) != len(s.Predicted) {
		return fmt.Errorf("report: scatter plot has %d gold and %d predicted values", len(s.Gold), len(s.Predicted))
	}
	for _, t := range r.Tables {
		if len(t.Links) > 0 && len(t.Links) != len(t.Rows) {
			return fmt.Errorf("report: table %q has %d links for %d rows", t.Title, len(t.Links), len(t.Rows))
		}
		for i, row := range t.Rows {
			if len(row) != len(t.Header) {
				return fmt.Errorf("report: table %q: row %d has %d cells for %d columns", t.Title, i, len(row), len(t.Header))
			}
		}
	}
	for _, g := range r.Galleries {
		if err := checkGallery(g.Queries); err != nil {
			return err
		}
	}
	return nil
}
