package synth

import (
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// The wordings of the actions. Each list is drawn from evenly. All sentences but
// those of a thing left have five words, which a small model learns sooner.
var (
	beings  = []string{"is", "was"}
	goings  = []string{"went", "ran"}
	takings = []string{"picked up", "then took", "soon found", "now has"}
	givings = []string{"gave", "handed", "passed", "brought"}
	stays   = []string{"lay", "stayed", "remained"}
)

// accounts are the story's own words for where people are and things were left,
// the latest of each: "Mary ran to the garden", "the ball stayed in the attic".
type accounts struct{ people, things map[int]string }

// tell gives a plot one of its texts.
func tell(p plot, s *random.Stream) Story {
	var sentences []string
	said := accounts{map[int]string{}, map[int]string{}}
	context := referents{none, none, none}
	for _, e := range p.events {
		subject, named := characters[e.who].name, []int{e.who, e.to}
		switch {
		case e.action == leave:
			subject, named = "The "+things[e.thing], nil
		case context.means(e.who) && chance(s, shareStoryPronoun):
			subject = pronoun(e.who, "He", "She")
		}
		predicate := e.predicate(s)
		sentences = append(sentences, subject+" "+predicate+".")
		switch e.action {
		case enter, move:
			said.people[e.who] = characters[e.who].name + " " + predicate
		case leave:
			said.things[e.thing] = "the " + things[e.thing] + " " + predicate
		}
		context.named(named, none)
	}
	story := Story{Text: strings.Join(sentences, " ")}
	for _, t := range p.turns {
		story.Turns = append(story.Turns, Turn{t.String(), t.reply(p.end, said)})
	}
	return story
}

// predicate says an event without its subject.
func (e event) predicate(s *random.Stream) string {
	switch e.action {
	case enter:
		return pick(s, beings) + " in the " + rooms[e.room]
	case move:
		return pick(s, goings) + " to the " + rooms[e.room]
	case take:
		return pick(s, takings) + " the " + things[e.thing]
	case give:
		return pick(s, givings) + " " + characters[e.to].name + " the " + things[e.thing]
	default:
		return pick(s, stays) + " in the " + rooms[e.room]
	}
}

// String asks the question.
func (t turn) String() string {
	person := func(he, she string) string {
		if t.whoShort {
			return pronoun(t.who, he, she)
		}
		return characters[t.who].name
	}
	thing := func() string {
		if t.itShort {
			return "it"
		}
		return "the " + things[t.thing]
	}
	switch {
	case t.ellipsis && t.thing != none:
		return "And " + thing() + "?"
	case t.ellipsis:
		return "And " + person("he", "she") + "?"
	}
	switch t.asking {
	case whoHas:
		return "Who has " + thing() + "?"
	case whereThing:
		return "Where is " + thing() + "?"
	case wherePerson:
		return "Where is " + person("he", "she") + "?"
	case whatHas:
		return "What does " + person("he", "she") + " have?"
	case whoGave:
		return "Who gave " + thing() + " to " + person("him", "her") + "?"
	default:
		return "Where is everybody?"
	}
}

// reply answers the question by how things stand and in the words of the story.
func (t turn) reply(w *situation, said accounts) string {
	who, thing := t.answer(w)
	switch t.asking {
	case whereThing:
		if who == none {
			return said.things[t.thing]
		}
		return said.people[who] + ", " + pronoun(who, "he", "she") + " has it"
	case wherePerson:
		return said.people[who]
	case whatHas:
		if thing == none {
			return "nothing"
		}
		return "the " + things[thing]
	case whereAll:
		var all []string
		for i := range characters {
			if where, ok := said.people[i]; ok {
				all = append(all, where)
			}
		}
		return strings.Join(all, ", ")
	default:
		if who == none {
			return "nobody"
		}
		return characters[who].name
	}
}

// pronoun chooses by a character's gender.
func pronoun(who int, he, she string) string {
	if characters[who].female {
		return she
	}
	return he
}
