package main

import (
	"context"
	"fmt"

	"github.com/unimo-go/unimo"
	"github.com/unimo-go/unimo/internal/autograd"
	"github.com/unimo-go/unimo/internal/data"
	"github.com/unimo-go/unimo/internal/engine/cpu"
	"github.com/unimo-go/unimo/internal/model"
	"github.com/unimo-go/unimo/internal/modeldir"
	"github.com/unimo-go/unimo/internal/optim"
	"github.com/unimo-go/unimo/internal/tokenizer"
)

// step works on one batch.
type step func(b batch) error

func config() model.Config {
	cfg := model.Base
	cfg.ProblemType, cfg.NumLabels = model.Classification, 2
	return cfg
}

// pack makes t the model's view of a batch, in the memory it has.
func pack(t *model.Text, b batch) {
	t.Tokens, t.Positions, t.Offsets = t.Tokens[:0], t.Positions[:0], append(t.Offsets[:0], 0)
	for _, s := range b.Sequences {
		t.Tokens = append(t.Tokens, s...)
		for i := range s {
			t.Positions = append(t.Positions, int32(data.FirstPosition+i))
		}
		t.Offsets = append(t.Offsets, int32(len(t.Tokens)))
	}
}

// newTraining returns a whole step of training: forward, backward, clip, Adam.
func newTraining() (step, error) {
	d := cpu.New()
	m, err := model.New(d, config(), 1)
	if err != nil {
		return nil, err
	}
	var params []optim.Param
	for _, p := range m.Params {
		params = append(params, optim.Param{Name: p.Name, Value: p.Value, Grad: p.Gradient()})
	}
	adam := optim.NewAdam(d, optim.Default, params)
	var in model.Text
	pass, tape := uint64(0), autograd.NewTape(d, autograd.Seed{})
	return func(b batch) error {
		pass++
		pack(&in, b)
		m.Params.ClearGradients()
		tape.Reset(autograd.Seed{Key: 1, Pass: pass})
		tape.Backward(m.Loss(tape, m.Logits(tape, in), model.Targets{Classes: b.Labels}), 1)
		_, err := adam.Step(1e-5)
		return err
	}, nil
}

// newPrediction returns what users of the library call, from text to classes.
func newPrediction(dir string) (step, error) {
	m, err := unimo.Open(dir)
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

// newEncoding returns the forward pass that computes the last layer for every token.
func newEncoding(dir string) (step, error) {
	folder, err := modeldir.Open(dir)
	if err != nil {
		return nil, err
	}
	d := cpu.New()
	m, err := model.Open(d, folder.Config, folder.Weights)
	if err != nil {
		return nil, err
	}
	var in model.Text
	tape := autograd.NewInference(d)
	return func(b batch) error {
		pack(&in, b)
		if err := in.Check(m.Config); err != nil {
			return err
		}
		sequence, _ := m.Encode(tape, in)
		if rows := len(d.Host(sequence.Value)) / m.Config.HiddenSize; rows != len(in.Tokens) {
			return fmt.Errorf("%d rows for %d tokens", rows, len(in.Tokens))
		}
		tape.Release()
		return nil
	}, nil
}

// writeModel writes the folder of a model with random weights.
func writeModel(dir string, tok *tokenizer.Tokenizer) error {
	d := cpu.New()
	m, err := model.New(d, config(), 1)
	if err != nil {
		return err
	}
	return modeldir.Save(dir, modeldir.Content{Config: m.Config, Tokenizer: tok, Tensors: m.Params.Tensors(d), Card: "random weights\n"})
}
