package model

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/nn"
)

// pooler is the affine map of the first token of a text that classifiers have behind the encoder, with the activation
// that follows it: the reference's is relu, BERT's and RoBERTa's tanh, ELECTRA's gelu. A map that was trained with one is
// of no use with another.
type pooler struct {
	linear
	act string
}

// pooledText is what the reference calls the map.
const pooledText = "pooled_fc_text"

func newPooler(p declare, cfg Config) pooler {
	return pooler{newLinear(p, pooledText, cfg.HiddenSize, cfg.HiddenSize), cfg.Pooler()}
}

// apply returns the pooled rows of x.
func (l pooler) apply(t *autograd.Tape, x *autograd.Var) *autograd.Var {
	switch x = l.Apply(t, x); l.act {
	case actTanh:
		return t.Tanh(x)
	case actGELU:
		return t.GELU(x)
	}
	return t.ReLU(x)
}

// Pooler is the activation of the pooled first token of a text.
func (c Config) Pooler() string { return cmp.Or(c.PoolerAct, actReLU) }

// validatePooler checks pooler_act.
func (c Config) validatePooler() error {
	switch p := c.Pooler(); {
	case p != actReLU && p != actTanh && p != actGELU:
		return fmt.Errorf("pooler_act is %q; it can be %q, as UNIMO has it, %q, as BERT and RoBERTa, or %q, as ELECTRA", p, actReLU, actTanh, actGELU)
	case p != actReLU && (c.form().images != unread || c.ProblemType == MultiTask):
		return fmt.Errorf("pooler_act is %q, but problem_type is %q, whose models have %q", p, c.ProblemType, actReLU)
	}
	return nil
}

// FitPooler returns a checkpoint of configuration from as a model of configuration to starts from it: without its pooler,
// if that was trained with another activation. left says why, "" if nothing is left out. Closing the reader closes r.
func FitPooler(from, to Config, r checkpoint.Reader) (fitted checkpoint.Reader, left string) {
	if _, err := r.Info(pooledText + ".w_0"); err != nil || from.Pooler() == to.Pooler() {
		return r, ""
	}
	return Without(r, pooledText+".w_0", pooledText+".b_0"),
		fmt.Sprintf("the pooler of the checkpoint is left out: it was trained with %s, and this model has %s", from.Pooler(), to.Pooler())
}

// Without returns a checkpoint without some of its tensors. Closing it closes r.
func Without(r checkpoint.Reader, names ...string) checkpoint.Reader { return lessened{r, names} }

type lessened struct {
	checkpoint.Reader
	names []string
}

// Tensors implements [checkpoint.Reader].
func (w lessened) Tensors() []checkpoint.Info {
	return slices.DeleteFunc(w.Reader.Tensors(), func(info checkpoint.Info) bool { return slices.Contains(w.names, info.Name) })
}

// Info implements [checkpoint.Reader].
func (w lessened) Info(name string) (checkpoint.Info, error) {
	if slices.Contains(w.names, name) {
		return checkpoint.Info{}, fmt.Errorf("%s: tensor %s is left out", w.Path(), name)
	}
	return w.Reader.Info(name)
}

// Bytes implements [checkpoint.Reader].
func (w lessened) Bytes(name string) ([]byte, error) {
	if _, err := w.Info(name); err != nil {
		return nil, err
	}
	return w.Reader.Bytes(name)
}

// Int8 shows the whole numbers of a quantised checkpoint ([nn.Int8]).
func (w lessened) Int8(name string) (values []int8, scales []float32, perRow, ok bool, err error) {
	if _, err := w.Info(name); err != nil {
		return nil, nil, false, false, err
	}
	return nn.Int8(w.Reader, name)
}
