package synth

import "github.com/unimo-go/unimo/internal/base/random"

// Hypothesis is a statement about a scene with a curtain, and what the picture says to it.
type Hypothesis struct {
	Text  string
	Label string // one of HypothesisLabels
}

// What a picture says to a hypothesis, whatever is behind the curtain, be it nothing or an object.
const (
	Entailed     = "entailment"    // it is true
	Contradicted = "contradiction" // it is false
	Undecided    = "neutral"       // true or false as the curtain hides this or that
)

// HypothesisLabels are the labels. A scene has one hypothesis of each.
func HypothesisLabels() []string { return []string{Contradicted, Entailed, Undecided} }

// The wordings of hypotheses, of which each list is drawn from evenly. A is an object, P a place, H a half.
var (
	supposedPlaces = []string{"there is A at the P", "at the P is A", "the P has A"}
	supposedHalves = []string{"there is A in the H half", "the H half has A"}
)

// suppose makes a hypothesis of each label about a scene, in an order of chance. The three speak of
// objects, places and ways in the same proportions, so that no text gives its label away.
func suppose(l layout, s *random.Stream) []Hypothesis {
	var out []Hypothesis
	labels := HypothesisLabels()
	for _, i := range s.Perm(len(labels)) {
		make := supposePlace
		switch p := s.Float64(); {
		case p < 0.4:
			make = supposeWay
		case p < 0.6:
			make = supposeHalf
		}
		out = append(out, Hypothesis{make(l, labels[i], s), labels[i]})
	}
	return out
}

// area is a part of the picture.
type area struct {
	name     string
	contains func(quarter) bool
}

// halves are the halves of the picture.
var halves = []area{
	{"left", func(q quarter) bool { return q.column == 0 }}, {"right", func(q quarter) bool { return q.column == 1 }},
	{"top", func(q quarter) bool { return q.row == 0 }}, {"bottom", func(q quarter) bool { return q.row == 1 }},
}

// corners are the quarters of the picture.
var corners = func() []area {
	var out []area
	for _, q := range quarters {
		out = append(out, area{q.place(), func(p quarter) bool { return p == q }})
	}
	return out
}()

func supposePlace(l layout, label string, s *random.Stream) string {
	return l.supposeIn(corners, supposedPlaces, label, s)
}

func supposeHalf(l layout, label string, s *random.Stream) string {
	return l.supposeIn(halves, supposedHalves, label, s)
}

// supposeIn says that an object is in one of the areas.
func (l layout) supposeIn(areas []area, forms []string, label string, s *random.Stream) string {
	t := pick(s, indefinite)
	for {
		a, o := pick(s, areas), l.objects[s.IntN(2)]
		if label != Entailed && chance(s, 0.5) {
			o = l.nearMiss(t, s)
		}
		if l.says(a, o, t) == label {
			return fill(pick(s, forms), map[string]string{"A": o.describe("a", t, s), "P": a.name, "H": a.name})
		}
	}
}

// says is what the picture says to an object like o being in the area.
func (l layout) says(a area, o object, t traits) string {
	for _, p := range l.objects {
		if a.contains(p.quarter) && p.matches(o, t) {
			return Entailed
		}
	}
	if a.contains(*l.curtain) {
		return Undecided
	}
	return Contradicted
}

// definite are the traits that "the ... circle" names in hypotheses.
var definite = []traits{byFigure, byHue | byFigure, bySize | byHue | byFigure}

// supposeWay says how one object lies to another. Undecided is what would have one of them behind the
// curtain. Texts that name two coloured shapes name a pair that is held out as the scene's own is.
func supposeWay(l layout, label string, s *random.Stream) string {
	if label != Undecided {
		return relate(l, s, " is ", label == Entailed, definite...)
	}
	i := s.IntN(2)
	seen, t, u := l.objects[i], l.distinct(i, s, definite...), pick(s, definite)
	hidden := l.absent(u, s)
	for hidden.matches(seen, t) || hidden.kind() == seen.kind() || t != byFigure && u != byFigure && heldOutPair(seen.look, hidden.look) != l.heldOut() {
		hidden = l.absent(u, s)
	}
	hidden.quarter = *l.curtain
	if chance(s, 0.5) {
		return seen.describe("the", t, s) + " is " + wayTo(seen.quarter, hidden.quarter, s, true) + " " + hidden.describe("the", u, s)
	}
	return hidden.describe("the", u, s) + " is " + wayTo(hidden.quarter, seen.quarter, s, true) + " " + seen.describe("the", t, s)
}
