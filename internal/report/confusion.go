package report

import "strconv"

// confusionView is a confusion matrix ready for the page.
type confusionView struct {
	Labels    []string
	Rows      []confusionRow
	Precision []string // per predicted label
	Accuracy  string
	Total     int
}

type confusionRow struct {
	Label  string
	Cells  []confusionCell
	Recall string
	Total  int
}

type confusionCell struct {
	Count   int
	Percent int // of the row, 0 to 100: the shade
	Share   string
	Right   bool // on the diagonal
	Strong  bool // shaded so much that its text must be light
}

// strongShade is the percentage from which white text is easier to read.
const strongShade = 60

// viewConfusion computes shares, recall and precision. A share of nothing is
// shown as a dash.
func viewConfusion(c *Confusion) *confusionView {
	if c == nil || len(c.Labels) == 0 {
		return nil
	}
	v := &confusionView{Labels: c.Labels}
	columns := make([]int, len(c.Labels))
	right := 0
	for g, counts := range c.Counts {
		row := confusionRow{Label: c.Labels[g]}
		for p, n := range counts {
			row.Total += n
			columns[p] += n
		}
		for p, n := range counts {
			cell := confusionCell{Count: n, Share: percent(n, row.Total), Right: g == p}
			if row.Total > 0 {
				cell.Percent = int(100 * float64(n) / float64(row.Total))
			}
			cell.Strong = cell.Percent >= strongShade
			row.Cells = append(row.Cells, cell)
		}
		row.Recall = percent(counts[g], row.Total)
		right += counts[g]
		v.Total += row.Total
		v.Rows = append(v.Rows, row)
	}
	for p, total := range columns {
		v.Precision = append(v.Precision, percent(c.Counts[p][p], total))
	}
	v.Accuracy = percent(right, v.Total)
	return v
}

// percent writes n of total as a percentage.
func percent(n, total int) string {
	if total == 0 {
		return "–"
	}
	return strconv.FormatFloat(100*float64(n)/float64(total), 'f', 1, 64) + " %"
}
