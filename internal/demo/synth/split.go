package synth

import (
	"strings"

	"github.com/unimo-go/unimo/internal/base/random"
)

// world is what a kind of synthetic data supplies: meanings of type M and their
// forms of type F (a sentence here; a picture or a dialogue elsewhere).
type world[M, F any] interface {
	// sample draws a meaning.
	sample(*random.Stream) M
	// realise gives a meaning one of its forms.
	realise(M, *random.Stream) F
	// fits says whether a form has an allowed size.
	fits(F) bool
	// class is the label that follows from the meaning, from 0 to classes()-1.
	class(M) int
	classes() int
	// unseen says whether the meaning has a combination kept out of training.
	unseen(M) bool
	// parts are the atoms of a form, for a sentence its words. Forms with equal
	// parts are the same example.
	parts(F) []string
}

// drawn is a form with the meaning it came from.
type drawn[M, F any] struct {
	meaning M
	form    F
}

// patience is how many draws in a row may be refused before split concludes
// that the world has nothing new to offer. A draw of the opinions is refused
// about nine times in ten at worst, so this many refusals are no accident.
const patience = 10_000

// split draws train examples without unseen combinations and heldOut examples
// with them. All are distinct. Classes take turns, in random order within each
// turn, so that every prefix is balanced to within one turn. Each part of a
// held-out example occurs in training. A world too small for the numbers asked
// for, or a training set too small to show every part, gives fewer examples.
func split[M, F any](w world[M, F], seed uint64, train, heldOut int) (trainSet, heldOutSet []drawn[M, F]) {
	taken := make(map[string]bool)
	known := make(map[string]bool)

	all := func([]string) bool { return true }
	trainSet = draw(w, random.New(seed, "train"), train, false, taken, all)
	for _, d := range trainSet {
		for _, part := range w.parts(d.form) {
			known[part] = true
		}
	}
	heldOutSet = draw(w, random.New(seed, "held out"), heldOut, true, taken, func(parts []string) bool {
		for _, part := range parts {
			if !known[part] {
				return false
			}
		}
		return true
	})
	return trainSet, heldOutSet
}

// draw collects n examples with or without unseen combinations, whose parts
// accept allows and which taken does not hold yet, and adds them to taken.
func draw[M, F any](w world[M, F], s *random.Stream, n int, unseen bool, taken map[string]bool, accept func(parts []string) bool) []drawn[M, F] {
	var out []drawn[M, F]
	var turn []int
	for refused := 0; len(out) < n && refused < patience; refused++ {
		if len(turn) == 0 {
			turn = s.Perm(w.classes())
		}
		meaning := w.sample(s)
		if w.class(meaning) != turn[0] || w.unseen(meaning) != unseen {
			continue
		}
		form := w.realise(meaning, s)
		parts := w.parts(form)
		key := strings.Join(parts, " ")
		if !w.fits(form) || taken[key] || !accept(parts) {
			continue
		}
		taken[key] = true
		out = append(out, drawn[M, F]{meaning, form})
		turn, refused = turn[1:], 0
	}
	return out
}
