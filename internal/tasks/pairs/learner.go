package pairs

import (
	"maps"

	"github.com/unimo-go/unimo/internal/base/random"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/run"
	"github.com/unimo-go/unimo/internal/tasks/images"
	"github.com/unimo-go/unimo/internal/train"
	"github.com/unimo-go/unimo/internal/train/adversarial"
)

// Training is what a learner is made of.
type Training struct {
	Env     *run.Env
	Common  *run.CommonSettings
	Model   Head
	Source  regions.Source
	Spec    *regions.Spec        // of how pictures are cut up; nil for features from elsewhere
	Change  picture.Augmentation // of pictures in training; the zero value is none
	Attacks adversarial.Recipe   // the zero value is none
	Files   map[string][]byte    // of the model's folder, further ones
	Records []Record
}

// Learner trains a model of pictures with texts. It has the methods of [run.Learner] that concern training; the
// kinds' learners embed it and add what they know of scores.
type Learner struct {
	run.Epochs
	t       Training
	files   map[string][]byte
	copies  map[string]string
	packer  packer
	attacks adversarial.Trainer
}

var _ run.Passer = (*Learner)(nil)

// NewLearner returns the learner. It reads one picture, to know how long inputs are.
func NewLearner(t Training) (*Learner, error) {
	if t.Change == (picture.Augmentation{}) {
		t.Change = asTheyAre
	}
	var first regions.Image
	if err := t.Source.Image(t.Records[0].Image, &first); err != nil {
		return nil, err
	}
	eyes := images.EyesOf(t.Source)
	if err := eyes.Check(t.Attacks); err != nil {
		return nil, err
	}
	line := func(i int) int { return t.Records[i].Line }
	files := map[string][]byte{}
	maps.Copy(files, t.Files)
	own, copies := images.Companions(t.Spec)
	maps.Copy(files, own)
	return &Learner{
		Epochs: run.NewEpochs(t.Common, Lengths(t.Records, &first), t.Common.BatchSize, line), t: t, files: files, copies: copies,
		packer: packer{source: t.Source, limit: t.Env.Device.Limit(), eyes: eyes}, attacks: adversarial.Trainer{Recipe: t.Attacks},
	}, nil
}

// Model implements [run.Learner].
func (l *Learner) Model() run.Model {
	return l.packer.eyes.Model(run.Model{Params: l.t.Model.params, Files: l.files, Copies: l.copies})
}

// Close implements [run.Learner].
func (l *Learner) Close() error { return l.t.Source.Close() }

// Parts implements [run.Learner]: a mean over the examples, or over the tokens of what is written.
func (l *Learner) Parts(epoch, batch int) ([]train.Part, error) {
	n := 0
	for _, i := range l.Plan.At(epoch, batch) {
		n += l.t.Model.count(&l.t.Records[i])
	}
	return l.attacks.Parts(n), nil
}

// Passes implements [run.Passer].
func (l *Learner) Passes(tape *autograd.Tape, epoch, batch int, scales []float32) (train.Reading, int, error) {
	in, objective, err := l.batch(tape, epoch, batch)
	if err != nil {
		return nil, 0, err
	}
	return l.attacks.Passes(tape, in, objective, scales)
}

// batch returns what the model reads of a batch, until the next call, and what it is trained for.
func (l *Learner) batch(tape *autograd.Tape, epoch, batch int) (model.Input, model.Objective, error) {
	numbers := l.Plan.At(epoch, batch)
	in, err := l.packer.pack(l.t.Records, numbers, l.t.Change, func(record int) *random.Stream {
		return random.New(l.t.Common.Seed, "augmentation", epoch, record)
	})
	if err == nil {
		err = l.packer.eyes.See(tape, &in, l.packer.prepared)
	}
	return in, l.t.Model.objective(l.t.Records, numbers), err
}

// Loss implements [run.Learner]: one pass, without attacks.
func (l *Learner) Loss(tape *autograd.Tape, epoch, batch int) ([]*autograd.Var, int, error) {
	in, objective, err := l.batch(tape, epoch, batch)
	if err != nil {
		return nil, 0, err
	}
	return []*autograd.Var{objective.Loss(tape, objective.Output(tape, in))}, in.Rows(), nil
}
