package decode

import "slices"

// repeated is added to the sum of a hypothesis for each trigram that it repeats.
const repeated = -65000

// trigrams looks for repeated trigrams of full words in a text that grows.
type trigrams struct {
	starts []int // where the words of the text begin
}

// read takes a text.
func (g *trigrams) read(v Vocabulary, text []int32) {
	g.starts = g.starts[:0]
	for i, id := range text {
		if i == 0 || v.StartsWord(id) {
			g.starts = append(g.starts, i)
		}
	}
}

// repeats says whether the last three words of the text with next behind it occur before: the
// last of them ends with next, complete or not.
func (g *trigrams) repeats(v Vocabulary, text []int32, next int32) bool {
	starts := g.starts
	if v.StartsWord(next) {
		starts = append(starts, len(text))
	}
	words := len(starts)
	if words < 4 {
		return false
	}
	last := text[starts[words-3]:]
	for i := range words - 3 {
		trigram := text[starts[i]:starts[i+3]]
		if n := len(trigram) - 1; n == len(last) && trigram[n] == next && slices.Equal(trigram[:n], last) {
			return true
		}
	}
	return false
}
