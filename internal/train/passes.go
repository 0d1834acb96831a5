package train

import (
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
)

// Loser computes the loss of a batch: see [Task].
type Loser interface {
	Loss(tape *autograd.Tape, epoch, batch int) (parts []*autograd.Var, tokens int, err error)
}

// Reading returns the parts of a batch's loss. It is called once, when the batch is through or several batches later: who reads waits until the
// device has computed what is read, and a device that computes late has the parts of many batches ready at a time (see [engine.Note]).
type Reading func() []float32

// Passer is a [Task], or what one is made of, whose batch goes through the model as often as it wants.
type Passer interface {
	// Passes takes the place of Loss and of the pass backwards: it adds to the gradients of the parameters that of
	// the sum of the parts of a batch's loss, each times its scale, and returns the parts. The tape is reset; its
	// seed belongs to the batch.
	Passes(tape *autograd.Tape, epoch, batch int, scales []float32) (parts Reading, tokens int, err error)
}

// TakeBatch takes a batch through the model in the task's passes, or in one. See [Passer].
func TakeBatch(tape *autograd.Tape, task Loser, epoch, batch int, scales []float32) (parts Reading, tokens int, err error) {
	if p, ok := task.(Passer); ok {
		return p.Passes(tape, epoch, batch, scales)
	}
	return OnePass(tape, task, epoch, batch, scales)
}

// OnePass takes a batch through the model once: forwards and backwards.
func OnePass(tape *autograd.Tape, task Loser, epoch, batch int, scales []float32) (parts Reading, tokens int, err error) {
	losses, tokens, err := task.Loss(tape, epoch, batch)
	if err != nil {
		return nil, 0, err
	}
	return Finish(tape, losses, scales), tokens, nil
}

// Backward passes back the gradient of the sum of losses (1 x 1; nil counts nothing), each times its scale, and returns
// their values. The tape is empty then. The batch goes on in another pass.
func Backward(tape *autograd.Tape, losses []*autograd.Var, scales []float32) Reading {
	read := back(tape, losses, scales, tape.Backward)
	engine.Start(tape.Device()) // each pass is a program
	return read
}

// Finish is [Backward] for the batch's last pass: gradients may be exchanged as it goes on.
func Finish(tape *autograd.Tape, losses []*autograd.Var, scales []float32) Reading {
	return back(tape, losses, scales, tape.Finish)
}

func back(tape *autograd.Tape, losses []*autograd.Var, scales []float32, pass func(loss *autograd.Var, scale float32)) Reading {
	notes := make([]func() []float32, len(losses))
	var total *autograd.Var
	for i, v := range losses {
		if v == nil {
			continue
		}
		notes[i] = engine.Note(tape.Device(), v.Value)
		if scales[i] != 1 {
			v = tape.Scale(v, scales[i])
		}
		if total != nil {
			v = tape.Add(total, v)
		}
		total = v
	}
	if total != nil {
		pass(total, 1)
	}
	return func() []float32 {
		values := make([]float32, len(notes))
		for i, read := range notes {
			if read != nil {
				values[i] = read()[0]
			}
		}
		return values
	}
}
