package synth

import (
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// Words that never matter for the label. Each list is drawn from evenly.
var (
	holders   = []string{"i", "we", "my sister", "the critics", "my friends"}
	expecters = []string{"i expected", "we expected", "people say", "the last one"}
	openers   = []string{"honestly ,", "overall ,", "to be fair ,", "in the end ,", "all in all ,"}
	endings   = []string{".", ".", ".", "!"}
	asserters = []string{"i think that", "everybody would say that", "it is true that", "i believe that"}
	deniers   = []string{"i doubt that", "nobody would say that", "it is not true that", "i do not believe that"}
)

// How often the grammar chooses each form.
const (
	shareFound  = 0.15 // adjective claims as "i found the plot dull"
	shareSeems  = 0.15 // adjective claims with "seems" for "is"
	sharePast   = 0.30 // "was" for "is"
	shareOpener = 0.12 // opinions with an opening phrase
	shareEnding = 0.60 // opinions with a full stop or exclamation mark
)

// realise gives a meaning one of its texts: lower-case tokens separated by
// single spaces, with "n't" and "'s" apart as in SST-2.
func realise(m Meaning, s *random.Stream) string {
	g := grammar{stream: s}
	if chance(s, shareOpener) {
		g.say(pick(s, openers))
	}
	link := linkTable[m.Link]
	side := func() {
		if link.nominal {
			g.noun(m.Side)
		} else {
			g.clause(m.Side)
		}
	}
	switch {
	case m.Link == NoLink:
		g.clause(m.Main)
	case m.Link == And:
		g.clause(m.Side)
		g.say("and")
		g.clause(m.Main)
	case m.Link == Still:
		g.clause(m.Side)
		g.say(". still ,")
		g.clause(m.Main)
	case m.Link == But || m.Link == Yet:
		g.clause(m.Side)
		g.say(", " + link.word)
		g.clause(m.Main)
	case link.sideFirst:
		g.say(link.word)
		side()
		g.say(",")
		g.clause(m.Main)
	default:
		g.clause(m.Main)
		g.say(", " + link.word)
		side()
	}
	if chance(s, shareEnding) {
		g.say(pick(s, endings))
	}
	return strings.Join(g.words, " ")
}

// grammar says claims one after the other and remembers what was mentioned.
type grammar struct {
	stream    *random.Stream
	words     []string
	mentioned []Topic
}

// say appends words; empty ones are left out.
func (g *grammar) say(words ...string) {
	for _, w := range words {
		if w != "" {
			g.words = append(g.words, w)
		}
	}
}

// clause says a claim as a sentence.
func (g *grammar) clause(c Claim) {
	switch c.Frame {
	case Assert:
		g.say(pick(g.stream, asserters))
	case Deny:
		g.say(pick(g.stream, deniers))
	}
	compares := c.Operator == Less || c.Operator == More
	switch {
	case c.Quality.IsVerb():
		g.attitude(c)
	case c.Operator == Nobody, !compares && chance(g.stream, shareFound):
		g.finding(c)
	default:
		g.copula(c)
	}
}

// copula says "the plot is not very funny".
func (g *grammar) copula(c Claim) {
	g.say(g.topic(c.Topic))
	if chance(g.stream, shareSeems) {
		switch c.Operator {
		case Not:
			g.say("does not seem")
		case Nt:
			g.say("does n't seem")
		case Never, Hardly, Barely, NoLonger:
			g.say(denial(c), "seems")
		default:
			g.say("seems", denial(c))
		}
	} else {
		be := "is"
		if chance(g.stream, sharePast) {
			be = "was"
		}
		g.say(be, denial(c))
	}
	g.adjective(c)
	if c.Operator == Less || c.Operator == More {
		g.say("than", pick(g.stream, expecters))
	}
}

// finding says "i did not find the plot very funny".
func (g *grammar) finding(c Claim) {
	switch c.Operator {
	case Nobody:
		g.say("nobody found")
	case Not, Nt:
		g.say(pick(g.stream, holders), "did", denial(c), "find")
	case Never, Hardly, Barely, NoLonger:
		g.say(pick(g.stream, holders), denial(c), "found")
	default:
		g.say(pick(g.stream, holders), "found")
	}
	g.say(g.topic(c.Topic))
	if c.Operator == FarFrom || c.Operator == AnythingBut {
		g.say(denial(c))
	}
	g.adjective(c)
}

// attitude says "i did not really enjoy the plot".
func (g *grammar) attitude(c Claim) {
	degree, verb := c.Degree.String(), c.Quality.Past
	last := ""
	switch c.Degree {
	case AtAll:
		degree, last = "", degree
	case Ever:
		degree = "" // part of the denial
	}
	switch c.Operator {
	case Nobody:
		g.say("nobody")
	case Not, Nt:
		g.say(pick(g.stream, holders), "did", denial(c))
		verb = c.Quality.Word
	default:
		g.say(pick(g.stream, holders), denial(c))
	}
	g.say(degree, verb, g.topic(c.Topic), last)
}

// denial is the operator's own words.
func denial(c Claim) string {
	switch c.Operator {
	case Affirm, More, Less, Nobody:
		return ""
	case Hardly:
		if c.Degree == Ever {
			return "hardly ever"
		}
	case FarFrom, AnythingBut:
		return strings.TrimSpace(c.Degree.String() + " " + c.Operator.String())
	}
	return c.Operator.String()
}

// adjective says the degree and the adjective where they follow a verb.
func (g *grammar) adjective(c Claim) {
	degree, word := c.Degree.String(), c.Quality.Word
	switch {
	case c.Operator == Less, c.Operator == More:
		g.say(degree, c.Operator.String(), word)
	case c.Operator == FarFrom, c.Operator == AnythingBut, c.Degree == Ever:
		g.say(word) // the degree stands before the denial
	case c.Degree == AtAll:
		g.say(word, degree)
	case c.Degree == Slightly && c.Operator.Denies():
		g.say("even", degree, word)
	default:
		g.say(degree, word)
	}
}

// noun says a claim as "the rather dull plot".
func (g *grammar) noun(c Claim) {
	article := "the"
	if g.known(c.Topic) && c.Topic.Aspect != "" {
		article = "its"
	}
	name := c.Topic.Aspect
	if name == "" {
		name = c.Topic.Subject
	}
	g.mentioned = append(g.mentioned, c.Topic)
	g.say(article, c.Degree.String(), c.Quality.Word, name)
}

// topic names a topic, by "it" or "its" where that is clear.
func (g *grammar) topic(t Topic) string {
	known, again := g.known(t), false
	for _, m := range g.mentioned {
		again = again || m == t
	}
	g.mentioned = append(g.mentioned, t)
	switch {
	case again:
		return "it"
	case t.Aspect == "":
		return pick(g.stream, []string{"the ", "the ", "this "}) + t.Subject
	case known:
		return pick(g.stream, []string{"its ", "the "}) + t.Aspect
	}
	forms := []string{"the " + t.Aspect, "the " + t.Aspect, "the " + t.Aspect + " of the " + t.Subject, "the " + t.Subject + " 's " + t.Aspect}
	return pick(g.stream, forms)
}

// known says whether the subject of t was mentioned as a whole.
func (g *grammar) known(t Topic) bool {
	for _, m := range g.mentioned {
		if m.Subject == t.Subject && m.Aspect == "" {
			return true
		}
	}
	return false
}
