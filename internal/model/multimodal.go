package model

import (
	"slices"

	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// joint is a batch of sequences that have up to three parts, in this order: an image, the names of
// the objects in it, and a text. Objects and text may be left out of all (without offsets).
//
// Of a text with sources, what comes before it belongs to its source, of which the text itself may
// then have no token: a caption.
type joint struct {
	images        Images
	objects, text Text
}

// encodeJoint returns the last layer's output, a row for each region, object token and text token, and
// the sequences' offsets.
func (e encoder) encodeJoint(t *autograd.Tape, j joint) (x *autograd.Var, offsets []int32) {
	x, a := e.embedJoint(t, j)
	return e.through(t, e.layers, x, a), a.Keys
}

// embedJoint returns the first layer's input and attention.
func (e encoder) embedJoint(t *autograd.Tape, j joint) (*autograd.Var, engine.Attention) {
	x := e.image.apply(t, e.cfg, j.images)
	words := Text{Tokens: slices.Concat(j.objects.Tokens, j.text.Tokens), Positions: slices.Concat(j.objects.Positions, j.text.Positions)}
	if len(words.Tokens) == 0 {
		return x, e.attend(j.images.Offsets, nil)
	}
	var rows, prefix []int32
	offsets := []int32{0}
	regions, objects := int32(x.Value.Rows), int32(len(j.objects.Tokens))
	for s := range j.images.Sequences() {
		rows = appendSequence(rows, j.images.Offsets, s, 0)
		if j.objects.Offsets != nil {
			rows = appendSequence(rows, j.objects.Offsets, s, regions)
		}
		if j.text.Sources != nil {
			prefix = append(prefix, int32(len(rows))-offsets[s]+j.text.Sources[s])
		}
		if j.text.Offsets != nil {
			rows = appendSequence(rows, j.text.Offsets, s, regions+objects)
		}
		offsets = append(offsets, int32(len(rows)))
	}
	return t.StackRows(x, e.embed(t, words), rows), e.attend(offsets, prefix)
}

// appendSequence appends the rows of sequence s, which begin at base.
func appendSequence(rows, offsets []int32, s int, base int32) []int32 {
	for row := offsets[s]; row < offsets[s+1]; row++ {
		rows = append(rows, base+row)
	}
	return rows
}
