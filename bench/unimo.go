package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/unimo-go/unimo"

	"github.com/unimo-go/unimo/checkpoint"
	"github.com/unimo-go/unimo/internal/compute/autograd"
	"github.com/unimo-go/unimo/internal/compute/engine"
	"github.com/unimo-go/unimo/internal/compute/engine/cpu"
	"github.com/unimo-go/unimo/internal/compute/optim"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/model/decode"
	"github.com/unimo-go/unimo/internal/model/modeldir"
	"github.com/unimo-go/unimo/internal/train/adversarial"
	"github.com/unimo-go/unimo/tokenizer"
)

// step works on one batch.
type step func(b batch) error

// place is where and at which size a model computes.
type place struct {
	device engine.Device
	size   model.Config
}

// processor is where workloads compute unless they are for accelerators.
func processor() place { return place{cpu.New(), model.Base} }

// config is that of a model of the place's size.
func (p place) config(problem string, labels int) model.Config {
	cfg := p.size
	cfg.ProblemType, cfg.NumLabels = problem, labels
	return cfg
}

// pack makes in the model's view of a batch, in the memory it has.
func pack(in *model.Input, b batch) {
	in.Reset()
	for i, s := range b.Sequences {
		if b.Targets == nil {
			in.Text.Append(s)
			continue
		}
		target := b.Targets[i]
		in.Text.AppendTarget(s, append(s[:1:1], target[:len(target)-1]...)) // behind [CLS], without the end
	}
}

// newTraining returns a whole step of training a classifier.
func newTraining(p place) (step, error) {
	d := p.device
	m, err := model.New[*model.Classifier](d, p.config(model.Classification, 2), 1)
	if err != nil {
		return nil, err
	}
	return learning(d, m.Params, func(t *autograd.Tape, in model.Input, b batch) *autograd.Var {
		return m.Loss(t, m.Logits(t, in), model.Targets{Classes: b.Labels})
	}), nil
}

// newTextTraining returns a whole step of training to write, with label smoothing.
func newTextTraining(p place) (step, error) {
	d := p.device
	m, err := model.New[*model.Generator](d, p.config(model.Generation, 0), 1)
	if err != nil {
		return nil, err
	}
	return learning(d, m.Params, func(t *autograd.Tape, in model.Input, b batch) *autograd.Var {
		return m.Loss(t, in, slices.Concat(b.Targets...), 0.1)
	}), nil
}

// learning returns a step of one pass: forward, backward, clip, Adam.
func learning(d engine.Device, parameters model.Parameters, loss func(*autograd.Tape, model.Input, batch) *autograd.Var) step {
	return passing(d, parameters, func(t *autograd.Tape, in model.Input, b batch) error {
		t.Backward(loss(t, in, b), 1)
		return nil
	})
}

// passing returns a step: what makes the gradients, clip, Adam.
func passing(d engine.Device, parameters model.Parameters, passes func(*autograd.Tape, model.Input, batch) error) step {
	var params []optim.Param
	for _, p := range parameters {
		params = append(params, optim.Param{Name: p.Name, Value: p.Value, Grad: p.Gradient()})
	}
	adam := optim.NewAdam(d, optim.Default, params)
	var in model.Input
	pass, tape := uint64(0), autograd.NewTape(d, autograd.Seed{})
	return func(b batch) error {
		pass++
		pack(&in, b)
		parameters.ClearGradients()
		tape.Reset(autograd.Seed{Key: 1, Pass: pass})
		if err := passes(tape, in, b); err != nil {
			return err
		}
		_, err := adam.Step(1e-5)
		return err
	}
}

// newWriting returns beam search for targets of a given length, from texts or from images.
func newWriting(p place, problem string, tok decode.Vocabulary) (step, error) {
	d := p.device
	cfg := p.config(problem, 0)
	random, err := model.New[*model.Generator](d, cfg, 1)
	if err != nil {
		return nil, err
	}
	r, err := checkpoint.FromTensors("random weights", random.Params.Tensors(d))
	if err != nil {
		return nil, err
	}
	m, err := model.Open[*model.Generator](d, cfg, r) // whose weights never change, as users have it
	if err != nil {
		return nil, err
	}
	decoder, images := decode.New(d, m, tok), newPictures()
	return func(b batch) error {
		o := decode.Default
		o.BeamSize, o.MinLength, o.MaxLength = b.Beams, b.Length, b.Length
		sources := make([]decode.Source, b.size())
		for i, s := range b.Sequences {
			sources[i].Text.Append(s)
		}
		for i := range b.Images {
			sources[i].Images = images.at(i, b)
		}
		results, err := decoder.Run(context.Background(), sources, o, nil)
		if err != nil {
			return err
		}
		for _, r := range results {
			if n := len(r.Best().IDs); n != b.Length {
				return fmt.Errorf("%d tokens written, want %d", n, b.Length)
			}
		}
		return nil
	}, nil
}

// newWritingWords is newWriting of texts, with a vocabulary that has no words.
func newWritingWords(p place) (step, error) {
	return newWriting(p, model.Generation, words(p.size.VocabSize))
}

// pictures are images of random regions, the same for whoever asks.
type pictures struct {
	random *rand.Rand
	model.Images
}

func newPictures() *pictures {
	return &pictures{rand.New(rand.NewPCG(1, 1)), model.Images{Offsets: []int32{0}}}
}

// of returns the images of a batch.
func (p *pictures) of(b batch) model.Images {
	size := model.Base.ImageEmbeddingSize
	for p.Sequences() < b.Images {
		for range b.Regions * size {
			p.Features = append(p.Features, float32(p.random.NormFloat64()))
		}
		for range b.Regions * model.LocationSize {
			p.Locations = append(p.Locations, p.random.Float32())
		}
		p.Offsets = append(p.Offsets, p.Offsets[p.Sequences()]+int32(b.Regions))
	}
	regions := int(p.Offsets[b.Images])
	return model.Images{Features: p.Features[:regions*size], Locations: p.Locations[:regions*model.LocationSize], Offsets: p.Offsets[:b.Images+1]}
}

// at returns one of them.
func (p *pictures) at(i int, b batch) model.Images {
	size, first := model.Base.ImageEmbeddingSize, i*b.Regions
	all := p.of(batch{Images: i + 1, Regions: b.Regions})
	return model.Images{Features: all.Features[first*size:], Locations: all.Locations[first*model.LocationSize:], Offsets: []int32{0, int32(b.Regions)}}
}

func modelPairs(b batch) []model.Pair {
	pairs := make([]model.Pair, len(b.Pairs))
	for i, p := range b.Pairs {
		pairs[i] = model.Pair{Image: int32(p[0]), Text: int32(p[1])}
	}
	return pairs
}

// newPairTraining returns a whole step of training on groups, as the reference's recipe has it.
func newPairTraining(p place) (step, error) {
	d := p.device
	m, err := model.New[*model.Retriever](d, p.config(model.Retrieval, 0), 1)
	if err != nil {
		return nil, err
	}
	images := newPictures()
	return learning(d, m.Params, func(t *autograd.Tape, in model.Input, b batch) *autograd.Var {
		scores := m.Scores(t, m.Side(t, model.Input{Images: images.of(b)}), m.Side(t, in), modelPairs(b))
		return m.CircleLoss(t, scores, b.Group, (b.Group-1)/2, 0.2, 1, false)
	}), nil
}

// newEntailmentTraining returns a step of training a classifier of images with texts, a plain one or the reference's,
// which is adversarial.
func newEntailmentTraining(p place, attacked bool) (step, error) {
	d := p.device
	m, err := model.New[*model.Classifier](d, p.config(model.Entailment, 3), 1)
	if err != nil {
		return nil, err
	}
	images, trainer := newPictures(), adversarial.Trainer{Recipe: adversarial.None()}
	if attacked {
		trainer.Recipe = adversarial.Entailment()
	}
	var scales []float32
	for _, p := range trainer.Parts(1) {
		scales = append(scales, float32(p.Weight))
	}
	return passing(d, m.Params, func(t *autograd.Tape, in model.Input, b batch) error {
		in.Images, trainer.AdvStep = images.of(b), b.Steps
		_, _, err := trainer.Passes(t, in, m.Objective(model.Targets{Classes: b.Labels}), scales)
		return err
	}), nil
}

// newPretraining returns a whole step of pre-training on pairs of an image and a caption: every seventh token and region is hidden and predicted, and
// each image and each caption is told from the others, read alone and together.
func newPretraining(p place) (step, error) {
	d := p.device
	cfg := p.config(model.Pretraining, 0)
	cfg.ContrastSize = cfg.HiddenSize
	m, err := model.New[*model.Pretrainer](d, cfg, 1)
	if err != nil {
		return nil, err
	}
	images := newPictures()
	return learning(d, m.Params, func(t *autograd.Tape, in model.Input, b batch) *autograd.Var {
		in.Images = images.of(b)
		h := model.Hidden{Input: in}
		for i := 1; i < len(in.Text.Tokens); i += 7 {
			h.Places, h.Labels = append(h.Places, int32(i)), append(h.Labels, in.Text.Tokens[i])
		}
		size := cfg.ImageEmbeddingSize
		for i := 1; i < b.Images*b.Regions; i += 7 {
			h.Regions, h.Targets = append(h.Regions, int32(i)), append(h.Targets, in.Images.Features[i*size:][:size]...)
		}
		l := m.Losses(t, h)
		kinds := make([]int8, b.Images*len(b.Sequences))
		for i := range b.Images {
			kinds[i*len(b.Sequences)+i] = engine.Positive
		}
		groups := engine.Contrast{Group: len(b.Sequences), Kinds: kinds}
		seen, read := m.Side(t, model.Input{Images: in.Images}), m.Side(t, model.Input{Text: in.Text})
		alone := t.ContrastiveLoss(t.Scale(t.ProductNT(m.ImageVectors(t, seen), m.TextVectors(t, read)), 14), groups)
		joint := t.ContrastiveLoss(m.Scores(t, seen, read, modelPairs(b)), groups)
		return t.Add(t.Add(l.Language, l.Feature), t.Add(alone, joint))
	}), nil
}

// newAnswering returns a whole step of training to answer questions about images, by classes.
func newAnswering(p place) (step, error) {
	const classes = answers
	d := p.device
	m, err := model.New[*model.Classifier](d, p.config(model.Answering, classes), 1)
	if err != nil {
		return nil, err
	}
	images := newPictures()
	var targets []float32
	return learning(d, m.Params, func(t *autograd.Tape, in model.Input, b batch) *autograd.Var {
		in.Images = images.of(b)
		targets = slices.Grow(targets[:0], len(b.Sequences)*classes)[:len(b.Sequences)*classes]
		for i := range b.Sequences {
			targets[i*classes+i] = 1
		}
		return m.Loss(t, m.Logits(t, in), model.Targets{Soft: targets})
	}), nil
}

// newClassifying returns the scores of a classifier's classes, as an evaluation has them.
func newClassifying(p place) (step, error) {
	m, err := model.New[*model.Classifier](p.device, p.config(model.Classification, 2), 1)
	if err != nil {
		return nil, err
	}
	var in model.Input
	tape := autograd.NewInference(p.device)
	return func(b batch) error {
		defer tape.Release()
		pack(&in, b)
		if n := len(engine.Values(p.device, m.Logits(tape, in).Value)); n != 2*len(b.Sequences) {
			return fmt.Errorf("%d scores for %d texts", n, len(b.Sequences))
		}
		return nil
	}, nil
}

// newAsking returns the scores of all answers to questions about images.
func newAsking(p place) (step, error) {
	d := p.device
	cfg := p.config(model.Entailment, answers)
	random, err := model.New[*model.Classifier](d, cfg, 1)
	if err != nil {
		return nil, err
	}
	r, err := checkpoint.FromTensors("random weights", random.Params.Tensors(d))
	if err != nil {
		return nil, err
	}
	m, err := model.Open[*model.Classifier](d, cfg, r) // whose weights never change, as users have it
	if err != nil {
		return nil, err
	}
	var in model.Input
	images, tape := newPictures(), autograd.NewInference(d)
	return func(b batch) error {
		defer tape.Release()
		pack(&in, b)
		in.Images = images.of(b)
		if err := in.Check(cfg); err != nil {
			return err
		}
		if n := len(engine.Values(d, m.Logits(tape, in).Value)); n != len(b.Sequences)*answers {
			return fmt.Errorf("%d scores for %d questions", n, len(b.Sequences))
		}
		return nil
	}, nil
}

// scoredAtOnce are some 2,000 rows, as evaluation takes them.
const scoredAtOnce = 18

// newScoring returns the scores of pairs, of which each image and each text is read once. whole: the encoder's weights are int8.
func newScoring(p place, whole bool) (step, error) {
	d := p.device
	cfg := p.config(model.Retrieval, 0)
	random, err := model.New[*model.Retriever](d, cfg, 1)
	if err != nil {
		return nil, err
	}
	r, err := checkpoint.FromTensors("random weights", random.Params.Tensors(d))
	if err != nil {
		return nil, err
	}
	if whole {
		if r, err = checkpoint.Quantise(r, multiplied(random.Params)); err != nil {
			return nil, err
		}
		if r, err = checkpoint.Quantised(r); err != nil {
			return nil, err
		}
	}
	m, err := model.Open[*model.Retriever](d, cfg, r) // whose weights never change, as users have it
	if err != nil {
		return nil, err
	}
	var in model.Input
	all, tape := newPictures(), autograd.NewInference(d)
	return func(b batch) error {
		pack(&in, b)
		images, texts := m.Side(tape, model.Input{Images: all.of(b)}).Keep(d), m.Side(tape, in).Keep(d)
		defer images.Free(d)
		defer texts.Free(d)
		tape.Release()
		for pairs := range slices.Chunk(modelPairs(b), scoredAtOnce) {
			scores := engine.Values(d, m.Scores(tape, images, texts, pairs).Value)
			if len(scores) != len(pairs) {
				return fmt.Errorf("%d scores of %d pairs", len(scores), len(pairs))
			}
			tape.Release()
		}
		return nil
	}, nil
}

// newPrediction returns what users of the library call, from text to classes.
func newPrediction(dir string, options ...unimo.Option) (step, error) {
	m, err := unimo.Open(dir, options...)
	if err != nil {
		return nil, err
	}
	return func(b batch) error {
		inputs := make([]unimo.Input, len(b.Texts))
		for i, text := range b.Texts {
			inputs[i].Text = text
		}
		_, err := m.Predict(context.Background(), inputs...)
		return err
	}, nil
}

// newEmbedding returns what users of the library call, from text to vectors.
func newEmbedding(dir string) (step, error) {
	m, err := unimo.OpenEmbedder(dir)
	if err != nil {
		return nil, err
	}
	return func(b batch) error {
		_, err := m.Embed(context.Background(), b.Texts...)
		return err
	}, nil
}

// newEncoding returns the forward pass that computes the last layer for every token.
func newEncoding(dir string) (step, error) {
	folder, err := modeldir.Open(dir)
	if err != nil {
		return nil, err
	}
	d := cpu.New()
	m, err := model.Open[*model.Classifier](d, folder.Config, folder.Weights)
	if err != nil {
		return nil, err
	}
	var in model.Input
	tape := autograd.NewInference(d)
	return func(b batch) error {
		pack(&in, b)
		if err := in.Check(m.Config); err != nil {
			return err
		}
		sequence := m.LastLayer(tape, in)
		if rows := len(d.Host(sequence.Value)) / m.Config.HiddenSize; rows != in.Rows() {
			return fmt.Errorf("%d rows for %d tokens", rows, in.Rows())
		}
		tape.Release()
		return nil
	}, nil
}

// writeModel writes the folder of a model with random weights and, in it, folders of the same in fewer bits.
func writeModel(dir string, tok *tokenizer.Tokenizer) error {
	d := cpu.New()
	m, err := model.New[*model.Classifier](d, processor().config(model.Classification, 2), 1)
	if err != nil {
		return err
	}
	content := modeldir.Content{Config: m.Config, Tokenizer: tok, Tensors: m.Params.Tensors(d), Card: "random weights\n"}
	if err := modeldir.Save(dir, content); err != nil {
		return err
	}
	r, err := checkpoint.FromTensors("random weights", content.Tensors)
	if err != nil {
		return err
	}
	for name, lower := range map[string]func() (checkpoint.Reader, error){
		"bfloat16": func() (checkpoint.Reader, error) { return checkpoint.Cast(r, checkpoint.BF16) },
		"float16":  func() (checkpoint.Reader, error) { return checkpoint.Cast(r, checkpoint.F16) },
		"int8":     func() (checkpoint.Reader, error) { return checkpoint.Quantise(r, multiplied(m.Params)) },
	} {
		lowered, err := lower()
		if err != nil {
			return err
		}
		content.Tensors, content.Metadata = nil, lowered.Metadata()
		for _, info := range lowered.Tensors() {
			data, err := lowered.Bytes(info.Name)
			if err != nil {
				return err
			}
			content.Tensors = append(content.Tensors, checkpoint.Tensor{Info: info, Data: data})
		}
		if err := modeldir.Save(filepath.Join(dir, name), content); err != nil {
			return err
		}
	}
	return nil
}

// multiplied names the encoder's weights of x·w, whose scales belong to columns.
func multiplied(params model.Parameters) map[string]bool {
	weights := map[string]bool{}
	for _, p := range params {
		if strings.HasPrefix(p.Name, "encoder_layer_") && len(p.Shape) == 2 {
			weights[p.Name] = false
		}
	}
	return weights
}
