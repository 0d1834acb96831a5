package synth

import "strings"

// Normalise writes what a person types the way opinions are written: lower
// case, punctuation apart, "isn't" as "is n't", "film's" as "film 's", single
// spaces. It changes nothing in an opinion of this package.
func Normalise(text string) string {
	text = strings.ToLower(apostrophes.Replace(text))
	var words []string
	for _, w := range strings.Fields(marks.Replace(text)) {
		words = append(words, splitWord(w)...)
	}
	return strings.Join(words, " ")
}

// splitWord takes the endings "n't" and "'s" off a word.
func splitWord(w string) []string {
	for _, ending := range []string{"n't", "'s"} {
		if before, ok := strings.CutSuffix(w, ending); ok && before != "" {
			return append(splitWord(before), ending)
		}
	}
	return []string{w}
}

var (
	// apostrophes makes typographic apostrophes plain.
	apostrophes = strings.NewReplacer("’", "'", "‘", "'")
	// marks sets punctuation apart.
	marks = strings.NewReplacer(".", " . ", ",", " , ", "!", " ! ", "?", " ? ", ";", " ; ", ":", " : ",
		`"`, ` " `, "“", ` " `, "”", ` " `, "(", " ( ", ")", " ) ")
)
