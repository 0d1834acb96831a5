package synth

import "github.com/unimo-go/unimo/internal/base/random"

// How often each part is drawn. A third of the claims deny, so that words one by
// one say little of the label (see TestWordsAloneDoNotDecide), and yet a word
// shows its polarity often enough to be learnt first: a transformer of 2 layers
// of 128 reached 0.90 on held-out combinations after one pass over 12,000
// opinions, but with denials in 0.40 of the claims only after five passes over
// 16,000.
const (
	shareDenying   = 0.32 // claims whose operator denies
	shareMore      = 0.04 // claims with "more ... than"
	shareDegree    = 0.60 // claims with a degree, where the operator takes one
	shareDeny      = 0.04 // claims in a frame that denies
	shareAssert    = 0.04 // claims in a frame that asserts
	sharePair      = 0.50 // opinions of two claims
	shareAgreement = 0.15 // pairs joined by "and"; the others contrast
	shareVerb      = 0.25 // claims by a verb of liking
	shareGeneral   = 0.45 // adjectives that fit anything
	shareAspect    = 0.65 // topics that are an aspect of the subject
)

// denying are the operators that deny.
var denying = func() []Operator {
	var out []Operator
	for o := range operatorTable {
		if Operator(o).Denies() {
			out = append(out, Operator(o))
		}
	}
	return out
}()

// sampleMeaning draws an opinion's meaning.
func sampleMeaning(s *random.Stream) Meaning {
	about := pick(s, topicTable)
	name := pick(s, about.names)
	if !chance(s, sharePair) {
		return Meaning{Main: sampleClaim(s, about, name)}
	}
	link := And
	if !chance(s, shareAgreement) {
		link = But + Link(s.IntN(len(linkTable)-int(But)))
	}
	for {
		m := Meaning{sampleClaim(s, about, name), link, sampleClaim(s, about, name)}
		if m.sound() {
			return m
		}
	}
}

// sound says whether two claims make one opinion in English.
func (m Meaning) sound() bool {
	switch {
	case m.Main.Quality.index == m.Side.Quality.index:
		return false // "the plot is dull but the ending is not dull"
	case (m.Link == And) != (m.Main.Positive() == m.Side.Positive()):
		return false // rule 4: "and" joins what agrees, the others what contrasts
	case linkTable[m.Link].nominal && !m.Side.fitsNominal():
		return false
	case m.Main.Topic == m.Side.Topic && m.Main.Topic.field == people:
		return false // "it" does not refer to a person
	}
	return true
}

// sampleClaim draws a claim about a subject or one of its aspects.
func sampleClaim(s *random.Stream, about subject, name string) Claim {
	c := Claim{Topic: Topic{Subject: name, field: about.field}}
	if chance(s, shareAspect) {
		a := pick(s, about.aspects)
		c.Topic.Aspect, c.Topic.field = a.name, a.field
	}
	c.Quality = sampleQuality(s, c.Topic.field)

	for {
		c.Operator = sampleOperator(s)
		if c.Operator.allows(c.Quality) {
			break
		}
	}
	if chance(s, shareDegree) {
		c.Degree = pick(s, c.Operator.degrees(c.Quality))
	}
	switch p := s.Float64(); {
	case p < shareDeny:
		c.Frame = Deny
	case p < shareDeny+shareAssert:
		c.Frame = Assert
	}
	return c
}

func sampleOperator(s *random.Stream) Operator {
	switch p := s.Float64(); {
	case p < shareDenying:
		return pick(s, denying)
	case p < shareDenying+shareMore:
		return More
	}
	return Affirm
}

func sampleQuality(s *random.Stream, of field) Quality {
	switch {
	case chance(s, shareVerb):
		return qualities[pick(s, verbs)]
	case chance(s, shareGeneral):
		return qualities[pick(s, adjectives[anything])]
	}
	return qualities[pick(s, adjectives[of])]
}
