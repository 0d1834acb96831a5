package pjrt

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/unimo-go/unimo/internal/compute/engine/xla/pjrt/wire"
)

// signature is what a program takes and returns. Plugins check the bytes of arguments at most, so we check these.
type signature struct {
	Arguments []shape
	Donated   []bool // the program takes over the argument's memory
	Results   []shape
}

// readSignature reads it from a program's text: func.func public @main(%a: tensor<2xf32> {attributes}, ...) -> (tensor<f32>, ...) {
func readSignature(program []byte) (s signature, err error) {
	_, rest, ok := strings.Cut(string(program), "@main(")
	if !ok {
		return s, errors.New("the program has no @main")
	}
	list, rest, err := inBrackets(rest)
	if err != nil {
		return s, fmt.Errorf("arguments of @main: %w", err)
	}
	for i, a := range list {
		_, typ, _ := strings.Cut(a, ":")
		x, attributes, err := readShape(typ)
		if err != nil {
			return s, fmt.Errorf("argument %d of @main: %w", i, err)
		}
		s.Arguments = append(s.Arguments, x)
		s.Donated = append(s.Donated, strings.Contains(attributes, "tf.aliasing_output") || strings.Contains(attributes, "jax.buffer_donor"))
	}
	rest, ok = strings.CutPrefix(strings.TrimSpace(rest), "->")
	if !ok {
		return s, nil
	}
	rest = strings.TrimSpace(rest)
	if inner, ok := strings.CutPrefix(rest, "("); ok {
		if list, _, err = inBrackets(inner); err != nil {
			return s, fmt.Errorf("results of @main: %w", err)
		}
	} else {
		one, _, _ := strings.Cut(rest, ">")
		list = []string{one + ">"}
	}
	for i, r := range list {
		x, _, err := readShape(r)
		if err != nil {
			return s, fmt.Errorf("result %d of @main: %w", i, err)
		}
		s.Results = append(s.Results, x)
	}
	return s, nil
}

// inBrackets returns what stands before the closing bracket, split at commas, and what stands behind it.
func inBrackets(text string) (list []string, rest string, err error) {
	depth, from, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch ch := text[i]; {
		case quoted:
			if ch == '\\' {
				i++
			} else if ch == '"' {
				quoted = false
			}
		case ch == '"':
			quoted = true
		case ch == '-' && strings.HasPrefix(text[i:], "->"):
			i++
		case strings.IndexByte("([{<", ch) >= 0:
			depth++
		case strings.IndexByte(")]}>", ch) >= 0 && depth > 0:
			depth--
		case ch == ')':
			if strings.TrimSpace(text[from:i]) != "" {
				list = append(list, text[from:i])
			}
			return list, text[i+1:], nil
		case ch == ',' && depth == 0:
			list = append(list, text[from:i])
			from = i + 1
		}
	}
	return nil, "", errors.New("no closing bracket")
}

// readShape reads tensor<2x3xf32> and returns what follows.
func readShape(text string) (s shape, rest string, err error) {
	text = strings.TrimSpace(text)
	inner, ok := strings.CutPrefix(text, "tensor<")
	inner, rest, closed := strings.Cut(inner, ">")
	if !ok || !closed {
		return s, "", fmt.Errorf("%.40q is no tensor of fixed shape", text)
	}
	fields := strings.Split(inner, "x")
	total := 1
	for _, field := range fields[:len(fields)-1] {
		d, err := strconv.ParseUint(field, 10, 40)
		if err != nil || int(d) > (1<<40)/total {
			return s, "", fmt.Errorf("tensor<%.40s>: a dimension of %.20q", inner, field)
		}
		total *= max(int(d), 1)
		s.dims = append(s.dims, int(d))
	}
	if s.t, ok = wire.TypeOf(fields[len(fields)-1]); !ok {
		return s, "", fmt.Errorf("tensor<%.40s> is of a type that is not known", inner)
	}
	return s, rest, nil
}

// signed begins a serialized executable: what the plugin serializes does not say what the program takes.
const signed = "unimo-xla 1\n"

// append writes a signature in front of a serialized executable.
func (s signature) append(b []byte) []byte {
	shapes := func(list []shape) {
		b = wire.AppendUint(b, uint64(len(list)))
		for _, x := range list {
			b = wire.AppendDims(append(b, byte(x.t)), x.dims)
		}
	}
	b = append(b, signed...)
	shapes(s.Arguments)
	for _, d := range s.Donated {
		b = wire.AppendBool(b, d)
	}
	shapes(s.Results)
	return b
}

// cutSignature reads what append wrote, and returns what follows.
func cutSignature(data []byte) (s signature, rest []byte, err error) {
	if !strings.HasPrefix(string(data[:min(len(data), len(signed))]), signed) {
		return s, nil, errors.New("this is no executable that was serialized by this version")
	}
	f := wire.NewFields(data[len(signed):])
	shapes := func() (list []shape) {
		for range f.Count() {
			x := shape{t: wire.Type(f.Byte())}
			for _, d := range f.Dims() {
				x.dims = append(x.dims, int(d))
			}
			if !x.t.Valid() {
				f.Fail(fmt.Errorf("a shape of type %d", x.t))
			}
			list = append(list, x)
		}
		return list
	}
	s.Arguments = shapes()
	for range s.Arguments {
		s.Donated = append(s.Donated, f.Byte() != 0)
	}
	s.Results = shapes()
	if f.Broken() {
		return signature{}, nil, fmt.Errorf("serialized executable: %w", f.Err())
	}
	return s, f.Rest(), nil
}

// ResultSizes returns the bytes of a program's results.
func ResultSizes(program []byte) (sizes []int, err error) {
	s, err := readSignature(program)
	for _, r := range s.Results {
		sizes = append(sizes, r.bytes())
	}
	return sizes, err
}
