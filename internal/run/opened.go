package run

import (
	"fmt"

	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/modeldir"
)

// Opened is a finished model's folder, and its parameters on a device. The kinds' own types embed it.
type Opened struct {
	Config model.Config
	Dir    string
	Device engine.Device
	Folder *modeldir.Model
	Params model.Parameters
}

// Open opens the model in the folder dir (or the best model of a run's folder). Its weights are
// mapped, not read. build makes the model of them, which is all that kinds do in their own way.
func Open(dir string, env *Env, build func(o *Opened) (model.Parameters, error)) (*Opened, error) {
	folder, err := modeldir.Open(dir)
	if err != nil {
		return nil, err
	}
	o := &Opened{Config: folder.Config, Dir: folder.Dir, Device: env.Device, Folder: folder}
	o.Params, err = build(o)
	if err == nil && o.Params.Count() <= checkedWhenOpened {
		err = o.Params.CheckWeights(o.Device)
	}
	if err != nil {
		folder.Close()
		return nil, fmt.Errorf("model %s: %w", folder.Dir, err)
	}
	return o, nil
}

// checkedWhenOpened is the most parameters of a model whose weights are looked at whenever it is opened: that
// takes some ten milliseconds. Those of a larger one are looked at before much work is done with them; else only its outputs are,
// which a broken weight that a norm or a ReLU swallows does not reach.
const checkedWhenOpened = 16 << 20

// CheckWeights looks at the weights of a model that is so large that opening it did not.
func (o *Opened) CheckWeights() error {
	if o.Params.Count() <= checkedWhenOpened {
		return nil
	}
	if err := o.Params.CheckWeights(o.Device); err != nil {
		return fmt.Errorf("model %s: %w", o.Dir, err)
	}
	return nil
}

// Fits returns an error if the model was made for another kind of task.
func (o *Opened) Fits(t *Task) error {
	if problem := t.Kind.Problem(); o.Config.ProblemType != problem {
		return fmt.Errorf("model %s is for %s, but %s needs one for %s; give a model fine-tuned for it", o.Dir, o.Config.ProblemType, t.Name, problem)
	}
	return nil
}

// Close releases the model.
func (o *Opened) Close() error { return o.Folder.Close() }
