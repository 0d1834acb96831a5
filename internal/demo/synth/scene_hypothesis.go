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

// The wordings of hypotheses. A is an object, P a place.
const (
	supposeSeen   = "you see A"
	supposePlace  = "at the P is A"
	supposeHidden = "behind the curtain is A"
)

// shareOther are the hypotheses that are not about a place: about what is seen, or hidden.
const shareOther = 0.4

// suppose makes a hypothesis of each label about a scene, in an order of chance. Statements about places have the labels in
// the same proportions whatever they say; of the others, those about what is seen are true or false alike,
// and those about what is hidden neutral.
func suppose(l layout, s *random.Stream) []Hypothesis {
	var out []Hypothesis
	labels := HypothesisLabels()
	for _, i := range s.Perm(len(labels)) {
		out = append(out, Hypothesis{l.suppose(labels[i], s), labels[i]})
	}
	return out
}

func (l layout) suppose(label string, s *random.Stream) string {
	t := pick(s, indefinite)
	if chance(s, shareOther) {
		switch label {
		case Entailed:
			return fill(supposeSeen, map[string]string{"A": l.objects[s.IntN(2)].describe("a", t)})
		case Contradicted:
			return fill(supposeSeen, map[string]string{"A": l.absent(t, s).describe("a", t)})
		}
		return fill(supposeHidden, map[string]string{"A": l.objects[s.IntN(2)].describe("a", t)})
	}
	for {
		at, o := pick(s, quarters), l.objects[s.IntN(2)]
		if label != Entailed && chance(s, 0.5) {
			o = l.nearMiss(t, s)
		}
		if l.says(at, o, t) == label {
			return fill(supposePlace, map[string]string{"A": o.describe("a", t), "P": at.place()})
		}
	}
}

// says is what the picture says to an object like o being at a place.
func (l layout) says(at quarter, o object, t traits) string {
	for _, p := range l.objects {
		if p.quarter == at && p.matches(o, t) {
			return Entailed
		}
	}
	if at == *l.curtain {
		return Undecided
	}
	return Contradicted
}
