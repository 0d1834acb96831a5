package rewrite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jdkato/prose/v3/tag"
	"github.com/jdkato/prose/v3/tokenize"
)

// Kind is what a part of a caption says.
type Kind string

// The kinds of parts.
const (
	Object    Kind = "object"
	Attribute Kind = "attribute"
	Relation  Kind = "relation"
)

// Part is a word or phrase of a caption.
type Part struct {
	Kind  Kind   `json:"kind"`
	Start int    `json:"start"` // bytes of the caption
	End   int    `json:"end"`
	Lemma string `json:"lemma"` // lower case, singular, infinitive: "soccer ball", "two", "hold", "in front of"
	// Class is what a replacement must agree in: of attributes "colour", "number", ... or ""
	// where nothing is known to exclude them; how a verb goes on ("verb", "verb on", "verb
	// with object"); "place" of prepositions; of objects what they are to the rest ("on",
	// "wear", or "" where they come first), which a replacement agrees in if there is any.
	Class string `json:"class,omitempty"`
	Form  string `json:"form,omitempty"` // singular, mass, definite or plural of objects, the Penn tag of verbs
	Of    int    `json:"of"`             // of an attribute, the index of its object; else -1
}

// Graph is what a caption says: a small scene graph.
type Graph struct {
	Text       string `json:"text"`
	Objects    []Part `json:"objects"`
	Attributes []Part `json:"attributes"`
	Relations  []Part `json:"relations"`

	words    []string   // all words' lemmas, as nouns and as verbs
	meanings [3]meaning // of the objects, attributes and relations together
}

// Parser finds the parts of captions. It is safe for concurrent use.
type Parser struct {
	tokens *tokenize.Tokenizer
	tagger *tag.Tagger
}

// NewParser makes a parser. The model of parts of speech is part of the program.
func NewParser() (*Parser, error) {
	tagger, err := tag.New(tag.WithLexicon(tagged))
	if err != nil {
		return nil, fmt.Errorf("load the model of parts of speech: %w", err)
	}
	return &Parser{tokens: tokenize.New(), tagger: tagger}, nil
}

// maxCaption bounds what is parsed of a caption, in bytes: more is no caption.
const maxCaption = 4096

// Parse finds the parts of a caption, in order. Of a text longer than 4096 bytes, or one
// without objects, the graph is empty but for the text.
func (p *Parser) Parse(caption string) Graph {
	g := Graph{Text: caption}
	if len(caption) > maxCaption {
		return g
	}
	s := sentence{tokens: p.tokens.Tokenize(caption), graph: &g}
	if len(s.tokens) == 0 {
		return g
	}
	s.ends = make([]int, len(s.tokens))
	for i := range s.tokens {
		s.ends[i] = s.tokens[i].End()
		s.tokens[i].Text = strings.ToLower(s.tokens[i].Text) // captions are in all letter cases
	}
	p.tagger.TagTokens(s.tokens)
	s.mendTags()
	s.parse()
	return g
}

// sentence is a caption while it is parsed.
type sentence struct {
	tokens []tag.Token
	ends   []int // of the tokens as they are written
	graph  *Graph

	// What the next noun phrase is to the rest, and what the last one was.
	role, lastRole string
}

// mendTags makes verbs of what the model takes for nouns after a noun that does something.
func (s *sentence) mendTags() {
	for i := 1; i < len(s.tokens); i++ {
		switch w := s.word(i); {
		case !doers[s.word(i-1)] || !s.noun(i) || doersThings[w]:
		case strings.HasSuffix(w, "s") && !strings.HasSuffix(w, "ss"):
			s.tokens[i].Tag = "VBZ"
		case strings.HasSuffix(w, "ing"):
			s.tokens[i].Tag = "VBG"
		}
	}
}

func (s *sentence) word(i int) string {
	if i < 0 || i >= len(s.tokens) {
		return ""
	}
	return s.tokens[i].Text
}

// is says whether the tag of token i begins with one of the prefixes.
func (s *sentence) is(i int, prefixes ...string) bool {
	return i >= 0 && i < len(s.tokens) && slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s.tokens[i].Tag, p) })
}

func (s *sentence) noun(i int) bool {
	return s.is(i, "NN") && strings.ContainsFunc(s.word(i), letter) && s.place(i) == 0 // the left of "left of"
}

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r > 127 }

// modifier says whether token i can stand between an article and a noun. Participles can
// where an article or an adjective is in front of them.
func (s *sentence) modifier(i int) bool {
	return s.is(i, "JJ", "CD") || s.is(i, "VBN", "VBG") && s.is(i-1, "DT", "PRP$", "JJ", "CD") ||
		classes[s.word(i)] != "" && s.noun(i) && s.noun(i+1) // a stone wall
}

func (s *sentence) determiner(i int) bool { return s.is(i, "DT", "PRP$", "PDT", "POS", "WP$") }

// part appends tokens [from,to) to list.
func (s *sentence) part(list *[]Part, from, to int, p Part) {
	p.Start, p.End = s.tokens[from].Start, s.ends[to-1]
	*list = append(*list, p)
}

func (s *sentence) parse() {
	g := s.graph
	for i := range s.tokens {
		if w := s.word(i); strings.ContainsFunc(w, letter) {
			g.words = append(g.words, singular(w))
			if v := infinitive(w); v != g.words[len(g.words)-1] {
				g.words = append(g.words, v)
			}
		}
	}
	for i := 0; i < len(s.tokens); {
		i = s.next(i)
	}
	if len(g.Objects) == 0 {
		g.Attributes, g.Relations = nil, nil
	}
	for kind, p := range g.parts() {
		g.meanings[kind].add(p.Lemma)
	}
}

// placeClass is the class of prepositions of place.
const placeClass = "place"

// next takes what begins at token i and returns the token after it.
func (s *sentence) next(i int) int {
	if n := s.place(i); n > 0 {
		s.role = s.join(i, i+n)
		if s.nominal(i + n) {
			s.part(&s.graph.Relations, i, i+n, Part{Kind: Relation, Lemma: s.role, Class: placeClass, Of: -1})
		}
		return i + n
	}
	switch {
	case s.noun(i) || s.modifier(i):
		return s.phrase(i)
	case s.is(i, "VB"):
		s.verb(i)
	case s.is(i, "IN", "TO"):
		s.role = s.word(i)
	case s.is(i, "CC") || s.word(i) == ",":
		s.role = s.lastRole
	}
	return i + 1
}

// join returns tokens [from,to) with blanks between.
func (s *sentence) join(from, to int) string {
	joined := s.word(from)
	for i := from + 1; i < to; i++ {
		joined += " " + s.word(i)
	}
	return joined
}

// nominal says whether token i can begin what a preposition or a verb is about.
func (s *sentence) nominal(i int) bool {
	return s.noun(i) || s.modifier(i) || s.determiner(i)
}

// place returns how many tokens from i on are a preposition of place, 0 if none.
func (s *sentence) place(i int) int {
	if s.is(i, "RP") || s.word(i) == "by" && s.is(i-1, "VBN", "VBD") { // a part of the verb; the doer
		return 0
	}
	for _, phrase := range places[s.word(i)] {
		n := len(phrase)
		if n == 1 && s.is(i, "NN", "JJ", "VB") {
			continue
		}
		for n > 0 && s.word(i+n-1) == phrase[n-1] {
			n--
		}
		if n == 0 {
			return len(phrase)
		}
	}
	return 0
}

// phrase takes a noun phrase from its first modifier or noun on and returns the token after it.
func (s *sentence) phrase(start int) int {
	from := start
	for s.modifier(from) || from > start && (s.word(from) == "and" || s.word(from) == ",") && s.modifier(from-1) && s.modifier(from+1) {
		from++
	}
	end := from
	for s.noun(end) {
		end++
	}
	if last := s.word(end - 1); from == end && s.is(end-1, "JJ") && s.determiner(start-1) && classes[last] == "" && !dull[last] {
		from-- // the model takes rare nouns for adjectives: a skateboarder jumps
	}
	role := s.role
	s.role, s.lastRole = "", role
	of := len(s.graph.Objects) - 1 // where no noun follows: the object before
	if from < end {
		if s.word(end) == "of" && measures[singular(s.word(end-1))] || !s.object(start, from, end, role) {
			return end // what is said of a measure or a part is not taken
		}
		of++
	}
	for i := start; i < from; i++ {
		if w := s.word(i); s.modifier(i) && of >= 0 && !dull[w] && strings.ContainsFunc(w, letter) {
			s.part(&s.graph.Attributes, i, i+1, Part{Kind: Attribute, Lemma: w, Class: classes[w], Of: of})
		}
	}
	return max(end, start+1)
}

// object adds the object that nouns [from,to) name, if they name one; its phrase begins at start.
func (s *sentence) object(start, from, to int, role string) bool {
	for to > from && unseen[singular(s.word(to-1))] {
		to-- // the rock of a rock face
	}
	if from == to {
		return false
	}
	head := to - 1
	from = max(from, to-2) // longer compounds are rare, and most of them wrong
	lemma := singular(s.word(head))
	if from < head {
		lemma = s.word(from) + " " + lemma
	}
	s.part(&s.graph.Objects, from, to, Part{Kind: Object, Lemma: lemma, Class: role, Form: s.number(start, head), Of: -1})
	return true
}

// The forms of objects: what stands in front of one decides what can stand in its place.
const (
	pluralForm   = "plural"
	singularForm = "singular" // a dog
	definiteForm = "definite" // the dog, its nose
	massForm     = "mass"     // grass
)

// number returns the form of the noun phrase from start to its noun.
func (s *sentence) number(start, head int) string {
	before := s.word(start - 1)
	switch {
	case s.is(head, "NNS", "NNPS") || plurals[s.word(head)] != "":
		return pluralForm
	case before == "a" || before == "an" || before == "one" || s.word(start) == "one" || before == "another" || before == "each":
		return singularForm
	case s.determiner(start - 1):
		return definiteForm
	}
	return massForm
}

// verb takes a verb; how the sentence goes on is its class.
func (s *sentence) verb(i int) {
	lemma := infinitive(s.word(i))
	if auxiliaries[lemma] || !strings.ContainsFunc(lemma, letter) {
		return
	}
	class := "verb"
	next := i + 1
	switch {
	case s.is(next, "IN", "RP", "TO", "RB") || s.place(next) > 0:
		class = "verb " + s.word(next)
	case s.nominal(next):
		class = "verb with object"
	}
	s.role = lemma
	s.part(&s.graph.Relations, i, i+1, Part{Kind: Relation, Lemma: lemma, Class: class, Form: s.tokens[i].Tag, Of: -1})
}
