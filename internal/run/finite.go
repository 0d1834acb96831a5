package run

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
)

// checkedWhenOpened is the most parameters of a model whose weights are looked at whenever it is opened: that
// takes some ten milliseconds. Those of a larger one are looked at before much work is done with them; else only its outputs are,
// which a broken weight that a norm or a ReLU swallows does not reach.
const checkedWhenOpened = 16 << 20

func checkOpened(dev engine.Device, params model.Parameters) error {
	if params.Count() > checkedWhenOpened {
		return nil
	}
	return params.CheckWeights(dev)
}

// checkAll is for models that checkOpened left alone.
func checkAll(dir string, params model.Parameters) error {
	if params.Count() <= checkedWhenOpened {
		return nil
	}
	if err := params.CheckWeights(cpu.New()); err != nil {
		return fmt.Errorf("model %s: %w", dir, err)
	}
	return nil
}

func (p *Predictor) checkWeights() error { return checkAll(p.Dir, p.run.model.Params) }
func (g *Generator) checkWeights() error { return checkAll(g.Dir, g.writer.model.Params) }
func (r *Retriever) checkWeights() error { return checkAll(r.Dir, r.model.Params) }
