package synth

import "github.com/unimo-go/unimo/internal/base/random"

// asking is the kind of a question.
type asking int

const (
	whoHas      asking = iota // "Who has the ball?"
	whereThing                // "Where is the ball?"
	wherePerson               // "Where is Mary?"
	whatHas                   // "What does Mary have?"
	whoGave                   // "Who gave the ball to Mary?"
	whereAll                  // "Where is everybody?", which ends every conversation
)

// askingWeights are how often each of the other kinds is asked where it can be.
var askingWeights = []float64{whoHas: 2, whereThing: 2, wherePerson: 3, whatHas: 1, whoGave: 2}

const (
	minTurns = 4
	maxTurns = 6 // the last one included

	shareDependent = 0.85 // turns after the first that need those before, where one can
)

// question asks about the end of a story. What a kind does not need is none.
type question struct {
	asking     asking
	who, thing int
}

// answer returns the person and the thing that are the answer or part of it, as
// things stand; none where there is no such.
func (q question) answer(w *situation) (who, thing int) {
	switch q.asking {
	case whoHas, whereThing:
		return w.holder[q.thing], none
	case wherePerson:
		return q.who, none
	case whatHas:
		return none, w.carries(q.who)
	case whoGave:
		return w.giver[q.thing], none
	default:
		return none, none
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
// twice. The last one asks for everybody: its long answer teaches a model more about
// where to look than the others.
func sampleTurns(s *random.Stream, p plot) []turn {
	var out []turn
	asked := map[question]bool{}
	context := referents{none, none, none}
	for range minTurns - 1 + s.IntN(maxTurns-minTurns+1) {
		dependent := chance(s, shareDependent)
		all, some := make([][]turn, len(askingWeights)), make([][]turn, len(askingWeights))
		for _, q := range p.questions() {
			if asked[q] {
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
		who, thing := t.answer(p.end)
		context.named([]int{t.who, who}, max(t.thing, thing))
	}
	return append(out, turn{question: question{whereAll, none, none}})
}

// questions lists what can be asked about the end of the plot.
func (p plot) questions() []question {
	var out []question
	for _, thing := range p.things {
		if !p.end.known[thing] {
			continue
		}
		out = append(out, question{whoHas, none, thing}, question{whereThing, none, thing})
		if p.end.giver[thing] != none {
			out = append(out, question{whoGave, p.end.holder[thing], thing})
		}
	}
	for _, who := range p.cast {
		out = append(out, question{wherePerson, who, none}, question{whatHas, who, none})
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
