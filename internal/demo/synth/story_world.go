package synth

import "github.com/unimo-go/unimo/internal/base/random"

// The cast, the things and the rooms of all stories.
var (
	characters = []character{
		{"Mary", true}, {"John", false}, {"Anna", true}, {"Peter", false},
	}
	things = []string{"ball", "key", "book", "lamp", "apple", "hat", "cup", "doll"}
	rooms  = []string{"kitchen", "garden", "office", "hall", "cellar", "attic"}
)

type character struct {
	name   string
	female bool
}

// none stands for no character, thing or room; the others are places in the tables.
const none = -1

// action is what happens in a sentence of a story.
type action int

const (
	enter action = iota // who is in a room when the story begins
	move                // who goes to a room
	take                // who takes a thing
	give                // who gives a thing to another
	leave               // who leaves a thing in the room
)

// event is one sentence's meaning. What an action does not need is none.
type event struct {
	action               action
	who, to, thing, room int
}

// situation is how things stand at some point of a story.
type situation struct {
	room   []int // of every character, none before the story names it
	holder []int // of every thing
	lies   []int // the room where a thing lies, none while somebody has it
	giver  []int // who gave the thing to its holder, none if it was taken
	known  []bool
}

func newSituation() *situation {
	nobody := func(n int) []int {
		out := make([]int, n)
		for i := range out {
			out[i] = none
		}
		return out
	}
	return &situation{nobody(len(characters)), nobody(len(things)), nobody(len(things)), nobody(len(things)), make([]bool, len(things))}
}

// carries returns the thing that somebody has: nobody has two.
func (w *situation) carries(who int) int {
	for thing, holder := range w.holder {
		if holder == who {
			return thing
		}
	}
	return none
}

// allows says whether an event can happen: people take what is new or lies in
// their room, have one thing at a time, and give to somebody in the same room.
func (w *situation) allows(e event) bool {
	switch e.action {
	case enter:
		return w.room[e.who] == none
	case move:
		return w.room[e.who] != e.room
	case take:
		return w.carries(e.who) == none && w.holder[e.thing] == none && (!w.known[e.thing] || w.lies[e.thing] == w.room[e.who])
	case give:
		return w.holder[e.thing] == e.who && e.to != e.who && w.room[e.to] == w.room[e.who] && w.carries(e.to) == none
	default:
		return w.holder[e.thing] == e.who && w.room[e.who] == e.room
	}
}

// happen makes an event true.
func (w *situation) happen(e event) {
	switch e.action {
	case enter, move:
		w.room[e.who] = e.room
	case take:
		w.holder[e.thing], w.lies[e.thing], w.giver[e.thing], w.known[e.thing] = e.who, none, none, true
	case give:
		w.holder[e.thing], w.giver[e.thing] = e.to, e.who
	case leave:
		w.holder[e.thing], w.lies[e.thing], w.giver[e.thing] = none, e.room, none
	}
}

// plot is the meaning of a story: what happens, and what is asked about the end.
type plot struct {
	cast, things, rooms []int // that the story is about
	events              []event
	end                 *situation // after the events
	turns               []turn
}

// triples lists who has what where at any time of the story.
func (p plot) triples() [][3]int {
	var out [][3]int
	w := newSituation()
	for _, e := range p.events {
		w.happen(e)
		for thing, who := range w.holder {
			if who != none {
				out = append(out, [3]int{who, thing, w.room[who]})
			}
		}
	}
	return out
}

// tripleModulus holds out about a seventh of the triples: those whose character +
// 2 thing + 3 room, by their places in their tables, is 1 modulo 7.
const tripleModulus = 7

func heldOutTriple(t [3]int) bool { return (t[0]+2*t[1]+3*t[2])%tripleModulus == 1 }

// How hard the stories are. Longer stories of more people take longer to learn.
const (
	minSentences = 3 // at least maxCast, whose rooms come first
	maxSentences = 5
	maxCast      = 2 // at least two, the fewest
	maxThings    = 1 // at least one, the fewest
	storyRooms   = 3 // at least maxCast

	shareStoryPronoun = 0.15 // sentences that begin with "he" or "she", where that is clear
)

// actionWeights are how often each action happens where it can.
var actionWeights = []float64{move: 3, take: 4, give: 4, leave: 1}

// samplePlot draws what happens, and a conversation about it.
func samplePlot(s *random.Stream) plot {
	p := plot{
		cast:   s.Perm(len(characters))[:2+s.IntN(maxCast-1)],
		things: s.Perm(len(things))[:1+s.IntN(maxThings)],
		rooms:  s.Perm(len(rooms))[:storyRooms],
		end:    newSituation(),
	}
	happen := func(e event) {
		p.end.happen(e)
		p.events = append(p.events, e)
	}
	for i, who := range p.cast { // each in a room of their own
		happen(event{enter, who, none, none, p.rooms[i]})
	}
	n := minSentences + s.IntN(maxSentences-minSentences+1)
	for len(p.events) < n {
		possible := make([][]event, len(actionWeights))
		for _, e := range p.imaginable() {
			if p.end.allows(e) {
				possible[e.action] = append(possible[e.action], e)
			}
		}
		happen(pick(s, weighted(s, actionWeights, possible)))
	}
	p.turns = sampleTurns(s, p)
	return p
}

// imaginable lists the events of the people, things and rooms of the plot, those
// that can happen among them.
func (p plot) imaginable() []event {
	var out []event
	for _, who := range p.cast {
		for _, room := range p.rooms {
			out = append(out, event{move, who, none, none, room})
		}
		for _, thing := range p.things {
			out = append(out, event{take, who, none, thing, none})
			for _, to := range p.cast {
				out = append(out, event{give, who, to, thing, none})
			}
			for _, room := range p.rooms {
				out = append(out, event{leave, who, none, thing, room})
			}
		}
	}
	return out
}

// weighted returns one of the options that are not empty, by their weights; there
// must be one.
func weighted[T any](s *random.Stream, weights []float64, options [][]T) []T {
	total := 0.0
	for i, o := range options {
		if len(o) > 0 {
			total += weights[i]
		}
	}
	at := s.Float64() * total
	var chosen []T
	for i, o := range options {
		if len(o) == 0 || weights[i] == 0 {
			continue
		}
		chosen = o
		if at -= weights[i]; at < 0 {
			break
		}
	}
	return chosen
}
