package synth

import "slices"

// Operator is what a claim does to its quality.
type Operator int

// The operators. All but Affirm and More deny.
const (
	Affirm      Operator = iota
	Not                  // "is not good", "did not enjoy"
	Nt                   // "is n't good", "did n't enjoy"
	Never                // "is never good"
	Hardly               // "is hardly good"
	Barely               // "is barely good"
	FarFrom              // "is far from good"
	AnythingBut          // "is anything but good"
	NoLonger             // "is no longer good"
	Nobody               // "nobody found it good"
	Less                 // "is less good than i expected"
	More                 // "is more impressive than i expected"
)

// operatorTable holds, for each operator, its name, whether it denies, and the
// degrees it goes with before an adjective and a verb (none: it does not).
// English decides what goes with what: "hardly ever funny", but not "far from
// at all funny".
var operatorTable = []struct {
	name       string
	denies     bool
	adjectives []Degree
	verbs      []Degree
}{
	Affirm: {"affirm", false,
		[]Degree{NoDegree, Very, Really, Truly, So, Quite, Rather, Slightly, Extremely},
		[]Degree{NoDegree, Really, Truly, Quite, Rather}},
	Not: {"not", true,
		[]Degree{NoDegree, Very, Really, Truly, So, Particularly, AtAll, Slightly},
		[]Degree{NoDegree, Really, Particularly, AtAll}},
	Nt: {"n't", true,
		[]Degree{NoDegree, Very, Really, Truly, So, Particularly, AtAll, Slightly},
		[]Degree{NoDegree, Really, Particularly, AtAll}},
	Never: {"never", true,
		[]Degree{NoDegree, Very, Really, Truly, Slightly},
		[]Degree{NoDegree, Really, Truly, Quite}},
	Hardly:      {"hardly", true, []Degree{NoDegree, Ever, AtAll}, []Degree{NoDegree, Ever, AtAll}},
	Barely:      {"barely", true, []Degree{NoDegree, AtAll}, []Degree{NoDegree, AtAll}},
	FarFrom:     {"far from", true, []Degree{NoDegree, Very, Really, Quite, So}, nil},
	AnythingBut: {"anything but", true, []Degree{NoDegree, Really, Truly, Quite}, nil},
	NoLonger: {"no longer", true,
		[]Degree{NoDegree, Very, Really, Truly, So},
		[]Degree{NoDegree, Really, Quite}},
	Nobody: {"nobody", true,
		[]Degree{NoDegree, Very, Really, Truly, Particularly, AtAll, Slightly},
		[]Degree{NoDegree, Really, Truly, Particularly, AtAll}},
	Less: {"less", true, []Degree{NoDegree, Much, Slightly, Rather}, nil},
	More: {"more", false, []Degree{NoDegree, Much, Slightly, Rather}, nil},
}

// Denies says whether the operator reverses the polarity.
func (o Operator) Denies() bool { return operatorTable[o].denies }

// String is the operator's name as combinations use it.
func (o Operator) String() string { return operatorTable[o].name }

// degrees are those the operator goes with before the quality.
func (o Operator) degrees(q Quality) []Degree {
	if q.IsVerb() {
		return operatorTable[o].verbs
	}
	return operatorTable[o].adjectives
}

// allows says whether English lets the operator act on the quality.
func (o Operator) allows(q Quality) bool {
	compares := o == Less || o == More
	return len(o.degrees(q)) > 0 && (!compares || q.compares)
}

// Degree is how strongly a claim is made. It never changes the label.
type Degree int

// The degrees. After a denial Slightly is realised as "even slightly".
const (
	NoDegree Degree = iota
	Very
	Really
	Truly
	So
	Quite
	Rather
	Slightly
	Extremely
	Particularly
	AtAll
	Ever
	Much
)

var degreeNames = []string{"", "very", "really", "truly", "so", "quite", "rather",
	"slightly", "extremely", "particularly", "at all", "ever", "much"}

// String is the degree's word, empty for NoDegree.
func (d Degree) String() string { return degreeNames[d] }

// Frame is what a claim is put into.
type Frame int

// The frames: none, one that asserts ("i think that ...") and one that denies
// ("i doubt that ...").
const (
	NoFrame Frame = iota
	Assert
	Deny
)

// Denies says whether the frame reverses the polarity.
func (f Frame) Denies() bool { return f == Deny }

// Link joins a side claim to the main claim and says which comes first.
type Link int

// The links. The side claim is the one that yields.
const (
	NoLink          Link = iota
	And                  // side and main; of equal polarity
	But                  // side, but main
	Yet                  // side, yet main
	Still                // side. still, main
	AlthoughFirst        // although side, main
	AlthoughLast         // main, although side
	EvenThoughFirst      // even though side, main
	EvenThoughLast       // main, even though side
	DespiteFirst         // despite the bad side, main
	DespiteLast          // main, despite the bad side
	InSpiteFirst         // in spite of the bad side, main
	InSpiteLast          // main, in spite of the bad side
)

// linkTable holds the connective and where the side claim stands. A nominal
// link takes the side claim as a noun ("the dull plot").
var linkTable = []struct {
	word      string
	sideFirst bool
	nominal   bool
}{
	NoLink:          {},
	And:             {"and", true, false},
	But:             {"but", true, false},
	Yet:             {"yet", true, false},
	Still:           {"still", true, false},
	AlthoughFirst:   {"although", true, false},
	AlthoughLast:    {"although", false, false},
	EvenThoughFirst: {"even though", true, false},
	EvenThoughLast:  {"even though", false, false},
	DespiteFirst:    {"despite", true, true},
	DespiteLast:     {"despite", false, true},
	InSpiteFirst:    {"in spite of", true, true},
	InSpiteLast:     {"in spite of", false, true},
}

// String is the connective, marked where the side claim comes last.
func (l Link) String() string {
	if l == NoLink || linkTable[l].sideFirst {
		return linkTable[l].word
	}
	return linkTable[l].word + " (last)"
}

// nominalDegrees are the degrees that stand before an attributive adjective.
var nominalDegrees = []Degree{NoDegree, Very, Really, Truly, Rather, Slightly, Extremely}

// fitsNominal says whether the claim can be said as a noun.
func (c Claim) fitsNominal() bool {
	return !c.Quality.IsVerb() && c.Operator == Affirm && c.Frame == NoFrame &&
		slices.Contains(nominalDegrees, c.Degree)
}
