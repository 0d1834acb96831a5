package oip

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/unimo-go/unimo/internal/serve/backend"
	"github.com/unimo-go/unimo/internal/serve/oip/inferencepb"
	"github.com/unimo-go/unimo/internal/serve/web"
)

// parameters are those of a request or of a tensor, each as its JSON.
type parameters map[string]json.RawMessage

// fromGRPC makes parameters of gRPC's.
func fromGRPC(list map[string]*inferencepb.InferParameter) (parameters, error) {
	p := make(parameters, len(list))
	for name, v := range list {
		var value any
		switch c := v.GetParameterChoice().(type) {
		case *inferencepb.InferParameter_BoolParam:
			value = c.BoolParam
		case *inferencepb.InferParameter_Int64Param:
			value = c.Int64Param
		case *inferencepb.InferParameter_StringParam:
			value = c.StringParam
		case *inferencepb.InferParameter_DoubleParam:
			value = c.DoubleParam
		case *inferencepb.InferParameter_Uint64Param:
			value = c.Uint64Param
		}
		raw, err := json.Marshal(value)
		if err != nil {
			return nil, backend.Errorf(backend.Invalid, name, "parameter %q is no number: %w", name, err)
		}
		p[name] = raw
	}
	return p, nil
}

// take is the value of a parameter, nil if there is none. what says what it must be.
func take[T any](p parameters, name, what string) (*T, error) {
	raw, ok := p[name]
	if !ok {
		return nil, nil
	}
	var v *T
	if err := json.Unmarshal(raw, &v); err != nil || v == nil {
		return nil, backend.Errorf(backend.Invalid, name, "parameter %q is %.40s; want %s", name, raw, what)
	}
	return v, nil
}

// takeInt is the whole number of a parameter from low to high, and otherwise if there is none.
func takeInt(p parameters, name string, low, high, otherwise int) (int, error) {
	v, err := take[int](p, name, "a whole number")
	if err != nil || v == nil {
		return otherwise, err
	}
	if *v < low || *v > high {
		return 0, &backend.Error{Kind: backend.Invalid, Param: name, Limit: high, Message: fmt.Sprintf("parameter %q is %d; want %d to %d", name, *v, low, high)}
	}
	return *v, nil
}

// decodingNames are the parameters that say how texts are found: the keys of [backend.Decoding].
var decodingNames = []string{"beam", "length_penalty", "min_length", "max_length", "block_trigrams", "sample", "temperature", "top_k", "top_p", "seed"}

// decoding is what the parameters say of how texts are found.
func (p parameters) decoding() (d backend.Decoding, err error) {
	own := parameters{}
	for _, name := range decodingNames {
		if raw, ok := p[name]; ok {
			own[name] = raw
		}
	}
	raw, err := json.Marshal(own)
	if err != nil {
		return d, backend.Errorf(backend.Invalid, "parameters", "parameters: %w", err)
	}
	return d, web.DecodeJSON(raw, &d)
}

// of others are parameters that Triton's clients send and that change no answer of a server like this one.
var ofOthers = []string{"priority", "sequence_id", "sequence_start", "sequence_end", "headers"}

// check refuses parameters that none of the work asked for has: a misspelt one would change nothing, and nobody would know.
func (p parameters) check(known []string) error {
	for _, name := range slices.Sorted(maps.Keys(p)) {
		if raw := p[name]; len(raw) == 0 || !strings.ContainsRune(`"tf-0123456789`, rune(raw[0])) {
			return backend.Errorf(backend.Invalid, name, "parameter %q is %.40s; parameters are strings, numbers and booleans", name, raw)
		}
		if !slices.Contains(known, name) && !slices.Contains(ofOthers, name) && !strings.HasPrefix(name, "triton_") {
			return backend.Errorf(backend.Invalid, name, "parameter %q has no meaning for what is asked; there are %s", name, strings.Join(known, ", "))
		}
	}
	return nil
}
