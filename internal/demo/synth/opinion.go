package synth

import (
	"bufio"
	"io"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// Opinion is a synthetic sentence with its label and the meaning both follow
// from.
type Opinion struct {
	// Text is 4 to 16 lower-case tokens, punctuation included, separated by
	// single spaces.
	Text string
	// Positive is the label, equal to Meaning.Positive().
	Positive bool
	Meaning  Meaning
}

// Opinions draws train training opinions without held-out combinations, and
// heldOut opinions with at least one each (see the package's text). All texts
// are distinct, each set is balanced to within one, and each word of the
// held-out set occurs in the training set.
//
// The same seed gives the same opinions, on every machine; asking for fewer
// gives the first of them. The training set does not depend on heldOut. Some
// thousands of training opinions show every word; after fewer than a few
// hundred, the held-out set may be smaller than asked for.
func Opinions(seed uint64, train, heldOut int) (trainSet, heldOutSet []Opinion) {
	a, b := split(opinionWorld{}, seed, train, heldOut)
	return opinions(a), opinions(b)
}

func opinions(drawn []drawn[Meaning, string]) []Opinion {
	out := make([]Opinion, len(drawn))
	for i, d := range drawn {
		out[i] = Opinion{Text: d.form, Positive: d.meaning.Positive(), Meaning: d.meaning}
	}
	return out
}

// The lengths of an opinion in tokens.
const (
	minTokens = 4
	maxTokens = 16
)

// opinionWorld is the [world] of opinions.
type opinionWorld struct{}

func (opinionWorld) sample(s *random.Stream) Meaning            { return sampleMeaning(s) }
func (opinionWorld) realise(m Meaning, s *random.Stream) string { return realise(m, s) }
func (opinionWorld) fits(text string) bool {
	n := strings.Count(text, " ") + 1
	return minTokens <= n && n <= maxTokens
}
func (opinionWorld) classes() int               { return 2 }
func (opinionWorld) unseen(m Meaning) bool      { return m.HeldOut() }
func (opinionWorld) parts(text string) []string { return strings.Fields(text) }
func (opinionWorld) class(m Meaning) int {
	if m.Positive() {
		return 1
	}
	return 0
}

// WriteTSV writes opinions in the form of GLUE-like data: a header, then a line
// each with text and label (1 for positive, 0 for negative), separated by a tab.
func WriteTSV(w io.Writer, opinions []Opinion) error {
	b := bufio.NewWriter(w)
	b.WriteString("text_a\tlabel\n")
	for _, o := range opinions {
		label := "0"
		if o.Positive {
			label = "1"
		}
		b.WriteString(o.Text + "\t" + label + "\n")
	}
	return b.Flush()
}

// Examples are sentences worth trying on a model trained on opinions, in the
// form of such opinions. The first six are plain; in the others words alone
// mislead.
func Examples() []string {
	return []string{
		"the film is really funny",
		"the plot was extremely boring .",
		"i loved the music of the concert",
		"my sister hated this hotel .",
		"the soup is bland and the waiter was rude .",
		"although the acting is clumsy , the film is moving .",
		"the book is not bad at all",
		"nobody found the ending very touching .",
		"the hotel is far from dirty , but its owner is hardly ever friendly .",
		"i doubt that the phone is unreliable .",
		"the screen is much less impressive than i expected .",
		"i did n't regret the meal , even though the sauce was bitter .",
	}
}
