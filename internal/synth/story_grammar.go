package synth

import "strings"

// The wordings of the actions. Each list is drawn from evenly. All sentences but
// those of a thing left have five words, which a small model learns sooner.
var (
	beings  = []string{"is", "was", "sat", "stood"}
	goings  = []string{"went", "walked", "ran", "moved"}
	takings = []string{"picked up", "then took", "soon found", "now has"}
	givings = []string{"gave", "handed", "passed", "brought"}
	stays   = []string{"lay", "stayed", "remained"}
)

// tell gives a plot one of its texts.
func tell(p plot, s *stream) Story {
	var sentences []string
	context := referents{none, none, none}
	for _, e := range p.events {
		subject, named := characters[e.who].name, []int{e.who, e.to}
		switch {
		case e.action == leave:
			subject, named = "The "+things[e.thing], nil
		case context.means(e.who) && s.chance(shareStoryPronoun):
			subject = pronoun(e.who, "He", "She")
		}
		sentences = append(sentences, subject+" "+e.predicate(s)+".")
		context.named(named, none)
	}
	story := Story{Text: strings.Join(sentences, " ")}
	end := p.end()
	for _, t := range p.turns {
		story.Turns = append(story.Turns, Turn{t.String(), t.answer(end).text})
	}
	return story
}

// predicate says an event without its subject.
func (e event) predicate(s *stream) string {
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
	case has:
		return "Does " + person("he", "she") + " have " + thing() + "?"
	default:
		return "Is " + person("he", "she") + " in the " + rooms[t.room] + "?"
	}
}

// pronoun chooses by a character's gender.
func pronoun(who int, he, she string) string {
	if characters[who].female {
		return she
	}
	return he
}
