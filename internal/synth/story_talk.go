package synth

// asking is the kind of a question.
type asking int

const (
	whoHas      asking = iota // "Who has the ball?"
	whereThing                // "Where is the ball?"
	wherePerson               // "Where is Mary?"
	whatHas                   // "What does Mary have?"
	whoGave                   // "Who gave the ball to Mary?"
	has                       // "Does Mary have the ball?"
	isIn                      // "Is Mary in the kitchen?"
)

// askingWeights are how often each kind is asked where it can be.
var askingWeights = []float64{whoHas: 3, whereThing: 2, wherePerson: 3, whatHas: 2, whoGave: 2, has: 2, isIn: 2}

const (
	minTurns = 3
	maxTurns = 5

	shareDependent = 0.85 // turns after the first that need those before, where one can
)

// question asks about the end of a story. What a kind does not need is none.
type question struct {
	asking           asking
	who, thing, room int
}

// answer is a question's answer and whom or what it names.
type answer struct {
	text       string
	who, thing int
}

// answer says what is true in a scene.
func (q question) answer(w *scene) answer {
	person := func(who int) answer {
		if who == none {
			return answer{"nobody", none, none}
		}
		return answer{characters[who].name, who, none}
	}
	yesNo := func(yes bool) answer {
		if yes {
			return answer{"yes", none, none}
		}
		return answer{"no", none, none}
	}
	switch q.asking {
	case whoHas:
		return person(w.holder[q.thing])
	case whereThing:
		return answer{"the " + rooms[w.roomOf(q.thing)], none, none}
	case wherePerson:
		return answer{"the " + rooms[w.room[q.who]], none, none}
	case whatHas:
		if thing := w.carries(q.who); thing != none {
			return answer{"the " + things[thing], none, thing}
		}
		return answer{"nothing", none, none}
	case whoGave:
		return person(w.giver[q.thing])
	case has:
		return yesNo(w.holder[q.thing] == q.who)
	default:
		return yesNo(w.room[q.who] == q.room)
	}
}

// turn is a question in the form it is asked in.
type turn struct {
	question
	ellipsis bool // "And the ball?": the question before, about another
	whoShort bool // "she", "him" for the person
	itShort  bool // "it" for the thing
}

// dependent says whether the turn needs those before.
func (t turn) dependent() bool { return t.ellipsis || t.whoShort || t.itShort }

// referents are what pronouns mean at some point of a text: the one person of the
// gender, or the one thing, of the latest sentence or turn that names any; none
// if there is no such or it names two.
type referents struct{ he, she, it int }

// named moves the referents on past a sentence or turn.
func (r *referents) named(people []int, thing int) {
	last := map[bool]int{}
	for _, who := range people {
		if who == none {
			continue
		}
		female := characters[who].female
		if other, ok := last[female]; ok && other != who {
			who = none
		}
		last[female] = who
	}
	if who, ok := last[true]; ok {
		r.she = who
	}
	if who, ok := last[false]; ok {
		r.he = who
	}
	if thing != none {
		r.it = thing
	}
}

// means says whether "he" or "she" is that person.
func (r referents) means(who int) bool { return who != none && (who == r.he || who == r.she) }

// sampleTurns draws a conversation about the end of a plot. No question is asked
// twice.
func sampleTurns(s *stream, p plot) []turn {
	w := p.end()
	var out []turn
	asked := map[question]bool{}
	context := referents{none, none, none}
	for range minTurns + s.rand.IntN(maxTurns-minTurns+1) {
		yes := s.chance(0.5)
		dependent := s.chance(shareDependent)
		all, some := make([][]turn, len(askingWeights)), make([][]turn, len(askingWeights))
		for _, q := range p.questions(w) {
			if asked[q] || (q.asking == has || q.asking == isIn) && (q.answer(w).text == "yes") != yes {
				continue
			}
			t := turn{question: q, whoShort: context.means(q.who), itShort: q.thing != none && q.thing == context.it}
			if len(out) > 0 && !t.whoShort && !t.itShort {
				t.ellipsis = q.echoes(out[len(out)-1].question)
			}
			all[q.asking] = append(all[q.asking], t)
			if t.dependent() {
				some[q.asking] = append(some[q.asking], t)
			}
		}
		from := weighted(s, askingWeights, some)
		if !dependent || len(from) == 0 {
			from = weighted(s, askingWeights, all)
		}
		if len(from) == 0 {
			break
		}
		t := pick(s, from)
		if !dependent {
			t = turn{question: t.question}
		}
		out = append(out, t)
		asked[t.question] = true
		a := t.answer(w)
		context.named([]int{t.who, a.who}, max(t.thing, a.thing))
	}
	return out
}

// questions lists what can be asked about the plot's people, things and rooms.
func (p plot) questions(w *scene) []question {
	var out []question
	for _, thing := range p.things {
		if !w.known[thing] {
			continue
		}
		out = append(out, question{whoHas, none, thing, none}, question{whereThing, none, thing, none})
		if w.giver[thing] != none {
			out = append(out, question{whoGave, w.holder[thing], thing, none})
		}
		for _, who := range p.cast {
			out = append(out, question{has, who, thing, none})
		}
	}
	for _, who := range p.cast {
		out = append(out, question{wherePerson, who, none, none}, question{whatHas, who, none, none})
		for _, room := range p.rooms {
			out = append(out, question{isIn, who, none, room})
		}
	}
	return out
}

// echoes says whether "And the ball?" or "And Mary?" after another question asks q:
// "where" may go on from people to things and back, "who has" and "what has" to
// another of the same.
func (q question) echoes(before question) bool {
	switch q.asking {
	case whereThing, wherePerson:
		return before.asking == whereThing || before.asking == wherePerson
	case whoHas, whatHas:
		return before.asking == q.asking
	}
	return false
}
