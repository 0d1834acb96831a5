package extractor

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/nn"
	"github.com/unimo-go/unimo/internal/dataset/picture"
	"github.com/unimo-go/unimo/internal/dataset/regions"
	"github.com/unimo-go/unimo/internal/vision"
	"github.com/unimo-go/unimo/internal/vision/vit"
)

// Learning is a Vision Transformer whose weights are trained with the model that reads its regions. As a [regions.Extractor]
// it sees with the weights as they are, after [Learning.Begin].
type Learning struct {
	*Encoder
	dev   engine.Device
	model *vit.Trainable // nil before Begin
}

var _ regions.Changing = (*Learning)(nil)

// NewLearning returns an extractor for training. Only Vision Transformers can be trained.
func NewLearning(x regions.Extractor) (*Learning, error) {
	e, ok := x.(*Encoder)
	if !ok {
		return nil, fmt.Errorf("%s has no weights that could be trained; give a Vision Transformer: %s", x.Spec(), vit.Supported)
	}
	if e.made.family.name != vitFamily {
		return nil, fmt.Errorf("%s cannot be trained, only Vision Transformers can: %s", e.spec, vit.Supported)
	}
	return &Learning{Encoder: e}, nil
}

// Begin reads the weights again, into memory of d that training may change. What is not asked for to train is seen without rounding factors of
// products, as it is by the commands that open the model later.
func (l *Learning) Begin(d engine.Device) error {
	return l.again(func(r checkpoint.Reader) (err error) {
		l.dev = d
		if engine.Late(d) {
			l.base = engine.Exact(d)
		}
		err = engine.Alone(l.spec.Architecture, func() (err error) {
			l.model, err = vit.OpenTrainable(d, l.made.info.Config, r)
			return err
		})
		if err == nil {
			l.made.network = l.model.Network()
		}
		return err
	})
}

// State implements [regions.Changing]. It looks at some values of each tensor: a step of training changes all.
func (l *Learning) State() uint64 {
	h := fnv.New64a()
	for _, p := range l.model.Params {
		if version, ok := engine.Version(l.dev, p.Value); ok {
			binary.Write(h, binary.LittleEndian, version)
			continue
		}
		values := engine.Values(l.dev, p.Value)
		for _, i := range [...]int{0, len(values) / 2, len(values) - 1} {
			binary.Write(h, binary.LittleEndian, values[i])
		}
	}
	return h.Sum64()
}

// Params are the weights, under their library's names.
func (l *Learning) Params() nn.Parameters { return l.model.Params }

// Extract implements [regions.Extractor].
func (l *Learning) Extract(p *picture.Picture, width, height int, dst *regions.Image) error {
	dst.Prepared = nil
	if !dst.Late {
		return l.Encoder.Extract(p, width, height, dst)
	}
	boxes, err := l.model.Boxes(p.Width, p.Height)
	if err != nil {
		return fmt.Errorf("%s: %w", l.spec.Architecture, err)
	}
	l.place(dst, boxes, width, height)
	dst.Features, dst.Global, dst.Classes, dst.Prepared = dst.Features[:0], nil, nil, p
	return nil
}

// Features returns rows of prepared pictures, one picture below the other, and where each picture's begin: the picture as a
// whole, then its regions. Their gradients are the weights'.
func (l *Learning) Features(t *autograd.Tape, pictures []*picture.Picture) (features *autograd.Var, offsets []int32, err error) {
	pixels := make([]vision.Pixels, len(pictures))
	l.dev.Limit().For(len(pictures), func(i int) { pixels[i] = l.prepare.Pixels(pictures[i]) })
	return l.model.Features(t, pixels)
}

// Now returns what a folder has of the network as it is beside its weights: the spec, and the metadata of their file.
func (l *Learning) Now() (regions.Spec, map[string]string, error) {
	spec := l.spec
	spec.Weights = ""
	r, err := checkpoint.FromTensors(regions.WeightsFile, l.model.Params.Tensors(l.dev))
	if err == nil {
		spec.Fingerprint, err = l.fingerprint(r)
	}
	return spec, l.metadata(), err
}
