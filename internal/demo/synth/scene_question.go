package synth

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/base/random"
)

// Question is a question about a scene, which has one right answer.
type Question struct {
	Type   string // one of QuestionTypes
	Text   string
	Answer string // a word, or two for a place
}

// questions makes the question of each type about a scene.
var questions = []struct {
	name string
	make func(l layout, s *random.Stream) (text, answer string)
}{
	{"colour", func(l layout, s *random.Stream) (string, string) {
		i, the := refer(l, s, byFigure, bySize|byFigure, bySize, byPlace)
		return "what colour is " + the + "?", hues[l.objects[i].hue].name
	}},
	{"shape", func(l layout, s *random.Stream) (string, string) {
		i, the := refer(l, s, byHue, bySize|byHue, bySize, byPlace)
		return "what shape is " + the + "?", figures[l.objects[i].figure].name
	}},
	{"size", func(l layout, s *random.Stream) (string, string) {
		i, the := refer(l, s, byHue, byFigure, byHue|byFigure, byPlace)
		return "is " + the + " big or small?", sizeWords(l.objects[i].big)[0]
	}},
	{"place", func(l layout, s *random.Stream) (string, string) {
		i, the := refer(l, s, byHue, byFigure, byHue|byFigure, bySize, bySize|byHue|byFigure)
		return "where is " + the + "?", l.objects[i].place()
	}},
	{"thing", askThing},
	{"number", askNumber},
	{"existence", func(l layout, s *random.Stream) (string, string) {
		t := pick(s, indefinite)
		if chance(s, 0.5) {
			return "do you see " + l.objects[s.IntN(2)].describe("a", t) + "?", "yes"
		}
		return "do you see " + l.absent(t, s).describe("a", t) + "?", "no"
	}},
}

// QuestionTypes are the types of questions. A scene has one of each, in this order.
func QuestionTypes() []string {
	var names []string
	for _, q := range questions {
		names = append(names, q.name)
	}
	return names
}

// indefinite are the traits that "a ... circle" names.
var indefinite = []traits{byHue, byFigure, byHue | byFigure, bySize | byHue | byFigure}

// ask makes a question of each type about a scene. Whatever a question says, all answers that fit its
// type are about as likely as in other questions, as far as two objects allow.
func ask(l layout, s *random.Stream) []Question {
	var out []Question
	for _, q := range questions {
		text, answer := q.make(l, s)
		out = append(out, Question{q.name, text, answer})
	}
	return out
}

// refer chooses an object of the scene and the words that tell it from the other.
func refer(l layout, s *random.Stream, options ...traits) (i int, the string) {
	i = s.IntN(2)
	return i, l.objects[i].describe("the", l.distinct(i, s, options...))
}

// askThing asks what is in a quarter: one with an object more often than the empty one or the curtain.
func askThing(l layout, s *random.Stream) (text, answer string) {
	o := l.objects[s.IntN(2)]
	at, answer := o.quarter, figures[o.figure].name
	switch s.IntN(len(figures) + 2) {
	case 0:
		at, answer = l.empty(), "nothing"
	case 1:
		at, answer = *l.curtain, "curtain"
	}
	return "what is at the " + at.place() + "?", answer
}

// empty is the quarter that has no object and no curtain.
func (l layout) empty() quarter {
	for _, q := range quarters {
		if q != l.objects[0].quarter && q != l.objects[1].quarter && q != *l.curtain {
			return q
		}
	}
	panic("every quarter is taken") // two objects and a curtain leave one
}

// askNumber asks how many objects have a size, a colour or a shape: none, one or two.
func askNumber(l layout, s *random.Stream) (text, answer string) {
	o, other := l.objects[0], l.objects[1]
	sizes := 0.3
	if o.big == other.big {
		sizes = 0.6 // so that none, one and two are equally likely
	}
	t, plural := bySize, "objects"
	if !chance(s, sizes) {
		t = pick(s, []traits{byHue, byFigure})
	}
	if chance(s, 0.5) {
		o = other
	}
	switch {
	case t == bySize && chance(s, 0.5):
		o.big = !o.big
	case t != bySize && chance(s, 0.5) && !l.objects[0].matches(l.objects[1], t):
		o = l.absent(t, s)
	}
	var word string
	switch t {
	case bySize:
		word = sizeWords(o.big)[0] + " " + plural
	case byHue:
		word = hues[o.hue].name + " " + plural
	default:
		word = plurals(figures[o.figure].name)
	}
	n := 0
	for _, p := range l.objects {
		if p.matches(o, t) {
			n++
		}
	}
	return fmt.Sprintf("how many %s do you see?", word), fmt.Sprint(n)
}

func plurals(word string) string {
	if word == "cross" {
		return "crosses"
	}
	return word + "s"
}
