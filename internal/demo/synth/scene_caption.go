package synth

import (
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// claim is what a caption says: that two objects are in the picture, and how the
// first lies to the second or, where relation is none, in which quarters they are.
type claim struct {
	objects  [2]object // of which the places within a quarter are not claimed
	relation int       // place in relations, or none
}

// relation is a way in which one object lies to another. Quarters decide.
type relation struct {
	words []string // each says it
	holds func(a, b quarter) bool
}

var relations = []relation{
	{[]string{"left of", "to the left of"}, func(a, b quarter) bool { return a.column < b.column }},
	{[]string{"right of", "to the right of"}, func(a, b quarter) bool { return a.column > b.column }},
	{[]string{"above"}, func(a, b quarter) bool { return a.row < b.row }},
	{[]string{"below"}, func(a, b quarter) bool { return a.row > b.row }},
}

// The wordings. A and B are the objects, R is the relation, P and Q are the places.
// Each list is drawn from evenly.
var (
	usual = wordings{
		relations: []string{"A is R B", "there is A R B"},
		places:    []string{"A is at the P and B at the Q", "at the P is A and at the Q B", "the P has A and the Q B"},
		words:     all,
	}
	// Those of scenes with a curtain are few and short: a model learns them in a minute.
	short = wordings{relations: []string{"A R B"}, places: []string{"A P and B Q"}, words: 1}

	bigWords, smallWords = []string{"big", "large"}, []string{"small", "little"}
	columnWords          = []string{"left", "right"}
	rowWords             = []string{"top", "bottom"}
)

// wordings are how captions are worded.
type wordings struct {
	relations, places []string
	words             int // how many of the words for a size or a relation there are
}

const all = 9

// first are the words that there are.
func (w wordings) first(words []string) []string { return words[:min(w.words, len(words))] }

// holds says whether a claim is true of a scene. The two objects of a scene are of
// different kinds, so that a description fits one of them at most.
func (c claim) holds(l layout) bool {
	var found [2]object
	for i, want := range c.objects {
		at := slices.IndexFunc(l.objects[:], func(o object) bool { return o.look == want.look })
		if at < 0 {
			return false
		}
		found[i] = l.objects[at]
		if c.relation == none && found[i].quarter != want.quarter {
			return false
		}
	}
	return c.relation == none || relations[c.relation].holds(found[0].quarter, found[1].quarter)
}

// describe gives a scene its captions: one of the relation, one of the places, and
// others of either.
func describe(l layout, w wordings, s *random.Stream) Scene {
	scene := Scene{layout: l, wordings: w}
	for len(scene.Captions) < sceneCaptions {
		c := claim{l.objects, none}
		if chance(s, 0.5) {
			slices.Reverse(c.objects[:])
		}
		if n := len(scene.Captions); n == 0 || n > 1 && chance(s, 0.5) {
			var possible []int
			for i, r := range relations {
				if r.holds(c.objects[0].quarter, c.objects[1].quarter) {
					possible = append(possible, i)
				}
			}
			c.relation = pick(s, possible)
		}
		if text := c.text(w, s); !slices.Contains(scene.Captions, text) {
			scene.Captions, scene.claims = append(scene.Captions, text), append(scene.claims, c)
		}
	}
	return scene
}

// text gives a claim one of its texts.
func (c claim) text(w wordings, s *random.Stream) string {
	form, words := pick(s, w.places), ""
	if c.relation != none {
		form, words = pick(s, w.relations), pick(s, w.first(relations[c.relation].words))
	}
	return fill(form, map[string]string{
		"A": c.objects[0].text(w, s), "B": c.objects[1].text(w, s), "R": words, "P": c.objects[0].place(), "Q": c.objects[1].place(),
	})
}

// fill puts words in the places of a form.
func fill(form string, words map[string]string) string {
	out := strings.Fields(form)
	for i, word := range out {
		if filled, ok := words[word]; ok {
			out[i] = filled
		}
	}
	return strings.Join(out, " ")
}

func (k look) text(w wordings, s *random.Stream) string {
	return "a " + pick(s, w.first(sizeWords(k.big))) + " " + hues[k.hue].name + " " + figures[k.figure].name
}

func sizeWords(big bool) []string {
	if big {
		return bigWords
	}
	return smallWords
}

func (q quarter) place() string { return rowWords[q.row] + " " + columnWords[q.column] }
