package synth

import "strings"

// buildQualities numbers the qualities of the rows and fills the indices.
// Praise and blame alternate, so that held-out combinations, which arithmetic on
// these numbers chooses, fall on both alike.
func buildQualities(rows []qualityRow, verbRows []verbRow) []Quality {
	var table []Quality
	add := func(q Quality) int {
		q.index = len(table)
		table = append(table, q)
		return q.index
	}
	for _, row := range rows {
		positive, negative := strings.Fields(row.positive), strings.Fields(row.negative)
		if len(positive) != len(negative) {
			panic("synth: a row of qualities has unequal numbers of praise and blame")
		}
		for i := range positive {
			for _, side := range []struct {
				text     string
				positive bool
			}{{positive[i], true}, {negative[i], false}} {
				word, compares := strings.CutSuffix(side.text, "+")
				index := add(Quality{Word: word, Positive: side.positive, fits: row.fits, compares: compares})
				adjectives[row.fits] = append(adjectives[row.fits], index)
			}
		}
	}
	for _, v := range verbRows {
		index := add(Quality{Word: v.plain, Past: v.past, Positive: v.positive, fits: anything})
		verbs = append(verbs, index)
	}
	return table
}
