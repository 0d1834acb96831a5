package synth

import (
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// traits are what a description names of an object.
type traits uint8

const (
	bySize traits = 1 << iota
	byHue
	byFigure
	byPlace
)

// matches says whether two objects are alike in all of t.
func (o object) matches(p object, t traits) bool {
	return (t&bySize == 0 || o.big == p.big) && (t&byHue == 0 || o.hue == p.hue) &&
		(t&byFigure == 0 || o.figure == p.figure) && (t&byPlace == 0 || o.quarter == p.quarter)
}

// shows says whether the picture has an object like o in all of t.
func (l layout) shows(o object, t traits) bool {
	return slices.ContainsFunc(l.objects[:], func(p object) bool { return p.matches(o, t) })
}

// describe names an object by t: "the big circle at the top left". The article is "a" or "the".
func (o object) describe(article string, t traits) string {
	var words []string
	if t&bySize != 0 {
		words = append(words, sizeWords(o.big)[0])
	}
	if t&byHue != 0 {
		words = append(words, hues[o.hue].name)
	}
	if t&byFigure != 0 {
		words = append(words, figures[o.figure].name)
	} else {
		words = append(words, "object")
	}
	if t&byPlace != 0 {
		words = append(words, "at the", o.place())
	}
	if article == "a" && strings.ContainsRune("aeiou", rune(words[0][0])) {
		article = "an"
	}
	return article + " " + strings.Join(words, " ")
}

// distinct returns one of the options that tells the scene's object i from the other. One must.
func (l layout) distinct(i int, s *random.Stream, options ...traits) traits {
	return pick(s, slices.DeleteFunc(slices.Clone(options), func(t traits) bool { return l.objects[i].matches(l.objects[1-i], t) }))
}

// nearMiss returns an object that is like one of the scene's, but in one of t, if that; at times the
// trait is the other object's.
func (l layout) nearMiss(t traits, s *random.Stream) object {
	i := s.IntN(2)
	o, other := l.objects[i], l.objects[1-i]
	var each []traits
	for _, one := range []traits{bySize, byHue, byFigure} {
		if t&one != 0 {
			each = append(each, one)
		}
	}
	borrow := chance(s, 0.5)
	switch one := pick(s, each); {
	case one == bySize:
		o.big = !o.big
	case one == byHue && borrow:
		o.hue = other.hue
	case one == byHue:
		o.hue = s.IntN(len(hues))
	case borrow:
		o.figure = other.figure
	default:
		o.figure = s.IntN(len(figures))
	}
	return o
}

// absent returns a near miss that no object of the scene matches in t, which must name colour or shape.
func (l layout) absent(t traits, s *random.Stream) object {
	for {
		if o := l.nearMiss(t, s); !l.shows(o, t) {
			return o
		}
	}
}
