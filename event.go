package unimo

import "github.com/unimo-go/unimo/internal/train"

// Event is a piece of news of work that goes on. Which fields it has depends on its kind.
type Event struct {
	Kind EventKind

	Stage string // of a new stage: what happens next, for people

	Done, Total int // of progress: how far a stage has come; Total is -1 where it is not known

	Step, Steps  int     // of a step: its number from 1, of how many
	Epoch        float64 // passes over the data so far
	Loss         float64
	LearningRate float64
	Tokens       int     // that the step read
	Seconds      float64 // that it took

	Metric string  // of an evaluation (which also has Step): the name of the metric that chooses the best model
	Value  float64 // its value
	Best   bool    // it is the best so far
}

// EventKind says what an [Event] is about.
type EventKind int

// The kinds.
const (
	NewStage  EventKind = iota + 1 // something else begins: reading data, training, scoring
	Progress                       // within a stage
	Step                           // of training has been taken; an accelerator has several told at a time, when their losses are read
	Evaluated                      // the model, on dev
	Saved                          // a snapshot, of step Step
)

// observer hands on what a run tells.
type observer struct{ tell func(Event) }

func (o observer) Stage(name string) { o.tell(Event{Kind: NewStage, Stage: name}) }

func (o observer) Tick(done, total int) { o.tell(Event{Kind: Progress, Done: done, Total: total}) }

func (o observer) Step(e train.StepEvent) {
	o.tell(Event{Kind: Step, Step: e.Step, Steps: e.Total, Epoch: e.Epoch, Loss: e.Loss, LearningRate: e.LearningRate, Tokens: e.Tokens, Seconds: e.Seconds})
}

func (o observer) Evaluating(done, total int) { o.Tick(done, total) }

func (o observer) Evaluated(step int, e train.Evaluation, best bool) {
	o.tell(Event{Kind: Evaluated, Step: step, Metric: e.Metric, Value: float64(e.Score), Best: best})
}

func (o observer) Saved(step int) { o.tell(Event{Kind: Saved, Step: step}) }
