package oip

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// request is one for inference, of HTTP or of gRPC.
type request struct {
	model, version string
	id             string
	parameters     parameters
	inputs         []tensor
	outputs        []wanted
	emit           func(piece string) error // gets the pieces of one text; may be nil
}

// wanted is an output that a request asks for.
type wanted struct {
	Name       string     `json:"name"`
	Parameters parameters `json:"parameters"`
}

// response is the answer to a request.
type response struct {
	model      string
	id         string
	parameters map[string]int64
	outputs    []tensor
}

// service answers requests of both protocols.
type service struct {
	models backend.Models
	limits web.Limits
}

// version is the only one that a model has: what is served is what its folder holds.
const version = "1"

// model finds the model of a request.
func (s *service) model(name, v string) (backend.Model, error) {
	if name == "" {
		return nil, backend.Errorf(backend.Invalid, "model_name", "the request names no model")
	}
	m, err := s.models.Model(name)
	if err != nil {
		return nil, err
	}
	if v != "" && v != version {
		return nil, backend.Errorf(backend.NotFound, "model_version", "model %q has no version %q; its only one is %s", name, v, version)
	}
	return m, nil
}

// chosen is a task of a model with those of its outputs that are wanted.
type chosen struct {
	task
	outputs []string
}

// choose finds what is to be done for a request: the tasks that the wanted outputs are of, or the first that reads the inputs.
func choose(i backend.Info, b *batch, outputs []wanted) ([]chosen, error) {
	var fitting []task
	for _, t := range tasksOf(i) {
		if b.reads(t, i) {
			fitting = append(fitting, t)
		}
	}
	if len(outputs) == 0 {
		if len(fitting) == 0 {
			return nil, misfit(i, b)
		}
		one := chosen{task: fitting[0]}
		for _, o := range fitting[0].outputs(i) {
			one.outputs = append(one.outputs, o.name)
		}
		return []chosen{one}, nil
	}
	var work []chosen
	for _, w := range outputs {
		has := func(t task) bool {
			return slices.ContainsFunc(t.outputs(i), func(o tensor) bool { return o.name == w.Name })
		}
		at := slices.IndexFunc(fitting, has)
		if at < 0 {
			if !slices.ContainsFunc(tasksOf(i), has) {
				return nil, backend.Errorf(backend.Invalid, w.Name, "model %q has no output %q; its metadata lists its outputs", i.ID, w.Name)
			}
			return nil, backend.Errorf(backend.Invalid, w.Name, "output %q does not come of the inputs %s; it comes of %s", w.Name, b.names(), strings.Join(waysTo(i, has), "; or of "))
		}
		in := slices.IndexFunc(work, func(c chosen) bool { return c.name == fitting[at].name })
		if in < 0 {
			work, in = append(work, chosen{task: fitting[at]}), len(work)
		}
		if slices.Contains(work[in].outputs, w.Name) {
			return nil, backend.Errorf(backend.Invalid, w.Name, "output %q is asked for twice", w.Name)
		}
		work[in].outputs = append(work[in].outputs, w.Name)
	}
	return work, nil
}

func misfit(i backend.Info, b *batch) error {
	ways := waysTo(i, func(task) bool { return true })
	if len(ways) == 0 {
		return backend.Errorf(backend.Cannot, "model", "model %q has nothing that this protocol can ask for", i.ID)
	}
	return backend.Errorf(backend.Invalid, "inputs", "model %q reads other inputs than %s; it reads %s", i.ID, b.names(), strings.Join(ways, "; or "))
}

// waysTo lists the sets of inputs of the tasks that fit.
func waysTo(i backend.Info, fits func(task) bool) []string {
	var list []string
	for _, t := range tasksOf(i) {
		if !fits(t) {
			continue
		}
		for _, set := range t.inputs(i) {
			if s := strings.Join(set, ", "); !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	return list
}

// prepare checks a request and says what is to be done for it.
func (s *service) prepare(r *request) (backend.Model, *batch, []chosen, error) {
	m, err := s.model(r.model, r.version)
	if err != nil {
		return nil, nil, nil, err
	}
	b, err := newBatch(r.inputs, r.parameters, s.limits)
	if err != nil {
		return nil, nil, nil, err
	}
	if r.emit != nil && b.n == 1 {
		b.emit = r.emit
	}
	work, err := choose(m.Info(), b, r.outputs)
	if err != nil {
		return nil, nil, nil, err
	}
	known := []string{"binary_data_output", "timeout"}
	for _, c := range work {
		known = append(known, c.parameters...)
	}
	return m, b, work, r.parameters.check(known)
}

// errTimeout ends a request that took longer than its parameter timeout allows.
var errTimeout = errors.New("the request's timeout is over")

// within is ctx with the time that the parameter timeout gives, in microseconds as Triton has it.
func (r *request) within(ctx context.Context) (context.Context, context.CancelFunc, error) {
	us, err := takeInt(r.parameters, "timeout", 0, int(time.Hour/time.Microsecond), 0)
	if err != nil || us == 0 {
		return ctx, func() {}, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(us)*time.Microsecond, errTimeout)
	return ctx, cancel, nil
}

// infer answers a request.
func (s *service) infer(ctx context.Context, r *request) (*response, error) {
	m, b, work, err := s.prepare(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel, err := r.within(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	info := m.Info()
	answer := &response{model: r.model, id: r.id}
	var use backend.Usage
	have := map[string]tensor{}
	for _, c := range work {
		outputs, u, err := c.run(ctx, m, b)
		if err != nil {
			if context.Cause(ctx) == errTimeout {
				return nil, errTimeout
			}
			return nil, err
		}
		use = sum(use, u)
		for _, o := range outputs {
			if slices.Contains(c.outputs, o.name) {
				have[o.name] = o
			}
		}
		if len(r.outputs) == 0 {
			for _, name := range c.outputs {
				answer.outputs = append(answer.outputs, have[name])
			}
		}
	}
	for _, w := range r.outputs { // in the order that was asked for
		o := have[w.Name]
		if raw, ok := w.Parameters["classification"]; ok {
			if o, err = classified(o, raw, info.Labels); err != nil {
				return nil, err
			}
		}
		answer.outputs = append(answer.outputs, o)
	}
	answer.parameters = map[string]int64{"tokens": int64(use.Tokens), "pictures": int64(use.Pictures)}
	return answer, nil
}

func classified(o tensor, raw json.RawMessage, labels []string) (tensor, error) {
	var k int
	if err := json.Unmarshal(raw, &k); err != nil || k < 1 {
		return o, backend.Errorf(backend.Invalid, o.name, "classification of output %q is %.40s; want a whole number of 1 and more", o.name, raw)
	}
	if o.name != "probabilities" || len(o.shape) != 2 || int(o.shape[1]) != len(labels) {
		return o, backend.Errorf(backend.Invalid, o.name, "output %q has no classes; classification is for the output probabilities", o.name)
	}
	return classes(o, k, labels), nil
}

// checkTensor refuses parameters of a tensor that ask for memory that is not shared with this server.
func (p parameters) checkTensor(name string) error {
	for key := range p {
		if strings.HasPrefix(key, "shared_memory") {
			return backend.Errorf(backend.Invalid, name, "tensor %q is in shared memory, which this server does not read; send its data", name)
		}
	}
	return nil
}

// modelMetadata is what clients are told of a model.
type modelMetadata struct {
	Name       string            `json:"name"`
	Versions   []string          `json:"versions"`
	Platform   string            `json:"platform"`
	Inputs     []tensorMetadata  `json:"inputs"`
	Outputs    []tensorMetadata  `json:"outputs"`
	Properties map[string]string `json:"properties,omitempty"`
}

type tensorMetadata struct {
	Name     string  `json:"name"`
	Datatype string  `json:"datatype"`
	Shape    []int64 `json:"shape"`
}

func metadataOf(name string, i backend.Info) modelMetadata {
	list := func(tensors []tensor) []tensorMetadata {
		out := []tensorMetadata{}
		for _, t := range tensors {
			out = append(out, tensorMetadata{t.name, t.datatype, t.shape})
		}
		return out
	}
	inputs, outputs := describe(i)
	m := modelMetadata{
		Name: name, Versions: []string{version}, Platform: "unimo_safetensors", Inputs: list(inputs), Outputs: list(outputs),
		Properties: map[string]string{"max_tokens": fmt.Sprint(i.MaxTokens), "does": i.Can.String()},
	}
	for key, value := range map[string]string{"problem": i.Problem, "task": i.Details.Task, "fingerprint": i.Fingerprint} {
		if value != "" {
			m.Properties[key] = value
		}
	}
	return m
}

const serverName = "unimo"

// server is what clients are told of the server.
type server struct {
	Name       string   `json:"name"`
	Version    string   `json:"version"`
	Extensions []string `json:"extensions"`
}

// extensions are those of Triton's that are here.
var extensions = []string{"binary_tensor_data", "classification", "model_repository(index)"}
