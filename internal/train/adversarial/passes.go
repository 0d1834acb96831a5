package adversarial

import (
	"slices"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/train"
)

// Trainer takes batches through a model as a recipe says.
type Trainer struct {
	Recipe

	preview *autograd.Tape
	trace   func(attack string, step int, added []float32) // of tests, which may change it; nil: none
}

// Passes is [train.Passer.Passes] for an input and what the model is trained for on it. The parts are those of
// [Recipe.Parts].
func (t *Trainer) Passes(tape *autograd.Tape, in model.Input, o model.Objective, scales []float32) (parts train.Reading, tokens int, err error) {
	if t.Adv == "" {
		return train.Finish(tape, []*autograd.Var{o.Loss(tape, o.Output(tape, in))}, scales), in.Rows(), nil
	}
	if t.preview == nil || t.preview.Device() != tape.Device() {
		t.preview = autograd.NewPreview(tape.Device())
	}
	if t.compares() {
		o = o.Comparable()
	}
	b := &batch{Trainer: t, Objective: o, dev: tape.Device(), tape: tape, seed: tape.Seed(), in: in, scales: scales, parts: make([]float32, len(scales))}
	for _, p := range t.Parts(0) {
		b.names = append(b.names, p.Name)
	}
	b.look()
	for _, name := range t.attacks() {
		b.attack(name, b.begin(name))
	}
	b.finish()
	return b.read, in.Rows(), nil
}

// batch is one on its way.
type batch struct {
	*Trainer
	model.Objective
	dev    engine.Device
	tape   *autograd.Tape
	seed   autograd.Seed
	passes int // under attack so far
	in     model.Input

	names  []string // of the parts
	scales []float32
	parts  []float32
	later  []func() // add to the parts

	words, regions *autograd.Var // embedded once, for the passes that leave them as they are
	output         *autograd.Var // without attack; nil if nothing is compared with it
}

// part returns the place of a part of the loss.
func (b *batch) part(name string) int { return slices.Index(b.names, name) }

// look computes what the passes share.
func (b *batch) look() {
	t := b.preview
	t.Reset(b.seed)
	words, regions := b.Embed(t, b.in)
	b.words, b.regions = b.keep(words), b.keep(regions)
	if b.compares() {
		b.output = b.keep(b.Output(t, b.with(model.Embedding{Words: words, Regions: regions})))
	}
	t.Release()
	engine.Start(b.dev) // each pass is a program
}

// keep returns a leaf with a copy of the value of v, if there is one.
func (b *batch) keep(v *autograd.Var) *autograd.Var {
	if v == nil {
		return nil
	}
	value := b.dev.New(v.Value.Rows, v.Value.Cols)
	b.dev.Copy(value, v.Value)
	return autograd.Leaf(value)
}

// with is the input with what is known of its embedding, and what is to be added.
func (b *batch) with(e model.Embedding) model.Input {
	in := b.in
	in.Embedding = e
	return in
}

// attack goes the steps of one attack and adds their gradients to the parameters'.
func (b *batch) attack(name string, a *addition) {
	share := 1 / float32(b.AdvStep)
	for step := range b.AdvStep {
		if b.trace != nil {
			added := engine.Values(b.dev, a.value)
			b.trace(name, step, added)
			b.dev.Write(a.value, added)
		}
		last := step == b.AdvStep-1 // nothing follows the gradient
		shift := autograd.Leaf(a.value)
		if last {
			shift = autograd.Const(a.value)
		}
		b.next()
		output := b.Output(b.tape, b.with(a.embedding(shift)))
		loss := b.Loss(b.tape, output)
		if !last && b.apart() {
			b.tape.Gradient(loss, share, shift)
			b.move(a, shift.Slopes(), 1)
			shift.Stop()
		}
		losses, scales, at := []*autograd.Var{loss}, []float32{b.scales[b.part(name)] * share}, b.part(divergence)
		if at >= 0 {
			losses, scales = append(losses, b.Divergence(b.tape, b.output, output)), append(scales, b.scales[at])
		}
		values := train.Backward(b.tape, losses, scales)
		b.later = append(b.later, func() {
			values := values()
			b.parts[b.part(name)] += values[0] * share
			if at >= 0 {
				b.parts[at] += values[1]
			}
		})
		if !last && !b.apart() {
			b.move(a, shift.Slopes(), 1/b.scales[b.part(name)])
		}
	}
	b.dev.Free(a.value)
}

// next makes the tape ready for a pass with dropout of its own.
func (b *batch) next() {
	b.passes++
	b.tape.Reset(autograd.Seed{Key: random.New(b.seed.Key, "dropout under attack", int(b.seed.Pass), b.passes).Uint64(), Pass: b.seed.Pass})
}

// finish takes the batch without attack through the model, with what the passes under attack found out about the
// derivatives by its output and its embedding.
func (b *batch) finish() {
	for _, copied := range []*autograd.Var{b.words, b.regions, b.output} {
		if copied != nil {
			b.dev.Free(copied.Value)
		}
	}
	t := b.tape
	t.Reset(b.seed)
	var losses []*autograd.Var
	var scales []float32
	add := func(loss *autograd.Var, scale float32) { losses, scales = append(losses, loss), append(scales, scale) }
	words, regions := b.Embed(t, b.in)
	if at := b.part(clean); at >= 0 {
		output := b.Output(t, b.with(model.Embedding{Words: words, Regions: regions}))
		loss := b.Loss(t, output)
		add(loss, b.scales[at])
		b.give(output, b.output, add)
	}
	b.give(words, b.words, add)
	b.give(regions, b.regions, add)
	values := train.Finish(t, losses, scales)
	b.later = append(b.later, func() {
		values := values()
		if at := b.part(clean); at >= 0 {
			b.parts[at] = values[0]
		}
	})
}

// read is the [train.Reading] of the batch.
func (b *batch) read() []float32 {
	for _, add := range b.later {
		add()
	}
	return b.parts
}

// give adds the slopes that a copy of v has gathered.
func (b *batch) give(v, copied *autograd.Var, add func(*autograd.Var, float32)) {
	if copied == nil {
		return
	}
	if slopes := copied.Slopes(); slopes != nil {
		add(b.tape.Given(v, slopes), 1)
	}
}
