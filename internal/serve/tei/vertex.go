package tei

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// predictions are what Vertex AI has of the answers for its instances.
type predictions struct {
	Predictions []any `json:"predictions"`
}

// vertex answers the instances of a request of Vertex AI, each as POST / does, all at a time. What they ask for together is bounded as one request
// is.
func (s *server) vertex(ctx context.Context, raw []byte) (any, error) {
	var q struct {
		Instances json.RawMessage `json:"instances"`
	}
	if err := web.DecodeJSON(raw, &q); err != nil {
		return nil, err
	}
	if !web.Given(q.Instances) {
		return nil, backend.Errorf(backend.Invalid, "instances", "missing field `instances`")
	}
	instances, err := s.limits.Elements("instances", q.Instances)
	if err != nil {
		return nil, err
	}
	texts := 0
	for i, one := range instances {
		n, err := s.texts(one)
		if err != nil {
			return nil, ofInstance(i, err)
		}
		texts += n
	}
	if most := s.limits.Items; texts > most {
		return nil, &backend.Error{Kind: backend.TooLarge, Param: "instances", Limit: most, Message: fmt.Sprintf("the instances have %d texts together; this server takes %d of a request, so send several requests", texts, most)}
	}
	type outcome struct {
		value any
		err   error
	}
	outcomes := make([]outcome, len(instances))
	var wait sync.WaitGroup
	for i, one := range instances {
		wait.Go(func() {
			o := &outcomes[i]
			o.err = web.Caught(ctx, func() (err error) {
				o.value, err = s.root(ctx, one)
				return err
			})
		})
	}
	wait.Wait()
	answer := predictions{make([]any, len(instances))}
	for i, o := range outcomes {
		if o.err != nil {
			return nil, ofInstance(i, o.err)
		}
		answer.Predictions[i] = o.value
	}
	return answer, nil
}

// texts counts those of an instance.
func (s *server) texts(instance json.RawMessage) (int, error) {
	var q struct {
		Inputs json.RawMessage `json:"inputs"`
		Texts  json.RawMessage `json:"texts"`
	}
	if err := web.DecodeJSON(instance, &q); err != nil {
		return 0, err
	}
	list, param := q.Inputs, "inputs"
	switch {
	case web.Given(q.Texts):
		list, param = q.Texts, "texts"
	case web.IsObject(q.Inputs):
		var of struct {
			Sentences json.RawMessage `json:"sentences"`
		}
		if err := web.DecodeJSON(q.Inputs, &of); err != nil {
			return 0, err
		}
		list, param = of.Sentences, "inputs.sentences"
	}
	if !web.IsList(list) || web.IsTokens(list) {
		return 1, nil
	}
	all, err := s.limits.Elements(param, list)
	return len(all), err
}

// ofInstance says which instance an error is about.
func ofInstance(i int, err error) error {
	e := *backend.AsError(err)
	e.Message = web.At("instances", i) + ": " + e.Message
	return &e
}
