package rewrite

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/metrics"
)

// Rewriter makes captions that are wrong in one part. It is safe for concurrent use while
// nothing is added to the lexicon.
type Rewriter struct {
	Parser  *Parser
	Lexicon *Lexicon
	// WordNet adds its synonyms to those known here and to what the lexicon's captions
	// exchange; nil for none.
	WordNet *metrics.WordNet
}

// Rewrite is a caption with a part replaced.
type Rewrite struct {
	Text string `json:"text"`
	Kind Kind   `json:"kind"` // of the part
	From string `json:"from"` // what was there
	To   string `json:"to"`
}

// The draws are bounded, at first and for every rewrite: a caption may have no more.
const firstTries, triesPerRewrite = 50, 10

// Negatives returns up to n different captions that differ from a caption in one object,
// attribute or relation, which the corpus has in the same form. None of the replacements is
// a synonym of what was there, nor does it or a synonym occur in the caption or in others,
// the other captions of the image. There are fewer than n where the caption has no more
// parts, and none where it has no objects. All depends on the arguments, the lexicon and r.
func (w *Rewriter) Negatives(caption string, others []string, n int, r *random.Stream) []Rewrite {
	graphs := make([]Graph, len(others))
	for i := range others {
		graphs[i] = w.Parser.Parse(others[i])
	}
	return w.NegativesOf(w.Parser.Parse(caption), graphs, n, r)
}

// NegativesOf is [Rewriter.Negatives] of captions that were parsed already.
func (w *Rewriter) NegativesOf(caption Graph, others []Graph, n int, r *random.Stream) []Rewrite {
	kinds := replaceable(&caption)
	if len(kinds) == 0 {
		return nil
	}
	said := said{&caption, others, caption.meanings}
	for i := range others {
		for k := range said.meanings {
			said.meanings[k].join(&others[i].meanings[k])
		}
	}
	var out []Rewrite
	for tries := firstTries + n*triesPerRewrite; tries > 0 && len(out) < n; tries-- {
		parts := kinds[r.IntN(len(kinds))]
		part := parts[r.IntN(len(parts))]
		to, ok := w.Lexicon.draw(part, r)
		if !ok || said.true(part.Kind, &to) || w.Lexicon.exchange(part.Kind, part.Lemma, to.lemma) || w.WordNet != nil && said.means(w.WordNet, part.Kind, to.lemma) {
			continue
		}
		text := replace(caption.Text, part, to.text)
		if !slices.ContainsFunc(out, func(have Rewrite) bool { return have.Text == text }) {
			out = append(out, Rewrite{Text: text, Kind: part.Kind, From: caption.Text[part.Start:part.End], To: to.text})
		}
	}
	return out
}

// replaceable returns the parts that can be replaced, by kind: of the attributes only those
// of a class, whose others are known to exclude them.
func replaceable(g *Graph) [][]Part {
	kinds := make([][]Part, 0, 3)
	if len(g.Objects) > 0 {
		kinds = append(kinds, g.Objects)
	}
	var attributes []Part
	for _, a := range g.Attributes {
		if a.Class != "" {
			attributes = append(attributes, a)
		}
	}
	if len(attributes) > 0 {
		kinds = append(kinds, attributes)
	}
	if len(g.Relations) > 0 {
		kinds = append(kinds, g.Relations)
	}
	return kinds
}

// said is what the captions of an image say.
type said struct {
	caption  *Graph
	others   []Graph
	meanings [3]meaning
}

// true says whether the captions say a word, or one that can be true where it is.
func (s *said) true(kind Kind, c *choice) bool {
	if s.meanings[kind.index()].alike(&c.meaning) {
		return true
	}
	if c.class == placeClass && strings.Contains(c.lemma, " ") { // its words alone mean nothing
		has := func(g Graph) bool {
			return slices.ContainsFunc(g.Relations, func(p Part) bool { return p.Lemma == c.lemma })
		}
		return has(*s.caption) || slices.ContainsFunc(s.others, has)
	}
	last := head(c.lemma)
	has := func(g Graph) bool { return slices.Contains(g.words, last) }
	return has(*s.caption) || slices.ContainsFunc(s.others, has)
}

// means says whether a part of a kind is a synonym of a lemma.
func (s *said) means(of *metrics.WordNet, kind Kind, lemma string) bool {
	has := func(g Graph) bool {
		for i, p := range g.parts() {
			if i == kind.index() && (of.Synonyms(head(p.Lemma), head(lemma)) || of.Synonyms(strings.ReplaceAll(p.Lemma, " ", "_"), strings.ReplaceAll(lemma, " ", "_"))) {
				return true
			}
		}
		return false
	}
	return has(*s.caption) || slices.ContainsFunc(s.others, has)
}

// index numbers the kinds.
func (k Kind) index() int {
	switch k {
	case Object:
		return 0
	case Attribute:
		return 1
	}
	return 2
}

// parts ranges over the objects, attributes and relations, with the number of their kind.
func (g *Graph) parts() iter.Seq2[int, Part] {
	return func(yield func(int, Part) bool) {
		for kind, list := range [3][]Part{g.Objects, g.Attributes, g.Relations} {
			for _, p := range list {
				if !yield(kind, p) {
					return
				}
			}
		}
	}
}

// text returns how a part is written, in lower case.
func (g *Graph) text(p Part) string { return strings.ToLower(g.Text[p.Start:p.End]) }

// replace puts a word in the place of a part, with a capital where the part begins the
// caption with one, and with the article that fits.
func replace(caption string, p Part, to string) string {
	before, after := caption[:p.Start], caption[p.End:]
	if first, _ := utf8.DecodeRuneInString(caption[p.Start:]); unicode.IsUpper(first) && !strings.ContainsFunc(before, unicode.IsLetter) {
		r, n := utf8.DecodeRuneInString(to)
		to = string(unicode.ToUpper(r)) + to[n:]
	}
	return fitArticle(before, to) + to + after
}

// fitArticle returns before with its last word, if that is "a" or "an", as to wants it.
func fitArticle(before, to string) string {
	words := strings.TrimRight(before, " ")
	at := strings.LastIndexByte(words, ' ') + 1
	switch article := words[at:]; {
	case (article == "a" || article == "A") && vowelSound(to):
		return words + "n" + before[len(words):]
	case (article == "an" || article == "An") && !vowelSound(to):
		return words[:len(words)-1] + before[len(words):]
	}
	return before
}

// vowelSound says whether a word takes "an".
func vowelSound(word string) bool {
	word = strings.ToLower(word)
	for _, prefix := range []string{"uni", "use", "eu", "one", "ukulele", "utensil"} {
		if strings.HasPrefix(word, prefix) {
			return strings.HasPrefix(word, "unin") // uninhabited
		}
	}
	return word != "" && strings.IndexByte(vowels, word[0]) >= 0 || strings.HasPrefix(word, "hour") || strings.HasPrefix(word, "honest")
}
