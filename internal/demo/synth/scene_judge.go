package synth

import (
	"slices"
	"strings"
)

// Judge reads a caption and says whether it is true of the scene. What is no sentence of the captions'
// grammar is not understood, and not true.
func (c Scene) Judge(caption string) (holds, understood bool) {
	words := strings.Fields(strings.ToLower(caption))
	for _, form := range slices.Concat(c.wordings.relations, c.wordings.places) {
		if said, ok := read(strings.Fields(form), words); ok {
			return said.objects[0].look != said.objects[1].look && said.holds(c.layout), true
		}
	}
	return false, false
}

// read understands words as of a form.
func read(form, words []string) (claim, bool) {
	c := claim{relation: none}
	for _, part := range form {
		n := 0
		switch part {
		case "A":
			n = c.objects[0].look.read(words)
		case "B":
			n = c.objects[1].look.read(words)
		case "R":
			n = c.readRelation(words)
		case "P":
			n = c.objects[0].quarter.read(words)
		case "Q":
			n = c.objects[1].quarter.read(words)
		default:
			if starts(words, part) {
				n = 1
			}
		}
		if n == 0 {
			return claim{}, false
		}
		words = words[n:]
	}
	return c, len(words) == 0
}

// starts says whether words begin with those of a phrase.
func starts(words []string, phrase ...string) bool {
	return len(words) >= len(phrase) && slices.Equal(words[:len(phrase)], phrase)
}

// read takes what an object is from the beginning of words. It returns how many words say it, 0 if they do not.
func (k *look) read(words []string) int {
	if len(words) < 4 || words[0] != "a" {
		return 0
	}
	k.big = slices.Contains(bigWords, words[1])
	k.hue = slices.IndexFunc(hues, func(h hue) bool { return h.name == words[2] })
	k.figure = slices.IndexFunc(figures, func(f figure) bool { return f.name == words[3] })
	if !k.big && !slices.Contains(smallWords, words[1]) || k.hue < 0 || k.figure < 0 {
		return 0
	}
	return 4
}

func (q *quarter) read(words []string) int {
	if len(words) < 2 {
		return 0
	}
	q.row, q.column = slices.Index(rowWords, words[0]), slices.Index(columnWords, words[1])
	if q.row < 0 || q.column < 0 {
		return 0
	}
	return 2
}

func (c *claim) readRelation(words []string) int {
	for i, r := range relations {
		for _, phrase := range r.words {
			if said := strings.Fields(phrase); starts(words, said...) {
				c.relation = i
				return len(said)
			}
		}
	}
	return 0
}
