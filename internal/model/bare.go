package model

import (
	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
)

// Encoder is the Transformer alone, without a head, of a model for any task that reads texts.
type Encoder struct{ Model }

func (e *Encoder) build(p declare) { e.encoder = newEncoder(p, e.Config, e.form) }

// OpenEncoder opens the encoder of a model of configuration cfg, whatever its heads are, for texts. Its parameters are views of
// r, which must stay open. A model for dialogue, whose texts have roles and turns, is [ErrWrongTask].
func OpenEncoder(d engine.Device, cfg Config, r checkpoint.Reader) (*Encoder, error) {
	if cfg.form().dialogue {
		return nil, WrongTaskf("%s, whose texts have roles and turns; give a model that reads plain texts", cfg.problem())
	}
	cfg = cfg.WithoutHead()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	e := &Encoder{Model{Config: cfg, dev: d, form: cfg.form()}}
	var specs []Spec
	e.build(nn.List(&specs))
	if err := nn.Complete(specs, r, "texts"); err != nil {
		return nil, err
	}
	var failure error
	e.build(nn.Open(d, r, &e.Params, &failure))
	return e, failure
}

// FirstTokens returns the last layer's output for the first token of each sequence, B x H. See [Model.LastLayer].
func (e *Encoder) FirstTokens(t *autograd.Tape, in Input) *autograd.Var {
	in.fit(t, 1)
	return e.encoder.firstTokens(t, in)
}
