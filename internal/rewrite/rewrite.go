package rewrite

import (
	"iter"
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rewriter makes captions that are wrong in one part. It is safe for concurrent use while
// nothing is added to the lexicon.
type Rewriter struct {
	Parser  *Parser
	Lexicon *Lexicon
}

// Rewrite is a caption with a part replaced.
type Rewrite struct {
	Text string `json:"text"`
	Kind Kind   `json:"kind"` // of the part
	From string `json:"from"` // what was there
	To   string `json:"to"`
}

// triesPerRewrite bounds the draws: a part may have no replacement that is wrong.
const triesPerRewrite = 12

// Negatives returns up to n different captions that differ from a caption in one object,
// attribute or relation, which the corpus has in the same form. None of the replacements is
// a synonym of what was there, nor does it or a synonym occur in the caption or in others,
// the other captions of the image. There are fewer than n where the caption has no more
// parts, and none where it has no objects. All depends on the arguments, the lexicon and r.
func (w *Rewriter) Negatives(caption string, others []string, n int, r *rand.Rand) []Rewrite {
	graphs := make([]Graph, len(others))
	for i := range others {
		graphs[i] = w.Parser.Parse(others[i])
	}
	return w.NegativesOf(w.Parser.Parse(caption), graphs, n, r)
}

// NegativesOf is [Rewriter.Negatives] of captions that are parsed already.
func (w *Rewriter) NegativesOf(caption Graph, others []Graph, n int, r *rand.Rand) []Rewrite {
	kinds := make([][]Part, 0, 3)
	for _, parts := range [][]Part{caption.Objects, caption.Attributes, caption.Relations} {
		if len(parts) > 0 {
			kinds = append(kinds, parts)
		}
	}
	if len(kinds) == 0 {
		return nil
	}
	said := newSaid(&caption, others)
	var out []Rewrite
	made := map[string]bool{}
	for tries := n * triesPerRewrite; tries > 0 && len(out) < n; tries-- {
		parts := kinds[r.IntN(len(kinds))]
		part := parts[r.IntN(len(parts))]
		words := w.Lexicon.pool(pool{part.Kind, part.Class, part.Form})
		if len(words) == 0 {
			continue
		}
		to := draw(words, r.Float64())
		if said.true(part.Kind, to.lemma) || w.Lexicon.exchange(part.Kind, part.Lemma, to.lemma) {
			continue
		}
		text := replace(caption.Text, part, to.text)
		if !made[text] {
			made[text] = true
			out = append(out, Rewrite{Text: text, Kind: part.Kind, From: caption.Text[part.Start:part.End], To: to.text})
		}
	}
	return out
}

// said is what the captions of an image say.
type said struct {
	words  map[string]bool
	lemmas map[Kind][]string
}

func newSaid(caption *Graph, others []Graph) *said {
	s := &said{words: map[string]bool{}, lemmas: map[Kind][]string{}}
	seen := map[term]bool{}
	add := func(g *Graph) {
		for _, word := range g.words {
			s.words[word] = true
		}
		for p := range g.parts() {
			if t := (term{p.Kind, p.Lemma}); !seen[t] {
				seen[t] = true
				s.lemmas[p.Kind] = append(s.lemmas[p.Kind], p.Lemma)
			}
		}
	}
	add(caption)
	for i := range others {
		add(&others[i])
	}
	return s
}

// true says whether a lemma, or what can mean the same, is said.
func (s *said) true(kind Kind, lemma string) bool {
	if s.words[head(lemma)] || strings.Contains(lemma, " ") && s.words[lemma[:strings.IndexByte(lemma, ' ')]] && kind == Object {
		return true
	}
	for _, other := range s.lemmas[kind] {
		if alike(lemma, other) {
			return true
		}
	}
	return false
}

// parts ranges over the objects, attributes and relations.
func (g *Graph) parts() iter.Seq[Part] {
	return func(yield func(Part) bool) {
		for _, list := range [][]Part{g.Objects, g.Attributes, g.Relations} {
			for _, p := range list {
				if !yield(p) {
					return
				}
			}
		}
	}
}

// text returns how a part is written, in lower case.
func (g *Graph) text(p Part) string { return strings.ToLower(g.Text[p.Start:p.End]) }

// replace puts a word in the place of a part, with a capital where the part had one and
// with the article that fits.
func replace(caption string, p Part, to string) string {
	before, after := caption[:p.Start], caption[p.End:]
	if first, _ := utf8.DecodeRuneInString(caption[p.Start:]); unicode.IsUpper(first) {
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
