package synth

import "strings"

// Topic is what a claim is about: a subject ("film") or one of its aspects
// ("plot" of a film).
type Topic struct {
	Subject string
	Aspect  string // empty for the subject as a whole

	field field
}

// Claim says something good or bad of a topic.
type Claim struct {
	Topic    Topic
	Operator Operator
	Degree   Degree
	Quality  Quality
	Frame    Frame
}

// Positive follows rules 1 and 2 of the package: the quality's polarity,
// reversed by each part that denies.
func (c Claim) Positive() bool {
	return c.Quality.Positive != c.Operator.Denies() != c.Frame.Denies()
}

// plain says that nothing is done to the quality.
func (c Claim) plain() bool { return c.Operator == Affirm && c.Degree == NoDegree }

// Meaning is what an opinion says: a main claim and, unless Link is NoLink, a
// side claim.
type Meaning struct {
	Main Claim
	Link Link
	Side Claim
}

// Positive is the label: what the main claim says (rules 3 and 4).
func (m Meaning) Positive() bool { return m.Main.Positive() }

// claims are the main claim and, where there is one, the side claim.
func (m Meaning) claims() []Claim {
	if m.Link == NoLink {
		return []Claim{m.Main}
	}
	return []Claim{m.Main, m.Side}
}

// Combination is a combination of parts whose occurrence in training is
// controlled.
type Combination struct {
	// Name lists the parts, as in "not very funny" or "although dull, funny".
	// Different combinations have different names.
	Name string
	// HeldOut says that no training sentence has it.
	HeldOut bool
}

// About a seventh of the phrases and a fifth of the pairs are held out. The
// numbers are prime and differ from the factors of the sums below, so that every
// quality, operator, degree and connective keeps most of its combinations in
// training (a test counts them).
const (
	phraseModulus = 7
	pairModulus   = 5
)

// Combinations lists the phrases and the pair of a meaning. A plain quality
// ("funny" alone) is no combination: its polarity is what training teaches.
//
// A phrase is held out when quality + 2 operator + 3 degree, by their places in
// their tables, is 1 modulo 7; a pair when main quality + 2 side quality + 3
// link is 1 modulo 5.
func (m Meaning) Combinations() []Combination {
	var out []Combination
	for _, c := range m.claims() {
		if c.plain() {
			continue
		}
		n := c.Quality.index + 2*int(c.Operator) + 3*int(c.Degree)
		out = append(out, Combination{c.phrase(), n%phraseModulus == 1})
	}
	if m.Link != NoLink {
		n := m.Main.Quality.index + 2*m.Side.Quality.index + 3*int(m.Link)
		name := m.Link.String() + ": " + m.Side.Quality.Word + ", " + m.Main.Quality.Word
		out = append(out, Combination{name, n%pairModulus == 1})
	}
	return out
}

// HeldOut says whether the meaning has a held-out combination.
func (m Meaning) HeldOut() bool {
	for _, c := range m.Combinations() {
		if c.HeldOut {
			return true
		}
	}
	return false
}

// phrase names operator, degree and quality.
func (c Claim) phrase() string {
	parts := []string{c.Operator.String()}
	if c.Degree != NoDegree {
		parts = append(parts, c.Degree.String())
	}
	return strings.Join(append(parts, c.Quality.Word), " ")
}

// String explains the label, for example
// "but: [not very funny: negative] yields to [affirm good: positive]".
func (m Meaning) String() string {
	main := m.Main.String()
	switch {
	case m.Link == NoLink:
		return main
	case m.Link == And:
		return "and: " + m.Side.String() + " agrees with " + main
	}
	return m.Link.String() + ": " + m.Side.String() + " yields to " + main
}

// String shows the claim's parts and polarity.
func (c Claim) String() string {
	polarity := "negative"
	if c.Positive() {
		polarity = "positive"
	}
	frame := ""
	if c.Frame.Denies() {
		frame = "denied "
	}
	return "[" + frame + c.phrase() + ": " + polarity + "]"
}
